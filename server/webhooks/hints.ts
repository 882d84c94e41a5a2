// What the deliveries of late announce of a record, for whoever reads it: a webhook may come before the read that follows it shows
// the change. Read when it is needed and not carried by jobs, because of jobs that wait for one record the first one stays while the
// newest announcement counts.
import type { Db } from '../database/database.ts'
import { type Hint, hintSeconds } from '../sync/hint.ts'

export interface HintOf {
  installationId: string
  branch: string
  entryUid: string
  locale: string
}

/** The newest announcement that still says something; null when there is none. */
export async function latestHint(db: Db, of: HintOf, now = Date.now()): Promise<Hint | null> {
  const rows = await db
    .selectFrom('delivery')
    .select(['event', 'version', 'received_at'])
    .where('installation_id', '=', of.installationId)
    .where('object_uid', '=', of.entryUid)
    .where('received_at', '>', now - hintSeconds * 1000)
    .where('module', '=', 'entry')
    .where('branch', '=', of.branch)
    .where(eb => eb.or([eb('locale', '=', of.locale), eb('locale', 'is', null)]))
    .where('version', 'is not', null)
    .execute()
  const hints = rows.map(row => ({ version: row.version ?? 0, gone: row.event === 'delete', heardAt: row.received_at }))
  // A deletion carries the version that it ended.
  return hints.reduce<Hint | null>((best, hint) => (best === null || newer(hint, best) ? hint : best), null)
}

const newer = (hint: Hint, other: Hint): boolean => hint.version > other.version || (hint.version === other.version && hint.gone)
