import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { blogApiKey, shopApiKey } from '../../sandbox/world/built-in.ts'
import { ada, edda, otto, sven } from '../../sandbox/world/people.ts'
import { appendAudit, verifyAudit } from '../../server/audit/audit.ts'
import { dialectOf } from '../../server/database/database.ts'
import { stackFor } from '../../server/installations/credentials.ts'
import { custodyOf } from '../../server/installations/custody.ts'
import { checkToken } from '../../server/installations/watch.ts'
import { pasteToken, wrongKind } from '../../server/installations/paste.ts'
import { hold, holdOf } from '../../server/jobs/queue.ts'
import { makeToken } from '../support/contentstack.ts'
import { forEachDatabase } from '../support/databases.ts'
import { adaAsActor, type Installed, installedOn, quickSandbox, tokensAt } from '../support/installed.ts'
import { logIn } from '../support/sandbox.ts'

forEachDatabase(open => {
  let sandbox: Sandbox
  let here: Installed
  let sent: string[]
  beforeAll(async () => {
    sandbox = await quickSandbox()
  })
  afterAll(() => sandbox.close())
  beforeEach(async () => {
    sent = []
    Object.assign(sandbox.context.plays, { writeProbe: 'permission-first', expiredTokenBody: 'authorization' })
    const watching: typeof fetch = (input, init) => {
      sent.push(JSON.stringify([input, init?.headers, init?.body]))
      return fetch(input, init)
    }
    here = await installedOn(await open(), sandbox, { fetch: watching })
  })

  const paste = async (token: string, userUid?: string) =>
    await pasteToken(here.db, here.deps, {
      installation: here.installation,
      token,
      actor: adaAsActor,
      ...(userUid !== undefined && { userUid })
    })
  const custody = async () => await custodyOf(here.db, here.deps, here.installation.id)
  const nothingKept = async () => {
    expect((await custody()).current).toBeNull()
    expect(await here.db.selectFrom('secret').selectAll().where('installation_id', 'is not', null).execute()).toEqual([])
  }

  describe('a pasted token', () => {
    it('is verified, sealed and current at once, and releases what waited', async () => {
      await hold(here.db, here.installation.id, 'no token')
      const { secret } = await makeToken(sandbox, { branches: ['main', 'redesign'] })
      const row = await paste(`  ${secret}\n`)
      expect(row).toMatchObject({ status: 'active', origin: 'pasted' })
      expect((await custody()).current).toMatchObject({ branches: ['main', 'redesign'], error: null })
      expect((await custody()).current?.verification).toContainEqual(expect.objectContaining({ check: 'write', result: 'likely' }))
      expect(await holdOf(here.db, here.installation.id)).toBeNull()
      const stack = await stackFor(here.db, here.deps, here.installation.id, { lane: 'live', actor: { kind: 'system', id: 'test' } })
      expect(await stack.locales()).toHaveLength(3)
      expect(JSON.stringify([await custody(), await here.db.selectFrom('secret').selectAll().execute()])).not.toContain(secret)
    })

    it('never waits for a token whose holder waits for the audit chain', async () => {
      await paste((await makeToken(sandbox)).secret)
      const current = (await custody()).current!.id
      const { secret } = await makeToken(sandbox)
      const died = Promise.withResolvers<void>()
      const locked = Promise.withResolvers<void>()
      const dying = here.db.transaction().execute(async trx => {
        await trx.updateTable('management_token').set({ updated_at: Date.now() }).where('id', '=', current).execute()
        locked.resolve()
        await died.promise
        const { organization_id: organizationId } = here.installation
        const object = { kind: 'management_token', id: current, name: 'Dying' }
        await appendAudit(trx, here.deps.vault, { organizationId, actor: adaAsActor, action: 'token.die', object })
      })
      await locked.promise
      const pasted = paste(secret)
      if (dialectOf(here.db) === 'postgres') {
        const waiting = sql<{
          count: number
        }>`select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
        const blocked = async () => {
          if ((await waiting.execute(here.db)).rows[0]?.count !== 1) throw new Error('the paste does not wait for the token')
        }
        await vi.waitFor(blocked, { interval: 10, timeout: 10_000 })
      }
      died.resolve()
      await dying
      expect(await pasted).toMatchObject({ status: 'active', origin: 'pasted' })
      const { ok } = await verifyAudit(here.db, here.deps.vault, here.installation.organization_id)
      expect(ok).toBe(true)
    })

    it('proves by itself that its bearer is Owner or Admin, where that is asked', async () => {
      const { secret } = await makeToken(sandbox)
      await expect(paste(secret, edda.uid)).rejects.toMatchObject({ code: 'forbidden' })
      await nothingKept()
      expect((await paste(secret, otto.uid)).status).toBe('active')
    })

    it.each(['permission-first', 'validation-first'] as const)(
      'is likely to write, whatever Contentstack looks at first (%s)',
      async writeProbe => {
        sandbox.context.plays.writeProbe = writeProbe
        const row = await paste((await makeToken(sandbox)).secret)
        expect(JSON.parse(row.verification_json)).toContainEqual(expect.objectContaining({ check: 'write', result: 'likely' }))
      }
    )

    it.each(['minted', 'pasted'] as const)(
      'takes the place of a dead one that was %s, which is forgotten or listed, and everybody is told',
      async origin => {
        sandbox.world.stacks[blogApiKey]!.managementTokens = {}
        if (origin === 'minted') await here.grant(ada)
        else await paste((await makeToken(sandbox)).secret)
        for (const token of tokensAt(sandbox)) token.dead = true
        await checkToken(here.db, here.deps, here.installation.id)
        await paste((await makeToken(sandbox)).secret)
        await here.drain()
        const { current, history } = await custody()
        expect(current).toMatchObject({ status: 'active' })
        expect(history).toMatchObject([{ status: origin === 'minted' ? 'orphaned' : 'retired' }])
        const alerts = await here.db.selectFrom('alert').select('kind').orderBy('id').execute()
        expect(alerts.map(({ kind }) => kind)).toEqual(['token.dead', 'token.replaced'])
      }
    )

    it('a second time changes nothing', async () => {
      const { secret } = await makeToken(sandbox)
      const first = await paste(secret)
      expect((await paste(secret)).id).toBe(first.id)
      expect((await custody()).history).toEqual([])
    })

    it('replaces the former one, which is forgotten after its requests had time to end', async () => {
      await here.grant(ada)
      const minted = (await custody()).current!
      await paste((await makeToken(sandbox)).secret)
      expect((await custody()).history).toMatchObject([{ id: minted.id, status: 'retiring' }])
      await here.drain()
      expect((await custody()).history).toMatchObject([{ id: minted.id, status: 'orphaned', error: expect.stringContaining('Replaced') }])
      await here.grant(ada, { purpose: 'rotate' })
      const states = (await custody()).history.map(({ origin, status }) => `${origin} ${status}`).sort()
      expect(states).toEqual(['minted retired', 'pasted retired'])
    })
  })

  describe('a token that is no good', () => {
    it.each<[string, () => Promise<string>, string]>([
      ['read-only', async () => (await makeToken(sandbox, { write: false })).secret, 'read-only'],
      ['expired', async () => (await makeToken(sandbox, { expiresOn: '2020-01-01' })).secret, 'does not accept'],
      ["another stack's", async () => (await makeToken(sandbox, { apiKey: shopApiKey, person: sven })).secret, 'does not accept'],
      ['unknown', () => Promise.resolve('cs0123456789abcdef'), 'does not accept'],
      ['without the main branch', async () => (await makeToken(sandbox, { branches: ['redesign'] })).secret, 'branch main']
    ])('(%s) is refused with its reason and a remedy, and nothing is kept', async (_name, make, words) => {
      await expect(paste(await make())).rejects.toMatchObject({
        code: 'invalid',
        message: expect.stringContaining(words),
        remedy: expect.any(String)
      })
      await nothingKept()
    })

    it.each(['authorization', 'authtoken'] as const)('is recognised whichever field Contentstack blames (%s)', async expiredTokenBody => {
      sandbox.context.plays.expiredTokenBody = expiredTokenBody
      await expect(paste('cs0123456789abcdef')).rejects.toMatchObject({ message: expect.stringContaining('does not accept') })
    })

    it("in the wrong region's hands says so", async () => {
      await here.db.updateTable('installation').set({ stack_api_key: 'blt0000000000000404' }).execute()
      const installation = await here.db.selectFrom('installation').selectAll().executeTakeFirstOrThrow()
      const { secret } = await makeToken(sandbox)
      await expect(pasteToken(here.db, here.deps, { installation, token: secret, actor: adaAsActor })).rejects.toMatchObject({
        code: 'invalid',
        message: expect.stringContaining('region')
      })
    })

    it('goes nowhere but to this stack in this region, only as authorization', async () => {
      await paste('cs0123456789abcdef').catch(() => {})
      const carrying = sent.filter(request => request.includes('cs0123456789abcdef'))
      expect(carrying.length).toBeGreaterThan(0)
      for (const request of carrying) {
        const [url, headers] = JSON.parse(request) as [string, Record<string, string>]
        expect(url.startsWith(`${sandbox.urls.contentManagement}/v3/`)).toBe(true)
        expect(url).not.toContain('cs0123456789abcdef')
        expect(headers).toMatchObject({ authorization: 'cs0123456789abcdef', api_key: here.installation.stack_api_key })
        expect(headers).not.toHaveProperty('authtoken')
      }
    })
  })

  describe('what is no management token', () => {
    it("a person's real authtoken is recognised and sent nowhere", async () => {
      const { authtoken } = await logIn(sandbox, ada)
      await expect(paste(authtoken)).rejects.toMatchObject({
        code: 'invalid',
        message: expect.stringContaining('authtoken'),
        remedy: expect.stringContaining('Settings > Tokens')
      })
      expect(sent).toEqual([])
      await nothingKept()
    })
  })
})

describe('the shape of a credential', () => {
  it.each([
    ['blt0123456789abcdef', 'authtoken'],
    ['BLT0123456789ABCDEF', 'authtoken'],
    ['authtoken: blt0123456789abcdef', 'authtoken'],
    ['"blt0123456789abcdef"', 'authtoken'],
    ['Bearer c899abcdefabcdef', 'OAuth'],
    ['bearer', 'OAuth'],
    ['eyJhbGciOiJSUzI1NiJ9.eyJhIjoxfQ.c2ln', 'JWT'],
    ['qsk_abcdefghijklmnop', 'access key'],
    ['bltstack', 'API key'],
    ['authorization: cs12345678', 'header'],
    ['', 'one word'],
    ['short', 'one word'],
    ['two words here', 'one word'],
    ['cs1234567890\r\nx-evil: 1', 'one word'],
    ['cs12345678é', 'one word'],
    ['x'.repeat(300), 'one word']
  ])('%j is refused as what it is, without repeating it', (text, words) => {
    const refusal = wrongKind(text, 'bltstack')
    expect(refusal?.message).toContain(words)
    const isRepeated = text.length > 8 && text !== 'bltstack' && `${refusal?.message} ${refusal?.remedy}`.includes(text)
    expect(isRepeated).toBe(false)
  })

  it.each(['cs808c0123456789abcdef', 'cs01234567'])('%s may be a management token', text => {
    expect(wrongKind(text, 'bltstack')).toBeNull()
  })
})
