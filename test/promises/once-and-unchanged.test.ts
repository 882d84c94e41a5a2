// Promises 3 and 4 of docs/design.md, counted where it hurts: in the sandbox's log of accepted writes, in its requests, and by triggers
// in the destination. Every way an answer can be lost stands in test/sync; here is what no refactoring may take away.
import { afterEach, describe, expect, it } from 'vitest'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { startRunBy } from '../../server/sync/runs.ts'
import { forEachDatabase } from '../support/databases.ts'
import { dieAt, inbound, landsOf } from '../sync/inbound-stage.ts'
import { openStage, person, plantAuthors, type Stage } from '../sync/stage.ts'

forEachDatabase(open => {
  let stage: Stage
  afterEach(() => stage.cleanUp())
  /** Requests about entries that reach the sandbox from now on. */
  function listen(): string[] {
    const { faults } = stage.sandbox.context
    const heard: string[] = []
    const { takeHttp } = faults
    faults.takeHttp = (host, method, path) => {
      if (path.includes('/entries')) heard.push(`${method} ${path}`)
      return takeHttp(host, method, path)
    }
    return heard
  }

  describe('promise 3: effectively once', () => {
    it('makes one entry and one write of a record, whatever became of the answers and of the process', async () => {
      stage = await openStage(await open())
      const lands = landsOf(stage, 12)
      const { faults } = stage.sandbox.context
      const [sync] = await stage.create(inbound)
      await dieAt(stage, 'createEntry', 3)
      for (const kind of ['reset-after', 'truncate'] as const)
        faults.add({ kind, host: 'contentManagement', method: 'POST', pathPattern: 'country/entries' })
      await stage.drain()
      const keys = Array.from({ length: 12 }, (_, index) => `L${String(index).padStart(3, '0')}`)
      expect(lands.keys()).toEqual(keys)
      expect({ creates: lands.writes('create'), all: lands.writes() }).toEqual({ creates: 12, all: 12 })
      expect(await stage.lastRun(sync!)).toMatchObject({ status: 'success', read: 12, failed: 0 })

      lands.put('L004', 'Renamed once')
      lands.put('L005', 'Renamed as well')
      for (const kind of ['reset-after', 'truncate'] as const)
        faults.add({ kind, host: 'contentManagement', method: 'PUT', pathPattern: 'country/entries' })
      expect(await lands.rerun(sync!)).toMatchObject({ status: 'success', failed: 0 })
      expect({ updates: lands.writes('update'), all: lands.writes() }).toEqual({ updates: 2, all: 14 })
      expect([lands.fields('L004')?.['title'], lands.fields('L005')?.['title']]).toEqual(['Renamed once', 'Renamed as well'])
      expect(lands.keys()).toEqual(keys)
    })
  })

  describe('promise 4: unchanged costs nothing', () => {
    it('into the stack: a second run makes no write and reads no entry', async () => {
      stage = await openStage(await open())
      const lands = landsOf(stage, 30)
      const sync = await stage.createOne(inbound)
      const before = lands.writes()
      expect(before).toBe(30)
      const heard = listen()
      expect(await lands.rerun(sync)).toMatchObject({ status: 'success', read: 30, skipped: 30 })
      expect(lands.writes()).toBe(before)
      expect(heard).toEqual([])
    })

    it('out of the stack: a second run writes no row and reads no entry by itself', async () => {
      stage = await openStage(await open())
      plantAuthors(stage.sandbox, 150)
      const sync = await stage.createOne({ contentTypes: ['author'], locales: ['en-us'] })
      stage.sql(
        `create table written (_key integer primary key, of text);
         create trigger w1 after insert on author begin insert into written (of) values (new._key); end;
         create trigger w2 after update on author begin insert into written (of) values (new._key); end;
         create trigger w3 after delete on author begin insert into written (of) values (old._key); end;`
      )
      const writes = stage.sandbox.world.stacks[blogApiKey]!.writes.length
      const heard = listen()
      await startRunBy(stage.db, stage.deps, { sync, actor: person })
      await stage.drain()
      const run = await stage.lastRun(sync)
      expect(run).toMatchObject({ status: 'success', written: 0, deleted: 0, failed: 0 })
      expect(run.read).toBeGreaterThanOrEqual(150)
      expect(stage.rows('written').size).toBe(0)
      expect(stage.sandbox.world.stacks[blogApiKey]!.writes).toHaveLength(writes)
      // Pages of the list and nothing else.
      expect(heard.length).toBeGreaterThan(0)
      expect(heard.filter(request => !request.startsWith('GET ') || /entries\/blt/.test(request))).toEqual([])
    })
  })
})
