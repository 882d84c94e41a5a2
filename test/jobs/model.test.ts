// The queue against a model of it that fits on a page: whatever is enqueued, held, released, cancelled, failed, put off, lost with its
// process or settled too late, in whatever order, the same jobs run in the same order of each key and end the same way.
import fc from 'fast-check'
import { beforeEach, expect, test } from 'vitest'
import type { Db } from '../../server/database/database.ts'
import { type ClaimedJob, claimJobs, type Ending, recoverJobs, settleJobs } from '../../server/jobs/claim.ts'
import { type Lane, lanes } from '../../server/jobs/job.ts'
import { cancelJobs, enqueue, hold, release } from '../../server/jobs/queue.ts'
import { forEachDatabase } from '../support/databases.ts'

type Act =
  | { act: 'enqueue'; key: number; group: number; lane: Lane; unique: boolean }
  | { act: 'claim'; lane: Lane; limit: number }
  | { act: 'settle'; which: number; how: 'done' | 'fail' | 'snooze' | 'give back' | 'dead' | 'cancel' }
  | { act: 'kill'; which: number }
  | { act: 'late word'; which: number }
  | { act: 'hold' | 'release'; group: number }
  | { act: 'cancel'; key: number }

const key = fc.integer({ min: 0, max: 3 })
const group = fc.integer({ min: 0, max: 2 })
const lane = fc.constantFrom(...lanes)
const which = fc.nat(20)
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ act: fc.constant('enqueue' as const), key, group, lane, unique: fc.boolean() }) },
  { weight: 5, arbitrary: fc.record({ act: fc.constant('claim' as const), lane, limit: fc.integer({ min: 1, max: 4 }) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      act: fc.constant('settle' as const),
      which,
      how: fc.constantFrom(
        'done' as const,
        'done' as const,
        'fail' as const,
        'snooze' as const,
        'give back' as const,
        'dead' as const,
        'cancel' as const
      )
    })
  },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('kill' as const), which }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('late word' as const), which }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constantFrom('hold' as const, 'release' as const), group }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('cancel' as const), key }) }
)

interface Modelled {
  id: number
  key: number
  group: number
  lane: Lane
  unique: boolean
  state: 'ready' | 'running' | 'done' | 'cancelled' | 'dead'
  attempt: number
  claims: number
  overtaken: number
}

/** Every act is compared, not only what stands at the end. */
function agree(found: unknown, modelled: unknown): void {
  expect(found).toEqual(modelled)
}

const endings: Record<'done' | 'fail' | 'snooze' | 'give back' | 'dead' | 'cancel', Ending> = {
  done: { state: 'done' },
  fail: { state: 'ready', backIn: 1_000, error: 'no', attemptCounts: true },
  snooze: { state: 'ready', backIn: 1_000, error: 'later', attemptCounts: false },
  'give back': { state: 'ready', backIn: 0, error: null, attemptCounts: false },
  dead: { state: 'dead', error: 'poison', began: true },
  cancel: { state: 'cancelled', error: 'gone' }
}

forEachDatabase(open => {
  let db: Db
  beforeEach(async () => {
    db ??= (await open()).db
  })

  test('any sequence of acts leaves what the model says, and no key ever has two running or runs out of order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(act, { minLength: 5, maxLength: 60 }), async acts => {
        await db.deleteFrom('job').execute()
        await db.deleteFrom('job_hold').execute()
        const model: Modelled[] = []
        const heldGroups = new Set<number>()
        const running: ClaimedJob[] = []
        const lost: ClaimedJob[] = []
        const of = ({ id }: { id: number }) => model.find(job => job.id === id)!
        const isFinal = ({ state }: Modelled) => state !== 'ready' && state !== 'running'
        const take = (jobs: ClaimedJob[], at: number) => (jobs.length === 0 ? undefined : jobs.splice(at % jobs.length, 1)[0])
        const headOf = (key: number) => model.find(job => job.key === key && !isFinal(job))

        for (const one of acts) {
          if (one.act === 'enqueue') {
            const waits = one.unique && model.some(job => job.unique && job.key === one.key && job.state === 'ready' && job.claims === 0)
            const uniqueKey = one.unique ? `unique ${one.key}` : undefined
            const id = await enqueue(db, {
              kind: 'k',
              lane: one.lane,
              payload: 0,
              key: `key ${one.key}`,
              group: `g${one.group}`,
              uniqueKey
            })
            agree(id === null, waits)
            if (id !== null) model.push({ ...one, id, state: 'ready', attempt: 0, claims: 0, overtaken: 0 })
            else {
              const waiting = model.find(job => job.unique && job.key === one.key && job.state === 'ready' && job.claims === 0)!
              if (lanes.indexOf(one.lane) < lanes.indexOf(waiting.lane)) waiting.lane = one.lane
            }
          } else if (one.act === 'claim') {
            const may = model.filter(
              job => job.state === 'ready' && job.lane === one.lane && !heldGroups.has(job.group) && headOf(job.key) === job
            )
            const claimed = await claimJobs(db, {
              lane: one.lane,
              limit: one.limit,
              leaseSeconds: 600,
              after: '',
              groupLimit: 100,
              busyHere: {},
              until: Date.now() + 86_400_000
            })
            agree(claimed.length, Math.min(one.limit, may.length))
            for (const job of claimed) {
              agree(may.includes(of(job)), true)
              const known = of(job)
              Object.assign(known, { state: 'running', attempt: known.attempt + 1, claims: known.claims + 1 })
              running.push(job)
            }
          } else if (one.act === 'settle') {
            const job = take(running, one.which)
            if (!job) continue
            agree(await settleJobs(db, [{ job, ending: endings[one.how] }]), [])
            const known = of(job)
            if (one.how === 'snooze' || one.how === 'give back') known.attempt -= 1
            known.state = ({ done: 'done', dead: 'dead', cancel: 'cancelled' } as Record<string, Modelled['state']>)[one.how] ?? 'ready'
          } else if (one.act === 'kill') {
            const job = take(running, one.which)
            if (!job) continue
            await db.updateTable('job').set({ lease_until: 1 }).where('id', '=', job.id).execute()
            agree(await recoverJobs(db), 1)
            of(job).state = 'ready'
            lost.push(job)
          } else if (one.act === 'late word') {
            const job = take(lost, one.which)
            if (!job) continue
            agree(await settleJobs(db, [{ job, ending: endings.done }]), [job.id])
            of(job).overtaken += 1
          } else if (one.act === 'cancel') {
            const ready = model.filter(job => job.key === one.key && job.state === 'ready')
            agree(await cancelJobs(db, { key: `key ${one.key}` }), ready.length)
            for (const job of ready) job.state = 'cancelled'
          } else if (one.act === 'hold') {
            await hold(db, `g${one.group}`, 'stop')
            heldGroups.add(one.group)
          } else {
            await release(db, `g${one.group}`)
            heldGroups.delete(one.group)
          }
        }
        const rows = await db.selectFrom('job').select(['id', 'lane', 'state', 'attempt', 'claims', 'overtaken']).orderBy('id').execute()
        expect(rows).toEqual(
          model.map(({ id, lane, state, attempt, claims, overtaken }) => ({ id, lane, state, attempt, claims, overtaken }))
        )
      }),
      { numRuns: 60 }
    )
  }, 60_000)
})
