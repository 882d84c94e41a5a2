import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { ada, edda } from '../../sandbox/world/people.ts'
import { finishGrant, type GrantCallback, grantById, openGrant, startGrant } from '../../server/installations/grant.ts'
import { finishInstall } from '../../server/installations/install.ts'
import { uninstall } from '../../server/installations/installation.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { forEachDatabase } from '../support/databases.ts'
import { adaAsActor, type Installed, installedOn, publicUrl, quickSandbox, tokensAt } from '../support/installed.ts'
import { ask, logIn } from '../support/sandbox.ts'

forEachDatabase(open => {
  let sandbox: Sandbox
  let here: Installed
  beforeAll(async () => {
    sandbox = await quickSandbox()
  })
  afterAll(() => sandbox.close())
  beforeEach(async () => {
    here = await installedOn(await open(), sandbox)
  })

  const choices = { initiator: adaAsActor, purpose: 'mint', expiresInDays: null, branches: ['main'] } as const
  const start = async () => await startGrant(here.db, here.deps, { ...choices, installation: here.installation })

  describe('the start of a grant', () => {
    it('leads once, by its ticket, to the consent page with state, PKCE and the narrowest scopes', async () => {
      const { grantId, ticket } = await start()
      const { url, cookie } = await openGrant(here.db, here.deps, { grantId, ticket })
      const { searchParams, origin } = new URL(url)
      expect(origin).toBe(sandbox.urls.application)
      expect(searchParams.get('scope')).toBe('cm.stack.management-tokens:read cm.stack.management-tokens:write')
      expect(searchParams.get('code_challenge_method')).toBe('S256')
      expect(searchParams.get('state')).not.toBe(cookie)
      const row = JSON.stringify(await grantById(here.db, grantId))
      for (const secret of [ticket, cookie, searchParams.get('state')!]) expect(row).not.toContain(secret)
      await expect(openGrant(here.db, here.deps, { grantId, ticket })).rejects.toMatchObject({ code: 'forbidden' })
    })

    it.each([
      ['of another grant', (grantId: string) => ({ grantId, ticket: 'A'.repeat(43) })],
      ['that is empty', (grantId: string) => ({ grantId, ticket: '' })],
      ['for a grant that does not exist', () => ({ grantId: 'grf_nothing', ticket: 'x' })]
    ])('refuses a ticket %s', async (_name, make) => {
      const { grantId } = await start()
      await expect(openGrant(here.db, here.deps, make(grantId))).rejects.toMatchObject({ code: 'forbidden' })
    })

    it('refuses a ticket older than a minute', async () => {
      const { grantId, ticket } = await start()
      await here.db
        .updateTable('grant_flow')
        .set({ created_at: Date.now() - 61_000 })
        .execute()
      await expect(openGrant(here.db, here.deps, { grantId, ticket })).rejects.toMatchObject({
        code: 'forbidden',
        message: expect.stringContaining('old')
      })
    })

    it.each([{ expiresInDays: 0 }, { expiresInDays: 366 }, { expiresInDays: 1.5 }, { branches: ['../x'] }, { branches: ['main', ''] }])(
      'refuses %j',
      async wrong => {
        const input = { ...choices, branches: [...choices.branches], installation: here.installation, ...wrong }
        await expect(startGrant(here.db, here.deps, input)).rejects.toMatchObject({ code: 'invalid' })
      }
    )

    it('refuses an installation that has ended', async () => {
      await uninstall(here.db, here.deps, {
        region: 'sandbox',
        appUid: here.app.appUid,
        installationUid: here.installation.installation_uid,
        organizationUid: sandbox.world.installations[here.installation.installation_uid]!.organizationUid,
        stackApiKey: blogApiKey
      })
      const ended = await here.db.selectFrom('installation').selectAll().executeTakeFirstOrThrow()
      await expect(startGrant(here.db, here.deps, { ...choices, installation: ended })).rejects.toMatchObject({ code: 'conflict' })
    })
  })

  describe('a callback', () => {
    const good = async (): Promise<GrantCallback & { grantId: string }> => await here.authorise()
    const nothingHappened = async () => {
      expect(await here.db.selectFrom('job').selectAll().where('kind', '=', 'custody.grant').execute()).toEqual([])
      expect(await here.db.selectFrom('secret').selectAll().where('purpose', '=', 'grant_access_token').execute()).toEqual([])
    }

    it.each<[string, (callback: GrantCallback) => GrantCallback, string]>([
      ['a forged state', callback => ({ ...callback, state: 'A'.repeat(43) }), 'forbidden'],
      ['no state', callback => ({ ...callback, state: '' }), 'forbidden'],
      ['no cookie', callback => ({ ...callback, cookie: null }), 'forbidden'],
      ["another browser's cookie", callback => ({ ...callback, cookie: 'B'.repeat(43) }), 'forbidden'],
      ['a location we are not set up for', callback => ({ ...callback, location: 'EU' }), 'invalid'],
      ['no location', callback => ({ ...callback, location: '' }), 'invalid']
    ])('with %s is refused without a side effect, and the right one still works', async (_name, spoil, code) => {
      const { grantId, ...callback } = await good()
      await expect(finishGrant(here.db, here.deps, spoil(callback))).rejects.toMatchObject({ code })
      await nothingHappened()
      expect(await finishGrant(here.db, here.deps, callback)).toEqual({ grantId })
    })

    it('from another region than the stack is refused', async () => {
      const { grantId: _, ...callback } = await good()
      const elsewhere = { ...here.app, region: { ...here.app.region, id: 'eu', location: 'EU' } }
      const deps = { ...here.deps, apps: [here.app, elsewhere] }
      await expect(finishGrant(here.db, deps, { ...callback, location: 'EU' })).rejects.toMatchObject({
        code: 'forbidden',
        message: expect.stringContaining('EU')
      })
      await nothingHappened()
    })

    it('later than ten minutes is refused', async () => {
      const { grantId: _, ...callback } = await good()
      await here.db
        .updateTable('grant_flow')
        .set({ expires_at: Date.now() - 1 })
        .execute()
      await expect(finishGrant(here.db, here.deps, callback)).rejects.toMatchObject({
        code: 'forbidden',
        message: expect.stringContaining('ten minutes')
      })
      await nothingHappened()
    })

    it('works once: replayed it is refused, and of two at once one wins', async () => {
      const { grantId: _, ...callback } = await good()
      const results = await Promise.allSettled([finishGrant(here.db, here.deps, callback), finishGrant(here.db, here.deps, callback)])
      expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
      await expect(finishGrant(here.db, here.deps, callback)).rejects.toMatchObject({
        code: 'forbidden',
        message: expect.stringContaining('used already')
      })
    })

    it('with a code that Contentstack does not know ends the grant and erases its verifier', async () => {
      const { grantId, ...callback } = await good()
      await expect(finishGrant(here.db, here.deps, { ...callback, code: 'nonsense' })).rejects.toMatchObject({ code: 'invalid' })
      expect(await grantById(here.db, grantId)).toMatchObject({ status: 'failed', verifier_secret_id: null })
      expect(
        await here.db.selectFrom('secret').selectAll().where('erased_at', 'is', null).where('installation_id', 'is not', null).execute()
      ).toEqual([])
    })

    it('of somebody who declined ends the grant', async () => {
      const { grantId, ...callback } = await good()
      const declined = { ...callback, code: null, location: '', error: 'access_denied' }
      await expect(finishGrant(here.db, here.deps, declined)).rejects.toMatchObject({
        code: 'forbidden',
        message: expect.stringContaining('declined')
      })
      expect((await grantById(here.db, grantId)).status).toBe('failed')
    })

    it('given by another person than the one in front of the CMS is refused, and their grant taken back', async () => {
      const before = tokensAt(sandbox).length
      const { grantId, ...callback } = await here.authorise(edda, { userUid: ada.uid })
      await expect(finishGrant(here.db, here.deps, callback)).rejects.toMatchObject({
        code: 'forbidden',
        message: expect.stringContaining('another person')
      })
      await here.drain()
      expect(await grantById(here.db, grantId)).toMatchObject({ status: 'failed', access_secret_id: null, valid_until: null })
      expect(Object.values(sandbox.world.authorizations).filter(one => one.userUid === edda.uid && one.revokedAt === null)).toEqual([])
      expect(tokensAt(sandbox)).toHaveLength(before)
    })

    it("that brings an install's code is refused", async () => {
      const { grantId: _, ...callback } = await good()
      const code = await installCode(here)
      await expect(finishGrant(here.db, here.deps, { ...callback, code })).rejects.toMatchObject({ code: 'invalid' })
    })
  })

  describe('the callback of an install', () => {
    const fresh = async () => {
      const other = await installedOn(await open(), sandbox)
      await other.db.deleteFrom('audit_event').execute()
      await other.db.deleteFrom('job').execute()
      await other.db.deleteFrom('installation').execute()
      return other
    }

    it('makes the installation known as pending, binding nobody', async () => {
      const other = await fresh()
      const code = await installCode(other)
      const done = await finishInstall(other.db, other.deps, {
        code,
        location: 'SANDBOX',
        installationUid: other.installation.installation_uid
      })
      expect(done).toMatchObject({ claimed: true, installation: { status: 'pending', stack_api_key: blogApiKey } })
      expect(await other.db.selectFrom('secret').selectAll().where('installation_id', 'is not', null).execute()).toEqual([])
    })

    it('that names no installation leaves it to the lifecycle event', async () => {
      const other = await fresh()
      const done = await finishInstall(other.db, other.deps, { code: await installCode(other), location: 'SANDBOX', installationUid: null })
      expect(done).toEqual({ installation: null, claimed: true })
    })

    it.each([
      ['an unknown location', { location: 'NOWHERE' }, 'invalid'],
      ['no code', { code: '' }, 'invalid'],
      ['a code that is not one', { code: 'nonsense' }, 'invalid']
    ])('with %s is refused and records nothing', async (_name, wrong, expected) => {
      const other = await fresh()
      const input = { code: await installCode(other), location: 'SANDBOX', installationUid: 'x', ...wrong }
      await expect(finishInstall(other.db, other.deps, input)).rejects.toMatchObject({ code: expected })
      expect(await other.db.selectFrom('installation').selectAll().execute()).toEqual([])
    })
  })
})

/** The code that Contentstack gives at the end of an install. */
async function installCode({ sandbox, app, installation }: Installed): Promise<string> {
  const headers = await logIn(sandbox, ada)
  const { body } = await ask<{ redirect_url: string }>(`${sandbox.urls.application}/apps-api/install-code`, {
    method: 'POST',
    headers,
    body: { app_uid: app.appUid, installation_uid: installation.installation_uid }
  })
  const back = new URL(body.redirect_url)
  expect(back.origin).toBe(publicUrl)
  return back.searchParams.get('code')!
}
