// The brake on what a sync takes away by itself: by count and by share, over a rolling window, so that many small runs cannot pass
// what one large one may not. The one place that decides it.
import type { Db } from '../database/database.ts'
import { deletesAllowed } from './plan.ts'
import type { SyncRow } from './sync.ts'

const windowHours = 24

/** `wanted` more to go now. null: they may. Otherwise what to tell a person; nothing may go then. */
export async function removalBrake(db: Db, sync: SyncRow, wanted: number): Promise<string | null> {
  if (wanted === 0) return null
  const ofSync = db
    .selectFrom('link')
    .select(eb => eb.fn.countAll<number>().as('count'))
    .where('sync_id', '=', sync.id)
  const linked = (await ofSync.where('status', '!=', 'deleted').executeTakeFirst())?.count ?? 0
  const since = Date.now() - windowHours * 3_600_000
  const gone = (await ofSync.where('status', '=', 'deleted').where('synced_at', '>=', since).executeTakeFirst())?.count ?? 0
  if (wanted + gone <= deletesAllowed(linked + gone)) return null
  const before = gone > 0 ? `, after ${gone} in the last ${windowHours} hours` : ''
  return `${wanted} of ${linked} records are gone from the source${before}: more than a run takes away by itself. Their entries were left as they are: check that the source is whole.`
}
