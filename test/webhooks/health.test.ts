import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import type { Database } from '../../server/database/database.ts'
import { enqueue } from '../../server/jobs/queue.ts'
import { type WebhookHealth, webhookHealth } from '../../server/webhooks/health.ts'
import { registerKind } from '../../server/webhooks/register.ts'
import { ada } from '../../sandbox/world/people.ts'
import { forEachDatabase } from '../support/databases.ts'
import { ask, logIn } from '../support/sandbox.ts'
import { openWebhookStage, type WebhookStage } from '../support/webhook-stage.ts'

forEachDatabase(open => {
  let stage: WebhookStage
  let database: Database
  let installationId: string

  beforeAll(async () => {
    database = await open()
    stage = await openWebhookStage(database)
    installationId = stage.blog.installation.id
    await register()
  })
  afterAll(() => stage.close())
  afterEach(async () => {
    for (const table of ['job', 'run', 'sync'] as const) await database.db.deleteFrom(table).execute()
    stage.sandbox.context.faults.clear()
  })

  async function register(): Promise<void> {
    await enqueue(database.db, { kind: registerKind, lane: 'live', payload: { installationId }, group: installationId })
    await stage.worker.drain()
  }
  const healthOf = async (branch = 'main'): Promise<WebhookHealth> => {
    const found = (await webhookHealth(database.db, installationId)).find(one => one.branch === branch)
    if (!found) throw new Error(`no webhook of ${branch}`)
    return found
  }
  /** Sent, and answered 2xx by somebody on the way, but never here. */
  async function forget(uid: string): Promise<void> {
    const { numDeletedRows } = await database.db.deleteFrom('delivery').where('object_uid', '=', uid).executeTakeFirst()
    expect(Number(numDeletedRows)).toBeGreaterThan(0)
    await database.db.deleteFrom('job').where('kind', '=', 'sync.record').execute()
  }
  /** As if so much time had passed: what lies in the log and what was received are that much older. */
  async function age(milliseconds: number): Promise<void> {
    for (const execution of stage.stackThere().executions) {
      execution.createdAt = new Date(Date.parse(execution.createdAt) - milliseconds).toISOString()
    }
    await database.db
      .updateTable('content_webhook')
      .set({ compared_until: Date.now() - 2 * milliseconds })
      .execute()
  }
  const recordJobs = async () =>
    (await database.db.selectFrom('job').select('payload_json').where('kind', '=', 'sync.record').execute()).map(
      job => (JSON.parse(job.payload_json) as { entryUid: string }).entryUid
    )

  describe('what the log of the CMS shows and never arrived', () => {
    it('is counted as missed, and its record looked at, once', async () => {
      await stage.insertSync()
      const lost = await stage.saveCountry('Lost')
      const kept = await stage.saveCountry('Kept')
      await forget(lost)
      await age(30 * 60_000)
      const before = await healthOf()
      await register()
      const after = await healthOf()
      expect(after.missed - before.missed).toBe(1)
      expect(after.missedAt).not.toBeNull()
      expect(await recordJobs()).toEqual([lost])
      await age(0)
      await register()
      expect((await healthOf()).missed).toBe(after.missed)
      expect((await stage.deliveries()).filter(({ object_uid }) => object_uid === kept)).toHaveLength(1)
    })

    it('but may still come by itself is waited for', async () => {
      await stage.insertSync()
      await forget(await stage.saveCountry('Under way'))
      const before = await healthOf()
      await register()
      expect((await healthOf()).missed).toBe(before.missed)
      expect(await recordJobs()).toEqual([])
    })

    it('without saying what was sent makes the syncs look for themselves', async () => {
      const sync = await stage.insertSync()
      await forget(await stage.saveCountry('Unsaid'))
      await age(30 * 60_000)
      for (const execution of stage.stackThere().executions) execution.body = ''
      await register()
      expect((await database.db.selectFrom('run').selectAll().execute()).map(run => [run.sync_id, run.cause])).toEqual([
        [sync, 'reconcile']
      ])
      expect(await healthOf()).toMatchObject({ gap: 'filling' })
      await database.db.updateTable('run').set({ status: 'success' }).execute()
      expect(await healthOf()).toMatchObject({ gap: 'filled' })
    })
  })

  describe('the health of a webhook', () => {
    it('says when the last delivery came', async () => {
      const before = Date.now()
      await stage.saveCountry('Latest')
      expect((await healthOf()).lastDeliveryAt).toBeGreaterThanOrEqual(before)
    })

    it('says since when it was disabled, when it was enabled again, and whether the gap is filled', async () => {
      await stage.insertSync()
      const since = Date.now() - 60_000
      Object.assign(stage.ours()[0] as object, { disabled: true, updated_at: new Date(since).toISOString() })
      await register()
      const health = await healthOf()
      expect(health).toMatchObject({ disabledAt: since, gap: 'filling' })
      expect(health.enabledAt).toBeGreaterThan(since)
      await database.db.updateTable('run').set({ status: 'failed' }).execute()
      expect((await healthOf()).gap).toBe('failed')
    })

    it('keeps that it is disabled while it cannot be mended', async () => {
      Object.assign(stage.ours()[0] as object, { disabled: true })
      const fault = stage.sandbox.context.faults.add({ kind: '500', method: 'PUT', pathPattern: '/webhooks/', times: 100 })
      await register()
      expect(await healthOf()).toMatchObject({ enabledAt: null })
      expect((await healthOf()).disabledAt).not.toBeNull()
      stage.sandbox.context.faults.remove(fault.id)
      await register()
      expect((await healthOf()).enabledAt).not.toBeNull()
    })
  })

  describe('a branch that a sync reads', () => {
    it('has a webhook of its own, which goes with its last sync', async () => {
      const stack = stage.stackThere()
      const branch = stack.branches.map(({ uid }) => uid).find(uid => uid !== 'main') ?? 'none'
      const sync = await stage.insertSync({ branch })
      const main = await stage.insertSync()
      await register()
      expect(stage.ours().map(({ branches }) => branches)).toEqual(expect.arrayContaining([['main'], [branch]]))
      expect(stage.ours()).toHaveLength(2)
      await database.db.deleteFrom('job').execute()

      const headers = { ...(await logIn(stage.sandbox, ada)), api_key: blogApiKey, branch }
      const url = `${stage.sandbox.urls.contentManagement}/v3/content_types/country/entries?locale=en-us`
      const { body } = await ask<{ entry: { uid: string } }>(url, {
        method: 'POST',
        headers,
        body: { entry: { title: 'Apart', code: 'AP' } }
      })
      await stage.sandbox.settleWebhooks()
      const [delivery] = await database.db.selectFrom('delivery').selectAll().where('object_uid', '=', body.entry.uid).execute()
      expect(delivery).toMatchObject({ branch, status: 'dispatched', note: 'woke 1 sync' })
      const jobs = await database.db.selectFrom('job').select('payload_json').where('kind', '=', 'sync.record').execute()
      expect(jobs.map(job => (JSON.parse(job.payload_json) as { syncId: string }).syncId)).toEqual([sync])

      await database.db.updateTable('sync').set({ state: 'paused' }).where('id', '=', sync).execute()
      await register()
      expect(stage.ours().map(({ branches }) => branches)).toEqual([['main']])
      expect((await webhookHealth(database.db, installationId)).map(health => health.branch)).toEqual(['main'])
      expect(main).toBeDefined()
    })
  })
})
