// One record into one entry. Before each write an intent commits; whatever happens then, the entry is found again by the unique
// field that holds the record's key, so that no record ever gets two entries. A refusal stops its record alone.
import { isOutcomeUnknown } from '../contentstack/cma.ts'
import { cmaErrorOf } from '../contentstack/refusal.ts'
import type { Entry } from '../contentstack/stack.ts'
import type { Db } from '../database/database.ts'
import type { Row } from '../database/schema.ts'
import { AppError, isAppError } from '../errors.ts'
import { withAssets } from './assets-in.ts'
import { compute } from './computed.ts'
import { findByKey } from './inbound-find.ts'
import { conflictOf, recordInbound, type Told } from './inbound-log.ts'
import { dueAfter, update } from './inbound-update.ts'
import { type Item, refusalWords, type Work } from './inbound-work.ts'
import { dropIntent, intend, withdrawIntent } from './intents.ts'
import { type EntryFields, holds, projectionHash, recordFields, recordInput } from './inward.ts'
import { keepLink } from './links.ts'
import { keepPending, type Waiting, waitingWords, waitsForMaster, withReferences } from './references.ts'
import { advanceRun, type Counters, noCounters } from './runs.ts'

export type Written = { entry: Entry; fields: EntryFields; wrote: boolean; conflict?: string; waiting: Waiting[] } | Refused

/** `waiting`: refused because of records that are not there yet. */
interface Refused {
  error: string
  waiting?: Waiting[]
}

type Landed = Pick<Exclude<Written, Refused>, 'entry' | 'wrote' | 'conflict'>

/** `found`: the entry that already holds the key, where it was looked up. Throws what concerns more than this record. */
export async function writeRecord(
  db: Db,
  work: Work,
  item: Item,
  found: Entry | null,
  intent: Row<'intent'> | undefined
): Promise<Written> {
  const { contentType } = work
  if (item.masterUid === '') {
    const error = `Waits for the record "${item.key}" in ${work.locale}, whose entry it localizes.`
    return { error, waiting: work.options.cursorColumn ? [] : waitsForMaster(item.key) }
  }
  try {
    const { waiting, blocked, ...referring } = await withReferences(db, work, item)
    // Behind a cursor the source would not tell of the record again, so nothing may wait to be woken.
    if (blocked) return { error: waitingWords(waiting), waiting: work.options.cursorColumn ? [] : waiting }
    const { record, mapping } = await withAssets(db, work, referring.record, referring.mapping)
    const input = recordInput(item.record, work.columns)
    const [computed] = await compute(work.expressions, work.sync.installation_id, mapping, [input], work.signal)
    const fields = recordFields(record, mapping, contentType, computed)
    return { ...(await write(db, work, item, fields, found, intent)), fields, waiting }
  } catch (error) {
    // An abort carries whatever reason its giver chose: that is never the record's fault.
    if (work.signal.aborted) throw error
    if (isAppError(error, 'invalid') || (isAppError(error, 'conflict') && cmaErrorOf(error))) return { error: refusalWords(error) }
    if (isAppError(error, 'upstream') && (cmaErrorOf(error)?.status ?? 0) >= 500 && work.lastTry) return { error: error.message }
    throw error
  }
}

async function write(
  db: Db,
  work: Work,
  item: Item,
  fields: EntryFields,
  found: Entry | null,
  intent: Row<'intent'> | undefined
): Promise<Landed> {
  const { contentType, stack, sync } = work
  const { key, locale, hash, link, masterUid } = item
  if (masterUid !== null) return await localize(db, work, { ...item, masterUid }, fields, intent)
  let entry = found
  // A write whose answer nobody heard, an adopted entry, one that stood aside or was taken away: look before writing.
  if (!entry && link?.entry_uid && (intent || link.status !== 'synced')) {
    entry = await stack.entry(sync.content_type, link.entry_uid, { locale })
  }
  if (entry && holds(entry, fields, contentType)) return { entry, wrote: false }
  const uid = entry?.uid ?? link?.entry_uid
  if (uid) {
    const expected = entry?._version ?? link?.version ?? null
    await intend(db, sync, { locale, key, entryUid: uid, hash, expected })
    const updated = await update(work, locale, uid, fields)
    if (updated) return { entry: updated, wrote: true, ...(await conflictOf({ stack, sync, locale }, updated, fields, expected)) }
    // Deleted in the CMS: the record is still there, so it becomes an entry again.
  }
  const intentId = await intend(db, sync, { locale, key, entryUid: null, hash, expected: null })
  return await create(db, work, item, fields, intentId)
}

