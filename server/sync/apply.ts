// A plan carried out: exactly its items, each looked at once more right before it is written. What has moved since it was planned
// is skipped with the reason, counted and told; nothing else is written. What is written goes the way of every run (carry.ts,
// inbound.ts), so that claims, intents and outcomes are the same.
import { databaseNow } from '../database/clock.ts'
import type { Db } from '../database/database.ts'
import type { Entry, StackClient } from '../contentstack/stack.ts'
import { brake, deletesOf } from './brake.ts'
import { type Carried, carry, type Current, type Outbound } from './carry.ts'
import { removeExtras } from './extras.ts'
import { openWork, runInbound } from './inbound.ts'
import { removePlanned } from './inbound-gone.ts'
import type { Chooser, Inbound, Turn } from './inbound-work.ts'
import { findLinks } from './links.ts'
import { findPlan, type ItemRow, type PlanRow, pendingItems, type Settled, settleItems, tellSkipped } from './plans.ts'
import { advanceRun, noCounters, type RunRow } from './runs.ts'
import { noRow, readCurrent, readCurrents } from './source.ts'
import { inboundOptions, type SyncRow } from './sync.ts'

/** Versions are read for so many at once, right before they are written (engine.md §7). */
const itemsAtOnce = 100
/** Keys in one look-up: keeps the address of the request below 8 kB. */
const recordsAtOnce = 40

const changed = 'The sync was changed since this was planned.'
const overBrake = 'More records would be deleted within a day than a sync deletes by itself.'

/** The plan of a run; null when the sync was changed meanwhile: then nothing more of it is done, and all that is left is skipped. */
export async function planOfRun(db: Db, sync: SyncRow, run: RunRow): Promise<PlanRow | null> {
  const plan = run.plan_id === null ? undefined : await findPlan(db, run.plan_id)
  return plan && plan.sync_revision === sync.revision ? plan : null
}

/** 'slice' when `until` has passed. Throws as runOutbound does. */
export async function applyOutbound(
  db: Db,
  outbound: Outbound,
  stack: StackClient,
  run: RunRow,
  plan: PlanRow,
  until: number
): Promise<'done' | 'slice'> {
  for (;;) {
    const items = await pendingItems(db, plan.id, { limit: itemsAtOnce })
    if (items.length === 0) return 'done'
    for (const locale of new Set(items.map(item => item.locale))) {
      const ofLocale = items.filter(item => item.locale === locale)
      if (plan.kind === 'drift') await removeExtras(db, outbound, stack, run, plan, locale, ofLocale)
      else await applyItems(db, outbound, stack, run, plan, locale, ofLocale)
    }
    outbound.signal.throwIfAborted()
    if (Date.now() > until) return 'slice'
  }
}

async function applyItems(
  db: Db,
  outbound: Outbound,
  stack: StackClient,
  run: RunRow,
  plan: PlanRow,
  locale: string,
  items: readonly ItemRow[]
): Promise<void> {
  const { sync } = outbound
  const readAt = await databaseNow(db)
  const standing = await recordsNow(db, outbound, stack, locale, items)
  const moved: Settled[] = []
  const records: Current[] = []
  for (const item of items) {
    const record = standing.get(item.entry_uid)
    const why = hasMoved(item, record)
    if (why !== null) moved.push({ key: item.external_id, state: 'skipped', why })
    else records.push(record ?? noRow(item.entry_uid))
  }
  const keys = new Map(items.map(item => [item.entry_uid, item.external_id]))
  const why = { cause: `run ${run.id}`, claimant: run.id, runId: run.id, readAt, approved: plan.allowed_deletes !== null }
  await carry(db, outbound, locale, records, why, async (trx, carried) => {
    const left = leftAlone(carried, keys)
    await settleItems(trx, plan.id, [...moved, ...left, ...done(carried, keys)])
    await tellSkipped(trx, sync, run, items, [...moved, ...left])
    await advanceRun(trx, run, {
      read: items.length,
      written: carried.written.length,
      deleted: carried.deleted.length,
      failed: carried.failed.length,
      skipped: moved.length + left.length
    })
  })
}

/** By uid. What is to be deleted is asked for one by one: a list that leaves one out must not cost its row. */
async function recordsNow(
  db: Db,
  outbound: Outbound,
  stack: StackClient,
  locale: string,
  items: readonly ItemRow[]
): Promise<Map<string, Current>> {
  const uids = items.filter(item => item.step !== 'delete').map(item => item.entry_uid)
  const found = await readCurrents(db, outbound, stack, uids, locale)
  for (const item of items) {
    const record = item.step === 'delete' ? await readCurrent(db, outbound, stack, item.entry_uid, locale) : null
    if (record && record.hash !== null) found.set(record.entryUid, record)
  }
  return found
}

async function listed(stack: StackClient, sync: SyncRow, locale: string, query: object) {
  return await stack.entriesPage(sync.content_type, { locale, query, limit: itemsAtOnce })
}

function hasMoved(item: ItemRow, record: Current | undefined): string | null {
  if (item.step === 'delete') return record ? 'The entry is there.' : null
  if (!record) return 'The entry is gone.'
  if (record.hash === item.source_hash) return null
  return record.version === item.expected_version
    ? 'The entry was changed since it was planned.'
    : `Planned for version ${item.expected_version}; it is version ${record.version} now.`
}

