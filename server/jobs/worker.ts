// Runs jobs: claims as many as there is room for, holds their leases, writes down how each ended, and gives everything back when
// it is told to stop. Knows the kinds it was handed and nothing of what they do. Any number of workers may run on one database.
import { setTimeout as pause } from 'node:timers/promises'
import type { Database, Db } from '../database/database.ts'
import { AppError, isAppError } from '../errors.ts'
import type { Log } from '../log.ts'
import { type ClaimedJob, claimJobs, type Ending, recoverJobs, renewLeases, waitingLanes } from './claim.ts'
import { createHand, type Held } from './hand.ts'
import { asTheKindSays, ComeBack, type JobKind, type JobResult, type Lane, retryDelaySeconds } from './job.ts'
import { pruneJobs, refreshStatistics } from './queue.ts'
import { tick } from './scheduler.ts'
import { createSettler } from './settler.ts'
import { listen, listenToPostgres } from './wake.ts'

export interface WorkerOptions {
  database: Database
  kinds: readonly JobKind[]
  /** Jobs at a time in this process. */
  concurrency: number
  log: Log
  /** How often to look without having been woken; 500. */
  pollMs?: number
  /** How long a job of a process that died stays with it; 15. Renewed every third of it. */
  leaseSeconds?: number
  /** How long stop() lets jobs run on before it aborts their signals; 10. */
  graceSeconds?: number
  /** Of one installation at a time in this process, but for what people wait for; three quarters of what the lane may use. */
  groupLimit?: number
  /** Called when nothing is due and nothing runs. */
  onIdle?: () => void
  /** A run ended after its lease had gone to another process. */
  onOvertaken?: (job: ClaimedJob) => Promise<void>
}

export interface Worker {
  /** Runs jobs and due schedules until stop(). */
  start(): void
  /** Claims no more, waits for what runs, aborts it after the grace period, gives unfinished jobs back without cost. Final. */
  stop(): Promise<void>
  /**
   * Runs due jobs, and what they enqueue, until none is left and none runs; returns how many runs that were. `until`: what is due
   * up to then counts as due now, so that retries and snoozes need no waiting. Schedules are left to tick().
   */
  drain(options?: { until?: number }): Promise<number>
  wake(): void
}

const abandonMs = 5_000
const unknownKindMs = 30_000
const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

