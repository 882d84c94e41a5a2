// References by external id, in any order and in circles, between the records of one sync and of two.
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { startRunBy } from '../../server/sync/runs.ts'
import type { SyncRow } from '../../server/sync/sync.ts'
import { forEachDatabase } from '../support/databases.ts'
import { openStage, person, type Stage } from './stage.ts'

interface Node {
  key: string
  parent: string | null
  friends: string[]
}

forEachDatabase(open => {
  let stage: Stage
  afterEach(() => stage.cleanUp())

  const begin = async (): Promise<void> => {
    stage = await openStage(await open())
    for (const [uid, others] of [
      ['node', ['node', 'leaf']],
      ['leaf', ['node']]
    ] as const) {
      const reference = (field: string, to: readonly string[], many: boolean) => ({
        uid: field,
        display_name: field,
        data_type: 'reference',
        reference_to: to,
        field_metadata: { ref_multiple: many, ref_multiple_content_types: true }
      })
      const { status } = await stage.cms('POST', '/content_types', {
        content_type: {
          uid,
          title: uid,
          schema: [
            { uid: 'title', display_name: 'Title', data_type: 'text', mandatory: true, unique: true },
            { uid: 'code', display_name: 'Code', data_type: 'text', mandatory: true, unique: true, non_localizable: true },
            reference('parent', ['node'], false),
            reference('friends', others, true)
          ]
        }
      })
      expect(status).toBe(201)
      stage.sql(`create table ${uid} (code text primary key, title text, parent text, friends text)`)
    }
  }
  const put = (table: string, { key, parent, friends }: Node): void =>
    stage.sql(`insert or replace into ${table} values (?, ?, ?, ?)`, key, `${table} ${key}`, parent, friends.join(', '))
  const syncOf = (table: string) => ({
    direction: 'inbound' as const,
    contentTypes: [table],
    target: table,
    externalIdField: 'code',
    inbound: { references: 'externalId' as const }
  })
  const entriesOf = (type: string) => Object.values(stage.sandbox.world.stacks[blogApiKey]!.entries['main']![type] ?? {})
  /** uid -> code, over both types. */
  const graph = (type: string): Map<string, { parent: string | null; friends: string[] }> => {
    const fields = (uid: string) =>
      [...entriesOf('node'), ...entriesOf('leaf')].find(entry => entry.uid === uid)?.locales['en-us']?.versions.at(-1)?.fields
    const codeOf = (reference: unknown): string => String(fields((reference as { uid: string }).uid)?.['code'])
    return new Map(
      entriesOf(type).map(entry => {
        const held = entry.locales['en-us']!.versions.at(-1)!.fields
        const list = (field: string): string[] => ((held[field] as unknown[] | null) ?? []).map(codeOf)
        return [String(held['code']), { parent: list('parent')[0] ?? null, friends: list('friends') }]
      })
    )
  }
  const wanted = (nodes: readonly Node[]) => new Map(nodes.map(({ key, parent, friends }) => [key, { parent, friends }]))
  const sorted = <T>(map: Map<string, T>) => [...map.entries()].sort(([a], [b]) => (a < b ? -1 : 1))
  const rerun = async (sync: SyncRow) => {
    await startRunBy(stage.db, stage.deps, { sync, actor: person })
    await stage.drain()
    return await stage.lastRun(sync)
  }
  const writes = (): number => stage.sandbox.world.stacks[blogApiKey]!.writes.length
  const pending = () => stage.db.selectFrom('pending_reference').selectAll().execute()

  it('completes forward references and circles within the run', async () => {
    await begin()
    const nodes = [
      { key: 'A', parent: 'Z', friends: ['B', 'A'] },
      { key: 'B', parent: 'A', friends: ['Z', 'A'] },
      { key: 'Z', parent: 'A', friends: [] }
    ]
    for (const node of nodes) put('node', node)
    const sync = await stage.createOne(syncOf('node'))
    expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', read: 3, written: 3, failed: 0 })
    expect(sorted(graph('node'))).toEqual(sorted(wanted(nodes)))
    expect(await pending()).toEqual([])
    const before = writes()
    expect(await rerun(sync)).toMatchObject({ status: 'success', skipped: 3 })
    expect(writes()).toBe(before)
  })

  it('never counts a record as done whose reference leads nowhere, and writes it once', async () => {
    await begin()
    put('node', { key: 'A', parent: 'NOBODY', friends: ['A'] })
    const sync = await stage.createOne(syncOf('node'))
    expect(await stage.lastRun(sync)).toMatchObject({ status: 'partial', read: 1, written: 0, failed: 1 })
    const link = () => stage.db.selectFrom('link').select(['status', 'error']).where('external_id', '=', 'A').executeTakeFirst()
    expect(await link()).toEqual({ status: 'failed', error: expect.stringMatching(/parent names "NOBODY"/) as string })
    expect(graph('node').get('A')).toEqual({ parent: null, friends: ['A'] })
    const before = writes()
    expect(await rerun(sync)).toMatchObject({ status: 'partial', failed: 1 })
    expect(writes()).toBe(before)
    put('node', { key: 'NOBODY', parent: null, friends: [] })
    expect(await rerun(sync)).toMatchObject({ status: 'success', failed: 0 })
    expect(graph('node').get('A')).toEqual({ parent: 'NOBODY', friends: ['A'] })
    expect(await link()).toEqual({ status: 'synced', error: null })
  })

  it('is completed without a person when another sync brings the record', async () => {
    await begin()
    put('node', { key: 'N', parent: null, friends: ['L1', 'L2'] })
    put('leaf', { key: 'L1', parent: 'N', friends: [] })
    put('leaf', { key: 'L2', parent: 'N', friends: [] })
    const nodes = await stage.createOne(syncOf('node'))
    expect(await stage.lastRun(nodes)).toMatchObject({ status: 'partial', failed: 1 })
    const leaves = await stage.createOne(syncOf('leaf'))
    expect(await stage.lastRun(leaves)).toMatchObject({ status: 'success', written: 2 })
    expect(await stage.lastRun(nodes)).toMatchObject({ status: 'success', cause: 'reconcile', failed: 0 })
    expect(graph('node').get('N')).toEqual({ parent: null, friends: ['L1', 'L2'] })
  })

  it('refuses to make an entry whose mandatory reference is not there, and makes it later', async () => {
    await begin()
    const type = stage.sandbox.world.stacks[blogApiKey]!.contentTypes['main']!['leaf']!
    type.schema.find(field => field.uid === 'parent')!.mandatory = true
    put('leaf', { key: 'L', parent: 'N', friends: [] })
    const leaves = await stage.createOne(syncOf('leaf'))
    expect(await stage.lastRun(leaves)).toMatchObject({ status: 'partial', failed: 1 })
    expect(entriesOf('leaf')).toEqual([])
    put('node', { key: 'N', parent: null, friends: [] })
    await stage.createOne(syncOf('node'))
    expect(await stage.lastRun(leaves)).toMatchObject({ status: 'success', cause: 'reconcile', written: 1 })
    expect(graph('leaf').get('L')).toEqual({ parent: 'N', friends: [] })
  })

  it('makes a chain of mandatory references in whatever order they come, and stops at what is not there', async () => {
    await begin()
    const type = stage.sandbox.world.stacks[blogApiKey]!.contentTypes['main']!['leaf']!
    const parent = type.schema.find(field => field.uid === 'parent')!
    Object.assign(parent, { mandatory: true, reference_to: ['leaf', 'node'] })
    put('node', { key: 'ROOT', parent: null, friends: [] })
    for (const [key, above] of [
      ['a', 'b'],
      ['b', 'c'],
      ['c', 'ROOT'],
      ['x', 'NOBODY']
    ] as const)
      put('leaf', { key, parent: above, friends: [] })
    await stage.createOne(syncOf('node'))
    const leaves = await stage.createOne(syncOf('leaf'))
    expect(await stage.lastRun(leaves)).toMatchObject({ status: 'partial', failed: 1 })
    expect([...graph('leaf').keys()].sort()).toEqual(['a', 'b', 'c'])
    expect((await pending()).map(row => row.external_id)).toEqual(['x'])
  })

  describe('whatever the graph', () => {
    const keys = ['a', 'b', 'c', 'd', 'e', 'f']
    const nodesOf = fc.uniqueArray(fc.constantFrom(...keys), { minLength: 1, maxLength: 6 }).chain(own =>
      fc.tuple(
        ...own.map(key =>
          fc.record({
            key: fc.constant(key),
            parent: fc.option(fc.constantFrom(...own), { nil: null }),
            friends: fc.uniqueArray(fc.constantFrom(...own), { maxLength: 3 })
          })
        )
      )
    )
    it('ends with every reference right after at most two runs, and a third writes nothing', { timeout: 120_000 }, async () => {
      await begin()
      let round = 0
      let sync: SyncRow | undefined
      await fc.assert(
        fc.asyncProperty(nodesOf, fc.infiniteStream(fc.boolean()), async (given, later) => {
          round += 1
          const named = (key: string): string => `${key}${round}`
          const nodes = given.map(({ key, parent, friends }) => ({
            key: named(key),
            parent: parent && named(parent),
            friends: friends.map(named)
          }))
          const first = nodes.filter(() => !later.next().value)
          stage.sql('delete from node')
          for (const node of first) put('node', node)
          if (sync) await rerun(sync)
          else sync = await stage.createOne(syncOf('node'))
          for (const node of nodes) put('node', node)
          const last = await rerun(sync)
          expect(last).toMatchObject({ status: 'success', failed: 0 })
          const there = graph('node')
          for (const [key, references] of wanted(nodes)) expect(there.get(key)).toEqual(references)
          const before = writes()
          await rerun(sync)
          expect(writes()).toBe(before)
          expect(await pending()).toEqual([])
        }),
        { numRuns: 8 }
      )
    })
  })
})
