import { afterEach, beforeEach, expect, test } from 'vitest'
import { AppError } from '../../server/errors.ts'
import type { Db } from '../../server/database/database.ts'
import { claimJobs } from '../../server/jobs/claim.ts'
import type { JobKind, NewJob } from '../../server/jobs/job.ts'
import { enqueue, enqueueMany, hold, release } from '../../server/jobs/queue.ts'
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

  test('drain runs what is due and what that enqueues, until nothing is left', async () => {
    const seen: number[] = []
    const worker = workerOf([
      kind(async payload => {
        const depth = payload as number
        seen.push(depth)
        if (depth > 0) await enqueueMany(db, [job({ payload: depth - 1 }), job({ payload: depth - 1, lane: 'people' })])
      })
    ])
    await enqueue(db, job({ payload: 2 }))
    expect(await worker.drain()).toBe(7)
    expect(seen.toSorted((one, other) => one - other)).toEqual([0, 0, 0, 0, 1, 1, 2])
    expect(await worker.drain()).toBe(0)
  })

  test('a failing job is tried again later, as often as its kind says, then dead with its error kept', async () => {
    const attempts: number[] = []
    const worker = workerOf([
      kind(async (_, { attempt }) => {
        attempts.push(attempt)
        throw new AppError('upstream', 'the database on the other side is down')
      })
    ])
    const id = await enqueue(db, job())
    expect(await worker.drain()).toBe(1)
    expect(await stateOf(id)).toEqual({ state: 'ready', attempt: 1, error: 'the database on the other side is down' })
    expect(await worker.drain({ until: inAnHour() })).toBe(2)
    expect(await stateOf(id)).toEqual({ state: 'dead', attempt: 3, error: 'the database on the other side is down' })
    expect(attempts).toEqual([1, 2, 3])
  })

  test('a job may name its own number of attempts', async () => {
    const worker = workerOf([kind(async () => Promise.reject(new Error('no')))])
    const id = await enqueue(db, job({ maxAttempts: 1 }))
    await worker.drain()
    expect(await stateOf(id)).toMatchObject({ state: 'dead', attempt: 1 })
  })

  test('an upstream that names its wait is not asked sooner', async () => {
    const worker = workerOf([kind(async () => Promise.reject(new AppError('rate_limited', 'slow down', { retryAfterSeconds: 1_800 })))])
    await enqueue(db, job())
    await worker.drain()
    expect(await worker.drain({ until: Date.now() + 1_700_000 })).toBe(0)
    expect(await worker.drain({ until: Date.now() + 1_900_000 })).toBe(1)
  })

  test('a snooze costs no attempt and keeps the key waiting', async () => {
    const order: unknown[] = []
    let ready = false
    const worker = workerOf([
      kind(
        async payload => {
          order.push(payload)
          return ready ? undefined : { snoozeSeconds: 60, reason: 'the entry is not there yet' }
        },
        { maxAttempts: 1 }
      )
    ])
    const first = await enqueue(db, job({ key: 'k', payload: 'first' }))
    await enqueue(db, job({ key: 'k', payload: 'second' }))
    await worker.drain()
    expect(order).toEqual(['first'])
    expect(await stateOf(first)).toEqual({ state: 'ready', attempt: 0, error: 'the entry is not there yet' })
    ready = true
    await worker.drain({ until: inAnHour() })
    expect(order).toEqual(['first', 'first', 'second'])
  })

  test('a job that snoozes for ever still lets drain come to its end', async () => {
    const worker = workerOf([kind(async () => ({ snoozeSeconds: 700, reason: 'not yet' }))])
    await enqueue(db, job())
    expect(await worker.drain({ until: inAnHour() })).toBe(6)
  })

  test('a job that cancels itself keeps the reason and lets its key go on', async () => {
    const worker = workerOf([kind(async payload => (payload === 'off' ? { cancel: 'the sync is gone' } : undefined))])
    const first = await enqueue(db, job({ key: 'k', payload: 'off' }))
    const second = await enqueue(db, job({ key: 'k', payload: 'on' }))
    await worker.drain()
    expect(await stateOf(first)).toMatchObject({ state: 'cancelled', error: 'the sync is gone' })
    expect(await stateOf(second)).toMatchObject({ state: 'done' })
  })

  test('a dead job no longer blocks its key', async () => {
    const worker = workerOf([kind(async payload => (payload === 'bad' ? Promise.reject(new Error('poison')) : undefined))])
    await enqueue(db, job({ key: 'k', payload: 'bad', maxAttempts: 1 }))
    const second = await enqueue(db, job({ key: 'k', payload: 'good' }))
    await worker.drain()
    expect(await stateOf(second)).toMatchObject({ state: 'done' })
  })

  test('a job of a kind that no worker knows waits, unharmed, for one that does', async () => {
    const id = await enqueue(db, job({ kind: 'of.tomorrow', maxAttempts: 1 }))
    await workerOf([]).drain()
    expect(await stateOf(id)).toMatchObject({ state: 'ready', attempt: 0 })
    const seen: unknown[] = []
    await workerOf([kind(async payload => void seen.push(payload), { kind: 'of.tomorrow' })]).drain({ until: inAnHour() })
    expect(seen).toEqual([null])
  })

  test('a held group waits and goes on after its release, its order and attempts untouched', async () => {
    const seen: unknown[] = []
    const worker = workerOf([kind(async (payload, { attempt }) => void seen.push([payload, attempt]))])
    await hold(db, 'ins_1', 'the management token is dead')
    await enqueueMany(
      db,
      [1, 2, 3].map(n => job({ group: 'ins_1', key: 'k', payload: n }))
    )
    expect(await worker.drain({ until: inAnHour() })).toBe(0)
    await release(db, 'ins_1')
    await worker.drain()
    expect(seen).toEqual([
      [1, 1],
      [2, 1],
      [3, 1]
    ])
  })

  test('a started worker takes up a new job at once, long before it would look by itself', async () => {
    const { promise: ran, resolve } = Promise.withResolvers<void>()
    const { promise: idle, resolve: idled } = Promise.withResolvers<void>()
    const worker = workerOf([kind(async () => resolve())], { pollMs: 600_000, onIdle: idled })
    worker.start()
    await idle
    await db.transaction().execute(async trx => void (await enqueue(trx, job())))
    await expect(ran).resolves.toBeUndefined()
  })

  test('a job is left behind when its time is up, and tried again', async () => {
    let aborted: unknown
    const worker = workerOf([
      kind(
        async (_, { signal }) => {
          await new Promise((_, reject) => signal.addEventListener('abort', () => reject((aborted = signal.reason))))
        },
        { timeoutSeconds: 0.05 }
      )
    ])
    const id = await enqueue(db, job())
    await worker.drain()
    expect(aborted).toMatchObject({ code: 'upstream' })
    expect(await stateOf(id)).toMatchObject({ state: 'ready', attempt: 1, error: 'The job took longer than 0.05 s.' })
  })

  test('stop waits for what runs', async () => {
    const { promise: running, resolve: isRunning } = Promise.withResolvers<void>()
    const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>()
    const worker = workerOf([
      kind(async () => {
        isRunning()
        await mayEnd
      })
    ])
    const id = await enqueue(db, job())
    worker.start()
    await running
    const stopped = worker.stop()
    end()
    await stopped
    expect(await stateOf(id)).toMatchObject({ state: 'done' })
  })

  test.each([
    ['listens to its signal', true],
    ['does not', false]
  ])('stop aborts after the grace period, and a job that %s is given back at no cost', async (_, listens) => {
    const { promise: running, resolve: isRunning } = Promise.withResolvers<void>()
    const worker = workerOf(
      [
        kind(async (_, { signal }) => {
          isRunning()
          await new Promise((_, reject) => listens && signal.addEventListener('abort', () => reject(signal.reason)))
        })
      ],
      { graceSeconds: 0.02 }
    )
    const id = await enqueue(db, job())
    worker.start()
    await running
    await worker.stop()
    expect(await stateOf(id)).toMatchObject({ state: 'ready', attempt: 0 })
    const seen: number[] = []
    await workerOf([kind(async (_, { attempt }) => void seen.push(attempt))]).drain()
    expect(seen).toEqual([1])
  })

  test('a job whose process was killed is taken over, and its late word is not believed', async () => {
    const id = await enqueue(db, job({ key: 'k' }))
    await claimJobs(db, { lane: 'live', limit: 1, leaseSeconds: -1, after: '', groupLimit: 1, busyHere: {} })
    const attempts: number[] = []
    await workerOf([kind(async (_, { attempt }) => void attempts.push(attempt))]).drain()
    expect(attempts).toEqual([2])
    expect(await stateOf(id)).toMatchObject({ state: 'done' })
  })

  test('a job that kills its process each time is dead in the end', async () => {
    const id = await enqueue(db, job())
    for (let n = 0; n < 3; n++) {
      await claimJobs(db, { lane: 'live', limit: 1, leaseSeconds: -1, after: '', groupLimit: 1, busyHere: {} })
      await db
        .updateTable('job')
        .set({ state: 'ready', lease_token: null, error: 'the process that ran it stopped' })
        .where('id', '=', id!)
        .execute()
    }
    const worker = workerOf([kind(async () => Promise.reject(new Error('must not run')))])
    await worker.drain()
    expect(await stateOf(id)).toMatchObject({ state: 'dead', error: 'the process that ran it stopped' })
  })

  test('a lost lease aborts the run', async () => {
    const { promise: running, resolve: isRunning } = Promise.withResolvers<void>()
    const { promise: aborted, resolve: isAborted } = Promise.withResolvers<unknown>()
    const worker = workerOf(
      [
        kind(async (_, { signal }) => {
          isRunning()
          await new Promise<void>(resolve =>
            signal.addEventListener('abort', () => {
              isAborted(signal.reason)
              resolve()
            })
          )
        })
      ],
      { leaseSeconds: 0.3 }
    )
    const id = await enqueue(db, job())
    worker.start()
    await running
    await db.updateTable('job').set({ lease_token: 'somebody else', lease_until: inAnHour() }).where('id', '=', id!).execute()
    expect(await aborted).toMatchObject({ code: 'conflict', message: 'The lease of the job was lost.' })
    await worker.stop()
    expect(await stateOf(id)).toMatchObject({ state: 'running' })
  })
})
