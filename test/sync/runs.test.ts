import { afterEach, describe, expect, it } from 'vitest'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { hold, release } from '../../server/jobs/queue.ts'
import { syncJobsForRecord } from '../../server/sync/record-jobs.ts'
import { cancelRun, startRun, startRunBy } from '../../server/sync/runs.ts'
import { pauseSync, resumeSync } from '../../server/sync/sync.ts'
import { forEachDatabase } from '../support/databases.ts'
import { openStage, person, plantAuthors, type Stage } from './stage.ts'

forEachDatabase(open => {
  let stage: Stage
  afterEach(() => stage.cleanUp())
  const begin = async (options = {}): Promise<void> => {
    stage = await openStage(await open(), options)
  }
  const webhook = (entryUid: string, locale: string | null = 'en-us', contentType = 'author'): Promise<number> =>
    stage.db.transaction().execute(trx =>
      syncJobsForRecord(trx, {
        installationId: stage.installation.id,
        contentType,
        entryUid,
        locale,
        branch: 'main',
        cause: 'webhook dlv_1'
      })
    )
  describe('trouble', () => {
    it('makes the table again when somebody dropped it', async () => {
      await begin()
      await stage.createOne({ contentTypes: ['author'] })
      const worker = stage.worker()
      const [key] = [...stage.entries('author')]
      const [uid, locale] = key!.split(':') as [string, string]
      await webhook(uid, locale)
      await worker.drain()
      stage.sql('drop table author')
      await stage.cms('PUT', `/content_types/author/entries/${uid}?locale=${locale}`, {
        entry: { title: 'After the drop' }
      })
      await webhook(uid, locale)
      await worker.drain({ until: Date.now() + 3_600_000 })
      expect(stage.rows('author').get(key!)?.['title']).toBe('After the drop')
    })

    it('waits without failing while the token is dead, and goes on when the hold is released', async () => {
      await begin()
      const token = Object.values(stage.sandbox.world.stacks[blogApiKey]!.managementTokens).find(({ uid }) => uid === stage.tokenUid)!
      const [sync] = await stage.create({ contentTypes: ['author'] })
      token.dead = true
      const worker = stage.worker()
      await worker.drain()
      const run = await stage.lastRun(sync!)
      expect(run.status).toBe('running')
      expect(run.error).toMatch(/token|logged in/i)
      const held = await stage.db.selectFrom('job_hold').selectAll().execute()
      expect(held.map(({ group_id }) => group_id)).toEqual([stage.installation.id])
      token.dead = false
      await stage.db.updateTable('management_token').set({ status: 'active' }).execute()
      await release(stage.db, stage.installation.id)
      await stage.drain()
      expect(await stage.lastRun(sync!)).toMatchObject({ status: 'success', error: null })
      expect(new Set(stage.rows('author').keys())).toEqual(stage.entries('author'))
    })

    it('survives 429s, 5xx, cut and reset answers of the CMA', async () => {
      await begin()
      plantAuthors(stage.sandbox, 250)
      for (const kind of ['429', '503', 'truncate', 'reset-before', 'reset-after', '500'] as const) {
        stage.sandbox.context.faults.add({ kind, host: 'contentManagement', method: 'GET', pathPattern: 'entries' })
      }
      const sync = await stage.createOne({ contentTypes: ['author'] })
      expect(new Set(stage.rows('author').keys())).toEqual(stage.entries('author'))
      expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', failed: 0 })
    })

    it('ends a run as failed, with the words and the remedy, when trying again is no use', async () => {
      await begin()
      const [sync] = await stage.create({ contentTypes: ['author'] })
      stage.sql('drop table author')
      stage.sql('create table author (title text)')
      await stage.drain()
      expect(await stage.lastRun(sync!)).toMatchObject({
        status: 'failed',
        error: expect.stringMatching(/did not make.*Choose another name/) as string
      })
    })
  })

  describe('people', () => {
    it('pause a sync in the middle of its run; resumed, it misses nothing that changed meanwhile', async () => {
      await begin()
      plantAuthors(stage.sandbox, 120)
      const [sync] = await stage.create({ contentTypes: ['author'] })
      await pauseSync(stage.db, stage.deps, { installationId: stage.installation.id, id: sync!.id, actor: person })
      await stage.drain()
      expect(await stage.lastRun(sync!)).toMatchObject({ status: 'paused', read: 0 })
      expect(stage.rows('author').size).toBe(0)
      await expect(
        stage.db.transaction().execute(trx => startRun(trx, { sync: { ...sync!, state: 'paused' }, cause: 'person', causedBy: 'x' }))
      ).rejects.toMatchObject({ code: 'conflict' })
      const made = await stage.cms('POST', '/content_types/author/entries', { entry: { title: 'Meanwhile', email: 'm@harbour.example' } })
      await resumeSync(stage.db, stage.deps, { installationId: stage.installation.id, id: sync!.id, actor: person })
      await stage.drain()
      expect(stage.rows('author').has(`${made.body.entry.uid}:en-us`)).toBe(true)
      expect(await stage.lastRun(sync!)).toMatchObject({ status: 'success' })
    })

    it('start a run once, however often they click, and cancel it for good', async () => {
      await begin()
      const sync = await stage.createOne({ contentTypes: ['author'] })
      const runs = await Promise.all([1, 2, 3].map(() => startRunBy(stage.db, stage.deps, { sync, actor: person })))
      expect(new Set(runs.map(run => run.id)).size).toBe(1)
      await cancelRun(stage.db, stage.deps, { installationId: stage.installation.id, id: runs[0]!.id, actor: person })
      await stage.drain()
      expect(await stage.lastRun(sync)).toMatchObject({ status: 'cancelled', read: 0, error: 'Cancelled by Ada Admin.' })
    })

    it('cannot reach a sync or run of another installation', async () => {
      await begin()
      const [sync] = await stage.create({ contentTypes: ['author'] })
      const run = await stage.lastRun(sync!)
      const other = { installationId: 'ins_other', actor: person }
      await expect(pauseSync(stage.db, stage.deps, { ...other, id: sync!.id })).rejects.toMatchObject({ code: 'not_found' })
      await expect(cancelRun(stage.db, stage.deps, { ...other, id: run.id })).rejects.toMatchObject({ code: 'not_found' })
    })

    it('stop an installation as a whole by a hold, which costs nothing', async () => {
      await begin()
      const [sync] = await stage.create({ contentTypes: ['author'] })
      await hold(stage.db, stage.installation.id, 'a test')
      await stage.drain()
      expect(await stage.lastRun(sync!)).toMatchObject({ status: 'queued' })
      await release(stage.db, stage.installation.id)
      await stage.drain()
      expect(await stage.lastRun(sync!)).toMatchObject({ status: 'success' })
    })
  })
})
