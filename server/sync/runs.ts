// A run: one execution of a sync, resumable at its checkpoint. Counters and checkpoint move in the transaction that keeps what
// they count, and only while the run is `running` at the checkpoint it was read at, so that of two processes that both believe
// to have it, one stops.
//
//   queued -> running -> success | partial (records stand aside) | failed (the whole could not go on)
//   queued, running -> paused      with its sync; -> queued again from the beginning when the sync is resumed
//   queued, running -> cancelled   by a person
import { sql } from 'kysely'
import { type Actor, appendAudit } from '../audit/audit.ts'
import type { Db } from '../database/database.ts'
import { newId } from '../database/id.ts'
import type { Row } from '../database/schema.ts'
import { AppError } from '../errors.ts'
import { cancelJobs, enqueue } from '../jobs/queue.ts'
import type { Vault } from '../vault/vault.ts'
import { getConnection, requireSecrets } from './connections.ts'

export type RunRow = Row<'run'>

export interface Counters {
  read: number
  written: number
  skipped: number
  failed: number
  deleted: number
}
export const noCounters = (): Counters => ({ read: 0, written: 0, skipped: 0, failed: 0, deleted: 0 })

export const runJobKind = 'sync.run'
export const scheduleJobKind = 'sync.schedule'
/** With the queue's growing pauses: half an hour of an unreachable destination. */
export const runAttempts = 10
/** Runs of one sync go one at a time. */
export const runKey = (syncId: string): string => `run:${syncId}`

interface RunStart {
  sync: Pick<Row<'sync'>, 'id' | 'organization_id' | 'installation_id' | 'state' | 'name'>
  cause: RunRow['cause']
  causedBy: string
  /** What it is to carry out; without one it plans page by page as it goes. */
  plan?: { id: string; items: number }
}

/** The run under way where there is one: a sync runs once at a time. AppError conflict for a paused sync, and for a plan then. */
export async function startRun(trx: Db, { sync, cause, causedBy, plan }: RunStart): Promise<RunRow> {
  if (sync.state === 'paused') throw new AppError('conflict', `${sync.name} is paused.`, { remedy: 'Resume it first.' })
  // Two starts at once meet at this row.
  await trx.updateTable('sync').set({ updated_at: Date.now() }).where('id', '=', sync.id).execute()
  const under = await trx
    .selectFrom('run')
    .selectAll()
    .where('sync_id', '=', sync.id)
    .where('status', 'in', ['queued', 'running'])
    // A pushed batch brings what it holds and no more.
    .where('cause', '!=', 'push')
    .orderBy('id', 'desc')
    .executeTakeFirst()
  if (under && plan)
    throw new AppError('conflict', `A run of ${sync.name} is under way.`, { remedy: 'Apply the plan once it has ended, or cancel it.' })
  if (under) return under
  return await insertRun(trx, { sync, cause, causedBy, plan })
}

/** A run of its own for each pushed batch, behind those under way. */
export async function enqueuePushed(trx: Db, sync: RunStart['sync']): Promise<RunRow> {
  return await insertRun(trx, { sync, cause: 'push', causedBy: 'push' })
}

async function insertRun(trx: Db, { sync, cause, causedBy, plan }: RunStart): Promise<RunRow> {
  const run: RunRow = {
    id: newId('run'),
    organization_id: sync.organization_id,
    installation_id: sync.installation_id,
    sync_id: sync.id,
    cause,
    caused_by: causedBy,
    status: 'queued',
    checkpoint_json: null,
    total: plan?.items ?? null,
    plan_id: plan?.id ?? null,
    pace_at: null,
    pace_done: null,
    pace: null,
    ...noCounters(),
    error: null,
    started_at: null,
    finished_at: null,
    created_at: Date.now()
  }
  await trx.insertInto('run').values(run).execute()
  await enqueueRun(trx, run)
  return run
}

