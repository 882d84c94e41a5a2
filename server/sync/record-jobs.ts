// What makes a record move: a webhook, a person's "Sync now", or a run that found somebody else at it. Jobs carry ids, never
// payloads; of one entry they go one after the other, and several that wait for the same thing are one.
import type { Db } from '../database/database.ts'
import { installationById } from '../installations/installation.ts'
import type { NewJob } from '../jobs/job.ts'
import { enqueueMany } from '../jobs/queue.ts'
import { assetsUid } from './assets-out.ts'
import { countEmbedding } from './edges.ts'
import { localesOf, type SyncRow } from './sync.ts'

export const recordJobKind = 'sync.record'
/** With the queue's growing pauses: about an hour and a half. */
export const recordAttempts = 12

export const parentsJobKind = 'sync.parents'

/** Rows that embed this entry are to be looked at: parents.ts. */
export interface ParentsJob {
  installationId: string
  branch: string
  entryUid: string
  cause: string
}

export interface RecordJob {
  syncId: string
  entryUid: string
  locale: string
  /** 'run run_…', 'webhook dlv_…', 'person Ada …' */
  cause: string
  /** Write even what is unchanged. */
  force?: boolean
  /** Where its requests to the stack queue; people's for what is forced, else live. */
  lane?: 'backfill'
}

/** Jobs of one entry go in order: (link set, record). */
export const recordKey = (sync: Pick<SyncRow, 'link_set_id'>, entryUid: string): string => `${sync.link_set_id}:${entryUid}`

export interface ChangedRecord {
  installationId: string
  contentType: string
  entryUid: string
  /** null: in all locales. */
  locale: string | null
  branch: string
  cause: string
}

/**
 * One job per active outbound sync that cares, and one for those whose rows embed the entry; returns how many syncs were woken. In the caller's transaction.
 * `locale` null (an entry gone altogether) or the master's concerns every locale that the entry is linked in:
 * fields that are not localized follow the master, and fallbacks come and go with it.
 */
export async function syncJobsForRecord(trx: Db, record: ChangedRecord): Promise<number> {
  return (await syncJobsForRecords(trx, [record]))?.[0] ?? 0
}

/** The same for many, put in at once: keys are locked in one order. The count for each; null, with nothing done, for more jobs than that. */
export async function syncJobsForRecords(
  trx: Db,
  records: readonly ChangedRecord[],
  mostJobs = Number.POSITIVE_INFINITY
): Promise<number[] | null> {
  const syncsOf = remembered(
    (record: ChangedRecord) => `${record.installationId} ${record.branch} ${record.contentType}`,
    record => listeners(trx, record)
  )
  const masterOf = remembered(
    (id: string) => id,
    async id => (await installationById(trx, id)).master_locale
  )
  const changes: Change[] = []
  for (const record of records) {
    const syncs = await syncsOf(record)
    changes.push({ record, syncs, master: syncs.length === 0 ? '' : await masterOf(record.installationId) })
  }
  const jobs = await recordJobs(trx, changes, ({ cause }) => ({ lane: 'live', cause }))
  const embedding = await countEmbedding(trx, records)
  const upwards = records.filter((_, index) => embedding[index]! > 0).map(parentsJobOf)
  const all = [...jobs.flat(2), ...upwards]
  if (all.length > mostJobs) return null
  await enqueueMany(trx, all)
  return jobs.map((found, index) => found.filter(ofSync => ofSync.length > 0).length + embedding[index]!)
}

interface Change<R = ChangedRecord> {
  record: R
  syncs: readonly SyncRow[]
  master: string
}

function parentsJobOf({ installationId, branch, entryUid, cause }: ChangedRecord): NewJob {
  return {
    kind: parentsJobKind,
    lane: 'live',
    payload: { installationId, branch, entryUid, cause } satisfies ParentsJob,
    group: installationId,
    maxAttempts: recordAttempts,
    uniqueKey: `${installationId}:${branch}:${entryUid}`
  }
}

function remembered<In, Out>(keyOf: (input: In) => string, find: (input: In) => Promise<Out>): (input: In) => Promise<Out> {
  const known = new Map<string, Promise<Out>>()
  return async input => {
    const key = keyOf(input)
    const found = known.get(key) ?? find(input)
    known.set(key, found)
    return await found
  }
}

