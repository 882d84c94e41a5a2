import { afterEach, describe, expect, it } from 'vitest'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { type PreviewInput, previewSync } from '../../server/sync/preview.ts'
import { forEachDatabase } from '../support/databases.ts'
import { openStage, plantAuthors, type Stage } from './stage.ts'

forEachDatabase(open => {
  let stage: Stage
  afterEach(() => stage.cleanUp())
  const begin = async (): Promise<void> => {
    stage = await openStage(await open())
  }
  const preview = (asked: Partial<PreviewInput>) =>
    previewSync(stage.db, stage.deps, {
      installation: stage.installation,
      preview: { direction: 'outbound', connectionId: stage.connection.id, contentType: 'author', target: '', ...asked }
    })
  const everything = async (): Promise<unknown> => {
    const tables = ['sync', 'run', 'link', 'intent', 'job', 'audit_event', 'write_ledger'] as const
    const rows = []
    for (const table of tables) rows.push(await stage.db.selectFrom(table).selectAll().execute())
    return [rows, stage.sandbox.world.stacks[blogApiKey]!.writes.length]
  }

  describe('a preview of an outbound sync', () => {
    it('shows what each row gives of real entries, and writes nothing anywhere', async () => {
      await begin()
      plantAuthors(stage.sandbox, 20)
      const before = await everything()
      const records = await preview({
        records: 10,
        mapping: [
          { from: 'title', to: 'title' },
          { expression: 'title = "Author 3" ? $error("no three") : $uppercase(title)', to: 'label' },
          { expression: 'bio', to: 'bio', default: 'none' }
        ]
      })
      expect(records).toHaveLength(10)
      for (const record of records) {
        const title = record.rows[0]?.value
        const three = title === 'Author 3'
        expect(record).toEqual({
          key: expect.stringMatching(/^blt.*:en-us$/),
          would: three ? 'refuse' : 'create',
          rows: [
            { to: 'title', value: title, error: null },
            three
              ? { to: 'label', value: null, error: 'The expression for label failed: no three' }
              : { to: 'label', value: title?.toUpperCase(), error: null },
            { to: 'bio', value: 'none', error: null }
          ]
        })
      }
      expect(await everything()).toEqual(before)
      expect(() => stage.rows('author')).toThrow(/no such table/)
    })

    it('knows what an existing sync has carried', async () => {
      await begin()
      const mapping = [{ from: 'title', to: 'title' }]
      const sync = await stage.createOne({ contentTypes: ['author'], mapping })
      const asked = { syncId: sync.id, mapping }
      expect((await preview(asked)).map(record => record.would)).toEqual(expect.arrayContaining(['skip']))
      const [uid] = [...stage.entries('author')][0]!.split(':')
      await stage.cms('PUT', `/content_types/author/entries/${uid}`, { entry: { title: 'Changed' } })
      expect((await preview(asked)).filter(record => record.would === 'update').map(record => record.key)).toEqual([`${uid}:en-us`])
      const other = await preview({ ...asked, mapping: [{ expression: 'title', to: 'title' }] })
      expect(new Set(other.map(record => record.would))).toEqual(new Set(['update']))
    })

    it('ends in time and shows the error when an expression never does', async () => {
      await begin()
      plantAuthors(stage.sandbox, 20)
      const began = Date.now()
      const records = await preview({ records: 10, mapping: [{ expression: '($f := function($n){ $f($n) }; $f(1))', to: 'x' }] })
      expect(Date.now() - began).toBeLessThan(20_000)
      expect(records.every(record => record.would === 'refuse')).toBe(true)
      expect(records[0]?.rows[0]?.error).toBe('The expression for x took longer than 1 s.')
    })

    it('cuts what is long', async () => {
      await begin()
      const [record] = await preview({ mapping: [{ expression: '$pad("x", 5000)', to: 'x' }] })
      expect(record?.rows[0]?.value).toHaveLength(1001)
    })
  })

  it('of an inbound sync tells which records have an entry already, and which would change it', async () => {
    await begin()
    stage.sql('create table land (cca3 text primary key, name text, area real)')
    for (const index of [1, 2, 3, 4]) stage.sql('insert into land values (?, ?, ?)', `L${index}`, `Land ${index}`, index)
    stage.sql(`update land set area = 'wide' where cca3 = 'L4'`)
    await stage.cms('POST', '/content_types/country/entries', { entry: { title: 'Land 1', code: 'L1', area: 1 } })
    await stage.cms('POST', '/content_types/country/entries', { entry: { title: 'Other', code: 'L2', area: 2 } })
    const before = await everything()
    const records = await preview({
      direction: 'inbound',
      contentType: 'country',
      target: 'land',
      externalIdField: 'code',
      mapping: [
        { from: 'cca3', to: 'code' },
        { expression: 'name', to: 'title' },
        { from: 'area', to: 'area' }
      ]
    })
    expect(records.map(({ key, would }) => [key, would])).toEqual([
      ['L1', 'skip'],
      ['L2', 'update'],
      ['L3', 'create'],
      ['L4', 'refuse']
    ])
    expect(records[3]?.rows[2]).toEqual({
      to: 'area',
      value: null,
      error: expect.stringMatching(/"area" holds "wide".*no number/) as string
    })
    expect(await everything()).toEqual(before)
  })

  it.each<[string, Partial<PreviewInput>, string]>([
    ['a mapping that does not fit', { mapping: [{ from: 'subtitel', to: 'x' }] }, 'invalid'],
    ['an expression that cannot be read', { mapping: [{ expression: '(', to: 'x' }] }, 'invalid'],
    ['another’s connection', { connectionId: 'con_none' }, 'not_found'],
    ['another’s sync', { syncId: 'syn_none' }, 'not_found'],
    ['a content type that does not exist', { contentType: 'unicorn' }, 'not_found'],
    ['no table', { direction: 'inbound', contentType: 'country', target: '', externalIdField: 'code' }, 'invalid']
  ])('refuses %s', async (_, asked, code) => {
    await begin()
    await expect(preview(asked)).rejects.toMatchObject({ code })
  })
})
