// The death of the server in the middle of a big first run: after it comes back the database equals the stack, whatever people
// did meanwhile, and the run never calls itself a success while one record inside it failed.
import { afterAll, expect, it } from 'vitest'
import { until } from '../../sandbox/demo/admin.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { plantEntries } from '../../sandbox/world/built-in-entries.ts'
import { otto } from '../../sandbox/world/people.ts'
import type { FailedRecord, List } from '../../server/http/contract/stack.ts'
import { becomesEqual, type Destination, differences, openDestination } from '../support/destination.ts'
import { askStack, cma, connect, onBothDatabases } from '../support/flow.ts'

const many = 3_000
const ropes = Array.from({ length: many }, (_, index) => ({
  contentType: 'product',
  name: `Rope ${index}`,
  locales: { 'en-us': { title: `Rope ${index}`, sku: `ROPE-${index}`, price: index } }
}))
/** Contentstack keeps what was written before a field became a number. */
const poison = { contentType: 'product', name: 'Poison', locales: { 'en-us': { title: 'Poison', sku: 'POISON', price: 'gratis' } } }

onBothDatabases('G. the initial sync, killed', open => {
  const cleanups: (() => Promise<void>)[] = []
  afterAll(async () => {
    for (const cleanup of cleanups) await cleanup()
  })

  it('goes on where it was, and the database equals the stack', async () => {
    const flow = await open({
      world: world => plantEntries(world.stacks[blogApiKey]!, 'main', [...ropes, poison], Date.parse('2024-06-01T00:00:00Z'), otto.uid)
    })
    const { pages } = await connect(flow)
    const destination: Destination = await openDestination(flow)
    cleanups.push(destination.close)
    const { id } = await pages.connect(destination.connection)
    const syncs = await pages.createSyncs({ direction: 'outbound', connectionId: id, contentTypes: ['product'], target: '' })
    const counters = () => flow.database.db.selectFrom('run').select(['read', 'written', 'checkpoint_json']).executeTakeFirstOrThrow()
    await until('a few hundred rows', async () => ((await counters()).written >= 300 ? true : null), 30)
    await flow.server.kill()
    const before = await counters()
    expect(before.written).toBeLessThan(many)
    expect(await differences(flow.stack, syncs, destination)).not.toEqual([])

    const editor = await flow.as(otto)
    const entries = '/content_types/product/entries'
    const { entries: oldest } = await cma<{ entries: { uid: string }[] }>(flow, editor, `${entries}?limit=2&asc=uid`)
    const [edited, deleted] = oldest
    await cma(flow, editor, `${entries}/${edited!.uid}`, { method: 'PUT', json: { entry: { title: 'Edited while the server was down' } } })
    await cma(flow, editor, `${entries}/${deleted!.uid}`, { method: 'DELETE' })

    await flow.server.start()
    flow.sandbox.clock.advance(5_000)
    await flow.sandbox.settleWebhooks()
    const run = await until(
      'the run to be over',
      async () => (await pages.runs()).find(({ status }) => !['queued', 'running'].includes(status)) ?? null,
      60
    )
    const poisoned = Object.values(flow.stack.entries['main']!['product']!).find(
      entry => entry.locales['en-us']?.versions.at(-1)?.fields['title'] === 'Poison'
    )!
    const missing = `${syncs[0]!.target}: ${poisoned.uid}:en-us is missing`
    await becomesEqual(flow.stack, syncs, destination, 10, [missing])
    expect(await differences(flow.stack, syncs, destination)).toEqual([missing])

    expect(run).toMatchObject({ status: 'partial', failed: 1 })
    const { items } = await askStack<List<FailedRecord>>(flow, pages, `/runs/${run.id}/failures`)
    expect(items).toEqual([expect.objectContaining({ entryUid: poisoned.uid, error: expect.stringContaining('price') })])
    expect(await pages.syncs()).toEqual([expect.objectContaining({ state: 'failing' })])
  })
})