/** An entry's own content in another locale than the master's. Versions count per locale. */
async function localize(
  db: Db,
  work: Work,
  { key, locale, hash, link, masterUid: uid }: Item & { masterUid: string },
  fields: EntryFields,
  intent: Row<'intent'> | undefined
): Promise<Landed> {
  const { stack, sync, contentType } = work
  let expected = link?.entry_uid === uid ? link.version : null
  if (intent || link?.status !== 'synced' || link.entry_uid !== uid) {
    const entry = await stack.entry(sync.content_type, uid, { locale })
    // Otherwise what came is the fallback's.
    const own = entry?.locale === locale ? entry : null
    if (own && holds(own, fields, contentType)) return { entry: own, wrote: false }
    expected = own?._version ?? null
  }
  await intend(db, sync, { locale, key, entryUid: uid, hash, expected })
  const updated = await update(work, locale, uid, fields)
  if (updated) return { entry: updated, wrote: true, ...(await conflictOf({ stack, sync, locale }, updated, fields, expected)) }
  throw new AppError('invalid', `The entry of "${key}" was deleted in Contentstack, so it cannot be localized in ${locale}.`)
}

async function create(db: Db, work: Work, { key, locale }: Item, fields: EntryFields, intentId: string): Promise<Landed> {
  const { stack, sync, contentType } = work
  try {
    return { entry: await stack.createEntry(sync.content_type, fields, { locale }), wrote: true }
  } catch (error) {
    const exists = cmaErrorOf(error)?.errorCode === 119 && cmaErrorOf(error)?.errors[work.options.externalIdField] !== undefined
    if (!exists && !isOutcomeUnknown(error)) {
      // A creation is repeated only after what was surely refused. So nothing was made, and the next try has nothing to wait out.
      const refused = isAppError(error, 'unauthorized') || isAppError(error, 'rate_limited')
      if (refused && !work.signal.aborted) await withdrawIntent(db, intentId)
      throw error
    }
    // It may have been made, or have stood there all along; a look-up may lag behind.
    const entry = await findByKey(work, key)
    if (!entry && !exists) throw error
    if (!entry)
      throw new AppError(
        'invalid',
        `Contentstack says that an entry with ${work.options.externalIdField} "${key}" exists, but none can be found.`
      )
    if (holds(entry, fields, contentType)) return { entry, wrote: !exists }
    const updated = await update(work, locale, entry.uid, fields)
    if (!updated) throw new AppError('upstream', `The entry of "${key}" went away while it was written.`, { cause: error })
    return { entry: updated, wrote: true }
  }
}

function toldOf(outcome: Written): Told {
  if ('error' in outcome) return { error: outcome.error }
  const { entry, wrote, conflict, waiting } = outcome
  return {
    entry,
    wrote,
    ...(conflict === undefined ? {} : { conflict }),
    ...(waiting.length > 0 ? { waiting: waitingWords(waiting) } : {})
  }
}

/** Link, counters, what it waits for and the intent's end commit together. */
export async function keep(db: Db, work: Work, item: Item, outcome: Written): Promise<void> {
  const { sync, run, contentType } = work
  const { key, locale, hash, link } = item
  const failed = 'error' in outcome
  const waiting = outcome.waiting ?? []
  const counters: Counters = {
    ...noCounters(),
    read: 1,
    ...(failed || waiting.length > 0 ? { failed: 1 } : outcome.wrote ? { written: 1 } : { skipped: 1 })
  }
  await db.transaction().execute(async trx => {
    await keepLink(trx, sync, {
      locale,
      external_id: key,
      entry_uid: failed ? (link?.entry_uid ?? '') : outcome.entry.uid,
      source_hash: failed ? (link?.source_hash ?? '') : hash,
      stack_hash: failed ? (link?.stack_hash ?? '') : projectionHash(outcome.entry, outcome.fields, contentType),
      version: failed ? (link?.version ?? 0) : outcome.entry._version,
      status: failed || waiting.length > 0 ? 'failed' : 'synced',
      error: failed ? outcome.error : waiting.length > 0 ? waitingWords(waiting) : (outcome.conflict ?? null),
      publish_due: failed
        ? (link?.publish_due ?? null)
        : dueAfter(work, link?.entry_uid === outcome.entry.uid ? link.published_version : 0, outcome.entry._version),
      cause: `run ${run.id}`,
      last_run_id: run.id,
      wrote: !failed
    })
    await keepPending(trx, sync, { locale, key }, waiting)
    await dropIntent(trx, sync, { locale, key })
    await recordInbound(trx, sync, run, locale, key, link, toldOf(outcome))
    await advanceRun(trx, run, counters)
  })
}
