import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Db } from '../../server/database/database.ts'
import type { JobKind, NewJob } from '../../server/jobs/job.ts'
import { enqueue, enqueueMany } from '../../server/jobs/queue.ts'
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
  test('one greedy installation does not keep the others waiting: it never has all slots, and the others take turns', async () => {
    const others = Array.from({ length: 12 }, (_, n) => `ins_${n}`)
    const began: string[] = []
    const busy = new Map<string, number>()
    let most = 0
    const worker = workerOf(
      [
        kind(async payload => {
          const group = payload as string
          began.push(group)
          busy.set(group, (busy.get(group) ?? 0) + 1)
          most = Math.max(most, busy.get('greedy') ?? 0)
          await db.selectFrom('job_hold').select('group_id').execute()
          busy.set(group, busy.get(group)! - 1)
        })
      ],
      { concurrency: 8 }
    )
    await enqueueMany(
      db,
      Array.from({ length: 400 }, () => job({ group: 'greedy', payload: 'greedy' }))
    )
    await enqueueMany(
      db,
      others.flatMap(group => [1, 2, 3].map(() => job({ group, payload: group })))
    )
    await worker.drain()
    expect(began).toHaveLength(436)
    expect(most).toBeLessThanOrEqual(6)
    const lastOfOthers = began.findLastIndex(group => group !== 'greedy')
    expect(began.slice(0, lastOfOthers).filter(group => group === 'greedy').length).toBeLessThan(25)
    // Nobody's second job a whole turn before somebody's first.
    const firsts = others.map(group => began.indexOf(group))
    const seconds = others.map(group => began.indexOf(group, began.indexOf(group) + 1))
    expect(Math.max(...firsts)).toBeLessThan(Math.min(...seconds) + others.length)
  })

  test('local work goes on while every other slot waits for another system', async () => {
    const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>()
    const worker = workerOf([kind(() => mayEnd), kind(async () => end(), { kind: 'dispatch' })])
    await enqueueMany(db, [
      ...Array.from({ length: 10 }, (_, n) => job({ lane: n < 5 ? 'people' : 'live', group: `ins_${n}` })),
      job({ kind: 'dispatch', lane: 'local' })
    ])
    expect(await worker.drain()).toBe(11)
  })

  test('backfill leaves room, so that people need not wait for it', async () => {
    const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>()
    const { promise: served, resolve: serve } = Promise.withResolvers<void>()
    const worker = workerOf([kind(async payload => (payload === 'person' ? serve() : mayEnd))])
    await enqueueMany(
      db,
      Array.from({ length: 20 }, () => job({ lane: 'backfill' }))
    )
    const drained = worker.drain()
    await enqueue(db, job({ lane: 'people', payload: 'person' }))
    worker.start()
    await served
    end()
    await drained
    expect(await db.selectFrom('job').select('id').where('state', '!=', 'done').execute()).toEqual([])
  })
})
