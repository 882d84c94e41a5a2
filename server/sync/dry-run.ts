// A dry run: the same reading, hashing and planning as a run, and nothing written to either side. What a run would write becomes
// an item of a plan with its field diffs; what it would skip is counted. Keys that were met are staged, so that what would be
// deleted is found without holding a content type in memory. It goes on from its checkpoint as runs do.
import type { Db } from '../database/database.ts'
import type { Entry, StackClient } from '../contentstack/stack.ts'
import { AppError, isAppError } from '../errors.ts'
import { recordsOf } from './assets-out.ts'
import { brake, deletesOf, linkedRecords } from './brake.ts'
import { type Current, entriesOf, type Outbound } from './carry.ts'
import { fieldDiffs } from './diff.ts'
import type { Inbound } from './inbound-work.ts'
import { findLinks, type LinkRow } from './links.ts'
import type { ListedPage } from './listing.ts'
import { destinationKey } from './outward.ts'
import { rowsOf } from './rows.ts'
import { planOutbound } from './plan.ts'
import { addItems, type NewItem, type PlanRow } from './plans.ts'
import { listCurrent } from './source.ts'
import { dropStaged, linksAfter, stage, stagedAmong } from './staging.ts'
import { localesOf } from './sync.ts'

interface OutboundCheckpoint {
  locales: string[]
  at: number
  after: string | null
  /** This stack's order cannot be resumed: another try begins all over. */
  whole: boolean
  /** Versions carried before that were read for their diffs. */
  looked: number
}

/** Each costs a read of the version that was carried; beyond that a diff shows new values only. */
const mostLooks = 100

/** The plan was discarded, or another process has moved it on. */
export class PlanMoved extends Error {
  override readonly name = 'PlanMoved'
}

/** 'slice' when `until` has passed. Throws PlanMoved, and AppError as stack and connector do. */
export async function dryRunOutbound(
  db: Db,
  outbound: Outbound,
  stack: StackClient,
  plan: PlanRow,
  until: number
): Promise<'done' | 'slice'> {
  let at = await beginning(db, outbound, stack, plan)
  while (at.at < at.locales.length) {
    const locale = at.locales[at.at] ?? ''
    for await (const page of listCurrent(db, outbound, stack, locale, at.after)) {
      const seen = await lookAt(db, outbound, stack, locale, page.records, at)
      const next = nextOf(at, page, seen.looked)
      const total = page.total === null ? undefined : plan.read + page.total * (at.locales.length - at.at)
      await db.transaction().execute(async trx => {
        await addItems(trx, plan, seen.items)
        await stage(
          trx,
          plan,
          page.records.map(({ entryUid }) => ({ key: destinationKey(entryUid, locale), fingerprint: '' }))
        )
        await movePlan(trx, plan, next, { read: page.entries.length, skips: seen.skips, total: at.after === null ? total : undefined })
      })
      at = next
      outbound.signal.throwIfAborted()
      if (Date.now() > until && !page.last && page.after !== null) return 'slice'
    }
  }
  await planVanished(db, outbound, plan)
  await ready(db, outbound, plan, at)
  return 'done'
}

async function beginning(db: Db, { sync }: Outbound, stack: StackClient, plan: PlanRow): Promise<OutboundCheckpoint> {
  const known = plan.checkpoint_json === null ? null : (JSON.parse(plan.checkpoint_json) as OutboundCheckpoint)
  if (known && !known.whole) return known
  if (known) await beginAgain(db, plan)
  const wanted = localesOf(sync)
  const locales = wanted.length > 0 ? wanted : (await stack.locales()).map(locale => locale.code)
  return { locales, at: 0, after: null, whole: false, looked: 0 }
}

function nextOf(at: OutboundCheckpoint, page: ListedPage, looked: number): OutboundCheckpoint {
  const next = { ...at, looked, whole: at.whole || (page.after === null && !page.last) }
  return page.last ? { ...next, at: at.at + 1, after: null } : { ...next, after: page.after }
}

async function lookAt(
  db: Db,
  outbound: Outbound,
  stack: StackClient,
  locale: string,
  records: readonly Current[],
  at: OutboundCheckpoint
): Promise<{ items: NewItem[]; skips: number; looked: number }> {
  const { sync } = outbound
  const links = await findLinks(
    db,
    sync,
    locale,
    records.map(({ entryUid }) => destinationKey(entryUid, locale))
  )
  const items: NewItem[] = []
  const writes: PlannedWrite[] = []
  let { looked } = at
  let skips = 0
  for (const record of records) {
    const { entryUid, hash } = record
    const key = destinationKey(entryUid, locale)
    const link = links.get(key)
    const step = planOutbound(hash, link, sync.revision)
    const item = {
      key,
      locale,
      entryUid,
      expectedVersion: hash === null ? (link?.version ?? null) : record.version,
      sourceHash: hash ?? ''
    }
    if (step === 'skip') skips += 1
    else if (step === 'delete') items.push({ ...item, step: 'delete', diff: null })
    else {
      // What an older version embedded is not known any more.
      const known =
        isThere(link) &&
        outbound.options.references === undefined &&
        link.version > 0 &&
        link.version !== record.version &&
        looked < mostLooks
      if (known) looked += 1
      const before = known ? await recordsOf(stack, sync.content_type).one(entryUid, { locale, version: link.version }) : null
      writes.push({ item: { ...item, step: isThere(link) ? 'update' : 'create' }, record, before })
    }
  }
  return { items: [...items, ...(await withDiffs(outbound, writes))], skips, looked }
}

