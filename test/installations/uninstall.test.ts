import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { ada, edda } from '../../sandbox/world/people.ts'
import { createAccessKey, findAccessKey } from '../../server/identity/access-keys.ts'
import { stackFor } from '../../server/installations/credentials.ts'
import { finishGrant } from '../../server/installations/grant.ts'
import { installationById, leftStanding, uninstall } from '../../server/installations/installation.ts'
import { pasteToken } from '../../server/installations/paste.ts'
import { probeToken } from '../../server/installations/probe.ts'
import { tokensOf } from '../../server/installations/token.ts'
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
    sandbox.context.faults.clear()
    Object.assign(sandbox.context.plays, { tokenDeath: 'at-once', tokenListing: 'at-once', revocation: 'allowed' })
    const stack = sandbox.world.stacks[blogApiKey]!
    Object.assign(stack, { managementTokens: {}, webhooks: {} })
    sandbox.world.authorizations = {}
    here = await installedOn(await open(), sandbox)
  })

  const admin = { kind: 'admin', id: 'ada', name: 'Ada' } as const
  const installation = async () => await installationById(here.db, here.installation.id)
  const byGrant = async () => await here.grant(ada, { purpose: 'uninstall', branches: [] })
  const webhooks = () => Object.values(sandbox.world.stacks[blogApiKey]!.webhooks)
  const facts = () => ({
    region: 'sandbox',
    appUid: here.app.appUid,
    installationUid: here.installation.installation_uid,
    organizationUid: sandbox.world.installations[here.installation.installation_uid]!.organizationUid,
    stackApiKey: blogApiKey
  })
  const key = async () =>
    await createAccessKey(here.db, here.deps, {
      organizationId: here.installation.organization_id,
      installationId: here.installation.id,
      name: 'Nightly',
      owner: 'Ada',
      scopes: [{ module: 'entries', actions: ['read'] }],
      expiresInDays: null,
      actor: admin
    })
  /** Our webhook as the registration leaves it. */
  const registerWebhook = async () => {
    const actor = { kind: 'system', id: 'test' } as const
    const stack = await stackFor(here.db, here.deps, here.installation.id, { lane: 'live', actor })
    const { uid } = await stack.createWebhook({
      name: 'ours',
      destinations: [{ target_url: 'https://quayside.example/hook', custom_header: [] }],
      channels: ['content_types.entries.create'],
      branches: ['main'],
      retry_policy: 'automatic',
      disabled: false,
      concise_payload: true
    })
    await here.db.updateTable('installation').set({ webhook_uid: uid }).execute()
  }

  describe('an uninstall from our side', () => {
    it('removes the webhook, deletes the token and proves it dead, gives the grant back, and ends the installation', async () => {
      await here.grant()
      await registerWebhook()
      const { key: accessKey } = await key()
      const [token] = tokensAt(sandbox)
      const grantId = await byGrant()
      expect(await installation()).toMatchObject({ status: 'uninstalled', webhook_uid: null })
      expect(tokensAt(sandbox)).toEqual([])
      expect(webhooks()).toEqual([])
      expect(Object.values(sandbox.world.authorizations).filter(({ revokedAt }) => revokedAt === null)).toEqual([])
      expect(await leftStanding(here.db, await installation())).toEqual([])
      expect(await tokensOf(here.db, here.installation.id)).toMatchObject([{ status: 'retired', secret_id: null, error: null }])
      const grant = await here.db.selectFrom('grant_flow').selectAll().where('id', '=', grantId).executeTakeFirstOrThrow()
      expect(grant).toMatchObject({ status: 'revoked', error: null })
      expect(
        await here.db.selectFrom('secret').selectAll().where('erased_at', 'is', null).where('installation_id', 'is not', null).execute()
      ).toEqual([])
      expect(await findAccessKey(here.db, accessKey)).toBeNull()
      const probe = { app: here.app, installation: here.installation, token: token!.secret }
      expect(await probeToken(here.deps, probe)).toBe('refused')
      const actions = await here.db.selectFrom('audit_event').select(['action', 'detail_json']).orderBy('seq').execute()
      expect(actions.map(({ action }) => action).slice(-6)).toEqual([
        'grant.authorize',
        'webhook.remove',
        'token.retire',
        'token.end',
        'grant.revoke',
        'installation.uninstall'
      ])
      expect(JSON.parse(actions.find(({ action }) => action === 'token.end')!.detail_json)).toMatchObject({ proof: 'dead' })
    })

    it('waits for a token that is accepted for a moment after its deletion, and is not content before it is dead', async () => {
      await here.grant()
      const [token] = tokensAt(sandbox)
      sandbox.context.plays.tokenDeath = 'late'
      const { grantId, ...callback } = await here.authorise(ada, { purpose: 'uninstall', branches: [] })
      await finishGrant(here.db, here.deps, callback)
      await here.drain({ onlyDue: true })
      expect((await tokensOf(here.db, here.installation.id))[0]).toMatchObject({ status: 'retiring' })
      expect((await installation()).status).toBe('active')
      sandbox.context.clock.advance(3_000)
      await here.drain()
      expect((await installation()).status).toBe('uninstalled')
      expect(await probeToken(here.deps, { app: here.app, installation: here.installation, token: token!.secret })).toBe('refused')
      expect(grantId).toMatch(/^grf_/)
    })

    it('says what it could not delete, and ends all the same', async () => {
      await here.grant()
      await registerWebhook()
      const { name } = tokensAt(sandbox)[0]!
      sandbox.context.faults.add({ kind: '401', method: 'DELETE', pathPattern: 'management_tokens/', times: 50 })
      sandbox.context.faults.add({ kind: '401', method: 'DELETE', pathPattern: 'webhooks/', times: 50 })
      await byGrant()
      const ended = await installation()
      expect(ended.status).toBe('uninstalled')
      expect(await leftStanding(here.db, ended)).toEqual([`the management token "${name}"`, `the webhook "Quayside ${ended.id}"`])
      const told = await here.db.selectFrom('alert').selectAll().where('kind', '=', 'installation.left').execute()
      expect(told.map(({ text }) => text)).toEqual([expect.stringContaining(name)])
    })

    it('goes on where the grant is refused: nothing is ended, and the next grant does it', async () => {
      await here.grant()
      sandbox.context.faults.add({ kind: '401', method: 'GET', pathPattern: 'management_tokens', times: 50 })
      await byGrant()
      expect((await installation()).status).toBe('active')
      sandbox.context.faults.clear()
      await byGrant()
      expect((await installation()).status).toBe('uninstalled')
      expect(tokensAt(sandbox)).toEqual([])
    })

    it('ends nothing for a person who is neither Owner nor Admin', async () => {
      await here.grant()
      await here.grant(edda, { purpose: 'uninstall', branches: [] })
      expect((await installation()).status).toBe('active')
      expect(tokensAt(sandbox)).toHaveLength(1)
      expect(await tokensOf(here.db, here.installation.id)).toMatchObject([{ status: 'active' }])
    })

    it('leaves a pasted token to the person who made it, and says so', async () => {
      const { secret } = await makeToken(sandbox)
      await pasteToken(here.db, here.deps, { installation: here.installation, token: secret, actor: admin })
      await byGrant()
      expect((await installation()).status).toBe('uninstalled')
      expect(tokensAt(sandbox)).toHaveLength(1)
      const [row] = await tokensOf(here.db, here.installation.id)
      expect(row).toMatchObject({ status: 'retired', secret_id: null, error: expect.stringContaining('delete it') })
    })
  })

  describe('an uninstall that Contentstack tells', () => {
    it('stops the work, erases secrets and keys, and lists and tells what still stands there', async () => {
      await here.grant()
      await registerWebhook()
      const { key: accessKey, row } = await key()
      const { name } = tokensAt(sandbox)[0]!
      await uninstall(here.db, here.deps, facts())
      const ended = await installation()
      expect(await leftStanding(here.db, ended)).toEqual([`the management token "${name}"`, `the webhook "Quayside ${ended.id}"`])
      expect(await findAccessKey(here.db, accessKey)).toBeNull()
      const kept = await here.db.selectFrom('access_key').selectAll().executeTakeFirstOrThrow()
      expect(kept.revoked_at).not.toBeNull()
      expect(kept.key_hash).not.toBe(row.key_hash)
      expect(await here.db.selectFrom('alert').select(['kind']).execute()).toEqual([{ kind: 'installation.left' }])
      const [event] = await here.db.selectFrom('audit_event').selectAll().where('action', '=', 'installation.uninstall').execute()
      expect(JSON.parse(event!.detail_json)).toMatchObject({
        accessKeys: 1,
        left: [expect.stringContaining(name), expect.stringContaining('webhook')]
      })
    })
  })
})
