// The brake: how many records may be deleted before a person is asked. One decision for runs, live changes and both directions,
// over the last 24 hours, so that a storm of small deletes stops where one large delete would. Pure but for one count.
import { databaseNow } from '../database/clock.ts'
import type { Db } from '../database/database.ts'
import { deletesAllowed } from './plan.ts'
import type { SyncRow } from './sync.ts'

const windowMilliseconds = 24 * 3_600_000

export interface Deletes {
  /** Records that stand linked now. */
  linked: number
  /** Deleted within the window without a person's word. */
  recent: number
  wanted: number
  /** How many records the listing held from which the deletes follow; left out when each was asked for by itself. */
  listed?: number
}

/** null: go on. Else why a person is asked. */
export function brake({ linked, recent, wanted, listed }: Deletes): string | null {
  if (wanted === 0) return null
  if (listed === 0) return `The listing came back empty while ${linked} records are linked. An empty listing is not believed.`
  if (wanted <= allowance({ linked, recent })) return null
  const before = recent > 0 ? `, after ${recent} within a day` : ''
  return `${wanted} of ${linked} records would be deleted${before}, which is more than a sync deletes by itself.`
}

/** How many more may go. The share is of what stood at the window's beginning. */
export function allowance({ linked, recent }: Pick<Deletes, 'linked' | 'recent'>): number {
  return Math.max(0, deletesAllowed(linked + recent) - recent)
}

/** What brake() needs to know of a sync. Linked records are counted only where the smallest allowance would not do. */
export async function deletesOf(db: Db, sync: SyncRow, wanted: number): Promise<Deletes> {
  const since = (await databaseNow(db)) - windowMilliseconds
  const gone = await db
    .selectFrom('run_record')
    .select(eb => eb.fn.countAll<number>().as('count'))
    .where('sync_id', '=', sync.id)
    .where('outcome', '=', 'deleted')
    .where('approved', '=', 0)
    .where('at', '>', since)
    .executeTakeFirst()
  const recent = gone?.count ?? 0
  if (wanted <= allowance({ linked: 0, recent })) return { linked: 0, recent, wanted }
  return { linked: await linkedRecords(db, sync), recent, wanted }
}

export async function linkedRecords(db: Db, sync: SyncRow): Promise<number> {
  const row = await db
    .selectFrom('link')
    .select(eb => eb.fn.countAll<number>().as('count'))
    .where('link_set_id', '=', sync.link_set_id)
    .where('branch', '=', sync.branch)
    .where('status', '!=', 'deleted')
    .executeTakeFirst()
  return row?.count ?? 0
}
