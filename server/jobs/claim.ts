// The statements by which a worker takes jobs and gives them back: claim, renew, settle, recover. Each acts only on what its
// lease token still owns, so a worker that was away too long cannot disturb the one that took over. Runs nothing itself.
//
// What may be claimed in a lane: ready, due, its group not on hold, and the first unfinished job of its key. Whose turn it is:
// the group with the fewest running comes first, then the groups in turn behind the one served last, and within a group the
// oldest due job. No group has more than `groupLimit` running in one process, so that others always find a slot. Both statements hop from group to group along the index job_due instead of reading all that waits, so a
// backlog of a hundred thousand in one group costs the others nothing.
import { randomUUID } from 'node:crypto'
import { type RawBuilder, sql } from 'kysely'
import { nowExpression } from '../database/clock.ts'
import { type Db, dialectOf } from '../database/database.ts'
import type { Row } from '../database/schema.ts'
import { type Lane, lanes } from './job.ts'

export type ClaimedJob = Row<'job'> & { lease_token: string }

export interface Claim {
  lane: Lane
  /** At most so many. */
  limit: number
  leaseSeconds: number
  /** The group served last in this lane. */
  after: string
  /** No group, but '', may have more than so many running in this process. */
  groupLimit: number
  /** Group -> how many of its jobs this process runs. */
  busyHere: Readonly<Record<string, number>>
  /** Treat run_at up to this as due; the database's now when left out. */
  until?: number | undefined
}

/** Takes up to `limit` jobs of a lane: they are `running`, their attempt counted, leased under one new token. Oldest first. */
export async function claimJobs(db: Db, claim: Claim): Promise<ClaimedJob[]> {
  const rows = dialectOf(db) === 'postgres' ? await claimOnPostgres(db, claim) : await claimOnSqlite(db, claim)
  return rows.sort((one, other) => one.run_at - other.run_at || one.id - other.id)
}

/** In which anything is ready at all, due or not: a look at the index, so that a round does not ask each lane at length. */
export async function waitingLanes(db: Db): Promise<Lane[]> {
  const { rows } = await sql<{ lane: Lane }>`with every_lane (lane) as (values ${sql.join(lanes.map(lane => sql`(${sql.lit(lane)})`))})
    select lane from every_lane where exists (select 1 from job where job.state = 'ready' and job.lane = every_lane.lane)`.execute(db)
  return lanes.filter(lane => rows.some(row => row.lane === lane))
}

async function claimOnSqlite(db: Db, { lane, limit, leaseSeconds, after, groupLimit, busyHere, until }: Claim): Promise<ClaimedJob[]> {
  const now = Date.now()
  const { rows } = await sql<ClaimedJob>`
    with recursive
      turn (group_id) as (
        select min(group_id) from job where state = 'ready' and lane = ${lane}
        union all
        select (select min(group_id) from job where state = 'ready' and lane = ${lane} and group_id > turn.group_id)
        from turn where turn.group_id is not null
      ),
      eligible as (
        select job.id, job.group_id,
          row_number() over (partition by job.group_id order by job.run_at, job.id)
            + (select count(*) from job as busy where busy.state = 'running' and busy.group_id = job.group_id) as place,
          row_number() over (partition by job.group_id order by job.run_at, job.id)
            + coalesce((select value from json_each(${JSON.stringify(busyHere)}) where key = job.group_id), 0) as place_here
        from turn cross join job
        where turn.group_id not in (select group_id from job_hold)
          and job.id in (
            select due.id from job as due
            where due.state = 'ready' and due.lane = ${lane} and due.group_id = turn.group_id and due.run_at <= ${until ?? now}
              and (due.key is null
                or due.id = (select head.id from job as head where head.key = due.key and head.finished_at is null order by head.id limit 1))
            order by due.run_at, due.id
            limit ${limit}
          )
      )
    update job set state = 'running', attempt = attempt + 1, claims = claims + 1, unique_key = null,
      lease_token = ${randomUUID()}, lease_until = ${now + leaseSeconds * 1000}
    where id in (
      select id from eligible where place_here <= ${groupLimit} or group_id = ''
      order by place, group_id <= ${after}, group_id limit ${limit})
    returning *`.execute(db)
  return rows
}

