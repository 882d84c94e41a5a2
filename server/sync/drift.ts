// Drift: both sides compared without webhooks, by key and fingerprint (engine.md §9). One side is listed in whatever order it
// gives and staged; links are then walked against it, so that a million records need no more memory than a thousand. Records
// written during the comparison are left out of it. Any failure begins the comparison anew: a listing cannot be resumed.
//
//   queued -> running -> done | failed
//
//   outbound   the destination against the links: missing, stale, and extra rows that no link stands behind
//   inbound    the stack against the links: entries that people deleted (missing) or whose mapped fields they changed (stale);
//              extra are entries that no record stands behind, which are nobody's fault and only counted
import { type Actor, appendAudit } from '../audit/audit.ts'
import { databaseNow } from '../database/clock.ts'
import type { Db } from '../database/database.ts'
import { newId } from '../database/id.ts'
import type { Row } from '../database/schema.ts'
import { AppError } from '../errors.ts'
import { enqueue } from '../jobs/queue.ts'
import { nextRunOf, rhythmOf, schedule, unschedule } from '../jobs/scheduler.ts'
import type { Vault } from '../vault/vault.ts'
import type { LinkRow } from './links.ts'
import { addItems, newPlan, type NewItem } from './plans.ts'
import { enqueueRecords } from './record-jobs.ts'
import { startRun } from './runs.ts'
import { dropStaged, linksAfter, stage, type StagedKey, stagedAmong, stagedPage, unstage } from './staging.ts'
import { getSync, syncObject, type SyncRow } from './sync.ts'

export type DriftRow = Row<'drift'>

export const driftJobKind = 'sync.drift'
export const driftTimerKind = 'sync.drift.schedule'
export const driftScheduleId = (syncId: string): string => `drift:${syncId}`

/** What is compared with the links of one sync. */
export interface Side {
  list(): AsyncIterable<StagedKey[]>
  /** '' = the link has no counterpart to look for. */
  keyOf(link: LinkRow): string
  /** '' = unknown. */
  fingerprintOf(link: LinkRow): string
  /** Of links whose fingerprints differ those that are really stale. */
  confirm(links: LinkRow[]): Promise<LinkRow[]>
}

/** The comparison under way where there is one. In the caller's transaction. AppError conflict for a paused sync. */
export async function startDrift(trx: Db, sync: SyncRow, of: { cause: string; repair: boolean }): Promise<DriftRow> {
  if (sync.state === 'paused') throw new AppError('conflict', `${sync.name} is paused.`, { remedy: 'Resume it first.' })
  // Two starts at once meet at this row.
  await trx.updateTable('sync').set({ updated_at: Date.now() }).where('id', '=', sync.id).execute()
  const under = await trx
    .selectFrom('drift')
    .selectAll()
    .where('sync_id', '=', sync.id)
    .where('status', 'in', ['queued', 'running'])
    .executeTakeFirst()
  if (under) return under
  const drift: DriftRow = {
    id: newId('drf'),
    organization_id: sync.organization_id,
    sync_id: sync.id,
    status: 'queued',
    cause: of.cause,
    repair: of.repair ? 1 : 0,
    ...nothing(),
    plan_id: null,
    error: null,
    created_at: Date.now(),
    started_at: null,
    finished_at: null
  }
  await trx.insertInto('drift').values(drift).execute()
  await enqueue(trx, {
    kind: driftJobKind,
    lane: 'backfill',
    payload: { driftId: drift.id },
    key: driftScheduleId(sync.id),
    group: sync.installation_id,
    uniqueKey: drift.id
  })
  return drift
}

/** A person's start: the comparison and its audit event. AppError not_found, conflict. */
export async function startDriftBy(
  db: Db,
  deps: { vault: Vault },
  input: { installationId: string; syncId: string; actor: Actor; repair: boolean }
): Promise<DriftRow> {
  return await db.transaction().execute(async trx => {
    const sync = await getSync(trx, { installationId: input.installationId, id: input.syncId })
    const drift = await startDrift(trx, sync, { cause: `person ${input.actor.name}`, repair: input.repair })
    await appendAudit(trx, deps.vault, {
      organizationId: sync.organization_id,
      installationId: sync.installation_id,
      actor: input.actor,
      action: 'drift.start',
      object: syncObject(sync),
      detail: { drift: drift.id, repair: input.repair }
    })
    return drift
  })
}

