// Putting jobs in, and stopping and resuming them by group: the side of the queue that features use, always in their own
// transaction, so that a change and its job commit together. Who runs the jobs is the worker's affair (worker.ts).
import { type Expression, type SqlBool, sql } from 'kysely'
import { nowExpression } from '../database/clock.ts'
import { type Db, dialectOf } from '../database/database.ts'
import { AppError } from '../errors.ts'
import { asTheKindSays, lanes, type NewJob } from './job.ts'
import { notifyExpression, ring } from './wake.ts'

/**
 * The job's id, or null when an equal unique job already waits; that one is then hurried where this wish is more urgent (lane, time).
 * On PostgreSQL a keyed job locks its key until the caller's transaction ends, which makes id order commit order; a transaction
 * that enqueues many keys should use enqueueMany, which locks in one order. Throws `invalid` for a NUL character in a name.
 */
export async function enqueue(db: Db, job: NewJob): Promise<number | null> {
  if (dialectOf(db) === 'postgres' && !db.isTransaction) return await db.transaction().execute(async trx => await enqueue(trx, job))
  checkNames(job)
  await lockKeys(db, [job])
  const [id] = await insert(db, [job])
  if (id === undefined) await hurry(db, job)
  ring(db)
  return id ?? null
}

/** Many at once, in the order given; returns how many were new. Locks their keys in one order, so that two callers cannot wait for each other. */
export async function enqueueMany(db: Db, jobs: readonly NewJob[]): Promise<number> {
  if (jobs.length === 0) return 0
  if (!db.isTransaction) return await db.transaction().execute(async trx => await enqueueMany(trx, jobs))
  jobs.forEach(checkNames)
  await lockKeys(db, jobs)
  let count = 0
  // SQLite takes 32,766 parameters a statement, a job is 12.
  for (let start = 0; start < jobs.length; start += 500) count += (await insert(db, jobs.slice(start, start + 500))).length
  if (jobs.length >= 2_000) await refreshStatistics(db)
  ring(db)
  return count
}

/** From now on no job of the group begins; those running go on. Holding again replaces the reason and keeps the time. */
export async function hold(db: Db, group: string, reason: string): Promise<void> {
  await db
    .insertInto('job_hold')
    .values({ group_id: group, reason, held_at: nowExpression(db) })
    .onConflict(conflict => conflict.column('group_id').doUpdateSet({ reason }))
    .execute()
}

/** The group's jobs go on as if nothing had been. Harmless when it is not held. */
export async function release(db: Db, group: string): Promise<void> {
  await db.deleteFrom('job_hold').where('group_id', '=', group).execute()
  if (dialectOf(db) === 'postgres') await sql`select ${notifyExpression}`.execute(db)
  ring(db)
}

export async function holdOf(db: Db, group: string): Promise<{ reason: string; heldAt: number } | null> {
  const row = await db.selectFrom('job_hold').selectAll().where('group_id', '=', group).executeTakeFirst()
  return row ? { reason: row.reason, heldAt: row.held_at } : null
}

/**
 * Cancels what waits and matches all that is named; returns how many. A running job is left to finish: stopping it would let its
 * key's successor begin beside it. Throws `invalid` when nothing is named.
 */
export async function cancelJobs(db: Db, which: { group?: string; key?: string; kind?: string }): Promise<number> {
  const { group, key, kind } = which
  if (group === undefined && key === undefined && kind === undefined) throw new AppError('invalid', 'cancelJobs must be told which jobs.')
  const { numUpdatedRows } = await db
    .updateTable('job')
    .set({ state: 'cancelled', error: 'cancelled', finished_at: nowExpression(db) })
    .where('state', '=', 'ready')
    .where(eb => {
      const named: Expression<SqlBool>[] = []
      if (group !== undefined) named.push(eb('group_id', '=', group))
      if (key !== undefined) named.push(eb('key', '=', key))
      if (kind !== undefined) named.push(eb('kind', '=', kind))
      return eb.and(named)
    })
    .executeTakeFirst()
  return Number(numUpdatedRows)
}

