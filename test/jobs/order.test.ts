import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Db } from '../../server/database/database.ts'
import type { JobKind, Lane } from '../../server/jobs/job.ts'
import { retryDelaySeconds } from '../../server/jobs/job.ts'
import { enqueueMany } from '../../server/jobs/queue.ts'
import { createWorker, type Worker } from '../../server/jobs/worker.ts'
import { AppError } from '../../server/errors.ts'
import { silentLog } from '../../server/log.ts'
import { forEachDatabase, type TestDatabase } from '../support/databases.ts'

/** What a job of the property does on each of its runs until it is done. */
type Step = 'fail' | 'snooze' | 'yield'
interface Plan {
  key: number
  group: number
  lane: Lane
  steps: Step[]
  end: 'done' | 'cancel' | 'dead'
}

const plan: fc.Arbitrary<Plan> = fc.record({
  key: fc.integer({ min: 0, max: 3 }),
  group: fc.integer({ min: 0, max: 2 }),
  lane: fc.constantFrom<Lane>('people', 'live', 'backfill'),
  steps: fc.array(fc.constantFrom<Step>('fail', 'snooze', 'yield'), { maxLength: 3 }),
  end: fc.constantFrom('done', 'cancel', 'dead')
})

forEachDatabase(open => {
  let database: TestDatabase
  let db: Db
  let workers: Worker[] = []
  beforeEach(async () => {
    database ??= await open()
    db = database.db
  })
  afterEach(async () => {
    for (const worker of workers.splice(0)) await worker.stop()
    workers = []
  })

  test('jobs of one key run one at a time and in order, through failures, snoozes, cancels and deaths, on several workers', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(plan, { minLength: 1, maxLength: 25 }), async plans => {
        await db.deleteFrom('job').execute()
        const active = new Set<number>()
        const overlaps: number[] = []
        const ended: { key: number; index: number }[] = []
        const taken = new Map<number, number>()
        const kind: JobKind = {
          kind: 'step',
          lane: 'live',
          maxAttempts: 100,
          timeoutSeconds: 30,
          async run(payload) {
            const index = payload as number
            const { key, steps, end } = plans[index]!
            if (active.has(key)) overlaps.push(index)
            active.add(key)
            try {
              // Lets other jobs in between, in an order that depends on the database.
              await db.selectFrom('job_hold').select('group_id').execute()
              const turn = taken.get(index) ?? 0
              taken.set(index, turn + 1)
              const step = steps[turn]
              if (step === 'fail') throw new AppError('upstream', 'not now')
              if (step) return { snoozeSeconds: step === 'snooze' ? 30 : 0, reason: 'not yet' }
              ended.push({ key, index })
              if (end === 'dead') throw new Error('poison')
              return end === 'cancel' ? { cancel: 'no longer wanted' } : undefined
            } finally {
              active.delete(key)
            }
          }
        }
        await enqueueMany(
          db,
          plans.map(({ key, group, lane, steps, end }, index) => {
            const failures = steps.filter(step => step === 'fail').length
            const maxAttempts = end === 'dead' ? failures + 1 : 100
            return { kind: 'step', lane, payload: index, key: `key ${key}`, group: `group ${group}`, maxAttempts }
          })
        )
        workers = [1, 2].map(() => createWorker({ database, kinds: [kind], concurrency: 3, log: silentLog }))
        // A key's next job waits, at a later time, for the head's last retry: both workers go on until neither finds anything.
        const until = Date.now() + 3_600_000
        for (;;) {
          const counts = await Promise.all(workers.map(async worker => await worker.drain({ until })))
          if (counts.every(count => count === 0)) break
        }
        expect(overlaps).toEqual([])
        for (const key of [0, 1, 2, 3]) {
          const expected = plans.flatMap((plan, index) => (plan.key === key ? [index] : []))
          expect(ended.filter(end => end.key === key).map(end => end.index)).toEqual(expected)
        }
        await Promise.all(workers.map(async worker => await worker.stop()))
      }),
      { numRuns: 25 }
    )
  })
})

test('a retry waits longer each time, within half and whole of its step, and never less than the upstream asked', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.integer({ min: 0, max: 10_000 }),
      (attempt, chance, asked) => {
        const step = Math.min(900, 2 * 2 ** Math.min(attempt - 1, 20))
        const delay = retryDelaySeconds(attempt, new Error('x'), chance)
        expect(delay).toBeGreaterThanOrEqual(step / 2)
        expect(delay).toBeLessThanOrEqual(step)
        const limited = new AppError('rate_limited', 'slow down', { retryAfterSeconds: asked })
        expect(retryDelaySeconds(attempt, limited, chance)).toBe(Math.max(delay, asked))
      }
    )
  )
})
