// Moving everything to another key as the server does it: a job that outlives its worker, and what a compromised key asks of everybody.
import { setImmediate as breathe } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { VaultDeps } from '../../server/app/exposed.ts'
import { keepVault, vaultJobs, vaultServices } from '../../server/app/vault.ts'
import type { Actor } from '../../server/audit/audit.ts'
import type { Db } from '../../server/database/database.ts'
import type { NewRewrap } from '../../server/http/contract/operator.ts'
import type { JobKind } from '../../server/jobs/job.ts'
import { enqueue, hold, release } from '../../server/jobs/queue.ts'
import { createWorker, type Worker } from '../../server/jobs/worker.ts'
import { silentLog } from '../../server/log.ts'
import { generateKeyRing, parseKeyRing } from '../../server/vault/cipher.ts'
import { revealCounts } from '../../server/vault/reveals.ts'
import { openVault } from '../../server/vault/vault.ts'
import { webhookJobs } from '../../server/webhooks/jobs.ts'
import { registerKind } from '../../server/webhooks/register.ts'
import { forEachDatabase } from '../support/databases.ts'
import { testKeyFile } from '../support/vault.ts'
import { openWebhookStage, type WebhookStage } from '../support/webhook-stage.ts'

const olga: Actor = { kind: 'system', id: 'cli', name: 'quayside command (olga)' }
const idOf = (line: string) => line.split(':', 1)[0] ?? ''

