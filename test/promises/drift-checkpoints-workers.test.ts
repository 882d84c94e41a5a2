// Promises 11, 12 and 13 of docs/design.md: what changed behind our back is found without a webhook, what was read and not yet confirmed
// is read again, and as many workers as there are share the work. Counted at the sandbox and in the destination.
import Sqlite from 'better-sqlite3'
import { afterEach, describe, expect, it } from 'vitest'
import { driftsOf, startDriftBy } from '../../server/sync/drift.ts'
import { syncJobsForRecords } from '../../server/sync/record-jobs.ts'
import type { SyncRow } from '../../server/sync/sync.ts'
import { forEachDatabase } from '../support/databases.ts'
import { dieAt, inbound, landsOf } from '../sync/inbound-stage.ts'
import { openStage, person, plantAuthors, type Stage } from '../sync/stage.ts'

forEachDatabase((open, dialect) => {
  let stage: Stage
  afterEach(() => stage.cleanUp())
  /** Pages of the list of authors that are asked for from now on, each by its address. */
  function listen(): string[] {
    const { faults } = stage.sandbox.context
    const heard: string[] = []
    const { takeHttp } = faults
    faults.takeHttp = (host, method, path) => {
      if (method === 'GET' && path.includes('/author/entries?')) heard.push(path)
      return takeHttp(host, method, path)
    }
    return heard
  }

  describe('promise 11: drift is found and repaired', () => {
    const drift = async (sync: SyncRow, repair: boolean) => {
      await startDriftBy(stage.db, stage.deps, { installationId: stage.installation.id, syncId: sync.id, actor: person, repair })
      await stage.drain()
      return (await driftsOf(stage.db, sync))[0]!
    }
    const content = (table: string) => new Map([...stage.rows(table)].map(([key, { _order, ...row }]) => [key, row]))

    it('in a destination: rows deleted and changed behind our back stand again as they did, without a webhook', async () => {
      stage = await openStage(await open())
      plantAuthors(stage.sandbox, 40)
      const sync = await stage.createOne({ contentTypes: ['author'], locales: ['en-us'] })
      const whole = content('author')
      const [gone, alsoGone, changed] = [...whole.keys()] as [string, string, string]
      for (const key of [gone, alsoGone]) stage.sql('delete from author where _key = ?', key)
      stage.sql('update author set title = ? where _key = ?', 'Somebody else', changed)
      expect(await drift(sync, true)).toMatchObject({ missing: 2, stale: 1, extra: 0, repaired: 3 })
      expect(content('author')).toEqual(whole)
      expect(await drift(sync, true)).toMatchObject({ missing: 0, stale: 0, extra: 0, repaired: 0 })
    })

    it('in the stack: entries deleted and changed by hand are written again, and no other', async () => {
      stage = await openStage(await open())
      const lands = landsOf(stage, 10)
      const sync = await stage.createOne(inbound)
      await stage.cms('DELETE', `/content_types/country/entries/${lands.entry('L003')!.uid}`)
      await stage.cms('PUT', `/content_types/country/entries/${lands.entry('L004')!.uid}`, { entry: { title: 'By hand' } })
      const before = lands.writes()
      expect(await drift(sync, true)).toMatchObject({ missing: 1, stale: 1, repaired: 2 })
      expect(lands.writes()).toBe(before + 2)
      expect([lands.fields('L003')?.['title'], lands.fields('L004')?.['title']]).toEqual(['Land 3', 'Land 4'])
      expect(lands.keys()).toHaveLength(10)
    })
  })

  describe('promise 12: checkpoints only move past what was confirmed or parked', () => {
    it('a process that dies in the middle of a page of the source begins that page again', async () => {
      stage = await openStage(await open())
      const lands = landsOf(stage, 20)
      const [sync] = await stage.create(inbound)
      const checkpoint = async () => (await stage.lastRun(sync!)).checkpoint_json
      const start = await checkpoint()
      await dieAt(stage, 'createEntry', 7)
      expect(lands.writes()).toBeGreaterThanOrEqual(7)
      expect(await checkpoint()).toEqual(start)
      await stage.drain()
      expect(lands.keys()).toHaveLength(20)
      expect(lands.writes()).toBe(20)
      expect(await stage.lastRun(sync!)).toMatchObject({ status: 'success', read: 20, failed: 0 })
    })

    it('a destination that fails does not move it: the page is asked for again, and every row arrives', async () => {
      stage = await openStage(await open())
      plantAuthors(stage.sandbox, 350)
      const [sync] = await stage.create({ contentTypes: ['author'], locales: ['en-us'] })
      const heard = listen()
      let other: Sqlite.Database | undefined
      const worker = stage.worker(
        { concurrency: 1 },
        {
          async stackFor(id, use) {
            const stack = await stage.deps.stackFor(id, use)
            let pages = 0
            const breaking = {
              ...stack,
              with: () => breaking,
              entriesPage: async (...asked: Parameters<typeof stack.entriesPage>) => {
                const page = await stack.entriesPage(...asked)
                if (++pages === 2) {
                  // Somebody else's transaction that does not end.
                  other = new Sqlite(stage.file)
                  other.exec('begin immediate')
                }
                return page
              }
            }
            return breaking
          }
        }
      )
      await worker.drain()
      const stopped = await stage.lastRun(sync!)
      expect(stopped.status).toBe('running')
      expect(stopped.read).toBeLessThanOrEqual(100)
      expect(stage.rows('author').size).toBe(stopped.read)
      const asked = [...heard]
      expect(other?.close().open).toBe(false)
      heard.length = 0
      await stage.drain()
      // The page that was read and did not arrive.
      expect(heard).toContain(asked[1])
      expect(new Set(stage.rows('author').keys())).toEqual(new Set([...stage.entries('author')].filter(key => key.endsWith(':en-us'))))
      const run = await stage.lastRun(sync!)
      expect(run).toMatchObject({ id: stopped.id, status: 'success', failed: 0, read: stage.rows('author').size })
    })
  })

  describe('promise 13: any number of workers', () => {
    it(`${dialect === 'sqlite' ? 'one on SQLite' : 'two on PostgreSQL'} do all the work, each record once`, async () => {
      stage = await openStage(await open())
      const lands = landsOf(stage, 30)
      plantAuthors(stage.sandbox, 60)
      await stage.create(inbound)
      await stage.createOne({ contentTypes: ['author'], locales: ['en-us'] })
      expect({ creates: lands.writes('create'), all: lands.writes() }).toEqual({ creates: 30, all: 30 })
      stage.sql(
        `create table written (_key integer primary key, of text);
         create trigger w1 after insert on author begin insert into written (of) values (new._key); end;
         create trigger w2 after update on author begin insert into written (of) values (new._key); end;`
      )
      const uids = [...stage.rows('author').keys()].map(key => key.split(':')[0]!)
      for (const uid of uids) await stage.cms('PUT', `/content_types/author/entries/${uid}`, { entry: { title: `Changed ${uid}` } })
      const hints = uids.map(entryUid => ({
        installationId: stage.installation.id,
        contentType: 'author',
        entryUid,
        locale: 'en-us',
        branch: 'main',
        cause: 'webhook dlv_1'
      }))
      await stage.db.transaction().execute(trx => syncJobsForRecords(trx, hints))
      const workers = Array.from({ length: dialect === 'sqlite' ? 1 : 2 }, () => stage.worker({ concurrency: 2 }))
      const done = await Promise.all(workers.map(worker => worker.drain({ until: Date.now() + 3_600_000 })))
      expect(done.every(jobs => jobs > 0)).toBe(true)
      expect([...stage.rows('written').values()].map(row => String(row['of'])).toSorted()).toEqual(
        uids.map(uid => `${uid}:en-us`).toSorted()
      )
      for (const row of stage.rows('author').values()) expect(row['title']).toBe(`Changed ${String(row['entry_uid'])}`)
    })
  })
})
