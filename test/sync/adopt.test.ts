import { afterEach, expect, it } from 'vitest'
import { blogApiKey, shopApiKey } from '../../sandbox/world/built-in.ts'
import { newId } from '../../server/database/id.ts'
import type { Installation } from '../../server/installations/installation.ts'
import { hold } from '../../server/jobs/queue.ts'
import { schedule, tick } from '../../server/jobs/scheduler.ts'
import { adopt, predecessorsOf } from '../../server/sync/adopt.ts'
import { startRun } from '../../server/sync/runs.ts'
import { getSync, pauseSync, resumeSync, type SyncRow } from '../../server/sync/sync.ts'
import { forEachDatabase } from '../support/databases.ts'
import { insertInstallation } from '../support/rows.ts'
import { belongings, endOf, plantLinks, reinstall } from './predecessor.ts'
import { openStage, person, type Stage } from './stage.ts'

forEachDatabase(open => {
  let stage: Stage
  afterEach(() => stage.cleanUp())

  const begin = async (): Promise<void> => {
    stage = await openStage(await open())
  }
  const countries = async (records: number): Promise<SyncRow> => {
    stage.sql('create table land (cca3 text primary key, name text, capital text)')
    for (let index = 0; index < records; index++)
      stage.sql('insert into land values (?, ?, ?)', `L${index}`, `Land ${index}`, `City ${index}`)
    return await stage.createOne({ direction: 'inbound', contentTypes: ['country'], target: 'land', externalIdField: 'code' })
  }
  const take = (installation: Installation, from: string, until?: number) =>
    adopt(stage.db, stage.deps, { installation, from, actor: person, until })
  const writes = () => stage.sandbox.world.stacks[blogApiKey]!.writes.filter(({ module }) => module === 'entry').length
  const moved = (installation: Installation, { id }: SyncRow) => getSync(stage.db, { installationId: installation.id, id })
  const nothing = { connection: 0, sync: 0, link: 0, run: 0, intent: 0 }

  it('finds every entry and every row again: no write to the stack, no row rewritten', async () => {
    await begin()
    const inbound = await countries(60)
    const outbound = await stage.createOne({ contentTypes: ['article'] })
    const had = await belongings(stage, stage.installation.id)
    const [written, rows] = [writes(), stage.rows('article')]
    expect(written).toBe(60)
    expect(rows.size).toBeGreaterThan(3)

    const installation = await reinstall(stage)
    const answer = await take(installation, stage.installation.id)
    expect(answer).toEqual({ finished: true, connections: 1, syncs: 2, links: had['link'] })
    expect(await belongings(stage, installation.id)).toEqual(had)
    expect(await belongings(stage, stage.installation.id)).toEqual(nothing)

    for (const sync of [inbound, outbound]) {
      expect(await moved(installation, sync)).toMatchObject({ state: 'paused', paused_reason: expect.stringContaining('Connect a token') })
      await resumeSync(stage.db, stage.deps, { installationId: installation.id, id: sync.id, actor: person })
    }
    await stage.drain()
    expect(await stage.lastRun(inbound)).toMatchObject({
      status: 'success',
      read: 60,
      written: 0,
      skipped: 60,
      installation_id: installation.id
    })
    expect(await stage.lastRun(outbound)).toMatchObject({ status: 'success', written: 0, deleted: 0, failed: 0 })
    // Not so much as the order of a write was raised.
    expect(writes()).toBe(written)
    expect(stage.rows('article')).toEqual(rows)
  })

  it('carries on where the old one stopped: what changed in between is written once', async () => {
    await begin()
    const inbound = await countries(5)
    const installation = await reinstall(stage)
    stage.sql(`update land set capital = 'Moved' where cca3 = 'L3'`)
    stage.sql('insert into land values (?, ?, ?)', 'NEW', 'Newland', 'New')
    await take(installation, stage.installation.id)
    const before = writes()
    await resumeSync(stage.db, stage.deps, { installationId: installation.id, id: inbound.id, actor: person })
    await stage.drain()
    expect(await stage.lastRun(inbound)).toMatchObject({ status: 'success', written: 2, skipped: 4 })
    expect(writes() - before).toBe(2)
    expect(Object.keys(stage.sandbox.world.stacks[blogApiKey]!.entries['main']!['country'] ?? {})).toHaveLength(6)
  })

  it('lists what may be taken over, of the same stack alone, and no longer once it is', async () => {
    await begin()
    const { db } = stage
    const sync = await stage.createOne({ contentTypes: ['article'] })
    const links = (await belongings(stage, stage.installation.id))['link']
    const installation = await reinstall(stage)
    const { organization_id, app_uid } = installation
    // Ended without ever having had anything; another stack's; another organization's; one that still stands.
    await insertInstallation(db, { organization_id, app_uid, stack_api_key: blogApiKey, status: 'uninstalled' })
    await insertInstallation(db, { organization_id, app_uid, stack_api_key: shopApiKey, status: 'uninstalled' })
    await insertInstallation(db, { app_uid, stack_api_key: blogApiKey, status: 'uninstalled' })
    const ended = await db.selectFrom('installation').selectAll().where('id', '=', stage.installation.id).executeTakeFirstOrThrow()
    expect(await predecessorsOf(db, installation)).toEqual([
      { id: ended.id, installedAt: ended.created_at, endedAt: ended.updated_at, connections: 1, syncs: 1, links }
    ])
    await take(installation, ended.id)
    expect(await predecessorsOf(db, installation)).toEqual([])
    expect(await moved(installation, sync)).toMatchObject({ state: 'paused' })
  })

  const refusals: [what: string, code: string, words: RegExp, prepare: (stage: Stage, installation: Installation) => Promise<string>][] = [
    ['an id that never was', 'not_found', /no installation ins_nobody/, async () => 'ins_nobody'],
    [
      "another organization's",
      'not_found',
      /no installation ins_/,
      async ({ db }, { app_uid }) => (await insertInstallation(db, { app_uid, stack_api_key: blogApiKey, status: 'uninstalled' })).id
    ],
    [
      "another stack's",
      'conflict',
      new RegExp(`installed in Harbour site \\(${shopApiKey}\\), not in`),
      async ({ db }, { organization_id, app_uid }) =>
        (await insertInstallation(db, { organization_id, app_uid, stack_api_key: shopApiKey, status: 'uninstalled' })).id
    ],
    [
      "another region's",
      'conflict',
      /was installed in/,
      async ({ db }, { organization_id, app_uid }) =>
        (await insertInstallation(db, { organization_id, app_uid, region: 'eu', stack_api_key: blogApiKey, status: 'uninstalled' })).id
    ],
    [
      "another app's",
      'conflict',
      /of another app/,
      async ({ db }, { organization_id }) =>
        (await insertInstallation(db, { organization_id, app_uid: 'app-other', stack_api_key: blogApiKey, status: 'uninstalled' })).id
    ],
    ['itself', 'conflict', /has not ended/, async (_stage, { id }) => id],
    [
      'one that was taken over by a third',
      'conflict',
      /taken over by ins_third already/,
      async ({ db, installation }) => {
        await db.updateTable('installation').set({ adopted_by: 'ins_third' }).where('id', '=', installation.id).execute()
        return installation.id
      }
    ],
    [
      'one that it took over before',
      'conflict',
      /taken over by this installation already/,
      async ({ db, deps, installation: old }, installation) => {
        await adopt(db, deps, { installation, from: old.id, actor: person })
        return old.id
      }
    ],
    [
      'one whose work has not stopped',
      'conflict',
      /still coming to its end/,
      async ({ db, installation: { id } }) => {
        await db
          .insertInto('job')
          .values({
            kind: 'sync.record',
            lane: 'live',
            key: null,
            group_id: id,
            unique_key: null,
            payload_json: '{}',
            state: 'running',
            attempt: 1,
            max_attempts: 1,
            run_at: Date.now(),
            lease_token: 'x',
            lease_until: Date.now() + 60_000,
            error: null,
            created_at: Date.now(),
            finished_at: null
          })
          .execute()
        return id
      }
    ]
  ]

  it.each(refusals)('refuses %s', async (_what, code, words, prepare) => {
    await begin()
    await stage.createOne({ contentTypes: ['article'] })
    const installation = await reinstall(stage)
    const from = await prepare(stage, installation)
    const before = [await belongings(stage, stage.installation.id), await belongings(stage, installation.id)]
    await expect(take(installation, from)).rejects.toMatchObject({ code, message: expect.stringMatching(words) })
    expect([await belongings(stage, stage.installation.id), await belongings(stage, installation.id)]).toEqual(before)
  })

  it.each(['pending', 'uninstalled'] as const)('refuses to give to an installation that is %s', async status => {
    await begin()
    const installation = await reinstall(stage)
    await stage.db.updateTable('installation').set({ status }).where('id', '=', installation.id).execute()
    await expect(take({ ...installation, status }, stage.installation.id)).rejects.toMatchObject({ code: 'conflict' })
    // A view that is older than the truth does not help.
    await expect(take(installation, stage.installation.id)).rejects.toMatchObject({ code: 'conflict' })
  })

  it('broken off in the middle it has changed nothing that counts, and finishes when asked again', async () => {
    await begin()
    const sync = await stage.createOne({ contentTypes: ['article'] })
    await plantLinks(stage.db, sync, 1_300)
    const had = await belongings(stage, stage.installation.id)
    const installation = await reinstall(stage)
    const first = await take(installation, stage.installation.id, 0)
    expect(first).toMatchObject({ finished: false, syncs: 1, links: had['link'] })
    expect(await belongings(stage, installation.id)).toEqual({ ...nothing, link: 500 })
    await expect(moved(installation, sync)).rejects.toMatchObject({ code: 'not_found' })
    expect(await predecessorsOf(stage.db, installation)).toMatchObject([{ id: stage.installation.id, links: had['link'] }])
    const events = () => stage.db.selectFrom('audit_event').selectAll().where('action', '=', 'installation.adopt').execute()
    expect(await events()).toEqual([])

    // Each turn goes on behind the one before, however short they are.
    let answer = first
    for (let turns = 0; turns < 5 && !answer.finished; turns++) answer = await take(installation, stage.installation.id, 0)
    expect(answer).toEqual({ finished: true, connections: 1, syncs: 1, links: had['link'] })
    expect(await belongings(stage, installation.id)).toEqual(had)
    expect(await belongings(stage, stage.installation.id)).toEqual(nothing)
    expect(await events()).toMatchObject([{ actor_name: person.name, object_id: installation.id, installation_id: installation.id }])
  })

  it('what a second one left half done when it was uninstalled itself, a third finishes, and the second no more', async () => {
    await begin()
    const sync = await stage.createOne({ contentTypes: ['article'] })
    await plantLinks(stage.db, sync, 700)
    const had = await belongings(stage, stage.installation.id)
    const second = await reinstall(stage)
    await take(second, stage.installation.id, 0)
    const third = await reinstall(stage, second)
    await expect(take(second, stage.installation.id)).rejects.toMatchObject({ code: 'conflict' })
    expect((await take(third, stage.installation.id)).finished).toBe(true)
    expect(await belongings(stage, third.id)).toEqual(had)
    expect(await belongings(stage, second.id)).toEqual(nothing)
  })

  it('asked twice at once, one does it and the other says so', async () => {
    await begin()
    const sync = await stage.createOne({ contentTypes: ['article'] })
    await plantLinks(stage.db, sync, 1_200)
    const had = await belongings(stage, stage.installation.id)
    const installation = await reinstall(stage)
    const answers = await Promise.allSettled([take(installation, stage.installation.id), take(installation, stage.installation.id)])
    expect(answers.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    expect(answers.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'conflict' } })
    expect(await belongings(stage, installation.id)).toEqual(had)
  })

  it('passes on through a line of reinstalls', async () => {
    await begin()
    const sync = await stage.createOne({ contentTypes: ['article'] })
    const second = await reinstall(stage)
    await take(second, stage.installation.id)
    const third = await reinstall(stage, second)
    expect((await predecessorsOf(stage.db, third)).map(({ id }) => id)).toEqual([second.id])
    await take(third, second.id)
    const { paused_reason: reason } = await moved(third, sync)
    expect(reason?.match(/Taken over/g)).toHaveLength(1)
  })

  it('keeps why a person had paused a sync, stops runs that were under way, and drops the jobs of the old one', async () => {
    await begin()
    const [stopped] = await stage.create({ contentTypes: ['article'] })
    const [going] = await stage.create({ contentTypes: ['author'] })
    const { id: old } = stage.installation
    await pauseSync(stage.db, stage.deps, { installationId: old, id: stopped!.id, actor: person })
    await endOf(stage.db, stage.credentials, stage.installation)
    // What came after the uninstall had dropped the waiting jobs.
    await stage.db.transaction().execute(trx => startRun(trx, { sync: going!, cause: 'person', causedBy: 'x' }))
    await stage.db.updateTable('job').set({ state: 'ready', finished_at: null }).where('group_id', '=', old).execute()
    const installation = await reinstall(stage)
    await take(installation, old)
    expect((await moved(installation, stopped!)).paused_reason).toMatch(/^Taken over .* Before that: Paused by Ada Admin\.$/)
    expect((await stage.lastRun(going!)).status).toBe('paused')
    const states = await stage.db.selectFrom('job').select('state').where('group_id', '=', old).execute()
    expect(states.length).toBeGreaterThan(0)
    expect(new Set(states.map(({ state }) => state))).toEqual(new Set(['cancelled']))
  })

  it('takes the schedules along: their jobs are of the new installation, in the old rhythm', async () => {
    await begin()
    const [sync] = await stage.create({ contentTypes: ['article'], schedule: { cron: '0 3 * * *', timeZone: 'Europe/Zurich' } })
    await stage.drain()
    const before = await stage.db.selectFrom('schedule').selectAll().where('id', '=', sync!.id).executeTakeFirstOrThrow()
    // Of another sync, which stays what it is.
    const other = { kind: 'x', lane: 'backfill' as const, payload: {}, group: stage.installation.id }
    await schedule(stage.db, { id: newId('syn'), organizationId: null, cron: '0 4 * * *', timeZone: 'UTC', job: other })
    const installation = await reinstall(stage)
    await take(installation, stage.installation.id)
    const after = await stage.db.selectFrom('schedule').selectAll().where('id', '=', sync!.id).executeTakeFirstOrThrow()
    expect({ ...after, job_json: '' }).toEqual({ ...before, job_json: '' })
    expect(JSON.parse(after.job_json)).toEqual({ ...(JSON.parse(before.job_json) as object), group: installation.id })
    await resumeSync(stage.db, stage.deps, { installationId: installation.id, id: sync!.id, actor: person })
    await stage.drain()
    await tick(stage.db, before.next_at)
    await stage.drain()
    expect(await stage.lastRun(sync!)).toMatchObject({ cause: 'schedule', status: 'success', installation_id: installation.id })
  })

  it('leaves the other tenant of the same stack name, and its links, alone', async () => {
    await begin()
    const sync = await stage.createOne({ contentTypes: ['article'] })
    const theirs = await insertInstallation(stage.db, { app_uid: stage.installation.app_uid, stack_api_key: blogApiKey })
    const theirSync = { ...sync, link_set_id: newId('lks'), organization_id: theirs.organization_id, installation_id: theirs.id }
    await plantLinks(stage.db, theirSync, 3)
    await hold(stage.db, theirs.id, 'theirs')
    const before = await belongings(stage, theirs.id)
    const installation = await reinstall(stage)
    await take(installation, stage.installation.id)
    expect(await belongings(stage, theirs.id)).toEqual(before)
  })
})
