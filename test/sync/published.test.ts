// Published content: rows follow what one environment shows, whatever is drafted beside it.
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { syncJobsForRecord } from '../../server/sync/record-jobs.ts'
import type { SyncInput } from '../../server/sync/create.ts'
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
  const stackOf = () => stage.sandbox.world.stacks[blogApiKey]!
  const hint = (uid: string, locale: string | null = 'en-us'): Promise<number> =>
    stage.db.transaction().execute(trx =>
      syncJobsForRecord(trx, {
        installationId: stage.installation.id,
        contentType: 'author',
        entryUid: uid,
        locale,
        branch: 'main',
        cause: 'webhook dlv_1'
      })
    )
  const rerun = async (sync: SyncRow): Promise<void> => {
    await startRunBy(stage.db, stage.deps, { sync, actor: person })
    await stage.drain()
  }
  const author = async (title: string): Promise<string> =>
    (await stage.cms('POST', '/content_types/author/entries', { entry: { title, email: `${title}@harbour.example` } })).body.entry.uid
  const edit = (uid: string, title: string, locale = 'en-us') =>
    stage.cms('PUT', `/content_types/author/entries/${uid}?locale=${locale}`, { entry: { title } })
  const publish = (uid: string, version: number, more: { way?: string; environment?: string; locale?: string; at?: string } = {}) =>
    stage.cms('POST', `/content_types/author/entries/${uid}/${more.way ?? 'publish'}`, {
      entry: { environments: [more.environment ?? 'production'], locales: [more.locale ?? 'en-us'] },
      locale: more.locale ?? 'en-us',
      version,
      ...(more.at && { scheduled_at: more.at })
    })
  const row = (uid: string, locale = 'en-us') => stage.rows('author').get(`${uid}:${locale}`)
  const published: Partial<SyncInput> = { contentTypes: ['author'], source: 'published', environment: 'production' }
  const environmentUid = (name: string) => stackOf().environments.find(one => one.name === name)!.uid
  /** What production shows, told by the sandbox's own world. */
  const shown = (): Map<string, string> =>
    new Map(
      Object.values(stackOf().entries['main']!['author']!).flatMap(entry =>
        entry.publishDetails
          .filter(detail => detail.environment === environmentUid('production'))
          .map(({ locale, version }) => {
            const content = (entry.locales[locale] ?? entry.locales['en-us'])!.versions.find(one => one.version === version)!
            return [`${entry.uid}:${locale}`, `${version} ${String(content.fields['title'])}`] as const
          })
      )
    )
  const carried = () => new Map([...stage.rows('author')].map(([key, one]) => [key, `${String(one['version'])} ${String(one['title'])}`]))

  it('carries the version that the environment shows, not the newest, and nothing that is published elsewhere', async () => {
    await begin()
    const older = await author('Shown')
    await edit(older, 'Drafted')
    await publish(older, 1)
    const elsewhere = await author('Staged')
    await publish(elsewhere, 1, { environment: 'development' })
    const never = await author('Never')
    const sync = await stage.createOne(published)
    expect(row(older)).toMatchObject({ title: 'Shown', version: 1, locale: 'en-us' })
    expect([row(elsewhere), row(never)]).toEqual([undefined, undefined])
    expect(carried()).toEqual(shown())
    expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', failed: 0, error: null })
  })

  it('follows an older version published anew, and leaves the row alone when only the draft moves', async () => {
    await begin()
    const uid = await author('One')
    await stage.createOne(published)
    for (const title of ['Two', 'Three']) await edit(uid, title)
    await publish(uid, 3)
    await hint(uid)
    await stage.drain()
    expect(row(uid)).toMatchObject({ title: 'Three', version: 3 })
    const link = () =>
      stage.db.selectFrom('link').select(['synced_at', 'source_hash', 'version']).where('entry_uid', '=', uid).executeTakeFirst()
    const before = await link()
    await edit(uid, 'Four')
    await hint(uid)
    await stage.drain()
    expect(row(uid)).toMatchObject({ title: 'Three', version: 3 })
    expect(await link()).toEqual(before)
    await publish(uid, 1)
    await hint(uid)
    await stage.drain()
    expect(row(uid)).toMatchObject({ title: 'One', version: 1 })
  })

  it.each(['unpublish', 'delete'] as const)('loses the row after an %s, by webhook or by a run', async end => {
    await begin()
    const [heard, missed] = [await author('Heard'), await author('Missed')]
    for (const uid of [heard, missed]) await publish(uid, 1)
    const sync = await stage.createOne(published)
    expect([row(heard)?.['title'], row(missed)?.['title']]).toEqual(['Heard', 'Missed'])
    for (const uid of [heard, missed]) {
      if (end === 'unpublish') await publish(uid, 1, { way: 'unpublish' })
      else await stage.cms('DELETE', `/content_types/author/entries/${uid}?delete_all_localized=true`)
    }
    await hint(heard, end === 'delete' ? null : 'en-us')
    await stage.drain()
    expect([row(heard), row(missed)?.['title']]).toEqual([undefined, 'Missed'])
    await rerun(sync)
    expect(row(missed)).toBeUndefined()
    expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', deleted: 1 })
  })

  it('stops and asks before a run removes many rows that are published no longer', async () => {
    await begin()
    plantAuthors(stage.sandbox, 40)
    const detail = { environment: environmentUid('production'), locale: 'en-us', time: '2026-01-01T00:00:00.000Z', user: 'u', version: 1 }
    const entries = Object.values(stackOf().entries['main']!['author']!)
    for (const entry of entries) entry.publishDetails = [detail]
    const sync = await stage.createOne({ ...published, locales: ['en-us'] })
    expect(stage.rows('author').size).toBe(entries.length)
    for (const entry of entries) entry.publishDetails = []
    await rerun(sync)
    expect(await stage.lastRun(sync)).toMatchObject({ status: 'partial', deleted: 0 })
    expect(stage.rows('author').size).toBe(entries.length)
  })

  it('waits for a scheduled publishing, and for a scheduled end', async () => {
    await begin()
    const uid = await author('Later')
    const sync = await stage.createOne(published)
    const inOneHour = () => new Date(stage.sandbox.clock.now() + 3_600_000).toISOString()
    await publish(uid, 1, { at: inOneHour() })
    await hint(uid)
    await stage.drain()
    expect(row(uid)).toBeUndefined()
    stage.sandbox.clock.advance(3_600_001)
    await rerun(sync)
    expect(row(uid)).toMatchObject({ title: 'Later' })
    await publish(uid, 1, { way: 'unpublish', at: inOneHour() })
    stage.sandbox.clock.advance(3_600_001)
    await rerun(sync)
    expect(row(uid)).toBeUndefined()
  })

  it('shows in a locale what was published there: its own version, or the content it falls back to', async () => {
    await begin()
    const uid = await author('English')
    await publish(uid, 1, { locale: 'de-de' })
    await stage.createOne(published)
    expect(row(uid, 'de-de')).toMatchObject({ title: 'English', version: 1, locale: 'de-de' })
    expect(row(uid)).toBeUndefined()
    await edit(uid, 'English 2')
    await publish(uid, 2, { locale: 'de-de' })
    await edit(uid, 'Deutsch', 'de-de')
    await hint(uid, 'de-de')
    await stage.drain()
    expect(row(uid, 'de-de')).toMatchObject({ title: 'English 2', version: 2 })
    await publish(uid, 1, { locale: 'de-de' })
    await hint(uid, 'de-de')
    await stage.drain()
    expect(row(uid, 'de-de')).toMatchObject({ title: 'Deutsch', version: 1 })
  })

  it('reads nothing beyond the list while nothing is published anew, though every draft has moved on', async () => {
    await begin()
    const uids = await Promise.all(['A', 'B', 'C'].map(author))
    for (const uid of uids) await publish(uid, 1)
    for (const uid of uids) await edit(uid, 'Drafted')
    const sync = await stage.createOne({ ...published, locales: ['en-us'] })
    expect(uids.map(uid => row(uid)?.['title'])).toEqual(['A', 'B', 'C'])
    const reads: string[] = []
    const worker = stage.worker(
      {},
      {
        async stackFor(id, use) {
          const stack = await stage.deps.stackFor(id, use)
          const counted = {
            ...stack,
            with: () => counted,
            entry: async (...asked: Parameters<typeof stack.entry>) => {
              reads.push(asked[1])
              return await stack.entry(...asked)
            }
          }
          return counted
        }
      }
    )
    await startRunBy(stage.db, stage.deps, { sync, actor: person })
    await worker.drain()
    expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', written: 0, deleted: 0 })
    expect(reads).toEqual([])
  })

  it('lets a version that the stack no longer has stand aside and carries the rest', async () => {
    await begin()
    const [lost, kept] = [await author('Lost'), await author('Kept')]
    for (const uid of [lost, kept]) await publish(uid, 1)
    const detail = stackOf().entries['main']!['author']![lost]!.publishDetails[0]!
    detail.version = 9
    const sync = await stage.createOne(published)
    expect(await stage.lastRun(sync)).toMatchObject({ status: 'partial', failed: 1 })
    expect([row(lost), row(kept)?.['title']]).toEqual([undefined, 'Kept'])
    const failed = await stage.db.selectFrom('link').select('error').where('status', '=', 'failed').execute()
    expect(failed).toEqual([{ error: expect.stringContaining('Version 9') as string }])
  })

  it('misses no publishing that happens while the first run reads many pages, even without a webhook', async () => {
    await begin()
    plantAuthors(stage.sandbox, 230)
    await stage.create({ ...published, locales: ['en-us'] })
    const [first] = Object.keys(stackOf().entries['main']!['author']!).toSorted()
    let pages = 0
    const worker = stage.worker(
      {},
      {
        async stackFor(id, use) {
          const stack = await stage.deps.stackFor(id, use)
          const busy = {
            ...stack,
            with: () => busy,
            entriesPage: async (...asked: Parameters<typeof stack.entriesPage>) => {
              pages += 1
              if (pages === 2) await publish(first!, 1)
              return await stack.entriesPage(...asked)
            }
          }
          return busy
        }
      }
    )
    await worker.drain({ until: Date.now() + 3_600_000 })
    expect(row(first!)).toMatchObject({ version: 1 })
    expect(carried()).toEqual(new Map([...shown()].filter(([key]) => key.endsWith(':en-us'))))
  })

  describe('hints', () => {
    it('may come in any order and as often as they like: the row is what production shows', { timeout: 60_000 }, async () => {
      await begin()
      const uids = [await author('A'), await author('B')]
      await stage.createOne(published)
      const step = fc.record({
        uid: fc.constantFrom(...uids),
        act: fc.constantFrom('edit', 'publish', 'older', 'unpublish', 'elsewhere'),
        locale: fc.constantFrom('en-us', 'de-de')
      })
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 8 }), fc.infiniteStream(fc.nat(99)), async (steps, dice) => {
          const due: [string, string][] = []
          for (const { uid, act, locale } of steps) {
            const newest = stackOf().entries['main']!['author']![uid]!.locales[locale]?.versions.length ?? 0
            if (act === 'edit' || newest === 0) await edit(uid, `${locale} ${newest + 1}`, locale)
            else if (act === 'elsewhere') await publish(uid, newest, { environment: 'development', locale })
            else await publish(uid, act === 'older' ? 1 : newest, { way: act === 'unpublish' ? act : 'publish', locale })
            due.push([uid, locale], [uid, locale])
          }
          due.sort(() => (dice.next().value ?? 0) - 50)
          for (const [index, [uid, locale]] of due.entries()) {
            await hint(uid, locale)
            if ((dice.next().value ?? 0) < 30 || index === due.length - 1) await stage.drain()
          }
          expect(carried()).toEqual(shown())
        }),
        { numRuns: 12 }
      )
    })
  })

  it.each([
    [{ source: 'published' }, 'Name the environment'],
    [{ source: 'published', environment: 'nowhere' }, 'no environment "nowhere"'],
    [{ environment: 'production' }, 'Drafts are in no environment']
  ] as const)('refuses %j and leaves nothing behind', async (choice, words) => {
    await begin()
    await expect(stage.create({ contentTypes: ['author'], ...choice })).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining(words) as string,
      fields: { environment: expect.any(Array) as string[] }
    })
    expect(await stage.db.selectFrom('sync').select('id').execute()).toEqual([])
  })
})
