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
import { findWrite } from '../installations/ledger.ts'
import { removalBrake } from './brake.ts'
import { eachAtOnce, type Turn, type Work } from './inbound-work.ts'
import { dropIntent, intend, openIntents } from './intents.ts'
import { keepLink, type LinkRow } from './links.ts'
import { keepPending } from './references.ts'
import { advanceRun, type Counters, noCounters } from './runs.ts'

/** Marks the intent of a removal, where a write has the hash of its record. */
const removalHash = 'removal'
const linksAtOnce = 200

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
  const count = (await unmet.select(eb => eb.fn.countAll<number>().as('count')).executeTakeFirst())?.count ?? 0
  if (count === 0) return 'done'
  if (!met) {
    return {
      needsPerson: `The source listed no record at all, but ${count} have entries. An empty listing is not believed: check the table, and delete the entries in Contentstack if they shall really go.`
    }
  }
  const braked = await removalBrake(db, sync, count)
  if (braked !== null) return { needsPerson: braked }
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
  const braked = await removalBrake(db, sync, links.length)
  if (braked !== null) return { needsPerson: braked }
  const [master, others] = [links.filter(link => link.locale === work.locale), links.filter(link => link.locale !== work.locale)]
  const finished = (await removeAll(db, work, others, until)) && (await removeAll(db, work, master, until))
  return finished ? 'done' : 'slice'
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

async function remove(db: Db, work: Work, link: LinkRow): Promise<void> {
  const { sync, stack } = work
  const entry = await stack.entry(sync.content_type, link.entry_uid, { locale: link.locale, includePublishDetails: true })
  const there = entry !== null && entry.locale === link.locale ? entry : null
  const begun = (await openIntents(db, sync, link.locale, [link.external_id])).get(link.external_id)?.hash === removalHash
  if (!there) {
    await settle(db, work, link, begun ? { ...noCounters(), deleted: 1 } : noCounters(), { status: 'deleted', entry_uid: '', version: 0 })
    return
  }
  const theirs = await worksOfOthers(db, work, link, there)
  if (theirs !== null) {
    await settle(db, work, link, { ...noCounters(), failed: 1 }, { status: 'failed', error: theirs })
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
      await settle(db, work, link, { ...noCounters(), deleted: 1 }, { status: 'deleted', entry_uid: '', version: 0 })
    } else await unpublish(db, work, link, there)
  } catch (error) {
    if (work.signal.aborted || !(isAppError(error, 'invalid') || isAppError(error, 'forbidden'))) throw error
    await settle(db, work, link, { ...noCounters(), failed: 1 }, { status: 'failed', error: `Gone from the source, but: ${error.message}` })
  }
}

async function unpublish(db: Db, work: Work, link: LinkRow, entry: Entry): Promise<void> {
  const { sync, stack } = work
  const { locale, entry_uid: uid } = link
  const shown = publishedIn(entry, locale)
  if (shown.length > 0) {
    const names = new Map((await stack.environments()).map(environment => [environment.uid, environment.name]))
    const environments = shown.map(environment => names.get(environment) ?? environment)
    await stack.unpublishEntry(sync.content_type, uid, { environments, locales: [locale], locale, version: entry._version })
    if (!(await isUnpublished(work, locale, uid))) {
      const error = 'Gone from the source; Contentstack was asked to unpublish its entry, but still shows it as published.'
      await settle(db, work, link, { ...noCounters(), failed: 1 }, { status: 'failed', error })
      return
    }
  }
  await settle(db, work, link, { ...noCounters(), deleted: 1 }, { status: 'deleted', published_version: 0 })
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
    const ours = (await findWrite(db, of))?.actor_id === sync.id
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
    await advanceRun(trx, run, counters)
  })
}
