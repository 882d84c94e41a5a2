// Storms of webhooks: they say which records to look at, never what stands in them. However many come and in whatever order, each
// record is written once for what it came to be.
import fc from 'fast-check'
import { afterEach, expect, it } from 'vitest'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { syncJobsForRecords } from '../../server/sync/record-jobs.ts'
import { forEachDatabase } from '../support/databases.ts'
import { openStage, plantAuthors, type Stage } from './stage.ts'

forEachDatabase(open => {
  let stage: Stage
  afterEach(() => stage.cleanUp())
  const begin = async (): Promise<void> => {
    stage = await openStage(await open())
    plantAuthors(stage.sandbox, 20)
    await stage.createOne({ contentTypes: ['author'], locales: ['en-us'] })
    // Rows as the destination itself saw them written.
    stage.sql(
      `create table written (_key integer primary key, of text);
       create trigger w1 after insert on author begin insert into written (of) values (new._key); end;
       create trigger w2 after update on author begin insert into written (of) values (new._key); end;
       create trigger w3 after delete on author begin insert into written (of) values (old._key); end;`
    )
  }
  const authors = () => stage.sandbox.world.stacks[blogApiKey]!.entries['main']!['author']!
  const planted = () => Object.keys(authors()).filter(uid => uid.startsWith('bltf'))
  const hints = (batch: { uid: string; locale: string | null }[]): Promise<number[] | null> =>
    stage.db.transaction().execute(trx =>
      syncJobsForRecords(
        trx,
        batch.map(({ uid, locale }, index) => ({
          installationId: stage.installation.id,
          contentType: 'author',
          entryUid: uid,
          locale,
          branch: 'main',
          cause: `webhook dlv_${index}`
        }))
      )
    )
  const written = (): number => stage.rows('written').size
  const edit = (uid: string, title: string) => stage.cms('PUT', `/content_types/author/entries/${uid}`, { entry: { title } })
  const shown = () =>
    new Map(
      Object.values(authors()).flatMap(entry => {
        const newest = entry.locales['en-us']?.versions.at(-1)
        return newest ? [[`${entry.uid}:en-us`, `${newest.version} ${String(newest.fields['title'])}`] as const] : []
      })
    )
  const carried = () => new Map([...stage.rows('author')].map(([key, row]) => [key, `${String(row['version'])} ${String(row['title'])}`]))

  it('500 webhooks about 20 entries cost one read and one write of each', async () => {
    await begin()
    const uids = planted()
    expect(uids).toHaveLength(20)
    for (const [index, uid] of uids.entries()) await edit(uid, `Stormy ${index}`)
    for (let sent = 0; sent < 500; sent += 50) {
      await hints(Array.from({ length: 50 }, (_, index) => ({ uid: uids[(sent + index * 7) % 20]!, locale: 'en-us' })))
    }
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
    await worker.drain({ until: Date.now() + 3_600_000 })
    expect(new Set(reads)).toEqual(new Set(uids))
    expect(reads).toHaveLength(20)
    expect(written()).toBe(20)
    expect(carried()).toEqual(shown())
  })

  it('ends like the stack in whatever order hints of edits and deletes come, and however often', { timeout: 60_000 }, async () => {
    await begin()
    const step = fc.record({ entry: fc.nat(4), act: fc.constantFrom('edit', 'edit', 'delete') })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 10 }), fc.infiniteStream(fc.nat(99)), async (steps, dice) => {
        const roll = (): number => dice.next().value ?? 0
        const uids = planted().slice(0, 5)
        const due: { uid: string; locale: string | null }[] = []
        for (const [index, { entry, act }] of steps.entries()) {
          const uid = uids[entry]
          if (uid === undefined || !authors()[uid]) continue
          if (act === 'edit') await edit(uid, `Step ${index} ${roll()}`)
          else await stage.cms('DELETE', `/content_types/author/entries/${uid}?delete_all_localized=true`)
          const hint = { uid, locale: act === 'edit' ? 'en-us' : null }
          for (let again = 0; again <= roll() % 3; again++) due.push(hint)
        }
        const shuffled = due.map(hint => ({ hint, at: roll() })).toSorted((a, b) => a.at - b.at)
        for (const [index, { hint }] of shuffled.entries()) {
          await hints([hint])
          if (roll() < 30 || index === shuffled.length - 1) await stage.drain()
        }
        expect(carried()).toEqual(shown())
      }),
      { numRuns: 15 }
    )
  })
})