const isThere = (link: LinkRow | undefined): link is LinkRow => link !== undefined && link.status !== 'deleted' && link.synced_at > 0

interface PlannedWrite {
  item: Omit<NewItem, 'diff'>
  record: Current
  /** The version that was carried last; null: only what is new is shown. */
  before: Entry | null
}

/** An old version may not fit the content type any more: then, too, only what is new is shown. */
async function withDiffs(outbound: Outbound, writes: readonly PlannedWrite[]): Promise<NewItem[]> {
  const entries = await entriesOf(writes.map(({ record }) => record))
  const readable = writes.flatMap(({ record }) => {
    const entry = entries.get(record.entryUid)
    return entry && !isAppError(entry) ? [entry] : []
  })
  const old = writes.flatMap(({ before }) => (before ? [before] : []))
  const rows = await rowsOf(outbound, [...readable, ...old])
  const rowOf = new Map([...readable, ...old].map((entry, index) => [entry, rows[index]!]))
  return writes.map(({ item, record, before }): NewItem => {
    const entry = entries.get(record.entryUid)!
    const next = isAppError(entry) ? entry : rowOf.get(entry)!
    if (next instanceof AppError) return { ...item, step: 'fail', diff: null, why: next.message }
    const held = before ? rowOf.get(before)! : null
    return { ...item, diff: fieldDiffs(held instanceof AppError ? null : held, next) }
  })
}

/** Links that the listing did not meet. Whether their entries are really gone is asked one by one when the plan is carried out. */
export async function planVanished(db: Db, { sync, signal }: Pick<Outbound | Inbound, 'sync' | 'signal'>, plan: PlanRow): Promise<void> {
  for await (const links of linksAfter(db, sync, null, signal)) {
    const quiet = links.filter(link => link.status !== 'deleted' && link.synced_at < plan.created_at)
    const met = await stagedAmong(
      db,
      plan.id,
      quiet.map(link => link.external_id)
    )
    const items = quiet
      .filter(link => !met.has(link.external_id))
      .map(
        (link): NewItem => ({
          key: link.external_id,
          locale: link.locale,
          entryUid: link.entry_uid,
          step: 'delete',
          expectedVersion: link.version,
          // Inbound: which run met it last tells whether it has come back by then.
          sourceHash: sync.direction === 'inbound' ? (link.last_run_id ?? '') : '',
          diff: null
        })
      )
    await db.transaction().execute(trx => addItems(trx, plan, items))
  }
}

/** Adds to the counts and moves the checkpoint, in the transaction that keeps the items. Throws PlanMoved. */
export async function movePlan(
  trx: Db,
  plan: PlanRow,
  next: object,
  counts: { read: number; skips: number; total: number | undefined }
): Promise<void> {
  const checkpoint = JSON.stringify(next)
  let query = trx
    .updateTable('plan')
    .set(eb => ({
      read: eb('read', '+', counts.read),
      skips: eb('skips', '+', counts.skips),
      checkpoint_json: checkpoint,
      ...(counts.total === undefined ? {} : { total: counts.total })
    }))
    .where('id', '=', plan.id)
    .where('status', '=', 'making')
  query =
    plan.checkpoint_json === null ? query.where('checkpoint_json', 'is', null) : query.where('checkpoint_json', '=', plan.checkpoint_json)
  const { numUpdatedRows } = await query.executeTakeFirst()
  if (numUpdatedRows === 0n) throw new PlanMoved(`plan ${plan.id} has moved`)
  plan.checkpoint_json = checkpoint
  plan.read += counts.read
}

async function beginAgain(db: Db, plan: PlanRow): Promise<void> {
  await dropStaged(db, plan.id)
  const nothing = { checkpoint_json: null, total: null, read: 0, creates: 0, updates: 0, deletes: 0, failures: 0, skips: 0 }
  await db.transaction().execute(async trx => {
    await trx.deleteFrom('plan_item').where('plan_id', '=', plan.id).execute()
    await trx.updateTable('plan').set(nothing).where('id', '=', plan.id).where('status', '=', 'making').execute()
  })
  Object.assign(plan, nothing)
}

/** Its deletes are judged at once, so that a person sees what will be asked. */
export async function ready(db: Db, { sync }: Pick<Outbound | Inbound, 'sync'>, plan: PlanRow, at: object): Promise<void> {
  await dropStaged(db, plan.id)
  const { deletes } = await db.selectFrom('plan').select('deletes').where('id', '=', plan.id).executeTakeFirstOrThrow()
  const linked = await linkedRecords(db, sync)
  const asked = brake({ ...(await deletesOf(db, sync, deletes)), linked, listed: plan.read })
  const now = Date.now()
  await db
    .updateTable('plan')
    .set({ status: 'ready', reason: asked ?? '', ready_at: now, checkpoint_json: JSON.stringify(at), total: plan.read })
    .where('id', '=', plan.id)
    .where('status', '=', 'making')
    .execute()
}
