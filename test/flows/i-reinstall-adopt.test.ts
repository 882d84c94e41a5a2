// Flow I, a reinstall: the app is uninstalled in the CMS, installed again, and takes over what the earlier installation knew. The truth
// is the sandbox's own write log and the destination's own rows: no entry is created again, and no row is written again.
import { join } from 'node:path'
import BetterSqlite from 'better-sqlite3'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { until } from '../../sandbox/demo/admin.ts'
import type { Adopted, Connection, List, Predecessor, Run, Sync } from '../../server/http/contract/stack.ts'
import { becomesEqual, type Destination, openDestination } from '../support/destination.ts'
import { askStack, type Connected, connect, type Flow, onBothDatabases } from '../support/flow.ts'

onBothDatabases('I. reinstall and take over', (open, dialect) => {
  let flow: Flow
  let destination: Destination
  let first: Connected
  let second: Connected
  let inbound: Sync
  let outbound: Sync[]
  let written: number
  let rows: Record<string, Record<string, unknown>[]>
  let links: number
  afterAll(() => destination?.close())

  const writes = () => flow.stack.writes.filter(({ module }) => module === 'entry').length
  const rowsOf = async () => {
    const found: typeof rows = {}
    for (const { target } of outbound) {
      const ofTable = await destination.rows(target)
      found[target] = ofTable.toSorted((one, other) => String(one['_key']).localeCompare(String(other['_key'])))
    }
    return found
  }
  const runsAreOver = async ({ pages }: Connected, count: number): Promise<Run[]> =>
    await until(
      'the runs to be over',
      async () => {
        const runs = await pages.runs()
        return runs.length >= count && runs.every(({ status }) => !['queued', 'running'].includes(status)) ? runs : null
      },
      60
    )
  const change = (syncId: string, state: 'active' | 'paused') =>
    askStack<Sync>(flow, second.pages, `/syncs/${syncId}`, { method: 'PATCH', json: { state } })
  const connections = async () => (await askStack<List<Connection>>(flow, second.pages, '/connections')).items
  const predecessors = async () => (await askStack<List<Predecessor>>(flow, second.pages, '/predecessors')).items

  beforeAll(async () => {
    flow = await open()
    destination = await openDestination(flow)
    first = await connect(flow)
    const source = await first.pages.connect({
      connector: 'sql',
      name: 'World database',
      settings: { system: 'sqlite', file: 'world.db' },
      secrets: {}
    })
    inbound = (
      await first.pages.createSyncs({
        direction: 'inbound',
        connectionId: source.id,
        contentTypes: ['country'],
        target: 'countries',
        externalIdField: 'code',
        schedule: { cron: '0 3 * * *', timeZone: 'Europe/Zurich' }
      })
    )[0]!
    await runsAreOver(first, 1)
    const website = await first.pages.connect(destination.connection)
    outbound = await first.pages.createSyncs({
      direction: 'outbound',
      connectionId: website.id,
      contentTypes: ['article', 'author', 'country'],
      target: ''
    })
    await runsAreOver(first, 4)
    await becomesEqual(flow.stack, outbound, destination, 60)
    written = writes()
    rows = await rowsOf()
    links = (await flow.database.db.selectFrom('link').select('external_id').execute()).length
  })

  it('ends with the uninstall in the CMS, and keeps what it knew', async () => {
    expect(written).toBeGreaterThanOrEqual(flow.records)
    const { urls, stack, person } = flow
    await person.ask(`${urls.developerHub}/installations/${first.installationUid}`, {
      method: 'DELETE',
      headers: { authtoken: first.admin.authtoken, organization_uid: stack.organizationUid }
    })
    const { db } = flow.database
    await until(
      'the syncs to be paused',
      async () => {
        const active = await db.selectFrom('sync').select('id').where('state', '=', 'active').execute()
        return active.length === 0 ? true : null
      },
      30
    )
    expect(await db.selectFrom('installation').select(['id', 'status']).execute()).toEqual([
      { id: first.installationId, status: 'uninstalled' }
    ])
    expect(await db.selectFrom('link').select('external_id').execute()).toHaveLength(links)
    const secrets = await db.selectFrom('secret').select('envelope').where('installation_id', '=', first.installationId).execute()
    expect(new Set(secrets.map(({ envelope }) => envelope))).toEqual(new Set(['']))
  })

  it('begins clean when it is installed again, and says what may be taken over', async () => {
    second = await connect(flow)
    expect(second.installationId).not.toBe(first.installationId)
    expect(await second.pages.syncs()).toEqual([])
    expect(await connections()).toEqual([])
    expect(await predecessors()).toEqual([expect.objectContaining({ id: first.installationId, connections: 2, syncs: 4, links })])
  })

  it('takes all of it over, with its rhythm, paused', async () => {
    const from = first.installationId
    const taken = await askStack<Adopted>(flow, second.pages, '/adopt', { method: 'POST', json: { from } })
    expect(taken).toEqual({ connections: 2, syncs: 4, links })
    const syncs = await second.pages.syncs()
    expect(new Set(syncs.map(({ id }) => id))).toEqual(new Set([inbound, ...outbound].map(({ id }) => id)))
    for (const sync of syncs) expect(sync).toMatchObject({ state: 'paused', pausedReason: expect.stringMatching(/^Taken over/) })
    expect(syncs.find(({ id }) => id === inbound.id)?.schedule).toEqual(inbound.schedule)
    expect(await predecessors()).toEqual([])
    await expect(askStack(flow, second.pages, '/adopt', { method: 'POST', json: { from } })).rejects.toThrow(/409/)
  })

  it('asks for the secrets that the uninstall erased before a sync goes on', async () => {
    const website = (await connections()).find(({ name }) => name === destination.connection.name)!
    // A database file asks for none: there is nothing to give again.
    expect(website).toMatchObject({ secrets: dialect === 'sqlite' ? 'none' : 'erased' })
    if (dialect === 'sqlite') return
    await expect(change(outbound[0]!.id, 'active')).rejects.toThrow(/409/)
    const path = `/connections/${website.id}`
    await expect(askStack(flow, second.pages, path, { method: 'PATCH', json: { secrets: { password: 'mistyped' } } })).rejects.toThrow()
    const given = await askStack<Connection>(flow, second.pages, path, {
      method: 'PATCH',
      json: { secrets: destination.connection.secrets }
    })
    expect(given).toMatchObject({ id: website.id, secrets: 'kept', error: null })
  })

  it('goes on without creating an entry or writing a row anew', async () => {
    const before = await second.pages.runs()
    for (const { id } of [inbound, ...outbound]) expect((await change(id, 'active')).state).toBe('running')
    const runs = (await runsAreOver(second, before.length + 4)).filter(({ id }) => !before.some(known => known.id === id))
    expect(runs).toHaveLength(4)
    for (const run of runs) expect(run).toMatchObject({ status: 'success', written: 0, deleted: 0, failed: 0 })
    expect(runs.find(({ syncId }) => syncId === inbound.id)).toMatchObject({ read: flow.records, skipped: flow.records })
    expect(writes()).toBe(written)
    // To the last column: not so much as the order of a write was raised.
    expect(await rowsOf()).toEqual(rows)
    expect(await flow.database.db.selectFrom('link').select('external_id').execute()).toHaveLength(links)
  })

  it('lives again: a change on either side arrives once', async () => {
    const source = new BetterSqlite(join(flow.filesDirectory, 'world.db'))
    source.prepare(`update countries set capital = 'Bonn' where code = 'DEU'`).run()
    source.close()
    await askStack<Run>(flow, second.pages, `/syncs/${inbound.id}/run`, { method: 'POST', json: {} })
    await until('the change to be written', async () => (writes() > written ? true : null), 30)
    await becomesEqual(flow.stack, outbound, destination, 60)
    expect(writes()).toBe(written + 1)
  })
})
