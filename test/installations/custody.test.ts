import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { ada, dora, edda, otto } from '../../sandbox/world/people.ts'
import { verifyAudit } from '../../server/audit/audit.ts'
import { introspect } from '../../server/contentstack/oauth.ts'
import { stackFor } from '../../server/installations/credentials.ts'
import { custodyOf, installationJobs } from '../../server/installations/custody.ts'
import { endStaleGrants, finishGrant, grantAttempts, grantById } from '../../server/installations/grant.ts'
import { installationToken } from '../../server/installations/token.ts'
import { hold, holdOf } from '../../server/jobs/queue.ts'
import { createWorker } from '../../server/jobs/worker.ts'
import { silentLog } from '../../server/log.ts'
import { makeToken } from '../support/contentstack.ts'
import { forEachDatabase } from '../support/databases.ts'
import { type Installed, installedOn, quickSandbox, tokensAt } from '../support/installed.ts'

forEachDatabase(open => {
  let sandbox: Sandbox
  let here: Installed
  beforeAll(async () => {
    sandbox = await quickSandbox()
  })
  afterAll(() => sandbox.close())
  beforeEach(async () => {
    Object.assign(sandbox.context.plays, { revocation: 'allowed', tokenLimit: 'refuse-30', writeProbe: 'permission-first' })
    sandbox.context.faults.clear()
    sandbox.world.stacks[blogApiKey]!.managementTokens = {}
    sandbox.world.authorizations = {}
    here = await installedOn(await open(), sandbox)
  })

  const custody = async () => await custodyOf(here.db, here.deps, here.installation.id)
  const actor = { kind: 'system', id: 'test' } as const
  const liveAuthorizations = (userUid: string) =>
    Object.values(sandbox.world.authorizations).filter(one => one.userUid === userUid && one.revokedAt === null)

  describe('mint and forget', () => {
    it("turns an admin's grant into the stack's own token and keeps nothing of the admin", async () => {
      await hold(here.db, here.installation.id, 'no token')
      const grantId = await here.grant(ada, { expiresInDays: 30 })
      const { current, grant, history } = await custody()
      expect(current).toMatchObject({ status: 'active', origin: 'minted', branches: ['main'], error: null })
      expect(current?.verification.map(({ check, result }) => `${check}: ${result}`)).toEqual([
        'stack: granted',
        'alive: granted',
        'branch main: granted',
        'read: granted',
        'write: granted'
      ])
      expect(current!.expiresAt! - Date.now()).toBeGreaterThan(30 * 86_400_000)
      expect(current!.expiresAt! - Date.now()).toBeLessThan(31 * 86_400_000)
      expect(history).toEqual([])
      expect(grant).toMatchObject({ id: grantId, status: 'revoked', error: null, validUntil: null })

      expect(tokensAt(sandbox).map(({ name }) => name)).toEqual([current!.name])
      expect(liveAuthorizations(ada.uid)).toEqual([])
      const living = await here.db
        .selectFrom('secret')
        .select('purpose')
        .where('erased_at', 'is', null)
        .where('installation_id', 'is not', null)
        .execute()
      expect(living).toEqual([{ purpose: 'management_token' }])
      expect(await holdOf(here.db, here.installation.id)).toBeNull()
      const stack = await stackFor(here.db, here.deps, here.installation.id, { lane: 'live', actor })
      expect((await stack.contentTypes()).length).toBeGreaterThan(3)
    })

    it('tells other rooms, notes the master locale, and leaves a chained record of every step', async () => {
      await here.grant()
      const jobs = await here.db.selectFrom('job').selectAll().where('kind', '=', installationToken).execute()
      expect(jobs.map(job => JSON.parse(job.payload_json) as unknown)).toEqual([
        { installationId: here.installation.id, tokenId: (await custody()).current!.id }
      ])
      const row = await here.db.selectFrom('installation').selectAll().executeTakeFirstOrThrow()
      expect(row.master_locale).toBe('en-us')
      const actions = await here.db.selectFrom('audit_event').select('action').orderBy('seq').execute()
      expect(actions.map(({ action }) => action)).toEqual([
        'installation.activate',
        'grant.start',
        'grant.authorize',
        'token.intend',
        'token.mint',
        'token.activate',
        'grant.revoke'
      ])
      expect((await verifyAudit(here.db, here.deps.vault, here.installation.organization_id)).ok).toBe(true)
    })

    it('never writes a secret anywhere in clear', async () => {
      await here.grant()
      const [token] = tokensAt(sandbox)
      const oauth = Object.keys(sandbox.world.oauthTokens)
      const everything = await Promise.all(
        (['installation', 'grant_flow', 'management_token', 'secret', 'audit_event', 'job'] as const).map(
          async table => await here.db.selectFrom(table).selectAll().execute()
        )
      )
      const text = JSON.stringify([everything, await custody()])
      for (const secret of [token!.secret, ...oauth]) expect(text).not.toContain(secret)
    })
  })

  describe('rotation', () => {
    it('switches, deletes the former token at Contentstack and erases it', async () => {
      await here.grant()
      const first = (await custody()).current!
      await here.grant(ada, { purpose: 'rotate' })
      const { current, history } = await custody()
      expect(current!.id).not.toBe(first.id)
      expect(history).toMatchObject([{ id: first.id, status: 'retired', error: null }])
      expect(tokensAt(sandbox).map(({ name }) => name)).toEqual([current!.name])
      expect(
        await here.db.selectFrom('secret').selectAll().where('erased_at', 'is', null).where('installation_id', 'is not', null).execute()
      ).toHaveLength(1)
    })

    it('lets requests under way end with the former token before it is deleted', async () => {
      await here.grant()
      const slow = { ...here.deps, drainSeconds: 60 }
      const { grantId, ...callback } = await here.authorise(ada, { purpose: 'rotate' })
      await finishGrant(here.db, slow, callback)
      const worker = createWorker({ database: here.database, kinds: installationJobs(here.db, slow), concurrency: 1, log: silentLog })
      await worker.drain()
      const { current, history } = await custody()
      expect([current!.status, history[0]!.status]).toEqual(['active', 'retiring'])
      expect(tokensAt(sandbox)).toHaveLength(2)
      expect((await grantById(here.db, grantId)).status).toBe('minted')

      await here.db
        .updateTable('management_token')
        .set({ updated_at: Date.now() - 61_000 })
        .where('status', '=', 'retiring')
        .execute()
      await here.drain()
      expect((await grantById(here.db, grantId)).status).toBe('revoked')
      expect(tokensAt(sandbox)).toHaveLength(1)
    })

    it('replaces a dead token as well, and on request gives the token up altogether', async () => {
      await here.grant()
      await here.db.updateTable('management_token').set({ status: 'dead' }).execute()
      await here.grant()
      expect((await custody()).history).toMatchObject([{ status: 'retired' }])
      await here.grant(ada, { purpose: 'delete', branches: [] })
      expect(tokensAt(sandbox)).toEqual([])
      expect((await custody()).current).toBeNull()
      expect(await holdOf(here.db, here.installation.id)).toMatchObject({ reason: expect.stringContaining('on request') })
    })
  })

  describe('a person who may not', () => {
    it.each([dora, edda])('($firstName) gets no token made, is told why, and their grant is taken back', async person => {
      const grantId = await here.grant(person)
      expect(await grantById(here.db, grantId)).toMatchObject({ status: 'failed', access_secret_id: null, valid_until: null })
      expect((await grantById(here.db, grantId)).error).toContain('neither Owner nor Admin')
      expect(tokensAt(sandbox)).toEqual([])
      expect((await custody()).current).toBeNull()
      expect(liveAuthorizations(person.uid)).toEqual([])
      expect(
        await here.db.selectFrom('secret').selectAll().where('erased_at', 'is', null).where('installation_id', 'is not', null).execute()
      ).toEqual([])
    })
  })

  describe('where Contentstack refuses to take the grant back', () => {
    it('the token stands, and until when the grant stays valid is said and kept', async () => {
      sandbox.context.plays.revocation = 'refused'
      await here.grant()
      const { current, grant } = await custody()
      expect(current?.status).toBe('active')
      expect(grant?.status).toBe('revoke_refused')
      expect(grant?.error).toMatch(/stays valid until \d\d:\d\d UTC.*Authorized Apps/)
      expect(grant!.validUntil! - Date.now()).toBeGreaterThan(3_500_000)
      expect((await here.db.selectFrom('grant_flow').selectAll().executeTakeFirstOrThrow()).access_secret_id).toBeNull()
    })
  })

  describe('what is not established of minting', () => {
    beforeEach(() => {
      Object.assign(sandbox.context.plays, { grantMints: 'accepted', branchlessScope: 'ignored', tokenExpiry: 'optional' })
      sandbox.world.stacks[blogApiKey]!.branchless = false
      return () => {
        Object.assign(sandbox.context.plays, { grantMints: 'accepted', branchlessScope: 'ignored', tokenExpiry: 'optional' })
        sandbox.world.stacks[blogApiKey]!.branchless = false
      }
    })
    const failure = async (branches?: string[]) =>
      (await grantById(here.db, await here.grant(ada, branches === undefined ? {} : { branches }))).error

    it('an app that may not make one is told to have one pasted', async () => {
      sandbox.context.plays.grantMints = 'refused'
      expect(await failure()).toMatch(/does not let an app make.*paste it here/s)
      expect(tokensAt(sandbox)).toEqual([])
      expect(liveAuthorizations(ada.uid)).toEqual([])
    })

    it('a branch that the stack does not have is named, with what to do', async () => {
      expect(await failure(['nowhere'])).toMatch(/nowhere branch\(es\) not found.*leave them empty/s)
    })

    it.each(['ignored', 'refused'] as const)(
      'a stack without branches gets its token without any (a branch scope is %s there)',
      async played => {
        Object.assign(sandbox.context.plays, { branchlessScope: played })
        sandbox.world.stacks[blogApiKey]!.branchless = true
        expect(await failure([])).toBeNull()
        expect((await custody()).current).toMatchObject({ status: 'active' })
      }
    )

    it.each(['optional', 'required'] as const)('a token that never ends is made where a word on its end is %s', async tokenExpiry => {
      sandbox.context.plays.tokenExpiry = tokenExpiry
      expect(await failure()).toBeNull()
      expect(tokensAt(sandbox)).toMatchObject([{ expires_on: null }])
    })
  })

  describe('the number of tokens', () => {
    const fill = async (count: number) => {
      for (let index = 0; index < count; index += 1) await makeToken(sandbox, { name: `Theirs ${index}` })
    }

    it.each(['refuse-30', 'evict-oldest-10'] as const)(
      'at ten stops the mint unless told, naming what is in the way (%s)',
      async tokenLimit => {
        sandbox.context.plays.tokenLimit = tokenLimit
        await fill(10)
        const grantId = await here.grant()
        const { error, status } = await grantById(here.db, grantId)
        expect(status).toBe('failed')
        expect(error).toContain('10 valid management tokens')
        expect(error).toContain('"Theirs 0"')
        expect(tokensAt(sandbox).filter(({ dead }) => !dead)).toHaveLength(10)
        expect(liveAuthorizations(ada.uid)).toEqual([])
      }
    )

    it('may be gone beyond when told', async () => {
      await fill(10)
      await here.grant(ada, { overLimit: true })
      expect((await custody()).current?.status).toBe('active')
    })

    it('does not count expired ones', async () => {
      await fill(9)
      await makeToken(sandbox, { name: 'Old', expiresOn: '2020-01-01' })
      await here.grant()
      expect((await custody()).current?.status).toBe('active')
    })

    it('beyond which Contentstack refuses fails the grant in its words', async () => {
      await fill(30)
      const grantId = await here.grant(ada, { overLimit: true })
      expect(await grantById(here.db, grantId)).toMatchObject({ status: 'failed', error: expect.stringContaining('Contentstack refused') })
      expect((await custody()).history).toMatchObject([{ status: 'rejected' }])
    })
  })

  describe('grants of one person that share an authorization', () => {
    it('are carried out one after the other, and only the last takes it back', async () => {
      const [first, second] = [await here.authorise(ada), await here.authorise(ada, { purpose: 'rotate' })]
      for (const { grantId: _, ...callback } of [first, second]) await finishGrant(here.db, here.deps, callback)
      await here.drain()
      expect((await grantById(here.db, first.grantId)).status).toBe('revoked')
      expect((await grantById(here.db, second.grantId)).status).toBe('revoked')
      expect(liveAuthorizations(ada.uid)).toEqual([])
      expect(tokensAt(sandbox)).toHaveLength(1)
    })

    it("leave everybody else's alone", async () => {
      const ottos = await here.authorise(otto)
      await here.grant(ada)
      expect(liveAuthorizations(otto.uid)).toHaveLength(1)
      const { grantId, ...callback } = ottos
      await finishGrant(here.db, here.deps, callback)
      await here.drain()
      expect((await grantById(here.db, grantId)).status).toBe('revoked')
    })
  })

  describe('grants that nobody completes', () => {
    it('end after their ten minutes and leave no secret', async () => {
      const { grantId } = await here.authorise()
      await here.db
        .updateTable('grant_flow')
        .set({ expires_at: Date.now() - 120_000 })
        .execute()
      expect(await endStaleGrants(here.db, here.deps)).toBe(1)
      expect(await grantById(here.db, grantId)).toMatchObject({ status: 'failed', verifier_secret_id: null })
      expect(
        await here.db.selectFrom('secret').selectAll().where('erased_at', 'is', null).where('installation_id', 'is not', null).execute()
      ).toEqual([])
    })
  })

  describe('trouble on the way', () => {
    it.each(['500', '503', 'reset-before', 'reset-after', 'truncate', '429'] as const)(
      '(%s at the mint) ends in one token of ours all the same',
      async kind => {
        sandbox.context.faults.add({ kind, host: 'contentManagement', method: 'POST', pathPattern: 'management_tokens', times: 1 })
        await here.grant()
        const { current, grant } = await custody()
        expect([current?.status, grant?.status]).toEqual(['active', 'revoked'])
        expect(tokensAt(sandbox).map(({ name }) => name)).toEqual([current!.name])
      }
    )

    it('that lasts until the last try ends the grant with its reason and leaves nothing behind', async () => {
      const { grantId, ...callback } = await here.authorise()
      await finishGrant(here.db, here.deps, callback)
      sandbox.context.faults.add({ kind: '500', host: 'contentManagement', method: 'POST', pathPattern: 'management_tokens', times: 100 })
      const [kind] = installationJobs(here.db, here.deps)
      const context = { jobId: 1, attempt: grantAttempts, fence: 1, signal: new AbortController().signal, log: silentLog }
      await kind!.run({ grantId }, context)
      expect(await grantById(here.db, grantId)).toMatchObject({
        status: 'failed',
        access_secret_id: null,
        error: expect.stringContaining('Something went wrong')
      })
      expect(liveAuthorizations(ada.uid)).toEqual([])
      expect(await introspect(here.app, Object.keys(sandbox.world.oauthTokens).at(-1)!)).toEqual({ active: false })
      expect((await custody()).history).toMatchObject([{ status: 'orphaned' }])
    })
  })
})
