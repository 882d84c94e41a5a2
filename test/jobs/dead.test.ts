import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Db } from '../../server/database/database.ts'
import { discardDead, jobById, listDead, retryDead } from '../../server/jobs/dead.ts'
import type { JobKind, NewJob } from '../../server/jobs/job.ts'
import { enqueue, enqueueMany } from '../../server/jobs/queue.ts'
import { createWorker } from '../../server/jobs/worker.ts'
import { AppError } from '../../server/errors.ts'
import { silentLog } from '../../server/log.ts'
import { forEachDatabase, type TestDatabase } from '../support/databases.ts'

const job = (given: Partial<NewJob> = {}): NewJob => ({ kind: 'bad', lane: 'live', payload: null, group: 'ins_1', ...given })

forEachDatabase(open => {
  let database: TestDatabase
  let db: Db
  let poison = true
  const ran: unknown[] = []
  beforeEach(async () => {
    database ??= await open()
    db = database.db
    poison = true
    ran.length = 0
  })
  afterEach(async () => {
    await db.deleteFrom('job').execute()
  })

  const kind: JobKind = {
    kind: 'bad',
    lane: 'live',
    maxAttempts: 2,
    timeoutSeconds: 30,
    async run(payload, { attempt }) {
      if (!poison) return void ran.push(payload)
      throw attempt === 1 ? new AppError('upstream', 'the destination is away') : new TypeError('undefined is not a function')
    }
  }
  async function drain(): Promise<void> {
    const worker = createWorker({ database, kinds: [kind, { ...kind, kind: 'worse' }], concurrency: 4, log: silentLog })
    await worker.drain({ until: Date.now() + 3_600_000 })
    await worker.stop()
  }

  test('a dead job keeps the error of each attempt and says which of them are for people', async () => {
    const id = await enqueue(db, job({ payload: { entryUid: 'blt1' } }))
    await drain()
    const [dead] = await listDead(db, {}, { limit: 10 })
    expect(dead).toMatchObject({ id, kind: 'bad', group: 'ins_1', payload: { entryUid: 'blt1' }, error: 'undefined is not a function' })
    expect(dead!.attempts.map(({ attempt, error, internal }) => [attempt, error, internal])).toEqual([
      [1, 'the destination is away', false],
      [2, 'undefined is not a function', true]
    ])
  })

  test('put in again, a job goes to the end of its key with fresh attempts, and names the one that it replaces', async () => {
    const id = await enqueue(db, job({ key: 'k', payload: 'first' }))
    await drain()
    await enqueue(db, job({ key: 'k', payload: 'second' }))
    expect((await db.transaction().execute(trx => retryDead(trx, { ids: [id!] }, 10))).map(found => found.id)).toEqual([id])
    expect(await jobById(db, id!)).toMatchObject({ state: 'cancelled', error: 'undefined is not a function' })
    poison = false
    await drain()
    expect(ran).toEqual(['second', 'first'])
    const again = await db.selectFrom('job').select(['state', 'attempt', 'replaces']).where('replaces', '=', id).execute()
    expect(again).toEqual([{ state: 'done', attempt: 1, replaces: id }])
    expect(await listDead(db, {}, { limit: 10 })).toEqual([])
  })

  test('all that is named must fit, and what is not dead is never touched', async () => {
    await enqueueMany(db, [job(), job({ kind: 'worse' }), job({ group: 'ins_2' }), job({ kind: 'worse', group: 'ins_2' })])
    await drain()
    const waiting = await enqueue(db, job({ runAt: Date.now() + 86_400_000 }))
    const ids = (await listDead(db, {}, { limit: 10 })).map(({ id }) => id)
    expect(ids).toEqual(ids.toSorted((a, b) => b - a))
    const discard = async (which: Parameters<typeof discardDead>[1], limit = 10) =>
      (await db.transaction().execute(trx => discardDead(trx, which, limit))).map(found => `${found.kind} ${found.group}`)
    expect(await discard({ ids: [waiting!] })).toEqual([])
    expect(await discard({ kind: 'worse', groups: ['ins_2'] })).toEqual(['worse ins_2'])
    expect(await discard({ groups: ['ins_1'], exceptKinds: ['worse'] })).toEqual(['bad ins_1'])
    expect(await discard({}, 1)).toEqual(['worse ins_1'])
    expect(await discard({})).toEqual(['bad ins_2'])
    expect(await discard({})).toEqual([])
    expect((await listDead(db, {}, { limit: 10 })).length).toBe(0)
  })

  test('of two who ask at once, only one puts a job in again', async () => {
    await enqueueMany(
      db,
      Array.from({ length: 20 }, (_, n) => job({ key: `k${n}` }))
    )
    await drain()
    const both = await Promise.all([1, 2].map(() => db.transaction().execute(trx => retryDead(trx, {}, 50))))
    expect(both.map(taken => taken.length).toSorted((a, b) => a - b)).toEqual([0, 20])
    expect(await db.selectFrom('job').select('id').where('replaces', 'is not', null).execute()).toHaveLength(20)
  })
})
