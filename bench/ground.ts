// The ground a case stands on: a fresh sandbox (process one) and a fresh server (process two), the app installed and its token
// in custody by the same HTTP steps that a person takes, a SQLite destination connected. Everything on loopback, in a folder of
// its own that goes away with it.
import { fork } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type CmsLogin, giveGrant, install, openApp, type StackPages, until } from '../sandbox/demo/admin.ts'
import { createPerson, type Person } from '../sandbox/demo/person.ts'
import type { Sandbox } from '../sandbox/sandbox.ts'
import type { Run, Sync } from '../server/http/contract/stack.ts'

export interface GroundOptions {
  directory: string
  entries: number
  limits: 'on' | 'off'
  profileDirectory?: string
}

export interface GroundReady {
  urls: Sandbox['urls']
  server: string
  serverPid: number | null
  logFile: string
  app: { appUid: string }
  stack: { apiKey: string; organizationUid: string; masterLocale: string }
  ada: CmsLogin
  filesDirectory: string
}

export type Question = { id: number } & (
  | { ask: 'sign'; count: number; entries: number }
  | { ask: 'writes'; contentType: string }
  | { ask: 'close' }
)

export interface SignedWebhooks {
  url: string
  headers: Record<string, string>
  webhooks: { body: string; signature: string }[]
}

export interface Writes {
  /** Requests that read content types or entries. */
  reads: number
  /** Write requests that the CMA answered so far, whatever it answered. */
  writes: number
  /** Of these with 429. */
  refused: number
  /** Milliseconds, of accepted writes. */
  acceptedAt: number[]
}

export interface Ground extends GroundReady {
  person: Person
  pages: StackPages
  connectionId: string
  sign(count: number, entries: number): Promise<SignedWebhooks>
  writes(contentType: string): Promise<Writes>
  control(path: string, json: unknown): Promise<void>
  /** Of the server's process so far; null where there is no /proc. */
  peakRssMiB(): Promise<number | null>
  close(): Promise<void>
}

/** Seconds until a ground that does not come up is given up. */
const patienceSeconds = 60

export async function openGround(
  options: Omit<GroundOptions, 'directory' | 'profileDirectory'> & { profileDirectory: string | undefined }
): Promise<Ground> {
  const directory = await mkdtemp(join(tmpdir(), 'quayside-bench-'))
  const given: GroundOptions = {
    directory,
    entries: options.entries,
    limits: options.limits,
    ...(options.profileDirectory === undefined ? {} : { profileDirectory: options.profileDirectory })
  }
  const host = await startHost(given)
  const { ready, ask, close } = host
  try {
    const { urls, server, app, stack, ada, serverPid } = ready
    const person = createPerson()
    const installationUid = await install(person, urls, ada, app.appUid, stack.organizationUid, stack.apiKey)
    const first = await openApp(person, urls, server, ada, installationUid)
    await giveGrant(person, urls, ada, app.appUid, stack.organizationUid, first)
    const pages = await openApp(person, urls, server, ada, installationUid)
    const { id } = await pages.connect({ connector: 'sql', name: 'Bench', settings: { system: 'sqlite', file: 'bench.db' }, secrets: {} })
    return {
      ...ready,
      person,
      pages,
      connectionId: id,
      sign: (count, entries) => ask<SignedWebhooks>({ ask: 'sign', count, entries }),
      writes: contentType => ask<Writes>({ ask: 'writes', contentType }),
      async control(path, json) {
        await person.ask(`${urls.control}${path}`, { method: 'POST', json })
      },
      peakRssMiB: () => peakRss(serverPid),
      close
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** The sync's run, ended well. Throws Error when it ended otherwise. */
export async function runOf(ground: Ground, sync: Sync, seconds: number): Promise<Run> {
  return await until(
    `the run of ${sync.name}`,
    async () => {
      const run = (await ground.pages.runs()).find(run => run.syncId === sync.id)
      if (!run || run.status === 'queued' || run.status === 'running') return null
      if (run.status !== 'success') throw new Error(`The run of ${sync.name} ended ${run.status}: ${run.error ?? 'no reason given'}`)
      return run
    },
    seconds
  )
}

type Ask = { ask: 'sign'; count: number; entries: number } | { ask: 'writes'; contentType: string } | { ask: 'close' }

async function startHost(
  options: GroundOptions
): Promise<{ ready: GroundReady; ask: <T>(question: Ask) => Promise<T>; close: () => Promise<void> }> {
  const child = fork(fileURLToPath(new URL('./ground.process.ts', import.meta.url)), [JSON.stringify(options)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    execArgv: []
  })
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  const start = Promise.withResolvers<GroundReady>()
  const gone = new Promise<void>(resolve => child.once('exit', () => resolve()))
  void gone.then(() => {
    const error = new Error('The process of the sandbox ended.')
    start.reject(error)
    for (const { reject } of waiting.values()) reject(error)
  })
  child.on('message', (message: { ready?: GroundReady; id?: number; value?: unknown; error?: string }) => {
    if (message.ready) return start.resolve(message.ready)
    const asked = waiting.get(message.id ?? -1)
    waiting.delete(message.id ?? -1)
    if (message.error === undefined) asked?.resolve(message.value)
    else asked?.reject(new Error(message.error))
  })
  let last = 0
  const ask = <T>(question: Ask): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      last += 1
      waiting.set(last, { resolve: value => resolve(value as T), reject })
      child.send({ ...question, id: last } satisfies Question)
    })
  const close = async () => {
    if (child.connected) child.disconnect()
    const insist = setTimeout(() => child.kill('SIGKILL'), 15_000)
    await gone
    clearTimeout(insist)
    await rm(options.directory, { recursive: true, force: true })
  }
  const late = setTimeout(() => start.reject(new Error(`The ground does not stand after ${patienceSeconds} s.`)), patienceSeconds * 1000)
  try {
    return { ready: await start.promise, ask, close }
  } catch (error) {
    await close()
    throw error
  } finally {
    clearTimeout(late)
  }
}

async function peakRss(pid: number | null): Promise<number | null> {
  try {
    const kibibytes = /^VmHWM:\s+(\d+) kB/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]
    return kibibytes === undefined ? null : Math.round(Number(kibibytes) / 1024)
  } catch {
    return null
  }
}
