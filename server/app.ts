// The composition root: config and secrets in, a running Quayside out. With app/ the only place that knows every room.
import type { AddressInfo } from 'node:net'
import { mkdir } from 'node:fs/promises'
import { createServer as createHttpServer, type Server } from 'node:http'
import { dirname } from 'node:path'
import { overtakenJob } from './app/dead-jobs.ts'
import { createDeps } from './app/deps.ts'
import { allJobs, lookAfterWebhooks, scheduleHousekeeping } from './app/jobs.ts'
import { createServices } from './app/services.ts'
import { keepVault } from './app/vault.ts'
import { anchorAudit } from './audit/anchors.ts'
import type { Config, Secrets } from './config.ts'
import { AppError } from './errors.ts'
import { closeConnectors } from './connectors/index.ts'
import { openDatabase } from './database/database.ts'
import { migrate } from './database/migrate.ts'
import { createServer } from './http/server.ts'
import { claimOrganizations } from './installations/installation.ts'
import { createWorker } from './jobs/worker.ts'
import type { Log } from './log.ts'
import { openVault } from './vault/vault.ts'

export interface App {
  /** Where it listens; '' for a worker. */
  url: string
  /** Runs everything that is due, for tests. Returns how many jobs ran. */
  drain(): Promise<number>
  /** Takes no more requests, lets jobs finish or gives them back, closes the database. */
  close(): Promise<void>
}

/** A run goes on where its checkpoint stands, so a server that goes down need not wait for it; short jobs are done by then. */
const stopGraceSeconds = 2

export interface AppOptions {
  /** False: jobs run only in drain(). */
  background?: boolean
}

/** Migrates the database. Throws AppError invalid for a port that is taken, upstream for a database that cannot be reached. */
export async function createApp(config: Config, secrets: Secrets, log: Log, { background = true }: AppOptions = {}): Promise<App> {
  await mkdir(config.filesDirectory, { recursive: true, mode: 0o700 })
  if (config.databaseUrl.startsWith('sqlite:'))
    await mkdir(dirname(config.databaseUrl.slice('sqlite:'.length)), { recursive: true, mode: 0o700 })
  const database = await openDatabase(config.databaseUrl)
  try {
    await migrate(database)
    await claimOrganizations(database.db, config.organizations)
    const vault = await openVault(database.db, { ring: secrets.keyRing, ...(secrets.reloadKeyRing && { reload: secrets.reloadKeyRing }) })
    const deps = createDeps(config, secrets, database, vault, log)
    const vaultKept = keepVault(deps)
    await anchorAudit(deps.db, deps.anchors, log)
    await scheduleHousekeeping(deps)
    await lookAfterWebhooks(deps)
    const worker = createWorker({
      database,
      kinds: allJobs(deps),
      concurrency: config.workers,
      graceSeconds: stopGraceSeconds,
      onOvertaken: overtakenJob(deps),
      log
    })
    const http = config.role === 'worker' ? null : await listen(createServer(createServices(deps)), config)
    if (background && config.role !== 'http') worker.start()
    return {
      url: http === null ? '' : `http://${config.host}:${(http.address() as AddressInfo).port}`,
      drain: () => worker.drain(),
      async close() {
        if (http !== null) await closeServer(http)
        await worker.stop()
        await vaultKept.stop()
        await closeConnectors()
        deps.expressions.close()
        await database.close()
      }
    }
  } catch (error) {
    await database.close()
    throw error
  }
}

async function listen(handler: ReturnType<typeof createServer>, { host, port }: Config): Promise<Server> {
  // A stranger who sends slowly is let go; a script's upload through the gateway may take its two minutes.
  const http = createHttpServer({ headersTimeout: 15_000, requestTimeout: 120_000, keepAliveTimeout: 65_000 }, handler)
  await new Promise<void>((resolve, reject) => {
    http.once('error', reject)
    http.listen(port, host, resolve)
  }).catch((cause: NodeJS.ErrnoException) => {
    throw new AppError('invalid', `Quayside cannot listen on ${host}:${port}: ${cause.code ?? 'unknown'}.`, {
      cause,
      remedy: 'Set QUAYSIDE_PORT to a free port.'
    })
  })
  return http
}

function closeServer(http: Server): Promise<void> {
  const insist = setTimeout(() => http.closeAllConnections(), 3_000)
  http.closeIdleConnections()
  return new Promise(resolve => {
    http.close(() => {
      clearTimeout(insist)
      resolve()
    })
  })
}
