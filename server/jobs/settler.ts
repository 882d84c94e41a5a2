// Writes down how jobs ended, many in one commit: what ends while a commit is under way goes with the next one. A commit costs a
// flush of the disk, so without this the queue would be as slow as the disk is. A death goes alone, with what its kind has to say
// of it (gaveUp): that may fail without taking the others along.
import { setImmediate, setTimeout as pause } from 'node:timers/promises'
import type { Db } from '../database/database.ts'
import type { Log } from '../log.ts'
import { type ClaimedJob, type GaveUp, type Settlement, settleJobs } from './claim.ts'

export interface Settler {
  /** Resolves when it is written, or when it never can be: then the lease runs out and the job comes back. */
  settle(settlement: Settlement): Promise<void>
}

export interface SettlerOptions {
  db: Db
  log: Log
  gaveUp: GaveUp
  /** Told of each run that ended after its lease was gone. */
  onOvertaken?: ((job: ClaimedJob) => Promise<void>) | undefined
}

const attempts = 5
/** What gaveUp throws may pass, such as a deadlock; when it does not, the job is dead without it. */
const attemptsToGiveUp = 3

export function createSettler({ db, log, gaveUp, onOvertaken }: SettlerOptions): Settler {
  let waiting: { settlement: Settlement; resolve: () => void }[] = []
  let writing = false

  async function write(): Promise<void> {
    writing = true
    while (waiting.length > 0) {
      // Jobs begun together often end together: one turn of the event loop gathers them.
      await setImmediate()
      const batch = waiting
      waiting = []
      const settlements = batch.map(({ settlement }) => settlement)
      const deaths = settlements.filter(({ ending }) => ending.state === 'dead')
      const others = settlements.filter(({ ending }) => ending.state !== 'dead')
      if (others.length > 0) await writeDown(others, attempts)
      for (const death of deaths) {
        if (!(await writeDown([death], attemptsToGiveUp, gaveUp))) await writeDown([death], attempts)
      }
      for (const { resolve } of batch) resolve()
    }
    writing = false
  }

  /** False when it could not be written. */
  async function writeDown(settlements: Settlement[], times: number, toldTo?: GaveUp): Promise<boolean> {
    for (let attempt = 1; ; attempt++) {
      try {
        const lost = new Set(await settleJobs(db, settlements, toldTo))
        for (const { job } of settlements) if (lost.has(job.id)) await report(job)
        return true
      } catch (error) {
        log.error({ error, jobs: settlements.length }, 'the endings of jobs could not be written')
        if (attempt === times) return false
        await pause(100 * 3 ** attempt)
      }
    }
  }

  async function report(job: ClaimedJob): Promise<void> {
    const named = { jobId: job.id, kind: job.kind, attempt: job.attempt, fence: job.claims, installationId: job.group_id }
    log.warn(named, 'a job ended after another process had taken it over; what it did may have been done twice')
    await onOvertaken?.(job).catch((error: unknown) => log.error({ error, ...named }, 'that a job was overtaken could not be recorded'))
  }

  return {
    async settle(settlement) {
      await new Promise<void>(resolve => {
        waiting.push({ settlement, resolve })
        if (!writing) void write()
      })
    }
  }
}
