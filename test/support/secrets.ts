// Every secret of a flow, gathered from the wire as it goes by and from the sandbox's own records, and the search for them where none
// may be: our database, whatever its kind, our log, our files, our answers; as they are, and in every form that text takes on its way.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readdir, readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { sql } from 'kysely'
import type { BrowserContext, Request } from 'playwright-core'
import type { Flow } from './flow.ts'

/** Secret -> what it is, for the words of a failure: a test's output must not show it either. */
export type Secrets = Map<string, string>

const inAddress = ['code', 'state', 'ticket', 'app-token']
const inHeaders = ['authtoken', 'authorization']

/** Fills itself while the browser works. */
export function watchSecrets(context: BrowserContext): Secrets {
  const secrets: Secrets = new Map()
  const note = (value: string | null | undefined, name: string) => {
    if (value) secrets.set(value.replace(/^Bearer /, ''), name)
  }
  context.on('request', (request: Request) => {
    const { searchParams } = new URL(request.url())
    for (const name of inAddress) note(searchParams.get(name), name)
    void request.allHeaders().then(
      headers => {
        for (const name of inHeaders) note(headers[name], name)
      },
      () => {}
    )
  })
  context.on('response', response => {
    void response.headersArray().then(
      headers => {
        for (const { name, value } of headers) {
          if (name.toLowerCase() === 'set-cookie') note(/^[^=]+=([^;]+)/.exec(value)?.[1], 'cookie')
        }
      },
      () => {}
    )
  })
  return secrets
}

const inBodies = ['code', 'code_verifier', 'client_secret', 'refresh_token', 'token']

/** Fills itself with what the sandbox, which lives in this process, is sent by anybody: credentials, codes, verifiers. */
export function watchWire(): { secrets: Secrets; stop(): void } {
  const secrets: Secrets = new Map()
  const note = (value: unknown, name: string) => {
    if (typeof value === 'string' && value.length >= shortest) secrets.set(value, name)
  }
  const listen = (message: unknown) => {
    const { request } = message as { request: IncomingMessage }
    note(request.headers['authtoken'], 'authtoken')
    note(request.headers.authorization?.replace(/^Bearer /, ''), 'authorization')
    let body = ''
    const push = request.push.bind(request)
    request.push = (chunk: unknown, encoding?: BufferEncoding) => {
      if (chunk instanceof Uint8Array) body += Buffer.from(chunk).toString('utf8')
      if (chunk === null) for (const name of inBodies) note(fieldOf(request, body, name), name)
      return push(chunk, encoding)
    }
  }
  subscribe('http.server.request.start', listen)
  return { secrets, stop: () => unsubscribe('http.server.request.start', listen) }
}

function fieldOf({ headers }: IncomingMessage, body: string, name: string): unknown {
  if (headers['content-type']?.includes('urlencoded')) return new URLSearchParams(body).get(name)
  try {
    return (JSON.parse(body) as Record<string, unknown>)[name]
  } catch {
    return undefined
  }
}

/** Those of the sandbox's own records that never pass a browser: authtokens, OAuth tokens, management tokens, what its webhooks carry. */
export function secretsOfWorld({ sandbox: { world } }: Flow): Secrets {
  return new Map([
    ...Object.keys(world.authtokens).map(token => [token, 'authtoken'] as const),
    ...Object.entries(world.oauthTokens).map(([token, { kind, type }]) => [token, `${kind} ${type} token`] as const),
    ...Object.values(world.stacks).flatMap(({ managementTokens, deletedTokens = {}, webhooks }) => [
      ...[...Object.values(managementTokens), ...Object.values(deletedTokens)].map(({ secret }) => [secret, 'management token'] as const),
      ...Object.values(webhooks).flatMap(({ destinations }) =>
        destinations.flatMap(({ custom_header: headers }) => headers.map(({ value }) => [value, 'webhook header'] as const))
      )
    ])
  ])
}

/** What the operator gave the server in files that nobody else reads. */
export async function secretsOfOperator({ directory, app }: Flow): Promise<Secrets> {
  const read = async <T>(name: string) => JSON.parse(await readFile(join(directory, name), 'utf8')) as T
  const apps = await read<{ webhookSecret: string }[]>('apps.json')
  const { identityProviders } = await read<{ identityProviders: { clientSecret: string }[] }>('tenants.json')
  const keys = (await readFile(join(directory, 'key'), 'utf8')).split('\n').filter(line => line !== '')
  return new Map([
    [app.clientSecret, "the app's client secret"],
    ...apps.map(({ webhookSecret }) => [webhookSecret, 'app webhook secret'] as const),
    ...identityProviders.map(({ clientSecret }) => [clientSecret, "the console's client secret"] as const),
    ...keys.map(line => [line.slice(line.indexOf(':') + 1), 'key of the vault'] as const)
  ])
}

/** A shorter one would be found by chance. */
const shortest = 12

const session = /^POST \/api\/extension\/session(\/renew)?$/
const grantStart = /^GET \/oauth\/grant\/start$/

/** What we hand out on purpose, and in which answers; a session when it is renewed as well, everything else in one answer only. */
const handedOut: Record<string, RegExp> = {
  session,
  authorization: session,
  'access key': /^POST \/api\/\w+\/.*keys$/,
  'signing secret': /^POST \/api\/\w+\/.*recipients$/,
  ticket: /^POST \/api\/\w+\/.*grants$/,
  state: grantStart,
  'code or state': grantStart,
  cookie: /^GET \/(oauth\/grant\/start|console\/.*)$/
}

