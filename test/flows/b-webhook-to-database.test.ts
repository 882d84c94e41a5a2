// Flow B, from a webhook to the external system: what people do to entries stands in the database, seconds or less later, and no
// death of the server in between loses or doubles any of it. What is compared is the sandbox's world and the database itself.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type CmsLogin, until } from '../../sandbox/demo/admin.ts'
import type { Webhook } from '../../sandbox/world/model.ts'
import { otto } from '../../sandbox/world/people.ts'
import { signBody } from '../../sandbox/webhooks/sign.ts'
import type { Sync } from '../../server/http/contract/stack.ts'
import { type Destination, differences, openDestination } from '../support/destination.ts'
import { cma, type Connected, connect, type Flow, onBothDatabases } from '../support/flow.ts'

onBothDatabases('B. webhook to database', open => {
  let flow: Flow
  let connected: Connected
  let destination: Destination
  let syncs: Sync[]
  let editor: CmsLogin
  const entries = '/content_types/article/entries'
  const equal = () => differences(flow.stack, syncs, destination)

  beforeAll(async () => {
    flow = await open()
    connected = await connect(flow)
    destination = await openDestination(flow)
    const { id } = await connected.pages.connect(destination.connection)
    syncs = await connected.pages.createSyncs({ direction: 'outbound', connectionId: id, contentTypes: ['*'], target: '' })
    editor = await flow.as(otto)
    await initialRunsAreOver()
    await until('our webhook', async () => ourWebhook() ?? null, 10)
  })
  afterAll(() => destination?.close())

  async function initialRunsAreOver(): Promise<void> {
    await until('the initial runs', async () => ((await connected.pages.runs()).every(run => run.status === 'success') ? true : null), 40)
  }

  function ourWebhook(): Webhook | undefined {
    return Object.values(flow.stack.webhooks).find(({ name }) => name === `Quayside ${connected.installationId}`)
  }

  const table = (contentType = 'article') => syncs.find(sync => sync.contentType === contentType)!.target

  async function firstArticle(): Promise<{ uid: string; title: string; _version: number }> {
    const { entries: found } = await cma<{ entries: { uid: string; title: string; _version: number }[] }>(
      flow,
      editor,
      `${entries}?limit=1&asc=created_at`
    )
    return found[0]!
  }

  async function edit(uid: string, title: string, locale = 'en-us'): Promise<number> {
    const { entry } = await cma<{ entry: { _version: number } }>(flow, editor, `${entries}/${uid}?locale=${locale}`, {
      method: 'PUT',
      json: { entry: { title } }
    })
    return entry._version
  }

  /** Milliseconds until the row is so. */
  async function arrives(uid: string, locale: string, is: (row: Record<string, unknown> | undefined) => boolean): Promise<number> {
    const startedAt = performance.now()
    await until(
      `the row of ${uid} in ${locale}`,
      async () => (is((await destination.rows(table())).find(row => row['entry_uid'] === uid && row['locale'] === locale)) ? true : null),
      15
    )
    return performance.now() - startedAt
  }

  it('begins with every entry of every content type in its table, in every locale it has a version in', async () => {
    expect(syncs.map(sync => sync.contentType).sort()).toEqual(Object.keys(flow.stack.contentTypes['main']!).sort())
    expect(await equal()).toEqual([])
    expect((await destination.rows(table())).length).toBeGreaterThan(20)
  })

  it('brings an edit to its row in under a second when nothing else is going on', async () => {
    const { uid } = await firstArticle()
    const version = await edit(uid, 'Edited, and seen at once')
    const took = await arrives(uid, 'en-us', row => Number(row?.['version']) === version && row?.['title'] === 'Edited, and seen at once')
    expect(took).toBeLessThan(1000)
  })

  it('makes a row of its own for a locale that an entry is localised into', async () => {
    const { entry } = await cma<{ entry: { uid: string } }>(flow, editor, entries, {
      method: 'POST',
      json: { entry: { title: 'Only English', url: '/only-english' } }
    })
    await arrives(entry.uid, 'en-us', row => row?.['title'] === 'Only English')
    expect((await destination.rows(table())).filter(row => row['entry_uid'] === entry.uid)).toHaveLength(1)
    await edit(entry.uid, 'Nun auch deutsch', 'de-de')
    await arrives(entry.uid, 'de-de', row => row?.['title'] === 'Nun auch deutsch')
    expect(await equal()).toEqual([])
  })

  it('hears of a publishing, carries nothing that has not changed, and says so', async () => {
    const { uid, _version } = await firstArticle()
    const heard = () => flow.database.db.selectFrom('delivery').select(['event', 'status', 'note']).where('event', '=', 'publish').execute()
    await cma(flow, editor, `${entries}/${uid}/publish`, {
      method: 'POST',
      json: { entry: { environments: ['production'], locales: ['en-us'] }, locale: 'en-us', version: _version }
    })
    await until(
      'the publishing to be dispatched',
      async () => ((await heard()).some(({ status }) => status !== 'received') ? true : null),
      10
    )
    expect(await equal()).toEqual([])
  })

  it('removes the rows of an entry that is deleted, in every locale', async () => {
    const { uid } = (await destination.rows(table())).map(row => ({ uid: String(row['entry_uid']) })).at(-1)!
    await cma(flow, editor, `${entries}/${uid}`, { method: 'DELETE' })
    for (const locale of ['en-us', 'de-de', 'fr-fr']) await arrives(uid, locale, row => row === undefined)
    expect(await equal()).toEqual([])
  })

  it('takes the same webhook twice, or late, as one', async () => {
    const { uid } = await firstArticle()
    flow.sandbox.context.faults.add({ kind: 'duplicate', times: 3 })
    await edit(uid, 'Doubled 1')
    flow.sandbox.context.faults.add({ kind: 'late', delayMs: 3_000 })
    await edit(uid, 'Late 2')
    const version = await edit(uid, 'In time 3')
    await arrives(uid, 'en-us', row => row?.['title'] === 'In time 3' && Number(row['version']) === version)
    flow.sandbox.clock.advance(3_000)
    await flow.sandbox.settleWebhooks()
    flow.sandbox.context.faults.clear()
    await quiet()
    expect(await equal()).toEqual([])
    const bodies = await flow.database.db.selectFrom('delivery').select('body').execute()
    expect(new Set(bodies.map(({ body }) => body)).size).toBe(bodies.length)
  })

  /** No job of this installation waits or runs. */
  async function quiet(): Promise<void> {
    const open = async () =>
      await flow.database.db
        .selectFrom('job')
        .select('id')
        .where('state', 'in', ['ready', 'running'])
        .where('group_id', '=', connected.installationId)
        .execute()
    await until('the jobs to be done', async () => ((await open()).length === 0 ? true : null), 40)
  }

  describe('a webhook that is not what it seems', () => {
    const rows = async () => (await flow.database.db.selectFrom('delivery').select('id').execute()).length
    const genuine = (change: object = {}) => ({
      module: 'entry',
      event: 'update',
      api_key: flow.stack.apiKey,
      triggered_at: new Date().toISOString(),
      data: { entry: { uid: 'blt1111111111111111', locale: 'en-us' }, content_type: { uid: 'article' } },
      ...change
    })
    const secretHeader = () =>
      ourWebhook()!.destinations[0]!.custom_header.find(({ header_name }) => header_name.toLowerCase() === 'x-quayside-secret')!.value
    const post = async (body: string, headers: Record<string, string>) =>
      await fetch(ourWebhook()!.destinations[0]!.target_url, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json', ...headers }
      })
    const sign = (body: string) => signBody(flow.sandbox.world.signing.privatePem, Buffer.from(body))

    it.each<[string, () => Promise<Response>, number]>([
      ['signed by nobody', async () => await post(JSON.stringify(genuine()), { 'x-quayside-secret': secretHeader() }), 403],
      [
        'signed, without our header',
        async () => await post(JSON.stringify(genuine()), { 'x-contentstack-request-signature': await sign(JSON.stringify(genuine())) }),
        403
      ],
      [
        'signed for another body',
        async () =>
          await post(JSON.stringify(genuine({ event: 'delete' })), {
            'x-quayside-secret': secretHeader(),
            'x-contentstack-request-signature': await sign('{}')
          }),
        403
      ],
      [
        'of an hour ago',
        async () => {
          const body = JSON.stringify(genuine({ triggered_at: new Date(Date.now() - 3_600_000).toISOString() }))
          return await post(body, { 'x-quayside-secret': secretHeader(), 'x-contentstack-request-signature': await sign(body) })
        },
        403
      ],
      [
        'of another stack',
        async () => {
          const body = JSON.stringify(genuine({ api_key: 'blt05406000000000e2' }))
          return await post(body, { 'x-quayside-secret': secretHeader(), 'x-contentstack-request-signature': await sign(body) })
        },
        403
      ]
    ])('%s is refused and leaves no row', async (_name, send, status) => {
      const before = await rows()
      const response = await send()
      expect(response.status).toBe(status)
      expect(await response.json()).toMatchObject({ error: { code: 'forbidden', message: expect.stringMatching(/webhook/i) } })
      expect(await rows()).toBe(before)
    })
  })

  it('loses and doubles nothing when the server is killed between the 2xx and the jobs, and people go on editing', async () => {
    const { entries: all } = await cma<{ entries: { uid: string }[] }>(flow, editor, `${entries}?limit=20&asc=created_at`)
    // Each job's look at its entry takes its time, so most of what was acknowledged has not begun when the server dies.
    flow.sandbox.context.faults.add({
      kind: 'slow',
      host: 'contentManagement',
      method: 'GET',
      pathPattern: '/content_types/.*',
      times: 1000,
      delayMs: 20_000
    })
    const already = flow.stack.executions.length
    for (const { uid } of all) {
      await fetch(`${flow.urls.contentManagement}/v3${entries}/${uid}`, {
        method: 'PUT',
        headers: { authtoken: editor.authtoken, api_key: flow.stack.apiKey, 'content-type': 'application/json' },
        body: JSON.stringify({ entry: { title: `Edited before the crash: ${uid}` } })
      })
    }
    await flow.sandbox.settleWebhooks()
    const sent = flow.stack.executions.slice(already)
    expect(sent.map(({ status }) => status)).toEqual(all.map(() => 'success'))
    await flow.server.kill()
    const { db } = flow.database
    const undispatched = await db.selectFrom('delivery').select('id').where('status', '=', 'received').execute()
    const notBegun = await db
      .selectFrom('job')
      .select('id')
      .where('kind', '=', 'sync.record')
      .where('attempt', '=', 0)
      .where('state', '=', 'ready')
      .execute()
    // One dispatch job may carry many deliveries, so what was acknowledged and not begun is counted by deliveries and records.
    expect(undispatched.length + notBegun.length).toBeGreaterThan(5)
    expect(await equal()).not.toEqual([])

    flow.sandbox.context.faults.clear()
    await edit(all[0]!.uid, 'Edited while the server was down')
    await flow.sandbox.settleWebhooks()
    await flow.server.start()
    // Contentstack tries again after five seconds.
    flow.sandbox.clock.advance(5_000)
    await flow.sandbox.settleWebhooks()
    await quiet()
    expect(await equal()).toEqual([])
    expect(await flow.database.db.selectFrom('job').select(['kind', 'error']).where('state', '=', 'dead').execute()).toEqual([])
  })
})
