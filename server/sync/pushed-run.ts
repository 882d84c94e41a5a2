// The run of one pushed batch: its records go the way of those of a page, with the same links, intents and counters. Batches and runs
// of one sync go one after the other, in the order in which they came.
import type { Db } from '../database/database.ts'
import { finishWork, openWork, writePage } from './inbound.ts'
import { removeReported } from './inbound-gone.ts'
import type { Inbound, Turn, Work } from './inbound-work.ts'
import type { PushedBatch } from './pushed.ts'
import { advanceRun, noCounters, type RunRow } from './runs.ts'

/** Throws RunMoved; AppError as the stack does. The records are forgotten once they are carried; that they came is not. */
export async function runPushed(db: Db, inbound: Inbound, run: RunRow, until: number): Promise<Turn> {
  const row = await db.selectFrom('pushed_batch').selectAll().where('run_id', '=', run.id).executeTakeFirst()
  if (!row || row.body_json === '') return 'done'
  const { records, deleted } = JSON.parse(row.body_json) as PushedBatch
  const work = await openWork(inbound, run)
  if (!(await writePage(db, work, records, until))) return 'slice'
  const removed = await removeReported(db, work, deleted, until)
  if (removed === 'slice') return 'slice'
  if (removed !== 'done') await park(db, work, deleted, removed.needsPerson)
  const finished = await finishWork(db, work, false, until)
  if (finished === 'slice') return 'slice'
  await db.updateTable('pushed_batch').set({ body_json: '' }).where('id', '=', row.id).execute()
  return removed
}

/** Nobody tells of them again, so each says why it still has an entry. */
async function park(db: Db, { sync, run }: Work, keys: readonly string[], words: string): Promise<void> {
  await db.transaction().execute(async trx => {
    const parked = await trx
      .updateTable('link')
      .set({ status: 'failed', error: `Reported as gone. ${words}`, last_run_id: run.id, updated_at: Date.now() })
      .where('sync_id', '=', sync.id)
      .where('branch', '=', sync.branch)
      .where('external_id', 'in', [...keys])
      .where('status', '!=', 'deleted')
      .where(eb => eb.or([eb('last_run_id', 'is', null), eb('last_run_id', '!=', run.id)]))
      .executeTakeFirst()
    await advanceRun(trx, run, { ...noCounters(), failed: Number(parked.numUpdatedRows) })
  })
}
