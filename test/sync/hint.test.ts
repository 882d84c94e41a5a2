import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Database } from '../../server/database/database.ts'
import { type Hint, hintSeconds, readAgainIn } from '../../server/sync/hint.ts'
import { latestHint } from '../../server/webhooks/hints.ts'
import { recordDeliveries } from '../../server/webhooks/delivery.ts'
import { syncJobsForRecord } from '../../server/sync/record-jobs.ts'
import { outboundOptions, type SyncRow } from '../../server/sync/sync.ts'
import { forEachDatabase } from '../support/databases.ts'
import { openStage, type Stage } from './stage.ts'

describe('a read beside what was announced', () => {
  const now = 1_000_000
  const hint = (changes: Partial<Hint> = {}): Hint => ({ version: 3, gone: false, heardAt: now, ...changes })

  it.each<[string, { _version: number } | null, Partial<Hint> | null, boolean]>([
    ['that nothing was announced of', { _version: 1 }, null, true],
    ['that has come as far', { _version: 3 }, {}, true],
    ['that has come further', { _version: 4 }, {}, true],
    ['that is a version behind', { _version: 2 }, {}, false],
    ['of an entry not there yet', null, {}, false],
    ['of an entry that is gone, as announced', null, { gone: true }, true],
    ['of an entry that should be gone', { _version: 3 }, { gone: true }, false],
    ['of an entry that came back since', { _version: 4 }, { gone: true }, true]
  ])('%s', (_name, entry, changes, good) => {
    expect(readAgainIn(entry, changes && hint(changes), now) === null).toBe(good)
  })

  it('is repeated at growing pauses, ten times at most, and then taken for what is', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2_000 }), lag => {
        let [at, reads] = [now + lag, 0]
        for (let pause = readAgainIn(null, hint(), at); pause !== null; pause = readAgainIn(null, hint(), at)) {
          at += pause * 1000
          reads += 1
        }
        expect(reads).toBeLessThanOrEqual(10)
        expect(at - now).toBeGreaterThanOrEqual(hintSeconds * 1000)
        expect(at - now).toBeLessThan((hintSeconds + 4) * 1000)
      })
    )
  })
})

forEachDatabase(open => {
  let database: Database
  let stage: Stage
  let sync: SyncRow
  let serial = 0
  beforeEach(async () => {
    database = await open()
    stage = await openStage(database)
    sync = await stage.createOne({ contentTypes: ['country'], locales: ['en-us'] })
  })
  afterEach(() => stage.cleanUp())

  const path = '/content_types/country/entries'
  /** The webhook of a change: delivery and job, as dispatch leaves them. */
  async function hear(entryUid: string, version: number, event = 'update', heardAt = Date.now()): Promise<void> {
    const { id: installationId, organization_id: organizationId } = stage.installation
    const body = Buffer.from(`${(serial += 1)}`)
    const about = { door: 'test', module: 'entry', event, objectUid: entryUid, contentType: 'country', locale: 'en-us', branch: 'main' }
    await database.db.transaction().execute(async trx => {
      const delivery = { organizationId, installationId, ...about, version, body, triggeredAt: heardAt, receivedAt: heardAt }
      await recordDeliveries(trx, [delivery])
      await syncJobsForRecord(trx, { ...delivery, installationId, entryUid, cause: 'webhook dlv_1' })
    })
  }
  const work = async (until?: number) => {
    const worker = stage.worker({}, { hintOf: record => latestHint(database.db, record) })
    await worker.drain(until === undefined ? {} : { until })
    await worker.stop()
  }
  const titles = () => [...stage.rows(outboundOptions(sync).table).values()].map(row => row['title'])
  const job = () =>
    database.db.selectFrom('job').selectAll().where('kind', '=', 'sync.record').orderBy('id', 'desc').executeTakeFirstOrThrow()

  describe('a webhook that comes before a read shows its change', () => {
    it('is looked at again, at no attempt, until the read has come as far', async () => {
      const { body } = await stage.cms('POST', path, { entry: { title: 'Late', code: 'LL' } })
      await stage.sandbox.settleWebhooks()
      stage.sandbox.context.plays.entryReads = 'late'
      await hear(body.entry.uid, 1, 'create')
      await work()
      expect(titles()).not.toContain('Late')
      expect(await job()).toMatchObject({ state: 'ready', attempt: 0 })
      stage.sandbox.clock.advance(2_000)
      await work(Date.now() + 3_600_000)
      expect(titles()).toContain('Late')
      expect(await job()).toMatchObject({ state: 'done' })
    })

    it('of a deletion is not taken for an unchanged entry', async () => {
      const { body } = await stage.cms('POST', path, { entry: { title: 'Going', code: 'GG' } })
      await hear(body.entry.uid, 1, 'create')
      await work()
      expect(titles()).toContain('Going')
      stage.sandbox.clock.advance(2_000)
      stage.sandbox.context.plays.entryReads = 'late'
      await stage.cms('DELETE', `${path}/${body.entry.uid}`)
      await hear(body.entry.uid, 1, 'delete')
      await work()
      expect(titles()).toContain('Going')
      stage.sandbox.clock.advance(2_000)
      await work(Date.now() + 3_600_000)
      expect(titles()).not.toContain('Going')
    })

    it('raises what a job waits for that an earlier webhook has made', async () => {
      const { body } = await stage.cms('POST', path, { entry: { title: 'First', code: 'FF' } })
      await hear(body.entry.uid, 1, 'create')
      stage.sandbox.clock.advance(2_000)
      stage.sandbox.context.plays.entryReads = 'late'
      await stage.cms('PUT', `${path}/${body.entry.uid}`, { entry: { title: 'Second' } })
      await hear(body.entry.uid, 2)
      await work()
      expect(titles()).not.toContain('First')
      expect((await database.db.selectFrom('job').select('id').where('kind', '=', 'sync.record').execute()).length).toBe(1)
      stage.sandbox.clock.advance(2_000)
      await work(Date.now() + 3_600_000)
      expect(titles()).toContain('Second')
    })

    it('that announces what no read ever shows does not keep the record waiting for ever', async () => {
      const { body } = await stage.cms('POST', path, { entry: { title: 'Stuck', code: 'SS' } })
      await hear(body.entry.uid, 7, 'update', Date.now() - hintSeconds * 1000 + 500)
      await work()
      expect(titles()).not.toContain('Stuck')
      await new Promise(resolve => setTimeout(resolve, 600))
      await work(Date.now() + 3_600_000)
      expect(titles()).toContain('Stuck')
    })
  })
})