forEachDatabase(open => {
  let stage: WebhookStage
  let db: Db
  let deps: VaultDeps
  let installationId: string
  beforeAll(async () => {
    stage = await openWebhookStage(await open())
    db = stage.database.db
    deps = { ...stage.deps, db, publicUrl: stage.publicUrl, log: silentLog }
    installationId = stage.blog.installation.id
  })
  afterAll(() => stage.close())

  const services = () => vaultServices(deps)
  const worker = (kinds: JobKind[] = vaultJobs(deps)): Worker =>
    createWorker({ database: stage.database, kinds, concurrency: 2, graceSeconds: 0, log: silentLog })
  const everyKind = () =>
    [...webhookJobs({ ...stage.deps, database: stage.database, publicUrl: stage.publicUrl }), ...vaultJobs(deps)] as JobKind[]
  const drain = async () => {
    const draining = worker(everyKind())
    await draining.drain()
    await draining.stop()
  }
  const newKey = () => {
    const line = generateKeyRing()
    testKeyFile.text = line + testKeyFile.text
    return idOf(line)
  }
  const inFront = () => parseKeyRing(testKeyFile.text).current.id
  const audited = async (action: string) =>
    (
      await db
        .selectFrom('audit_event')
        .select(['action', 'actor_name', 'detail_json'])
        .where('action', '=', action)
        .orderBy('id')
        .execute()
    ).map(event => JSON.parse(event.detail_json) as Record<string, unknown>)

  describe('the move to another key', () => {
    it('goes on with another worker where the first was stopped, and is recorded once', async () => {
      const { vault } = deps
      const owner = { organizationId: stage.blog.installation.organization_id, installationId, purpose: 'connection' }
      const ids: string[] = []
      await db.transaction().execute(async trx => {
        for (let n = 0; n < 4_000; n += 1) ids.push(await vault.put(trx, owner, `value ${n}`))
      })
      const old = inFront()
      const keyId = newKey()
      const started = await services().startRewrap(olga, { keyId })
      expect(started).toMatchObject({ running: true, keyId, done: 0, error: null })
      expect(await services().startRewrap(olga, {})).toMatchObject({ jobId: started.jobId })
      const first = worker()
      first.start()
      while ((await services().rewrap(null)).done === 0) await breathe()
      await first.stop()
      const stopped = await services().rewrap(started.jobId)
      expect(stopped).toMatchObject({ running: true, error: null })
      expect(stopped.done).toBeLessThan(stopped.total)
      await drain()
      expect(await services().rewrap(started.jobId)).toMatchObject({ running: false, done: 4_002, total: 4_002, error: null })
      expect(await vault.reveal(db, ids[3_999]!, 'connection')).toBe('value 3999')
      expect(await audited('vault.rewrap')).toEqual([
        { phase: 'start', from: [old], compromised: [] },
        { phase: 'end', left: [old] }
      ])
      expect(await services().startRewrap(olga, {})).toMatchObject({ jobId: null, running: false, done: 4_002 })
      await db.deleteFrom('secret').where('purpose', '=', 'connection').execute()
    })

    it('waits for a worker whose key file has the key, and says so', async () => {
      const known = testKeyFile.text
      const keyId = newKey()
      const { jobId } = await services().startRewrap(olga, { keyId })
      const behind = await openVault(db, { ring: parseKeyRing(known), reload: () => parseKeyRing(known) })
      const late = createWorker({ database: stage.database, kinds: vaultJobs({ ...deps, vault: behind }), concurrency: 1, log: silentLog })
      await late.drain()
      await late.stop()
      const waiting = await services().rewrap(jobId)
      expect(waiting).toMatchObject({ running: true, error: expect.stringContaining(keyId) as string })
      const now = worker()
      await now.drain({ until: Date.now() + 60_000 })
      await now.stop()
      expect(await services().rewrap(jobId)).toMatchObject({ running: false, error: null })
    })

    it.each<[string, () => NewRewrap, string, string]>([
      ['to a key that the file does not have', () => ({ keyId: 'k-nowhere' }), 'conflict', 'k-nowhere'],
      ['of a key as its own successor', () => ({ compromised: [inFront()] }), 'invalid', 'compromised'],
      ['of a key that nobody knows', () => ({ compromised: ['k-nobody'] }), 'not_found', 'k-nobody']
    ])('is refused %s', async (_case, asked, code, words) => {
      const jobs = async () => (await db.selectFrom('job').select('id').execute()).length
      const before = await jobs()
      await expect(services().startRewrap(olga, asked())).rejects.toMatchObject({
        code,
        message: expect.stringContaining(words) as string
      })
      expect(await jobs()).toBe(before)
    })
  })

  describe('a compromised key', () => {
    const secretAt = () => stage.ours()[0]?.destinations[0]?.custom_header?.[0]?.value
    const secretId = async () =>
      (await db.selectFrom('installation').select('webhook_secret_id').where('id', '=', installationId).executeTakeFirstOrThrow())
        .webhook_secret_id

    it('changes the secret of our webhook, at Contentstack too, once its token works; what comes with the old one is refused', async () => {
      // One whose secrets have hung on one key only.
      await stage.close()
      stage = await openWebhookStage(await open())
      db = stage.database.db
      deps = { ...stage.deps, db, publicUrl: stage.publicUrl, log: silentLog }
      installationId = stage.blog.installation.id
      await enqueue(db, { kind: registerKind, lane: 'live', payload: { installationId }, group: installationId })
      await drain()
      const [before, beforeId] = [secretAt(), await secretId()]
      await hold(db, installationId, 'its token is dead')

      const stolen = inFront()
      const keyId = newKey()
      const { jobId } = await services().startRewrap(olga, { keyId, compromised: [stolen] })
      await drain()
      expect(await services().rewrap(jobId)).toMatchObject({ running: false, error: null })
      const { exposed } = await services().keyRing()
      expect(exposed.map(({ purpose }) => purpose).sort()).toEqual(['management_token', 'webhook_header'])
      expect(secretAt()).toBe(before)
      expect(await db.selectFrom('alert').select(['kind', 'installation_id']).execute()).toEqual([
        { kind: 'token.exposed', installation_id: installationId }
      ])

      await release(db, installationId)
      await drain()
      expect(await secretId()).not.toBe(beforeId)
      expect(secretAt()).not.toBe(before)
      expect(secretAt()).toBe(await deps.vault.reveal(db, (await secretId())!, 'webhook_header'))
      expect((await services().keyRing()).exposed.map(({ purpose, remedy }) => [purpose, remedy])).toEqual([
        ['management_token', 'Rotate the management token.']
      ])
      expect(await audited('webhook.renew')).toHaveLength(1)
      expect(await audited('vault.compromise')).toEqual([{ keys: [stolen], secrets: { management_token: 1, webhook_header: 1 } }])
      stage.answers.length = 0
      await stage.saveCountry('Renewed')
      expect(new Set(stage.answers)).toEqual(new Set([200]))
      // Nothing of this has shown a secret.
      const alert = await db.selectFrom('alert').selectAll().execute()
      for (const secret of [before, secretAt(), stage.blog.managementToken])
        expect(JSON.stringify([alert, await audited('vault.compromise')])).not.toContain(secret)
    })
  })

  it('what was opened is written down when the server stops', async () => {
    const kept = keepVault(deps)
    const id = await deps.vault.put(db, { organizationId: 'org_x', installationId: null, purpose: 'connection' }, 'x')
    await deps.vault.reveal(db, id, 'connection')
    await kept.stop()
    expect(await revealCounts(db, { organizationId: 'org_x' })).toMatchObject([{ purpose: 'connection', installation_id: '', count: 1 }])
  })
})