// The head of a key never has a higher id than the job, so `<=` says the same as `=`; but of `=` PostgreSQL expects so few rows that
// it sorts all that waits in a group instead of walking job_due to the limit (20,000 waiting: 87 ms a claim against 1 ms).
async function claimOnPostgres(db: Db, { lane, limit, leaseSeconds, after, groupLimit, busyHere, until }: Claim): Promise<ClaimedJob[]> {
  const now = nowExpression(db)
  const { rows } = await sql<ClaimedJob>`
    with recursive
      turn (group_id) as (
        select min(group_id) from job where state = 'ready' and lane = ${lane}
        union all
        select (select min(group_id) from job where state = 'ready' and lane = ${lane} and group_id > turn.group_id)
        from turn where turn.group_id is not null
      ),
      eligible as (
        select job.id, job.group_id,
          row_number() over (partition by job.group_id order by job.run_at, job.id)
            + (select count(*) from job as busy where busy.state = 'running' and busy.group_id = job.group_id) as place,
          row_number() over (partition by job.group_id order by job.run_at, job.id)
            + coalesce((${JSON.stringify(busyHere)}::jsonb ->> job.group_id)::bigint, 0) as place_here
        from turn cross join lateral (
          select due.id, due.group_id, due.run_at from job as due
          where due.state = 'ready' and due.lane = ${lane} and due.group_id = turn.group_id and due.run_at <= ${until ?? now}
            and (due.key is null
              or due.id <= (select head.id from job as head where head.key = due.key and head.finished_at is null order by head.id limit 1))
          order by due.run_at, due.id
          limit ${limit}
          for update skip locked
        ) as job
        where turn.group_id not in (select group_id from job_hold)
      )
    update job set state = 'running', attempt = attempt + 1, claims = claims + 1, unique_key = null,
      lease_token = ${randomUUID()}, lease_until = ${now} + ${leaseSeconds * 1000}::bigint
    where id in (
      select id from eligible where place_here <= ${groupLimit} or group_id = ''
      order by place, group_id <= ${after}, group_id limit ${limit})
    returning *`.execute(db)
  return rows
}

type Lease = Pick<ClaimedJob, 'id' | 'lease_token'>

/** Prolongs the leases; returns the ids of those still owned. */
export async function renewLeases(db: Db, leases: readonly Lease[], leaseSeconds: number): Promise<Set<number>> {
  return await updateOwned(db, leases, sql`lease_until = ${nowExpression(db)} + ${sql.lit(leaseSeconds * 1000)}`)
}

/** One statement for all; returns the ids of those still owned. */
async function updateOwned(db: Db, leases: readonly Lease[], change: RawBuilder<unknown>): Promise<Set<number>> {
  if (leases.length === 0) return new Set()
  const { rows } =
    dialectOf(db) === 'postgres'
      ? await sql<{ id: number }>`update job set ${change}
          from unnest(${leases.map(({ id }) => id)}::bigint[], ${leases.map(lease => lease.lease_token)}::text[]) as owned (id, token)
          where job.id = owned.id and job.lease_token = owned.token
          returning job.id`.execute(db)
      : await sql<{ id: number }>`update job set ${change}
          where (id, lease_token) in (
            select value ->> '$[0]', value ->> '$[1]' from json_each(${JSON.stringify(leases.map(lease => [lease.id, lease.lease_token]))}))
          returning id`.execute(db)
  return new Set(rows.map(({ id }) => id))
}

/** How a run ended, as it is written down. `backIn` milliseconds count from when the job was due or from now, whichever is later. */
export type Ending =
  | { state: 'done' }
  | { state: 'cancelled'; error: string }
  /** `began` false: no attempt was left to begin with. */
  | { state: 'dead'; error: string; began: boolean; internal?: boolean }
  | { state: 'ready'; backIn: number; error: string | null; attemptCounts: boolean; internal?: boolean }

export interface Settlement {
  job: ClaimedJob
  ending: Ending
}

/** Called in the transaction that writes down a death. */
export type GaveUp = (trx: Db, job: ClaimedJob, why: string) => Promise<void>

/**
 * Writes the endings, those of one call in one commit where no `gaveUp` is called; returns the ids of jobs whose lease had gone to
 * somebody else: their ending is not written, but counted in job.overtaken.
 */
