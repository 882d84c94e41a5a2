import { afterEach, expect, it } from 'vitest'
import { newPlan } from '../../server/sync/plans.ts'
import { pruneRecords, recordOutcomes, searchRecords } from '../../server/sync/run-log.ts'
import { paceView, startRunBy } from '../../server/sync/runs.ts'
import { runViews } from '../../server/sync/views.ts'
import { forEachDatabase } from '../support/databases.ts'
import { openStage, person, type Stage } from './stage.ts'

forEachDatabase(open => {
  let stage: Stage
  afterEach(() => stage.cleanUp())
  const begin = async () => {
    stage = await openStage(await open())
    stage.sql('create table land (cca3 text primary key, name text, capital text, area text, independent boolean)')
    for (const [key, area] of Object.entries({ L1: '1', L2: 'wide', 'L%': '3' }))
      stage.sql('insert into land values (?, ?, ?, ?, 1)', key, `Land ${key}`, 'Capital', area)
    return await stage.createOne({ direction: 'inbound', contentTypes: ['country'], target: 'land', externalIdField: 'code' })
  }
  const search = async (asked: object) => (await searchRecords(stage.db, { installationId: stage.installation.id, ...asked })).items

  it('tells each record of a run with its reason; a failure inside is never a success', async () => {
    const sync = await begin()
    const run = await stage.lastRun(sync)
    expect(run).toMatchObject({ status: 'partial', read: 3, written: 2, failed: 1 })
    const told = await search({ runId: run.id })
    expect(new Map(told.map(record => [record.key, record.outcome]))).toEqual(
      new Map([
        ['L1', 'created'],
        ['L2', 'failed'],
        ['L%', 'created']
      ])
    )
    expect(await search({ outcome: 'failed' })).toMatchObject([{ key: 'L2', why: expect.stringMatching(/area/) as string }])
    // What did not change since is counted, not told again.
    await startRunBy(stage.db, stage.deps, { sync, actor: person })
    await stage.drain()
    expect(await search({ runId: (await stage.lastRun(sync)).id })).toMatchObject([{ key: 'L2', outcome: 'failed' }])
  })

  it('is searched by the beginning of a key or an entry uid, taken as they are, within one installation', async () => {
    const sync = await begin()
    const [link] = await stage.db.selectFrom('link').selectAll().where('external_id', '=', 'L1').execute()
    const keys = async (q: string) => new Set((await search({ q })).map(record => record.key))
    expect(await keys('L')).toEqual(new Set(['L1', 'L2', 'L%']))
    expect(await keys('L%')).toEqual(new Set(['L%']))
    expect(await keys('_')).toEqual(new Set())
    expect(await keys("' or 1=1 --")).toEqual(new Set())
    expect(await keys(link!.entry_uid)).toEqual(new Set(['L1']))
    expect((await searchRecords(stage.db, { installationId: 'ins_other', q: 'L' })).items).toEqual([])
    const runId = (await stage.lastRun(sync)).id
    await expect(searchRecords(stage.db, { installationId: 'ins_other', runId })).rejects.toMatchObject({ code: 'not_found' })
  })

  it('pages by age without leaving one out', async () => {
    const sync = await begin()
    const more = Array.from({ length: 1_200 }, (_, n) => ({ key: `more ${n}`, entryUid: '', locale: '', outcome: 'updated' as const }))
    await stage.db.transaction().execute(trx => recordOutcomes(trx, sync, { runId: null, cause: 'webhook dlv_1' }, more))
    const met: string[] = []
    for (let before: string | undefined; ; ) {
      const page = await searchRecords(stage.db, { installationId: stage.installation.id, q: 'more', before }, 97)
      met.push(...page.items.map(record => record.key))
      if (page.next === null) break
      before = page.next
    }
    expect(met).toEqual(more.map(({ key }) => key).toReversed())
  })

  it('forgets what is past its time, with plans that are over, and keeps the runs', async () => {
    const sync = await begin()
    await newPlan(stage.db, sync, { kind: 'dry-run', status: 'ready', reason: '', madeBy: 'x' })
    await stage.db.updateTable('plan').set({ expires_at: 1_000 }).execute()
    const runs = await stage.db.selectFrom('run').selectAll().execute()
    const told = await search({})
    const oldest = told.at(-1)!
    await stage.db.updateTable('run_record').set({ at: 999 }).where('id', '=', oldest.id).execute()
    await pruneRecords(stage.db, 5_000, new AbortController().signal, 2)
    expect(await search({})).toEqual(told.slice(0, -1))
    expect(await stage.db.selectFrom('plan').selectAll().execute()).toEqual([])
    expect(await stage.db.selectFrom('run').selectAll().execute()).toEqual(runs)
  })

  it('says how fast a run goes and what is left', async () => {
    const sync = await begin()
    const run = { ...(await stage.lastRun(sync)), status: 'running' as const, started_at: Date.now() - 120_000, read: 600, total: 1_000 }
    expect(paceView(run)).toEqual({ perMinute: 300, remaining: 400, secondsLeft: 80 })
    expect(paceView({ ...run, pace: 1_200 })).toEqual({ perMinute: 1_200, remaining: 400, secondsLeft: 20 })
    expect(paceView({ ...run, total: null })).toMatchObject({ remaining: null, secondsLeft: null })
    expect((await runViews(stage.db, [await stage.lastRun(sync)]))[0]).toMatchObject({ perMinute: null, secondsLeft: null })
  })
})
