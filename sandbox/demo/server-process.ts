// Starts Quayside's server as a process of its own, as an operator would: files for key, apps and tenants in a private folder,
// settings in the environment, ready when /health/ready answers. Ends it on close and never leaves it behind.
import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const serverEntry = fileURLToPath(new URL('../../server/main.ts', import.meta.url))

export interface ServerSetting {
  directory: string
  port: number
  /** Default: a SQLite file in the directory. */
  databaseUrl?: string
  region: { location: string; application: string; contentManagement: string; developerHub: string }
  app: { appUid: string; clientId: string; clientSecret: string; webhookSecret: string }
  organizations: { organizationUid: string; name: string }[]
  identity: { issuer: string; clientId: string; clientSecret: string; groups: Record<string, { role: string; organizationUids: string[] }> }
  watch?: boolean
  logLevel?: string
  /** Before the entry file, for example --cpu-prof. */
  nodeArguments?: string[]
}

export interface ServerProcess {
  readonly url: string
  readonly logFile: string
  /** Its settings, for commands run beside it. */
  readonly environment: Record<string, string>
  /** null while it is down. */
  readonly pid: number | null
  /** Ends at once, as a crash would. */
  kill(): Promise<void>
  /** Starts again after kill(). */
  start(): Promise<void>
  close(): Promise<void>
}

export async function startServer(setting: ServerSetting): Promise<ServerProcess> {
  const { directory, port } = setting
  const url = `http://127.0.0.1:${port}`
  const logFile = join(directory, 'server.log')
  const environment = await writeSettings(setting, url)
  let child: ChildProcess | null = null

  async function start(): Promise<void> {
    const log = createWriteStream(logFile, { flags: 'a', mode: 0o600 })
    const started = spawn(
      process.execPath,
      [
        ...(setting.watch ? ['--watch-preserve-output', '--watch-path', join(serverEntry, '..')] : []),
        ...(setting.nodeArguments ?? []),
        serverEntry
      ],
      {
        env: environment,
        stdio: ['ignore', 'pipe', 'pipe']
      }
    )
    child = started
    started.stdout.pipe(log, { end: false })
    started.stderr.pipe(log, { end: false })
    let exited = false
    started.once('exit', () => {
      exited = true
      log.end()
    })
    const deadline = Date.now() + 20_000
    while (!(await ready(url))) {
      if (exited) throw new Error(`The server ended at its start:\n${(await readFile(logFile, 'utf8')).split('\n').slice(-12).join('\n')}`)
      if (Date.now() > deadline) throw new Error(`The server is not ready after 20 s; see ${logFile}`)
      await new Promise(resolve => setTimeout(resolve, 40))
    }
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    const running = child
    child = null
    if (!running || running.exitCode !== null || running.signalCode !== null) return
    const gone = new Promise(resolve => running.once('exit', resolve))
    running.kill(signal)
    const insist = setTimeout(() => running.kill('SIGKILL'), 10_000)
    await gone
    clearTimeout(insist)
  }

  process.once('exit', () => child?.kill('SIGKILL'))
  await start()
  return {
    url,
    logFile,
    environment,
    get pid() {
      return child?.pid ?? null
    },
    kill: () => end('SIGKILL'),
    start,
    close: () => end('SIGTERM')
  }
}

async function ready(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health/ready`)).ok
  } catch {
    return false
  }
}

async function writeSettings(setting: ServerSetting, url: string): Promise<Record<string, string>> {
  const { directory, port, region, app, organizations, identity } = setting
  const files = join(directory, 'files')
  await mkdir(files, { recursive: true, mode: 0o700 })
  const write = async (name: string, text: string) => {
    const path = join(directory, name)
    await writeFile(path, text, { mode: 0o600 })
    return path
  }
  const keyFile = join(directory, 'key')
  await writeFile(keyFile, `demo-1:${randomBytes(32).toString('base64')}\n`, { mode: 0o600, flag: 'wx' }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    }
  )
  const groupRoles = Object.fromEntries(
    Object.entries(identity.groups).map(([group, { role, organizationUids }]) => [
      group,
      { role, organizations: organizationUids.map(organizationUid => ({ region: 'sandbox', organizationUid })) }
    ])
  )
  return {
    PATH: process.env.PATH ?? '',
    NO_PROXY: 'localhost,127.0.0.1,::1',
    QUAYSIDE_ENV: 'development',
    QUAYSIDE_PUBLIC_URL: url,
    QUAYSIDE_PORT: String(port),
    QUAYSIDE_DATABASE_URL: setting.databaseUrl ?? `sqlite:${join(directory, 'quayside.db')}`,
    QUAYSIDE_KEY_FILE: keyFile,
    QUAYSIDE_ANCHOR_FILE: join(directory, 'audit-anchors.jsonl'),
    QUAYSIDE_FILES_DIR: files,
    QUAYSIDE_PRIVATE_HOSTS: 'localhost,127.0.0.1,::1',
    QUAYSIDE_LOG_LEVEL: setting.logLevel ?? 'info',
    QUAYSIDE_APPS_FILE: await write('apps.json', JSON.stringify([{ region: 'sandbox', ...app, hosts: region }])),
    QUAYSIDE_TENANTS_FILE: await write(
      'tenants.json',
      JSON.stringify({
        organizations: organizations.map(organization => ({ region: 'sandbox', ...organization })),
        identityProviders: [
          {
            id: 'sandbox',
            name: 'Sandbox identity provider',
            issuer: identity.issuer,
            clientId: identity.clientId,
            clientSecret: identity.clientSecret,
            groupRoles
          }
        ]
      })
    )
  }
}