/** null takes the rhythm away. AppError invalid for one that cannot be read. */
export async function scheduleDrift(
  db: Db,
  deps: { vault: Vault },
  input: {
    installationId: string
    syncId: string
    actor: Actor
    rhythm: { cron: string; timeZone: string; repair: boolean } | null
  }
): Promise<void> {
  const { rhythm } = input
  await db.transaction().execute(async trx => {
    const sync = await getSync(trx, { installationId: input.installationId, id: input.syncId })
    const id = driftScheduleId(sync.id)
    if (rhythm === null) await unschedule(trx, id)
    else {
      const payload = { syncId: sync.id, repair: rhythm.repair }
      const job = { kind: driftTimerKind, lane: 'backfill' as const, payload, group: sync.installation_id }
      await schedule(trx, { id, organizationId: sync.organization_id, cron: rhythm.cron, timeZone: rhythm.timeZone, job })
    }
    await appendAudit(trx, deps.vault, {
      organizationId: sync.organization_id,
      installationId: sync.installation_id,
      actor: input.actor,
      action: 'drift.schedule',
      object: syncObject(sync),
      detail: { rhythm }
    })
  })
}

/** By which clock a sync is compared, and when next. AppError not_found for a sync of another installation. */
export async function driftRhythmOf(
  db: Db,
  asked: { installationId: string; syncId: string }
): Promise<{ schedule: { cron: string; timeZone: string; repair: boolean } | null; nextAt: number | null }> {
  const sync = await getSync(db, { installationId: asked.installationId, id: asked.syncId })
  const id = driftScheduleId(sync.id)
  const rhythm = await rhythmOf(db, id)
  if (rhythm === null) return { schedule: null, nextAt: null }
  const { repair } = rhythm.payload as { repair: boolean }
  return { schedule: { cron: rhythm.cron, timeZone: rhythm.timeZone, repair }, nextAt: await nextRunOf(db, id) }
}

/** Newest first. */
export async function driftsOf(db: Db, sync: SyncRow, limit = 20): Promise<DriftRow[]> {
  return await db.selectFrom('drift').selectAll().where('sync_id', '=', sync.id).orderBy('id', 'desc').limit(limit).execute()
}

/** Throws what side and database throw; then nothing of it counts, and the next try begins anew. */
export async function compare(db: Db, sync: SyncRow, side: Side, drift: DriftRow, signal: AbortSignal): Promise<void> {
  await dropStaged(db, drift.id)
  const startedAt = await databaseNow(db)
  const count = nothing()
  for await (const keys of side.list()) {
    signal.throwIfAborted()
    await db.transaction().execute(trx => stage(trx, drift, keys))
    count.listed += keys.length
  }
  for await (const links of linksAfter(db, sync, null, signal)) {
    const found = await compareLinks(db, side, drift.id, links, startedAt)
    const wrong = [...found.missing, ...found.stale]
    count.compared += found.compared
    count.by_id += found.byId
    count.missing += found.missing.length
    count.stale += found.stale.length
    count.repaired += drift.repair === 1 ? wrong.length : 0
    await db.transaction().execute(async trx => {
      await unstage(trx, drift.id, found.accounted)
      if (drift.repair === 1 && wrong.length > 0) await repair(trx, sync, drift, wrong)
      await trx.updateTable('drift').set(count).where('id', '=', drift.id).execute()
    })
  }
  const planId = await planExtras(db, sync, drift, count, signal)
  await db.transaction().execute(async trx => {
    if (sync.direction === 'inbound' && count.repaired > 0) await startRun(trx, { sync, cause: 'reconcile', causedBy: `drift ${drift.id}` })
    await trx
      .updateTable('drift')
      .set({ ...count, status: 'done', plan_id: planId, error: null, finished_at: Date.now() })
      .where('id', '=', drift.id)
      .execute()
  })
  await dropStaged(db, drift.id)
}

const nothing = () => ({ listed: 0, compared: 0, missing: 0, stale: 0, extra: 0, by_id: 0, repaired: 0 })

