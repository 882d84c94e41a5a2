// Jobs by the clock: a schedule row says when next, tick() turns what is due into jobs. A tick is enqueued once, however many
// processes look. After a pause there is one catch-up, not one per missed tick; under a hold one job waits, not one per tick.
import { Cron } from 'croner'
import { databaseNow } from '../database/clock.ts'
import { type Db, dialectOf } from '../database/database.ts'
import { AppError } from '../errors.ts'
import type { NewJob } from './job.ts'
import { enqueue } from './queue.ts'

export interface NewSchedule {
  /** Usually the id of what it is for; scheduling again replaces. */
  id: string
  organizationId: string | null
  /** Five fields, or six with seconds first. */
  cron: string
  /** IANA name: 'Europe/Zurich'. */
  timeZone: string
  job: Omit<NewJob, 'uniqueKey' | 'runAt'>
}

/** Throws `invalid` for a cron expression or time zone that cannot be read, or that never comes. An unchanged rhythm keeps its next time. */
export async function schedule(db: Db, { id, organizationId, cron, timeZone, job }: NewSchedule): Promise<void> {
  const next = nextTime(cron, timeZone, await databaseNow(db))
  if (next === null) throw refuse('cron', cron, 'never comes again')
  const known = await db.selectFrom('schedule').selectAll().where('id', '=', id).executeTakeFirst()
  const same = known?.enabled === 1 && known.cron === cron && known.time_zone === timeZone
  const row = {
    organization_id: organizationId,
    cron,
    time_zone: timeZone,
    job_json: JSON.stringify(job),
    next_at: same ? known.next_at : next,
    enabled: 1
  }
  await db
    .insertInto('schedule')
    .values({ id, ...row })
    .onConflict(conflict => conflict.column('id').doUpdateSet(row))
    .execute()
}

/** Jobs already enqueued stay. Harmless when there is none. */
export async function unschedule(db: Db, id: string): Promise<void> {
  await db.deleteFrom('schedule').where('id', '=', id).execute()
}

/** From now on their jobs are of that group; rhythm and next time stay. Ids without a schedule are passed over. */
export async function regroup(db: Db, ids: readonly string[], group: string): Promise<void> {
  for (const id of ids) {
    const row = await db.selectFrom('schedule').select('job_json').where('id', '=', id).executeTakeFirst()
    if (!row) continue
    const job: NewSchedule['job'] = { ...(JSON.parse(row.job_json) as NewSchedule['job']), group }
    await db
      .updateTable('schedule')
      .set({ job_json: JSON.stringify(job) })
      .where('id', '=', id)
      .execute()
  }
}

/** Milliseconds since 1970, or null without an enabled schedule of that id. */
export async function nextRunOf(db: Db, id: string): Promise<number | null> {
  const row = await db.selectFrom('schedule').select('next_at').where('id', '=', id).where('enabled', '=', 1).executeTakeFirst()
  return row?.next_at ?? null
}

/** The rhythm of a schedule that is on, and the payload of the job that it enqueues. */
export async function rhythmOf(db: Db, id: string): Promise<{ cron: string; timeZone: string; payload: unknown } | null> {
  const row = await db.selectFrom('schedule').selectAll().where('id', '=', id).where('enabled', '=', 1).executeTakeFirst()
  return row ? { cron: row.cron, timeZone: row.time_zone, payload: (JSON.parse(row.job_json) as { payload: unknown }).payload } : null
}

/** Enqueues what is due at `now` (the database's when left out) and moves each schedule on; returns how many jobs that were. */
export async function tick(db: Db, now?: number): Promise<number> {
  const at = now ?? (await databaseNow(db))
  const due = (query: Db) => query.selectFrom('schedule').where('enabled', '=', 1).where('next_at', '<=', at)
  // Most ticks find nothing, and a look takes no write lock.
  if (!(await due(db).select('id').limit(1).executeTakeFirst())) return 0
  return await db.transaction().execute(async trx => {
    const rows = await due(trx)
      .selectAll()
      .orderBy('next_at')
      .limit(100)
      .$if(dialectOf(trx) === 'postgres', query => query.forUpdate().skipLocked())
      .execute()
    let count = 0
    for (const row of rows) {
      const job = JSON.parse(row.job_json) as NewSchedule['job']
      if ((await enqueue(trx, { ...job, uniqueKey: `schedule ${row.id}` })) !== null) count += 1
      const next = nextTime(row.cron, row.time_zone, at)
      await trx
        .updateTable('schedule')
        .set(next === null ? { enabled: 0 } : { next_at: next })
        .where('id', '=', row.id)
        .execute()
    }
    return count
  })
}

function nextTime(cron: string, timeZone: string, after: number): number | null {
  try {
    Intl.DateTimeFormat('en', { timeZone })
  } catch {
    throw refuse('timeZone', timeZone, 'is not the name of a time zone')
  }
  try {
    return new Cron(cron, { timezone: timeZone, paused: true }).nextRun(new Date(after))?.getTime() ?? null
  } catch (cause) {
    throw refuse('cron', cron, 'cannot be read', cause)
  }
}

function refuse(field: string, value: string, problem: string, cause?: unknown): AppError {
  return new AppError('invalid', `The schedule's ${field} "${value}" ${problem}.`, {
    cause,
    fields: { [field]: [problem] },
    remedy: 'For example cron "0 3 * * *" in the time zone Europe/Zurich: every night at three.'
  })
}
