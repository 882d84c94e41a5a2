import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, describe, expect, it } from 'vitest'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { tick } from '../../server/jobs/scheduler.ts'
import { compare, driftRhythmOf, driftsOf, scheduleDrift, type Side, startDrift, startDriftBy } from '../../server/sync/drift.ts'
import { blankLink } from '../../server/sync/links.ts'
import { applyPlan } from '../../server/sync/plans.ts'
import type { SyncRow } from '../../server/sync/sync.ts'
import { forEachDatabase } from '../support/databases.ts'
import { openStage, person, plantAuthors, type Stage } from './stage.ts'

forEachDatabase((open, dialect) => {
  let stage: Stage
  afterEach(() => stage.cleanUp())
  const begin = async (): Promise<void> => {
    stage = await openStage(await open())
  }
  const drift = async (sync: SyncRow, repair = false) => {
    await startDriftBy(stage.db, stage.deps, { installationId: stage.installation.id, syncId: sync.id, actor: person, repair })
    await stage.drain()
    return (await driftsOf(stage.db, sync))[0]!
  }

  describe('of a destination', () => {
    const outbound = async (): Promise<SyncRow> => {
      await begin()
      plantAuthors(stage.sandbox, 60)
      return await stage.createOne({ contentTypes: ['author'], locales: ['en-us'] })
    }
    const damage = (): { missing: string; stale: string } => {
      const [missing, stale] = [...stage.rows('author').keys()].toSorted() as [string, string]
      stage.sql('delete from author where _key = ?', missing)
      stage.sql('update author set title = ? where _key = ?', 'Somebody else', stale)
      stage.sql('insert into author (_key, title) values (?, ?)', 'bltgone:en-us', 'No entry')
      stage.sql('insert into author (_key, title) values (?, ?)', 'what is this', 'By hand')
      return { missing, stale }
    }

    it('counts what is missing, stale and extra, and changes nothing', async () => {
      const sync = await outbound()
      expect(await drift(sync)).toMatchObject({ status: 'done', missing: 0, stale: 0, extra: 0, by_id: 0 })
      damage()
      const before = stage.rows('author')
      const found = await drift(sync)
      expect(found).toMatchObject({ status: 'done', missing: 1, stale: 1, extra: 2, repaired: 0, listed: before.size })
      expect(stage.rows('author')).toEqual(before)
      expect(await stage.db.selectFrom('staged_key').selectAll().execute()).toEqual([])
    })

    it('repairs through the queue, and removes what is extra by a person alone', async () => {
      const sync = await outbound()
      const whole = stage.rows('author')
      const { missing, stale } = damage()
      const found = await drift(sync, true)
      expect(found).toMatchObject({ missing: 1, stale: 1, extra: 2, repaired: 2 })
      for (const key of [missing, stale])
        expect(stage.rows('author').get(key)).toEqual({ ...whole.get(key), _order: expect.any(Number) as number })
      expect(stage.rows('author').size).toBe(whole.size + 2)
      const asked = { installationId: stage.installation.id, id: found.plan_id!, actor: person }
      await expect(applyPlan(stage.db, stage.deps, asked)).rejects.toMatchObject({ code: 'conflict' })
      await applyPlan(stage.db, stage.deps, { ...asked, allowDeletes: 2 })
      await stage.drain()
      expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', deleted: 2, skipped: 0, failed: 0 })
      expect(new Set(stage.rows('author').keys())).toEqual(new Set(whole.keys()))
      expect(await drift(sync)).toMatchObject({ missing: 0, stale: 0, extra: 0, plan_id: null })
    })

    it('runs by the clock, until the rhythm is taken away', async () => {
      const sync = await outbound()
      const of = { installationId: stage.installation.id, syncId: sync.id, actor: person }
      const rhythm = { cron: '0 4 * * *', timeZone: 'UTC', repair: true }
      await scheduleDrift(stage.db, stage.deps, { ...of, rhythm })
      const told = await driftRhythmOf(stage.db, of)
      expect(told.schedule).toEqual(rhythm)
      expect(new Date(told.nextAt ?? 0).getUTCHours()).toBe(4)
      damage()
      await tick(stage.db, Date.now() + 25 * 3_600_000)
      await stage.drain()
      expect(await driftsOf(stage.db, sync)).toMatchObject([{ status: 'done', cause: 'schedule', repaired: 2 }])
      await scheduleDrift(stage.db, stage.deps, { ...of, rhythm: null })
      expect(await driftRhythmOf(stage.db, of)).toEqual({ schedule: null, nextAt: null })
      expect(await tick(stage.db, Date.now() + 50 * 3_600_000)).toBe(0)
    })
  })

  it('of the stack: entries that people deleted or changed are counted, and written again when asked', async () => {
    await begin()
    stage.sql('create table land (cca3 text primary key, name text, capital text, area real, independent boolean)')
    for (const key of ['AAA', 'BBB', 'CCC', 'DDD']) stage.sql('insert into land values (?, ?, ?, 1, 1)', key, `Land ${key}`, 'Capital')
    const sync = await stage.createOne({ direction: 'inbound', contentTypes: ['country'], target: 'land', externalIdField: 'code' })
    const uids = new Map((await stage.db.selectFrom('link').selectAll().execute()).map(link => [link.external_id, link.entry_uid]))
    const path = (key: string): string => `/content_types/country/entries/${uids.get(key)}`
    await stage.cms('DELETE', path('AAA'))
    await stage.cms('PUT', path('BBB'), { entry: { title: 'By hand' } })
    // Another version, the same mapped fields.
    await stage.cms('PUT', path('CCC'), { entry: { title: 'Land CCC' } })
    await stage.cms('POST', '/content_types/country/entries', { entry: { title: 'Nobody’s', code: 'OWN' } })
    expect(await drift(sync)).toMatchObject({ status: 'done', missing: 1, stale: 1, extra: 1, repaired: 0, plan_id: null })
    expect(await drift(sync, true)).toMatchObject({ missing: 1, stale: 1, extra: 1, repaired: 2 })
    expect(await stage.lastRun(sync)).toMatchObject({ cause: 'reconcile', status: 'success', written: 2, skipped: 2 })
    expect(await drift(sync)).toMatchObject({ missing: 0, stale: 0, extra: 1 })
    const titles = Object.values(stage.sandbox.world.stacks[blogApiKey]!.entries['main']!['country'] ?? {}).map(
      entry => entry.locales['en-us']!.versions.at(-1)!.fields['title']
    )
    expect(new Set(titles)).toEqual(new Set(['Land AAA', 'Land BBB', 'Land CCC', 'Land DDD', 'Nobody’s']))
    expect(titles).toHaveLength(5)
  })

  it('says what was compared by id alone, and compares keys byte for byte', async () => {
    await begin()
    const [sync] = await stage.create({ contentTypes: ['author'] })
    const keys = ['a', 'A', 'ä', 'a\u0308', 'z ', 'z', '10', '9']
    await plantLinks(
      sync!,
      keys.map(key => ({ key, fingerprint: key === 'z' ? '' : 'f' }))
    )
    const found = await compared(sync!, [
      keys
        .slice(1)
        .toReversed()
        .map(key => ({ key, fingerprint: key === 'A' ? '' : 'f' })),
      [{ key: 'Z', fingerprint: 'f' }]
    ])
    expect(found).toMatchObject({ missing: 1, stale: 0, extra: 1, by_id: 2, compared: 8 })
  })

  it(`compares 100,000 records in flat memory`, { timeout: 180_000 }, async () => {
    await begin()
    const [sync] = await stage.create({ contentTypes: ['author'] })
    const total = 100_000
    const key = (index: number): string => `blt${String((index * 7919) % total).padStart(8, '0')}:en-us`
    for (let from = 0; from < total; from += 1_000)
      await plantLinks(
        sync!,
        Array.from({ length: 1_000 }, (_, index) => ({ key: key(from + index), fingerprint: 'f' }))
      )
    let peak = 0
    const began = heap()
    async function* listing() {
      for (let from = 0; from < total; from += 500) {
        if (from % 10_000 === 0) peak = Math.max(peak, heap() - began)
        // The first is missing, the second stale, one is extra.
        const keys = Array.from({ length: 500 }, (_, index) => from + index).filter(index => index > 0)
        yield keys.map(index => ({ key: key(index), fingerprint: index === 1 ? 'other' : 'f' }))
      }
      yield [{ key: 'extra', fingerprint: 'f' }]
    }
    let walked = 0
    const found = await compared(sync!, listing(), () => {
      if (walked++ % 10_000 === 0) peak = Math.max(peak, heap() - began)
    })
    expect(found).toMatchObject({ listed: total, compared: total, missing: 1, stale: 1, extra: 1 })
    // Their keys alone would weigh more.
    expect(peak, `${dialect}: ${peak} MiB`).toBeLessThan(6)
  })

  async function plantLinks(sync: SyncRow, links: { key: string; fingerprint: string }[]): Promise<void> {
    await stage.db.transaction().execute(async trx => {
      for (let from = 0; from < links.length; from += 250)
        await trx
          .insertInto('link')
          .values(
            links.slice(from, from + 250).map(({ key, fingerprint }) => ({
              ...blankLink(sync, { locale: 'en-us', external_id: key, entry_uid: key }, 1),
              status: 'synced' as const,
              synced_at: 1,
              destination_fingerprint: fingerprint
            }))
          )
          .execute()
    })
  }

  type Keys = { key: string; fingerprint: string }[]
  async function compared(sync: SyncRow, listing: Iterable<Keys> | AsyncIterable<Keys>, met = () => {}) {
    const row = await stage.db.transaction().execute(trx => startDrift(trx, sync, { cause: 'test', repair: false }))
    const side: Side = {
      async *list() {
        yield* listing
      },
      keyOf(link) {
        met()
        return link.external_id
      },
      fingerprintOf: link => link.destination_fingerprint,
      confirm: links => Promise.resolve(links)
    }
    await compare(stage.db, sync, side, row, new AbortController().signal)
    return (await driftsOf(stage.db, sync))[0]
  }

  /** What is held, in MiB: rubbish is collected first, so that only what grows with the number of records shows. */
  function heap(): number {
    collect()
    return Math.round(process.memoryUsage().heapUsed / 1024 / 1024)
  }
})

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
