// The jobs of this room: runs, single records, schedules. It opens what a job needs (stack, content type, connection, table),
// decides what an error means for the job, and leaves the work to outbound.ts, inbound.ts and carry.ts.
//
//   the stack's token is refused   the job waits without losing an attempt; custody holds the installation if the token is dead
//   upstream, rate_limited         the job is tried again from the checkpoint; after its last try the run is `failed`
//   invalid, forbidden, not_found  the run is `failed` at once, with the words and the remedy
import { databaseNow } from '../database/clock.ts'
import type { Db } from '../database/database.ts'
import type { ContentType, StackClient } from '../contentstack/stack.ts'
import { isAppError } from '../errors.ts'
import { installationById } from '../installations/installation.ts'
import type { JobContext, JobKind, JobResult } from '../jobs/job.ts'
import { holdOf } from '../jobs/queue.ts'
import { carry, type Outbound } from './carry.ts'
import { getConnection, openConnection, words } from './connections.ts'
import { runInbound } from './inbound.ts'
import { clearTrouble, noteTrouble } from './links.ts'
import { requireExternalIdField } from './mapping.ts'
import { runPushed } from './pushed-run.ts'
import { runOutbound } from './outbound.ts'
import { destinationKey, outboundShape } from './outward.ts'
import { recordAttempts, type RecordJob, recordJobKind } from './record-jobs.ts'
import {
  beginRun,
  findRun,
  finishRun,
  noteRunTrouble,
  RunMoved,
  type RunRow,
  runAttempts,
  runJobKind,
  scheduleJobKind,
  startRun
} from './runs.ts'
import { findSync, inboundOptions, mappingOf, outboundOptions, type SyncDeps, type SyncRow } from './sync.ts'

export interface SyncJobDeps extends SyncDeps {
  database: { db: Db }
  /** How long one turn of a run lasts before others get theirs. Default 20 s. */
  sliceSeconds?: number
  /** See Inbound. Default 30 s, the CMA client's time-out. */
  settleSeconds?: number
}

/** Content types change rarely, and mappings name their fields: a minute of age does no harm. */
const schemaSeconds = 60

export function syncJobs(deps: SyncJobDeps): JobKind[] {
  const { db } = deps.database
  const schemas = createSchemas()
  const tables = new Set<string>()
  const kinds = [
    {
      kind: runJobKind,
      lane: 'backfill' as const,
      maxAttempts: runAttempts,
      timeoutSeconds: 900,
      run: ({ runId }: { runId: string }, ctx: JobContext) => runJob(db, deps, { schemas, tables }, runId, ctx)
    },
    {
      kind: recordJobKind,
      lane: 'live' as const,
      maxAttempts: recordAttempts,
      timeoutSeconds: 120,
      run: (job: RecordJob, ctx: JobContext) => recordJob(db, deps, { schemas, tables }, job, ctx)
    },
    {
      kind: scheduleJobKind,
      lane: 'backfill' as const,
      maxAttempts: 5,
      timeoutSeconds: 30,
      async run({ syncId, cause, causedBy }: { syncId: string; cause?: 'reconcile'; causedBy?: string }): Promise<JobResult> {
        const sync = await findSync(db, syncId)
        if (!sync || sync.state === 'paused') return { cancel: 'the sync is paused or gone' }
        await db.transaction().execute(trx => startRun(trx, { sync, cause: cause ?? 'schedule', causedBy: causedBy ?? 'schedule' }))
      }
    }
  ]
  return kinds
}

interface Memory {
  schemas: Schemas
  /** Tables that this process has prepared: sync id and revision. */
  tables: Set<string>
}

async function runJob(db: Db, deps: SyncJobDeps, memory: Memory, runId: string, ctx: JobContext): Promise<JobResult> {
  const waiting = await findRun(db, runId)
  const sync = waiting && (await findSync(db, waiting.sync_id))
  if (!sync || sync.state === 'paused') return { cancel: 'the sync is paused or gone' }
  const run = await beginRun(db, runId)
  if (!run) return { cancel: 'the run is over' }
  try {
    const outcome = await turn(db, deps, memory, sync, run, ctx)
    if (outcome === 'slice') return { snoozeSeconds: 0, reason: 'more to do' }
    if (outcome === 'done') await finishRun(db, run.id, null)
    else await finishRun(db, run.id, outcome.needsPerson, 'partial')
  } catch (error) {
    if (ctx.signal.aborted || !(error instanceof Error)) throw error
    if (error instanceof RunMoved) return { cancel: 'the run was paused, cancelled or moved on elsewhere' }
    if (isAppError(error, 'unauthorized')) {
      await noteRunTrouble(db, run.id, words(error))
      return await untilTokenWorks(db, sync, error)
    }
    const hopeless = isAppError(error) && ['invalid', 'forbidden', 'not_found', 'conflict'].includes(error.code)
    const said = isAppError(error) ? words(error) : 'Something went wrong inside Quayside; the log says what.'
    if (!hopeless && ctx.attempt < runAttempts) {
      await noteRunTrouble(db, run.id, said)
      throw error
    }
    ctx.log.warn({ runId: run.id, syncId: sync.id, error }, 'run failed')
    await finishRun(db, run.id, said, 'failed')
  }
}

