// Syncs whose mapping computes: defaults, required rows, poison records, and a content type that changes under them.
import { afterEach, describe, expect, it } from 'vitest'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import type { ContentType } from '../../server/contentstack/stack.ts'
import { lookAtFit } from '../../server/sync/broken.ts'
import { changeMapping } from '../../server/sync/change.ts'
import type { MappingInput } from '../../server/sync/mapping.ts'
import { startRunBy } from '../../server/sync/runs.ts'
import { findSync, pauseSync, resumeSync, type SyncRow } from '../../server/sync/sync.ts'
import { syncJobsForRecord } from '../../server/sync/record-jobs.ts'
import { failedRecords } from '../../server/sync/views.ts'
import { forEachDatabase } from '../support/databases.ts'
import { openStage, person, plantAuthors, type Stage } from './stage.ts'

forEachDatabase(open => {
  let stage: Stage
  afterEach(() => stage.cleanUp())
  const begin = async (): Promise<void> => {
    stage = await openStage(await open())
  }
  const rerun = async (sync: SyncRow): Promise<void> => {
    await startRunBy(stage.db, stage.deps, { sync, actor: person })
    await stage.drain()
  }
  const now = async (sync: SyncRow): Promise<SyncRow> => (await findSync(stage.db, sync.id))!
  const typeOf = async (uid: string): Promise<ContentType> =>
    (await stage.cms<{ content_type: ContentType }>('GET', `/content_types/${uid}`)).body.content_type
  const change = async (uid: string, schema: (type: ContentType) => ContentType['schema']): Promise<void> => {
    const type = await typeOf(uid)
    const { status } = await stage.cms('PUT', `/content_types/${uid}`, { content_type: { ...type, schema: schema(type) } })
    expect(status).toBe(200)
  }
  const writes = (): number => stage.sandbox.world.stacks[blogApiKey]!.writes.filter(write => write.contentType === 'country').length

  describe('outbound', () => {
    const mapping = [
      { from: 'title', to: 'title', required: true },
      { expression: '$uppercase(title) & " <" & email & ">"', to: 'label' },
      { expression: '$number($substringAfter(title, " "))', to: 'number', type: 'integer' as const },
      { expression: 'bio', to: 'bio', default: 'none yet' }
    ]

    it('fills columns with what expressions give, and carries nothing the second time', async () => {
      await begin()
      plantAuthors(stage.sandbox, 250)
      stage.sandbox.world.stacks[blogApiKey]!.entries['main']!['author'] = Object.fromEntries(
        Object.entries(stage.sandbox.world.stacks[blogApiKey]!.entries['main']!['author']!).filter(([uid]) => uid.startsWith('bltf'))
      )
      const sync = await stage.createOne({ contentTypes: ['author'], mapping })
      expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', written: 250, failed: 0 })
      const row = [...stage.rows('author').values()].find(each => each['title'] === 'Author 7')
      expect(row).toMatchObject({ label: 'AUTHOR 7 <a7@x.example>', number: 7 })
      await rerun(sync)
      expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', written: 0, failed: 0 })
    })

    it('lets records stand aside whose expression fails, runs too long or does not fit, and the others arrive', async () => {
      await begin()
      plantAuthors(stage.sandbox, 12)
      const hostile = `title = "Author 3" ? $match("${'a'.repeat(40)}!", /^(a+)+$/) : title = "Author 4" ? $error("no four") : title = "Author 5" ? tags : 1`
      const sync = await stage.createOne({ contentTypes: ['author'], mapping: [{ expression: hostile, to: 'n', type: 'number' }] })
      const run = await stage.lastRun(sync)
      expect(run).toMatchObject({ status: 'partial', failed: 3 })
      const failed = await failedRecords(stage.db, { installationId: stage.installation.id, runId: run.id })
      expect(failed.map(record => record.error).sort()).toEqual([
        expect.stringMatching(/^The expression for n failed: no four/),
        expect.stringMatching(/^The expression for n gives \[\], which is no number/),
        expect.stringMatching(/^The expression for n took longer than 1 s/)
      ])
      expect(run.written).toBeGreaterThanOrEqual(9)
    })

    it('is paused with the field’s name when that field is taken away, writes nothing, and goes on when it is back', async () => {
      await begin()
      const sync = await stage.createOne({ contentTypes: ['author'], mapping: mapping.filter(row => row.to !== 'number') })
      const before = stage.rows('author')
      const { schema } = await typeOf('author')
      await change('author', type => type.schema.filter(each => each.uid !== 'email'))
      for (const [index, uid] of [...stage.entries('author')].entries())
        await stage.cms('PUT', `/content_types/author/entries/${uid.split(':')[0]}`, { entry: { title: `Changed ${index}` } })
      await rerun(sync)
      expect(await now(sync)).toMatchObject({
        state: 'paused',
        paused_reason: expect.stringMatching(/"email", which the expression for "label" reads, is gone.*Nothing was written/) as string
      })
      expect(stage.rows('author')).toEqual(before)
      expect(await stage.lastRun(sync)).toMatchObject({ status: 'paused', written: 0 })
      const events = await stage.db.selectFrom('audit_event').selectAll().where('action', '=', 'sync.pause').execute()
      expect(events).toMatchObject([{ actor_kind: 'system', actor_id: 'mapping' }])

      await resumeSync(stage.db, stage.deps, { installationId: stage.installation.id, id: sync.id, actor: person })
      await stage.drain()
      expect((await now(sync)).state).toBe('paused')

      await change('author', () => schema)
      await resumeSync(stage.db, stage.deps, { installationId: stage.installation.id, id: sync.id, actor: person })
      await stage.drain()
      expect(await now(sync)).toMatchObject({ state: 'active', paused_reason: null })
      expect(await stage.lastRun(sync)).toMatchObject({ status: 'success' })
      expect(
        [...stage.rows('author').values()].filter(row => row['locale'] === 'en-us').every(row => String(row['title']).startsWith('Changed'))
      ).toBe(true)
    })

    it('never empties a column by a live change that comes before the news of its field', async () => {
      await begin()
      const sync = await stage.createOne({
        contentTypes: ['author'],
        mapping: [
          { from: 'title', to: 'title' },
          { from: 'email', to: 'email' }
        ]
      })
      const before = stage.rows('author')
      const worker = stage.worker()
      const live = async (entryUid: string): Promise<void> => {
        const record = {
          installationId: stage.installation.id,
          contentType: 'author',
          entryUid,
          locale: 'en-us',
          branch: 'main',
          cause: 'test'
        }
        await stage.db.transaction().execute(trx => syncJobsForRecord(trx, record))
        await worker.drain({ until: Date.now() + 3_600_000 })
      }
      const [entryUid] = [...stage.entries('author')][0]!.split(':') as [string]
      // This process remembers the content type from here on.
      await live(entryUid)
      await change('author', type => type.schema.filter(each => each.uid !== 'email'))
      await stage.cms('PUT', `/content_types/author/entries/${entryUid}`, { entry: { title: 'Changed' } })
      await live(entryUid)
      expect(await now(sync)).toMatchObject({ state: 'paused', paused_reason: expect.stringContaining('"email" is gone') as string })
      expect(stage.rows('author')).toEqual(before)
    })
  })

  describe('inbound', () => {
    const inbound = { direction: 'inbound' as const, contentTypes: ['country'], target: 'land', externalIdField: 'code' }
    const mapping = [
      { from: 'cca3', to: 'code' },
      { expression: 'name & " (" & cca3 & ")"', to: 'title' },
      { expression: 'area * 2', to: 'area' },
      { from: 'capital', to: 'capital', default: 'no capital' }
    ]
    const land = async (): Promise<void> => {
      await begin()
      stage.sql('create table land (cca3 text primary key, name text, capital text, area real, noise text)')
      for (const index of [1, 2, 3]) stage.sql('insert into land values (?, ?, ?, ?, ?)', `L${index}`, `Land ${index}`, null, index, 'x')
    }
    const fields = (): Record<string, unknown>[] =>
      Object.values(stage.sandbox.world.stacks[blogApiKey]!.entries['main']!['country'] ?? {}).map(
        entry => entry.locales['en-us']!.versions.at(-1)!.fields
      )

    it('fills fields with what expressions and defaults give, and writes nothing the second time', async () => {
      await land()
      const sync = await stage.createOne({ ...inbound, mapping })
      expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', written: 3 })
      expect(fields()).toContainEqual(expect.objectContaining({ code: 'L2', title: 'Land 2 (L2)', area: 4, capital: 'no capital' }))
      await rerun(sync)
      expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', written: 0, skipped: 3 })
    })

    it('refuses a record before anything is written when a value does not fit its field', async () => {
      await land()
      stage.sql(`update land set area = 'wide' where cca3 = 'L2'`)
      const sync = await stage.createOne({ ...inbound, mapping })
      const run = await stage.lastRun(sync)
      expect(run).toMatchObject({ status: 'partial', written: 2, failed: 1 })
      expect(await failedRecords(stage.db, { installationId: stage.installation.id, runId: run.id })).toMatchObject([
        { key: 'L2', error: expect.stringMatching(/^The expression for area failed/) as string }
      ])
      expect(await stage.db.selectFrom('intent').selectAll().execute()).toEqual([])
      expect(writes()).toBe(2)
    })

    it.each<[string, (type: ContentType) => ContentType['schema'], RegExp]>([
      [
        'the key is no longer unique',
        type => type.schema.map(each => (each.uid === 'code' ? { ...each, unique: false } : each)),
        /"code" can no longer/
      ],
      ['a field is gone', type => type.schema.filter(each => each.uid !== 'area'), /"area" is gone/],
      [
        'a type has changed',
        type => type.schema.map(each => (each.uid === 'area' ? { ...each, data_type: 'text' } : each)),
        /"area" was number/
      ],
      [
        'a field is mandatory now',
        type => type.schema.map(each => (each.uid === 'flag' ? { ...each, mandatory: true } : each)),
        /"flag" is mandatory/
      ]
    ])('is paused when %s, told by Contentstack or met by a run, and writes nothing', async (_, schema, reason) => {
      await land()
      const sync = await stage.createOne({ ...inbound, mapping })
      stage.sql(`update land set name = 'Changed'`)
      await change('country', schema)
      await stage.db
        .transaction()
        .execute(trx => lookAtFit(trx, { installationId: stage.installation.id, contentType: 'country', branch: 'main' }))
      await stage.drain()
      expect(await now(sync)).toMatchObject({ state: 'paused', paused_reason: expect.stringMatching(reason) as string })
      await resumeSync(stage.db, stage.deps, { installationId: stage.installation.id, id: sync.id, actor: person })
      await stage.drain()
      expect(await now(sync)).toMatchObject({ state: 'paused', paused_reason: expect.stringMatching(reason) as string })
      expect(writes()).toBe(3)
    })
  })

  it('is paused when its content type is deleted, and its rows stay', async () => {
    await begin()
    const sync = await stage.createOne({ contentTypes: ['author'] })
    const before = stage.rows('author')
    expect((await stage.cms('DELETE', '/content_types/author?force=true')).status).toBe(200)
    await rerun(sync)
    expect(await now(sync)).toMatchObject({ state: 'paused', paused_reason: expect.stringContaining('author is gone') as string })
    expect(stage.rows('author')).toEqual(before)
  })

  describe('another mapping', () => {
    const change = (sync: SyncRow, mapping: MappingInput[]): Promise<SyncRow> =>
      changeMapping(stage.db, stage.deps, { installationId: stage.installation.id, id: sync.id, actor: person, mapping })
    const pause = (sync: SyncRow): Promise<SyncRow> =>
      pauseSync(stage.db, stage.deps, { installationId: stage.installation.id, id: sync.id, actor: person })
    const resume = async (sync: SyncRow): Promise<void> => {
      await resumeSync(stage.db, stage.deps, { installationId: stage.installation.id, id: sync.id, actor: person })
      await stage.drain()
    }

    it('is taken of a paused sync, and its resuming carries every record by it', async () => {
      await begin()
      const sync = await stage.createOne({ contentTypes: ['author'], mapping: [{ from: 'title', to: 'title' }] })
      const mapping = [
        { from: 'title', to: 'title' },
        { expression: '$uppercase(title)', to: 'shout' }
      ]
      await expect(change(sync, mapping)).rejects.toMatchObject({ code: 'conflict' })
      await pause(sync)
      expect(await change(sync, mapping)).toMatchObject({ revision: 2 })
      await resume(sync)
      const rows = [...stage.rows('author').values()]
      expect(rows.length).toBeGreaterThan(0)
      for (const row of rows) expect(row['shout']).toBe(String(row['title']).toUpperCase())
      expect(await stage.db.selectFrom('audit_event').select('action').where('action', '=', 'sync.mapping').execute()).toHaveLength(1)
    })

    it('that does not fit is refused, and the old one stays', async () => {
      await begin()
      const sync = await stage.createOne({ contentTypes: ['author'], mapping: [{ from: 'title', to: 'title' }] })
      await pause(sync)
      await expect(change(sync, [{ from: 'nothing', to: 'title' }])).rejects.toMatchObject({ code: 'invalid' })
      await expect(change(sync, [{ from: 'title', to: 'title', default: '' }])).rejects.toMatchObject({ code: 'invalid' })
      expect(await now(sync)).toMatchObject({ mapping_json: sync.mapping_json, revision: 1 })
    })

    it('never takes another key', async () => {
      await begin()
      stage.sql('create table land (cca3 text primary key, name text)')
      const inbound = { direction: 'inbound' as const, contentTypes: ['country'], target: 'land', externalIdField: 'code' }
      const sync = await stage.createOne({ ...inbound, mapping: [{ from: 'name', to: 'title' }] })
      await pause(sync)
      const rows = [{ from: 'name', to: 'title' }]
      await expect(change(sync, [...rows, { from: 'name', to: 'code' }])).rejects.toMatchObject({ code: 'invalid' })
      expect(JSON.parse((await change(sync, rows)).mapping_json)).toMatchObject([{ from: 'cca3', to: 'code' }, { from: 'name' }])
    })
  })

  describe('an expression that cannot be kept', () => {
    it.each<[string, object, string, RegExp]>([
      ['with wrong syntax', { expression: 'title &', to: 'x' }, 'mapping.0.expression', /at character 7/],
      ['that asks the clock', { expression: '$now()', to: 'x' }, 'mapping.0.expression', /\$now/],
      ['beside a source', { from: 'title', expression: 'title', to: 'x' }, 'mapping.0', /either/],
      ['that is missing, as its source is', { to: 'x' }, 'mapping.0', /either/]
    ])('%s is refused with its row', async (_, row, named, why) => {
      await begin()
      await expect(stage.create({ contentTypes: ['author'], mapping: [row as { to: string }] })).rejects.toMatchObject({
        code: 'invalid',
        fields: { [named]: [expect.stringMatching(why)] }
      })
      expect(await stage.db.selectFrom('sync').selectAll().execute()).toEqual([])
    })

    it('is none for the record’s key', async () => {
      await begin()
      stage.sql('create table land (cca3 text primary key, name text)')
      const mapping = [
        { expression: 'cca3', to: 'code' },
        { from: 'name', to: 'title' }
      ]
      await expect(
        stage.create({ direction: 'inbound', contentTypes: ['country'], target: 'land', externalIdField: 'code', mapping })
      ).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining('takes a column, no expression') as string })
    })
  })
})
