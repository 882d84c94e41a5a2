// The ground of the doctor's tests: a whole set-up that is well, the command beside it, the gestures that break one thing of its
// settings, and the search of all that was printed for every secret there was.
import { spawn } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo, Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createApp } from '../../server/app.ts'
import { loadConfig } from '../../server/config.ts'
import type { Check } from '../../server/http/contract/doctor.ts'
import { silentLog } from '../../server/log.ts'
import { freshSqlite } from './databases.ts'
import { type Connected, connect, type Flow } from './flow.ts'
import { secretsOfWorld } from './secrets.ts'

/** Half of a command's time is its compilation. */
const compiled = join(tmpdir(), 'quayside-compiled')
export const command = fileURLToPath(new URL('../../server/quayside.cjs', import.meta.url))

export type Env = Record<string, string>

export interface Said {
  code: number | null
  out: string
  err: string
  milliseconds: number
}

export type Ground = Awaited<ReturnType<typeof breakableGround>>

/** A password that stands in what the tests break. */
export const somePassword = 'hunter2hunter2'

/** Installed, granted, and with everything in a file that may be replaced. */
export async function breakableGround(flow: Flow) {
  const connected: Connected = await connect(flow)
  const env: Env = { ...flow.server.environment }
  const folder = await mkdtemp(join(tmpdir(), 'quayside-doctor-'))
  const stops: (() => Promise<unknown>)[] = []
  let printed = ''
  let files = 0

  const passing = createServer()
  const closed = `http://127.0.0.1:${await listening(passing)}`
  await new Promise(resolve => passing.close(resolve))

  async function quayside(change: Env, ...args: string[]): Promise<Said> {
    const said = await run({ ...env, ...change }, args)
    printed += said.out + said.err
    return said
  }
  async function file(content: unknown, mode = 0o600): Promise<string> {
    const path = join(folder, `file-${(files += 1)}`)
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
    await chmod(path, mode)
    return path
  }
  const text = (name: string) => readFile(env[name] ?? '', 'utf8')
  const parsed = async (name: string): Promise<unknown> => JSON.parse(await text(name))
  async function host(answer: RequestListener): Promise<string> {
    const server = createServer(answer)
    stops.push(() => new Promise(resolve => server.close(resolve)))
    return `http://127.0.0.1:${await listening(server)}`
  }
  async function apps(hosts: Record<string, string>): Promise<Env> {
    const [app] = (await parsed('QUAYSIDE_APPS_FILE')) as [{ hosts: object }]
    return { QUAYSIDE_APPS_FILE: await file([{ ...app, hosts: { ...app.hosts, ...hosts } }]) }
  }

  return {
    flow,
    connected,
    folder,
    /** Where nobody listens. */
    closed,
    quayside,
    async doctor(change: Env = {}): Promise<Said & { checks: Check[] }> {
      const said = await quayside(change, 'doctor', '--json')
      return { ...said, checks: JSON.parse(said.out) as Check[] }
    },
    file,
    /** What a file of the settings holds. */
    text,
    parsed,
    /** A host of our own. */
    host,
    /** The apps file with other hosts. */
    apps,
    /** The tenants file with another provider. */
    async tenants(provider: object, more: object = {}): Promise<Env> {
      const found = (await parsed('QUAYSIDE_TENANTS_FILE')) as { identityProviders: [object] }
      const identityProviders = [{ ...found.identityProviders[0], ...provider }]
      return { QUAYSIDE_TENANTS_FILE: await file({ ...found, ...more, identityProviders }) }
    },
    /** A region whose clock is that far ahead. */
    async clock(seconds: number): Promise<Env> {
      const url = await host((_request, response) => {
        response.setHeader('date', new Date(Date.now() + seconds * 1000).toUTCString()).end('{}')
      })
      return await apps({ application: url, contentManagement: url, developerHub: url })
    },
    /** The public address of another Quayside, on another database. */
    async anotherServer(change: Env = {}): Promise<Env> {
      const database = await freshSqlite()
      stops.push(database.cleanup)
      const own = { QUAYSIDE_PORT: '0', QUAYSIDE_DATABASE_URL: database.url, QUAYSIDE_ANCHOR_FILE: join(folder, 'other-anchors') }
      const { config, secrets } = loadConfig({ ...env, ...own, ...change })
      const app = await createApp(config, secrets, silentLog, { background: false })
      stops.push(() => app.close())
      return { QUAYSIDE_PUBLIC_URL: app.url }
    },
    /** Names of the secrets that any of these commands has printed. Throws when too little was printed to say. */
    async leaked(): Promise<string[]> {
      const [app] = (await parsed('QUAYSIDE_APPS_FILE')) as [Record<string, string>]
      const { identityProviders } = (await parsed('QUAYSIDE_TENANTS_FILE')) as { identityProviders: [Record<string, string>] }
      const key = (await text('QUAYSIDE_KEY_FILE')).trim().split(':')[1]
      const secrets: [string | undefined, string][] = [
        ...secretsOfWorld(flow),
        [key, 'the key'],
        [app.clientSecret, 'client secret'],
        [app.webhookSecret, 'webhook secret'],
        [identityProviders[0].clientSecret, 'client secret of the login'],
        [somePassword, 'a password']
      ]
      if (printed.length < 10_000 || secrets.some(([secret]) => (secret ?? '').length < 12)) throw new Error('there is nothing to search')
      return secrets.filter(([secret]) => printed.includes(secret ?? '')).map(([, what]) => what)
    },
    async close(): Promise<void> {
      for (const stop of stops.toReversed()) await stop()
      await rm(folder, { recursive: true })
    }
  }
}

function run(env: Env, args: string[]): Promise<Said> {
  return new Promise((resolve, reject) => {
    const startedAt = Date.now()
    const child = spawn(process.execPath, [command, ...args], { env: { ...env, NODE_COMPILE_CACHE: compiled } })
    let [out, err] = ['', '']
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
    child.once('error', reject)
    child.once('close', code => resolve({ code, out, err, milliseconds: Date.now() - startedAt }))
  })
}

export async function listening(server: Server): Promise<number> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

/** What the rows of that name and result say, remedies with them. */
export function wordsOf(checks: readonly Check[], name: string, result: Check['result']): string {
  const rows = checks.filter(check => check.name === name && check.result === result)
  return rows.map(({ detail, remedy }) => `${detail} ${remedy}`).join('\n')
}