/** The same at once and for good: a person asks, so even what looks unchanged is written again. */
export async function syncNow(
  trx: Db,
  record: { installationId: string; contentType: string; entryUid: string; locale: string; branch: string; personName: string }
): Promise<number> {
  const syncs = await listeners(trx, record)
  if (syncs.length === 0) return 0
  const master = (await installationById(trx, record.installationId)).master_locale
  const [found = []] = await recordJobs(trx, [{ record, syncs, master }], ({ personName }) => ({
    lane: 'people',
    cause: `person ${personName}`,
    force: true
  }))
  await enqueueMany(trx, found.flat())
  return found.filter(ofSync => ofSync.length > 0).length
}

interface How {
  lane: 'people' | 'live' | 'backfill'
  cause: string
  force?: boolean
}

export async function enqueueRecords(
  trx: Db,
  sync: SyncRow,
  records: readonly { entryUid: string; locale: string }[],
  how: How
): Promise<void> {
  await enqueueMany(
    trx,
    records.map(record => recordJob(sync, record, how))
  )
}

function recordJob(sync: SyncRow, { entryUid, locale }: { entryUid: string; locale: string }, how: How): NewJob {
  return {
    kind: recordJobKind,
    lane: how.lane,
    payload: {
      syncId: sync.id,
      entryUid,
      locale,
      cause: how.cause,
      ...(how.force ? { force: true } : {}),
      ...(how.force && how.lane === 'backfill' ? { lane: 'backfill' as const } : {})
    } satisfies RecordJob,
    key: recordKey(sync, entryUid),
    group: sync.installation_id,
    maxAttempts: recordAttempts,
    // A person's wish is not swallowed by a webhook's job that would skip what is unchanged.
    uniqueKey: `${sync.id}:${entryUid}:${locale}${how.force ? ':now' : ''}`
  }
}

async function listeners(trx: Db, record: { installationId: string; contentType: string; branch: string }): Promise<SyncRow[]> {
  return await trx
    .selectFrom('sync')
    .selectAll()
    .where('installation_id', '=', record.installationId)
    .where('content_type', '=', record.contentType)
    .where('branch', '=', record.branch)
    .where('direction', '=', 'outbound')
    .where('state', '=', 'active')
    .execute()
}

/** Per change and sync, the jobs that it means. */
async function recordJobs<R extends { entryUid: string; locale: string | null }>(
  trx: Db,
  changes: readonly Change<R>[],
  how: (record: R) => How
): Promise<NewJob[][][]> {
  const everywhere = ({ record: { locale }, master }: Change<R>) => locale === null || locale === master || master === ''
  const linked = await linkedLocales(
    trx,
    changes.filter(everywhere).flatMap(({ syncs, record: { entryUid } }) => syncs.map(sync => ({ sync, entryUid })))
  )
  return changes.map(change => {
    const { record, syncs } = change
    return syncs.map(sync => {
      const scope = localesOf(sync)
      const locales = new Set(record.locale === null ? [] : [record.locale])
      if (everywhere(change)) {
        for (const locale of linked(sync, record.entryUid)) locales.add(locale)
        // Assets are the same in every locale, so a new one has a row in each that was chosen.
        if (sync.content_type === assetsUid) for (const locale of scope) locales.add(locale)
      }
      const wanted = [...locales].filter(locale => scope.length === 0 || scope.includes(locale))
      return wanted.map(locale => recordJob(sync, { entryUid: record.entryUid, locale }, how(record)))
    })
  })
}

async function linkedLocales(
  trx: Db,
  asked: readonly { sync: SyncRow; entryUid: string }[]
): Promise<(sync: SyncRow, entryUid: string) => string[]> {
  const found = new Map<string, string[]>()
  const nameOf = (sync: SyncRow, entryUid: string) => `${sync.id} ${entryUid}`
  for (const ofSync of Map.groupBy(asked, ({ sync }) => sync.id).values()) {
    const { sync } = ofSync[0]!
    const links = await trx
      .selectFrom('link')
      .select(['entry_uid', 'locale'])
      .where('link_set_id', '=', sync.link_set_id)
      .where('branch', '=', sync.branch)
      .where('entry_uid', 'in', [...new Set(ofSync.map(({ entryUid }) => entryUid))])
      .where('status', '!=', 'deleted')
      .execute()
    for (const { entry_uid: entryUid, locale } of links) {
      if (entryUid === null) continue
      const known = found.get(nameOf(sync, entryUid))
      if (known) known.push(locale)
      else found.set(nameOf(sync, entryUid), [locale])
    }
  }
  return (sync, entryUid) => found.get(nameOf(sync, entryUid)) ?? []
}
