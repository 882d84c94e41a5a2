// Plans as rows: what a sync means to write, kept until a person applies or discards it. A dry run makes one, and so does the
// brake of what it stops. What is unchanged is counted, not kept. Making: dry-run.ts; carrying out: apply.ts.
//
//   making -> ready       the dry run has seen everything
//   making -> failed      it could not go on
//   ready -> applying     by a person; the run that carries it out is its own
//   applying -> applied   that run has ended, whatever became of each record
//   ready -> stale        the sync was changed since, or the plan is past its time
//   ready -> discarded    by a person
import { raiseAlert } from '../alerts/alert.ts'
import { type Actor, appendAudit } from '../audit/audit.ts'
import type { Db } from '../database/database.ts'
import { newId } from '../database/id.ts'
import type { Row } from '../database/schema.ts'
import { AppError } from '../errors.ts'
import { enqueue } from '../jobs/queue.ts'
import type { Vault } from '../vault/vault.ts'
import { brake, deletesOf } from './brake.ts'
import type { FieldDiff } from './diff.ts'
import { type Recorded, recordOutcomes } from './run-log.ts'
import { type RunRow, runKey, startRun } from './runs.ts'
import { inboundOptions, getSync, syncObject, type SyncRow } from './sync.ts'

export type PlanRow = Row<'plan'>
export type ItemRow = Row<'plan_item'>

export interface NewItem {
  key: string
  /** '' for a row at the destination that no entry stands behind. */
  locale: string
  entryUid: string
  step: ItemRow['step']
  expectedVersion: number | null
  sourceHash: string
  diff: FieldDiff[] | null
  why?: string
}

export const planJobKind = 'sync.plan'
/** What people look at goes stale sooner than what waits for them. */
const hoursToLive = { 'dry-run': 24, brake: 7 * 24, drift: 7 * 24 } as const
const rowsPerStatement = 500

/** In the caller's transaction. A plan under way is taken again: two dry runs of one sync would say the same. */
export async function startDryRun(
  db: Db,
  deps: { vault: Vault },
  input: { installationId: string; syncId: string; actor: Actor }
): Promise<PlanRow> {
  return await db.transaction().execute(async trx => {
    const sync = await getSync(trx, { installationId: input.installationId, id: input.syncId })
    if (sync.state === 'paused') throw new AppError('conflict', `${sync.name} is paused.`, { remedy: 'Resume it first.' })
    if (sync.direction === 'inbound' && inboundOptions(sync).localeColumn !== undefined)
      throw new AppError('conflict', `${sync.name} writes several locales of one record, which a plan cannot tell apart.`, {
        remedy: 'Preview it on a few records instead.'
      })
    await lockSync(trx, sync)
    const under = await openPlan(trx, sync, 'dry-run', 'making')
    if (under) return under
    const plan = await newPlan(trx, sync, { kind: 'dry-run', status: 'making', reason: '', madeBy: input.actor.name })
    await enqueue(trx, {
      kind: planJobKind,
      lane: 'backfill',
      payload: { planId: plan.id },
      // Runs write what it looks at: one after the other.
      key: runKey(sync.id),
      group: sync.installation_id,
      uniqueKey: `plan:${plan.id}`
    })
    await appendAudit(trx, deps.vault, {
      organizationId: sync.organization_id,
      installationId: sync.installation_id,
      actor: input.actor,
      action: 'plan.make',
      object: syncObject(sync),
      detail: { plan: plan.id }
    })
    return plan
  })
}

