// Promises 7 and 8 of docs/design.md: a record that cannot be carried harms nobody else and is not forgotten; a plan that a person read
// is what happens. What was written is counted in the destination and in the sandbox's log of accepted writes.
import { afterEach, describe, expect, it } from 'vitest'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { applyPlan, getPlan, startDryRun } from '../../server/sync/plans.ts'
import { syncNow } from '../../server/sync/record-jobs.ts'
import { startRunBy } from '../../server/sync/runs.ts'
import { forEachDatabase } from '../support/databases.ts'
import { inbound, landsOf } from '../sync/inbound-stage.ts'
import { openStage, person, plantAuthors, type Stage } from '../sync/stage.ts'

forEachDatabase(open => {
  let stage: Stage
  afterEach(() => stage.cleanUp())

  describe('promise 7: a poison record stands aside', () => {
    it('keeps its error, stops nobody, never lets the run say "success", and is healed by "sync now"', async () => {
      stage = await openStage(await open())
      plantAuthors(stage.sandbox, 120)
      const path = '/content_types/author/entries'
      const { uid } = (await stage.cms('POST', path, { entry: { title: 'No Mail' } })).body.entry
      const sync = await stage.createOne({
        contentTypes: ['author'],
        locales: ['en-us'],
        mapping: [
          { from: 'title', to: 'title' },
          { from: 'email', to: 'email', required: true }
        ]
      })
      const key = `${uid}:en-us`
      const others = new Set([...stage.entries('author')].filter(one => one.endsWith(':en-us') && one !== key))
      expect(new Set(stage.rows('author').keys())).toEqual(others)
      expect(await stage.lastRun(sync)).toMatchObject({ status: 'partial', failed: 1, written: others.size })
      const link = () => stage.db.selectFrom('link').selectAll().where('external_id', '=', key).executeTakeFirst()
      expect(await link()).toMatchObject({ status: 'failed', error: expect.stringContaining('"email"') as string })

      await startRunBy(stage.db, stage.deps, { sync, actor: person })
      await stage.drain()
      expect(await stage.lastRun(sync)).toMatchObject({ status: 'partial', failed: 1, written: 0 })

      await stage.cms('PUT', `${path}/${uid}`, { entry: { email: 'now@harbour.example' } })
      const record = { installationId: stage.installation.id, contentType: 'author', entryUid: uid, locale: 'en-us', branch: 'main' }
      expect(await stage.db.transaction().execute(trx => syncNow(trx, { ...record, personName: person.name }))).toBe(1)
      await stage.drain()
      expect(stage.rows('author').get(key)).toMatchObject({ title: 'No Mail', email: 'now@harbour.example' })
      expect(await link()).toMatchObject({ status: 'synced', error: null })
      await startRunBy(stage.db, stage.deps, { sync, actor: person })
      await stage.drain()
      expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', failed: 0 })
    })
  })

  describe('promise 8: the plan is the run', () => {
    const dryRun = async (syncId: string) => {
      const { id } = await startDryRun(stage.db, stage.deps, { installationId: stage.installation.id, syncId, actor: person })
      await stage.drain()
      return (await getPlan(stage.db, { installationId: stage.installation.id, id })).plan
    }
    const apply = async (id: string) => {
      const run = await applyPlan(stage.db, stage.deps, { installationId: stage.installation.id, id, actor: person })
      await stage.drain()
      return await stage.db.selectFrom('run').selectAll().where('id', '=', run.id).executeTakeFirstOrThrow()
    }
    const links = () => stage.db.selectFrom('link').selectAll().orderBy('external_id').execute()
    const skipped = async (planId: string) =>
      await stage.db
        .selectFrom('plan_item')
        .select(['external_id', 'why'])
        .where('plan_id', '=', planId)
        .where('state', '=', 'skipped')
        .execute()

    it('into the stack: the dry run writes nothing, apply writes its counts, and what moved is skipped with the reason', async () => {
      stage = await openStage(await open())
      const lands = landsOf(stage, 40)
      const sync = await stage.createOne({ ...inbound, inbound: { onDisappearance: 'delete' } })
      for (const key of ['L001', 'L002', 'L003']) lands.put(key, `Planned ${key}`)
      for (const key of ['NEW1', 'NEW2']) lands.put(key, `Planned ${key}`)
      lands.put('L039', null)
      const world = () => structuredClone(stage.sandbox.world.stacks[blogApiKey]!)
      const before = { stack: world(), links: await links() }
      const plan = await dryRun(sync.id)
      expect(plan).toMatchObject({ status: 'ready', creates: 2, updates: 3, deletes: 1, failures: 0 })
      expect({ stack: world(), links: await links() }).toEqual(before)

      const { uid } = lands.entry('L003')!
      await stage.cms('PUT', `/content_types/country/entries/${uid}`, { entry: { title: 'By hand' } })
      lands.put('L020', 'Never planned')
      const counts = () => ['create', 'update', 'delete'].map(action => lands.writes(action))
      const [creates, updates, deletes] = counts() as [number, number, number]
      expect(await apply(plan.id)).toMatchObject({ status: 'success', written: 4, deleted: 1, skipped: 1, failed: 0 })
      expect(counts()).toEqual([creates + plan.creates, updates + plan.updates - 1, deletes + plan.deletes])
      expect(lands.fields('L003')?.['title']).toBe('By hand')
      expect(lands.fields('L020')?.['title']).toBe('Land 20')
      expect(await skipped(plan.id)).toEqual([{ external_id: 'L003', why: expect.stringMatching(/version 1.*version 2/) as string }])
    })

    it('out of the stack: the same', async () => {
      stage = await openStage(await open())
      plantAuthors(stage.sandbox, 60)
      const sync = await stage.createOne({ contentTypes: ['author'], locales: ['en-us'] })
      const [one, two, moved, gone] = [...stage.rows('author').keys()].map(key => key.split(':')[0]!) as [string, string, string, string]
      const edit = (uid: string, title: string) =>
        stage.cms('PUT', `/content_types/author/entries/${uid}?locale=en-us`, { entry: { title: `${title} ${uid}` } })
      for (const uid of [one, two, moved]) await edit(uid, 'Planned')
      await stage.cms('DELETE', `/content_types/author/entries/${gone}?delete_all_localized=true`)
      const made = (await stage.cms('POST', '/content_types/author/entries', { entry: { title: 'New', email: 'n@h.example' } })).body.entry
        .uid
      const world = () => structuredClone(stage.sandbox.world.stacks[blogApiKey]!)
      const before = { stack: world(), rows: stage.rows('author'), links: await links() }
      const plan = await dryRun(sync.id)
      expect(plan).toMatchObject({ status: 'ready', creates: 1, updates: 3, deletes: 1, failures: 0 })
      expect({ stack: world(), rows: stage.rows('author'), links: await links() }).toEqual(before)

      await edit(moved, 'Moved on')
      expect(await apply(plan.id)).toMatchObject({ status: 'success', written: 3, deleted: 1, skipped: 1, failed: 0 })
      const after = stage.rows('author')
      const changed = [...new Set([...before.rows.keys(), ...after.keys()])].filter(
        key => JSON.stringify(before.rows.get(key)) !== JSON.stringify(after.get(key))
      )
      expect(changed.toSorted()).toEqual([one, two, gone, made].map(uid => `${uid}:en-us`).toSorted())
      expect(await skipped(plan.id)).toEqual([{ external_id: `${moved}:en-us`, why: 'Planned for version 2; it is version 3 now.' }])
    })
  })
})
