// Every step of the table of states (transitions.ts), taken by what causes it: grants, pastes, uninstalls and refusals of the sandbox on
// the wire. A step without its scenario here, or without its event in the audit chain, fails.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { ada } from '../../sandbox/world/people.ts'
import { installationJobs } from '../../server/installations/custody.ts'
import { finishGrant, grantAttempts } from '../../server/installations/grant.ts'
import { uninstall } from '../../server/installations/installation.ts'
import { pasteToken } from '../../server/installations/paste.ts'
import { leadsTo, moveTokens, type TokenStatus } from '../../server/installations/transitions.ts'
import { tokenById } from '../../server/installations/token.ts'
import { checkToken } from '../../server/installations/watch.ts'
import { silentLog } from '../../server/log.ts'
import { makeToken } from '../support/contentstack.ts'
import { forEachDatabase } from '../support/databases.ts'
import { type Installed, installedOn, quickSandbox, tokensAt } from '../support/installed.ts'

const tokens = 'management_tokens'
const ofOne = 'management_tokens/'

forEachDatabase(open => {
  let sandbox: Sandbox
  let here: Installed
  beforeAll(async () => {
    sandbox = await quickSandbox()
  })
  afterAll(() => sandbox.close())
  beforeEach(async () => {
    sandbox.context.faults.clear()
    sandbox.context.plays.tokenLimit = 'refuse-30'
    sandbox.world.stacks[blogApiKey]!.managementTokens = {}
    sandbox.world.authorizations = {}
    here = await installedOn(await open(), sandbox)
  })

  const ada7 = { kind: 'admin', id: 'ada', name: 'Ada' } as const
  const mint = async (days: number | null = null) => await here.grant(ada, { expiresInDays: days })
  const rotate = async () => await here.grant(ada, { purpose: 'rotate' })
  const check = async () => await checkToken(here.db, here.deps, here.installation.id)
  const expiring = async () => {
    await mint(20)
    await check()
  }
  const revokeAll = () => {
    for (const token of tokensAt(sandbox)) token.dead = true
  }
  const die = async () => {
    revokeAll()
    await check()
  }
  const refuseDeletion = () => sandbox.context.faults.add({ kind: '401', method: 'DELETE', pathPattern: ofOne, times: 50 })
  const loseCreation = () => sandbox.context.faults.add({ kind: 'reset-after', method: 'POST', pathPattern: tokens })
  const refuseNewToken = () => sandbox.context.faults.add({ kind: '401', method: 'GET', pathPattern: 'v3/environments', times: 50 })
  const leave = async () => {
    await uninstall(here.db, here.deps, {
      region: 'sandbox',
      appUid: here.app.appUid,
      installationUid: here.installation.installation_uid,
      organizationUid: sandbox.world.installations[here.installation.installation_uid]!.organizationUid,
      stackApiKey: blogApiKey
    })
  }
  const paste = async () => {
    const { secret } = await makeToken(sandbox)
    await pasteToken(here.db, here.deps, { installation: here.installation, token: secret, actor: ada7 })
    await here.drain()
  }

  type Step = `${TokenStatus | '(none)'} -> ${TokenStatus}`
  const scenarios: Record<string, () => Promise<unknown>> = {
    '(none) -> minting': () => mint(),
    '(none) -> verifying': paste,
    'minting -> verifying': () => mint(),
    async 'minting -> rejected'() {
      for (let count = 0; count < 30; count += 1) await makeToken(sandbox)
      await here.grant(ada, { overLimit: true })
    },
    async 'minting -> orphaned'() {
      loseCreation()
      await mint()
    },
    'verifying -> active': () => mint(),
    async 'verifying -> rejected'() {
      refuseNewToken()
      await mint()
    },
    async 'verifying -> orphaned'() {
      const { grantId, ...callback } = await here.authorise()
      await finishGrant(here.db, here.deps, callback)
      sandbox.context.faults.add({ kind: '503', method: 'GET', pathPattern: 'v3/environments', times: 200 })
      const [grantJob] = installationJobs(here.db, here.deps)
      const signal = new AbortController().signal
      await grantJob!.run({ grantId }, { jobId: 1, attempt: grantAttempts, fence: 1, signal, log: silentLog })
    },
    'active -> expiring': expiring,
    async 'active -> retiring'() {
      await mint()
      await rotate()
    },
    async 'active -> dead'() {
      await mint()
      await die()
    },
    async 'active -> orphaned'() {
      await mint()
      await leave()
    },
    async 'expiring -> retiring'() {
      await expiring()
      await rotate()
    },
    async 'expiring -> dead'() {
      await expiring()
      await die()
    },
    async 'expiring -> orphaned'() {
      await expiring()
      await leave()
    },
    async 'retiring -> retired'() {
      await mint()
      await rotate()
    },
    async 'retiring -> orphaned'() {
      await mint()
      refuseDeletion()
      await rotate()
    },
    async 'dead -> retired'() {
      await mint()
      await die()
      await rotate()
    },
    async 'dead -> orphaned'() {
      await mint()
      await die()
      await leave()
    },
    async 'rejected -> retired'() {
      refuseNewToken()
      await mint()
    },
    async 'rejected -> orphaned'() {
      refuseNewToken()
      refuseDeletion()
      await mint()
    },
    async 'orphaned -> retired'() {
      await mint()
      refuseDeletion()
      await rotate()
      sandbox.context.faults.clear()
      await rotate()
    }
  }

  it('knows a scenario for each step of the table, and none beside it', () => {
    const table = (Object.entries(leadsTo) as [TokenStatus, TokenStatus[]][]).flatMap(([from, all]) =>
      all.map((to): Step => `${from} -> ${to}`)
    )
    expect(Object.keys(scenarios).toSorted()).toEqual(['(none) -> minting', '(none) -> verifying', ...table].toSorted())
  })

  describe('the step', () => {
    it.each(Object.entries(scenarios))('%s is taken, and stands in the audit chain with who and why', async (step, happen) => {
      await happen()
      const events = await here.db.selectFrom('audit_event').selectAll().where('object_kind', '=', 'management_token').execute()
      const steps = events.map(({ detail_json: json, actor_name: name, ...event }) => {
        const { from, to, why } = JSON.parse(json) as { from: TokenStatus | null; to: TokenStatus; why: string }
        return { ...event, name, from, to, why, step: `${from ?? '(none)'} -> ${to}` }
      })
      expect(steps.map(one => one.step)).toContain(step)
      for (const one of steps) expect([one.name, one.why].every(text => typeof text === 'string' && text.length > 2)).toBe(true)
      // The chain tells each token's life without a gap, and its end is the row's.
      for (const [id, life] of Map.groupBy(steps, one => one.object_id)) {
        expect(life.map(one => one.from)).toEqual([null, ...life.slice(0, -1).map(one => one.to)])
        const row = await tokenById(here.db, id)
        expect(life.at(-1)?.to).toBe(row.status)
        expect(row.secret_id === null).toBe(['minting', 'retired', 'rejected', 'orphaned'].includes(row.status))
      }
      const living = await here.db
        .selectFrom('secret')
        .select('id')
        .where('purpose', '=', 'management_token')
        .where('erased_at', 'is', null)
        .execute()
      const held = await here.db.selectFrom('management_token').select('secret_id as id').where('secret_id', 'is not', null).execute()
      expect(living).toEqual(held)
    })
  })

  describe('what is not in the table', () => {
    it.each<[TokenStatus, TokenStatus]>([
      ['retired', 'active'],
      ['orphaned', 'active'],
      ['dead', 'active'],
      ['rejected', 'active'],
      ['retiring', 'active'],
      ['minting', 'active'],
      ['active', 'retired'],
      ['expiring', 'active']
    ])('cannot happen: %s -> %s', async (from, to) => {
      await mint()
      await here.db.updateTable('management_token').set({ status: from }).execute()
      const row = await here.db.selectFrom('management_token').selectAll().executeTakeFirstOrThrow()
      const step = moveTokens(here.db, here.deps.vault, ada7, async (_trx, { move }) => await move({ row, to, why: 'because' }))
      await expect(step).rejects.toMatchObject({ code: 'internal' })
      expect((await tokenById(here.db, row.id)).status).toBe(from)
    })

    it('nor can a step be taken twice: of two at once one wins', async () => {
      await mint()
      const row = await here.db.selectFrom('management_token').selectAll().executeTakeFirstOrThrow()
      const step = () =>
        moveTokens(here.db, here.deps.vault, ada7, async (_trx, { move }) => await move({ row, to: 'dead', why: 'because' }))
      expect((await Promise.all([step(), step(), step()])).filter(Boolean)).toHaveLength(1)
      const events = await here.db.selectFrom('audit_event').selectAll().where('action', '=', 'token.die').execute()
      expect(events).toHaveLength(1)
    })
  })
})
