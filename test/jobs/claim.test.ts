import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Db } from '../../server/database/database.ts'
import { type ClaimedJob, claimJobs, recoverJobs, renewLeases, settleJobs } from '../../server/jobs/claim.ts'
import type { NewJob } from '../../server/jobs/job.ts'
import { enqueue, enqueueMany, hold, release } from '../../server/jobs/queue.ts'
import { explain } from '../support/explain.ts'
import { forEachDatabase } from '../support/databases.ts'

const job = (given: Partial<NewJob> = {}): NewJob => ({ kind: 'test', lane: 'live', payload: {}, ...given })
const later = Date.now() + 86_400_000

forEachDatabase((open, dialect) => {
  let db: Db
  beforeEach(async () => {
    db ??= (await open()).db
  })
  afterEach(async () => {
    await db.deleteFrom('job').execute()
    await db.deleteFrom('job_hold').execute()
  })

  const claim = async (limit: number, given: Partial<Parameters<typeof claimJobs>[1]> = {}) =>
    await claimJobs(db, { lane: 'live', limit, leaseSeconds: 60, after: '', groupLimit: limit, busyHere: {}, ...given })
  const settle = async (claimed: ClaimedJob[]) =>
    await settleJobs(
      db,
      claimed.map(job => ({ job, ending: { state: 'done' as const } }))
    )
  const groups = (claimed: ClaimedJob[]) => claimed.map(job => job.group_id).toSorted()

  test('a claimed job is running, leased and its attempt counted', async () => {
    const id = await enqueue(db, job({ payload: { entry: 'a' } }))
    const [claimed] = await claim(5)
    expect(claimed).toMatchObject({ id, state: 'running', attempt: 1, payload_json: '{"entry":"a"}' })
    expect(claimed!.lease_until).toBeGreaterThan(Date.now() + 50_000)
    expect(await claim(5)).toEqual([])
  })

  test('of one key only the first unfinished job may be claimed, whatever its lane or time', async () => {
    const first = await enqueue(db, job({ key: 'k', lane: 'backfill', runAt: later }))
    await enqueue(db, job({ key: 'k', lane: 'people' }))
    expect(await claim(5, { lane: 'people' })).toEqual([])
    expect((await claim(5, { lane: 'backfill', until: later })).map(job => job.id)).toEqual([first])
    expect(await claim(5, { lane: 'people' })).toEqual([])
  })

  test('a job that is not yet due is left, unless asked for up to its time', async () => {
    await enqueue(db, job({ runAt: later }))
    expect(await claim(1)).toEqual([])
    expect(await claim(1, { until: later })).toHaveLength(1)
  })

  test('a group on hold is passed over without touching its jobs, and goes on when released', async () => {
    await enqueueMany(db, [job({ group: 'a' }), job({ group: 'b' })])
    await hold(db, 'a', 'the token is dead')
    expect(groups(await claim(5))).toEqual(['b'])
    await release(db, 'a')
    const [freed] = await claim(5)
    expect(freed).toMatchObject({ group_id: 'a', attempt: 1 })
  })

  test('groups take turns, however much one of them has waiting', async () => {
    await enqueueMany(
      db,
      Array.from({ length: 50 }, () => job({ group: 'big' }))
    )
    await enqueueMany(db, [job({ group: 'c' }), job({ group: 'c' }), job({ group: 'd' })])
    expect(groups(await claim(6))).toEqual(['big', 'big', 'big', 'c', 'c', 'd'])
  })

  test('with room for one at a time, the turn goes round', async () => {
    await enqueueMany(
      db,
      ['a', 'a', 'a', 'b', 'b', 'b', 'c'].map(group => job({ group }))
    )
    const served: string[] = []
    for (let after = ''; served.length < 7; ) {
      const claimed = await claim(1, { after })
      after = claimed[0]!.group_id
      served.push(after)
      await settle(claimed)
    }
    expect(served.join('')).toBe('abcabab')
  })

  test('a group that has much running already waits for the others', async () => {
    await enqueueMany(
      db,
      Array.from({ length: 4 }, () => job({ group: 'a' }))
    )
    await claim(3)
    await enqueueMany(db, [job({ group: 'b' }), job({ group: 'b' })])
    expect(groups(await claim(2))).toEqual(['b', 'b'])
  })

  test('a group never has more than its limit running in one process, whatever lane they came by', async () => {
    await enqueueMany(
      db,
      Array.from({ length: 10 }, () => job({ group: 'greedy' }))
    )
    await enqueueMany(db, [job({ group: 'b' }), ...Array.from({ length: 4 }, () => job())])
    const limited = { groupLimit: 3, busyHere: { greedy: 1 } }
    expect(groups(await claim(10, limited))).toEqual(['', '', '', '', 'b', 'greedy', 'greedy'])
    expect(groups(await claim(10, { groupLimit: 3, busyHere: { greedy: 3 } }))).toEqual([])
    expect(groups(await claim(10, { groupLimit: 3, busyHere: {} }))).toEqual(['greedy', 'greedy', 'greedy'])
  })

  test('two claims at once never take the same job', async () => {
    await enqueueMany(
      db,
      Array.from({ length: 60 }, (_, n) => job({ key: `k${n % 20}`, group: `g${n % 3}` }))
    )
    const rounds = await Promise.all(Array.from({ length: 6 }, () => claim(5)))
    const ids = rounds.flat().map(job => job.id)
    expect(new Set(ids).size).toBe(ids.length)
    expect(new Set(rounds.flat().map(job => job.key)).size).toBe(ids.length)
  })

  test('what a worker writes after its lease was taken over is refused', async () => {
    await enqueue(db, job({ key: 'k' }))
    const [lost] = await claim(1, { leaseSeconds: -1 })
    expect(await recoverJobs(db)).toBe(1)
    const [taken] = await claim(1)
    expect(taken).toMatchObject({ id: lost!.id, attempt: 2 })
    expect(await settle([lost!])).toEqual([lost!.id])
    expect(taken!.claims).toBe(lost!.claims + 1)
    const row = await db.selectFrom('job').select(['state', 'overtaken']).where('id', '=', lost!.id).executeTakeFirst()
    expect(row).toEqual({ state: 'running', overtaken: 1 })
    expect(await renewLeases(db, [lost!], 60)).toEqual(new Set())
    expect(await renewLeases(db, [taken!], 60)).toEqual(new Set([taken!.id]))
    expect(await settle([taken!])).toEqual([])
  })

  test('a lease that is renewed is not recovered', async () => {
    await enqueue(db, job())
    const claimed = await claim(1, { leaseSeconds: -1 })
    await renewLeases(db, claimed, 60)
    expect(await recoverJobs(db)).toBe(0)
  })

  test('an ending is written whole: done, dead, and back with or without its attempt', async () => {
    await enqueueMany(
      db,
      Array.from({ length: 4 }, () => job())
    )
    const [one, two, three, four] = await claim(4)
    const lost = await settleJobs(db, [
      { job: one!, ending: { state: 'done' } },
      { job: two!, ending: { state: 'dead', error: 'broken', began: true } },
      { job: three!, ending: { state: 'ready', backIn: 5_000, error: 'again', attemptCounts: true } },
      { job: four!, ending: { state: 'ready', backIn: 0, error: null, attemptCounts: false } }
    ])
    expect(lost).toEqual([])
    const rows = await db.selectFrom('job').select(['state', 'attempt', 'error', 'lease_token', 'lease_until']).orderBy('id').execute()
    const free = { lease_token: null, lease_until: null }
    expect(rows).toEqual([
      { state: 'done', attempt: 1, error: null, ...free },
      { state: 'dead', attempt: 1, error: 'broken', ...free },
      { state: 'ready', attempt: 1, error: 'again', ...free },
      { state: 'ready', attempt: 0, error: null, ...free }
    ])
    const back = await db.selectFrom('job').select('run_at').where('id', '=', three!.id).executeTakeFirstOrThrow()
    expect(back.run_at).toBeGreaterThan(Date.now() + 3_000)
  })

  test('a claim walks the indexes and never the whole table', async () => {
    await enqueueMany(
      db,
      Array.from({ length: 3_000 }, (_, n) => job({ key: `k${n}`, group: `g${n % 5}`, lane: 'backfill' }))
    )
    const plan = await explain(db, dialect, async () => void (await claim(10, { lane: 'backfill' })))
    expect(plan).not.toMatch(dialect === 'sqlite' ? /SCAN (job|due|head|busy)\b(?! USING)/ : /Seq Scan on job\b(?!_hold)/)
    expect(plan).toMatch(/job_due/)
    expect(plan).toMatch(/job_key/)
  })

  test('of two transactions on one key, the one that enqueues first commits first', async () => {
    const { promise: firstHasEnqueued, resolve: tell } = Promise.withResolvers<void>()
    const { promise: mayCommit, resolve: commit } = Promise.withResolvers<void>()
    const log: string[] = []
    const first = db.transaction().execute(async trx => {
      log.push(`first ${await enqueue(trx, job({ key: 'k' }))}`)
      tell()
      await mayCommit
    })
    await firstHasEnqueued
    const second = db.transaction().execute(async trx => void log.push(`second ${await enqueue(trx, job({ key: 'k' }))}`))
    // Of another key nobody waits, where the database can have two transactions at once.
    if (dialect === 'postgres') await enqueue(db, job({ key: 'other' }))
    expect(log).toHaveLength(1)
    commit()
    await Promise.all([first, second])
    const ids = (await db.selectFrom('job').select('id').where('key', '=', 'k').orderBy('id').execute()).map(row => row.id)
    expect(log).toEqual([`first ${ids[0]}`, `second ${ids[1]}`])
  })
})
