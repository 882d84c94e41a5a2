import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { ada } from '../../sandbox/world/people.ts'
import { newId } from '../../server/database/id.ts'
import { claimOrganizations } from '../../server/installations/installation.ts'
import { holdOf } from '../../server/jobs/queue.ts'
import { activeToken } from '../../server/installations/token.ts'
import { checkToken, watchJobKind, watchOf } from '../../server/installations/watch.ts'
import { silentLog } from '../../server/log.ts'
import { forEachDatabase } from '../support/databases.ts'
import { type Installed, installedOn, quickSandbox, tokensAt } from '../support/installed.ts'

const dayMs = 86_400_000

forEachDatabase(open => {
  let sandbox: Sandbox
  let here: Installed
  beforeAll(async () => {
    sandbox = await quickSandbox()
  })
  afterAll(() => sandbox.close())
  beforeEach(async () => {
    sandbox.context.faults.clear()
    sandbox.world.stacks[blogApiKey]!.managementTokens = {}
    here = await installedOn(await open(), sandbox)
  })

  const check = async (now?: number) => await checkToken(here.db, here.deps, here.installation.id, now)
  const alerts = async () => await here.db.selectFrom('alert').selectAll().orderBy('id').execute()
  const current = async () => await activeToken(here.db, here.installation.id)

  describe('a token that Contentstack accepts', () => {
    it('is noted as seen, and nobody is told', async () => {
      await here.grant()
      const before = (await current())!.checked_at!
      expect(await check(before + 5000)).toMatchObject({ outcome: 'accepted', token: { status: 'active', checked_at: before + 5000 } })
      expect(await alerts()).toEqual([])
    })
  })

  describe('a token that Contentstack refuses', () => {
    it('is found dead without anybody using it: work is held, admins are told once with what to press', async () => {
      await here.grant()
      for (const token of tokensAt(sandbox)) token.dead = true
      expect(await check()).toMatchObject({ outcome: 'dead', token: null })
      expect(await check()).toMatchObject({ outcome: 'none' })
      expect(await holdOf(here.db, here.installation.id)).toMatchObject({ reason: expect.stringContaining('no longer accepts') })
      const told = await alerts()
      expect(told).toMatchObject([{ kind: 'token.dead', title: expect.stringContaining('refuses the management token') }])
      expect(told[0]!.text).toContain('nothing is lost')
      expect((JSON.parse(told[0]!.links_json) as { url: string }[]).map(({ url }) => url)).toEqual([
        expect.stringContaining(`/installed-apps/${here.installation.installation_uid}/stacks/${blogApiKey}/config`),
        expect.stringContaining(`/console/installations/${here.installation.id}?rotate`)
      ])
    })

    it('says that it expired when its day has come', async () => {
      await here.grant(ada, { expiresInDays: 10 })
      await here.db
        .updateTable('management_token')
        .set({ expires_at: Date.now() - 1000 })
        .execute()
      for (const token of tokensAt(sandbox)) token.dead = true
      await check()
      expect((await alerts()).at(-1)!.text).toContain('It expired on')
    })

    it.each(['503', 'truncate'] as const)('is not dead because of %s', async kind => {
      await here.grant()
      sandbox.context.faults.add({ kind, pathPattern: 'v3/environments', times: 20 })
      await check().catch(() => null)
      expect(await current()).toMatchObject({ status: 'active' })
      expect(await alerts()).toEqual([])
    })

    it('is not dead because of a single 401', async () => {
      await here.grant()
      sandbox.context.faults.add({ kind: '401', pathPattern: 'v3/environments', times: 1 })
      expect(await check()).toMatchObject({ outcome: 'accepted' })
    })
  })

  describe('reminders', () => {
    const remindedAt = async (days: number) => {
      const token = (await current())!
      await check(token.expires_at! - days * dayMs)
      return (await current())!.reminded_days
    }

    it('go out at 30, 14, 7 and 1 days, each once, the token being expiring from the first on', async () => {
      await here.grant(ada, { expiresInDays: 90 })
      const told: [days: number, reminded: number | null, alerts: number, status: string][] = []
      for (const days of [60, 31, 30, 29.5, 20, 14, 13.9, 8, 7, 6, 2, 1, 0.5, 0.1]) {
        told.push([days, await remindedAt(days), (await alerts()).length, (await current())!.status])
      }
      expect(told).toEqual([
        [60, null, 0, 'active'],
        [31, null, 0, 'active'],
        [30, 30, 1, 'expiring'],
        [29.5, 30, 1, 'expiring'],
        [20, 30, 1, 'expiring'],
        [14, 14, 2, 'expiring'],
        [13.9, 14, 2, 'expiring'],
        [8, 14, 2, 'expiring'],
        [7, 7, 3, 'expiring'],
        [6, 7, 3, 'expiring'],
        [2, 7, 3, 'expiring'],
        [1, 1, 4, 'expiring'],
        [0.5, 1, 4, 'expiring'],
        [0.1, 1, 4, 'expiring']
      ])
      expect((await alerts()).map(({ kind, title }) => [kind, title])).toEqual([
        ['token.expiring', expect.stringContaining('ends in 30 days')],
        ['token.expiring', expect.stringContaining('ends in 14 days')],
        ['token.expiring', expect.stringContaining('ends in 7 days')],
        ['token.expiring', expect.stringContaining('ends in one day')]
      ])
    })

    it('of days that passed while nobody watched are not made up for: the most urgent one goes out', async () => {
      await here.grant(ada, { expiresInDays: 90 })
      expect(await remindedAt(5)).toBe(7)
      expect(await alerts()).toHaveLength(1)
    })

    it('do not repeat what was chosen a moment ago', async () => {
      await here.grant(ada, { expiresInDays: 7 })
      await check()
      expect(await current()).toMatchObject({ status: 'expiring', reminded_days: null })
      expect(await alerts()).toEqual([])
      expect(await remindedAt(1)).toBe(1)
    })

    it('go out once when two watches look at the same moment', async () => {
      await here.grant(ada, { expiresInDays: 90 })
      const at = (await current())!.expires_at! - 10 * dayMs
      await Promise.all([check(at), check(at), check(at)])
      expect(await alerts()).toHaveLength(1)
    })

    it('end with the rotation, and the next token has its own', async () => {
      await here.grant(ada, { expiresInDays: 90 })
      await remindedAt(5)
      await here.grant(ada, { purpose: 'rotate', expiresInDays: 90 })
      await check()
      expect(await current()).toMatchObject({ status: 'active', reminded_days: null })
    })
  })

  it.each([
    ['an installation that has ended', () => here.db.updateTable('installation').set({ status: 'uninstalled' }).execute()],
    ['an organization that is no longer served', () => claimOrganizations(here.db, [])]
  ])('asks nothing for %s', async (_what, end) => {
    await here.grant()
    await end()
    const asked: string[] = []
    const watching: typeof fetch = (input, init) => {
      asked.push(new Request(input).url)
      return fetch(input, init)
    }
    const { signal } = new AbortController()
    const watch = watchJobKind(here.db, { ...here.deps, fetch: watching })
    const result = await watch.run({ installationId: here.installation.id }, { jobId: 1, attempt: 1, fence: 1, signal, log: silentLog })
    expect([result, asked]).toEqual([{ cancel: expect.any(String) }, []])
  })

  it('spreads the checks of many installations over the hour', () => {
    const minutes = Array.from({ length: 600 }, () => Number(watchOf({ id: newId('ins'), organization_id: 'org' }).cron.split(' ', 1)[0]))
    const counts = Map.groupBy(minutes, minute => minute)
    expect(counts.size).toBeGreaterThan(55)
    expect(Math.max(...[...counts.values()].map(({ length }) => length))).toBeLessThan(30)
  })
})
