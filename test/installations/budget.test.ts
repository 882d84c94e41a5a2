import { afterEach, describe, expect, it } from 'vitest'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { type CmaOptions, createCma } from '../../server/contentstack/cma.ts'
import type { Database } from '../../server/database/database.ts'
import { type Budget, createBudget } from '../../server/installations/budget.ts'
import { silentLog } from '../../server/log.ts'
import { makeToken, regionOf } from '../support/contentstack.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { forEachDatabase } from '../support/databases.ts'
import { createLimiter } from '../../sandbox/cma/limiter.ts'
import { createLimits, type SandboxContext } from '../../sandbox/context.ts'
import { createPlays } from '../../sandbox/plays.ts'
import { startSandbox } from '../support/sandbox.ts'

let sandbox: Sandbox | undefined
afterEach(async () => {
  await sandbox?.close()
  sandbox = undefined
})

async function clientOf(budget: Budget, onStatus: (status: number) => void): Promise<ReturnType<typeof createCma>> {
  const { secret } = await makeToken(sandbox!)
  const options: CmaOptions = {
    region: regionOf(sandbox!),
    apiKey: blogApiKey,
    credential: () => Promise.resolve({ header: 'authorization', value: secret }),
    acquire: (kind, lane, signal) => budget.acquire('org_1', kind, lane, signal),
    learn(kind, news) {
      onStatus(news.status)
      budget.learn('org_1', kind, news)
    },
    log: silentLog
  }
  return createCma(options)
}

forEachDatabase(open => {
  describe('the budget of an organization', () => {
    it('spaces requests so that no limiter meets one too many, with two processes at once', async () => {
      const database = await open()
      const processes = [createBudget(database), createBudget(database)]
      const times: number[] = []
      const request = async (budget: Budget) => {
        await budget.acquire('org_1', 'read', 'backfill')
        times.push(performance.now())
      }
      await Promise.all(Array.from({ length: 40 }, (_, index) => request(processes[index % 2]!)))
      for (const limiter of ['fixed', 'sliding', 'bucket'] as const) {
        let now = 0
        const context = { clock: { now: () => now }, plays: createPlays({ limiter }), limits: createLimits() } as SandboxContext
        const admits = createLimiter(context)
        const refused = times.filter(time => {
          now = time
          return !admits('org_1', 'read').admitted
        })
        expect({ limiter, refused }).toEqual({ limiter, refused: [] })
      }
    })

    it.each(['fixed', 'sliding', 'bucket'] as const)('on the wire meets no refusal that lasts, against a limiter by %s', async limiter => {
      sandbox = await startSandbox({ limits: { read: 10, write: 10, bulk: 1 }, plays: { limiter } })
      const budget = createBudget(await open())
      const statuses: number[] = []
      const client = await clientOf(budget, status => statuses.push(status))
      const requests = Array.from({ length: 25 }, () => client.request({ method: 'GET', path: '/locales' }))
      expect(await Promise.all(requests)).toHaveLength(25)
      // A machine that stalls can bunch what left evenly; on a free one there is no 429 at all.
      expect(statuses.filter(status => status === 429).length).toBeLessThanOrEqual(1)
    })

    it('lets what a quiet second has left leave at once', async () => {
      const budget = createBudget(await open())
      const started = performance.now()
      await Promise.all(Array.from({ length: 5 }, () => budget.acquire('org_1', 'read', 'live')))
      // Spaced evenly these would take 400 ms, whatever the disk does.
      expect(performance.now() - started).toBeLessThan(300)
    })

    it('gives slots to people before live changes before backfill', async () => {
      const budget = createBudget(await open())
      const order: string[] = []
      const take = (lane: 'people' | 'live' | 'backfill') => budget.acquire('org_1', 'write', lane).then(() => order.push(lane))
      await Promise.all([take('backfill'), take('backfill'), take('backfill'), take('live'), take('people')])
      // The first to ask had the slot in hand already or not: everything after it goes by lane.
      expect(order.filter(lane => lane !== 'backfill')).toEqual(['people', 'live'])
      expect(order.slice(-2)).toEqual(['backfill', 'backfill'])
    })

    it('does not slow down where Contentstack says that much more is allowed', async () => {
      const budget = createBudget(await open())
      budget.learn('org_1', 'read', { limit: 100_000, remaining: 99_999, status: 200 })
      const started = performance.now()
      await Promise.all(Array.from({ length: 5000 }, () => budget.acquire('org_1', 'read', 'backfill')))
      expect(performance.now() - started).toBeLessThan(2000)
    })

    it('learns a lower limit and tells the other processes', async () => {
      const database = await open()
      const [first, second] = [createBudget(database), createBudget(database)]
      first.learn('org_1', 'read', { limit: 100, remaining: 99, status: 200 })
      await first.acquire('org_1', 'read', 'live')
      await second.acquire('org_1', 'read', 'live')
      first.learn('org_1', 'read', { limit: 5, remaining: 4, status: 200 })
      await first.acquire('org_1', 'read', 'live')
      const started = performance.now()
      for (let slot = 0; slot < 5; slot += 1) await second.acquire('org_1', 'read', 'live')
      expect(performance.now() - started).toBeGreaterThan(900)
    })

    it('pauses for everybody after a 429', async () => {
      const database = await open()
      const [first, second] = [createBudget(database), createBudget(database)]
      await first.acquire('org_1', 'write', 'live')
      first.learn('org_1', 'write', { limit: 10, remaining: 0, status: 429 })
      await until(async () => ((await rowOf(database, 'write'))?.blocked_until ?? 0) > 0)
      const started = performance.now()
      await second.acquire('org_1', 'write', 'people')
      expect(performance.now() - started).toBeGreaterThan(700)
    })

    it('keeps organizations and kinds apart', async () => {
      const budget = createBudget(await open())
      budget.learn('org_1', 'write', { limit: 1, remaining: 0, status: 200 })
      await budget.acquire('org_1', 'write', 'live')
      const started = performance.now()
      await Promise.all([budget.acquire('org_1', 'read', 'live'), budget.acquire('org_2', 'write', 'live')])
      expect(performance.now() - started).toBeLessThan(500)
    })

    it('lets go of whoever gives up, with their reason', async () => {
      const budget = createBudget(await open())
      const reason = new Error('the run was cancelled')
      const controller = new AbortController()
      budget.learn('org_1', 'bulk', { limit: 1, remaining: 0, status: 200 })
      await budget.acquire('org_1', 'bulk', 'live')
      const waiting = budget.acquire('org_1', 'bulk', 'live', controller.signal)
      controller.abort(reason)
      await expect(waiting).rejects.toBe(reason)
      await expect(budget.acquire('org_1', 'bulk', 'live', AbortSignal.abort(reason))).rejects.toBe(reason)
    })

    it.each([null, 0, -5])('believes no header that says %s', async limit => {
      const database = await open()
      const budget = createBudget(database)
      budget.learn('org_1', 'read', { limit, remaining: null, status: 200 })
      await budget.acquire('org_1', 'read', 'live')
      expect((await rowOf(database, 'read'))?.limit_per_second).toBe(10)
    })
  })
})

const rowOf = async ({ db }: Database, kind: 'read' | 'write') =>
  await db.selectFrom('budget').selectAll().where('organization_id', '=', 'org_1').where('kind', '=', kind).executeTakeFirst()

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise(resolve => setImmediate(resolve))
}
