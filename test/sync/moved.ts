// A move between two servers, for the tests of both ends: another Quayside on a database of its own, what was exported, and its way
// into the other.
import type { Database, Db } from '../../server/database/database.ts'
import { stackFor } from '../../server/installations/credentials.ts'
import type { Installation } from '../../server/installations/installation.ts'
import { createWorker } from '../../server/jobs/worker.ts'
import { silentLog } from '../../server/log.ts'
import { beginExport, type ExportHead, type ExportLine, exportPage } from '../../server/sync/export.ts'
import { finishImport, importLines } from '../../server/sync/import.ts'
import { type SyncJobDeps, syncJobs } from '../../server/sync/work.ts'
import { connectBlog, credentialDeps } from '../support/connected.ts'
import { person, type Stage } from './stage.ts'

export interface Exported {
  head: ExportHead
  lines: ExportLine[]
}

/** With a key of its own, connected to the same stack; it opens files in the same directory. */
export interface Server {
  db: Db
  deps: SyncJobDeps
  installation: Installation
  drain(): Promise<void>
}

export async function otherServer(stage: Stage, database: Database): Promise<Server> {
  const { db } = database
  const credentials = await credentialDeps(stage.sandbox, database)
  const { installation } = await connectBlog(stage.sandbox, database, credentials)
  const { vault } = credentials
  const deps: SyncJobDeps = { ...stage.deps, database, vault, stackFor: (id, use) => stackFor(db, credentials, id, use) }
  return {
    db,
    deps,
    installation,
    async drain() {
      const worker = createWorker({ database, kinds: syncJobs(deps), concurrency: 4, log: silentLog, graceSeconds: 0 })
      await worker.drain({ until: Date.now() + 3_600_000 })
      await worker.stop()
    }
  }
}

export async function exported({ db, deps }: Stage, installation: Installation): Promise<Exported> {
  const head = await beginExport(db, deps, { installation, actor: person })
  const lines: ExportLine[] = []
  for (let after: string | null = null; ; ) {
    const page = await exportPage(db, installation, after)
    lines.push(...page.lines)
    if (page.next === null) return { head, lines }
    after = page.next
  }
}

/** How many lines were new. */
export function send({ db, deps, installation }: Omit<Server, 'drain'>, { head, lines }: Exported): Promise<number> {
  return importLines(db, deps, { installation, actor: person, head, lines })
}

export function finish({ db, deps, installation }: Server, { head, lines }: Exported): Promise<void> {
  return finishImport(db, deps, { installation, actor: person, head, counts: countsOf(lines) })
}

export function countsOf(lines: readonly ExportLine[]): { connections: number; syncs: number; links: number } {
  const count = (...kinds: ExportLine['kind'][]) => lines.filter(({ kind }) => kinds.includes(kind)).length
  return { connections: count('connection'), syncs: count('outbound', 'inbound'), links: count('link') }
}

/** Every row that an import could touch. */
export async function everything(db: Db): Promise<string> {
  const rows = []
  for (const table of ['connection', 'sync', 'link', 'schedule', 'audit_event', 'job'] as const) {
    rows.push(
      await db
        .selectFrom(table as 'sync')
        .selectAll()
        .execute()
    )
  }
  return JSON.stringify(rows)
}
