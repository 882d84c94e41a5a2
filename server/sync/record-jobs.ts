// What makes a record move: a webhook, a person's "Sync now", or a run that found somebody else at it. Jobs carry ids, never
// payloads; of one entry they go one after the other, and several that wait for the same thing are one.
import type { Db } from '../database/database.ts'
import { enqueueMany } from '../jobs/queue.ts'
import { installationById } from '../installations/installation.ts'
import { localesOf, type SyncRow } from './sync.ts'

export const recordJobKind = 'sync.record'
/** With the queue's growing pauses: about an hour and a half. */
export const recordAttempts = 12

export interface RecordJob {
  syncId: string
  entryUid: string
  locale: string
  /** 'run run_…', 'webhook dlv_…', 'person Ada …' */
  cause: string
  /** Write even what is unchanged. */
  force?: boolean
}

/** Jobs of one entry go in order: (link set, record). */
export const recordKey = (sync: Pick<SyncRow, 'link_set_id'>, entryUid: string): string => `${sync.link_set_id}:${entryUid}`

/**
 * One job per active outbound sync that cares; returns how many syncs were woken. In the caller's transaction.
 * `locale` null (an entry gone altogether) or the master's concerns every locale that the entry is linked in:
 * fields that are not localized follow the master, and fallbacks come and go with it.
 */
export async function syncJobsForRecord(
  trx: Db,
  record: { installationId: string; contentType: string; entryUid: string; locale: string | null; branch: string; cause: string }
): Promise<number> {
  return await wake(trx, record, { lane: 'live', cause: record.cause })
}

/** The same at once and for good: a person asks, so even what looks unchanged is written again. */
export async function syncNow(
  trx: Db,
  record: { installationId: string; contentType: string; entryUid: string; locale: string; branch: string; personName: string }
): Promise<number> {
  return await wake(trx, record, { lane: 'people', cause: `person ${record.personName}`, force: true })
}

export async function enqueueRecords(
  trx: Db,
  sync: SyncRow,
  records: readonly { entryUid: string; locale: string }[],
  how: { lane: 'people' | 'live' | 'backfill'; cause: string; force?: boolean }
): Promise<void> {
  if (records.length === 0) return
  await enqueueMany(
    trx,
    records.map(({ entryUid, locale }) => ({
      kind: recordJobKind,
      lane: how.lane,
      payload: { syncId: sync.id, entryUid, locale, cause: how.cause, ...(how.force ? { force: true } : {}) } satisfies RecordJob,
      key: recordKey(sync, entryUid),
      group: sync.installation_id,
      maxAttempts: recordAttempts,
      // A person's wish is not swallowed by a webhook's job that would skip what is unchanged.
      uniqueKey: `${sync.id}:${entryUid}:${locale}${how.force ? ':now' : ''}`
    }))
  )
}

async function wake(
  trx: Db,
  record: { installationId: string; contentType: string; entryUid: string; locale: string | null; branch: string },
  how: { lane: 'people' | 'live'; cause: string; force?: boolean }
): Promise<number> {
  const syncs = await trx
    .selectFrom('sync')
    .selectAll()
    .where('installation_id', '=', record.installationId)
    .where('content_type', '=', record.contentType)
    .where('branch', '=', record.branch)
    .where('direction', '=', 'outbound')
    .where('state', '=', 'active')
    .execute()
  if (syncs.length === 0) return 0
  const master = (await installationById(trx, record.installationId)).master_locale
  let woken = 0
  for (const sync of syncs) {
    const scope = localesOf(sync)
    const locales = new Set(record.locale === null ? [] : [record.locale])
    if (record.locale === null || record.locale === master || master === '') {
      for (const locale of await linkedLocales(trx, sync, record.entryUid)) locales.add(locale)
    }
    const wanted = [...locales].filter(locale => scope.length === 0 || scope.includes(locale))
    await enqueueRecords(
      trx,
      sync,
      wanted.map(locale => ({ entryUid: record.entryUid, locale })),
      how
    )
    if (wanted.length > 0) woken += 1
  }
  return woken
}

async function linkedLocales(trx: Db, sync: SyncRow, entryUid: string): Promise<string[]> {
  const links = await trx
    .selectFrom('link')
    .select('locale')
    .where('link_set_id', '=', sync.link_set_id)
    .where('branch', '=', sync.branch)
    .where('entry_uid', '=', entryUid)
    .where('status', '!=', 'deleted')
    .execute()
  return links.map(({ locale }) => locale)
}
