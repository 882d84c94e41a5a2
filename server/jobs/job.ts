// What a job is, to everyone: its states, what a kind of job promises, what a run may answer. Knows none of our kinds; features
// define theirs and the composition root hands the worker the list.
//
//   ready ──claim──> running ──done──────> done
//     ^                 │ ├───cancel─────> cancelled      (cancelJobs: ready -> cancelled)
//     │                 │ └───failed, or lost with its process, no attempt left──> dead ──put in again / discarded──> cancelled
//     └──failed / snoozed / given back / lease run out──┘
//
// done, cancelled and dead are final: a later wish, such as putting a dead job in again (dead.ts), is a new job at the end of its key. Jobs with a key run one at a time in the order of their ids, and
// a failed or snoozed head keeps its successors waiting until it is final. A group on hold keeps its ready jobs ready, at no cost.
// A run happens at least once: the work must be harmless when it is repeated, since a process may die between work and word.
import type { Db } from '../database/database.ts'
import { isAppError } from '../errors.ts'
import type { Log } from '../log.ts'

/**
 * Urgency. people: someone waits for it; live: the world changed; backfill: everything else. local: short work on our own database
 * alone, in slots of its own, so that it never waits behind jobs that wait for another system (decision 0009).
 */
export type Lane = 'people' | 'local' | 'live' | 'backfill'
export const lanes: readonly Lane[] = ['people', 'local', 'live', 'backfill']

/**
 * Nothing = done. `cancel` ends the job without having done it, with the reason. `snoozeSeconds` puts it back without costing an
 * attempt; its key's successors wait with it.
 */
// biome-ignore lint/suspicious/noConfusingVoidType: a run that says nothing is a run that is done
export type JobResult = void | { cancel: string } | { snoozeSeconds: number; reason: string }

export interface JobContext {
  jobId: number
  /** 1 for the first run. */
  attempt: number
  /** Grows with each time the job is taken up. Of one key, (jobId, fence) only grows: who writes with it can refuse what was overtaken. */
  fence: number
  /** Aborted on time-out, at shutdown after the grace period, and when the lease was lost. */
  signal: AbortSignal
  log: Log
}

/** A job's payload is JSON: ids, not data. `lane` is for the room to enqueue with; each job says its own. */
export interface JobKind<P = unknown> {
  kind: string
  lane: Lane
  maxAttempts: number
  timeoutSeconds: number
  run(payload: P, context: JobContext): Promise<JobResult>
  /**
   * The job is dead: its last attempt failed, or its process died each time. In the transaction that says so, so that nothing waits for
   * it for ever. Rows and jobs only; what it throws is logged, and the job is dead all the same.
   */
  gaveUp?(trx: Db, payload: P, why: string): Promise<void>
}

/**
 * Thrown out of a run that would wait for long: the job gives its slot back and comes again, at no attempt, still first of its key. No
 * AppError, so that nothing on the way takes it for a failure.
 */
export class ComeBack extends Error {
  readonly seconds: number
  constructor(seconds: number, reason: string) {
    super(reason)
    this.seconds = seconds
  }
}

/** As kept in job.errors_json. */
export interface FailedAttempt {
  attempt: number
  /** Milliseconds since 1970. */
  at: number
  error: string
  /** Not said for people's eyes: an error that is no AppError. */
  internal: boolean
}

export interface NewJob {
  kind: string
  lane: Lane
  payload: unknown
  /** Jobs of one key run one at a time, in the order enqueued. */
  key?: string | undefined
  /** What hold() and release() act on, and what takes turns within a lane: an installation id. */
  group?: string | undefined
  /** While an equal one waits to begin, enqueueing is a no-op; one that runs already does not count, so no change is lost. */
  uniqueKey?: string | undefined
  /** Milliseconds since 1970; now when left out. */
  runAt?: number | undefined
  /** The dead job that it is put in again for. */
  replaces?: number | undefined
  /** What the kind says when left out. */
  maxAttempts?: number | undefined
}

/** In job.max_attempts: enqueueing knows no kinds, the worker does. */
export const asTheKindSays = 0

const firstDelaySeconds = 2
const longestDelaySeconds = 15 * 60

/**
 * Seconds until the next attempt: doubling from 2 s up to 15 minutes, half of it by chance so that what failed together does not
 * come back together. An upstream's own wish (`rate_limited` with retryAfterSeconds) is the least it waits.
 */
export function retryDelaySeconds(attempt: number, error: unknown, chance = Math.random()): number {
  const ceiling = Math.min(longestDelaySeconds, firstDelaySeconds * 2 ** Math.min(attempt - 1, 20))
  const delay = ceiling / 2 + (ceiling / 2) * chance
  return isAppError(error) ? Math.max(delay, error.retryAfterSeconds ?? 0) : delay
}
