// Taking jobs, giving them back and settling them: the statements of the worker. Each settles only with the token of its own
// lease, so that a process that froze past its lease cannot overwrite what its successor did.
import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { nowExpression } from '../database/clock.ts'
import { type Db, dialectOf } from '../database/database.ts'
import type { Row } from '../database/schema.ts'

export type ClaimedJob = Row<'job'> & { lease_token: string }

export interface Lease {
  id: number
  token: string
}

export const leaseMs = 30_000

/** How many due jobs are looked at to be fair between groups; behind a longer queue the oldest of each lane come first. */
const horizon = 400

/**
 * Up to `limit` jobs: people before live before backfill, groups in turn within a lane, ids in order within a group. Eligible is a
 * due job of a known kind, not on hold, without an unfinished predecessor of its key.
 */
export async function claimJobs(db: Db, options: { kinds: readonly string[]; limit: number; dueUntil?: number }): Promise<ClaimedJob[]> {
  const { kinds, limit } = options
  if (kinds.length === 0 || limit <= 0) return []
  const now = nowExpression(db)
  const due = options.dueUntil === undefined ? now : sql<number>`${options.dueUntil}`
  const token = randomUUID()
  const lock = dialectOf(db) === 'postgres' ? sql`for update of chosen skip locked` : sql``
  const { rows } = await sql<ClaimedJob>`
    update job set state = 'running', attempt = attempt + 1, lease_token = ${token}, lease_until = ${now} + ${leaseMs}
    where id in (
      select chosen.id from job chosen
      where chosen.state = 'ready' and chosen.id in (
        select id from (
          select id, rank, row_number() over (partition by rank, group_id order by id) as turn from (
            select j.id, j.group_id, case j.lane when 'people' then 0 when 'live' then 1 else 2 end as rank
            from job j
            where j.state = 'ready' and j.run_at <= ${due} and j.kind in (${sql.join(kinds)})
              and (j.group_id is null or j.group_id not in (select group_id from job_hold))
              and (j."key" is null or not exists (
                select 1 from job earlier where earlier."key" = j."key" and earlier.id < j.id and earlier.finished_at is null))
            order by rank, j.id limit ${horizon}
          ) eligible
        ) turns order by rank, turn, id limit ${limit}
      ) ${lock}
    )
    returning *`.execute(db)
  return rows.toSorted((a, b) => rankOf(a) - rankOf(b) || a.id - b.id)
}

function rankOf(job: ClaimedJob): number {
  return job.lane === 'people' ? 0 : job.lane === 'live' ? 1 : 2
}

/** Returns the ids that were still ours. */
export async function finishJobs(db: Db, leases: readonly Lease[]): Promise<Set<number>> {
  if (leases.length === 0) return new Set()
  const rows = await held(db.updateTable('job').set({ state: 'done', finished_at: Date.now(), lease_until: null, error: null }), leases).returning('id').execute()
  return new Set(rows.map(({ id }) => id))
}

export async function endJob(db: Db, lease: Lease, outcome: { state: 'cancelled' | 'dead'; error: string }): Promise<boolean> {
  const rows = await held(db.updateTable('job').set({ ...outcome, finished_at: Date.now(), lease_until: null }), [lease]).returning('id').execute()
  return rows.length > 0
}

/**
 * Back to ready: after a failure, a snooze (which takes the attempt back), or when the process stops. A job whose equal unique job
 * already waits ends as cancelled instead: the one that waits will do the same work.
 */
export async function returnJob(db: Db, lease: Lease, back: { delayMs: number; error: string | null; takesAttemptBack: boolean }): Promise<boolean> {
  const now = nowExpression(db)
  const superseded = sql<boolean>`unique_key is not null and exists (select 1 from job other where other.unique_key = job.unique_key and other.state = 'ready')`
  const { rows } = await sql<{ id: number }>`
    update job set
      state = case when ${superseded} then 'cancelled' else 'ready' end,
      finished_at = case when ${superseded} then ${Date.now()} else null end,
      attempt = attempt - ${back.takesAttemptBack ? 1 : 0},
      run_at = ${now} + ${back.delayMs}, lease_token = null, lease_until = null, error = ${back.error}
    where id = ${lease.id} and lease_token = ${lease.token} and state = 'running'
    returning id`.execute(db)
  return rows.length > 0
}

/** Returns the ids that are no longer ours. */
export async function renewLeases(db: Db, leases: readonly Lease[]): Promise<number[]> {
  if (leases.length === 0) return []
  const kept = await held(db.updateTable('job').set({ lease_until: sql<number>`${nowExpression(db)} + ${leaseMs}` }), leases).returning('id').execute()
  const ids = new Set(kept.map(({ id }) => id))
  return leases.filter(({ id }) => !ids.has(id)).map(({ id }) => id)
}

/** Jobs whose process died or froze: back to ready, or dead when that was their last attempt. Returns how many. */
export async function reclaimExpired(db: Db): Promise<number> {
  const expired = await db
    .selectFrom('job')
    .select(['id', 'lease_token', 'attempt', 'max_attempts'])
    .where('state', '=', 'running')
    .where('lease_until', '<', nowExpression(db))
    .execute()
  let count = 0
  for (const { id, lease_token: token, attempt, max_attempts: most } of expired) {
    const lease = { id, token: token ?? '' }
    const error = 'its process died or froze'
    const settled = attempt >= most ? await endJob(db, lease, { state: 'dead', error }) : await returnJob(db, lease, { delayMs: 0, error, takesAttemptBack: false })
    if (settled) count += 1
  }
  return count
}

/** Milliseconds until the next job is due, or null when none waits. */
export async function nextDueInMs(db: Db): Promise<number | null> {
  const row = await db
    .selectFrom('job')
    .select(({ fn }) => [fn.min('run_at').as('next'), sql<number>`${nowExpression(db)}`.as('now')])
    .where('state', '=', 'ready')
    .where(({ or, eb, selectFrom }) => or([eb('group_id', 'is', null), eb('group_id', 'not in', selectFrom('job_hold').select('group_id'))]))
    .executeTakeFirst()
  return row?.next === null || row === undefined ? null : Math.max(0, row.next - row.now)
}

function held<Q extends { where: (column: never, operator: never, value: never) => Q }>(query: Q, leases: readonly Lease[]): Q {
  const where = query.where as unknown as (column: string, operator: string, value: unknown) => Q
  const byId = where.call(
    query,
    'id',
    'in',
    leases.map(({ id }) => id)
  )
  const byToken = (byId.where as unknown as typeof where).call(byId, 'lease_token', 'in', [...new Set(leases.map(({ token }) => token))])
  return (byToken.where as unknown as typeof where).call(byToken, 'state', '=', 'running')
}
