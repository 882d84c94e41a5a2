import { afterEach, describe, expect, it } from 'vitest'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import type { StackClient } from '../../server/contentstack/stack.ts'
import { tick } from '../../server/jobs/scheduler.ts'
import { startRunBy } from '../../server/sync/runs.ts'
import type { SyncRow } from '../../server/sync/sync.ts'
import { failedRecords } from '../../server/sync/views.ts'
import { forEachDatabase } from '../support/databases.ts'
import { openStage, person, type Stage } from './stage.ts'

forEachDatabase(open => {
  let stage: Stage
  afterEach(() => stage.cleanUp())

  const begin = async (records: number, options = {}): Promise<void> => {
    stage = await openStage(await open(), options)
    stage.sql('create table land (cca3 text primary key, name text, capital text, area real, independent boolean)')
    for (let index = 0; index < records; index++) put(`L${String(index).padStart(3, '0')}`, `Land ${index}`, index)
  }
  const put = (key: string, name: string | null, area: unknown = 1): void =>
    stage.sql('insert or replace into land values (?, ?, ?, ?, ?)', key, name, `Capital of ${name}`, area, 1)
  const inbound = { direction: 'inbound' as const, contentTypes: ['country'], target: 'land', externalIdField: 'code' }
  const countries = (): Map<string, { uid: string; version: number; fields: Record<string, unknown> }> =>
    new Map(
      Object.values(stage.sandbox.world.stacks[blogApiKey]!.entries['main']!['country'] ?? {}).map(entry => {
        const { version, fields } = entry.locales['en-us']!.versions.at(-1)!
        return [String(fields['code']), { uid: entry.uid, version, fields }]
      })
    )
  const writes = (): number => stage.sandbox.world.stacks[blogApiKey]!.writes.filter(write => write.contentType === 'country').length
  const entryCount = (): number => Object.keys(stage.sandbox.world.stacks[blogApiKey]!.entries['main']!['country'] ?? {}).length
  const rerun = async (sync: SyncRow): Promise<void> => {
    await startRunBy(stage.db, stage.deps, { sync, actor: person })
    await stage.drain()
  }

  it('turns every record into one entry, and writes nothing the second time', async () => {
    await begin(120)
    const sync = await stage.createOne(inbound)
    expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', read: 120, written: 120, failed: 0 })
    expect(countries().size).toBe(120)
    expect(countries().get('L007')?.fields).toMatchObject({ title: 'Land 7', capital: 'Capital of Land 7', area: 7, independent: true })
    expect(writes()).toBe(120)
    await rerun(sync)
    expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', read: 120, written: 0, skipped: 120 })
    expect(writes()).toBe(120)
    expect(await stage.db.selectFrom('intent').selectAll().execute()).toEqual([])
    const ledger = await stage.db.selectFrom('write_ledger').select(['actor_kind', 'actor_id', 'entry_uid', 'version']).execute()
    expect(ledger).toHaveLength(120)
    expect(new Set(ledger.map(row => `${row.actor_kind} ${row.actor_id} ${row.version}`))).toEqual(new Set([`sync ${sync.id} 1`]))
  })

  it('updates what changed, adds what is new and leaves what is gone', async () => {
    await begin(5)
    const sync = await stage.createOne(inbound)
    put('L001', 'Renamed', 11)
    put('NEW', 'Newland', 3)
    stage.sql(`delete from land where cca3 = 'L002'`)
    await rerun(sync)
    expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', written: 2, skipped: 3 })
    expect(countries().get('L001')).toMatchObject({ version: 2, fields: { title: 'Renamed' } })
    expect([...countries().keys()].sort()).toEqual(['L000', 'L001', 'L002', 'L003', 'L004', 'NEW'])
  })

  it('takes over entries that already hold the key, writing only where they differ', async () => {
    await begin(3)
    await stage.cms('POST', '/content_types/country/entries', {
      entry: { title: 'Land 0', code: 'L000', capital: 'Capital of Land 0', area: 0, independent: true }
    })
    await stage.cms('POST', '/content_types/country/entries', { entry: { title: 'Other name', code: 'L001' } })
    const sync = await stage.createOne(inbound)
    expect(entryCount()).toBe(3)
    expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', written: 2, skipped: 1 })
    expect([countries().get('L000')?.version, countries().get('L001')?.version]).toEqual([1, 2])
  })

  it('lets a poison record stand aside with the words of the CMS, and the rest arrives', async () => {
    await begin(4)
    await stage.cms('POST', '/content_types/country/entries', { entry: { title: 'Land 2', code: 'SOMETHING' } })
    put('NUL', null)
    stage.sql(`insert into land values ('BAD', 'Bad area', '', 'very large', 1)`)
    const sync = await stage.createOne(inbound)
    const run = await stage.lastRun(sync)
    expect(run).toMatchObject({ status: 'partial', read: 6, written: 3, failed: 3 })
    const failed = await failedRecords(stage.db, { installationId: stage.installation.id, runId: run.id })
    expect(failed.map(record => [record.key, record.error])).toEqual([
      ['BAD', expect.stringMatching(/"area".*very large/)],
      ['L002', expect.stringMatching(/title.*unique/)],
      ['NUL', expect.stringMatching(/"name" is empty/)]
    ])
    expect(countries().has('L003')).toBe(true)
    stage.sql(`update land set area = 5 where cca3 = 'BAD'`)
    put('L002', 'Land Two', 2)
    stage.sql(`delete from land where cca3 = 'NUL'`)
    await rerun(sync)
    expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', written: 2, failed: 0 })
  })

  describe('never makes two entries of one record', () => {
    it.each(['reset-after', 'truncate', '500'] as const)('when the answer of a create is lost (%s)', async kind => {
      await begin(6)
      stage.sandbox.context.faults.add({ kind, host: 'contentManagement', method: 'POST', pathPattern: 'country/entries', times: 3 })
      const sync = await stage.createOne(inbound)
      expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', failed: 0 })
      expect(entryCount()).toBe(6)
      expect(countries().size).toBe(6)
      expect(new Set([...countries().values()].map(({ version }) => version))).toEqual(new Set([1]))
    })

    it('when the answer of an update is lost', async () => {
      await begin(3)
      const sync = await stage.createOne(inbound)
      put('L001', 'Renamed', 1)
      stage.sandbox.context.faults.add({ kind: 'reset-after', host: 'contentManagement', method: 'PUT', pathPattern: 'country/entries' })
      await rerun(sync)
      expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', failed: 0 })
      expect(countries().get('L001')).toMatchObject({ version: 2, fields: { title: 'Renamed' } })
    })

    it('when the process dies between any write and its link, at any record', async () => {
      // Each life leaves up to eight entries behind, half of them without a link.
      await begin(60)
      const [sync] = await stage.create(inbound)
      for (let crash = 1; crash <= 6; crash++) {
        const died = Promise.withResolvers<void>()
        const worker = stage.worker(
          { concurrency: 1 },
          {
            async stackFor(id, use) {
              const stack = await stage.deps.stackFor(id, use)
              let creates = 0
              const dying: StackClient = {
                ...stack,
                with: () => dying,
                async createEntry(...asked) {
                  const entry = await stack.createEntry(...asked)
                  creates += 1
                  if (creates < 5) return entry
                  // The write is made, its answer reaches nobody.
                  died.resolve()
                  return await new Promise<never>((_, reject) =>
                    use.signal?.addEventListener('abort', () => reject(new Error('the process died')))
                  )
                }
              }
              return dying
            }
          }
        )
        worker.start()
        await died.promise
        await worker.stop()
      }
      expect(entryCount()).toBeLessThan(60)
      await stage.drain()
      expect(entryCount()).toBe(60)
      expect(countries().size).toBe(60)
      expect([...countries().values()].filter(({ version }) => version !== 1)).toEqual([])
      expect(await stage.lastRun(sync!)).toMatchObject({ status: 'success', read: 60, failed: 0 })
      expect(await stage.db.selectFrom('link').selectAll().where('status', '=', 'synced').execute()).toHaveLength(60)
    })

    it('when an editor deletes the entry: the record gets one again', async () => {
      await begin(2)
      const sync = await stage.createOne(inbound)
      await stage.cms('DELETE', `/content_types/country/entries/${countries().get('L001')?.uid}`)
      put('L001', 'Back again', 1)
      await rerun(sync)
      expect(countries().get('L001')).toMatchObject({ version: 1, fields: { title: 'Back again' } })
      expect(entryCount()).toBe(2)
    })
  })

  it('says whose version it wrote over', async () => {
    await begin(1)
    const sync = await stage.createOne(inbound)
    await stage.cms('PUT', `/content_types/country/entries/${countries().get('L000')?.uid}`, { entry: { flag: 'x' } })
    put('L000', 'Renamed', 0)
    await rerun(sync)
    expect(countries().get('L000')).toMatchObject({ version: 3, fields: { title: 'Renamed', flag: 'x' } })
    expect(await stage.db.selectFrom('link').select(['status', 'error']).executeTakeFirst()).toEqual({
      status: 'synced',
      error: expect.stringContaining('Version 2') as string
    })
  })

  it('stays within the limits and arrives all the same', async () => {
    await begin(25, { limits: { read: 10, write: 10, bulk: 1 } })
    const sync = await stage.createOne(inbound)
    expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', written: 25, failed: 0 })
    expect(entryCount()).toBe(25)
  })

  it('takes turns with others inside a long page', async () => {
    await begin(40)
    const [sync] = await stage.create(inbound)
    const worker = stage.worker({}, { sliceSeconds: 0.05 })
    await worker.drain({ until: Date.now() + 3_600_000 })
    expect(await stage.lastRun(sync!)).toMatchObject({ status: 'success', read: 40, written: 40 })
    expect(entryCount()).toBe(40)
  })

  it('runs by its schedule', async () => {
    await begin(2)
    const sync = await stage.createOne({ ...inbound, schedule: { cron: '*/5 * * * *', timeZone: 'Europe/Berlin' } })
    put('NEW', 'By schedule', 1)
    expect(await tick(stage.db, Date.now() + 3_600_000)).toBe(1)
    await stage.drain()
    expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', cause: 'schedule', written: 1 })
    expect(countries().has('NEW')).toBe(true)
  })

  it('fails with the remedy when the table is gone, without touching the stack', async () => {
    await begin(2)
    const [sync] = await stage.create(inbound)
    stage.sql('drop table land')
    await stage.drain()
    expect(await stage.lastRun(sync!)).toMatchObject({ status: 'failed', error: expect.stringMatching(/no table land/) as string })
    expect(writes()).toBe(0)
  })
})
