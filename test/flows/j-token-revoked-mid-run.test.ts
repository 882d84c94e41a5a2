// Flow J: the stack's token is revoked in the middle of a run of a thousand records, into the stack and out of it. The run waits, costs
// no attempt, fails nothing; an admin's grant brings a new token, and it goes on where it was: nothing lost, nothing written twice.
import { join } from 'node:path'
import BetterSqlite from 'better-sqlite3'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { giveGrant, until } from '../../sandbox/demo/admin.ts'
import { createPerson } from '../../sandbox/demo/person.ts'
import type { FaultRule } from '../../sandbox/faults.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { plantEntries } from '../../sandbox/world/built-in-entries.ts'
import { otto } from '../../sandbox/world/people.ts'
import type { Run, Sync } from '../../server/http/contract/stack.ts'
import { type Destination, differences, openDestination } from '../support/destination.ts'
import { askStack, type Connected, connect, type Flow, onBothDatabases, reopen } from '../support/flow.ts'

const many = 1_000

onBothDatabases('J. the token is revoked in mid-run', open => {
  let flow: Flow
  let connected: Connected
  let destination: Destination

  beforeAll(async () => {
    flow = await open({ world: world => plantProducts(world.stacks[blogApiKey]!) })
    connected = await connect(flow)
    destination = await openDestination(flow)
  })
  afterAll(() => destination.close())

  it('from a database to entries: each record is one entry, written once', async () => {
    fillSource(flow)
    const { id } = await connected.pages.connect({
      connector: 'sql',
      name: 'World database',
      settings: { system: 'sqlite', file: 'world.db' },
      secrets: {}
    })
    const revoked = revokeAt(flow, { kind: 'hold', method: 'POST', pathPattern: '/content_types/country/entries', skip: many / 2 })
    const [sync] = await connected.pages.createSyncs({
      direction: 'inbound',
      connectionId: id,
      contentTypes: ['country'],
      target: 'countries',
      externalIdField: 'code'
    })
    const former = await revoked
    await waitsWithoutCost(flow, sync!)
    await bringNewToken(flow, connected)
    expect(await over(flow, connected, sync!)).toMatchObject({ status: 'success', read: many, written: many, failed: 0, error: null })

    const writes = flow.stack.writes.filter(({ module, contentType }) => module === 'entry' && contentType === 'country')
    const codes = Object.values(flow.stack.entries['main']!['country']!).map(
      entry => entry.locales['en-us']!.versions.at(-1)!.fields['code'] as string
    )
    expect({ entries: codes.length, codes: new Set(codes).size, writes: writes.length }).toEqual({
      entries: many,
      codes: many,
      writes: many
    })
    expect(writes.every(({ action }) => action === 'create')).toBe(true)
    const by = new Map(writes.map(write => [write.by.uid, 0]))
    for (const write of writes) by.set(write.by.uid, by.get(write.by.uid)! + 1)
    expect([...by.keys()]).toEqual([former, expect.any(String)])
    expect(by.get(former)).toBeGreaterThanOrEqual(many / 2)
    await nothingFailed(flow)
  })

  it('from entries to a database: it equals the stack', async () => {
    const { id } = await connected.pages.connect(destination.connection)
    const before = flow.stack.writes.length
    const revoked = revokeAt(flow, { kind: 'hold', method: 'GET', pathPattern: '/content_types/product/entries\\?', skip: 6 })
    const syncs = await connected.pages.createSyncs({ direction: 'outbound', connectionId: id, contentTypes: ['product'], target: '' })
    await revoked
    await waitsWithoutCost(flow, syncs[0]!)
    const halfway = (await destination.rows(syncs[0]!.target)).length
    expect(halfway).toBeGreaterThan(0)
    expect(halfway).toBeLessThan(many)
    await bringNewToken(flow, connected)
    const run = await over(flow, connected, syncs[0]!)
    const rows = await destination.rows(syncs[0]!.target)
    expect(run).toMatchObject({ status: 'success', written: rows.length, failed: 0, error: null })
    expect(await differences(flow.stack, syncs, destination)).toEqual([])
    // The outbound run itself writes nothing into the stack; the tokens and the webhook are custody's.
    expect(flow.stack.writes.slice(before).filter(({ module }) => module === 'entry')).toEqual([])
    await nothingFailed(flow)
  })
})

