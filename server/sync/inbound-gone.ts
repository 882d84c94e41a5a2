// Records that their source has no more, and what becomes of their entries: kept, unpublished or deleted, as the sync says. Believed
// only of a complete listing that the run heard from its beginning, or of keys that the source itself reports as gone; never of an
// empty listing, and never past the brake.
//
//   linked -> deleted (a tombstone)   its entry is unpublished or deleted, or was gone already
//   linked -> failed                  somebody else has worked on the entry since: it is kept, with words
import { setTimeout as wait } from 'node:timers/promises'
import type { Entry } from '../contentstack/stack.ts'
import type { Db } from '../database/database.ts'
import { isAppError } from '../errors.ts'
import { findWrites } from '../installations/ledger.ts'
import { brake, deletesOf, linkedRecords } from './brake.ts'
import { eachAtOnce, type Turn, type Work } from './inbound-work.ts'
import { dropIntent, intend, openIntents } from './intents.ts'
import { keepLink, type LinkRow } from './links.ts'
import { asksPerson, type NewItem, parkDeletes, pendingItems, type PlanRow, settleItems, tellSkipped, waitingDeletes } from './plans.ts'
import { keepPending } from './references.ts'
import { recordOutcomes } from './run-log.ts'
import { advanceRun, type Counters, noCounters } from './runs.ts'

/** Marks the intent of a removal, where a write has the hash of its record. */
const removalHash = 'removal'
const linksAtOnce = 200
/** Put into a plan in one transaction. */
const parkedAtOnce = 1_000

/** After a complete listing: whatever this run did not meet. */
export async function removeUnmet(db: Db, work: Work, until: number): Promise<Turn> {
  const { sync, run } = work
  const met = await metAny(db, work)
  if (met) await forgetNeverWritten(db, work)
  if ((work.options.onDisappearance ?? 'keep') === 'keep') return 'done'
  const unmet = db
    .selectFrom('link')
    .where('sync_id', '=', sync.id)
    .where('status', '!=', 'deleted')
    .where(eb => eb.or([eb('last_run_id', 'is', null), eb('last_run_id', '!=', run.id)]))
  const gone = await unmet.select(linkNames).execute()
  const stopped = await overBrake(db, work, gone, met ? undefined : 0)
  if (stopped !== null) return stopped
  // Other locales before the master, whose entry they are part of.
  for (const master of [false, true]) {
    for (;;) {
      const links = await unmet
        .selectAll()
        .where('locale', master ? '=' : '!=', work.locale)
        .orderBy('external_id')
        .limit(linksAtOnce)
        .execute()
      if (links.length === 0) break
      if (!(await removeAll(db, work, links, until))) return 'slice'
    }
  }
  return 'done'
}

/** Keys that the source reports as gone. 'done', or what to tell a person when the brake holds: nothing was touched then. */
export async function removeReported(db: Db, work: Work, keys: readonly string[], until: number): Promise<Turn> {
  const { sync } = work
  if (keys.length === 0 || (work.options.onDisappearance ?? 'keep') === 'keep') return 'done'
  const links: LinkRow[] = []
  for (let from = 0; from < keys.length; from += linksAtOnce) {
    const rows = await db
      .selectFrom('link')
      .selectAll()
      .where('link_set_id', '=', sync.link_set_id)
      .where('branch', '=', sync.branch)
      .where('external_id', 'in', keys.slice(from, from + linksAtOnce))
      .where('sync_id', '=', sync.id)
      .where('status', '!=', 'deleted')
      .execute()
    links.push(...rows)
  }
  const stopped = await overBrake(db, work, links)
  if (stopped !== null) return stopped
  const [master, others] = [links.filter(link => link.locale === work.locale), links.filter(link => link.locale !== work.locale)]
  const finished = (await removeAll(db, work, others, until)) && (await removeAll(db, work, master, until))
  return finished ? 'done' : 'slice'
}

const linkNames = ['external_id', 'locale', 'entry_uid', 'version', 'last_run_id'] as const
type Gone = Pick<LinkRow, (typeof linkNames)[number]>

/** What the brake stops waits in a plan, and nothing is touched. `listed`: records that the listing held, where there was one. */
async function overBrake(db: Db, work: Work, gone: readonly Gone[], listed?: number): Promise<{ needsPerson: string } | null> {
  const { sync, run } = work
  const asked = brake({
    ...(await deletesOf(db, sync, gone.length)),
    ...(listed === undefined ? {} : { linked: await linkedRecords(db, sync), listed })
  })
  if (asked === null) return null
  for (let from = 0; from < gone.length; from += parkedAtOnce) {
    const items = gone.slice(from, from + parkedAtOnce).map(link => inPlan(work, link))
    await db.transaction().execute(trx => parkDeletes(trx, sync, { runId: run.id, cause: `run ${run.id}` }, items, asked))
  }
  const plan = await waitingDeletes(db, sync)
  return { needsPerson: plan ? asksPerson(plan, asked) : asked }
}