/** A person's start: the run and its audit event. AppError conflict also while the sync's connection lacks its secrets. */
export async function startRunBy(
  db: Db,
  deps: { vault: Vault },
  input: { sync: RunStart['sync'] & Pick<Row<'sync'>, 'connection_id'>; actor: Actor }
): Promise<RunRow> {
  const { installation_id: installationId, connection_id: id } = input.sync
  return await db.transaction().execute(async trx => {
    await requireSecrets(trx, deps.vault, await getConnection(trx, { installationId, id }))
    const run = await startRun(trx, { sync: input.sync, cause: 'person', causedBy: input.actor.name })
    await appendAudit(trx, deps.vault, {
      organizationId: run.organization_id,
      installationId: run.installation_id,
      actor: input.actor,
      action: 'run.start',
      object: { kind: 'sync', id: input.sync.id, name: input.sync.name },
      detail: { run: run.id }
    })
    return run
  })
}

/** From the beginning: what changed behind its checkpoint meanwhile would otherwise be missed; what it carried is skipped. */
export async function restartRun(trx: Db, run: RunRow): Promise<void> {
  await trx
    .updateTable('run')
    .set({
      status: 'queued',
      error: null,
      // A plan's items know for themselves which are done.
      ...(run.plan_id === null ? { checkpoint_json: null, ...noCounters(), started_at: null } : {})
    })
    .where('id', '=', run.id)
    .where('status', '=', 'paused')
    .execute()
  await enqueueRun(trx, run)
}

/** A finished run stays as it is. AppError not_found, also for another installation's. */
export async function cancelRun(
  db: Db,
  deps: { vault: Vault },
  input: { installationId: string; id: string; actor: Actor }
): Promise<RunRow> {
  return await db.transaction().execute(async trx => {
    const run = await getRun(trx, input)
    const cancelled = { status: 'cancelled' as const, error: `Cancelled by ${input.actor.name}.`, finished_at: Date.now() }
    const done = await trx
      .updateTable('run')
      .set(cancelled)
      .where('id', '=', run.id)
      .where('status', 'in', ['queued', 'running', 'paused'])
      .executeTakeFirst()
    if (done.numUpdatedRows === 0n) return run
    await endPlan(trx, run.id)
    await cancelJobs(trx, { key: runKey(run.sync_id) })
    await appendAudit(trx, deps.vault, {
      organizationId: run.organization_id,
      installationId: run.installation_id,
      actor: input.actor,
      action: 'run.cancel',
      object: { kind: 'run', id: run.id, name: run.id }
    })
    return { ...run, ...cancelled }
  })
}

export async function getRun(db: Db, of: { installationId: string; id: string }): Promise<RunRow> {
  const run = await findRun(db, of.id)
  if (!run || run.installation_id !== of.installationId) throw new AppError('not_found', `There is no run ${of.id}`)
  return run
}

export async function findRun(db: Db, id: string): Promise<RunRow | undefined> {
  return await db.selectFrom('run').selectAll().where('id', '=', id).executeTakeFirst()
}

/** queued -> running, or running as it was left. undefined when it is over. */
export async function beginRun(db: Db, id: string): Promise<RunRow | undefined> {
  const run = await findRun(db, id)
  if (!run || (run.status !== 'queued' && run.status !== 'running')) return undefined
  const started = { status: 'running' as const, started_at: run.started_at ?? Date.now(), error: null }
  const done = await db.updateTable('run').set(started).where('id', '=', id).where('status', '=', run.status).executeTakeFirst()
  return done.numUpdatedRows > 0n ? { ...run, ...started } : undefined
}

/** The run is no longer ours to move: paused, cancelled, or another process has moved it on. */
export class RunMoved extends Error {
  override readonly name = 'RunMoved'
}

