// The job that carries a changed entry's news upwards: every row that embeds it is looked at by a record job of its own. A job, since
// an entry may be embedded in very many.
import type { Database } from '../database/database.ts'
import type { JobKind } from '../jobs/job.ts'
import { rootsAbove } from './edges.ts'
import { enqueueRecords, type ParentsJob, parentsJobKind } from './record-jobs.ts'

const rowsPerTransaction = 200

export function parentsJob(deps: { database: Pick<Database, 'db'> }): JobKind<ParentsJob> {
  return {
    kind: parentsJobKind,
    lane: 'live',
    maxAttempts: 12,
    timeoutSeconds: 120,
    async run({ cause, ...child }) {
      const { db } = deps.database
      for (const [linkSetId, roots] of await rootsAbove(db, child)) {
        const sync = await db
          .selectFrom('sync')
          .selectAll()
          .where('link_set_id', '=', linkSetId)
          .where('direction', '=', 'outbound')
          .where('state', '=', 'active')
          .executeTakeFirst()
        // Paused: its resuming begins a run, which looks at everything.
        if (!sync) continue
        for (let from = 0; from < roots.length; from += rowsPerTransaction) {
          const part = roots.slice(from, from + rowsPerTransaction)
          await db.transaction().execute(trx => enqueueRecords(trx, sync, part, { lane: 'live', cause }))
        }
      }
    }
  }
}
