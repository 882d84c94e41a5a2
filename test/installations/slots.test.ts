// Jobs that wait for an organization's budget beside jobs of another that has no need to: who would wait for long gives its slot back.
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Db } from '../../server/database/database.ts'
import { createBudget } from '../../server/installations/budget.ts'
import { ComeBack, type JobKind } from '../../server/jobs/job.ts'
import { enqueueMany } from '../../server/jobs/queue.ts'
import { createWorker } from '../../server/jobs/worker.ts'
import { silentLog } from '../../server/log.ts'
import { forEachDatabase, type TestDatabase } from '../support/databases.ts'

forEachDatabase((open, dialect) => {
  let database: TestDatabase
  let db: Db
  beforeEach(async () => {
    database = await open()
    db = database.db
  })
  const stops: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop()
  })

  test('who is patient for a second is told at once when to come back, and never waits in line for longer', async () => {
    const budget = createBudget(database)
    const taken = Array.from({ length: 30 }, () => budget.acquire('org_1', 'read', 'live'))
    const asked = performance.now()
    const refused = await budget.acquire('org_1', 'read', 'live', undefined, 1).catch((error: unknown) => error)
    expect(performance.now() - asked).toBeLessThan(500)
    expect(refused).toBeInstanceOf(ComeBack)
    // Thirty before it at ten a second.
    expect((refused as ComeBack).seconds).toBeGreaterThanOrEqual(2)
    expect((refused as ComeBack).seconds).toBeLessThanOrEqual(6)
    await expect(budget.acquire('org_1', 'read', 'people', undefined, 1)).resolves.toBeUndefined()
    await Promise.all(taken)
  })

  test('a pause after a refusal sends away who is patient for less, and its place is not taken', async () => {
    const budget = createBudget(database)
    await budget.acquire('org_1', 'read', 'live')
    budget.learn('org_1', 'read', { limit: null, remaining: null, status: 429 })
    await expect(budget.acquire('org_1', 'read', 'live', undefined, 0.2)).rejects.toBeInstanceOf(ComeBack)
    budget.learn('org_1', 'read', { limit: null, remaining: null, status: 200 })
    await expect(budget.acquire('org_1', 'read', 'live')).resolves.toBeUndefined()
  })

  test('500 jobs that wait for one budget keep nobody else waiting, lose no attempt and keep the order of their keys', async () => {
    const [jobs, limit, keys] = [500, 100, 100]
    const ended: Record<string, number[]> = {}
    const order: string[] = []
    const workers = [1, 2].map(() => {
      const budget = createBudget(database)
      budget.learn('org_1', 'read', { limit, remaining: null, status: 200 })
      const waits: JobKind = {
        kind: 'waits',
        lane: 'live',
        maxAttempts: 1,
        timeoutSeconds: 60,
        async run(payload, { signal }) {
          await budget.acquire('org_1', 'read', 'live', signal, 0.05)
          ;(ended[`key ${(payload as number) % keys}`] ??= []).push(payload as number)
          order.push('waits')
        }
      }
      const free: JobKind = { kind: 'free', lane: 'live', maxAttempts: 1, timeoutSeconds: 60, run: async () => void order.push('free') }
      const worker = createWorker({ database, kinds: [waits, free], concurrency: 8, log: silentLog })
      stops.push(() => worker.stop())
      return worker
    })
    await enqueueMany(
      db,
      Array.from({ length: jobs }, (_, n) => ({ kind: 'waits', lane: 'live', payload: n, key: `key ${n % keys}`, group: 'ins_1' }))
    )
    await enqueueMany(
      db,
      Array.from({ length: 40 }, (_, n) => ({ kind: 'free', lane: 'live', payload: n, group: 'ins_2' }))
    )
    const { promise: allEnded, resolve } = Promise.withResolvers<void>()
    const watch = setInterval(() => order.length === jobs + 40 && resolve(), 20)
    for (const worker of dialect === 'sqlite' ? workers.slice(0, 1) : workers) worker.start()
    await allEnded
    clearInterval(watch)
    for (const worker of workers) await worker.stop()
    expect(order.slice(0, order.lastIndexOf('free')).filter(kind => kind === 'waits').length).toBeLessThan(40)
    for (const [key, ns] of Object.entries(ended)) expect(ns, key).toEqual(ns.toSorted((a, b) => a - b))
    const rows = await db.selectFrom('job').select(['state', 'attempt', 'claims']).where('kind', '=', 'waits').execute()
    expect(rows.filter(({ state, attempt }) => state !== 'done' || attempt !== 1)).toEqual([])
    // Sent away and back again, but not in circles.
    expect(rows.reduce((sum, { claims }) => sum + claims, 0)).toBeLessThan(jobs * 4)
  }, 30_000)
})
