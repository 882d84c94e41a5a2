// The statements by which a worker takes jobs and gives them back: claim, renew, settle, recover. Each acts only on what its
// lease token still owns, so a worker that was away too long cannot disturb the one that took over. Runs nothing itself.
//
// What may be claimed in a lane: ready, due, its group not on hold, and the first unfinished job of its key. Whose turn it is:
// the group with the fewest running comes first, then the groups in turn behind the one served last, and within a group the
// oldest due job. Both statements hop from group to group along the index job_due instead of reading all that waits, so a
// backlog of a hundred thousand in one group costs the others nothing.
import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { nowExpression } from '../database/clock.ts'
import { type Db, dialectOf } from '../database/database.ts'
import type { Row } from '../database/schema.ts'
import type { Lane } from './job.ts'

export type ClaimedJob = Row<'job'> & { lease_token: string }

export interface Claim {
  lane: Lane
  /** At most so many. */
  limit: number
  leaseSeconds: number
  /** The group served last in this lane. */
  after: string
  /** Treat run_at up to this as due; the database's now when left out. */
  until?: number | undefined
}

/** Takes up to `limit` jobs of a lane: they are `running`, their attempt counted, leased under one new token. Oldest first. */
export async function claimJobs(db: Db, claim: Claim): Promise<ClaimedJob[]> {
  const rows = dialectOf(db) === 'postgres' ? await claimOnPostgres(db, claim) : await claimOnSqlite(db, claim)
  return rows.sort((one, other) => one.run_at - other.run_at || one.id - other.id)
}

async function claimOnSqlite(db: Db, { lane, limit, leaseSeconds, after, until }: Claim): Promise<ClaimedJob[]> {
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
            + (select count(*) from job as busy where busy.state = 'running' and busy.group_id = job.group_id) as place
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
    update job set state = 'running', attempt = attempt + 1, unique_key = null,
      lease_token = ${randomUUID()}, lease_until = ${now + leaseSeconds * 1000}
    where id in (select id from eligible order by place, group_id <= ${after}, group_id limit ${limit})
    returning *`.execute(db)
  return rows
}

// The head of a key never has a higher id than the job, so `<=` says the same as `=`; but of `=` PostgreSQL expects so few rows that
// it sorts all that waits in a group instead of walking job_due to the limit (20,000 waiting: 87 ms a claim against 1 ms).
async function claimOnPostgres(db: Db, { lane, limit, leaseSeconds, after, until }: Claim): Promise<ClaimedJob[]> {
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
            + (select count(*) from job as busy where busy.state = 'running' and busy.group_id = job.group_id) as place
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
    update job set state = 'running', attempt = attempt + 1, unique_key = null,
      lease_token = ${randomUUID()}, lease_until = ${now} + ${leaseSeconds * 1000}::bigint
    where id in (select id from eligible order by place, group_id <= ${after}, group_id limit ${limit})
    returning *`.execute(db)
  return rows
}

type Lease = Pick<ClaimedJob, 'id' | 'lease_token'>

/** Prolongs the leases; returns the ids of those still owned. */
export async function renewLeases(db: Db, leases: readonly Lease[], leaseSeconds: number): Promise<Set<number>> {
  const kept = new Set<number>()
  for (const [token, ids] of byToken(leases)) {
    const rows = await db
      .updateTable('job')
      .set({ lease_until: sql<number>`${nowExpression(db)} + ${sql.lit(leaseSeconds * 1000)}` })
      .where('lease_token', '=', token)
      .where('id', 'in', ids)
      .returning('id')
      .execute()
    for (const row of rows) kept.add(row.id)
  }
  return kept
}

/** How a run ended, as it is written down. `backIn` milliseconds count from when the job was due or from now, whichever is later. */
export type Ending =
  | { state: 'done' }
  | { state: 'cancelled' | 'dead'; error: string }
  | { state: 'ready'; backIn: number; error: string | null; attemptCounts: boolean }

export interface Settlement {
  job: ClaimedJob
  ending: Ending
}

/** Writes all endings in one transaction; returns the ids of jobs whose lease had gone to somebody else, and whose ending was not written. */
export async function settleJobs(db: Db, settlements: readonly Settlement[]): Promise<number[]> {
  return await db.transaction().execute(async trx => {
    const written = new Set<number>()
    const done = settlements.filter(({ ending }) => ending.state === 'done').map(({ job }) => job)
    for (const [token, ids] of byToken(done)) {
      const rows = await trx
        .updateTable('job')
        .set({ state: 'done', error: null, lease_token: null, lease_until: null, finished_at: nowExpression(trx) })
        .where('lease_token', '=', token)
        .where('id', 'in', ids)
        .returning('id')
        .execute()
      for (const row of rows) written.add(row.id)
    }
    for (const { job, ending } of settlements) {
      if (ending.state !== 'done' && (await settleOne(trx, job, ending))) written.add(job.id)
    }
    return settlements.map(({ job }) => job.id).filter(id => !written.has(id))
  })
}

async function settleOne(trx: Db, job: ClaimedJob, ending: Exclude<Ending, { state: 'done' }>): Promise<boolean> {
  const free = { state: ending.state, error: ending.error, lease_token: null, lease_until: null }
  const change =
    ending.state === 'ready'
      ? { ...free, attempt: ending.attemptCounts ? job.attempt : job.attempt - 1, run_at: backAt(trx, job, ending.backIn) }
      : { ...free, finished_at: nowExpression(trx) }
  const { numUpdatedRows } = await trx
    .updateTable('job')
    .set(change)
    .where('id', '=', job.id)
    .where('lease_token', '=', job.lease_token)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

function backAt(trx: Db, job: ClaimedJob, backIn: number) {
  const later = dialectOf(trx) === 'postgres' ? sql.raw('greatest') : sql.raw('max')
  return sql<number>`${later}(${sql.lit(job.run_at)}, ${nowExpression(trx)}) + ${sql.lit(Math.ceil(backIn))}`
}

/** Jobs whose worker died or hung become ready again at once, their attempt counted. Returns how many. */
export async function recoverJobs(db: Db): Promise<number> {
  const { numUpdatedRows } = await db
    .updateTable('job')
    .set({ state: 'ready', error: 'the process that ran it stopped before it was done', lease_token: null, lease_until: null })
    .where('state', '=', sql.lit('running'))
    .where('lease_until', '<', nowExpression(db))
    .executeTakeFirst()
  return Number(numUpdatedRows)
}

function byToken(leases: readonly Lease[]): Map<string, number[]> {
  const groups = new Map<string, number[]>()
  for (const { lease_token: token, id } of leases) {
    const ids = groups.get(token)
    if (ids) ids.push(id)
    else groups.set(token, [id])
  }
  return groups
}