interface Found {
  compared: number
  byId: number
  missing: LinkRow[]
  stale: LinkRow[]
  /** Keys that a link stands behind. */
  accounted: string[]
}

async function compareLinks(db: Db, side: Side, driftId: string, links: LinkRow[], startedAt: number): Promise<Found> {
  const staged = await stagedAmong(db, driftId, links.map(side.keyOf))
  const now = await databaseNow(db)
  const found: Found = { compared: 0, byId: 0, missing: [], stale: [], accounted: [] }
  const differing: LinkRow[] = []
  for (const link of links) {
    const key = side.keyOf(link)
    const moving = link.synced_at >= startedAt || (link.claim_until !== null && link.claim_until > now)
    // A tombstone accounts for nothing: what still stands there is extra.
    if (key === '' || (link.status === 'deleted' && !moving)) continue
    found.accounted.push(key)
    // What failed is known to be wrong, and what moves is looked after by whoever moves it.
    if (moving || link.status !== 'synced') continue
    found.compared += 1
    const there = staged.get(key)
    if (there === undefined) found.missing.push(link)
    else if (there === '' || side.fingerprintOf(link) === '') found.byId += 1
    else if (there !== side.fingerprintOf(link)) differing.push(link)
  }
  found.stale = differing.length > 0 ? await side.confirm(differing) : []
  return found
}

/** Outbound through the queue, as if a person had asked for each; inbound by a run that finds them changed. */
async function repair(trx: Db, sync: SyncRow, drift: DriftRow, links: readonly LinkRow[]): Promise<void> {
  if (sync.direction === 'outbound') {
    const records = links.map(link => ({ entryUid: link.entry_uid, locale: link.locale }))
    await enqueueRecords(trx, sync, records, { lane: 'backfill', cause: `drift ${drift.id}`, force: true })
    return
  }
  for (const locale of new Set(links.map(link => link.locale)))
    await trx
      .updateTable('link')
      .set({ source_hash: '' })
      .where('link_set_id', '=', sync.link_set_id)
      .where('branch', '=', sync.branch)
      .where('locale', '=', locale)
      .where(
        'external_id',
        'in',
        links.filter(link => link.locale === locale).map(link => link.external_id)
      )
      .execute()
}

/** What is still staged. Rows at a destination wait in a plan for a person; the older plans of the kind say no longer what is. */
async function planExtras(
  db: Db,
  sync: SyncRow,
  drift: DriftRow,
  count: ReturnType<typeof nothing>,
  signal: AbortSignal
): Promise<string | null> {
  let planId: string | null = null
  let after = ''
  for (;;) {
    signal.throwIfAborted()
    const rows = await stagedPage(db, drift.id, after)
    const last = rows.at(-1)
    if (!last) break
    after = last.external_id
    count.extra += rows.length
    if (sync.direction === 'inbound') continue
    planId = await db.transaction().execute(async trx => {
      const plan = planId === null ? await planOfExtras(trx, sync, drift) : { id: planId, organization_id: sync.organization_id }
      await addItems(
        trx,
        plan,
        rows.map(row => itemOf(row.external_id))
      )
      return plan.id
    })
  }
  if (planId !== null) {
    const ready = {
      status: 'ready' as const,
      ready_at: Date.now(),
      reason: `${count.extra} rows stand at the destination that no record stands behind.`
    }
    await db.updateTable('plan').set(ready).where('id', '=', planId).execute()
  }
  return planId
}

async function planOfExtras(trx: Db, sync: SyncRow, drift: DriftRow) {
  await trx
    .updateTable('plan')
    .set({ status: 'stale' })
    .where('sync_id', '=', sync.id)
    .where('kind', '=', 'drift')
    .where('status', 'in', ['making', 'ready'])
    .execute()
  return await newPlan(trx, sync, { kind: 'drift', status: 'making', reason: '', madeBy: `drift ${drift.id}` })
}

/** Our keys are `${entry}:${locale}`; a row that somebody else put there has any key at all. */
function itemOf(key: string): NewItem {
  const colon = key.lastIndexOf(':')
  const [entryUid, locale] = colon > 0 ? [key.slice(0, colon), key.slice(colon + 1)] : ['', '']
  return { key, locale, entryUid, step: 'delete', expectedVersion: null, sourceHash: '', diff: null }
}
