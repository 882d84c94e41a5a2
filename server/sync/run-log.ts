// The log of runs, record by record: what was created, updated, deleted, failed or left alone for a reason, in the transaction
// that counts it. Unchanged records are only counted. Searched by entry uid or external id; kept for 30 days.
import type { Db } from '../database/database.ts'
import { newId } from '../database/id.ts'
import type { Row } from '../database/schema.ts'
import type { JobKind } from '../jobs/job.ts'
import { getRun } from './runs.ts'
import type { SyncRow } from './sync.ts'

export type Outcome = Row<'run_record'>['outcome']

export interface Recorded {
  key: string
  entryUid: string
  locale: string
  outcome: Outcome
  why?: string | null
}

const rowsPerStatement = 500
const retentionDays = 30
const longestWhy = 2_000

/** In the transaction of what it tells. `approved`: a person allowed these deletes. */
export async function recordOutcomes(
  trx: Db,
  sync: Pick<SyncRow, 'id' | 'organization_id'>,
  of: { runId: string | null; cause: string; approved?: boolean | undefined },
  records: readonly Recorded[]
): Promise<void> {
  const at = Date.now()
  for (let from = 0; from < records.length; from += rowsPerStatement) {
    await trx
      .insertInto('run_record')
      .values(
        records.slice(from, from + rowsPerStatement).map(({ key, entryUid, locale, outcome, why }) => ({
          id: newId('rec'),
          organization_id: sync.organization_id,
          sync_id: sync.id,
          run_id: of.runId,
          external_id: key,
          entry_uid: entryUid,
          locale,
          outcome,
          approved: of.approved ? 1 : 0,
          why: why?.slice(0, longestWhy) ?? null,
          cause: of.cause,
          at
        }))
      )
      .execute()
  }
}

export interface RecordView {
  id: string
  syncId: string
  syncName: string
  runId: string | null
  key: string
  entryUid: string
  locale: string
  outcome: Outcome
  why: string | null
  cause: string
  at: number
}

/**
 * Newest first. `q` is the beginning of an entry uid or external id. AppError not_found for a run that is not the installation's.
 */
export async function searchRecords(
  db: Db,
  asked: {
    installationId: string
    runId?: string | undefined
    q?: string | undefined
    outcome?: Outcome | undefined
    before?: string | undefined
  },
  limit = 50
): Promise<{ items: RecordView[]; next: string | null }> {
  if (asked.runId !== undefined) await getRun(db, { installationId: asked.installationId, id: asked.runId })
  let query = db
    .selectFrom('run_record')
    .innerJoin('sync', 'sync.id', 'run_record.sync_id')
    .selectAll('run_record')
    .select('sync.name as sync_name')
    .where('sync.installation_id', '=', asked.installationId)
    .orderBy('run_record.id', 'desc')
    .limit(limit + 1)
  if (asked.runId !== undefined) query = query.where('run_record.run_id', '=', asked.runId)
  if (asked.outcome !== undefined) query = query.where('run_record.outcome', '=', asked.outcome)
  if (asked.before !== undefined) query = query.where('run_record.id', '<', asked.before)
  const { q } = asked
  if (q !== undefined && q !== '') {
    // A range, not LIKE: what is searched may hold % and _, and an index serves it.
    const end = `${q}\u{10FFFF}`
    query = query.where(eb =>
      eb.or([
        eb.and([eb('run_record.external_id', '>=', q), eb('run_record.external_id', '<', end)]),
        eb.and([eb('run_record.entry_uid', '>=', q), eb('run_record.entry_uid', '<', end)])
      ])
    )
  }
  const rows = await query.execute()
  const items = rows.slice(0, limit).map(row => ({
    id: row.id,
    syncId: row.sync_id,
    syncName: row.sync_name,
    runId: row.run_id,
    key: row.external_id,
    entryUid: row.entry_uid,
    locale: row.locale,
    outcome: row.outcome,
    why: row.why,
    cause: row.cause,
    at: row.at
  }))
  return { items, next: rows.length > limit ? (items.at(-1)?.id ?? null) : null }
}

export const pruneRunsJob = 'sync.prune'

/** Records, finished plans and comparisons past their retention go, a slice at a time. Runs themselves stay. */
export function retentionJob({ db }: { db: Db }): JobKind {
  return {
    kind: pruneRunsJob,
    lane: 'backfill',
    maxAttempts: 3,
    timeoutSeconds: 300,
    async run(_, ctx) {
      await pruneRecords(db, Date.now() - retentionDays * 86_400_000, ctx.signal)
    }
  }
}

/** Everything of before that time (milliseconds since 1970). */
export async function pruneRecords(db: Db, before: number, signal: AbortSignal, slice = 1_000): Promise<void> {
  for (;;) {
    signal.throwIfAborted()
    // Ids grow with time: the oldest lie at the beginning.
    const oldest = await db.selectFrom('run_record').select(['id', 'at']).orderBy('id').limit(slice).execute()
    const ids = oldest.filter(row => row.at < before).map(row => row.id)
    if (ids.length > 0) await db.deleteFrom('run_record').where('id', 'in', ids).execute()
    if (ids.length < slice) break
  }
  const over = await db
    .selectFrom('plan')
    .select('id')
    .where('status', 'not in', ['making', 'applying'])
    .where('expires_at', '<', before)
    .execute()
  for (const { id } of over) {
    for (;;) {
      signal.throwIfAborted()
      const items = await db.selectFrom('plan_item').select('external_id').where('plan_id', '=', id).limit(slice).execute()
      if (items.length === 0) break
      await db
        .deleteFrom('plan_item')
        .where('plan_id', '=', id)
        .where(
          'external_id',
          'in',
          items.map(item => item.external_id)
        )
        .execute()
    }
    await db.deleteFrom('plan').where('id', '=', id).execute()
  }
  await db.deleteFrom('drift').where('status', 'in', ['done', 'failed']).where('created_at', '<', before).execute()
}