export async function settleJobs(db: Db, settlements: readonly Settlement[], gaveUp?: GaveUp): Promise<number[]> {
  const done = settlements.filter(({ ending }) => ending.state === 'done').map(({ job }) => job)
  const others = settlements.filter(({ ending }) => ending.state !== 'done')
  const written =
    others.length === 0 ? await settleDone(db, done) : await db.transaction().execute(trx => settleAll(trx, done, others, gaveUp))
  const lost = settlements.map(({ job }) => job.id).filter(id => !written.has(id))
  if (lost.length > 0) await countOvertaken(db, lost)
  return lost
}

async function settleDone(db: Db, done: readonly Lease[]): Promise<Set<number>> {
  return await updateOwned(
    db,
    done,
    sql`state = 'done', error = null, lease_token = null, lease_until = null, finished_at = ${nowExpression(db)}`
  )
}

async function settleAll(trx: Db, done: readonly Lease[], others: readonly Settlement[], gaveUp?: GaveUp): Promise<Set<number>> {
  const written = await settleDone(trx, done)
  for (const { job, ending } of others) {
    if (ending.state === 'done' || !(await settleOne(trx, job, ending))) continue
    written.add(job.id)
    if (ending.state === 'dead') await gaveUp?.(trx, job, ending.error)
  }
  return written
}

async function settleOne(trx: Db, job: ClaimedJob, ending: Exclude<Ending, { state: 'done' }>): Promise<boolean> {
  const free = { state: ending.state, error: ending.error, lease_token: null, lease_until: null }
  const counts = ending.state === 'ready' ? ending.attemptCounts : ending.state === 'cancelled' || ending.began
  const failed = counts && ending.state !== 'cancelled' && ending.error !== null
  const change = {
    ...free,
    attempt: counts ? job.attempt : job.attempt - 1,
    ...(ending.state === 'ready' ? { run_at: backAt(trx, job, ending.backIn) } : { finished_at: nowExpression(trx) })
  }
  const { numUpdatedRows } = await trx
    .updateTable('job')
    .set(failed ? { ...change, errors_json: withError(trx, ending.error, ending.internal === true) } : change)
    .where('id', '=', job.id)
    .where('lease_token', '=', job.lease_token)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

/** The row's errors with this attempt's at the end. There are never more than attempts. */
function withError(db: Db, error: string | null, internal: boolean): RawBuilder<string> {
  const now = nowExpression(db)
  return dialectOf(db) === 'postgres'
    ? sql<string>`(errors_json::jsonb || jsonb_build_object('attempt', attempt, 'at', ${now}, 'error', ${error}::text, 'internal', ${sql.lit(internal)}))::text`
    : sql<string>`json_insert(errors_json, '$[#]', json_object('attempt', attempt, 'at', ${now}, 'error', ${error}, 'internal', json(${internal ? 'true' : 'false'})))`
}

function backAt(trx: Db, job: ClaimedJob, backIn: number) {
  const later = dialectOf(trx) === 'postgres' ? sql.raw('greatest') : sql.raw('max')
  return sql<number>`${later}(${sql.lit(job.run_at)}, ${nowExpression(trx)}) + ${sql.lit(Math.ceil(backIn))}`
}

async function countOvertaken(db: Db, ids: readonly number[]): Promise<void> {
  await db
    .updateTable('job')
    .set(eb => ({ overtaken: eb('overtaken', '+', 1) }))
    .where('id', 'in', ids)
    .execute()
}

const processDied = 'the process that ran it stopped before it was done'

/** Jobs whose worker died or hung become ready again at once, their attempt counted. Returns how many. */
export async function recoverJobs(db: Db): Promise<number> {
  // A process that hangs in the middle of a transaction has its rows locked: they are for a later look, the others for this one.
  const { numUpdatedRows } = await db
    .updateTable('job')
    .set({
      state: 'ready',
      error: processDied,
      errors_json: withError(db, processDied, false),
      lease_token: null,
      lease_until: null
    })
    .where('id', 'in', query =>
      query
        .selectFrom('job')
        .select('id')
        .where('state', '=', sql.lit('running'))
        .where('lease_until', '<', nowExpression(db))
        .$if(dialectOf(db) === 'postgres', locked => locked.forUpdate().skipLocked())
    )
    .executeTakeFirst()
  return Number(numUpdatedRows)
}
