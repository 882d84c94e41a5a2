// Writes down how jobs ended, many in one commit: what ends while a commit is under way goes with the next one. A commit costs a
// flush of the disk, so without this the queue would be as slow as the disk is.
import { setImmediate, setTimeout as pause } from 'node:timers/promises'
import type { Db } from '../database/database.ts'
import type { Log } from '../log.ts'
import { type Settlement, settleJobs } from './claim.ts'

export interface Settler {
  /** Resolves when it is written, or when it never can be: then the lease runs out and the job comes back. */
  settle(settlement: Settlement): Promise<void>
}

const attempts = 5

export function createSettler(db: Db, log: Log): Settler {
  let waiting: { settlement: Settlement; resolve: () => void }[] = []
  let writing = false

  async function write(): Promise<void> {
    writing = true
    while (waiting.length > 0) {
      // Jobs begun together often end together: one turn of the event loop gathers them.
      await setImmediate()
      const batch = waiting
      waiting = []
      await writeBatch(batch.map(({ settlement }) => settlement))
      for (const { resolve } of batch) resolve()
    }
    writing = false
  }

  async function writeBatch(settlements: Settlement[]): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        const lost = await settleJobs(db, settlements)
        if (lost.length > 0) log.warn({ jobIds: lost }, 'jobs ended after their lease was gone; what they did may be done again')
        return
      } catch (error) {
        log.error({ error, jobs: settlements.length }, 'the endings of jobs could not be written')
        if (attempt === attempts) return
        await pause(100 * 3 ** attempt)
      }
    }
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
