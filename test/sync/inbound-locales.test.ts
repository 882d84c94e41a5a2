// One row for each locale of a record: the master's makes the entry, the others localize it.
import { afterEach, beforeEach, expect, it } from 'vitest'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import type { Entry } from '../../sandbox/world/model.ts'
import { startRunBy } from '../../server/sync/runs.ts'
import type { SyncRow } from '../../server/sync/sync.ts'
import { failedRecords } from '../../server/sync/views.ts'
import { forEachDatabase } from '../support/databases.ts'
import { dieAt } from './inbound-stage.ts'
import { openStage, person, type Stage } from './stage.ts'

forEachDatabase(open => {
  let stage: Stage
  beforeEach(async () => {
    stage = await openStage(await open())
    stage.sql('create table land (id text primary key, code text, lang text, name text, capital text)')
  })
  afterEach(() => stage.cleanUp())

  const sync = {
    direction: 'inbound' as const,
    contentTypes: ['country'],
    target: 'land',
    externalIdField: 'code',
    mapping: [
      { from: 'code', to: 'code', required: true },
      { from: 'name', to: 'title', required: true },
      { from: 'capital', to: 'capital' }
    ],
    inbound: { localeColumn: 'lang', onDisappearance: 'delete' as const, publish: { environments: ['production'] } }
  }
  const put = (id: string, code: string, lang: string, name: string): void =>
    stage.sql('insert or replace into land values (?, ?, ?, ?, ?)', id, code, lang, name, `Capital of ${name}`)
  const entries = () => {
    const codeOf = (entry: Entry): string => String(entry.locales['en-us']?.versions.at(-1)?.fields['code'])
    return Object.values(stage.sandbox.world.stacks[blogApiKey]!.entries['main']!['country'] ?? {}).sort((a, b) =>
      codeOf(a) < codeOf(b) ? -1 : 1
    )
  }
  const titles = (): Record<string, string>[] =>
    entries().map(entry =>
      Object.fromEntries(Object.entries(entry.locales).map(([code, { versions }]) => [code, String(versions.at(-1)!.fields['title'])]))
    )
  const rerun = async (row: SyncRow) => {
    await startRunBy(stage.db, stage.deps, { sync: row, actor: person })
    await stage.drain()
    return await stage.lastRun(row)
  }
  const writes = (): number => stage.sandbox.world.stacks[blogApiKey]!.writes.length

  it('makes one entry of the rows of all locales, in any order, and writes nothing the second time', async () => {
    put('1', 'FRA', 'fr-fr', 'La France')
    put('2', 'FRA', 'de-de', 'Frankreich')
    put('3', 'FRA', 'en-us', 'France')
    put('4', 'ITA', 'en-us', 'Italy')
    const row = await stage.createOne(sync)
    expect(await stage.lastRun(row)).toMatchObject({ status: 'success', read: 4, written: 4 })
    expect(titles()).toEqual([{ 'en-us': 'France', 'fr-fr': 'La France', 'de-de': 'Frankreich' }, { 'en-us': 'Italy' }])
    expect(
      entries()[0]!
        .publishDetails.map(({ locale, version }) => `${locale} ${version}`)
        .sort()
    ).toEqual(['de-de 1', 'en-us 1', 'fr-fr 1'])
    const before = writes()
    expect(await rerun(row)).toMatchObject({ status: 'success', skipped: 4 })
    expect(writes()).toBe(before)
    put('1', 'FRA', 'fr-fr', 'Hexagone')
    expect(await rerun(row)).toMatchObject({ status: 'success', written: 1, skipped: 3 })
    expect(titles()[0]).toEqual({ 'en-us': 'France', 'fr-fr': 'Hexagone', 'de-de': 'Frankreich' })
  })

  it('waits for the master, also over pages, and is healed without a person', async () => {
    put('1', 'FRA', 'fr-fr', 'La France')
    put('2', 'XXX', 'fr-fr', 'Nulle part')
    // Rows that become nothing fill the page between the two.
    stage.sql(
      `with recursive n(i) as (select 1 union all select i + 1 from n where i < 500) insert into land select 'm' || i, '', 'en-us', '', '' from n`
    )
    put('z', 'FRA', 'en-us', 'France')
    const row = await stage.createOne(sync)
    expect(titles()).toEqual([{ 'en-us': 'France', 'fr-fr': 'La France' }])
    const run = await stage.lastRun(row)
    expect(run).toMatchObject({ status: 'partial', cause: 'reconcile', failed: 501 })
    const waiting = (await failedRecords(stage.db, { installationId: stage.installation.id, runId: run.id })).find(
      ({ key }) => key === 'XXX'
    )
    expect(waiting).toMatchObject({ locale: 'fr-fr', error: expect.stringMatching(/Waits for the record "XXX" in en-us/) as string })
  })

  it('refuses rows whose locale or id is nothing', async () => {
    put('1', 'FRA', 'xx-xx', 'France')
    put('2', '', 'en-us', 'Nowhere')
    const row = await stage.createOne(sync)
    expect(await stage.lastRun(row)).toMatchObject({ status: 'partial', failed: 2, written: 0 })
    expect(entries()).toEqual([])
  })

  it('deletes a locale alone, and the entry only when its rows are gone in all of them', async () => {
    put('1', 'FRA', 'en-us', 'France')
    put('2', 'FRA', 'fr-fr', 'La France')
    put('3', 'ITA', 'en-us', 'Italy')
    const row = await stage.createOne(sync)
    stage.sql(`delete from land where id = '1'`)
    expect(await rerun(row)).toMatchObject({ status: 'partial', deleted: 0, failed: 1 })
    expect(titles()[0]).toEqual({ 'en-us': 'France', 'fr-fr': 'La France' })
    put('1', 'FRA', 'en-us', 'France')
    stage.sql(`delete from land where id = '2'`)
    expect(await rerun(row)).toMatchObject({ status: 'success', deleted: 1 })
    expect(titles()[0]).toEqual({ 'en-us': 'France' })
    put('2', 'FRA', 'fr-fr', 'La France')
    await rerun(row)
    stage.sql(`delete from land where code = 'FRA'`)
    expect(await rerun(row)).toMatchObject({ status: 'success', deleted: 2 })
    expect(titles()).toEqual([{ 'en-us': 'Italy' }])
  })

  it('localizes once when the process dies with the answer unheard', async () => {
    put('1', 'FRA', 'en-us', 'France')
    put('2', 'FRA', 'fr-fr', 'La France')
    const [row] = await stage.create(sync)
    await dieAt(stage, 'updateEntry', 1)
    await stage.drain()
    expect(await stage.lastRun(row!)).toMatchObject({ status: 'success', failed: 0 })
    expect(entries()[0]!.locales['fr-fr']!.versions).toHaveLength(1)
  })

  it.each([
    [{ inbound: { localeColumn: 'nope' } }, 'inbound.localeColumn'],
    [{ mapping: [{ from: 'name', to: 'title' }] }, 'mapping']
  ])('refuses at creation what cannot work: %j', async (change, field) => {
    await expect(stage.create({ ...sync, ...change })).rejects.toMatchObject({
      code: 'invalid',
      fields: { [field]: expect.anything() as unknown }
    })
  })
})