export async function newPlan(
  trx: Db,
  sync: SyncRow,
  { kind, status, reason, madeBy }: Pick<PlanRow, 'kind' | 'status' | 'reason'> & { madeBy: string }
): Promise<PlanRow> {
  const now = Date.now()
  const plan: PlanRow = {
    id: newId('pln'),
    organization_id: sync.organization_id,
    sync_id: sync.id,
    kind,
    status,
    reason,
    made_by: madeBy,
    sync_revision: sync.revision,
    checkpoint_json: null,
    total: null,
    read: 0,
    creates: 0,
    updates: 0,
    deletes: 0,
    failures: 0,
    skips: 0,
    allowed_deletes: null,
    run_id: null,
    error: null,
    created_at: now,
    ready_at: status === 'ready' ? now : null,
    expires_at: now + hoursToLive[kind] * 3_600_000
  }
  await trx.insertInto('plan').values(plan).execute()
  return plan
}

/** What is in the plan already stays as it was planned first. Counts what came in. */
export async function addItems(trx: Db, plan: Pick<PlanRow, 'id' | 'organization_id'>, items: readonly NewItem[]): Promise<void> {
  const added: ItemRow['step'][] = []
  for (let from = 0; from < items.length; from += rowsPerStatement) {
    const rows = await trx
      .insertInto('plan_item')
      .values(
        items.slice(from, from + rowsPerStatement).map(item => ({
          plan_id: plan.id,
          external_id: item.key,
          organization_id: plan.organization_id,
          locale: item.locale,
          entry_uid: item.entryUid,
          step: item.step,
          expected_version: item.expectedVersion,
          source_hash: item.sourceHash,
          diff_json: item.diff === null ? null : JSON.stringify(item.diff),
          state: 'pending' as const,
          why: item.why ?? null
        }))
      )
      .onConflict(conflict => conflict.columns(['plan_id', 'external_id']).doNothing())
      .returning('step')
      .execute()
    added.push(...rows.map(row => row.step))
  }
  if (added.length === 0) return
  const of = (step: ItemRow['step']): number => added.filter(one => one === step).length
  await trx
    .updateTable('plan')
    .set(eb => ({
      creates: eb('creates', '+', of('create')),
      updates: eb('updates', '+', of('update')),
      deletes: eb('deletes', '+', of('delete')),
      failures: eb('failures', '+', of('fail'))
    }))
    .where('id', '=', plan.id)
    .execute()
}

/** Deletes that the brake stopped wait in one plan per sync, whoever met them; what waits there already is not told twice. */
export async function parkDeletes(
  trx: Db,
  sync: SyncRow,
  of: { runId: string | null; cause: string },
  items: readonly NewItem[],
  reason?: string
): Promise<PlanRow | undefined> {
  if (items.length === 0) return undefined
  // Two that park at once meet at this row.
  await lockSync(trx, sync)
  const said = reason ?? 'More records would be deleted within a day than a sync deletes by itself.'
  const plan = (await openPlan(trx, sync, 'brake', 'ready')) ?? (await askPerson(trx, sync, said, of.cause))
  const known = new Set<string>()
  for (let from = 0; from < items.length; from += rowsPerStatement) {
    const keys = items.slice(from, from + rowsPerStatement).map(item => item.key)
    const rows = await trx
      .selectFrom('plan_item')
      .select('external_id')
      .where('plan_id', '=', plan.id)
      .where('external_id', 'in', keys)
      .execute()
    for (const row of rows) known.add(row.external_id)
  }
  const fresh = items.filter(item => !known.has(item.key))
  await addItems(trx, plan, fresh)
  await recordOutcomes(
    trx,
    sync,
    of,
    fresh.map(({ key, entryUid, locale }) => ({
      key,
      entryUid,
      locale,
      outcome: 'parked',
      why: `Its deletion waits for a person: ${plan.id}.`
    }))
  )
  return plan
}

/** The admins are told once for each plan, not for each of its deletes. */
async function askPerson(trx: Db, sync: SyncRow, reason: string, cause: string): Promise<PlanRow> {
  const plan = await newPlan(trx, sync, { kind: 'brake', status: 'ready', reason, madeBy: cause })
  await raiseAlert(trx, {
    organizationId: sync.organization_id,
    installationId: sync.installation_id,
    kind: 'sync.deletes',
    title: `${sync.name} asks before it deletes`,
    text: `${reason} They wait in the plan ${plan.id} on the page of the sync: an admin allows or discards them.`,
    links: []
  })
  return plan
}

