// What becomes of entries whose records are gone from the source.
import { afterEach, describe, expect, it } from 'vitest'
import { startRunBy } from '../../server/sync/runs.ts'
import { forEachDatabase } from '../support/databases.ts'
import { dieAt, inbound, type Lands, landsOf } from './inbound-stage.ts'
import { openStage, person, type Stage } from './stage.ts'

forEachDatabase(open => {
  let stage: Stage
  let lands: Lands
  afterEach(() => stage.cleanUp())
  const begin = async (count: number): Promise<void> => {
    stage = await openStage(await open())
    lands = landsOf(stage, count)
  }
  const deleting = { ...inbound, inbound: { onDisappearance: 'delete' as const } }

  it('deletes the entry of a record that is gone, once, and makes a new one when it reappears', async () => {
    await begin(4)
    const sync = await stage.createOne(deleting)
    lands.put('L001', null)
    expect(await lands.rerun(sync)).toMatchObject({ status: 'success', read: 3, skipped: 3, deleted: 1, failed: 0 })
    expect(lands.keys()).toEqual(['L000', 'L002', 'L003'])
    expect((await lands.linksOf(sync)).get('L001')).toMatchObject({ status: 'deleted', error: null })
    expect(await lands.rerun(sync)).toMatchObject({ status: 'success', deleted: 0 })
    expect(lands.writes('delete')).toBe(1)
    lands.put('L001', 'Land 1')
    expect(await lands.rerun(sync)).toMatchObject({ status: 'success', written: 1, deleted: 0 })
    expect(lands.keys()).toEqual(['L000', 'L001', 'L002', 'L003'])
    expect(await stage.db.selectFrom('intent').selectAll().execute()).toEqual([])
  })

  it('keeps everything unless it was told otherwise', async () => {
    await begin(2)
    const sync = await stage.createOne(inbound)
    lands.put('L001', null)
    expect(await lands.rerun(sync)).toMatchObject({ status: 'success', deleted: 0 })
    expect(lands.keys()).toEqual(['L000', 'L001'])
  })

  it('does not believe an empty listing', async () => {
    await begin(3)
    const sync = await stage.createOne(deleting)
    stage.sql('delete from land')
    expect(await lands.rerun(sync)).toMatchObject({
      status: 'partial',
      deleted: 0,
      error: expect.stringMatching(/came back empty while 3 .*plan pln_/) as string
    })
    expect(lands.keys()).toHaveLength(3)
  })

  it('stops at the brake, and many small runs do not pass it either', async () => {
    await begin(60)
    const sync = await stage.createOne(deleting)
    const drop = (from: number, to: number): void => {
      for (let index = from; index < to; index++) lands.put(`L${String(index).padStart(3, '0')}`, null)
    }
    drop(0, 30)
    expect(await lands.rerun(sync)).toMatchObject({ status: 'partial', deleted: 0, error: expect.stringMatching(/30 of 60/) as string })
    expect(lands.keys()).toHaveLength(60)
    for (let index = 0; index < 30; index++) lands.put(`L${String(index).padStart(3, '0')}`, `Land ${index}`)
    drop(0, 20)
    expect(await lands.rerun(sync)).toMatchObject({ status: 'success', deleted: 20 })
    drop(20, 25)
    expect(await lands.rerun(sync)).toMatchObject({ status: 'success', deleted: 5 })
    drop(25, 26)
    expect(await lands.rerun(sync)).toMatchObject({
      status: 'partial',
      deleted: 0,
      error: expect.stringMatching(/after 25 within a day/) as string
    })
    expect(lands.keys()).toHaveLength(35)
    await stage.db
      .updateTable('run_record')
      .set({ at: Date.now() - 25 * 3_600_000 })
      .where('outcome', '=', 'deleted')
      .execute()
    expect(await lands.rerun(sync)).toMatchObject({ status: 'success', deleted: 1 })
  })

  it('keeps, with words, what somebody else has worked on since', async () => {
    await begin(3)
    const sync = await stage.createOne(deleting)
    await stage.cms('PUT', `/content_types/country/entries/${lands.entry('L001')!.uid}`, { entry: { capital: 'By hand' } })
    await stage.cms('PUT', `/content_types/country/entries/${lands.entry('L002')!.uid}?locale=fr-fr`, { entry: { title: 'Pays' } })
    for (const key of ['L001', 'L002']) lands.put(key, null)
    expect(await lands.rerun(sync)).toMatchObject({ status: 'partial', deleted: 0, failed: 2 })
    expect(lands.keys()).toEqual(['L000', 'L001', 'L002'])
    const links = await lands.linksOf(sync)
    expect(links.get('L001')).toMatchObject({ status: 'failed', error: expect.stringMatching(/version 2 .*somebody else/) as string })
    expect(links.get('L002')).toMatchObject({ status: 'failed', error: expect.stringMatching(/also stands in fr-fr/) as string })
    // A person agrees by deleting them.
    for (const key of ['L001', 'L002'])
      await stage.cms('DELETE', `/content_types/country/entries/${lands.entry(key)!.uid}?delete_all_localized=true`)
    expect(await lands.rerun(sync)).toMatchObject({ status: 'success', deleted: 0, failed: 0 })
    expect(new Set([...(await lands.linksOf(sync)).values()].map(link => link.status))).toEqual(new Set(['synced', 'deleted']))
  })

  it('unpublishes where it was told to, and publishes again what reappears', async () => {
    await begin(2)
    const sync = await stage.createOne({
      ...inbound,
      inbound: { onDisappearance: 'unpublish', publish: { environments: ['production', 'development'] } }
    })
    expect(lands.entry('L001')!.publishDetails).toHaveLength(2)
    lands.put('L001', null)
    expect(await lands.rerun(sync)).toMatchObject({ status: 'success', deleted: 1, failed: 0 })
    expect(lands.entry('L001')!.publishDetails).toEqual([])
    lands.put('L001', 'Land 1')
    expect(await lands.rerun(sync)).toMatchObject({ status: 'success', failed: 0 })
    expect(lands.entry('L001')!.publishDetails).toHaveLength(2)
    expect(lands.keys()).toEqual(['L000', 'L001'])
  })

  it('forgets a record that never became an entry', async () => {
    await begin(2)
    stage.sql(`insert into land values ('NUL', null, '')`)
    const sync = await stage.createOne(inbound)
    expect((await lands.linksOf(sync)).get('NUL')).toMatchObject({ status: 'failed' })
    lands.put('NUL', null)
    await lands.rerun(sync)
    expect((await lands.linksOf(sync)).get('NUL')).toMatchObject({ status: 'deleted', error: null })
  })

  describe('when the process dies with a delete under way', () => {
    it('finds out that it happened', async () => {
      await begin(8)
      const sync = await stage.createOne(deleting)
      for (const key of ['L001', 'L002', 'L003', 'L004', 'L005', 'L006']) lands.put(key, null)
      await startRunBy(stage.db, stage.deps, { sync, actor: person })
      await dieAt(stage, 'deleteEntry', 2)
      await stage.drain()
      expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', deleted: 6, failed: 0 })
      expect(lands.keys()).toEqual(['L000', 'L007'])
      expect(lands.writes('delete')).toBe(6)
      expect(await stage.db.selectFrom('intent').selectAll().execute()).toEqual([])
    })

    it('and the record reappears before anybody looked: it has one entry', async () => {
      await begin(3)
      const sync = await stage.createOne(deleting)
      lands.put('L001', null)
      await startRunBy(stage.db, stage.deps, { sync, actor: person })
      await dieAt(stage, 'deleteEntry', 1)
      lands.put('L001', 'Land 1')
      await stage.drain()
      await lands.rerun(sync)
      expect(lands.keys()).toEqual(['L000', 'L001', 'L002'])
      expect((await lands.linksOf(sync)).get('L001')).toMatchObject({ status: 'synced', error: null })
    })
  })
})
