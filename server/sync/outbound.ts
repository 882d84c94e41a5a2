// A run of an outbound sync: every entry of its content type, locale by locale, carried to its table. The next page is read
// while this one is written. Webhooks do the rest of the time; after the listing, what changed during it is looked at once more,
// and rows whose entries were met no longer are looked up one by one and removed. What counts as an entry's current state: source.ts.
import { databaseNow } from '../database/clock.ts'
import type { Db } from '../database/database.ts'
import type { StackClient } from '../contentstack/stack.ts'
import { enqueueRecords } from './record-jobs.ts'
import { brake, deletesOf, linkedRecords } from './brake.ts'
import { carry, type Carried, type Current, type Outbound } from './carry.ts'
import { type LinkRow, findLinks, markSeen } from './links.ts'
import type { ListedPage } from './listing.ts'
import { destinationKey } from './outward.ts'
import { asksPerson, type NewItem, parkDeletes, waitingDeletes } from './plans.ts'
import { advanceRun, type Counters, findRun, noCounters, type RunRow } from './runs.ts'
import { type CurrentPage, listCurrent, listVersions, readCurrent } from './source.ts'
import { localesOf, type SyncRow } from './sync.ts'

interface Checkpoint {
  locales: string[]
  /** Index of the locale under way; as many as there are = the listing is done. */
  at: number
  phase: 'scan' | 'delta'
  after: string | null
  /** Pages of this locale so far. */
  pages: number
  /** Entries counted in the locales before. */
  counted: number
}

/** How far the CMS's clock may be off, and a webhook late. */
const overlapMilliseconds = 5 * 60_000
/** Put into a plan in one transaction. */
const rowsAtOnce = 1_000

/**
 * 'slice' when `until` has passed: there is more to do, from the checkpoint. A text: done, but something needs a person.
 * Throws RunMoved when the run was paused, cancelled or moved; AppError as stack and connector do.
 */
export async function runOutbound(
  db: Db,
  outbound: Outbound,
  stack: StackClient,
  run: RunRow,
  until: number
): Promise<'done' | 'slice' | { needsPerson: string }> {
  let at = await beginning(stack, outbound.sync, run)
  while (at.at < at.locales.length) {
    const locale = at.locales[at.at] ?? ''
    if (at.phase === 'scan') {
      for await (const { page, readAt } of ahead(db, listCurrent(db, outbound, stack, locale, at.after))) {
        const next: Checkpoint = page.last ? afterScan(at, page) : { ...at, after: page.after, pages: at.pages + 1 }
        // An order that cannot be resumed begins its locale again; what it has carried is skipped by its links.
        await keepPage(
          db,
          outbound,
          run,
          locale,
          page.records,
          readAt,
          page.after === null && !page.last ? { ...next, after: null, pages: 0 } : next,
          totalOf(at, page)
        )
        at = next
        if (Date.now() > until && !page.last && page.after !== null) return 'slice'
      }
    } else {
      await delta(db, outbound, stack, run, locale)
      const next: Checkpoint = { ...at, at: at.at + 1, phase: 'scan', after: null, pages: 0 }
      run.checkpoint_json = await db.transaction().execute(trx => move(trx, run, noCounters(), next))
      at = next
    }
    outbound.signal.throwIfAborted()
    if (Date.now() > until && at.at < at.locales.length) return 'slice'
  }
  return await removeVanished(db, outbound, stack, run)
}

async function beginning(stack: StackClient, sync: SyncRow, run: RunRow): Promise<Checkpoint> {
  if (run.checkpoint_json !== null) return JSON.parse(run.checkpoint_json) as Checkpoint
  const wanted = localesOf(sync)
  const locales = wanted.length > 0 ? wanted : (await stack.locales()).map(locale => locale.code)
  return { locales, at: 0, phase: 'scan', after: null, pages: 0, counted: 0 }
}

/** A listing of one page is a single moment; a longer one is followed by what changed during it. */
function afterScan(at: Checkpoint, page: ListedPage): Checkpoint {
  const counted = at.counted + (page.total ?? 0)
  return at.pages === 0 ? { ...at, at: at.at + 1, after: null, pages: 0, counted } : { ...at, phase: 'delta', after: null, counted }
}

/** Every locale lists every entry, fallbacks included: the first page tells the size of all. */
function totalOf(at: Checkpoint, page: ListedPage): number | undefined {
  return page.total === null ? undefined : at.counted + page.total * (at.locales.length - at.at)
}

async function keepPage(
  db: Db,
  outbound: Outbound,
  run: RunRow,
  locale: string,
  records: Current[],
  readAt: number,
  next: Checkpoint,
  total: number | undefined
): Promise<void> {
  const { sync } = outbound
  const cause = `run ${run.id}`
  let left = ''
  // What has no row in this locale (any more) is not met: should one stand, removeVanished looks at it.
  const met = records.filter(({ hash }) => hash !== null)
  await carry(db, outbound, locale, met, { cause, claimant: run.id, runId: run.id, readAt }, async (trx, carried) => {
    await markSeen(
      trx,
      sync,
      locale,
      [...carried.skipped, ...carried.busy, ...carried.parked].map(uid => destinationKey(uid, locale)),
      run.id
    )
    // A live job is at these: it may have begun before our read, so it looks again once it is done.
    await enqueueRecords(
      trx,
      sync,
      carried.busy.map(entryUid => ({ entryUid, locale })),
      { lane: 'live', cause }
    )
    // What the destination asks to wait for is carried by jobs of its own, which try again.
    await enqueueRecords(
      trx,
      sync,
      carried.failed.filter(({ retryAfterSeconds }) => retryAfterSeconds !== undefined).map(({ entryUid }) => ({ entryUid, locale })),
      { lane: 'backfill', cause }
    )
    const counters = countersOf(records.length, carried)
    left = await move(trx, run, { ...counters, skipped: counters.skipped + records.length - met.length }, next, total)
  })
  run.checkpoint_json = left
}