/** Which run met it last tells, when the plan is carried out, whether the record has come back. */
function inPlan({ locale: master }: Work, link: Gone): NewItem {
  const { external_id: key, locale, entry_uid: entryUid, version, last_run_id: lastMet } = link
  const name = locale === master ? key : `${key} (${locale})`
  return { key: name, locale, entryUid, step: 'delete', expectedVersion: version, sourceHash: lastMet ?? '', diff: null }
}

/** The deletes of a plan, each looked at once more. False when time ran out. */
export async function removePlanned(db: Db, work: Work, plan: PlanRow, until: number): Promise<boolean> {
  const { sync, run } = work
  for (;;) {
    const items = (await pendingItems(db, plan.id, { limit: linksAtOnce })).filter(item => item.step === 'delete')
    if (items.length === 0) return true
    const finished = await eachAtOnce(items, until, work.signal, async item => {
      const link = await db
        .selectFrom('link')
        .selectAll()
        .where('link_set_id', '=', sync.link_set_id)
        .where('branch', '=', sync.branch)
        .where('locale', '=', item.locale)
        .where('entry_uid', '=', item.entry_uid)
        .where('status', '!=', 'deleted')
        .executeTakeFirst()
      const back = link !== undefined && (link.last_run_id ?? '') !== item.source_hash
      if (link && !back)
        return await remove(db, work, link, { planId: plan.id, item: item.external_id, approved: plan.allowed_deletes !== null })
      const why = back ? 'The record is in its source again.' : 'The entry is gone, or is another record’s by now.'
      const skipped = { key: item.external_id, state: 'skipped' as const, why }
      await db.transaction().execute(async trx => {
        await settleItems(trx, plan.id, [skipped])
        await tellSkipped(trx, sync, run, [item], [skipped])
        await advanceRun(trx, run, { ...noCounters(), read: 1, skipped: 1 })
      })
    })
    if (!finished) return false
  }
}

/** Of a plan that is carried out. */
interface Allowed {
  planId: string
  item: string
  /** By a person; else the brake let it through. */
  approved: boolean
}

/** A record that never became an entry and is gone from the source leaves nothing to do, and no failure to look after. */
async function forgetNeverWritten(db: Db, { sync, run }: Work): Promise<void> {
  await db
    .updateTable('link')
    .set({ status: 'deleted', error: null, updated_at: Date.now() })
    .where('sync_id', '=', sync.id)
    .where('status', '=', 'failed')
    .where('entry_uid', '=', '')
    .where(eb => eb.or([eb('last_run_id', 'is', null), eb('last_run_id', '!=', run.id)]))
    .execute()
}

async function metAny(db: Db, { sync, run }: Work): Promise<boolean> {
  const met = await db
    .selectFrom('link')
    .select('external_id')
    .where('sync_id', '=', sync.id)
    .where('last_run_id', '=', run.id)
    .limit(1)
    .executeTakeFirst()
  return met !== undefined
}

async function removeAll(db: Db, work: Work, links: readonly LinkRow[], until: number): Promise<boolean> {
  return await eachAtOnce(links, until, work.signal, async link => {
    await remove(db, work, link)
  })
}

async function remove(db: Db, work: Work, link: LinkRow, allowed?: Allowed): Promise<void> {
  const { sync, stack } = work
  const entry = await stack.entry(sync.content_type, link.entry_uid, { locale: link.locale, includePublishDetails: true })
  const there = entry !== null && entry.locale === link.locale ? entry : null
  const begun = (await openIntents(db, sync, link.locale, [link.external_id])).get(link.external_id)?.hash === removalHash
  if (!there) {
    await settle(db, work, link, allowed, begun ? { ...noCounters(), deleted: 1 } : noCounters(), {
      status: 'deleted',
      entry_uid: '',
      version: 0
    })
    return
  }
  const theirs = await worksOfOthers(db, work, link, there)
  if (theirs !== null) {
    await settle(db, work, link, allowed, { ...noCounters(), failed: 1 }, { status: 'failed', error: theirs })
    return
  }
  // Until the tombstone stands the record must not look unchanged: it may reappear while nobody knows whether the entry is gone.
  await intend(db, sync, {
    locale: link.locale,
    key: link.external_id,
    entryUid: link.entry_uid,
    hash: removalHash,
    expected: there._version,
    unlink: true
  })
  try {
    if (work.options.onDisappearance === 'delete') {
      await stack.deleteEntry(sync.content_type, link.entry_uid, link.locale === work.locale ? {} : { locale: link.locale })
      await settle(db, work, link, allowed, { ...noCounters(), deleted: 1 }, { status: 'deleted', entry_uid: '', version: 0 })
    } else await unpublish(db, work, link, there, allowed)
  } catch (error) {
    if (work.signal.aborted || !(isAppError(error, 'invalid') || isAppError(error, 'forbidden'))) throw error
    await settle(
      db,
      work,
      link,
      allowed,
      { ...noCounters(), failed: 1 },
      { status: 'failed', error: `Gone from the source, but: ${error.message}` }
    )
  }
}