/** The plan in which deletes of this sync wait for a person. */
export async function waitingDeletes(db: Db, sync: SyncRow): Promise<PlanRow | undefined> {
  const plan = await openPlan(db, sync, 'brake', 'ready')
  return plan && plan.deletes > 0 ? plan : undefined
}

export function asksPerson({ deletes, id }: PlanRow, said: string): string {
  return `${said} ${deletes === 1 ? 'One delete waits' : `${deletes} deletes wait`} in the plan ${id}: look at it, then apply or discard it.`
}

async function openPlan(db: Db, sync: SyncRow, kind: PlanRow['kind'], status: PlanRow['status']): Promise<PlanRow | undefined> {
  return await db
    .selectFrom('plan')
    .selectAll()
    .where('sync_id', '=', sync.id)
    .where('status', '=', status)
    .where('kind', '=', kind)
    .where('sync_revision', '=', sync.revision)
    .where('expires_at', '>', Date.now())
    .orderBy('id', 'desc')
    .executeTakeFirst()
}

async function lockSync(trx: Db, sync: SyncRow): Promise<void> {
  await trx.updateTable('sync').set({ updated_at: Date.now() }).where('id', '=', sync.id).execute()
}

/** AppError not_found, also for another installation's. */
export async function getPlan(db: Db, of: { installationId: string; id: string }): Promise<{ plan: PlanRow; sync: SyncRow }> {
  const plan = await findPlan(db, of.id)
  const sync = plan && (await db.selectFrom('sync').selectAll().where('id', '=', plan.sync_id).executeTakeFirst())
  if (!plan || sync?.installation_id !== of.installationId) throw new AppError('not_found', `There is no plan ${of.id}`)
  return { plan, sync }
}

export async function findPlan(db: Db, id: string): Promise<PlanRow | undefined> {
  return await db.selectFrom('plan').selectAll().where('id', '=', id).executeTakeFirst()
}

/** As it stands now: a plan that waits may have been overtaken by its sync or by time. */
export function standing(plan: PlanRow, sync: Pick<SyncRow, 'revision'>): PlanRow['status'] {
  return plan.status === 'ready' && (plan.sync_revision !== sync.revision || plan.expires_at <= Date.now()) ? 'stale' : plan.status
}

/**
 * Begins the run that carries out exactly this plan. `allowDeletes` is a person's word for this very plan, once, and must be the
 * count of its deletes. AppError conflict: not ready, stale, a run under way, or the brake asks.
 */
export async function applyPlan(
  db: Db,
  deps: { vault: Vault },
  input: { installationId: string; id: string; actor: Actor; allowDeletes?: number | undefined }
): Promise<RunRow> {
  const { actor, allowDeletes } = input
  return await db.transaction().execute(async trx => {
    const { sync } = await getPlan(trx, input)
    await lockSync(trx, sync)
    const { plan } = await getPlan(trx, input)
    const now = standing(plan, sync)
    if (now === 'stale')
      throw new AppError('conflict', 'This plan is stale: its sync was changed since, or it is too old.', { remedy: 'Make a new one.' })
    if (now !== 'ready') throw new AppError('conflict', `This plan is ${now}; it is applied once.`, { remedy: 'Make a new one.' })
    const asked = plan.reason === '' ? brake(await deletesOf(trx, sync, plan.deletes)) : plan.reason
    if (allowDeletes !== undefined && allowDeletes !== plan.deletes)
      throw new AppError('conflict', `This plan holds ${plan.deletes} deletes, not ${allowDeletes}.`, {
        remedy: 'Look at it again, then allow the number that it holds.'
      })
    if (plan.deletes > 0 && asked !== null && allowDeletes === undefined)
      throw new AppError('conflict', asked, { remedy: `If that is meant, allow its ${plan.deletes} deletes.` })
    const items = plan.creates + plan.updates + plan.deletes + plan.failures
    const run = await startRun(trx, { sync, cause: 'person', causedBy: actor.name, plan: { id: plan.id, items } })
    await trx
      .updateTable('plan')
      .set({ status: 'applying', run_id: run.id, allowed_deletes: allowDeletes ?? null })
      .where('id', '=', plan.id)
      .execute()
    await appendAudit(trx, deps.vault, {
      organizationId: sync.organization_id,
      installationId: sync.installation_id,
      actor,
      action: allowDeletes === undefined ? 'plan.apply' : 'plan.allow',
      object: syncObject(sync),
      detail: { plan: plan.id, run: run.id, creates: plan.creates, updates: plan.updates, deletes: plan.deletes }
    })
    return run
  })
}

