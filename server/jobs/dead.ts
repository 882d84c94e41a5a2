// Dead letters: jobs that ended without having done their work, with the error of each attempt, for people to read, put in again or
// discard. Both end the dead job (dead -> cancelled). Putting in again makes a new job at the end of its key: what came after the dead
// one has long been done, and work that reads the current state (engine.md §3) loses nothing by that.
import type { Db } from '../database/database.ts'
import { dialectOf } from '../database/database.ts'
import { nowExpression } from '../database/clock.ts'
import type { Row } from '../database/schema.ts'
import { AppError } from '../errors.ts'
import type { FailedAttempt, Lane } from './job.ts'
import { enqueueMany } from './queue.ts'

export interface KeptJob {
  id: number
  kind: string
  lane: Lane
  key: string | null
  group: string
  state: Row<'job'>['state']
  /** Ids, no data. */
  payload: unknown
  error: string | null
  attempts: FailedAttempt[]
  /** Runs that ended after another process had taken over. */
  overtaken: number
  /** The dead job that it was put in again for. */
  replaces: number | null
  /** Milliseconds since 1970. */
  createdAt: number
  finishedAt: number | null
}

/** All that is named must fit; nothing named = every dead job. */
export interface WhichDead {
  ids?: readonly number[] | undefined
  kind?: string | undefined
  groups?: readonly string[] | undefined
  /** But none of these kinds. */
  exceptKinds?: readonly string[] | undefined
}

/** Newest first. `before`: the last id of the page before. */
export async function listDead(db: Db, which: WhichDead, page: { before?: number | undefined; limit: number }): Promise<KeptJob[]> {
  const rows = await dead(db, which)
    .$if(page.before !== undefined, query => query.where('id', '<', page.before as number))
    .orderBy('id', 'desc')
    .limit(page.limit)
    .execute()
  return rows.map(kept)
}

/** In whatever state. Throws AppError not_found, also once it was pruned. */
export async function jobById(db: Db, id: number): Promise<KeptJob> {
  const row = await db.selectFrom('job').selectAll().where('id', '=', id).executeTakeFirst()
  if (!row) throw new AppError('not_found', `There is no job ${id}.`, { remedy: 'Finished jobs are kept for a day, dead ones for 90.' })
  return kept(row)
}

/** Puts up to `limit` of them in again, oldest first, in the caller's transaction. Returns the dead ones. */
export async function retryDead(trx: Db, which: WhichDead, limit: number): Promise<KeptJob[]> {
  const taken = await end(trx, which, limit)
  await enqueueMany(
    trx,
    taken.map(({ kind, lane, key, group_id: group, payload_json: payload, max_attempts: maxAttempts, id }) => ({
      kind,
      lane,
      key: key ?? undefined,
      group,
      payload: JSON.parse(payload) as unknown,
      maxAttempts,
      replaces: id
    }))
  )
  return taken.map(kept)
}

/** Ends up to `limit` of them without doing their work, oldest first, in the caller's transaction. Returns them. */
export async function discardDead(trx: Db, which: WhichDead, limit: number): Promise<KeptJob[]> {
  return (await end(trx, which, limit)).map(kept)
}

/** Of two who ask at once, only one gets each. */
async function end(trx: Db, which: WhichDead, limit: number): Promise<Row<'job'>[]> {
  const rows = await dead(trx, which)
    .orderBy('id')
    .limit(limit)
    .$if(dialectOf(trx) === 'postgres', query => query.forUpdate())
    .execute()
  const ids = rows.map(({ id }) => id)
  if (ids.length > 0) {
    await trx
      .updateTable('job')
      .set({ state: 'cancelled', finished_at: nowExpression(trx) })
      .where('id', 'in', ids)
      .execute()
  }
  return rows
}

function dead(db: Db, { ids, kind, groups, exceptKinds }: WhichDead) {
  return db
    .selectFrom('job')
    .selectAll()
    .where('state', '=', 'dead')
    .$if(ids !== undefined, query => query.where('id', 'in', ids as number[]))
    .$if(kind !== undefined, query => query.where('kind', '=', kind as string))
    .$if(exceptKinds !== undefined, query => query.where('kind', 'not in', exceptKinds as string[]))
    .$if(groups !== undefined, query => query.where('group_id', 'in', groups as string[]))
}

function kept(row: Row<'job'>): KeptJob {
  const { id, kind, lane, key, group_id: group, state, error, overtaken, replaces } = row
  return {
    id,
    kind,
    lane,
    key,
    group,
    state,
    payload: JSON.parse(row.payload_json) as unknown,
    error,
    attempts: JSON.parse(row.errors_json) as FailedAttempt[],
    overtaken,
    replaces,
    createdAt: row.created_at,
    finishedAt: row.finished_at
  }
}