async function unpublish(db: Db, work: Work, link: LinkRow, entry: Entry, allowed: Allowed | undefined): Promise<void> {
  const { sync, stack } = work
  const { locale, entry_uid: uid } = link
  const shown = publishedIn(entry, locale)
  if (shown.length > 0) {
    const names = new Map((await stack.environments()).map(environment => [environment.uid, environment.name]))
    const environments = shown.map(environment => names.get(environment) ?? environment)
    await stack.unpublishEntry(sync.content_type, uid, { environments, locales: [locale], locale, version: entry._version })
    if (!(await isUnpublished(work, locale, uid))) {
      const error = 'Gone from the source; Contentstack was asked to unpublish its entry, but still shows it as published.'
      await settle(db, work, link, allowed, { ...noCounters(), failed: 1 }, { status: 'failed', error })
      return
    }
  }
  await settle(db, work, link, allowed, { ...noCounters(), deleted: 1 }, { status: 'deleted', published_version: 0 })
}

async function isUnpublished({ stack, sync, signal }: Work, locale: string, uid: string): Promise<boolean> {
  for (const pause of [0, 500, 1_000, 2_000, 4_000]) {
    if (pause > 0) await wait(pause, undefined, { signal })
    const entry = await stack.entry(sync.content_type, uid, { locale, includePublishDetails: true })
    if (!entry || publishedIn(entry, locale).length === 0) return true
  }
  return false
}

/** Uids of environments. */
function publishedIn(entry: Entry, locale: string): string[] {
  return (entry.publish_details ?? []).filter(detail => detail.locale === locale).map(detail => detail.environment)
}

/** What would be lost that this sync did not make; null = nothing. */
async function worksOfOthers(db: Db, work: Work, link: LinkRow, entry: Entry): Promise<string | null> {
  const { sync, stack } = work
  const keep = 'It was kept: delete it in Contentstack, or bring the record back.'
  if (entry._version !== link.version) {
    const of = { installationId: sync.installation_id, entryUid: entry.uid, locale: link.locale, version: entry._version }
    const [write] = await findWrites(db, [of])
    const ours = write?.actor_id === sync.id
    if (!ours)
      return `Gone from the source, but version ${entry._version} of its entry was made by somebody else after this sync wrote version ${link.version}. ${keep}`
  }
  if (work.options.onDisappearance !== 'delete' || link.locale !== work.locale) return null
  const locales = (await stack.entryLocales(sync.content_type, entry.uid)).filter(
    ({ code, localized }) => localized && code !== work.locale
  )
  if (locales.length === 0) return null
  return `Gone from the source in ${work.locale}, but its entry also stands in ${locales.map(({ code }) => code).join(', ')}. ${keep}`
}

async function settle(
  db: Db,
  work: Work,
  link: LinkRow,
  allowed: Allowed | undefined,
  counters: Counters,
  to: Pick<LinkRow, 'status'> & Partial<Pick<LinkRow, 'entry_uid' | 'error' | 'version' | 'published_version'>>
): Promise<void> {
  const { sync, run } = work
  await db.transaction().execute(async trx => {
    await keepLink(trx, sync, {
      ...link,
      error: null,
      ...to,
      source_hash: to.status === 'deleted' ? '' : link.source_hash,
      publish_due: null,
      cause: `run ${run.id}`,
      last_run_id: run.id,
      wrote: counters.deleted > 0
    })
    await keepPending(trx, sync, { locale: link.locale, key: link.external_id }, [])
    await dropIntent(trx, sync, { locale: link.locale, key: link.external_id })
    await tell(trx, work, link, allowed, counters, to.error ?? null)
    await advanceRun(trx, run, { ...counters, read: allowed ? 1 : 0, skipped: allowed && counters.deleted + counters.failed === 0 ? 1 : 0 })
  })
}

async function tell(
  trx: Db,
  { sync, run }: Work,
  { external_id: key, entry_uid: entryUid, locale }: LinkRow,
  allowed: Allowed | undefined,
  counters: Counters,
  error: string | null
): Promise<void> {
  if (allowed) {
    const state = error !== null ? 'failed' : counters.deleted > 0 ? 'done' : 'skipped'
    await settleItems(trx, allowed.planId, [{ key: allowed.item, state, why: state === 'skipped' ? 'The entry was gone already.' : error }])
  }
  if (error === null && counters.deleted === 0) return
  const outcome = error === null ? 'deleted' : 'failed'
  const of = { runId: run.id, cause: `run ${run.id}`, approved: allowed?.approved }
  await recordOutcomes(trx, sync, of, [{ key, entryUid, locale, outcome, why: error }])
}
