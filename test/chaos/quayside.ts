// Quayside in this process, put together by its own composition, with its worker in our hand: jobs run when a step says so, time
// passes when a step says so, and a death is the loss of its database and its doors in the middle of whatever it does. What it had
// on the wire then still lands, as with a process that was killed after it had sent.
import type { AddressInfo } from 'node:net'
import { createServer as createHttpServer, type Server } from 'node:http'
import { createDeps, type Deps } from '../../server/app/deps.ts'
import { allJobs, lookAfterWebhooks, scheduleHousekeeping } from '../../server/app/jobs.ts'
import { createServices } from '../../server/app/services.ts'
import type { Config, Secrets } from '../../server/config.ts'
import { type Database, openDatabase } from '../../server/database/database.ts'
import { migrate } from '../../server/database/migrate.ts'
import { createServer } from '../../server/http/server.ts'
import { claimOrganizations } from '../../server/installations/installation.ts'
import { createWorker, type Worker } from '../../server/jobs/worker.ts'
import type { Log } from '../../server/log.ts'
import { openVault } from '../../server/vault/vault.ts'

export interface Quayside {
  readonly deps: Deps
  /** Until nothing is due; waits of less than an hour are taken as over. Throws Error when it does not come to rest. */
  drain(): Promise<void>
  /** Begins to work and dies so many milliseconds later; resolves when it has come back. */
  crash(afterMs: number): Promise<void>
  /** Down in order, and up again. */
  restart(): Promise<void>
  close(): Promise<void>
}

interface Life {
  database: Database
  deps: Deps
  worker: Worker
  http: Server
  /** Jobs that run. */
  active: number
  /** Resolves when it has died. */
  gone: PromiseWithResolvers<void>
}

/** Real seconds until a drain that does not end is a finding. */
const patienceSeconds = 90

export async function openQuayside(config: Omit<Config, 'publicUrl' | 'port'>, secrets: Secrets, log: Log): Promise<Quayside> {
  const port = await freePort()
  const whole: Config = { ...config, port, publicUrl: `http://127.0.0.1:${port}` }
  let life = await begin(whole, secrets, log)

  async function die(): Promise<void> {
    const dead = life
    dead.http.closeAllConnections()
    dead.http.close()
    const closed = dead.database.close().catch(() => {})
    dead.gone.resolve()
    while (dead.active > 0) await pause(2)
    await closed
    void dead.worker.stop().catch(() => {})
  }

  return {
    get deps() {
      return life.deps
    },
    drain: () => restful(life.worker.drain({ until: Date.now() + 3_600_000 }), life),
    async crash(afterMs) {
      life.worker.drain({ until: Date.now() + 3_600_000 }).catch(() => {})
      await pause(afterMs)
      await die()
      life = await begin(whole, secrets, log)
    },
    async restart() {
      await end(life)
      life = await begin(whole, secrets, log)
    },
    close: () => end(life)
  }
}

async function begin(config: Config, secrets: Secrets, log: Log): Promise<Life> {
  const database = await openDatabase(config.databaseUrl)
  const { db } = database
  await migrate(database)
  await timePasses(database)
  await claimOrganizations(db, config.organizations)
  const vault = await openVault(db, { ring: secrets.keyRing })
  // Nothing of a dead process is on the wire any more: whoever comes back need not wait out its requests.
  const deps = { ...createDeps(config, secrets, database, vault, log), settleSeconds: 0 }
  await scheduleHousekeeping(deps)
  await lookAfterWebhooks(deps)
  const life: Life = {
    database,
    deps,
    active: 0,
    gone: Promise.withResolvers(),
    http: createHttpServer(createServer(createServices(deps))),
    worker: undefined as never
  }
  const kinds = allJobs(deps).map(kind => ({
    ...kind,
    async run(...given: Parameters<typeof kind.run>) {
      life.active += 1
      try {
        return await kind.run(...given)
      } finally {
        life.active -= 1
      }
    }
  }))
  life.worker = createWorker({ database, kinds, concurrency: 4, graceSeconds: 0, log })
  await new Promise<void>((resolve, reject) => {
    life.http.once('error', reject)
    life.http.listen(config.port, '127.0.0.1', resolve)
  })
  return life
}

async function end(life: Life): Promise<void> {
  life.http.closeAllConnections()
  await new Promise(resolve => life.http.close(resolve))
  await life.worker.stop()
  await life.database.close()
}

/** Enough of it that leases, claims and the doubt about requests of a dead process are over. */
async function timePasses({ db }: Database): Promise<void> {
  await db.updateTable('job').set({ lease_until: 0 }).where('state', '=', 'running').execute()
  await db.updateTable('link').set({ claim_until: 0 }).where('claim_until', 'is not', null).execute()
}

/** What was draining when its process died is over with it. */
async function restful(draining: Promise<number>, { deps, gone }: Life): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  draining.catch(() => {})
  const tooLong = new Promise<'late'>(resolve => (timer = setTimeout(() => resolve('late'), patienceSeconds * 1000)))
  const ended = await Promise.race([gone.promise, draining, tooLong])
  clearTimeout(timer)
  if (ended !== 'late') return
  const jobs = await deps.db.selectFrom('job').select(['kind', 'state', 'attempt', 'error']).where('finished_at', 'is', null).execute()
  throw new Error(`jobs do not come to rest in ${patienceSeconds} s: ${JSON.stringify(jobs.slice(0, 5))}`)
}

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

async function freePort(): Promise<number> {
  const probe = createHttpServer()
  await new Promise<void>(resolve => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address() as AddressInfo
  await new Promise(resolve => probe.close(resolve))
  return port
}
