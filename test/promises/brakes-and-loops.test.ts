// Promises 9 and 10 of docs/design.md: nothing is deleted in heaps unless a person asked for that very heap, and what we wrote does not
// make us write again. A sync in both directions at once is not built yet: what stands here is an inbound and an outbound sync over one
// content type, side by side. Counted in the sandbox's log of accepted writes and by triggers in the destination.
import { afterEach, describe, expect, it } from 'vitest'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { applyPlan, waitingDeletes } from '../../server/sync/plans.ts'
import { syncJobsForRecords } from '../../server/sync/record-jobs.ts'
import { startRunBy } from '../../server/sync/runs.ts'
import { forEachDatabase } from '../support/databases.ts'
import { inbound, type Lands, landsOf } from '../sync/inbound-stage.ts'
import { openStage, person, type Stage } from '../sync/stage.ts'

forEachDatabase(open => {
  let stage: Stage
  let lands: Lands
  afterEach(() => stage.cleanUp())
  const begin = async (count: number): Promise<void> => {
    stage = await openStage(await open())
    lands = landsOf(stage, count)
  }
  const deleting = { ...inbound, inbound: { onDisappearance: 'delete' as const } }
  const apply = async (id: string, allowDeletes?: number) => {
    const asked = { installationId: stage.installation.id, id, actor: person }
    await applyPlan(stage.db, stage.deps, allowDeletes === undefined ? asked : { ...asked, allowDeletes })
    await stage.drain()
  }

  describe('promise 9: brakes', () => {
    it('deletes nothing over the allowance; the word for that very plan counts once and deletes exactly that', async () => {
      await begin(50)
      const sync = await stage.createOne(deleting)
      for (let index = 0; index < 30; index++) lands.put(`L${String(index).padStart(3, '0')}`, null)
      expect(await lands.rerun(sync)).toMatchObject({ status: 'partial', deleted: 0 })
      expect({ deletes: lands.writes('delete'), entries: lands.keys().length }).toEqual({ deletes: 0, entries: 50 })
      const plan = (await waitingDeletes(stage.db, sync))!
      expect(plan).toMatchObject({ status: 'ready', deletes: 30 })
      for (const word of [undefined, 29, 31]) await expect(apply(plan.id, word)).rejects.toMatchObject({ code: 'conflict' })
      expect(lands.writes('delete')).toBe(0)
      await apply(plan.id, 30)
      expect(lands.writes('delete')).toBe(30)
      expect(lands.keys()).toEqual(Array.from({ length: 20 }, (_, index) => `L0${index + 30}`))
      await expect(apply(plan.id, 30)).rejects.toMatchObject({ code: 'conflict' })
      expect(lands.writes('delete')).toBe(30)
    })

    it('believes no empty listing, however few stand in it', async () => {
      await begin(3)
      const sync = await stage.createOne(deleting)
      stage.sql('delete from land')
      for (let again = 0; again < 2; again++) expect(await lands.rerun(sync)).toMatchObject({ status: 'partial', deleted: 0 })
      expect({ deletes: lands.writes('delete'), entries: lands.keys().length }).toEqual({ deletes: 0, entries: 3 })
    })

    it('believes no listing that did not come to its end', async () => {
      await begin(8)
      await stage.createOne(inbound)
      const out = await stage.createOne({ contentTypes: ['country'], locales: ['en-us'] })
      for (const key of ['L001', 'L002'])
        await stage.cms('DELETE', `/content_types/country/entries/${lands.entry(key)!.uid}?delete_all_localized=true`)
      const before = stage.rows('country').size
      const { faults } = stage.sandbox.context
      const broken = faults.add({ kind: '500', host: 'contentManagement', method: 'GET', pathPattern: 'country/entries', times: 10_000 })
      await startRunBy(stage.db, stage.deps, { sync: out, actor: person })
      await stage.worker().drain()
      expect(faults.list().find(({ id }) => id === broken.id)?.hits).toBeGreaterThan(0)
      expect(stage.rows('country').size).toBe(before)
      faults.clear()
      await stage.drain()
      expect(stage.rows('country').size).toBe(before - 2)
    })
  })

  describe('promise 10: no loops', () => {
    it('our own writes come back by webhook and move nothing; an inbound and an outbound sync over one content type come to rest', async () => {
      await begin(20)
      const into = await stage.createOne(inbound)
      const out = await stage.createOne({ contentTypes: ['country'], locales: ['en-us'] })
      stage.sql(
        `create table written (_key integer primary key, of text);
         create trigger w1 after insert on country begin insert into written (of) values (new._key); end;
         create trigger w2 after update on country begin insert into written (of) values (new._key); end;
         create trigger w3 after delete on country begin insert into written (of) values (old._key); end;`
      )
      const all = () => stage.sandbox.world.stacks[blogApiKey]!.writes.filter(({ module }) => module === 'entry')
      let heard = all().length
      /** The webhooks of every write since, each of them twice, and a run of both syncs; returns how many writes that brought about. */
      const round = async (): Promise<{ entries: number; rows: number }> => {
        const [entries, rows] = [all().length, stage.rows('written').size]
        const news = all().slice(heard)
        heard = all().length
        const hints = news.map(({ uid }, index) => ({
          installationId: stage.installation.id,
          contentType: 'country',
          entryUid: uid,
          locale: 'en-us',
          branch: 'main',
          cause: `webhook dlv_${index}`
        }))
        await stage.db.transaction().execute(trx => syncJobsForRecords(trx, [...hints, ...hints]))
        await stage.drain()
        for (const sync of [into, out]) await startRunBy(stage.db, stage.deps, { sync, actor: person })
        await stage.drain()
        return { entries: all().length - entries, rows: stage.rows('written').size - rows }
      }
      expect(await round()).toEqual({ entries: 0, rows: 0 })

      for (const key of ['L003', 'L004']) lands.put(key, `Renamed ${key}`)
      lands.put('NEW', 'Newland')
      await lands.rerun(into)
      expect(all().length - heard).toBe(3)
      expect(await round()).toEqual({ entries: 0, rows: 3 })
      // The webhooks of the same writes once more.
      heard -= 3
      expect(await round()).toEqual({ entries: 0, rows: 0 })
      expect(await round()).toEqual({ entries: 0, rows: 0 })
      for (const sync of [into, out]) expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', written: 0, deleted: 0 })
    })
  })
})
