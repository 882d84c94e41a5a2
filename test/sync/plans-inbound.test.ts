import { afterEach, expect, it } from 'vitest'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { applyPlan, getPlan, startDryRun } from '../../server/sync/plans.ts'
import { searchRecords } from '../../server/sync/run-log.ts'
import { startRunBy } from '../../server/sync/runs.ts'
import type { SyncRow } from '../../server/sync/sync.ts'
import { forEachDatabase } from '../support/databases.ts'
import { openStage, person, type Stage } from './stage.ts'

forEachDatabase(open => {
  let stage: Stage
  afterEach(() => stage.cleanUp())

  const begin = async (records: number): Promise<SyncRow> => {
    stage = await openStage(await open())
    stage.sql('create table land (cca3 text primary key, name text, capital text, area real, independent boolean)')
    for (let index = 0; index < records; index++) put(`L${String(index).padStart(3, '0')}`, `Land ${index}`, index)
    return await stage.createOne({ direction: 'inbound', contentTypes: ['country'], target: 'land', externalIdField: 'code' })
  }
  const put = (key: string, name: string | null, area: unknown = 1): void =>
    stage.sql('insert or replace into land values (?, ?, ?, ?, ?)', key, name, `Capital of ${name}`, area, 1)
  const country = (code: string) =>
    Object.values(stage.sandbox.world.stacks[blogApiKey]!.entries['main']!['country'] ?? {})
      .map(({ uid, locales }) => ({ uid, ...locales['en-us']!.versions.at(-1)! }))
      .find(({ fields }) => fields['code'] === code)
  const writes = (): number => stage.sandbox.world.stacks[blogApiKey]!.writes.filter(write => write.contentType === 'country').length
  const dryRun = async (sync: SyncRow) => {
    const { id } = await startDryRun(stage.db, stage.deps, { installationId: stage.installation.id, syncId: sync.id, actor: person })
    await stage.drain()
    return (await getPlan(stage.db, { installationId: stage.installation.id, id })).plan
  }
  const items = async (id: string) =>
    new Map(
      (await stage.db.selectFrom('plan_item').selectAll().where('plan_id', '=', id).orderBy('external_id').execute()).map(item => [
        item.external_id,
        item
      ])
    )
  const apply = async (id: string) => {
    const run = await applyPlan(stage.db, stage.deps, { installationId: stage.installation.id, id, actor: person })
    await stage.drain()
    return await stage.db.selectFrom('run').selectAll().where('id', '=', run.id).executeTakeFirstOrThrow()
  }

  it('plans creates, updates and refusals with what the entry holds now and what it will hold, and writes nothing', async () => {
    const sync = await begin(60)
    const before = writes()
    put('L001', 'Renamed', 11)
    put('NEW', 'Newland', 3)
    put('BAD', null)
    const made = await dryRun(sync)
    expect(made).toMatchObject({ status: 'ready', read: 62, creates: 1, updates: 1, failures: 1, skips: 59, deletes: 0 })
    expect(writes()).toBe(before)
    const planned = await items(made.id)
    expect(planned.get('L001')).toMatchObject({ step: 'update', expected_version: 1, entry_uid: country('L001')?.uid })
    expect(JSON.parse(planned.get('L001')?.diff_json ?? '')).toEqual(
      expect.arrayContaining([
        { field: 'title', from: 'Land 1', to: 'Renamed' },
        { field: 'area', from: '1', to: '11' }
      ])
    )
    expect(planned.get('NEW')).toMatchObject({ step: 'create', expected_version: null })
    expect(planned.get('BAD')).toMatchObject({ step: 'fail', why: expect.stringMatching(/empty/) as string })
  })

  it('applies exactly the plan: what moved at the source or in the stack is skipped with the reason', async () => {
    const sync = await begin(60)
    for (const key of ['L001', 'L002', 'L003', 'L004']) put(key, `Planned ${key}`)
    put('NEW', 'Newland')
    put('TAKEN', 'Taken')
    const made = await dryRun(sync)
    put('L002', 'Moved at its source')
    await stage.cms('PUT', `/content_types/country/entries/${country('L003')?.uid}`, { entry: { title: 'Moved in the stack' } })
    stage.sql(`delete from land where cca3 = 'L004'`)
    await stage.cms('POST', '/content_types/country/entries', { entry: { title: 'By hand', code: 'TAKEN' } })
    put('L050', 'Never planned')
    const before = writes()
    const run = await apply(made.id)
    expect(run).toMatchObject({ status: 'success', read: 6, written: 2, skipped: 4, failed: 0, total: 6 })
    expect(writes()).toBe(before + 2)
    const planned = await items(made.id)
    expect([...planned.values()].map(item => [item.external_id, item.state, item.why])).toEqual([
      ['L001', 'done', null],
      ['L002', 'skipped', 'The record was changed at its source since it was planned.'],
      ['L003', 'skipped', 'Planned for version 1; it is version 2 now.'],
      ['L004', 'skipped', 'It was written since it was planned, or is gone from its source.'],
      ['NEW', 'done', null],
      ['TAKEN', 'skipped', 'An entry holds this key by now.']
    ])
    expect(country('L050')?.fields['title']).toBe('Land 50')
    const told = await searchRecords(stage.db, { installationId: stage.installation.id, q: country('NEW')?.uid })
    expect(told.items).toMatchObject([{ key: 'NEW', outcome: 'created', runId: run.id }])
  })

  it("keeps what a run wrote over, when somebody else's version lay in between", async () => {
    const sync = await begin(1)
    await stage.cms('PUT', `/content_types/country/entries/${country('L000')?.uid}`, { entry: { title: "An editor's own title" } })
    put('L000', 'The source again')
    await startRunBy(stage.db, stage.deps, { sync, actor: person })
    await stage.drain()
    const { items: told } = await searchRecords(stage.db, { installationId: stage.installation.id, outcome: 'conflict' })
    expect(told).toMatchObject([{ key: 'L000', why: expect.stringContaining("title: An editor's own title") as string }])
  })
})