/** Adds to the counters and moves the checkpoint, in the transaction that keeps the work. Throws RunMoved. */
export async function advanceRun(
  trx: Db,
  run: Pick<RunRow, 'id' | 'checkpoint_json'>,
  counters: Counters,
  to?: { checkpoint: string | null; total?: number | null }
): Promise<void> {
  const now = Date.now()
  let query = trx
    .updateTable('run')
    .set(eb => ({
      ...paceOf(now, counters.read),
      read: eb('read', '+', counters.read),
      written: eb('written', '+', counters.written),
      skipped: eb('skipped', '+', counters.skipped),
      failed: eb('failed', '+', counters.failed),
      deleted: eb('deleted', '+', counters.deleted),
      ...(to ? { checkpoint_json: to.checkpoint } : {}),
      ...(to?.total === undefined ? {} : { total: to.total })
    }))
    .where('id', '=', run.id)
    .where('status', '=', 'running')
  query =
    run.checkpoint_json === null ? query.where('checkpoint_json', 'is', null) : query.where('checkpoint_json', '=', run.checkpoint_json)
  const { numUpdatedRows } = await query.executeTakeFirst()
  if (numUpdatedRows === 0n) throw new RunMoved(`run ${run.id} has moved`)
}

/** Of a run under way: its last full stretch, or all of it while there is none. null where too little is known. */
export function paceView(run: RunRow): { perMinute: number | null; remaining: number | null; secondsLeft: number | null } {
  if (run.status !== 'running') return { perMinute: null, remaining: null, secondsLeft: null }
  const minutes = (Date.now() - (run.started_at ?? Date.now())) / 60_000
  const perMinute = run.pace ?? (minutes > 0.1 && run.read > 0 ? Math.round(run.read / minutes) : null)
  const remaining = run.total === null ? null : Math.max(0, run.total - run.read)
  const secondsLeft = remaining === null || !perMinute ? null : Math.ceil((remaining / perMinute) * 60)
  return { perMinute, remaining, secondsLeft }
}

/** Records a minute over stretches of at least 15 s: what a run does now, not what it did on average. */
function paceOf(now: number, read: number) {
  const over = sql<boolean>`${sql.lit(now)} - "pace_at" >= ${sql.lit(paceMilliseconds)}`
  const done = sql<number>`"read" + ${sql.lit(read)}`
  return {
    pace_at: sql<number>`case when "pace_at" is null or ${over} then ${sql.lit(now)} else "pace_at" end`,
    pace_done: sql<number>`case when "pace_at" is null or ${over} then ${done} else "pace_done" end`,
    pace: sql<number | null>`case when ${over} then (${done} - "pace_done") * 60000 / (${sql.lit(now)} - "pace_at") else "pace" end`
  }
}

const paceMilliseconds = 15_000

/** success or partial by its counters; failed when `error` says why. */
export async function finishRun(db: Db, id: string, error: string | null, outcome?: 'partial' | 'failed'): Promise<void> {
  await db
    .updateTable('run')
    .set(eb => ({
      status:
        outcome ??
        eb
          .case()
          .when('failed', '>', 0)
          .then('partial' as const)
          .else('success' as const)
          .end(),
      total: eb.fn.coalesce('total', 'read'),
      error,
      finished_at: Date.now()
    }))
    .where('id', '=', id)
    .where('status', 'in', ['queued', 'running'])
    .execute()
  await endPlan(db, id)
}

/** A plan is applied once, whatever became of its run. */
async function endPlan(db: Db, runId: string): Promise<void> {
  await db.updateTable('plan').set({ status: 'applied' }).where('run_id', '=', runId).where('status', '=', 'applying').execute()
}

/** Shown beside a run that will be tried again. */
export async function noteRunTrouble(db: Db, id: string, error: string): Promise<void> {
  await db.updateTable('run').set({ error }).where('id', '=', id).where('status', '=', 'running').execute()
}

async function enqueueRun(trx: Db, run: RunRow): Promise<void> {
  await enqueue(trx, {
    kind: runJobKind,
    lane: 'backfill',
    payload: { runId: run.id },
    key: runKey(run.sync_id),
    maxAttempts: runAttempts,
    group: run.installation_id,
    uniqueKey: `run:${run.id}`
  })
}
