import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { signBody } from '../../sandbox/webhooks/sign.ts'
import { ada } from '../../sandbox/world/people.ts'
import type { Database } from '../../server/database/database.ts'
import { newId } from '../../server/database/id.ts'
import type { CredentialDeps } from '../../server/installations/credentials.ts'
import { claimJobs, recoverJobs } from '../../server/jobs/claim.ts'
import { retryDead } from '../../server/jobs/dead.ts'
import { enqueue } from '../../server/jobs/queue.ts'
import type { Worker } from '../../server/jobs/worker.ts'
import { getDelivery, listDeliveries } from '../../server/webhooks/delivery.ts'
import { receiveLifecycle } from '../../server/webhooks/receive.ts'
import { registerKind } from '../../server/webhooks/register.ts'
import { appUid, type Connected } from '../support/connected.ts'
import { forEachDatabase } from '../support/databases.ts'
import { insertInstallation, insertOrganization } from '../support/rows.ts'
import { ask, logIn } from '../support/sandbox.ts'
import { openWebhookStage, type WebhookStage } from '../support/webhook-stage.ts'

forEachDatabase(open => {
  let stage: WebhookStage
  let database: Database
  let deps: CredentialDeps
  let blog: Connected
  let worker: Worker

  beforeAll(async () => {
    database = await open()
    stage = await openWebhookStage(database)
    ;({ deps, blog, worker } = stage)
    await enqueue(database.db, { kind: registerKind, lane: 'live', payload: { installationId: blog.installation.id } })
    await worker.drain()
  })
  afterAll(() => stage.close())

  describe('a delivery', () => {
    beforeEach(async () => {
      await database.db.deleteFrom('job').where('kind', '=', 'sync.record').execute()
    })
    const recordJobs = async () =>
      (await database.db.selectFrom('job').selectAll().where('kind', '=', 'sync.record').execute()).map(
        job => JSON.parse(job.payload_json) as Record<string, unknown>
      )

    it('of an entry that no sync carries is settled with the reason', async () => {
      const uid = await stage.saveCountry('Nowhere')
      await worker.drain()
      const delivery = (await stage.deliveries()).find(row => row.object_uid === uid)
      expect(stage.answers.every(status => status === 200)).toBe(true)
      expect(delivery).toMatchObject({
        status: 'ignored',
        event: 'create',
        content_type: 'country',
        locale: 'en-us',
        note: 'no active sync carries this content type'
      })
    })

    it('wakes exactly the active outbound syncs of its content type and branch, by id alone', async () => {
      const active = await stage.insertSync()
      await stage.insertSync({ state: 'paused' })
      await stage.insertSync({ direction: 'inbound' })
      await stage.insertSync({ branch: 'redesign' })
      await stage.insertSync({ content_type: 'author' })
      const uid = await stage.saveCountry('Wakeland')
      await worker.drain()
      const delivery = (await stage.deliveries()).find(row => row.object_uid === uid)
      expect(delivery).toMatchObject({ status: 'dispatched', note: 'woke 1 sync' })
      expect(await recordJobs()).toEqual([{ syncId: active, entryUid: uid, locale: 'en-us', cause: `webhook ${delivery?.id}` }])
    })

    it('of an asset wakes the syncs that carry assets in the master locale, and its delete nothing where it has no row', async () => {
      const syncId = await stage.insertSync({ content_type: 'sys_assets' })
      const [uid] = Object.values(stage.stackThere().assets['main'] ?? {}).flatMap(asset => (asset.isDir ? [] : [asset.uid]))
      const headers = { ...(await logIn(stage.sandbox, ada)), api_key: blogApiKey }
      const url = `${stage.sandbox.urls.contentManagement}/v3/assets/${uid}`
      await ask(url, { method: 'PUT', headers, body: { asset: { title: 'Changed' } } })
      await stage.sandbox.settleWebhooks()
      await worker.drain()
      expect(await recordJobs()).toEqual([
        { syncId, entryUid: uid, locale: 'en-us', cause: expect.stringMatching(/^webhook dlv_/) as string }
      ])
      await ask(url, { method: 'DELETE', headers })
      await stage.sandbox.settleWebhooks()
      await worker.drain()
      const gone = (await stage.deliveries()).find(row => row.object_uid === uid && row.event === 'delete')
      expect(gone).toMatchObject({ status: 'ignored', module: 'asset', note: 'no active sync carries this content type' })
    })

    it.each<[string, string, string[]]>([
      ['content_types', 'country', ['country', 'country inbound']],
      ['content_types', 'author', []],
      ['global_fields', 'seo', ['country', 'country inbound', 'article']]
    ])('of changed %s (%s) makes the active syncs that it may concern look at their mapping', async (module, uid, looking) => {
      await database.db.deleteFrom('job').where('kind', '=', 'sync.fit').execute()
      const others = await database.db.selectFrom('sync').select('id').where('state', '=', 'active').execute()
      await database.db.updateTable('sync').set({ state: 'paused' }).execute()
      const ids = new Map([
        [await stage.insertSync(), 'country'],
        [await stage.insertSync({ direction: 'inbound' }), 'country inbound'],
        [await stage.insertSync({ content_type: 'article' }), 'article']
      ])
      await stage.insertSync({ state: 'paused' })
      await stage.insertSync({ branch: 'redesign' })
      await stage.changeSchema(module, uid)
      await worker.drain()
      const jobs = await database.db.selectFrom('job').selectAll().where('kind', '=', 'sync.fit').orderBy('id').execute()
      const woken = jobs.map(job => ids.get((JSON.parse(job.payload_json) as { syncId: string }).syncId))
      expect(new Set(woken)).toEqual(new Set(looking))
      expect(woken).toHaveLength(looking.length)
      const delivery = (await stage.deliveries()).find(row => row.object_uid === uid)
      expect(delivery).toMatchObject(
        looking.length > 0
          ? { status: 'dispatched', note: `${looking.length} mappings are looked at` }
          : { status: 'ignored', note: 'no active sync carries this content type' }
      )
      await database.db.updateTable('sync').set({ state: 'paused' }).execute()
      for (const { id } of others) await database.db.updateTable('sync').set({ state: 'active' }).where('id', '=', id).execute()
    })

    it('of our own write says whose it was', async () => {
      await worker.drain()
      const uid = await stage.saveCountry('Echo')
      const { organization_id, id } = blog.installation
      await database.db
        .insertInto('write_ledger')
        .values({
          id: newId('led'),
          organization_id,
          installation_id: id,
          at: Date.now(),
          actor_kind: 'key',
          actor_id: 'key_1',
          run_id: null,
          method: 'POST',
          path: '/x',
          status: 201,
          content_type: 'country',
          entry_uid: uid,
          locale: 'en-us',
          version: 2
        })
        .execute()
      const url = `${stage.sandbox.urls.contentManagement}/v3/content_types/country/entries/${uid}?locale=en-us`
      const headers = { ...(await logIn(stage.sandbox, ada)), api_key: blog.installation.stack_api_key }
      await ask(url, { method: 'PUT', headers, body: { entry: { title: 'Echo, echo' } } })
      await stage.sandbox.settleWebhooks()
      expect((await stage.deliveries()).find(row => row.object_uid === uid && row.version === 2)?.note).toContain(
        'our own write (key key_1)'
      )
    })

    it('that means more work than an acknowledgement may wait for is handed on by a job', async () => {
      const many: string[] = []
      for (let count = 0; count < 201; count++) many.push(await stage.insertSync())
      const uid = await stage.saveCountry('Everywhere')
      const delivery = async () => (await stage.deliveries()).find(row => row.object_uid === uid)
      expect(await delivery()).toMatchObject({ status: 'received' })
      expect(await recordJobs()).toEqual([])
      await worker.drain()
      expect((await recordJobs()).filter(({ entryUid }) => entryUid === uid).length).toBeGreaterThanOrEqual(201)
      expect(await delivery()).toMatchObject({ status: 'dispatched' })
      await database.db.deleteFrom('sync').where('id', 'in', many).execute()
    })

    it('is kept, and handed on by a job, when handing it on at once fails', async () => {
      const id = await stage.insertSync()
      const sqlite = database.dialect === 'sqlite'
      const refuse = sqlite
        ? sql`create trigger refuse before insert on job when new.kind = 'sync.record' begin select raise(abort, 'no'); end`
        : sql`alter table job add constraint refuse check (kind <> 'sync.record') not valid`
      await refuse.execute(database.db)
      const uid = await stage.saveCountry('Stubborn')
      const delivery = async () => (await stage.deliveries()).find(row => row.object_uid === uid)
      expect(stage.answers.at(-1)).toBe(200)
      expect(await delivery()).toMatchObject({ status: 'received' })
      await (sqlite ? sql`drop trigger refuse` : sql`alter table job drop constraint refuse`).execute(database.db)
      await worker.drain()
      expect(await delivery()).toMatchObject({ status: 'dispatched' })
      await database.db.deleteFrom('sync').where('id', '=', id).execute()
    })

    it('received twice is dispatched once', async () => {
      const uid = await stage.saveCountry('Twice')
      const row = (await stage.deliveries()).find(row => row.object_uid === uid)
      await enqueue(database.db, { kind: 'webhooks.dispatch', lane: 'live', payload: { deliveryIds: [row?.id] } })
      await worker.drain()
      expect((await recordJobs()).filter(({ entryUid }) => entryUid === uid)).toHaveLength(1)
    })

    it('whose job gave up still waits, says why, and goes on when the job is put in again', async () => {
      const uid = await stage.saveCountry('Given up')
      const { id } = (await stage.deliveries()).find(row => row.object_uid === uid)!
      await worker.drain()
      await database.db.updateTable('delivery').set({ status: 'received', note: '' }).where('id', '=', id).execute()
      const job = await enqueue(database.db, { kind: 'webhooks.dispatch', lane: 'local', payload: { deliveryIds: [id] }, maxAttempts: 1 })
      await claimJobs(database.db, { lane: 'local', limit: 1, leaseSeconds: -1, after: '', groupLimit: 1, busyHere: {} })
      await recoverJobs(database.db)
      await worker.drain()
      const row = async () => (await stage.deliveries()).find(delivery => delivery.id === id)
      expect(await row()).toMatchObject({
        status: 'received',
        note: 'not dispatched: the process that ran it stopped before it was done'
      })
      await database.db.transaction().execute(trx => retryDead(trx, { ids: [job!] }, 1))
      await worker.drain()
      expect(await row()).toMatchObject({ status: 'dispatched' })
    })

    it('of another tenant can be neither listed nor read', async () => {
      const [row] = await stage.deliveries()
      const stranger = await insertOrganization(database.db)
      expect(await listDeliveries(database.db, { organizationIds: [stranger.id], limit: 10 })).toEqual([])
      expect(await listDeliveries(database.db, { organizationIds: [], limit: 10 })).toEqual([])
      await expect(getDelivery(database.db, [stranger.id], String(row?.id))).rejects.toMatchObject({ code: 'not_found' })
      expect(await getDelivery(database.db, [blog.installation.organization_id], String(row?.id))).toEqual(row)
    })

    it('is listed by its status, newest first', async () => {
      const of = { organizationIds: [blog.installation.organization_id], limit: 100 }
      const all = await stage.deliveries()
      expect(all.map(({ id }) => id)).toEqual(
        all
          .map(({ id }) => id)
          .toSorted()
          .toReversed()
      )
      const ignored = await listDeliveries(database.db, { ...of, status: 'ignored' })
      expect(ignored).toEqual(all.filter(({ status }) => status === 'ignored'))
      expect(ignored.length).toBeLessThan(all.length)
      expect(await listDeliveries(database.db, { ...of, before: all[0]?.id })).toEqual(all.slice(1))
    })

    it('is shown without its body', async () => {
      for (const row of await stage.deliveries()) expect(row).not.toHaveProperty('body')
      expect((await stage.deliveries()).length).toBeGreaterThan(0)
    })
  })

  describe('a lifecycle event', () => {
    let serial = 0
    async function event(name: string, about: { installation_uid: string; organization_uid: string; stack: string }): Promise<string> {
      const { stack, ...ids } = about
      const body = Buffer.from(
        JSON.stringify({
          triggered_at: new Date(Date.now() - (serial += 1)).toISOString(),
          event: name,
          module: 'app_installation',
          api_key: stack,
          data: { app_installation: { app_uid: appUid, ...ids, target: { type: 'stack', uid: stack } } }
        })
      )
      const headers = {
        'x-quayside-secret': 'lifecycle-header-secret',
        'x-contentstack-request-signature': await signBody(stage.sandbox.world.signing.privatePem, body)
      }
      const { deliveryId } = await receiveLifecycle(database, deps, { region: 'sandbox', rawBody: body, headers })
      return String(deliveryId)
    }
    const aboutOf = (organizationUid: string) => ({
      installation_uid: newId('there'),
      organization_uid: organizationUid,
      stack: newId('blt')
    })
    const statusOf = async (installationUid: string) =>
      (await database.db.selectFrom('installation').select('status').where('installation_uid', '=', installationUid).executeTakeFirst())
        ?.status
    const noteOf = async (id: string) => await database.db.selectFrom('delivery').selectAll().where('id', '=', id).executeTakeFirstOrThrow()

    it('of an install activates, and of an uninstall ends, what a served organization installed', async () => {
      const organization = await insertOrganization(database.db)
      const about = aboutOf(organization.organization_uid)
      const installed = await event('install', about)
      await worker.drain()
      expect(await statusOf(about.installation_uid)).toBe('active')
      expect(await noteOf(installed)).toMatchObject({
        status: 'dispatched',
        organization_id: organization.id,
        note: 'the installation is active'
      })
      await event('uninstall', about)
      await worker.drain()
      expect(await statusOf(about.installation_uid)).toBe('uninstalled')
    })

    it('of an unlisted organization leaves it unclaimed and idle', async () => {
      const about = aboutOf('blt00000000000000ee')
      await event('install', about)
      await worker.drain()
      expect(await statusOf(about.installation_uid)).toBe('pending')
    })

    it('of an install that its uninstall overtook revives nothing', async () => {
      const organization = await insertOrganization(database.db)
      const about = aboutOf(organization.organization_uid)
      await event('uninstall', about)
      await worker.drain()
      await event('install', about)
      await worker.drain()
      expect(await statusOf(about.installation_uid)).toBe('uninstalled')
    })

    it('that disagrees with what we know changes nothing and says so', async () => {
      const organization = await insertOrganization(database.db)
      const known = await insertInstallation(database.db, { organization_id: organization.id, app_uid: appUid })
      const id = await event('uninstall', {
        installation_uid: known.installation_uid,
        organization_uid: organization.organization_uid,
        stack: 'blt00000000000000ff'
      })
      await worker.drain({ until: Date.now() + 60 * 60_000 })
      await worker.drain({ until: Date.now() + 60 * 60_000 })
      expect(await noteOf(id)).toMatchObject({ status: 'ignored', note: expect.stringContaining('another stack') as string })
      expect(await statusOf(known.installation_uid)).toBe('active')
    })
  })
})
