// The jobs that look and do not write: dry runs and comparisons of both sides. They open a sync as runs do (work.ts) and decide
// what an error means: what can be tried again is, and what cannot ends the plan or the comparison with its words.
import type { Db } from '../database/database.ts'
import type { StackClient } from '../contentstack/stack.ts'
import { isAppError } from '../errors.ts'
import type { JobContext, JobKind, JobResult } from '../jobs/job.ts'
import type { Outbound } from './carry.ts'
import { words } from './connections.ts'
import { compare, type DriftRow, driftJobKind, driftTimerKind, type Side, startDrift } from './drift.ts'
import { dryRunOutbound, PlanMoved } from './dry-run.ts'
import { dryRunInbound } from './dry-run-inbound.ts'
import type { Inbound } from './inbound-work.ts'
import { projectionHash } from './inward.ts'
import type { LinkRow } from './links.ts'
import { listEntries } from './listing.ts'
import { findPlan, planJobKind } from './plans.ts'
import { retentionJob } from './run-log.ts'
import { dropStaged, type StagedKey } from './staging.ts'
import { findSync, type SyncRow } from './sync.ts'
import { createMemory, fitting, type Memory, openInbound, openOutbound, type Opening } from './open.ts'
import { type SyncJobDeps, untilTokenWorks } from './work.ts'

const attempts = 8
/** Keys laid down in one transaction: commits are what a comparison mostly waits for. */
const keysAtOnce = 2_000
/** Entries whose content is read once more, in one request: keeps its address below 8 kB. */
const entriesAtOnce = 100

export function planJobs(deps: SyncJobDeps): JobKind[] {
  const { db } = deps.database
  const memory = createMemory()
  const kinds = [
    {
      kind: planJobKind,
      lane: 'backfill' as const,
      maxAttempts: attempts,
      timeoutSeconds: 900,
      run: ({ planId }: { planId: string }, ctx: JobContext) => planJob(db, deps, memory, planId, ctx)
    },
    {
      kind: driftJobKind,
      lane: 'backfill' as const,
      maxAttempts: attempts,
      // A listing cannot be resumed: it has to come through in one go.
      timeoutSeconds: 4 * 3600,
      run: ({ driftId }: { driftId: string }, ctx: JobContext) => driftJob(db, deps, memory, driftId, ctx)
    },
    {
      kind: driftTimerKind,
      lane: 'backfill' as const,
      maxAttempts: 5,
      timeoutSeconds: 30,
      async run({ syncId, repair }: { syncId: string; repair: boolean }): Promise<JobResult> {
        const sync = await findSync(db, syncId)
        if (!sync || sync.state === 'paused') return { cancel: 'the sync is paused or gone' }
        await db.transaction().execute(trx => startDrift(trx, sync, { cause: 'schedule', repair }))
      }
    },
    retentionJob({ db })
  ]
  return kinds
}

async function planJob(db: Db, deps: SyncJobDeps, memory: Memory, planId: string, ctx: JobContext): Promise<JobResult> {
  const plan = await findPlan(db, planId)
  const sync = plan && (await findSync(db, plan.sync_id))
  if (!sync || plan.status !== 'making') return { cancel: 'the plan is made or gone' }
  const fail = async (error: string): Promise<void> => {
    await db.updateTable('plan').set({ status: 'failed', error }).where('id', '=', planId).where('status', '=', 'making').execute()
    await dropStaged(db, planId)
  }
  if (sync.state === 'paused' || sync.revision !== plan.sync_revision) {
    await fail('The sync was paused or changed meanwhile.')
    return { cancel: 'the sync is paused or changed' }
  }
  return await tried(
    db,
    sync,
    ctx,
    fail,
    async stack => {
      const until = Date.now() + (deps.sliceSeconds ?? 20) * 1000
      const contentType = await fitting(db, deps, memory, sync, stack)
      if (contentType === null) return await noFit(fail)
      const opening = { sync, stack, contentType, signal: ctx.signal }
      try {
        const outcome =
          sync.direction === 'outbound'
            ? await dryRunOutbound(db, await openOutbound(db, deps, memory, opening, 'as it is'), stack, plan, until)
            : await dryRunInbound(db, await openInbound(db, deps, opening, false), plan, until)
        if (outcome === 'slice') return { snoozeSeconds: 0, reason: 'more to do' }
      } catch (error) {
        if (!(error instanceof PlanMoved)) throw error
        await dropStaged(db, planId)
        return { cancel: 'the plan was discarded or moved on elsewhere' }
      }
    },
    deps
  )
}

