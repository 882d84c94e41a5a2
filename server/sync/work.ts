// The jobs of this room: runs, single records, schedules. It opens what a job needs (stack, content type, connection, table),
// decides what an error means for the job, and leaves the work to outbound.ts, inbound.ts and carry.ts.
//
//   the endpoint is gone            its syncs are paused (endpoint.ts)
//   the stack's token is refused   the job waits without losing an attempt; custody holds the installation if the token is dead
//   upstream, rate_limited         the job is tried again from the checkpoint; after its last try the run is `failed`
//   invalid, forbidden, not_found  the run is `failed` at once, with the words and the remedy
import { databaseNow } from '../database/clock.ts'
import type { Db } from '../database/database.ts'
import { isAppError } from '../errors.ts'
import type { JobContext, JobKind, JobResult } from '../jobs/job.ts'
import { holdOf } from '../jobs/queue.ts'
import { applyOutbound, applyInbound, planOfRun, skipRest } from './apply.ts'
import { fitJob } from './broken.ts'
import { carry } from './carry.ts'
import { words } from './connections.ts'
import { pauseIfGone } from './endpoint.ts'
import { type Hint, readAgainIn } from './hint.ts'
import { runInbound } from './inbound.ts'
import { clearTrouble, noteTrouble } from './links.ts'
import { fitting, fittingFor, type Memory, createMemory, type OpenDeps, openInbound, openOutbound } from './open.ts'
import { runPushed } from './pushed-run.ts'
import { runOutbound } from './outbound.ts'
import { destinationKey } from './outward.ts'
import { parentsJob } from './parents.ts'
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
import { currentOfRead, readEntry } from './source.ts'
import { findSync, outboundOptions, type SyncRow } from './sync.ts'

export interface SyncJobDeps extends OpenDeps {
  database: { db: Db }
  /** How long one turn of a run lasts before others get theirs. Default 20 s. */
  sliceSeconds?: number
  /** What has been announced of a record; null when nothing was of late. */
  hintOf?: (record: { installationId: string; branch: string; entryUid: string; locale: string }) => Promise<Hint | null>
}

/** Of these there may be thousands, and nobody waits for a single one: rather than wait in a slot, they give it back. */
const patienceSeconds = 1