/** Ids and versions only: whatever does not match its link is carried by a record job. */
async function delta(db: Db, outbound: Outbound, stack: StackClient, run: RunRow, locale: string): Promise<void> {
  const { sync } = outbound
  const since = new Date((run.started_at ?? run.created_at) - overlapMilliseconds).toISOString()
  for await (const versions of listVersions(outbound, stack, locale, since)) {
    if (versions.size === 0) continue
    const links = await findLinks(
      db,
      sync,
      locale,
      [...versions.keys()].map(uid => destinationKey(uid, locale))
    )
    const moved = [...versions]
      .filter(([uid, version]) => (links.get(destinationKey(uid, locale))?.version ?? 0) !== version)
      .map(([entryUid]) => ({ entryUid, locale }))
    await db.transaction().execute(trx => enqueueRecords(trx, sync, moved, { lane: 'backfill', cause: `run ${run.id}` }))
  }
}

/** Rows that a complete listing did not meet. Each is asked for by its uid before it goes; too many at once go past a person. */
async function removeVanished(db: Db, outbound: Outbound, stack: StackClient, run: RunRow): Promise<'done' | { needsPerson: string }> {
  const { sync } = outbound
  const ofSync = db
    .selectFrom('link')
    .where('link_set_id', '=', sync.link_set_id)
    .where('branch', '=', sync.branch)
    .where('status', '!=', 'deleted')
  const vanished = await ofSync
    .select(['external_id', 'entry_uid', 'locale', 'version'])
    .where(eb => eb.or([eb('last_run_id', 'is', null), eb('last_run_id', '!=', run.id)]))
    // Written by a live job since the run began: no listing could have met it.
    .where('synced_at', '<', run.started_at ?? run.created_at)
    .execute()
  const listed = (await findRun(db, run.id))?.read ?? 0
  const asked = brake({ ...(await deletesOf(db, sync, vanished.length)), linked: await linkedRecords(db, sync), listed })
  if (asked !== null) {
    for (let from = 0; from < vanished.length; from += rowsAtOnce) {
      const part = vanished.slice(from, from + rowsAtOnce)
      await db.transaction().execute(trx => parkDeletes(trx, sync, { runId: run.id, cause: `run ${run.id}` }, part.map(inPlan), asked))
    }
    return await waiting(db, sync, asked)
  }
  for (const { entry_uid: entryUid, locale } of vanished) {
    const readAt = await databaseNow(db)
    const record = await readCurrent(db, outbound, stack, entryUid, locale)
    const why = { cause: `run ${run.id}`, claimant: run.id, runId: run.id, readAt }
    await carry(db, outbound, locale, [record], why, async (trx, carried) => {
      await enqueueRecords(
        trx,
        sync,
        carried.busy.map(uid => ({ entryUid: uid, locale })),
        { lane: 'live', cause: why.cause }
      )
      await advanceRun(trx, run, { ...countersOf(0, carried), skipped: 0 })
    })
  }
  return await waiting(db, sync, 'Some rows have no entry any more.')
}

/** Deletes that wait for a person keep a run from being a success, whoever met them. */
async function waiting(db: Db, sync: SyncRow, said: string): Promise<'done' | { needsPerson: string }> {
  const plan = await waitingDeletes(db, sync)
  return plan ? { needsPerson: asksPerson(plan, said) } : 'done'
}

function inPlan(row: Pick<LinkRow, 'external_id' | 'entry_uid' | 'locale' | 'version'>): NewItem {
  const { external_id: key, entry_uid: entryUid, locale, version } = row
  return { key, locale, entryUid, step: 'delete', expectedVersion: version, sourceHash: '', diff: null }
}

function countersOf(read: number, carried: Carried): Counters {
  return {
    read,
    written: carried.written.length,
    skipped: carried.skipped.length + carried.busy.length + carried.parked.length,
    failed: carried.failed.length,
    deleted: carried.deleted.length
  }
}

async function move(trx: Db, run: RunRow, counters: Counters, next: Checkpoint, total?: number): Promise<string> {
  const checkpoint = JSON.stringify(next)
  await advanceRun(trx, run, counters, { checkpoint, ...(total === undefined ? {} : { total }) })
  return checkpoint
}

/** The next page is on its way while the caller works on this one; one page, no more, so that live work finds slots. */
async function* ahead(db: Db, pages: AsyncGenerator<CurrentPage>): AsyncGenerator<{ page: CurrentPage; readAt: number }> {
  const read = async (): Promise<{ page: CurrentPage | null; readAt: number }> => {
    const readAt = await databaseNow(db)
    const { value, done } = await pages.next()
    return { page: done ? null : value, readAt }
  }
  let next = read()
  // Its failure is met when it is awaited; until then it must not count as unhandled.
  next.catch(() => {})
  try {
    for (;;) {
      const { page, readAt } = await next
      if (page === null) return
      if (!page.last) {
        next = read()
        next.catch(() => {})
      } else next = Promise.resolve({ page: null, readAt: 0 })
      yield { page, readAt }
    }
  } finally {
    await next.catch(() => {})
    await pages.return(undefined)
  }
}
