// A stage for the engine: the sandbox's blog connected on one database, a connection to a database file, and a worker over the
// real jobs. People of the CMS act over HTTP; what landed is read with the destination's own driver.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import type { Sandbox, SandboxOptions } from '../../sandbox/sandbox.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { ada } from '../../sandbox/world/people.ts'
import type { Actor } from '../../server/audit/audit.ts'
import type { Database, Db } from '../../server/database/database.ts'
import type { Row } from '../../server/database/schema.ts'
import { type CredentialDeps, stackFor } from '../../server/installations/credentials.ts'
import { createWorker, type Worker, type WorkerOptions } from '../../server/jobs/worker.ts'
import { silentLog } from '../../server/log.ts'
import { createConnection } from '../../server/sync/connections.ts'
import { createSyncs, type SyncInput } from '../../server/sync/create.ts'
import { createExpressions } from '../../server/sync/expressions.ts'
import { createGuard } from '../../server/sync/guard.ts'
import type { RunRow } from '../../server/sync/runs.ts'
import type { SyncRow } from '../../server/sync/sync.ts'
import { planJobs } from '../../server/sync/plan-jobs.ts'
import { type SyncJobDeps, syncJobs } from '../../server/sync/work.ts'
import { type Connected, connectBlog, credentialDeps } from '../support/connected.ts'
import { ask, logIn, type Reply, startSandbox } from '../support/sandbox.ts'

export const person: Actor = { kind: 'admin', id: 'ada', name: 'Ada Admin' }

export interface Stage extends Connected {
  sandbox: Sandbox
  database: Database
  db: Db
  deps: SyncJobDeps
  credentials: CredentialDeps
  connection: Row<'connection'>
  /** Under the directory of file targets. */
  file: string
  worker(options?: Partial<WorkerOptions>, deps?: Partial<SyncJobDeps>): Worker
  /** Until nothing is due; waits of less than an hour are taken as over. */
  drain(): Promise<void>
  create(sync: Partial<SyncInput>): Promise<SyncRow[]>
  /** The content type's initial sync, drained. */
  createOne(sync: Partial<SyncInput>): Promise<SyncRow>
  lastRun(sync: SyncRow): Promise<RunRow>
  /** Rows of a table in the file, by key. */
  rows(table: string): Map<string, Record<string, unknown>>
  sql(statement: string, ...parameters: unknown[]): void
  /** A person in the CMS. */
  cms<T = { entry: { uid: string; _version: number } }>(method: string, path: string, body?: unknown): Promise<Reply<T>>
  /** Entries of the stack in their own locale, by `uid:locale`. */
  entries(contentType: string): Set<string>
  cleanUp(): Promise<void>
}

export async function openStage(database: Database, options: SandboxOptions = {}): Promise<Stage> {
  const { db } = database
  // Limits that slow nothing down and say so in their headers: our own budget follows those.
  const sandbox = await startSandbox({ limits: { read: 100_000, write: 100_000, bulk: 100_000 }, ...options })
  const folder = await mkdtemp(join(tmpdir(), 'quayside-sync-'))
  const credentials = await credentialDeps(sandbox, database)
  const connected = await connectBlog(sandbox, database, credentials)
  const { installation } = connected
  const deps: SyncJobDeps = {
    database,
    vault: credentials.vault,
    expressions: createExpressions({ recordSeconds: 1 }),
    guard: createGuard({ filesDirectory: folder, privateHosts: ['127.0.0.1'] }),
    stackFor: (id, use) => stackFor(db, credentials, id, use),
    settleSeconds: 0
  }
  const connection = await createConnection(db, deps, {
    installation,
    actor: person,
    connection: { connector: 'sql', name: 'Warehouse', settings: { system: 'sqlite', file: 'out.db' }, secrets: {} }
  })
  const file = join(folder, 'out.db')
  const workers: Worker[] = []
  const headers = { ...(await logIn(sandbox, ada)), api_key: blogApiKey }

  const stage: Stage = {
    ...connected,
    sandbox,
    database,
    db,
    deps,
    credentials,
    connection,
    file,
    worker(workerOptions = {}, given = {}) {
      const worker = createWorker({
        database,
        kinds: [...syncJobs({ ...deps, ...given }), ...planJobs({ ...deps, ...given })],
        concurrency: 4,
        log: silentLog,
        graceSeconds: 0,
        ...workerOptions
      })
      workers.push(worker)
      return worker
    },
    async drain() {
      const worker = stage.worker()
      await worker.drain({ until: Date.now() + 3_600_000 })
      await worker.stop()
    },
    create: sync =>
      createSyncs(db, deps, {
        installation,
        actor: person,
        sync: { direction: 'outbound', connectionId: connection.id, contentTypes: ['article'], target: '', ...sync }
      }),
    async createOne(sync) {
      const [row] = await stage.create(sync)
      await stage.drain()
      return row!
    },
    lastRun: sync =>
      db.selectFrom('run').selectAll().where('sync_id', '=', sync.id).orderBy('id', 'desc').limit(1).executeTakeFirstOrThrow(),
    rows(table) {
      const out = new Sqlite(file, { readonly: true })
      try {
        return new Map((out.prepare(`select * from "${table}"`).all() as Record<string, unknown>[]).map(row => [String(row['_key']), row]))
      } finally {
        out.close()
      }
    },
    sql(statement, ...parameters) {
      const out = new Sqlite(file)
      try {
        if (parameters.length > 0) out.prepare(statement).run(...parameters)
        else out.exec(statement)
      } finally {
        out.close()
      }
    },
    cms: (method, path, body) =>
      ask(`${sandbox.urls.contentManagement}/v3${path}`, { method, headers, ...(body === undefined ? {} : { body }) }),
    entries(contentType) {
      const entries = Object.values(sandbox.world.stacks[blogApiKey]?.entries['main']?.[contentType] ?? {})
      return new Set(entries.flatMap(entry => Object.keys(entry.locales).map(locale => `${entry.uid}:${locale}`)))
    },
    async cleanUp() {
      for (const worker of workers) await worker.stop()
      deps.expressions.close()
      await sandbox.close()
      await rm(folder, { recursive: true, force: true })
    }
  }
  return stage
}

/** Enough entries for several pages, planted straight into the world. */
export function plantAuthors(sandbox: Sandbox, count: number): void {
  const authors = (sandbox.world.stacks[blogApiKey]!.entries['main']!['author'] ??= {})
  for (let index = 0; index < count; index++) {
    const uid = `bltf${String((index * 7919) % count).padStart(8, '0')}${String(index).padStart(7, '0')}`
    const at = new Date(Date.UTC(2025, 0, 1) + index * 1000).toISOString()
    authors[uid] = {
      uid,
      contentType: 'author',
      createdAt: at,
      createdBy: 'test',
      locales: {
        'en-us': {
          createdAt: at,
          versions: [{ version: 1, fields: { title: `Author ${index}`, email: `a${index}@x.example` }, updatedAt: at, updatedBy: 'test' }]
        }
      },
      publishDetails: []
    }
  }
}
