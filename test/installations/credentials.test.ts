import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { ada, dora, edda, otto } from '../../sandbox/world/people.ts'
import { isTokenRefusal } from '../../server/contentstack/refusal.ts'
import type { StackClient } from '../../server/contentstack/stack.ts'
import { adminsIn, forgetAdmins, isStackAdmin } from '../../server/installations/admins.ts'
import { stackFor } from '../../server/installations/credentials.ts'
import { custodyOf } from '../../server/installations/custody.ts'
import { findWrites, listWrites, touchedBy } from '../../server/installations/ledger.ts'
import { pasteToken } from '../../server/installations/paste.ts'
import { tokenRefused } from '../../server/installations/refused.ts'
import { holdOf } from '../../server/jobs/queue.ts'
import { makeToken } from '../support/contentstack.ts'
import { forEachDatabase } from '../support/databases.ts'
import { adaAsActor, type Installed, installedOn, quickSandbox } from '../support/installed.ts'

forEachDatabase(open => {
  let sandbox: Sandbox
  let here: Installed
  beforeAll(async () => {
    sandbox = await quickSandbox()
  })
  afterAll(() => sandbox.close())
  beforeEach(async () => {
    here = await installedOn(await open(), sandbox)
    forgetAdmins(here.installation.id)
  })

  const paste = async () => {
    const made = await makeToken(sandbox)
    await pasteToken(here.db, here.deps, { installation: here.installation, token: made.secret, actor: adaAsActor })
    return made
  }
  const client = async (): Promise<StackClient> =>
    await stackFor(here.db, here.deps, here.installation.id, { lane: 'live', actor: { kind: 'sync', id: 'syn_1', runId: 'run_1' } })
  const revokeAtContentstack = (uid: string) => {
    sandbox.world.stacks[blogApiKey]!.managementTokens[uid]!.dead = true
  }
  const current = async () => (await custodyOf(here.db, here.deps, here.installation.id)).current

  describe('the client of a stack', () => {
    it('is not to be had without a token, for an unknown installation or an ended one', async () => {
      await expect(client()).rejects.toMatchObject({ code: 'unauthorized', remedy: expect.stringContaining('configuration page') })
      await expect(stackFor(here.db, here.deps, 'ins_nothing', { lane: 'live', actor: { kind: 'system', id: 'x' } })).rejects.toMatchObject(
        { code: 'not_found' }
      )
      await here.db.updateTable('installation').set({ status: 'uninstalled' }).execute()
      await expect(client()).rejects.toMatchObject({ code: 'conflict' })
    })

    it('records every accepted write with what it touched, and no read or refusal', async () => {
      await paste()
      const stack = await client()
      const { uid } = await stack.createEntry('country', { title: 'Norway', code: 'NO' })
      await stack.updateEntry('country', uid, { title: 'Norge' })
      await stack.entry('country', uid)
      await stack.createEntry('country', { code: 'X' }).catch(() => {})
      await stack.deleteEntry('country', uid)
      const writes = await listWrites(here.db, { organizationIds: [here.installation.organization_id], limit: 10 })
      expect(writes.map(({ method, entry_uid, locale, version }) => [method, entry_uid, locale, version])).toEqual([
        ['DELETE', uid, null, null],
        ['PUT', uid, 'en-us', 2],
        ['POST', uid, 'en-us', 1]
      ])
      expect(writes[0]).toMatchObject({ actor_kind: 'sync', actor_id: 'syn_1', run_id: 'run_1', content_type: 'country' })
      const echo = { installationId: here.installation.id, entryUid: uid, locale: 'en-us' }
      const asked = [3, 2].map(version => ({ ...echo, version }))
      expect(await findWrites(here.db, asked)).toEqual([null, expect.objectContaining({ method: 'PUT', version: 2 })])
      expect(await listWrites(here.db, { organizationIds: ['org_other'], limit: 10 })).toEqual([])
    })

    it('goes on with the new token when the old one was replaced meanwhile', async () => {
      const old = await paste()
      const stack = await client()
      await stack.locales()
      await paste()
      revokeAtContentstack(old.uid)
      expect(await stack.locales()).toHaveLength(3)
      expect((await current())?.status).toBe('active')
    })
  })

  describe('a refused token', () => {
    it('is dead once a request of our own confirms it: work is held with words for people, and recorded', async () => {
      const { uid } = await paste()
      const stack = await client()
      revokeAtContentstack(uid)
      const error: unknown = await stack.locales().catch((refusal: unknown) => refusal)
      expect(isTokenRefusal(error)).toBe(true)
      expect((await current())?.status).toBe('dead')
      expect(await holdOf(here.db, here.installation.id)).toMatchObject({
        reason: expect.stringContaining('A stack admin connects it anew')
      })
      const actions = await here.db.selectFrom('audit_event').select('action').execute()
      expect(actions.filter(({ action }) => action === 'token.die')).toHaveLength(1)
      await expect(stack.locales()).rejects.toMatchObject({ code: 'unauthorized' })

      await paste()
      expect(await holdOf(here.db, here.installation.id)).toBeNull()
      expect(await stack.locales()).toHaveLength(3)
    })

    it('is dead on its day of expiry as well', async () => {
      const { secret } = await makeToken(sandbox, { expiresOn: new Date(Date.now() + 86_400_000).toISOString().slice(0, 10) })
      await pasteToken(here.db, here.deps, { installation: here.installation, token: secret, actor: adaAsActor })
      sandbox.world.stacks[blogApiKey]!.managementTokens = Object.fromEntries(
        Object.entries(sandbox.world.stacks[blogApiKey]!.managementTokens).map(([uid, token]) => [
          uid,
          { ...token, expires_on: token.secret === secret ? '2020-01-01' : token.expires_on }
        ])
      )
      await (await client()).locales().catch(() => {})
      expect((await current())?.status).toBe('dead')
    })

    it('is not dead because of a 401 that a script provoked, nor while Contentstack is in trouble', async () => {
      await paste()
      const id = (await current())!.id
      const stack = await client()
      // A management token reaches no stack settings: 401 with code 105, though it is alive.
      const response = await stack.raw({ method: 'GET', target: '/stacks', kind: 'read', lane: 'live' })
      expect(response.status).toBe(401)
      expect((await current())?.status).toBe('active')
      sandbox.context.faults.add({ kind: '503', host: 'contentManagement', times: 10 })
      expect(await tokenRefused(here.db, here.deps, { installationId: here.installation.id, tokenId: id })).toBe('refused')
      sandbox.context.faults.clear()
      expect((await current())?.status).toBe('active')
    }, 30_000)

    it('that is no longer current is no news', async () => {
      await paste()
      expect(await tokenRefused(here.db, here.deps, { installationId: here.installation.id, tokenId: 'tok_former' })).toBe('repeat')
      expect((await current())?.status).toBe('active')
    })
  })

  describe('whether somebody is Owner or Admin', () => {
    it.each([
      [ada, true],
      [otto, true],
      [dora, false],
      [edda, false]
    ] as const)('is read from the stack ($firstName)', async (person, expected) => {
      await paste()
      forgetAdmins(here.installation.id)
      expect(await isStackAdmin(here.db, here.deps, here.installation, person.uid)).toBe(expected)
    })

    it('cannot be known without a token, and nobody without a uid is one', async () => {
      expect(await isStackAdmin(here.db, here.deps, here.installation, ada.uid)).toBeNull()
      expect(await isStackAdmin(here.db, here.deps, here.installation, '')).toBe(false)
    })

    it('is remembered, until told otherwise', async () => {
      await paste()
      forgetAdmins(here.installation.id)
      expect(await isStackAdmin(here.db, here.deps, here.installation, ada.uid)).toBe(true)
      sandbox.world.stacks[blogApiKey]!.members[ada.uid] = 'editor'
      expect(await isStackAdmin(here.db, here.deps, here.installation, ada.uid)).toBe(true)
      forgetAdmins(here.installation.id)
      expect(await isStackAdmin(here.db, here.deps, here.installation, ada.uid)).toBe(false)
      sandbox.world.stacks[blogApiKey]!.members[ada.uid] = 'admin'
    })
  })
})

