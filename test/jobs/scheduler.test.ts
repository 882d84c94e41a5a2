import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Db } from '../../server/database/database.ts'
import { hold, release } from '../../server/jobs/queue.ts'
import { nextRunOf, schedule, tick, unschedule } from '../../server/jobs/scheduler.ts'
import { forEachDatabase } from '../support/databases.ts'

const hour = 3_600_000
const nightly = {
  id: 'syn_1',
  organizationId: null,
  cron: '0 3 * * *',
  timeZone: 'Europe/Zurich',
  job: { kind: 'sync.run', lane: 'backfill' as const, payload: { sync: 1 }, group: 'ins_1' }
}

forEachDatabase(open => {
  let db: Db
  beforeEach(async () => {
    db ??= (await open()).db
  })
  afterEach(async () => {
    await db.deleteFrom('job').execute()
    await db.deleteFrom('schedule').execute()
  })
  const jobs = async () => await db.selectFrom('job').select(['kind', 'lane', 'group_id', 'payload_json', 'unique_key']).execute()

  test('a due schedule becomes one job, and its next time moves on', async () => {
    await schedule(db, nightly)
    const due = (await nextRunOf(db, 'syn_1'))!
    expect(new Date(due).toLocaleString('en-GB', { timeZone: 'Europe/Zurich', hour: '2-digit', minute: '2-digit' })).toBe('03:00')
    expect(await tick(db, due - 1)).toBe(0)
    expect(await tick(db, due)).toBe(1)
    expect(await tick(db, due)).toBe(0)
    expect(await jobs()).toMatchObject([{ kind: 'sync.run', lane: 'backfill', group_id: 'ins_1', payload_json: '{"sync":1}' }])
    expect(await nextRunOf(db, 'syn_1')).toBeGreaterThan(due)
  })

  test('after a pause there is one catch-up, and the next time lies ahead', async () => {
    await schedule(db, { ...nightly, cron: '*/5 * * * *' })
    const awake = (await nextRunOf(db, 'syn_1'))! + 48 * hour
    expect(await tick(db, awake)).toBe(1)
    expect(await jobs()).toHaveLength(1)
    expect(await nextRunOf(db, 'syn_1')).toBeGreaterThan(awake)
  })

  test('processes that tick at once enqueue a tick once', async () => {
    await schedule(db, nightly)
    const due = (await nextRunOf(db, 'syn_1'))!
    const counts = await Promise.all([tick(db, due), tick(db, due), tick(db, due)])
    expect(counts.toSorted((one, other) => one - other)).toEqual([0, 0, 1])
    expect(await jobs()).toHaveLength(1)
  })

  test('while a tick waits under a hold the next ones join it', async () => {
    await schedule(db, nightly)
    await hold(db, nightly.job.group, 'no token')
    for (let night = 0; night < 5; night += 1) await tick(db, (await nextRunOf(db, 'syn_1'))!)
    await release(db, nightly.job.group)
    expect(await jobs()).toHaveLength(1)
  })

  test('scheduling the same again keeps its time, another rhythm counts anew, unscheduling ends it', async () => {
    await schedule(db, nightly)
    await db.updateTable('schedule').set({ next_at: 5 }).execute()
    await schedule(db, { ...nightly, job: { ...nightly.job, payload: { sync: 2 } } })
    expect(await nextRunOf(db, 'syn_1')).toBe(5)
    await schedule(db, { ...nightly, cron: '0 4 * * *' })
    expect(await nextRunOf(db, 'syn_1')).toBeGreaterThan(Date.now())
    await unschedule(db, 'syn_1')
    await unschedule(db, 'syn_1')
    expect(await nextRunOf(db, 'syn_1')).toBeNull()
    expect(await tick(db, Date.now() + 48 * hour)).toBe(0)
  })

  test.each([
    ['an hour that is none', { cron: '0 25 * * *' }, 'cron'],
    ['words', { cron: 'every night' }, 'cron'],
    ['nothing', { cron: '' }, 'cron'],
    ['a day that never comes', { cron: '0 0 30 2 *' }, 'cron'],
    ['a time zone that is none', { timeZone: 'Mars/Olympus' }, 'timeZone']
  ])('refuses %s by the name of the field', async (_, given, field) => {
    await expect(schedule(db, { ...nightly, ...given })).rejects.toMatchObject({
      code: 'invalid',
      fields: { [field]: [expect.any(String)] }
    })
    expect(await nextRunOf(db, 'syn_1')).toBeNull()
  })
})
