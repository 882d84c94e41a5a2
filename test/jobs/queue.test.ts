import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Db } from '../../server/database/database.ts'
import { claimJobs } from '../../server/jobs/claim.ts'
import type { NewJob } from '../../server/jobs/job.ts'
import { cancelJobs, enqueue, enqueueMany, hold, holdOf, pruneJobs, queueState, release } from '../../server/jobs/queue.ts'
import { forEachDatabase } from '../support/databases.ts'

const job = (given: Partial<NewJob> = {}): NewJob => ({ kind: 'test', lane: 'live', payload: {}, ...given })

forEachDatabase(open => {
  let db: Db
  beforeEach(async () => {
    db ??= (await open()).db
  })
  afterEach(async () => {
    await db.deleteFrom('job').execute()
    await db.deleteFrom('job_hold').execute()
  })
  const all = async () => await db.selectFrom('job').selectAll().orderBy('id').execute()
  const claim = async () => await claimJobs(db, { lane: 'live', limit: 10, leaseSeconds: 60, after: '', groupLimit: 10, busyHere: {} })

  test('a job enqueued in a transaction that fails was never there', async () => {
    await expect(
      db.transaction().execute(async trx => {
        await enqueue(trx, job({ key: 'k' }))
        throw new Error('no')
      })
    ).rejects.toThrow('no')
    expect(await all()).toEqual([])
  })

  test('a unique job that waits is not enqueued again', async () => {
    expect(await enqueue(db, job({ uniqueKey: 'u' }))).toBeTypeOf('number')
    expect(await enqueue(db, job({ uniqueKey: 'u' }))).toBeNull()
    expect(await enqueueMany(db, [job({ uniqueKey: 'u' }), job({ uniqueKey: 'v' }), job({ uniqueKey: 'v' })])).toBe(1)
    expect(await all()).toHaveLength(2)
  })

  test('a unique job that runs already does not swallow the next wish, even when it comes back', async () => {
    const first = await enqueue(db, job({ uniqueKey: 'u' }))
    await claim()
    expect(await enqueue(db, job({ uniqueKey: 'u' }))).not.toBeNull()
    await db.updateTable('job').set({ state: 'ready' }).where('id', '=', first!).execute()
    expect(await claim()).toHaveLength(2)
  })

  test('a more urgent wish for a waiting job hurries it, a less urgent one does not slow it', async () => {
    const later = Date.now() + 60_000
    await enqueue(db, job({ uniqueKey: 'u', lane: 'backfill', runAt: later }))
    await enqueue(db, job({ uniqueKey: 'u', lane: 'live', runAt: later + 1 }))
    expect(await all()).toMatchObject([{ lane: 'live', run_at: later }])
    await enqueue(db, job({ uniqueKey: 'u', lane: 'people' }))
    const [hurried] = await all()
    expect(hurried).toMatchObject({ lane: 'people' })
    expect(hurried!.run_at).toBeLessThan(later)
    await enqueue(db, job({ uniqueKey: 'u', lane: 'backfill', runAt: later }))
    expect(await all()).toEqual([hurried])
  })

  test('many jobs keep their order and all arrive', async () => {
    const payloads = Array.from({ length: 2_500 }, (_, n) => n)
    expect(
      await enqueueMany(
        db,
        payloads.map(n => job({ payload: n, key: `k${n % 7}` }))
      )
    ).toBe(2_500)
    expect((await all()).map(row => JSON.parse(row.payload_json))).toEqual(payloads)
    expect(await enqueueMany(db, [])).toBe(0)
  })

  test('hold says why and since when; holding again changes the reason, releasing forgets it', async () => {
    expect(await holdOf(db, 'g')).toBeNull()
    await hold(db, 'g', 'one')
    const first = await holdOf(db, 'g')
    expect(first).toMatchObject({ reason: 'one' })
    await hold(db, 'g', 'two')
    expect(await holdOf(db, 'g')).toEqual({ reason: 'two', heldAt: first!.heldAt })
    await release(db, 'g')
    await release(db, 'g')
    expect(await holdOf(db, 'g')).toBeNull()
  })

  test('cancelling ends what waits and matches all that was named, and leaves what runs', async () => {
    await enqueue(db, job({ group: 'a', key: 'k' }))
    await claim()
    await enqueueMany(db, [job({ group: 'a', key: 'k' }), job({ group: 'a', kind: 'other' }), job({ group: 'b' })])
    expect(await cancelJobs(db, { group: 'a', kind: 'other' })).toBe(1)
    expect(await cancelJobs(db, { group: 'a' })).toBe(1)
    expect((await all()).map(row => row.state)).toEqual(['running', 'cancelled', 'cancelled', 'ready'])
    await expect(cancelJobs(db, {})).rejects.toMatchObject({ code: 'invalid' })
  })

  test.each(['kind', 'key', 'group', 'uniqueKey'] as const)('a NUL in %s is refused by name, in a payload it is kept', async field => {
    await expect(enqueue(db, job({ [field]: 'a\0b' }))).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining(field) })
    await enqueue(db, job({ payload: { text: 'a\0b' } }))
    expect(JSON.parse((await all())[0]!.payload_json)).toEqual({ text: 'a\0b' })
  })

  test('the state of the queue tells ready, running and held apart', async () => {
    await enqueue(db, job())
    await claim()
    await enqueueMany(db, [job({ group: 'a' }), job({ group: 'b' }), job({ runAt: Date.now() + 60_000 })])
    await hold(db, 'a', 'x')
    const state = await queueState(db)
    expect(state).toMatchObject({ ready: 3, running: 1, held: 1 })
    expect(Math.abs(state.oldestDueAt! - Date.now())).toBeLessThan(5_000)
  })

  test('finished jobs are pruned by age, the dead later, the unfinished never', async () => {
    await enqueueMany(
      db,
      Array.from({ length: 6 }, () => job())
    )
    const ids = (await all()).map(row => row.id)
    const set = async (n: number, state: 'done' | 'dead' | 'cancelled', finishedAt: number) =>
      await db.updateTable('job').set({ state, finished_at: finishedAt }).where('id', '=', ids[n]!).execute()
    await set(0, 'done', 10)
    await set(1, 'cancelled', 10)
    await set(2, 'done', 100)
    await set(3, 'dead', 10)
    await set(4, 'dead', 1)
    expect(await pruneJobs(db, { finished: 50, dead: 5 }, 1)).toBe(3)
    expect((await all()).map(row => row.id)).toEqual([ids[2], ids[3], ids[5]])
  })
})