/**
 * Where which secret lies: 'authtoken, as base64, in server.log'. The settings that an operator wrote are the operator's own. Throws
 * Error, naming its kind, for a secret too short to be looked for.
 */
export async function findSecrets(flow: Flow, secrets: Secrets): Promise<string[]> {
  const answers = await answersOf(flow)
  const excused = ({ what, place }: Find) => {
    const route = handedOut[what]
    return route !== undefined && answers.includes(place) && route.test(place.name.slice(answerTo.length))
  }
  const found = searchIn([...(await filesOf(flow)), ...(await tablesOf(flow)), ...answers], secrets)
  const given = found.filter(excused)
  const again = given.filter(
    ({ secret, what }, index) => handedOut[what] !== session && given.findIndex(it => it.secret === secret) !== index
  )
  return [...found.filter(find => !excused(find)), ...again].map(({ what, form, place }) => `${what}, ${form}, in ${place.name}`)
}

/** Of each secret what text may hold in its place. In base64 it has three faces, by where in a triple of bytes it begins. */
export function formsOf(secret: string): { form: string; text: string }[] {
  const bytes = Buffer.from(secret, 'utf8')
  const faces = (encoding: 'base64' | 'base64url') =>
    [0, 1, 2].map(offset => {
      const text = Buffer.concat([Buffer.alloc(offset), bytes])
        .toString(encoding)
        .replaceAll('=', '')
      // What its neighbours have a share in is left out.
      const from = [0, 2, 3][offset] ?? 0
      const until = text.length - ((bytes.length + offset) % 3 === 0 ? 0 : 1)
      return { form: `as ${encoding}`, text: text.slice(from, until) }
    })
  const hex = bytes.toString('hex')
  const all = [
    { form: 'as it is', text: secret },
    ...faces('base64'),
    ...faces('base64url'),
    { form: 'as hex', text: hex },
    { form: 'as hex', text: hex.toUpperCase() },
    { form: 'percent-encoded', text: encodeURIComponent(secret) },
    { form: 'percent-encoded', text: encodeURIComponent(secret).replaceAll(/%[0-9A-F]{2}/g, code => code.toLowerCase()) },
    { form: 'as JSON', text: JSON.stringify(secret).slice(1, -1) },
    { form: 'as JSON', text: JSON.stringify(secret).slice(1, -1).replaceAll('/', '\\/') }
  ]
  return all.filter(({ text }, index) => all.findIndex(other => other.text === text) === index)
}

interface Find {
  secret: string
  what: string
  form: string
  place: Place
}

export function searchIn(places: readonly Place[], secrets: Secrets): Find[] {
  return [...secrets].flatMap(([secret, what]) => {
    if (secret.length < shortest) throw new Error(`A secret is too short to be looked for: ${what}`)
    const forms = formsOf(secret)
    return places.flatMap(place => {
      const hit = forms.find(({ text }) => place.text.includes(text))
      return hit ? [{ secret, what, form: hit.form, place }] : []
    })
  })
}

export interface Place {
  name: string
  text: string
}

async function filesOf({ directory }: Flow): Promise<Place[]> {
  const operators = ['key', 'apps.json', 'tenants.json', answersFile]
  const files = (await readdir(directory, { recursive: true, withFileTypes: true })).filter(
    file => file.isFile() && !operators.includes(file.name)
  )
  return await Promise.all(files.map(async file => ({ name: file.name, text: await readFile(join(file.parentPath, file.name), 'latin1') })))
}

const answersFile = 'answers.jsonl'
const answerTo = 'the answer to '

/** Every answer the server gave, head and body (answers.process.ts). */
async function answersOf({ directory }: Flow): Promise<Place[]> {
  const lines = (await readFile(join(directory, answersFile), 'utf8')).split('\n').filter(line => line !== '')
  return lines.map(line => {
    const { to, head, body } = JSON.parse(line) as { to: string; head: string; body: string }
    return { name: `${answerTo}${to}`, text: `${head}${body}` }
  })
}

/** Row by row on both; on SQLite the bytes of the file too, where deleted rows may linger. */
async function tablesOf({ database: { db, dialect } }: Flow): Promise<Place[]> {
  const places: Place[] = []
  for (const { name } of await db.introspection.getTables()) {
    const { rows } = await sql`select * from ${sql.table(name)}`.execute(db)
    places.push({ name: `table ${name}`, text: JSON.stringify(rows, asText) })
  }
  if (dialect === 'sqlite') {
    const { rows } = await sql<{ file: string }>`select file from pragma_database_list where name = 'main'`.execute(db)
    for (const suffix of ['', '-wal']) {
      const text = await readFile(`${rows[0]?.file}${suffix}`, 'latin1').catch(() => '')
      places.push({ name: `database file${suffix}`, text })
    }
  }
  return places
}

/** Bytes as text: listed number by number, nothing in them would be found. */
function asText(_key: string, value: unknown): unknown {
  const bytes = (value as { type?: unknown; data?: unknown } | null)?.type === 'Buffer' ? (value as { data: number[] }).data : null
  return bytes ? Buffer.from(bytes).toString('latin1') : value
}