/** A plan that is no longer waiting stays as it is. AppError not_found, conflict while it is carried out. */
export async function discardPlan(
  db: Db,
  deps: { vault: Vault },
  input: { installationId: string; id: string; actor: Actor }
): Promise<void> {
  await db.transaction().execute(async trx => {
    const { plan, sync } = await getPlan(trx, input)
    const done = await trx
      .updateTable('plan')
      .set({ status: 'discarded' })
      .where('id', '=', plan.id)
      .where('status', 'in', ['making', 'ready'])
      .executeTakeFirst()
    if (done.numUpdatedRows === 0n) {
      if (plan.status === 'discarded') return
      throw new AppError('conflict', `This plan is ${plan.status}.`)
    }
    await appendAudit(trx, deps.vault, {
      organizationId: sync.organization_id,
      installationId: sync.installation_id,
      actor: input.actor,
      action: 'plan.discard',
      object: syncObject(sync),
      detail: { plan: plan.id }
    })
  })
}

export interface Settled {
  key: string
  state: Exclude<ItemRow['state'], 'pending'>
  why?: string | null
}

/** In the transaction that counts them. */
export async function settleItems(trx: Db, planId: string, settled: readonly Settled[]): Promise<void> {
  const alike = new Map<string, Settled[]>()
  for (const one of settled) {
    const key = `${one.state} ${one.why ?? ''}`
    alike.set(key, [...(alike.get(key) ?? []), one])
  }
  for (const group of alike.values()) {
    await trx
      .updateTable('plan_item')
      .set({ state: group[0]!.state, why: group[0]!.why ?? null })
      .where('plan_id', '=', planId)
      .where(
        'external_id',
        'in',
        group.map(({ key }) => key)
      )
      .execute()
  }
}

/** What is still to be carried out, by key; at most `limit`. */
export async function pendingItems(db: Db, planId: string, of: { keys: readonly string[] } | { limit: number }): Promise<ItemRow[]> {
  const query = db.selectFrom('plan_item').selectAll().where('plan_id', '=', planId).where('state', '=', 'pending').orderBy('external_id')
  return await ('keys' in of ? query.where('external_id', 'in', [...of.keys]) : query.limit(of.limit)).execute()
}

/** One line of the run log for each, with its reason. */
export async function tellSkipped(
  trx: Db,
  sync: SyncRow,
  run: RunRow,
  items: readonly ItemRow[],
  skipped: readonly Settled[]
): Promise<void> {
  const whys = new Map(skipped.map(({ key, why }) => [key, why]))
  const told = items.filter(item => whys.has(item.external_id))
  await recordOutcomes(
    trx,
    sync,
    { runId: run.id, cause: `run ${run.id}` },
    told.map(
      (item): Recorded => ({
        key: item.external_id,
        entryUid: item.entry_uid,
        locale: item.locale,
        outcome: 'skipped',
        why: whys.get(item.external_id) ?? null
      })
    )
  )
}