/** How the queue stands, for health and metrics. `oldestDueAt`: since when the longest-waiting due job could have begun, holds aside. */
export async function queueState(db: Db): Promise<{ ready: number; running: number; held: number; oldestDueAt: number | null }> {
  const { rows } = await sql<{ ready: number; running: number; held: number; oldest: number | null }>`
    select
      (select count(*) from job where state = 'ready') as ready,
      (select count(*) from job where state = 'running') as running,
      (select count(*) from job where state = 'ready' and group_id in (select group_id from job_hold)) as held,
      (select min(run_at) from job where state = 'ready' and run_at <= ${nowExpression(db)}
        and group_id not in (select group_id from job_hold)) as oldest`.execute(db)
  const { ready, running, held, oldest } = rows[0]!
  return { ready, running, held, oldestDueAt: oldest }
}

/** Deletes finished jobs that ended before the given times, a slice at a time; returns how many. The dead are kept longer, for people to read. */
export async function pruneJobs(db: Db, before: { finished: number; dead: number }, slice = 1_000): Promise<number> {
  let count = 0
  for (;;) {
    const { numDeletedRows } = await db
      .deleteFrom('job')
      .where('id', 'in', query =>
        query
          .selectFrom('job')
          .select('id')
          .where(eb =>
            eb.or([
              eb.and([eb('finished_at', '<', before.finished), eb('state', 'in', ['done', 'cancelled'])]),
              eb.and([eb('finished_at', '<', before.dead), eb('state', '=', 'dead')])
            ])
          )
          .limit(slice)
      )
      .executeTakeFirst()
    count += Number(numDeletedRows)
    if (Number(numDeletedRows) < slice) return count
  }
}

/**
 * Without fresh statistics PostgreSQL plans the claim for the table as it was when it was small. Its own
 * autovacuum looks once a minute at best. SQLite's plan does not hang on statistics.
 */
export async function refreshStatistics(db: Db): Promise<void> {
  if (dialectOf(db) === 'postgres') await sql`analyze job`.execute(db)
}

/**
 * PostgreSQL hands out ids before commit, so of two transactions on one key the later id could commit first and be run first. The
 * key's lock makes them queue. SQLite has one writer.
 */
async function lockKeys(trx: Db, jobs: readonly NewJob[]): Promise<void> {
  if (dialectOf(trx) !== 'postgres') return
  const keys = [...new Set(jobs.flatMap(job => job.key ?? []))]
  await sql`select ${notifyExpression}, count(pg_advisory_xact_lock(n))
    from (select distinct hashtextextended(k, 0) as n from unnest(${keys}::text[]) as k order by 1) as ordered`.execute(trx)
}

async function insert(db: Db, jobs: readonly NewJob[]): Promise<number[]> {
  const now = nowExpression(db)
  const rows = await db
    .insertInto('job')
    .values(
      jobs.map(job => ({
        kind: job.kind,
        lane: job.lane,
        key: job.key ?? null,
        group_id: job.group ?? '',
        unique_key: job.uniqueKey ?? null,
        payload_json: JSON.stringify(job.payload ?? null),
        state: 'ready' as const,
        attempt: 0,
        max_attempts: job.maxAttempts ?? asTheKindSays,
        replaces: job.replaces ?? null,
        run_at: job.runAt === undefined ? now : Math.ceil(job.runAt),
        created_at: now
      }))
    )
    .onConflict(conflict => conflict.column('unique_key').where('state', '=', sql.lit('ready')).doNothing())
    .returning('id')
    .execute()
  return rows.map(row => row.id)
}

async function hurry(db: Db, job: NewJob): Promise<void> {
  const lessUrgent = lanes.slice(lanes.indexOf(job.lane) + 1)
  const runAt = job.runAt === undefined ? nowExpression(db) : sql<number>`${Math.ceil(job.runAt)}`
  const waiting = () =>
    db
      .updateTable('job')
      .where('unique_key', '=', job.uniqueKey ?? '')
      .where('state', '=', sql.lit('ready'))
  if (lessUrgent.length > 0) await waiting().set({ lane: job.lane }).where('lane', 'in', lessUrgent).execute()
  await waiting().set({ run_at: runAt }).where('run_at', '>', runAt).execute()
}

/** PostgreSQL's text holds no NUL (error 22021); said here, it names the field. In payloads JSON escapes it. */
function checkNames({ kind, key, group, uniqueKey }: NewJob): void {
  for (const [name, value] of Object.entries({ kind, key, group, uniqueKey })) {
    if (value?.includes('\0')) throw new AppError('invalid', `A job's ${name} must not contain a NUL character.`)
  }
}
