import { afterEach, describe, expect, it } from 'vitest'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { applyPlan, discardPlan, getPlan, type PlanRow, startDryRun, waitingDeletes } from '../../server/sync/plans.ts'
import { syncJobsForRecord } from '../../server/sync/record-jobs.ts'
import { searchRecords } from '../../server/sync/run-log.ts'
import { startRunBy } from '../../server/sync/runs.ts'
import type { SyncRow } from '../../server/sync/sync.ts'
import { forEachDatabase } from '../support/databases.ts'
import { openStage, person, plantAuthors, type Stage } from './stage.ts'

forEachDatabase(open => {
  let stage: Stage
  afterEach(() => stage.cleanUp())
  const begin = async (options = {}): Promise<void> => {
    stage = await openStage(await open(), options)
  }
  const authors = () => stage.sandbox.world.stacks[blogApiKey]!.entries['main']!['author']!
  const uids = (): string[] => Object.keys(authors()).toSorted()
  const edit = async (uid: string, title: string) =>
    await stage.cms('PUT', `/content_types/author/entries/${uid}?locale=en-us`, { entry: { title: `${title} ${uid}` } })
  const remove = async (...gone: string[]): Promise<void> => {
    for (const uid of gone) expect((await stage.cms('DELETE', `/content_types/author/entries/${uid}`)).status).toBe(200)
  }
  const dryRun = async (sync: SyncRow): Promise<PlanRow> => {
    const { id } = await startDryRun(stage.db, stage.deps, { installationId: stage.installation.id, syncId: sync.id, actor: person })
    await stage.drain()
    return await plan(id)
  }
  const plan = async (id: string): Promise<PlanRow> => (await getPlan(stage.db, { installationId: stage.installation.id, id })).plan
  const items = (id: string) => stage.db.selectFrom('plan_item').selectAll().where('plan_id', '=', id).orderBy('external_id').execute()
  const apply = async (id: string, allowDeletes?: number) => {
    const run = await applyPlan(stage.db, stage.deps, { installationId: stage.installation.id, id, actor: person, allowDeletes })
    await stage.drain()
    return await stage.db.selectFrom('run').selectAll().where('id', '=', run.id).executeTakeFirstOrThrow()
  }
  const rerun = async (sync: SyncRow) => {
    await startRunBy(stage.db, stage.deps, { sync, actor: person })
    await stage.drain()
    return await stage.lastRun(sync)
  }
  const entryDeleted = (uid: string): Promise<number> =>
    stage.db.transaction().execute(trx =>
      syncJobsForRecord(trx, {
        installationId: stage.installation.id,
        contentType: 'author',
        entryUid: uid,
        locale: null,
        branch: 'main',
        cause: 'webhook dlv_1'
      })
    )
  const outbound = async (count: number, options = {}): Promise<SyncRow> => {
    await begin(options)
    plantAuthors(stage.sandbox, count)
    return await stage.createOne({ contentTypes: ['author'], locales: ['en-us'] })
  }

  describe('a dry run', () => {
    it.each(['sorted', 'unsorted'] as const)('plans what a run would do and writes nothing, the CMA listing %s', async sortedPaging => {
      const sync = await outbound(250, { plays: { sortedPaging } })
      const [changed, gone] = uids() as [string, string]
      await edit(changed, 'A new name')
      await remove(gone)
      const links = () => stage.db.selectFrom('link').selectAll().orderBy('external_id').execute()
      const before = { rows: stage.rows('author'), links: await links(), writes: stage.sandbox.world.stacks[blogApiKey]!.writes.length }
      const made = await dryRun(sync)
      expect(made).toMatchObject({ status: 'ready', creates: 0, updates: 1, deletes: 1, failures: 0, error: null, reason: '' })
      expect(made.skips).toBe(made.read - 1)
      expect({ rows: stage.rows('author'), links: await links(), writes: stage.sandbox.world.stacks[blogApiKey]!.writes.length }).toEqual(
        before
      )
      const [first, second] = (await items(made.id)).toSorted((a, b) => (a.step < b.step ? 1 : -1))
      expect(first).toMatchObject({ entry_uid: changed, step: 'update', expected_version: 2, state: 'pending' })
      expect(JSON.parse(first?.diff_json ?? '')).toContainEqual({
        field: 'title',
        from: 'Mara Quill',
        to: `A new name ${changed}`
      })
      expect(second).toMatchObject({ entry_uid: gone, step: 'delete' })
      expect(await stage.db.selectFrom('staged_key').selectAll().execute()).toEqual([])
    })

    it('goes on from its checkpoint, and counts nothing twice', async () => {
      const sync = await outbound(450)
      for (const uid of uids().slice(0, 3)) await edit(uid, 'Changed')
      const { id } = await startDryRun(stage.db, stage.deps, { installationId: stage.installation.id, syncId: sync.id, actor: person })
      const worker = stage.worker({}, { sliceSeconds: -1 })
      await worker.drain({ until: Date.now() + 3_600_000 })
      const count = uids().length
      expect(await plan(id)).toMatchObject({ status: 'ready', read: count, updates: 3, skips: count - 3, deletes: 0 })
    })
  })

  describe('apply', () => {
    it('carries out exactly the plan, and skips with the reason what has moved since', async () => {
      const sync = await outbound(120)
      const [one, two, three, four, later] = uids() as [string, string, string, string, string]
      for (const uid of [one, two]) await edit(uid, 'Planned')
      const back = structuredClone(authors()[four]!)
      await remove(three, four)
      const made = await dryRun(sync)
      expect(made).toMatchObject({ updates: 2, deletes: 2 })
      await edit(two, 'Moved on')
      await edit(later, 'Never planned')
      authors()[four] = back
      const run = await apply(made.id)
      expect(run).toMatchObject({ status: 'success', written: 1, deleted: 1, skipped: 2, failed: 0, read: 4, total: 4 })
      expect(stage.rows('author').get(`${one}:en-us`)?.['title']).toBe(`Planned ${one}`)
      expect(stage.rows('author').get(`${two}:en-us`)?.['title']).not.toMatch('Moved on')
      expect(stage.rows('author').get(`${later}:en-us`)?.['title']).not.toMatch('Never planned')
      expect(stage.rows('author').has(`${three}:en-us`)).toBe(false)
      expect(stage.rows('author').has(`${four}:en-us`)).toBe(true)
      const whys = new Map((await items(made.id)).map(item => [item.entry_uid, item]))
      expect(whys.get(two)).toMatchObject({ state: 'skipped', why: 'Planned for version 2; it is version 3 now.' })
      expect(whys.get(four)).toMatchObject({ state: 'skipped', why: 'The entry is there.' })
      expect(await plan(made.id)).toMatchObject({ status: 'applied', run_id: run.id })
      const told = await searchRecords(stage.db, { installationId: stage.installation.id, runId: run.id, q: two })
      expect(told.items).toMatchObject([{ outcome: 'skipped', why: 'Planned for version 2; it is version 3 now.', entryUid: two }])
    })

    it('happens once, never for a stale or discarded plan, and never for another installation', async () => {
      const sync = await outbound(3)
      await edit(uids()[0]!, 'Planned')
      const first = await dryRun(sync)
      await apply(first.id)
      await expect(apply(first.id)).rejects.toMatchObject({ code: 'conflict' })
      const second = await dryRun(sync)
      await discardPlan(stage.db, stage.deps, { installationId: stage.installation.id, id: second.id, actor: person })
      await expect(apply(second.id)).rejects.toMatchObject({ code: 'conflict' })
      const third = await dryRun(sync)
      await stage.db.updateTable('sync').set({ revision: 2 }).execute()
      await expect(apply(third.id)).rejects.toMatchObject({ code: 'conflict', message: expect.stringMatching(/stale/) as string })
      await expect(applyPlan(stage.db, stage.deps, { installationId: 'ins_other', id: third.id, actor: person })).rejects.toMatchObject({
        code: 'not_found'
      })
    })
  })

  describe('the brake', () => {
    it('turns what it stops into a plan; the word for that very plan counts once', async () => {
      const sync = await outbound(60)
      const gone = uids().slice(0, 40)
      await remove(...gone)
      const stopped = await rerun(sync)
      expect(stopped).toMatchObject({ status: 'partial', deleted: 0 })
      const waiting = (await waitingDeletes(stage.db, sync))!
      expect(waiting).toMatchObject({ deletes: 40, kind: 'brake', status: 'ready' })
      expect(stopped.error).toContain(waiting.id)
      await expect(apply(waiting.id)).rejects.toMatchObject({ code: 'conflict' })
      await expect(apply(waiting.id, 39)).rejects.toMatchObject({ code: 'conflict' })
      const run = await apply(waiting.id, 40)
      expect(run).toMatchObject({ status: 'success', deleted: 40 })
      expect(new Set(stage.rows('author').keys())).toEqual(new Set(uids().map(uid => `${uid}:en-us`)))
      await expect(apply(waiting.id, 40)).rejects.toMatchObject({ code: 'conflict' })
      const audit = await stage.db.selectFrom('audit_event').select('action').where('action', 'like', 'plan.%').execute()
      expect(audit.map(({ action }) => action)).toEqual(['plan.allow'])
      // What a person allowed does not count against the day.
      await remove(uids()[0]!)
      expect(await rerun(sync)).toMatchObject({ status: 'success', deleted: 1 })
    })

    it('never believes an empty listing, however few records are linked', async () => {
      const sync = await outbound(3)
      await remove(...uids())
      const count = stage.rows('author').size
      expect(await rerun(sync)).toMatchObject({ status: 'partial', deleted: 0, error: expect.stringMatching(/empty listing/) as string })
      expect(stage.rows('author').size).toBe(count)
      const made = await dryRun(sync)
      expect(made.reason).toMatch(/empty listing/)
      await expect(apply(made.id)).rejects.toMatchObject({ code: 'conflict' })
    })

    it('counts live deletes over the day: a storm of them is parked for a person', async () => {
      const sync = await outbound(60)
      const gone = uids().slice(0, 45)
      for (const uid of gone) {
        await remove(uid)
        await entryDeleted(uid)
      }
      const worker = stage.worker({ concurrency: 1 })
      await worker.drain()
      const left = stage.rows('author').size
      expect(left).toBe(uids().length + 45 - 25)
      expect(await waitingDeletes(stage.db, sync)).toMatchObject({ deletes: 20 })
      expect(await rerun(sync)).toMatchObject({ status: 'partial', deleted: 0 })
      expect(await waitingDeletes(stage.db, sync)).toMatchObject({ deletes: 20 })
      expect(await stage.db.selectFrom('alert').select('kind').execute()).toEqual([{ kind: 'sync.deletes' }])
    })
  })
})
