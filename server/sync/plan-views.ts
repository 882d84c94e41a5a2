// Plans, their items and comparisons as doors show them, in the shapes of http/contract/stack.ts, which this room does not import.
import type { Db } from '../database/database.ts'
import type { FieldDiff } from './diff.ts'
import type { DriftRow } from './drift.ts'
import { getPlan, type ItemRow, type PlanRow, standing } from './plans.ts'
import { getSync, type SyncRow } from './sync.ts'

export interface PlanView {
  id: string
  syncId: string
  syncName: string
  kind: PlanRow['kind']
  status: PlanRow['status']
  reason: string
  madeBy: string
  total: number | null
  read: number
  creates: number
  updates: number
  deletes: number
  failures: number
  skips: number
  runId: string | null
  error: string | null
  createdAt: number
  readyAt: number | null
  expiresAt: number
}

export interface PlanItemView {
  key: string
  locale: string
  entryUid: string
  step: ItemRow['step']
  expectedVersion: number | null
  diff: FieldDiff[] | null
  state: ItemRow['state']
  why: string | null
}

export interface DriftView {
  id: string
  syncId: string
  status: DriftRow['status']
  cause: string
  repair: boolean
  listed: number
  compared: number
  missing: number
  stale: number
  extra: number
  byId: number
  repaired: number
  planId: string | null
  error: string | null
  createdAt: number
  finishedAt: number | null
}

export function planView(plan: PlanRow, sync: SyncRow): PlanView {
  return {
    id: plan.id,
    syncId: plan.sync_id,
    syncName: sync.name,
    kind: plan.kind,
    status: standing(plan, sync),
    reason: plan.reason,
    madeBy: plan.made_by,
    total: plan.total,
    read: plan.read,
    creates: plan.creates,
    updates: plan.updates,
    deletes: plan.deletes,
    failures: plan.failures,
    skips: plan.skips,
    runId: plan.run_id,
    error: plan.error,
    createdAt: plan.created_at,
    readyAt: plan.ready_at,
    expiresAt: plan.expires_at
  }
}

/** The latest of one sync. AppError not_found. */
export async function plansOf(db: Db, of: { installationId: string; syncId: string }, limit = 20): Promise<PlanView[]> {
  const sync = await getSync(db, { installationId: of.installationId, id: of.syncId })
  const plans = await db.selectFrom('plan').selectAll().where('sync_id', '=', sync.id).orderBy('id', 'desc').limit(limit).execute()
  return plans.map(plan => planView(plan, sync))
}

/** By key, behind `after`. AppError not_found. */
export async function planItems(
  db: Db,
  of: { installationId: string; id: string; step?: ItemRow['step'] | undefined; after?: string | undefined },
  limit = 50
): Promise<{ items: PlanItemView[]; next: string | null }> {
  const { plan } = await getPlan(db, of)
  let query = db
    .selectFrom('plan_item')
    .selectAll()
    .where('plan_id', '=', plan.id)
    .where('external_id', '>', of.after ?? '')
    .orderBy('external_id')
    .limit(limit + 1)
  if (of.step !== undefined) query = query.where('step', '=', of.step)
  const rows = await query.execute()
  const items = rows.slice(0, limit).map(row => ({
    key: row.external_id,
    locale: row.locale,
    entryUid: row.entry_uid,
    step: row.step,
    expectedVersion: row.expected_version,
    diff: row.diff_json === null ? null : (JSON.parse(row.diff_json) as FieldDiff[]),
    state: row.state,
    why: row.why
  }))
  return { items, next: rows.length > limit ? (items.at(-1)?.key ?? null) : null }
}

export function driftView(drift: DriftRow): DriftView {
  return {
    id: drift.id,
    syncId: drift.sync_id,
    status: drift.status,
    cause: drift.cause,
    repair: drift.repair === 1,
    listed: drift.listed,
    compared: drift.compared,
    missing: drift.missing,
    stale: drift.stale,
    extra: drift.extra,
    byId: drift.by_id,
    repaired: drift.repaired,
    planId: drift.plan_id,
    error: drift.error,
    createdAt: drift.created_at,
    finishedAt: drift.finished_at
  }
}
