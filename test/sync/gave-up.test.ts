// A job whose process dies each time it is run ends dead, and whoever waits for it is told: a run does not stay `running` for ever.
import { afterEach, expect, it } from 'vitest'
import type { Db } from '../../server/database/database.ts'
import { claimJobs, recoverJobs } from '../../server/jobs/claim.ts'
import { listDead, retryDead } from '../../server/jobs/dead.ts'
import { syncJobsForRecord } from '../../server/sync/record-jobs.ts'
import { beginRun } from '../../server/sync/runs.ts'
import { forEachDatabase } from '../support/databases.ts'
import { openStage, type Stage } from './stage.ts'

/** As processes would that die of the job: taken up, lease run out, taken up again. Returns how often. */
async function dieOf(db: Db, kind: string): Promise<number> {
  const lane = kind === 'sync.run' ? 'backfill' : 'live'
  for (let times = 0; ; times += 1) {
    const [job] = await claimJobs(db, { lane, limit: 1, leaseSeconds: -1, after: '', groupLimit: 1, busyHere: {} })
    if (job?.kind !== kind) throw new Error(`there is no ${kind} to be taken up`)
    await recoverJobs(db)
    if (times >= 20) return times
  }
}

forEachDatabase(open => {
  let stage: Stage
  afterEach(() => stage.cleanUp())

  it('a run whose process dies each time is failed, and its sync can be started again', async () => {
    stage = await openStage(await open())
    const [sync] = await stage.create({ contentTypes: ['author'] })
    const queued = await stage.lastRun(sync!)
    await beginRun(stage.db, queued.id)
    await dieOf(stage.db, 'sync.run')
    expect((await stage.lastRun(sync!)).status).toBe('running')
    await stage.drain()
    const run = await stage.lastRun(sync!)
    expect(run).toMatchObject({ id: queued.id, status: 'failed' })
    expect(run.error).toBe('Quayside gave up: the process that ran it stopped before it was done.')
    expect(run.finished_at).not.toBeNull()
    expect((await listDead(stage.db, {}, { limit: 10 })).map(({ kind }) => kind)).toEqual(['sync.run'])
  })

  it('a record whose process dies each time is in trouble by name, and replay means sync this key now', async () => {
    stage = await openStage(await open())
    const sync = await stage.createOne({ contentTypes: ['author'] })
    const [uid, locale] = [...stage.entries('author')][0]!.split(':') as [string, string]
    await stage.cms('PUT', `/content_types/author/entries/${uid}?locale=${locale}`, { entry: { title: 'Before the crash' } })
    const record = {
      installationId: stage.installation.id,
      contentType: 'author',
      entryUid: uid,
      locale,
      branch: 'main',
      cause: 'webhook dlv_1'
    }
    await stage.db.transaction().execute(trx => syncJobsForRecord(trx, record))
    await dieOf(stage.db, 'sync.record')
    await stage.drain()
    const link = () =>
      stage.db
        .selectFrom('link')
        .select(['error', 'status'])
        .where('link_set_id', '=', sync.link_set_id)
        .where('entry_uid', '=', uid)
        .where('locale', '=', locale)
        .executeTakeFirst()
    expect((await link())?.error).toBe('Quayside gave up: the process that ran it stopped before it was done.')
    await stage.cms('PUT', `/content_types/author/entries/${uid}?locale=${locale}`, { entry: { title: 'After the crash' } })
    await stage.db.transaction().execute(trx => retryDead(trx, { kind: 'sync.record' }, 10))
    await stage.drain()
    expect(stage.rows('author').get(`${uid}:${locale}`)?.['title']).toBe('After the crash')
    expect((await link())?.error).toBeNull()
  })
})