function leftAlone(carried: Carried, keys: ReadonlyMap<string, string>): Settled[] {
  const skipped = (uids: readonly string[], why: string): Settled[] =>
    uids.map(uid => ({ key: keys.get(uid) ?? '', state: 'skipped', why }))
  return [
    ...skipped(carried.skipped, 'It was written since it was planned.'),
    ...skipped(carried.busy, 'Somebody else is writing it.'),
    ...skipped(carried.parked, overBrake)
  ]
}

function done(carried: Carried, keys: ReadonlyMap<string, string>): Settled[] {
  return [
    ...[...carried.written, ...carried.deleted].map((uid): Settled => ({ key: keys.get(uid) ?? '', state: 'done' })),
    ...carried.failed.map(({ entryUid, error }): Settled => ({ key: keys.get(entryUid) ?? '', state: 'failed', why: error }))
  ]
}

/** Everything still pending is skipped for this reason: the run has come to its end. */
export async function skipRest(db: Db, sync: SyncRow, run: RunRow, why = changed): Promise<void> {
  const { plan_id: planId } = run
  if (planId === null) return
  for (;;) {
    const items = await pendingItems(db, planId, { limit: 500 })
    if (items.length === 0) return
    const skipped = items.map((item): Settled => ({ key: item.external_id, state: 'skipped', why }))
    await db.transaction().execute(async trx => {
      await settleItems(trx, planId, skipped)
      await tellSkipped(trx, sync, run, items, skipped)
      await advanceRun(trx, run, { ...noCounters(), read: items.length, skipped: items.length })
    })
  }
}

/** What is written goes the way of every run; deletes only where a person allowed them. Throws as runInbound does. */
export async function applyInbound(db: Db, inbound: Inbound, run: RunRow, plan: PlanRow, until: number): Promise<Turn> {
  if (plan.creates + plan.updates > 0) {
    const outcome = await runInbound(db, { ...inbound, plan: chooserOf(db, inbound, run, plan) }, run, until)
    if (outcome !== 'done') return outcome
  }
  if (plan.deletes === 0) return 'done'
  if (plan.allowed_deletes === null && brake(await deletesOf(db, inbound.sync, plan.deletes)) !== null) {
    await skipRest(db, inbound.sync, run, overBrake)
    return 'done'
  }
  return (await removePlanned(db, await openWork(inbound, run), plan, until)) ? 'done' : 'slice'
}

function chooserOf(db: Db, { stack, sync, locale }: Pick<Inbound, 'stack' | 'sync' | 'locale'>, run: RunRow, plan: PlanRow): Chooser {
  return {
    from: plan.checkpoint_json === null ? null : (JSON.parse(plan.checkpoint_json) as { from: string | null }).from,
    async choose(todo) {
      const items = await pendingItems(db, plan.id, { keys: todo.map(({ key }) => key) })
      const entries = await targetsOf(stack, sync, locale, items)
      const links = await findLinks(
        db,
        sync,
        locale,
        items.map(item => item.external_id)
      )
      const chosen: (typeof todo)[number][] = []
      const moved: Settled[] = []
      for (const item of items) {
        const one = todo.find(({ key }) => key === item.external_id)!
        const entry = entries.get(item.external_id)
        const skip = (why: string): number => moved.push({ key: item.external_id, state: 'skipped', why })
        if (one.hash !== item.source_hash) skip('The record was changed at its source since it was planned.')
        else if (entry && item.expected_version === null) skip('An entry holds this key by now.')
        else if (!entry && item.expected_version !== null) skip('The entry is gone.')
        else if (entry && entry._version !== item.expected_version)
          skip(`Planned for version ${item.expected_version}; it is version ${entry._version} now.`)
        else chosen.push({ ...one, link: links.get(item.external_id) })
      }
      if (moved.length > 0)
        await db.transaction().execute(async trx => {
          await settleItems(trx, plan.id, moved)
          await tellSkipped(trx, sync, run, items, moved)
          await advanceRun(trx, run, { ...noCounters(), read: moved.length, skipped: moved.length })
        })
      return { todo: chosen, entries }
    }
  }
}

/** The entries that the items are about, by external id: those planned for by their uid, the others by the key they may hold. */
export async function targetsOf(
  stack: StackClient,
  sync: SyncRow,
  locale: string,
  items: readonly Pick<ItemRow, 'external_id' | 'entry_uid'>[]
): Promise<Map<string, Entry>> {
  const { externalIdField } = inboundOptions(sync)
  const targets = new Map<string, Entry>()
  for (let from = 0; from < items.length; from += recordsAtOnce) {
    const part = items.slice(from, from + recordsAtOnce)
    const keyOf = new Map(part.filter(item => item.entry_uid !== '').map(item => [item.entry_uid, item.external_id]))
    const keys = part.filter(item => item.entry_uid === '').map(item => item.external_id)
    const byUid = keyOf.size === 0 ? [] : (await listed(stack, sync, locale, { uid: { $in: [...keyOf.keys()] } })).entries
    const byKey = keys.length === 0 ? [] : (await listed(stack, sync, locale, { [externalIdField]: { $in: keys } })).entries
    for (const entry of byUid) targets.set(keyOf.get(entry.uid) ?? '', entry)
    for (const entry of byKey) {
      const key = entry[externalIdField]
      // Without upper and lower case a query may find more than it was asked for.
      if (typeof key === 'string' && keys.includes(key)) targets.set(key, entry)
    }
  }
  return targets
}