async function turn(
  db: Db,
  deps: SyncJobDeps,
  memory: Memory,
  sync: SyncRow,
  run: RunRow,
  ctx: JobContext
): Promise<'done' | 'slice' | { needsPerson: string }> {
  const until = Date.now() + (deps.sliceSeconds ?? 20) * 1000
  const client = await deps.stackFor(sync.installation_id, {
    lane: 'backfill',
    actor: { kind: 'sync', id: sync.id, runId: run.id },
    signal: ctx.signal
  })
  const stack = client.with({ branch: sync.branch })
  if (sync.direction === 'outbound')
    return await runOutbound(db, await openOutbound(db, deps, memory, sync, stack, ctx.signal), stack, run, until)
  const contentType = await stack.contentType(sync.content_type)
  requireExternalIdField(contentType, inboundOptions(sync).externalIdField)
  const installation = await installationById(db, sync.installation_id)
  const connection = openConnection(db, deps, await getConnection(db, { installationId: sync.installation_id, id: sync.connection_id }))
  const inbound = {
    sync,
    mapping: mappingOf(sync),
    contentType,
    connection,
    stack,
    locale: installation.master_locale || (await masterLocale(stack)),
    signal: ctx.signal,
    settleSeconds: deps.settleSeconds ?? 30,
    lastTry: ctx.attempt >= runAttempts - 1,
    fetch: deps.guard.fetch
  }
  return await (run.cause === 'push' ? runPushed : runInbound)(db, inbound, run, until)
}

async function recordJob(db: Db, deps: SyncJobDeps, memory: Memory, job: RecordJob, ctx: JobContext): Promise<JobResult> {
  const { entryUid, locale } = job
  const sync = await findSync(db, job.syncId)
  if (!sync || sync.state === 'paused') return { cancel: 'the sync is paused or gone' }
  const key = destinationKey(entryUid, locale)
  try {
    const lane = job.force ? 'people' : 'live'
    const client = await deps.stackFor(sync.installation_id, { lane, actor: { kind: 'sync', id: sync.id }, signal: ctx.signal })
    const stack = client.with({ branch: sync.branch })
    const readAt = await databaseNow(db)
    const entry = await stack.entry(sync.content_type, entryUid, { locale })
    const outbound = await openOutbound(db, deps, memory, sync, stack, ctx.signal)
    const record = { entryUid, entry: entry?.locale === locale ? entry : null }
    const why = { cause: job.cause, claimant: `job ${ctx.jobId}`, runId: null, readAt, force: job.force === true }
    const carried = await carry(db, outbound, locale, [record], why, () => Promise.resolve())
    if (carried.busy.length > 0) return { snoozeSeconds: 0.5, reason: 'a run is writing this record' }
    if (carried.skipped.length > 0) await clearTrouble(db, sync, locale, key)
    const later = carried.failed[0]?.retryAfterSeconds
    if (later !== undefined) return { snoozeSeconds: later, reason: 'the destination asks to wait' }
  } catch (error) {
    if (ctx.signal.aborted || !isAppError(error)) throw error
    if (error.code === 'unauthorized') return await untilTokenWorks(db, sync, error)
    await noteTrouble(db, sync, { locale, external_id: key, entry_uid: entryUid }, words(error))
    throw error
  }
}

/** Under a hold the job waits for its release, and is due the moment that comes; a refusal that held nothing is asked again. */
async function untilTokenWorks(db: Db, sync: SyncRow, error: Error): Promise<JobResult> {
  const held = await holdOf(db, sync.installation_id)
  return { snoozeSeconds: held ? 0 : 15, reason: error.message }
}

async function openOutbound(
  db: Db,
  deps: SyncJobDeps,
  memory: Memory,
  sync: SyncRow,
  stack: StackClient,
  signal: AbortSignal
): Promise<Outbound> {
  const mapping = mappingOf(sync)
  const shape = outboundShape(outboundOptions(sync).table, mapping)
  const opened = openConnection(db, deps, await getConnection(db, { installationId: sync.installation_id, id: sync.connection_id }))
  const prepared = `${sync.id}:${sync.revision}`
  if (!memory.tables.has(prepared)) {
    await opened.prepare(shape, signal)
    memory.tables.add(prepared)
  }
  return {
    sync,
    mapping,
    shape,
    contentType: await memory.schemas.get(sync, stack),
    connection: {
      ...opened,
      async push(...given) {
        try {
          return await opened.push(...given)
        } catch (error) {
          // The table may have been dropped under us: the next try makes it again.
          memory.tables.delete(prepared)
          throw error
        }
      }
    },
    signal
  }
}

interface Schemas {
  get(sync: SyncRow, stack: StackClient): Promise<ContentType>
}

function createSchemas(): Schemas {
  const known = new Map<string, { until: number; contentType: Promise<ContentType> }>()
  return {
    async get(sync, stack) {
      const key = `${sync.installation_id}:${sync.branch}:${sync.content_type}`
      const have = known.get(key)
      if (have && have.until > Date.now()) return await have.contentType
      const contentType = stack.contentType(sync.content_type)
      known.set(key, { until: Date.now() + schemaSeconds * 1000, contentType })
      try {
        return await contentType
      } catch (error) {
        known.delete(key)
        throw error
      }
    }
  }
}

async function masterLocale(stack: StackClient): Promise<string> {
  const locales = await stack.locales()
  return locales.find(locale => locale.fallback_locale === null)?.code ?? locales[0]?.code ?? 'en-us'
}