function plantProducts(stack: Parameters<typeof plantEntries>[0]): void {
  const ropes = Array.from({ length: many }, (_, index) => ({
    contentType: 'product',
    name: `Rope ${index}`,
    locales: { 'en-us': { title: `Rope ${index}`, sku: `ROPE-${index}`, price: index } }
  }))
  plantEntries(stack, 'main', ropes, Date.parse('2024-06-01T00:00:00Z'), otto.uid)
}

function fillSource({ filesDirectory }: Flow): void {
  const database = new BetterSqlite(join(filesDirectory, 'world.db'))
  const insert = database.prepare(`insert into countries (code, title, region, independent) values (?, ?, 'Sea', 1)`)
  database.transaction(() => {
    database.exec('delete from countries')
    for (let index = 0; index < many; index += 1) insert.run(`I${String(index).padStart(4, '0')}`, `Island ${index}`)
  })()
  database.close()
}

/** The current token dies while that request is on its way, which then meets the refusal. Returns the token's uid. */
async function revokeAt({ sandbox, stack, person, urls }: Flow, rule: FaultRule): Promise<string> {
  const { id } = sandbox.context.faults.add(rule)
  await sandbox.context.faults.untilHit(id)
  const { uid } = Object.values(stack.managementTokens).find(({ dead }) => !dead)!
  await person.ask(`${urls.control}/tokens/${uid}/revoke`, { method: 'POST' })
  sandbox.context.faults.remove(id)
  return uid
}

/** Held, with its job due the moment it is released, no attempt spent and no write in doubt. */
async function waitsWithoutCost({ database: { db } }: Flow, sync: Sync): Promise<void> {
  const runJobs = () => db.selectFrom('job').selectAll().where('kind', '=', 'sync.run').where('finished_at', 'is', null).execute()
  const jobs = await until(
    'the hold to stand and the run to wait',
    async () => {
      const held = await db.selectFrom('job_hold').select('held_at').execute()
      const jobs = await runJobs()
      return held.length === 1 && jobs.every(({ state }) => state === 'ready') ? jobs : null
    },
    30
  )
  expect(jobs).toHaveLength(1)
  expect(jobs[0]).toMatchObject({ state: 'ready', attempt: 0 })
  expect(jobs[0]!.run_at).toBeLessThanOrEqual(Date.now())
  expect(await db.selectFrom('intent').select('external_id').execute()).toEqual([])
  const run = await db.selectFrom('run').select('status').where('sync_id', '=', sync.id).executeTakeFirstOrThrow()
  expect(run.status).toBe('running')
}

/** Contentstack is asked for the grant and consents as in the beginning, over HTTP. */
async function bringNewToken(flow: Flow, connected: Connected): Promise<void> {
  const { admin, installationUid } = connected
  connected.pages = await reopen(flow, admin, installationUid)
  await giveGrant(createPerson(), flow.urls, admin, flow.app.appUid, flow.stack.organizationUid, connected.pages)
}

async function over(flow: Flow, { pages }: Connected, sync: Sync): Promise<Run> {
  const { id } = (await pages.runs()).find(({ syncId }) => syncId === sync.id)!
  return await until(
    'the run to be over',
    async () => {
      const run = await askStack<Run>(flow, pages, `/runs/${id}`)
      return ['queued', 'running'].includes(run.status) ? null : run
    },
    60
  )
}

async function nothingFailed({ database: { db } }: Flow): Promise<void> {
  const jobs = await db.selectFrom('job').select(['kind', 'state', 'attempt', 'error']).where('kind', '=', 'sync.run').execute()
  expect(jobs.map(({ state, attempt }) => ({ state, attempt }))).toEqual(jobs.map(() => ({ state: 'done', attempt: 1 })))
  expect(await db.selectFrom('job').select(['kind', 'error']).where('state', '=', 'dead').execute()).toEqual([])
}
