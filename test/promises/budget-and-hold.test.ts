// Promises 5 and 6 of docs/design.md: every process of ours together stays under an organization's limit, people first; and a token that
// died costs time, never work. Arrivals are those of the sandbox; how slots are spaced to the millisecond: test/installations.
import { afterEach, describe, expect, it } from 'vitest'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import type { RequestLane } from '../../server/contentstack/cma.ts'
import { createBudget } from '../../server/installations/budget.ts'
import { release } from '../../server/jobs/queue.ts'
import { inbound, landsOf } from '../sync/inbound-stage.ts'
import { openStage, type Stage } from '../sync/stage.ts'
import { cmaOn, makeToken } from '../support/contentstack.ts'
import { forEachDatabase } from '../support/databases.ts'
import { startSandbox } from '../support/sandbox.ts'

forEachDatabase(open => {
  describe('promise 5: one budget per organization', () => {
    let sandbox: Sandbox
    afterEach(() => sandbox.close())

    it('two processes together do not pass the limit of a window, and people go before backfill', async () => {
      sandbox = await startSandbox({ limits: { read: 10, write: 10, bulk: 1 }, plays: { limiter: 'sliding' } })
      const database = await open()
      const { secret } = await makeToken(sandbox)
      const statuses: number[] = []
      const clients = [createBudget(database), createBudget(database)].map(budget =>
        cmaOn(sandbox, secret, {
          acquire: (kind, lane, signal) => budget.acquire('org_1', kind, lane, signal),
          learn(kind, news) {
            statuses.push(news.status)
            budget.learn('org_1', kind, news)
          }
        })
      )
      const arrived: string[] = []
      const { faults } = sandbox.context
      const { takeHttp } = faults
      faults.takeHttp = (host, method, path) => {
        arrived.push(path.split('?')[0]!)
        return takeHttp(host, method, path)
      }
      const ask = (client: number, path: string, lane: RequestLane) => clients[client]!.request({ method: 'GET', path, lane })
      const asked = Array.from({ length: 26 }, (_, index) => ask(index % 2, index % 2 === 0 ? '/locales' : '/content_types', 'backfill'))
      // Asked last.
      asked.push(...Array.from({ length: 4 }, () => ask(0, '/environments', 'people')))
      await Promise.all(asked)
      // Two budgets that know nothing of each other meet ten of them; a machine that stalls can bunch two that left evenly.
      expect(statuses.filter(status => status === 429).length).toBeLessThanOrEqual(1)
      const ofFirst = arrived.filter(path => path !== '/v3/content_types')
      expect(ofFirst.filter(path => path === '/v3/environments').length).toBeGreaterThanOrEqual(4)
      // One of its backfill may have had its slot in hand.
      expect(ofFirst.slice(0, ofFirst.lastIndexOf('/v3/environments')).filter(path => path === '/v3/locales').length).toBeLessThanOrEqual(1)
    })
  })

  describe('promise 6: a dead token holds, it does not fail', () => {
    let stage: Stage
    afterEach(() => stage.cleanUp())

    it('spends no attempt, fails no record, waits as long as it takes, and goes on where it was', async () => {
      stage = await openStage(await open())
      const lands = landsOf(stage, 40)
      const { faults } = stage.sandbox.context
      const held = faults.add({ kind: 'hold', method: 'POST', pathPattern: '/content_types/country/entries', skip: 15 })
      const tokens = Object.values(stage.sandbox.world.stacks[blogApiKey]!.managementTokens)
      const [sync] = await stage.create(inbound)
      const drained = stage.drain()
      await faults.untilHit(held.id)
      for (const token of tokens) token.dead = true
      faults.clear()
      await drained
      const halfway = lands.writes()
      expect(halfway).toBeGreaterThanOrEqual(15)
      expect(halfway).toBeLessThan(40)
      const jobs = () => stage.db.selectFrom('job').select(['state', 'attempt']).where('kind', '=', 'sync.run').execute()
      // An hour later, and another.
      for (let hour = 0; hour < 2; hour++) {
        await stage.drain()
        expect(await jobs()).toEqual([{ state: 'ready', attempt: 0 }])
        expect(await stage.lastRun(sync!)).toMatchObject({ status: 'running', failed: 0 })
        expect(lands.writes()).toBe(halfway)
      }
      for (const token of tokens) token.dead = false
      await stage.db.updateTable('management_token').set({ status: 'active' }).execute()
      await release(stage.db, stage.installation.id)
      await stage.drain()
      expect(await jobs()).toEqual([{ state: 'done', attempt: 1 }])
      expect(await stage.lastRun(sync!)).toMatchObject({ status: 'success', read: 40, failed: 0, error: null })
      expect({ writes: lands.writes(), creates: lands.writes('create'), entries: lands.keys().length }).toEqual({
        writes: 40,
        creates: 40,
        entries: 40
      })
    })
  })
})
