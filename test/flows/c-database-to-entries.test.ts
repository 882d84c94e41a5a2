// Flow C, from an external system to entries: a table of all countries into the content type `country`. The truth is the sandbox's
// own write log: one entry per country whatever happens, and no write at all where nothing changed.
import { join } from 'node:path'
import BetterSqlite from 'better-sqlite3'
import { beforeAll, expect, it } from 'vitest'
import { until } from '../../sandbox/demo/admin.ts'
import type { FailedRecord, List, Run, Sync } from '../../server/http/contract/stack.ts'
import { askStack, type Connected, connect, type Flow, onBothDatabases } from '../support/flow.ts'

const worldDatabase = { connector: 'sql', name: 'World database', settings: { system: 'sqlite', file: 'world.db' }, secrets: {} }

async function syncCountries({ pages }: Connected): Promise<Sync> {
  const { id } = await pages.connect(worldDatabase)
  const [sync] = await pages.createSyncs({
    direction: 'inbound',
    connectionId: id,
    contentTypes: ['country'],
    target: 'countries',
    externalIdField: 'code'
  })
  return sync!
}

async function runIsOver(flow: Flow, { pages }: Connected, id: string, seconds = 30): Promise<Run> {
  return await until(
    'the run to be over',
    async () => {
      const run = await askStack<Run>(flow, pages, `/runs/${id}`)
      return ['queued', 'running'].includes(run.status) ? null : run
    },
    seconds
  )
}

const countryWrites = ({ stack }: Flow) => stack.writes.filter(({ module, contentType }) => module === 'entry' && contentType === 'country')

/** Code -> how many entries hold it. */
function codes({ stack }: Flow): Map<string, number> {
  const found = new Map<string, number>()
  for (const { locales } of Object.values(stack.entries['main']!['country'] ?? {})) {
    const code = String(locales['en-us']?.versions.at(-1)?.fields['code'])
    found.set(code, (found.get(code) ?? 0) + 1)
  }
  return found
}

function inSource<T>({ filesDirectory }: Flow, work: (database: BetterSqlite.Database) => T): T {
  const database = new BetterSqlite(join(filesDirectory, 'world.db'))
  try {
    return work(database)
  } finally {
    database.close()
  }
}

onBothDatabases('C. database to entries', open => {
  let flow: Flow
  let connected: Connected
  let sync: Sync
  const startRun = () => askStack<Run>(flow, connected.pages, `/syncs/${sync.id}/run`, { method: 'POST', json: {} })
  const rerun = async () => await runIsOver(flow, connected, (await startRun()).id)

  beforeAll(async () => {
    flow = await open()
    connected = await connect(flow)
  })

  it('makes one entry of each record, also where the answer to a write never arrives', async () => {
    flow.sandbox.context.faults.add({ kind: 'reset-after', method: 'POST', pathPattern: '/content_types/country/entries', times: 5 })
    sync = await syncCountries(connected)
    const [run] = await connected.pages.runs()
    const { status, written, failed } = await runIsOver(flow, connected, run!.id)
    expect({ status, written, failed }).toEqual({ status: 'success', written: flow.records, failed: 0 })
    expect([...codes(flow).values()].every(count => count === 1)).toBe(true)
    expect(codes(flow).size).toBe(flow.records)
    expect(countryWrites(flow)).toHaveLength(flow.records)
    expect(new Set(countryWrites(flow).map(({ by }) => by.kind))).toEqual(new Set(['management_token']))
  })

  it('writes nothing when nothing changed', async () => {
    const before = countryWrites(flow).length
    const run = await rerun()
    expect(run).toMatchObject({ status: 'success', written: 0, skipped: flow.records, failed: 0 })
    expect(countryWrites(flow)).toHaveLength(before)
  })

  it('writes a changed record and no other', async () => {
    inSource(flow, database => database.prepare(`update countries set capital = 'Bonn' where code = 'DEU'`).run())
    const before = countryWrites(flow).length
    expect(await rerun()).toMatchObject({ status: 'success', written: 1 })
    const [write, ...others] = countryWrites(flow).slice(before)
    expect(others).toEqual([])
    expect(flow.stack.entries['main']!['country']![write!.uid]!.locales['en-us']!.versions.at(-1)!.fields).toMatchObject({
      code: 'DEU',
      capital: 'Bonn'
    })
  })

  it('lets poisoned records stand aside with their error, carries the others, and ends partial, never as a success', async () => {
    inSource(flow, database => {
      database.prepare(`update countries set area = 'enormous' where code = 'FRA'`).run()
      database.prepare(`update countries set title = '' where code = 'ITA'`).run()
      database.prepare(`update countries set capital = 'Ghent' where code = 'BEL'`).run()
    })
    const run = await rerun()
    expect(run).toMatchObject({ status: 'partial', written: 1, failed: 2 })
    const { items } = await askStack<List<FailedRecord>>(flow, connected.pages, `/runs/${run.id}/failures`)
    expect(Object.fromEntries(items.map(({ key, error }) => [key, error]))).toEqual({
      FRA: expect.stringContaining('area'),
      ITA: expect.stringContaining('title')
    })
    expect(await connected.pages.syncs()).toEqual([
      expect.objectContaining({ state: 'failing', records: { synced: flow.records - 2, failed: 2 } })
    ])
  })

  it('carries them once they are mended, and is well again', async () => {
    inSource(flow, database => {
      database.prepare(`update countries set area = 551695 where code = 'FRA'`).run()
      database.prepare(`update countries set title = 'Italia' where code = 'ITA'`).run()
    })
    expect(await rerun()).toMatchObject({ status: 'success', failed: 0 })
    expect(await connected.pages.syncs()).toEqual([
      expect.objectContaining({ state: 'active', records: { synced: flow.records, failed: 0 } })
    ])
    expect(codes(flow).size).toBe(flow.records)
  })
})

onBothDatabases('C. killed in the middle', open => {
  it('makes no second entry of any record, and finishes what it began', async () => {
    const flow = await open()
    const connected = await connect(flow)
    let created = 0
    const killed = new Promise<void>((resolve, reject) => {
      flow.sandbox.context.changes.subscribe(change => {
        if (change.module !== 'entry' || change.event !== 'create') return
        created += 1
        // In the middle of a write: its answer is not sent yet.
        if (created === 90) flow.server.kill().then(resolve, reject)
      })
    })
    const sync = await syncCountries(connected)
    await killed
    expect(created).toBeLessThan(flow.records)
    await flow.server.start()
    const [run] = await connected.pages.runs()
    expect(run!.status).toBe('running')
    const over = await runIsOver(flow, connected, run!.id, 90)
    expect(over).toMatchObject({ status: 'success', failed: 0, read: flow.records })
    const twice = [...codes(flow)].filter(([, count]) => count > 1)
    expect(twice).toEqual([])
    expect(codes(flow).size).toBe(flow.records)
    expect(countryWrites(flow).filter(({ action }) => action === 'create')).toHaveLength(flow.records)
    expect(await connected.pages.syncs()).toEqual([expect.objectContaining({ id: sync.id, state: 'active' })])
  })
})
