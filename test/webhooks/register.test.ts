import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Database } from '../../server/database/database.ts'
import type { CredentialDeps } from '../../server/installations/credentials.ts'
import { enqueue } from '../../server/jobs/queue.ts'
import type { Worker } from '../../server/jobs/worker.ts'
import { contentChannels, registerKind } from '../../server/webhooks/register.ts'
import type { Connected } from '../support/connected.ts'
import { forEachDatabase } from '../support/databases.ts'
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
  })
  afterAll(() => stage.close())

  async function register(): Promise<void> {
    await enqueue(database.db, {
      kind: registerKind,
      lane: 'live',
      payload: { installationId: blog.installation.id },
      group: blog.installation.id
    })
    await worker.drain()
  }
  const installationNow = () =>
    database.db.selectFrom('installation').selectAll().where('id', '=', blog.installation.id).executeTakeFirstOrThrow()

  describe('our content webhook', () => {
    it('is registered with the management token, for all our channels, with a secret header of its own', async () => {
      await register()
      const { webhook_uid, webhook_secret_id } = await installationNow()
      expect(stage.ours()).toHaveLength(1)
      const [webhook] = stage.ours()
      const secret = await deps.vault.reveal(database.db, String(webhook_secret_id), 'webhook_header')
      expect(webhook).toMatchObject({
        uid: webhook_uid,
        channels: contentChannels,
        branches: ['main'],
        concise_payload: true,
        retry_policy: 'automatic',
        disabled: false,
        destinations: [
          {
            target_url: `${stage.publicUrl}/webhooks/content/${blog.installation.id}`,
            custom_header: [{ header_name: 'x-quayside-secret', value: secret }]
          }
        ]
      })
      const audited = await database.db.selectFrom('audit_event').selectAll().where('action', '=', 'webhook.register').execute()
      expect(audited).toHaveLength(1)
      expect(JSON.stringify(audited)).not.toContain(secret)
    })

    it('is registered once, however often the job comes', async () => {
      await register()
      await register()
      expect(stage.ours()).toHaveLength(1)
    })

    it('is found again when the answer to its creation was lost', async () => {
      await database.db.updateTable('installation').set({ webhook_uid: null }).where('id', '=', blog.installation.id).execute()
      await database.db.deleteFrom('content_webhook').execute()
      await register()
      expect(stage.ours().map(({ uid }) => uid)).toEqual([(await installationNow()).webhook_uid])
    })

    const reconciling = async () =>
      (await database.db.selectFrom('run').select(['sync_id', 'cause']).where('cause', '=', 'reconcile').execute()).map(run => run.sync_id)

    it('is made anew when somebody deleted it, and mended when it was disabled or changed', async () => {
      for (const { uid } of stage.ours()) delete stage.stackThere().webhooks[uid]
      await register()
      expect(stage.ours()).toHaveLength(1)
      expect(await reconciling()).toEqual([])
      Object.assign(stage.ours()[0] as object, { disabled: true, channels: ['assets.create'], concise_payload: false })
      await register()
      expect(stage.ours()[0]).toMatchObject({ disabled: false, channels: contentChannels, concise_payload: true })
      expect(await database.db.selectFrom('audit_event').select('id').where('action', '=', 'webhook.enable').execute()).toHaveLength(1)
    })

    it('that was disabled leaves a gap, which a run of each active outbound sync fills', async () => {
      const active = await stage.insertSync()
      const others = [await stage.insertSync({ state: 'paused' }), await stage.insertSync({ direction: 'inbound' })]
      await register()
      expect(await reconciling()).toEqual([])
      Object.assign(stage.ours()[0] as object, { disabled: true })
      await register()
      expect(await reconciling()).toEqual([active])
      await database.db.deleteFrom('run').execute()
      await database.db
        .deleteFrom('sync')
        .where('id', 'in', [active, ...others])
        .execute()
    })
  })
})