export function syncJobs(deps: SyncJobDeps): JobKind[] {
  const { db } = deps.database
  const memory = createMemory()
  const kinds = [
    {
      kind: runJobKind,
      lane: 'backfill' as const,
      maxAttempts: runAttempts,
      timeoutSeconds: 900,
      run: ({ runId }: { runId: string }, ctx: JobContext) => runJob(db, deps, memory, runId, ctx),
      gaveUp: (trx: Db, { runId }: { runId: string }, why: string) => finishRun(trx, runId, gaveUpOn(why), 'failed')
    },
    {
      kind: recordJobKind,
      lane: 'live' as const,
      maxAttempts: recordAttempts,
      timeoutSeconds: 120,
      run: (job: RecordJob, ctx: JobContext) => recordJob(db, deps, memory, job, ctx),
      async gaveUp(trx: Db, { syncId, entryUid, locale }: RecordJob, why: string) {
        const sync = await findSync(trx, syncId)
        const link = { locale, external_id: destinationKey(entryUid, locale), entry_uid: entryUid }
        if (sync) await noteTrouble(trx, sync, link, gaveUpOn(why))
      }
    },
    parentsJob(deps),
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
  return [...kinds, fitJob(db, deps, untilTokenWorks.bind(null, db))]
}

/** Its own errors are written down as they come; this says that nothing more is tried. */
function gaveUpOn(why: string): string {
  return `Quayside gave up: ${why.replace(/\.$/, '')}.`
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
    const gone = await pauseIfGone(db, deps, sync, error)
    if (gone) return gone
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
  const contentType = await fitting(db, deps, memory, sync, stack)
  if (contentType === null) throw new RunMoved('the mapping no longer fits, the sync is paused')
  const opening = { sync, stack, contentType, signal: ctx.signal }
  const plan = await planOfRun(db, sync, run)
  if (run.plan_id !== null && !plan) {
    await skipRest(db, sync, run)
    return { needsPerson: 'The sync was changed since this was planned. Make a new plan.' }
  }
  if (sync.direction === 'outbound') {
    const outbound = await openOutbound(db, deps, memory, opening)
    return plan ? await applyOutbound(db, outbound, stack, run, plan, until) : await runOutbound(db, outbound, stack, run, until)
  }
  const inbound = await openInbound(db, deps, opening, ctx.attempt >= runAttempts - 1)
  if (run.cause === 'push') return await runPushed(db, inbound, run, until)
  if (!plan) return await runInbound(db, inbound, run, until)
  const outcome = await applyInbound(db, inbound, run, plan, until)
  if (outcome === 'done') await skipRest(db, sync, run, 'It was written since it was planned, or is gone from its source.')
  return outcome
}

async function recordJob(db: Db, deps: SyncJobDeps, memory: Memory, job: RecordJob, ctx: JobContext): Promise<JobResult> {
  const { entryUid, locale } = job
  const sync = await findSync(db, job.syncId)
  if (!sync || sync.state === 'paused') return { cancel: 'the sync is paused or gone' }
  const key = destinationKey(entryUid, locale)
  try {
    const lane = job.lane ?? (job.force ? 'people' : 'live')
    const actor = { kind: 'sync', id: sync.id } as const
    const client = await deps.stackFor(sync.installation_id, {
      lane,
      actor,
      signal: ctx.signal,
      ...(lane === 'people' ? {} : { patienceSeconds })
    })
    const stack = client.with({ branch: sync.branch })
    const readAt = await databaseNow(db)
    const entry = await readEntry({ sync, options: outboundOptions(sync) }, stack, entryUid, locale)
    const hint = await deps.hintOf?.({ installationId: sync.installation_id, branch: sync.branch, entryUid, locale })
    const early = readAgainIn(entry?.locale === locale ? entry : null, hint ?? null, Date.now())
    if (early !== null) return { snoozeSeconds: early, reason: 'what Contentstack answers is older than its webhook' }
    const contentType = await fittingFor(db, deps, memory, { sync, stack, entry })
    if (contentType === null) return { cancel: 'the mapping no longer fits, the sync is paused' }
    const outbound = await openOutbound(db, deps, memory, { sync, stack, contentType, signal: ctx.signal })
    const record = await currentOfRead(db, outbound, stack, entryUid, locale, entry)
    const why = { cause: job.cause, claimant: `job ${ctx.jobId}`, runId: null, readAt, force: job.force === true }
    const carried = await carry(db, outbound, locale, [record], why, () => Promise.resolve())
    if (carried.parked.length > 0) return { cancel: 'its deletion waits for a person' }
    if (carried.busy.length > 0) return { snoozeSeconds: 0.5, reason: 'a run is writing this record' }
    if (carried.skipped.length > 0) await clearTrouble(db, sync, locale, key)
    const later = carried.failed[0]?.retryAfterSeconds
    if (later !== undefined) return { snoozeSeconds: later, reason: 'the destination asks to wait' }
  } catch (error) {
    if (ctx.signal.aborted || !isAppError(error)) throw error
    const gone = await pauseIfGone(db, deps, sync, error)
    if (gone) return gone
    if (error.code === 'unauthorized') return await untilTokenWorks(db, sync, error)
    await noteTrouble(db, sync, { locale, external_id: key, entry_uid: entryUid }, words(error))
    throw error
  }
}

/** Under a hold the job waits for its release, and is due the moment that comes; a refusal that held nothing is asked again. */
export async function untilTokenWorks(db: Db, sync: SyncRow, error: Error): Promise<JobResult> {
  const held = await holdOf(db, sync.installation_id)
  return { snoozeSeconds: held ? 0 : 15, reason: error.message }
}