export function createWorker(options: WorkerOptions): Worker {
  const { database, concurrency, log, pollMs = 500, leaseSeconds = 15, graceSeconds = 10 } = options
  const { db } = database
  const kinds = new Map(options.kinds.map(kind => [kind.kind, kind]))
  if (kinds.size !== options.kinds.length) throw new Error('two kinds of job have the same name')
  const settler = createSettler({ db, log, gaveUp, onOvertaken: options.onOvertaken })
  const hand = createHand(concurrency, options.groupLimit)
  const { held } = hand
  const after: Record<Lane, string> = { people: '', local: '', live: '', backfill: '' }
  const stopListening = listen(db, wake)
  let notifications: { close(): Promise<void> } | undefined
  let loop: Promise<void> | undefined
  const stopping = new AbortController()

  // ---- claiming ----

  let round: Promise<unknown> = Promise.resolve()
  /** One at a time, so that the loop and a drain() do not both fill the same room. `idle`: nothing ran when it began, and nothing was due. */
  async function claimRound(until?: number): Promise<{ begun: number; idle: boolean }> {
    const mine = round.then(() => claimLanes(until))
    round = mine.catch(() => {})
    return await mine
  }

  async function claimLanes(until?: number): Promise<{ begun: number; idle: boolean }> {
    // What runs now may enqueue and end while the lanes are asked, so only a round begun in silence can say that all is done.
    const silent = held.size === 0
    let begun = 0
    for (const lane of await waitingLanes(db)) {
      const room = hand.room(lane)
      if (room.limit <= 0 || stopping.signal.aborted) continue
      const jobs = await claimJobs(db, { lane, ...room, leaseSeconds, after: after[lane], until })
      after[lane] = lastServed(jobs, after[lane])
      for (const job of inTurn(jobs)) take(job)
      begun += jobs.length
      beginNext()
    }
    return { begun, idle: silent && begun === 0 }
  }

  // ---- running ----

  function take(job: ClaimedJob): void {
    held.add({ job, controller: new AbortController(), stage: 'ahead', begunAt: 0, over: Promise.resolve() })
    keepLeases()
  }

  /** Of what was taken ahead, as much as there are slots for. */
  function beginNext(): void {
    for (const entry of held) {
      if (entry.stage !== 'ahead' || stopping.signal.aborted || !hand.mayBegin(entry)) continue
      entry.stage = 'running'
      entry.begunAt = performance.now()
      entry.over = runToEnd(entry).finally(() => {
        held.delete(entry)
        moved()
        wake()
      })
    }
  }

  async function gaveUp(trx: Db, job: ClaimedJob, why: string): Promise<void> {
    await kinds.get(job.kind)?.gaveUp?.(trx, JSON.parse(job.payload_json) as unknown, why)
  }

  async function runToEnd(entry: Held): Promise<void> {
    const { job, controller } = entry
    const jobLog = log.child({ jobId: job.id, kind: job.kind, attempt: job.attempt })
    const kind = kinds.get(job.kind)
    const ending: Ending = kind
      ? await endingOf(job, kind, controller, jobLog)
      : { state: 'ready', backIn: unknownKindMs, attemptCounts: false, error: `no worker here knows the kind ${job.kind}` }
    hand.took(performance.now() - entry.begunAt)
    entry.stage = 'settling'
    beginNext()
    moved()
    wake()
    await settler.settle({ job, ending })
  }

  async function endingOf(job: ClaimedJob, kind: JobKind, controller: AbortController, jobLog: Log): Promise<Ending> {
    const maxAttempts = job.max_attempts === asTheKindSays ? kind.maxAttempts : job.max_attempts
    // It was taken up and never settled as often as it may: running it again would likely end this process too.
    if (job.attempt > maxAttempts) return { state: 'dead', error: job.error ?? 'no attempt is left', began: false }
    try {
      const result = await runWithin(kind, job, controller, jobLog)
      if (!result) return { state: 'done' }
      if ('cancel' in result) return { state: 'cancelled', error: brief(result.cancel) }
      return { state: 'ready', backIn: result.snoozeSeconds * 1000, attemptCounts: false, error: brief(result.reason) }
    } catch (error) {
      if (controller.signal.aborted && controller.signal.reason === shutdown)
        return { state: 'ready', backIn: 0, attemptCounts: false, error: job.error }
      if (error instanceof ComeBack)
        return { state: 'ready', backIn: error.seconds * 1000, attemptCounts: false, error: brief(error.message) }
      const message = brief(error instanceof Error ? error.message : String(error))
      const internal = !isAppError(error)
      if (job.attempt >= maxAttempts) {
        jobLog.error({ error }, 'the job failed for the last time')
        return { state: 'dead', error: message, began: true, internal }
      }
      jobLog.warn({ error }, 'the job failed and will be tried again')
      return { state: 'ready', backIn: retryDelaySeconds(job.attempt, error) * 1000, attemptCounts: true, error: message, internal }
    }
  }

  /** The run's result, unless its time is up or its signal was aborted and it does not end soon after: then it is left behind. */
  async function runWithin(kind: JobKind, job: ClaimedJob, controller: AbortController, jobLog: Log): Promise<JobResult> {
    const { signal } = controller
    const timeout = setTimeout(() => {
      controller.abort(new AppError('upstream', `The job took longer than ${kind.timeoutSeconds} s.`))
    }, kind.timeoutSeconds * 1000)
    const { promise: abandoned, reject: abandon } = Promise.withResolvers<never>()
    abandoned.catch(() => {})
    let abandonTimer: NodeJS.Timeout | undefined
    signal.addEventListener('abort', () => (abandonTimer = setTimeout(() => abandon(signal.reason), abandonMs)), { once: true })
    try {
      const work = async () =>
        await kind.run(JSON.parse(job.payload_json) as unknown, {
          jobId: job.id,
          attempt: job.attempt,
          fence: job.claims,
          signal,
          log: jobLog
        })
      return await Promise.race([work(), abandoned])
    } finally {
      clearTimeout(timeout)
      clearTimeout(abandonTimer)
    }
  }

  // ---- leases ----

  let renewal: NodeJS.Timeout | undefined
  function keepLeases(): void {
    renewal ??= setTimeout(
      async () => {
        try {
          const entries = [...held]
          const kept = await renewLeases(
            db,
            entries.map(({ job }) => job),
            leaseSeconds
          )
          for (const entry of entries) {
            if (kept.has(entry.job.id)) continue
            entry.controller.abort(lostLease)
            if (entry.stage === 'ahead') held.delete(entry)
          }
        } catch (error) {
          log.error({ error }, 'job leases could not be renewed')
        }
        renewal = undefined
        if (held.size > 0) keepLeases()
      },
      (leaseSeconds * 1000) / 3
    )
    renewal.unref()
  }

  // ---- the loop ----

  let rung = false
  let rouse: (() => void) | undefined
  function wake(): void {
    rung = true
    rouse?.()
  }

  /** Until woken, at most a poll's time. The promise, not the caller of wake(), decides the async context that goes on. */
  async function rest(): Promise<void> {
    if (!rung) {
      let timer: NodeJS.Timeout | undefined
      await new Promise<void>(resolve => {
        rouse = resolve
        timer = setTimeout(resolve, pollMs)
      })
      clearTimeout(timer)
    }
    rouse = undefined
    rung = false
  }

  const every = (ms: number, act: () => Promise<unknown>) => {
    let next = 0
    return async () => {
      if (Date.now() < next) return
      next = Date.now() + ms
      await act()
    }
  }
  const housekeeping = [
    every((leaseSeconds * 1000) / 3, () => recoverJobs(db)),
    every(1_000, () => tick(db)),
    every(minuteMs, () => refreshStatistics(db)),
    every(hourMs, () => pruneJobs(db, { finished: Date.now() - dayMs, dead: Date.now() - 90 * dayMs }))
  ]

  async function work(): Promise<void> {
    let failures = 0
    while (!stopping.signal.aborted) {
      try {
        for (const act of housekeeping) await act()
        if ((await claimRound()).idle) options.onIdle?.()
        failures = 0
      } catch (error) {
        failures += 1
        log.error({ error }, 'the job worker could not reach its database')
        await pause(Math.min(10_000, 250 * 2 ** failures))
      }
      await rest()
    }
  }

  // ---- something has moved ----

  let waiters: (() => void)[] = []
  function moved(): void {
    for (const waiter of waiters.splice(0)) waiter()
  }

  async function over(within: number): Promise<void> {
    await Promise.race([Promise.allSettled([...held].map(entry => entry.over)), pause(within, undefined, { ref: false })])
  }

  async function giveBack(entries: readonly Held[]): Promise<void> {
    for (const entry of entries) held.delete(entry)
    const left: Ending = { state: 'ready', backIn: 0, attemptCounts: false, error: null }
    await Promise.all(entries.map(({ job }) => settler.settle({ job, ending: left })))
  }

  return {
    wake,
    start() {
      if (loop || stopping.signal.aborted) return
      if (database.dialect === 'postgres') notifications = listenToPostgres(database, wake, log)
      loop = work()
    },
    async drain({ until } = {}) {
      await recoverJobs(db)
      let count = 0
      for (;;) {
        const { begun, idle } = await claimRound(until)
        count += begun
        if (stopping.signal.aborted || idle) return count
        if (held.size > 0) await new Promise<void>(resolve => waiters.push(resolve))
      }
    },
    async stop() {
      if (stopping.signal.aborted) return
      stopping.abort()
      wake()
      stopListening()
      await Promise.all([loop, notifications?.close(), round])
      await giveBack([...held].filter(({ stage }) => stage === 'ahead'))
      await over(graceSeconds * 1000)
      for (const { controller } of held) controller.abort(shutdown)
      await over(2_000)
      // Whoever does not listen to its signal loses its lease: what it still writes down is refused by the token.
      await giveBack([...held])
      clearTimeout(renewal)
      waiters.splice(0).forEach(waiter => waiter())
    }
  }
}

const shutdown = new AppError('conflict', 'The process is stopping.')
const lostLease = new AppError('conflict', 'The lease of the job was lost.')

/** Every group's first, then every group's second: what is taken ahead keeps the turns that it was claimed by. */
function inTurn(jobs: readonly ClaimedJob[]): ClaimedJob[] {
  const counts = new Map<string, number>()
  const places = new Map<ClaimedJob, number>()
  for (const job of jobs) {
    const place = (counts.get(job.group_id) ?? 0) + 1
    counts.set(job.group_id, place)
    places.set(job, place)
  }
  return jobs.toSorted((one, other) => places.get(one)! - places.get(other)!)
}

/** Of the groups just served, the last in turn behind `after`. */
function lastServed(jobs: readonly ClaimedJob[], after: string): string {
  const groups = jobs.map(job => job.group_id)
  const beyond = groups.filter(group => group > after)
  const turn = beyond.length > 0 && beyond.length === groups.length ? beyond : groups.filter(group => group <= after)
  return turn.reduce((last, group) => (group > last ? group : last), turn[0] ?? after)
}

function brief(message: string): string {
  return message.length > 1_000 ? `${message.slice(0, 999)}…` : message
}
