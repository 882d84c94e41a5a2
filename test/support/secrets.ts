// Every secret that passes through a person's browser in a flow, gathered from the wire as it goes by, and the search for them
// where nothing of a person's may be: our database, whatever its kind, our log, our files.
import { readdir, readFile } from 'node:fs/promises'
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

/** Those of the sandbox's own records that never pass a browser: authtokens, OAuth tokens, management tokens. */
export function secretsOfWorld({ sandbox: { world } }: Flow): Secrets {
  return new Map([
    ...Object.keys(world.authtokens).map(token => [token, 'authtoken'] as const),
    ...Object.entries(world.oauthTokens).map(([token, { kind, type }]) => [token, `${kind} ${type} token`] as const),
    ...Object.values(world.stacks).flatMap(stack =>
      Object.values(stack.managementTokens).map(({ secret }) => [secret, 'management token'] as const)
    )
  ])
}

/** Where which secret lies: 'authtoken in server.log'. The settings that an operator wrote are the operator's own. */
export async function findSecrets(flow: Flow, secrets: Secrets): Promise<string[]> {
  const places = [...(await filesOf(flow)), ...(await tablesOf(flow))]
  return places.flatMap(({ name, text }) =>
    [...secrets].filter(([secret]) => text.includes(secret)).map(([, what]) => `${what} in ${name}`)
  )
}

interface Place {
  name: string
  text: string
}

async function filesOf({ directory }: Flow): Promise<Place[]> {
  const operators = ['key', 'apps.json', 'tenants.json']
  const files = (await readdir(directory, { recursive: true, withFileTypes: true })).filter(
    file => file.isFile() && !operators.includes(file.name)
  )
  return await Promise.all(files.map(async file => ({ name: file.name, text: await readFile(join(file.parentPath, file.name), 'latin1') })))
}

/** Row by row on both; on SQLite the bytes of the file too, where deleted rows may linger. */
async function tablesOf({ database: { db, dialect } }: Flow): Promise<Place[]> {
  const places: Place[] = []
  for (const { name } of await db.introspection.getTables()) {
    const { rows } = await sql`select * from ${sql.table(name)}`.execute(db)
    places.push({ name: `table ${name}`, text: JSON.stringify(rows) })
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