async function driftJob(db: Db, deps: SyncJobDeps, memory: Memory, driftId: string, ctx: JobContext): Promise<JobResult> {
  const drift = await db.selectFrom('drift').selectAll().where('id', '=', driftId).executeTakeFirst()
  const sync = drift && (await findSync(db, drift.sync_id))
  if (!sync || (drift.status !== 'queued' && drift.status !== 'running')) return { cancel: 'the comparison is over' }
  const fail = async (error: string): Promise<void> => {
    await db.updateTable('drift').set({ status: 'failed', error, finished_at: Date.now() }).where('id', '=', driftId).execute()
    await dropStaged(db, driftId)
  }
  if (sync.state === 'paused') {
    await fail('The sync was paused meanwhile.')
    return { cancel: 'the sync is paused' }
  }
  const begun = { status: 'running' as const, started_at: Date.now() }
  await db.updateTable('drift').set(begun).where('id', '=', driftId).execute()
  return await tried(
    db,
    sync,
    ctx,
    fail,
    async stack => {
      const contentType = await fitting(db, deps, memory, sync, stack)
      if (contentType === null) return await noFit(fail)
      const side = await sideOf(db, deps, memory, { sync, stack, contentType, signal: ctx.signal })
      await compare(db, sync, side, { ...drift, ...begun } satisfies DriftRow, ctx.signal)
    },
    deps
  )
}

async function noFit(fail: (error: string) => Promise<void>): Promise<JobResult> {
  await fail('The mapping no longer fits its content type, and the sync was paused: it says why.')
  return { cancel: 'the mapping no longer fits, the sync is paused' }
}

async function sideOf(db: Db, deps: SyncJobDeps, memory: Memory, opening: Opening): Promise<Side> {
  if (opening.sync.direction === 'inbound') return stackSide(await openInbound(db, deps, opening, false))
  return destinationSide(await openOutbound(db, deps, memory, opening))
}

function destinationSide({ connection, shape, signal }: Pick<Outbound, 'connection' | 'shape' | 'signal'>): Side {
  return {
    async *list() {
      let keys: StagedKey[] = []
      for await (const { key, fingerprint } of connection.list(shape, signal)) {
        keys.push({ key, fingerprint: fingerprint ?? '' })
        if (keys.length < keysAtOnce) continue
        yield keys
        keys = []
      }
      yield keys
    },
    keyOf: link => link.external_id,
    fingerprintOf: link => link.destination_fingerprint,
    confirm: links => Promise.resolve(links)
  }
}

/** A version that moved is a hint; whether mapped fields were changed shows in what the entry holds now. */
function stackSide({ stack, sync, locale, mapping, contentType }: Inbound): Side {
  const fields = Object.fromEntries(mapping.map(row => [row.to, true]))
  return {
    async *list() {
      for await (const page of listEntries(stack, { contentType: sync.content_type, locale, only: ['uid', '_version', 'locale'] }, null))
        yield page.entries.map(entry => ({ key: entry.uid, fingerprint: String(entry._version) }))
    },
    keyOf: link => link.entry_uid,
    fingerprintOf: link => String(link.version),
    async confirm(links) {
      const stale: LinkRow[] = []
      for (let from = 0; from < links.length; from += entriesAtOnce) {
        const part = links.slice(from, from + entriesAtOnce)
        const { entries } = await stack.entriesPage(sync.content_type, {
          locale,
          query: { uid: { $in: part.map(link => link.entry_uid) } },
          limit: entriesAtOnce
        })
        for (const link of part) {
          const entry = entries.find(candidate => candidate.uid === link.entry_uid)
          if (entry && projectionHash(entry, fields, contentType) !== link.stack_hash) stale.push(link)
        }
      }
      return stale
    }
  }
}

async function tried(
  db: Db,
  sync: SyncRow,
  ctx: JobContext,
  fail: (error: string) => Promise<void>,
  work: (stack: StackClient) => Promise<JobResult>,
  deps: SyncJobDeps
): Promise<JobResult> {
  try {
    const use = { lane: 'backfill' as const, actor: { kind: 'sync' as const, id: sync.id }, signal: ctx.signal }
    const client = await deps.stackFor(sync.installation_id, use)
    return await work(client.with({ branch: sync.branch }))
  } catch (error) {
    if (ctx.signal.aborted || !(error instanceof Error)) throw error
    if (isAppError(error, 'unauthorized')) return await untilTokenWorks(db, sync, error)
    const hopeless = isAppError(error) && ['invalid', 'forbidden', 'not_found', 'conflict'].includes(error.code)
    if (!hopeless && ctx.attempt < attempts) throw error
    ctx.log.warn({ syncId: sync.id, error }, 'a look at a sync failed')
    await fail(isAppError(error) ? words(error) : 'Something went wrong inside Quayside; the log says what.')
  }
}