describe('roles', () => {
  it('make admins of the system roles and of the owner alone', () => {
    const roles = [
      { uid: '1', name: 'Admin', users: ['a', ''] },
      { uid: '2', name: 'admin ', users: ['b'] },
      { uid: '3', name: 'Administrators', users: ['c'] },
      { uid: '4', name: 'Developer', users: ['d'], stack: { name: 'Blog', owner_uid: 'o' } }
    ]
    expect([...adminsIn(roles).admins].sort()).toEqual(['a', 'o'])
    expect(adminsIn(roles).stackName).toBe('Blog')
    expect(adminsIn([])).toMatchObject({ stackName: null })
  })
})

describe('what a write touched', () => {
  const write = { method: 'POST', query: {}, status: 200 }
  it.each([
    [
      '/content_types/page/entries',
      { entry: { uid: 'e1', locale: 'en-us', _version: 1 } },
      { contentType: 'page', entryUid: 'e1', locale: 'en-us', version: 1 }
    ],
    ['/content_types/page/entries/e2/publish', { notice: 'n' }, { contentType: 'page', entryUid: 'e2', locale: null, version: null }],
    ['/content_types/page', { content_type: {} }, { contentType: 'page', entryUid: null, locale: null, version: null }],
    ['/webhooks', { webhook: { uid: 'w' } }, { contentType: null, entryUid: null, locale: null, version: null }],
    ['/content_types/page/entries', null, { contentType: 'page', entryUid: null, locale: null, version: null }]
  ])('%s', (path, body, expected) => {
    expect(touchedBy({ ...write, path, body })).toEqual(expected)
  })
})
