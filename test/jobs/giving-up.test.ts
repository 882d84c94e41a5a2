import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Db } from '../../server/database/database.ts'
import { claimJobs, recoverJobs } from '../../server/jobs/claim.ts'
import { ComeBack, type FailedAttempt, type JobKind, type NewJob } from '../../server/jobs/job.ts'
import { enqueue } from '../../server/jobs/queue.ts'
import { createWorker, type Worker, type WorkerOptions } from '../../server/jobs/worker.ts'
import { silentLog } from '../../server/log.ts'
import { forEachDatabase, type TestDatabase } from '../support/databases.ts'

const kind = (run: JobKind['run'], given: Partial<JobKind> = {}): JobKind => ({
  kind: 'test',
  lane: 'live',
  maxAttempts: 3,
  timeoutSeconds: 30,
  ...given,
  run
})
const job = (given: Partial<NewJob> = {}): NewJob => ({ kind: 'test', lane: 'live', payload: null, ...given })
const inAnHour = () => Date.now() + 3_600_000

forEachDatabase(open => {
  let database: TestDatabase
  let db: Db
  const workers: Worker[] = []
  beforeEach(async () => {
    database ??= await open()
    db = database.db
  })
  afterEach(async () => {
    for (const worker of workers.splice(0)) await worker.stop()
    await db.deleteFrom('job').execute()
    await db.deleteFrom('job_hold').execute()
  })

  const workerOf = (kinds: JobKind[], given: Partial<WorkerOptions> = {}) => {
    const worker = createWorker({ database, kinds, concurrency: 4, log: silentLog, ...given })
    workers.push(worker)
    return worker
  }
  const stateOf = async (id: number | null) =>
    await db.selectFrom('job').select(['state', 'attempt', 'error']).where('id', '=', id!).executeTakeFirst()

  test('a job taken up and lost as often as it may be is dead, and its kind is told in the same transaction', async () => {
    const told: unknown[] = []
    const id = await enqueue(db, job({ payload: { runId: 'run_1' }, key: 'k' }))
    for (let n = 0; n < 3; n++) {
      await claimJobs(db, { lane: 'live', limit: 1, leaseSeconds: -1, after: '', groupLimit: 1, busyHere: {} })
      await recoverJobs(db)
    }
    const worker = workerOf([
      kind(async () => Promise.reject(new Error('must not run')), {
        async gaveUp(trx, payload, why) {
          await enqueue(trx, job({ kind: 'of.tomorrow' }))
          told.push([payload, why, await trx.selectFrom('job').select('state').where('id', '=', id!).executeTakeFirst()])
        }
      })
    ])
    await worker.drain()
    const why = 'the process that ran it stopped before it was done'
    expect(told).toEqual([[{ runId: 'run_1' }, why, { state: 'dead' }]])
    expect(await db.selectFrom('job').select('id').where('kind', '=', 'of.tomorrow').execute()).toHaveLength(1)
    const { errors_json: errors } = await db.selectFrom('job').select('errors_json').where('id', '=', id!).executeTakeFirstOrThrow()
    expect((JSON.parse(errors) as FailedAttempt[]).map(({ attempt, error }) => [attempt, error])).toEqual([
      [1, why],
      [2, why],
      [3, why]
    ])
  })

  test('a kind that cannot bear to be told does not keep its job alive, and what it half did is undone', async () => {
    let told = 0
    const worker = workerOf([
      kind(async () => Promise.reject(new Error('poison')), {
        async gaveUp(trx) {
          told += 1
          await enqueue(trx, job({ kind: 'of.tomorrow' }))
          throw new Error('nor can I')
        }
      })
    ])
    const [bad, good] = [await enqueue(db, job({ maxAttempts: 1 })), await enqueue(db, job({ maxAttempts: 1 }))]
    await worker.drain()
    expect(await stateOf(bad)).toMatchObject({ state: 'dead', error: 'poison' })
    expect(await stateOf(good)).toMatchObject({ state: 'dead', error: 'poison' })
    expect(told).toBe(6)
    expect(await db.selectFrom('job').select('id').where('kind', '=', 'of.tomorrow').execute()).toEqual([])
  })

  test('each failed attempt keeps its error; snoozes and what was given back are none', async () => {
    const worker = workerOf([
      kind(async (_, { fence }) => {
        if (fence === 2) return { snoozeSeconds: 1, reason: 'not yet' }
        if (fence === 3) throw new ComeBack(1, 'no room')
        throw new Error(`failure ${fence}`)
      })
    ])
    const id = await enqueue(db, job())
    await worker.drain({ until: inAnHour() })
    expect(await stateOf(id)).toEqual({ state: 'dead', attempt: 3, error: 'failure 5' })
    const { errors_json: errors } = await db.selectFrom('job').select('errors_json').where('id', '=', id!).executeTakeFirstOrThrow()
    expect((JSON.parse(errors) as FailedAttempt[]).map(({ attempt, error }) => [attempt, error])).toEqual([
      [1, 'failure 1'],
      [2, 'failure 4'],
      [3, 'failure 5']
    ])
  })

  test('who would wait for long gives its slot back, at no attempt, and stays first of its key', async () => {
    const order: unknown[] = []
    let room = false
    const worker = workerOf(
      [
        kind(
          async payload => {
            if (!room) throw new ComeBack(5, 'no room')
            order.push(payload)
          },
          { maxAttempts: 1 }
        )
      ],
      { concurrency: 2 }
    )
    const first = await enqueue(db, job({ key: 'k', payload: 'first' }))
    await enqueue(db, job({ key: 'k', payload: 'second' }))
    expect(await worker.drain()).toBe(1)
    expect(await stateOf(first)).toEqual({ state: 'ready', attempt: 0, error: 'no room' })
    room = true
    await worker.drain({ until: inAnHour() })
    expect(order).toEqual(['first', 'second'])
  })
})
