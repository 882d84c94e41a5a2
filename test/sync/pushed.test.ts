// Records pushed by an external system: what the door takes, what it refuses, and what becomes of what it took.
import { createHmac } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { largestPushBytes, openPushDoor, receivePushed, recordsPerPush } from '../../server/sync/pushed.ts'
import { pauseSync, resumeSync, type SyncRow } from '../../server/sync/sync.ts'
import { forEachDatabase } from '../support/databases.ts'
import { applyPlan } from '../../server/sync/plans.ts'
import { dieAt, inbound, type Lands, landsOf } from './inbound-stage.ts'
import { openStage, person, type Stage } from './stage.ts'

forEachDatabase(open => {
  let stage: Stage
  let lands: Lands
  let sync: SyncRow
  let secret: string
  let messages = 0
  beforeEach(async () => {
    stage = await openStage(await open())
    lands = landsOf(stage, 2)
    sync = await stage.createOne({
      ...inbound,
      mapping: [
        { from: 'cca3', to: 'code', required: true },
        { from: 'name', to: 'title' },
        { from: 'capital', to: 'capital' }
      ],
      inbound: { onDisappearance: 'delete' }
    })
    secret = (await openPushDoor(stage.db, stage.deps, { installationId: stage.installation.id, id: sync.id, actor: person })).signingSecret
  })
  afterEach(() => stage.cleanUp())

  const record = (key: string, name: string) => ({ key, values: { cca3: key, name, capital: `Capital of ${name}` } })
  const signed = (body: string, { id = `msg_${++messages}`, at = new Date(), by = secret } = {}) => ({
    syncId: sync.id,
    rawBody: Buffer.from(body),
    headers: {
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': new Webhook(by).sign(id, at, body)
    } as Record<string, string>
  })
  const push = (body: unknown, more = {}) => receivePushed(stage.db, stage.deps, signed(JSON.stringify(body), more))
  const traces = async (): Promise<number> => {
    const tables = ['pushed_batch', 'run', 'job', 'link', 'intent'] as const
    const counts = await Promise.all(
      tables.map(table =>
        stage.db
          .selectFrom(table)
          .select(eb => eb.fn.countAll<number>().as('count'))
          .executeTakeFirstOrThrow()
      )
    )
    return counts.reduce((sum, { count }) => sum + count, 0)
  }

  it('carries records and deletions as a run would, and counts them', async () => {
    await push({ records: [record('L000', 'Renamed'), record('NEW', 'Newland'), record('L001', 'Land 1')] })
    await stage.drain()
    expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', cause: 'push', read: 3, written: 2, skipped: 1 })
    expect(lands.keys()).toEqual(['L000', 'L001', 'NEW'])
    await push({ deleted: ['NEW', 'NEVER'] })
    await stage.drain()
    expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', deleted: 1 })
    expect(lands.keys()).toEqual(['L000', 'L001'])
    expect(await stage.db.selectFrom('pushed_batch').select('body_json').execute()).toEqual([{ body_json: '' }, { body_json: '' }])
    // The next run of the table finds what it says already there, or brings it back to that.
    expect(await lands.rerun(sync)).toMatchObject({ status: 'success', written: 1, skipped: 1 })
    expect(lands.fields('L000')).toMatchObject({ title: 'Land 0' })
  })

  it('takes a message once, however often it comes', async () => {
    const first = await push({ records: [record('A', 'Aland')] }, { id: 'same' })
    expect(first.duplicate).toBe(false)
    const again = await Promise.all(Array.from({ length: 4 }, () => push({ records: [record('A', 'Aland')] }, { id: 'same' })))
    expect(again).toEqual(Array.from({ length: 4 }, () => ({ duplicate: true, runId: first.runId })))
    const many = await Promise.all(Array.from({ length: 4 }, () => push({ records: [record('B', 'Beland')] }, { id: 'together' })))
    expect(many.filter(({ duplicate }) => !duplicate)).toHaveLength(1)
    await stage.drain()
    expect(lands.keys()).toEqual(['A', 'B', 'L000', 'L001'])
  })

  it('carries batches in the order in which they came', async () => {
    for (let turn = 1; turn <= 6; turn++) await push({ records: [record('A', `Turn ${turn}`)] })
    await stage.drain()
    expect(lands.fields('A')).toMatchObject({ title: 'Turn 6' })
    expect(lands.entry('A')!.locales['en-us']!.versions.map(({ fields }) => fields['title'])).toEqual(
      [1, 2, 3, 4, 5, 6].map(turn => `Turn ${turn}`)
    )
  })

  it('makes no second entry when the process dies in a batch', async () => {
    await push({ records: ['A', 'B', 'C', 'D', 'E', 'F'].map(key => record(key, `Land ${key}`)) })
    await dieAt(stage, 'createEntry', 3)
    await stage.drain()
    expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', read: 6, failed: 0 })
    expect(lands.keys()).toEqual(['A', 'B', 'C', 'D', 'E', 'F', 'L000', 'L001'])
  })

  it('parks deletions beyond the brake in a plan, which an admin carries out by its exact count', async () => {
    const names = Array.from({ length: 40 }, (_, index) => `P${String(index).padStart(2, '0')}`)
    await push({ records: names.map(name => record(name, name)) })
    await stage.drain()
    await push({ deleted: names.slice(0, 30) })
    await stage.drain()
    const error = expect.stringMatching(/30 of 42 .*30 deletes wait in the plan pln_/) as string
    expect(await stage.lastRun(sync)).toMatchObject({ status: 'partial', deleted: 0, failed: 0, error })
    expect(lands.keys()).toHaveLength(42)
    // One of them is back before anybody decides.
    await push({ records: [record('P07', 'P07 again')] })
    await stage.drain()
    const plan = await stage.db.selectFrom('plan').selectAll().where('kind', '=', 'brake').executeTakeFirstOrThrow()
    const apply = { installationId: stage.installation.id, id: plan.id, actor: person }
    await expect(applyPlan(stage.db, stage.deps, { ...apply, allowDeletes: 29 })).rejects.toMatchObject({ code: 'conflict' })
    await applyPlan(stage.db, stage.deps, { ...apply, allowDeletes: 30 })
    await stage.drain()
    expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', read: 30, deleted: 29, skipped: 1, failed: 0 })
    expect(lands.keys()).toEqual(['L000', 'L001', 'P07', ...names.slice(30)])
    const items = await stage.db.selectFrom('plan_item').select(['external_id', 'state']).where('plan_id', '=', plan.id).execute()
    expect(items.filter(({ state }) => state !== 'done')).toEqual([{ external_id: 'P07', state: 'skipped' }])
    await expect(applyPlan(stage.db, stage.deps, { ...apply, allowDeletes: 30 })).rejects.toMatchObject({ code: 'conflict' })
  })

  it('keeps what came before a pause and carries it after, and takes nothing during it', async () => {
    await push({ records: [record('A', 'First')] })
    await push({ records: [record('A', 'Second')] })
    await pauseSync(stage.db, stage.deps, { installationId: stage.installation.id, id: sync.id, actor: person })
    await stage.drain()
    expect(lands.entry('A')).toBeUndefined()
    await expect(push({ records: [record('B', 'B')] })).rejects.toMatchObject({ code: 'conflict' })
    await resumeSync(stage.db, stage.deps, { installationId: stage.installation.id, id: sync.id, actor: person })
    await stage.db
      .updateTable('sync')
      .set({ options_json: sync.options_json.replace('"delete"', '"keep"') })
      .execute()
    await stage.drain()
    expect(lands.fields('A')).toMatchObject({ title: 'Second' })
  })

  it('refuses, each by its code, and keeps nothing of it', async () => {
    type Attempt = ReturnType<typeof signed>
    const good = (): string => JSON.stringify({ records: [record('A', 'A')] })
    const withHeader = (name: string, value: string | undefined): Attempt => {
      const attempt = signed(good())
      if (value === undefined) Reflect.deleteProperty(attempt.headers, name)
      else attempt.headers[name] = value
      return attempt
    }
    const minutes = (count: number) => new Date(Date.now() + count * 60_000)
    const foreign = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
    const named = (change: object) => JSON.stringify({ records: [{ ...record('A', 'A'), ...change }] })
    const hostile: [string, () => Attempt, string][] = [
      ['no id', () => withHeader('webhook-id', undefined), 'forbidden'],
      ['no timestamp', () => withHeader('webhook-timestamp', undefined), 'forbidden'],
      ['no signature', () => withHeader('webhook-signature', undefined), 'forbidden'],
      ['an empty signature', () => withHeader('webhook-signature', 'v1,'), 'forbidden'],
      ['another id than was signed', () => withHeader('webhook-id', 'msg_other'), 'forbidden'],
      ['another time than was signed', () => withHeader('webhook-timestamp', String(Math.floor(Date.now() / 1000) + 1)), 'forbidden'],
      ['a time that is none', () => withHeader('webhook-timestamp', 'NaN'), 'forbidden'],
      ['another secret', () => signed(good(), { by: foreign }), 'forbidden'],
      [
        'another algorithm',
        () => withHeader('webhook-signature', `v1a,${createHmac('sha256', 'x').update(good()).digest('base64')}`),
        'forbidden'
      ],
      ['a changed body', () => ({ ...signed(good()), rawBody: Buffer.from(good().replace('A', 'B')) }), 'forbidden'],
      ['a body with a blank more', () => ({ ...signed(good()), rawBody: Buffer.from(`${good()} `) }), 'forbidden'],
      ['an unknown sync', () => ({ ...signed(good()), syncId: 'syn_00000000000000000000000000' }), 'forbidden'],
      ['a sync that cannot be', () => ({ ...signed(good()), syncId: "syn_'; drop table" }), 'forbidden'],
      ['an old message', () => signed(good(), { at: minutes(-6) }), 'forbidden'],
      ['a message from the future', () => signed(good(), { at: minutes(6) }), 'forbidden'],
      ['no body', () => ({ ...signed(good()), rawBody: Buffer.alloc(0) }), 'invalid'],
      ['a body too large', () => ({ ...signed(good()), rawBody: Buffer.alloc(largestPushBytes + 1) }), 'invalid'],
      ['no JSON', () => signed('records'), 'invalid'],
      ['a list', () => signed('[]'), 'invalid'],
      ['nothing in it', () => signed('{"records":[],"deleted":[]}'), 'invalid'],
      ['a property more', () => signed('{"deleted":["A"],"more":1}'), 'invalid'],
      [
        'too many records',
        () => signed(JSON.stringify({ deleted: Array.from({ length: recordsPerPush + 1 }, (_, index) => `k${index}`) })),
        'invalid'
      ],
      ['an empty key', () => signed(named({ key: '' })), 'invalid'],
      ['a key that is no text', () => signed(named({ key: 1 })), 'invalid'],
      ['a value that is no scalar', () => signed(named({ values: { cca3: 'A', name: {}, capital: '' } })), 'invalid'],
      ['a column left out', () => signed(named({ values: { cca3: 'A', name: 'A' } })), 'invalid'],
      ['a column that is not mapped', () => signed(named({ values: { cca3: 'A', name: 'A', capital: '', area: 1 } })), 'invalid'],
      ['a record twice', () => signed(JSON.stringify({ records: [record('A', 'A'), record('A', 'B')] })), 'invalid'],
      ['a record that is deleted as well', () => signed(JSON.stringify({ records: [record('A', 'A')], deleted: ['A'] })), 'invalid']
    ]
    const before = await traces()
    for (const [name, attempt, code] of hostile) {
      await expect(receivePushed(stage.db, stage.deps, attempt()), name).rejects.toMatchObject({ code })
      expect(await traces(), name).toBe(before)
    }
  })

  it('tells a stranger nothing apart', async () => {
    const said = await Promise.all(
      [
        { ...signed('{}'), syncId: 'syn_00000000000000000000000000' },
        signed('{}', { by: `whsec_${Buffer.alloc(32, 7).toString('base64')}` })
      ].map(async attempt => await receivePushed(stage.db, stage.deps, attempt).catch((error: unknown) => (error as Error).message))
    )
    expect(new Set(said).size).toBe(1)
  })

  it('believes the old secret no more once the door was opened again, and nobody after an uninstall', async () => {
    const old = secret
    secret = (await openPushDoor(stage.db, stage.deps, { installationId: stage.installation.id, id: sync.id, actor: person })).signingSecret
    await expect(push({ deleted: ['A'] }, { by: old })).rejects.toMatchObject({ code: 'forbidden' })
    expect(await push({ deleted: ['A'] })).toMatchObject({ duplicate: false })
    await stage.db.updateTable('installation').set({ status: 'uninstalled' }).execute()
    await expect(push({ deleted: ['A'] })).rejects.toMatchObject({ code: 'forbidden' })
    await expect(
      openPushDoor(stage.db, stage.deps, { installationId: stage.installation.id, id: sync.id, actor: person })
    ).rejects.toMatchObject({ code: 'conflict' })
  })

  it('opens no door for an outbound sync, nor for another installation', async () => {
    const [outbound] = await stage.create({ direction: 'outbound', contentTypes: ['author'] })
    const of = { installationId: stage.installation.id, actor: person }
    await expect(openPushDoor(stage.db, stage.deps, { ...of, id: outbound!.id })).rejects.toMatchObject({ code: 'conflict' })
    await expect(openPushDoor(stage.db, stage.deps, { ...of, id: 'syn_none' })).rejects.toMatchObject({ code: 'not_found' })
  })
})
