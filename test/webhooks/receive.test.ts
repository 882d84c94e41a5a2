import { generateKeyPairSync } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { signBody } from '../../sandbox/webhooks/sign.ts'
import type { Database } from '../../server/database/database.ts'
import type { Row } from '../../server/database/schema.ts'
import { isAppError } from '../../server/errors.ts'
import { receiveContent, type ReceiveDeps, receiveLifecycle } from '../../server/webhooks/receive.ts'
import { appsOf, appUid } from '../support/connected.ts'
import { forEachDatabase } from '../support/databases.ts'
import { insertInstallation, insertOrganization } from '../support/rows.ts'
import { startSandbox } from '../support/sandbox.ts'
import { testVault } from '../support/vault.ts'

const minute = 60_000
const headerSecret = 'header-secret-of-this-installation'

let sandbox: Sandbox
let strangersKey: string
beforeAll(async () => {
  sandbox = await startSandbox()
  strangersKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
})
afterAll(() => sandbox.close())

async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'taken'
  } catch (error) {
    if (isAppError(error)) return error.code
    throw error
  }
}

forEachDatabase(open => {
  let database: Database
  let deps: ReceiveDeps
  let installation: Row<'installation'>
  let serial = 0

  beforeAll(async () => {
    database = await open()
    deps = { apps: appsOf(sandbox), vault: await testVault(database.db) }
  })
  beforeEach(async () => {
    installation = await listeningInstallation()
  })

  async function listeningInstallation(secret = headerSecret): Promise<Row<'installation'>> {
    const row = await insertInstallation(database.db, { app_uid: appUid })
    const of = { organizationId: row.organization_id, installationId: row.id, purpose: 'webhook_header' }
    const webhook_secret_id = await deps.vault.put(database.db, of, secret)
    await database.db.updateTable('installation').set({ webhook_secret_id }).where('id', '=', row.id).execute()
    return { ...row, webhook_secret_id }
  }

  const entryUpdate = (changes: object = {}) => ({
    module: 'entry',
    api_key: installation.stack_api_key,
    event: 'update',
    triggered_at: new Date().toISOString(),
    data: {
      entry: { uid: 'blt0123456789abcdef', title: `Grüße ${(serial += 1)}`, locale: 'en-us', _version: 3 },
      content_type: { uid: 'blog', title: 'Blog' }
    },
    ...changes
  })
  interface Sent {
    body?: object | string
    bytes?: Buffer
    secret?: string | string[] | null
    signature?: string | null
    key?: string
    installationId?: string
  }
  async function webhookOf(sent: Sent) {
    const text = typeof sent.body === 'string' ? sent.body : JSON.stringify(sent.body ?? entryUpdate())
    const rawBody = sent.bytes ?? Buffer.from(text)
    const signature =
      sent.signature === undefined ? await signBody(sent.key ?? sandbox.world.signing.privatePem, Buffer.from(text)) : sent.signature
    const headers: Record<string, string | string[]> = { 'content-type': 'application/json' }
    if (sent.secret !== null) headers['x-quayside-secret'] = sent.secret ?? headerSecret
    if (signature !== null) headers['x-contentstack-request-signature'] = signature
    return { rawBody, headers }
  }
  const receive = async (sent: Sent = {}, now?: number) =>
    await receiveContent(database, deps, { ...(await webhookOf(sent)), installationId: sent.installationId ?? installation.id }, now)
  const receiveEvent = async (sent: Sent, region = 'sandbox', now?: number) =>
    await receiveLifecycle(database, deps, { ...(await webhookOf({ secret: 'lifecycle-header-secret', ...sent })), region }, now)
  const traces = async () => ({
    deliveries: (await database.db.selectFrom('delivery').select('id').execute()).length,
    jobs: (await database.db.selectFrom('job').select('id').execute()).length
  })

  describe('a content webhook', () => {
    it('is on disk when it is acknowledged, body and all, and handed on in the same commit', async () => {
      const body = JSON.stringify(entryUpdate())
      const { deliveryId } = await receive({ body })
      const delivery = await database.db.selectFrom('delivery').selectAll().where('id', '=', String(deliveryId)).executeTakeFirstOrThrow()
      expect(delivery).toMatchObject({
        organization_id: installation.organization_id,
        installation_id: installation.id,
        module: 'entry',
        event: 'update',
        object_uid: 'blt0123456789abcdef',
        content_type: 'blog',
        locale: 'en-us',
        branch: 'main',
        version: 3,
        status: 'ignored',
        note: 'no active sync carries this content type',
        body
      })
    })

    it('comes a second time without a second job', async () => {
      const body = entryUpdate()
      const first = await receive({ body })
      const before = await traces()
      expect(await receive({ body })).toEqual({ duplicate: true, deliveryId: null })
      expect(await traces()).toEqual(before)
      expect(first.duplicate).toBe(false)
    })

    it('is refused as soon as its installation ends or its secret is replaced, however often it was taken before', async () => {
      expect(await refusal(receive())).toBe('taken')
      const ofInstallation = database.db.updateTable('installation').where('id', '=', installation.id)
      const of = { organizationId: installation.organization_id, installationId: installation.id, purpose: 'webhook_header' }
      const webhook_secret_id = await deps.vault.put(database.db, of, 'another-secret')
      await ofInstallation.set({ webhook_secret_id }).execute()
      const before = await traces()
      expect(await refusal(receive())).toBe('forbidden')
      expect(await traces()).toEqual(before)
      expect(await refusal(receive({ secret: 'another-secret' }))).toBe('taken')
      expect(await refusal(receive())).toBe('forbidden')
      await ofInstallation.set({ status: 'uninstalled' }).execute()
      expect(await refusal(receive({ secret: 'another-secret' }))).toBe('forbidden')
    })

    it('arriving with others is kept with them, each told its own fate, all of them handed on', async () => {
      const before = await traces()
      const again = entryUpdate()
      await receive({ body: again })
      const other = await listeningInstallation()
      const bodies = Array.from({ length: 100 }, () => JSON.stringify(entryUpdate()))
      const receipts = await Promise.all([
        ...bodies.map(body => receive({ body })),
        receive({ body: again }),
        receive({ body: { ...entryUpdate(), api_key: other.stack_api_key }, installationId: other.id })
      ])
      expect(receipts.map(({ duplicate }) => duplicate)).toEqual([...bodies.map(() => false), true, false])
      for (const [index, body] of bodies.entries()) {
        const id = String(receipts[index]?.deliveryId)
        expect(await database.db.selectFrom('delivery').select('body').where('id', '=', id).executeTakeFirst()).toEqual({ body })
      }
      const left = await database.db.selectFrom('delivery').select('id').where('status', '=', 'received').execute()
      expect(left).toEqual([])
      const after = await traces()
      expect(after.deliveries - before.deliveries).toBe(102)
      expect(after.jobs).toBe(before.jobs)
    })

    it('sent many times at once is kept once', async () => {
      const body = entryUpdate()
      const before = await traces()
      const receipts = await Promise.all(Array.from({ length: 12 }, () => receive({ body })))
      expect(receipts.filter(({ duplicate }) => !duplicate)).toHaveLength(1)
      expect(await traces()).toEqual({ deliveries: before.deliveries + 1, jobs: before.jobs })
    })

    it('with the same bytes for another installation is another delivery', async () => {
      const other = await insertInstallation(database.db, { app_uid: appUid, stack_api_key: installation.stack_api_key })
      const of = { organizationId: other.organization_id, installationId: other.id, purpose: 'webhook_header' }
      const secretId = await deps.vault.put(database.db, of, headerSecret)
      await database.db.updateTable('installation').set({ webhook_secret_id: secretId }).where('id', '=', other.id).execute()
      const body = entryUpdate()
      expect((await receive({ body })).duplicate).toBe(false)
      expect((await receive({ body, installationId: other.id })).duplicate).toBe(false)
    })

    it('whose JSON was re-serialised before signing is taken, and kept as it was signed', async () => {
      const signed = JSON.stringify(entryUpdate())
      const { deliveryId } = await receive({ body: signed, bytes: Buffer.from(JSON.stringify(JSON.parse(signed), null, 2)) })
      const { body } = await database.db
        .selectFrom('delivery')
        .select('body')
        .where('id', '=', String(deliveryId))
        .executeTakeFirstOrThrow()
      expect(body).toBe(signed)
    })

    it('is taken as late as the last automatic retry, and no later than 45 minutes', async () => {
      const now = Date.now()
      const sentAt = (ago: number) => entryUpdate({ triggered_at: new Date(now - ago).toISOString() })
      expect(await refusal(receive({ body: sentAt(14 * minute) }, now))).toBe('taken')
      expect(await refusal(receive({ body: sentAt(45 * minute) }, now))).toBe('taken')
      expect(await refusal(receive({ body: sentAt(45 * minute + 1) }, now))).toBe('forbidden')
    })

    it.each<[string, (sent: Sent) => Sent | Promise<Sent>, string]>([
      ['no signature', sent => ({ ...sent, signature: null }), 'forbidden'],
      ['an empty signature', sent => ({ ...sent, signature: '' }), 'forbidden'],
      ['a signature of another scheme', sent => ({ ...sent, signature: 'sha256=00' }), 'forbidden'],
      ['a signature that is no base64', sent => ({ ...sent, signature: 'v1=%%%' }), 'forbidden'],
      ['a signature without end', sent => ({ ...sent, signature: `v1=${'A'.repeat(100_000)}` }), 'forbidden'],
      ["a stranger's key", sent => ({ ...sent, key: strangersKey }), 'forbidden'],
      [
        'the signature of another body',
        async sent => ({ ...sent, signature: await signBody(sandbox.world.signing.privatePem, Buffer.from('{}')) }),
        'forbidden'
      ],
      ['a changed body', sent => ({ ...sent, body: entryUpdate(), bytes: Buffer.from(JSON.stringify(entryUpdate())) }), 'forbidden'],
      ['no secret header', sent => ({ ...sent, secret: null }), 'forbidden'],
      ['an empty secret header', sent => ({ ...sent, secret: '' }), 'forbidden'],
      ['a wrong secret header', sent => ({ ...sent, secret: 'wrong' }), 'forbidden'],
      ['the secret header twice', sent => ({ ...sent, secret: [headerSecret, headerSecret] }), 'forbidden'],
      ['the lifecycle secret', sent => ({ ...sent, secret: 'lifecycle-header-secret' }), 'forbidden'],
      ['another stack', sent => ({ ...sent, body: entryUpdate({ api_key: 'blt000000000000000a' }) }), 'forbidden'],
      ['no stack', sent => ({ ...sent, body: entryUpdate({ api_key: undefined }) }), 'invalid'],
      ['an unknown installation', sent => ({ ...sent, installationId: 'ins_00000000000000000000000000' }), 'forbidden'],
      ['an installation id that is none', sent => ({ ...sent, installationId: "ins_' or 1=1" }), 'forbidden'],
      ['a body that is no JSON', sent => ({ ...sent, body: 'hello' }), 'invalid'],
      ['a list', sent => ({ ...sent, body: [] }), 'invalid'],
      ['null', sent => ({ ...sent, body: 'null' }), 'invalid'],
      ['no time', sent => ({ ...sent, body: entryUpdate({ triggered_at: undefined }) }), 'invalid'],
      ['a time that is none', sent => ({ ...sent, body: entryUpdate({ triggered_at: 'yesterday' }) }), 'invalid'],
      ['a time as a number', sent => ({ ...sent, body: entryUpdate({ triggered_at: 1 }) }), 'invalid'],
      ['a time long ago', sent => ({ ...sent, body: entryUpdate({ triggered_at: '2023-01-18T06:33:35.465Z' }) }), 'forbidden'],
      [
        'a time to come',
        sent => ({ ...sent, body: entryUpdate({ triggered_at: new Date(Date.now() + 60 * minute).toISOString() }) }),
        'forbidden'
      ],
      ['a module that is no word', sent => ({ ...sent, body: entryUpdate({ module: '<script>' }) }), 'invalid'],
      ['an event that is no word', sent => ({ ...sent, body: entryUpdate({ event: { $gt: '' } }) }), 'invalid'],
      ['no body', sent => ({ ...sent, body: '' }), 'invalid'],
      ['a body without end', sent => ({ ...sent, body: entryUpdate({ padding: 'x'.repeat(3 * 1024 * 1024) }) }), 'invalid']
    ])('is refused and leaves no trace: %s', async (_title, change, code) => {
      const before = await traces()
      expect(await refusal(receive(await change({})))).toBe(code)
      expect(await traces()).toEqual(before)
    })

    it("with another installation's secret header is refused", async () => {
      const other = await listeningInstallation('secret-of-the-other')
      expect(await refusal(receive({ secret: 'secret-of-the-other' }))).toBe('forbidden')
      expect(await refusal(receive({ installationId: other.id, secret: 'secret-of-the-other' }))).toBe('forbidden')
    })

    it.each<[string, (row: Row<'installation'>) => Promise<unknown>]>([
      [
        'an uninstalled app',
        row => database.db.updateTable('installation').set({ status: 'uninstalled' }).where('id', '=', row.id).execute()
      ],
      [
        'a pending installation',
        row => database.db.updateTable('installation').set({ status: 'pending' }).where('id', '=', row.id).execute()
      ],
      [
        'an organization that is not served',
        row => database.db.updateTable('organization').set({ status: 'unclaimed' }).where('id', '=', row.organization_id).execute()
      ],
      [
        'an installation without a webhook',
        row => database.db.updateTable('installation').set({ webhook_secret_id: null }).where('id', '=', row.id).execute()
      ]
    ])('is refused for %s, even if it was taken before', async (_title, change) => {
      expect(await refusal(receive())).toBe('taken')
      await change(installation)
      expect(await refusal(receive())).toBe('forbidden')
    })

    it.each<[string, Sent]>([
      ['without a signature', { signature: null }],
      ['without a secret header', { secret: null }],
      ['for an id that cannot be', { installationId: 'ins_UNION SELECT' }]
    ])('%s costs no look into the database', async (_title, sent) => {
      const closed = await open()
      await closed.close()
      const webhook = { ...(await webhookOf(sent)), installationId: sent.installationId ?? installation.id }
      expect(await refusal(receiveContent(closed, deps, webhook))).toBe('forbidden')
    })

    it('says the same to every stranger', async () => {
      const words = new Set<string>()
      for (const sent of [{ secret: 'wrong' }, { key: strangersKey }, { installationId: 'ins_unknown00000' }, { signature: null }]) {
        await receive(sent).catch((error: unknown) => words.add(String(error)))
      }
      expect(words.size).toBe(1)
    })
  })

  describe('a lifecycle webhook', () => {
    const install = (changes: object = {}, about: object = {}) => ({
      triggered_at: new Date().toISOString(),
      event: 'install',
      module: 'app_installation',
      api_key: 'blt00000000000000c1',
      data: {
        app_installation: {
          app_uid: appUid,
          app_version: 1,
          organization_uid: 'blt00000000000000d1',
          installation_uid: `installation-${(serial += 1)}`,
          target: { type: 'stack', uid: 'blt00000000000000c1' },
          ...about
        }
      },
      ...changes
    })

    it('of an unknown installation is on disk with its job, in order with others of that installation', async () => {
      const { deliveryId } = await receiveEvent({ body: install() })
      const delivery = await database.db.selectFrom('delivery').selectAll().where('id', '=', String(deliveryId)).executeTakeFirstOrThrow()
      expect(delivery).toMatchObject({
        module: 'app_installation',
        event: 'install',
        installation_id: '',
        organization_id: '',
        status: 'received'
      })
      const job = await database.db.selectFrom('job').selectAll().where('payload_json', 'like', `%${deliveryId}%`).executeTakeFirstOrThrow()
      expect(job.key).toBe(`lifecycle sandbox ${delivery.object_uid}`)
      expect(job.group_id).not.toBe(installation.id)
    })

    it('of a known installation belongs to its tenant', async () => {
      const organization = await insertOrganization(database.db)
      const known = await insertInstallation(database.db, { organization_id: organization.id })
      const { deliveryId } = await receiveEvent({ body: install({ event: 'uninstall' }, { installation_uid: known.installation_uid }) })
      const delivery = await database.db.selectFrom('delivery').selectAll().where('id', '=', String(deliveryId)).executeTakeFirstOrThrow()
      expect(delivery).toMatchObject({ installation_id: known.id, organization_id: organization.id })
    })

    it('comes a second time without a second job', async () => {
      const body = install()
      await receiveEvent({ body })
      const before = await traces()
      expect((await receiveEvent({ body })).duplicate).toBe(true)
      expect(await traces()).toEqual(before)
    })

    it.each<[string, () => Sent, string?]>([
      ['no signature', () => ({ body: install(), signature: null })],
      ["a stranger's key", () => ({ body: install(), key: strangersKey })],
      ['a wrong secret header', () => ({ body: install(), secret: headerSecret })],
      ['no secret header', () => ({ body: install(), secret: null })],
      ['another app', () => ({ body: install({}, { app_uid: 'another-app' }) })],
      ['a time long ago', () => ({ body: install({ triggered_at: '2023-01-18T06:33:35.465Z' }) })],
      ['another module', () => ({ body: install({ module: 'entry' }) }), 'invalid'],
      ['an unknown event', () => ({ body: install({ event: 'explode' }) }), 'invalid'],
      ['an organization as its target', () => ({ body: install({}, { target: { type: 'organization', uid: 'blt1' } }) }), 'invalid'],
      ['no target', () => ({ body: install({}, { target: undefined }) }), 'invalid'],
      ['a stack that disagrees with its target', () => ({ body: install({ api_key: 'blt00000000000000ff' }) }), 'invalid'],
      ['no installation', () => ({ body: install({}, { installation_uid: '' }) }), 'invalid'],
      ['an organization that is no uid', () => ({ body: install({}, { organization_uid: 'a b' }) }), 'invalid']
    ])('is refused and leaves no trace: %s', async (_title, sent, code = 'forbidden') => {
      const before = await traces()
      expect(await refusal(receiveEvent(sent()))).toBe(code)
      expect(await traces()).toEqual(before)
    })

    it('for a region that we hold no app in is refused', async () => {
      expect(await refusal(receiveEvent({ body: install() }, 'eu'))).toBe('forbidden')
    })
  })
})
