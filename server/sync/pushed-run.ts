// The run of one pushed batch: its records go the way of those of a page, with the same links, intents and counters. Batches and runs
// of one sync go one after the other, in the order in which they came.
import type { Db } from '../database/database.ts'
import { finishWork, openWork, writePage } from './inbound.ts'
import { removeReported } from './inbound-gone.ts'
import type { Inbound, Turn } from './inbound-work.ts'
import type { PushedBatch } from './pushed.ts'
import type { RunRow } from './runs.ts'

/** Throws RunMoved; AppError as the stack does. The records are forgotten once they are carried; that they came is not. */
export async function runPushed(db: Db, inbound: Inbound, run: RunRow, until: number): Promise<Turn> {
  const row = await db.selectFrom('pushed_batch').selectAll().where('run_id', '=', run.id).executeTakeFirst()
  if (!row || row.body_json === '') return 'done'
  const { records, deleted } = JSON.parse(row.body_json) as PushedBatch
  const work = await openWork(inbound, run)
  if (!(await writePage(db, work, records, until))) return 'slice'
  const removed = await removeReported(db, work, deleted, until)
  if (removed === 'slice') return 'slice'
  const finished = await finishWork(db, work, false, until)
  if (finished === 'slice') return 'slice'
  await db.updateTable('pushed_batch').set({ body_json: '' }).where('id', '=', row.id).execute()
  return removed
}
