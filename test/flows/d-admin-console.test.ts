// Flow D, the console: people of the operator's identity provider log in with a real browser, each sees and may do what their role
// allows, what they change is in the audit, and the second tenant finds nothing of the first, by list or by id.
import type { BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { until } from '../../sandbox/demo/admin.ts'
import { shopApiKey } from '../../sandbox/world/built-in.ts'
import { sara } from '../../sandbox/world/people.ts'
import { launchBrowser } from '../support/browser.ts'
import { cma, type Connected, connect, type Flow, onBothDatabasesIn, shoot } from '../support/flow.ts'

const browser = await launchBrowser()
afterAll(() => browser?.close())

onBothDatabasesIn(browser, 'D. the admin console', (open, dialect) => {
  let flow: Flow
  let first: Connected
  let second: Connected
  const contexts: BrowserContext[] = []
  const shot = (page: Page, name: string) => shoot(page, `d-${dialect}-${name}`)

  beforeAll(async () => {
    flow = await open()
    first = await connect(flow)
    second = await connect(flow, sara, flow.sandbox.world.stacks[shopApiKey])
    // Both tenants hold one of everything, so that an empty list proves something.
    for (const [tenant, apiKey, contentType] of [
      [first, flow.stack.apiKey, 'author'],
      [second, shopApiKey, 'item']
    ] as const) {
      const { pages, admin } = tenant
      const file = `${contentType}.db`
      const { id } = await pages.connect({ connector: 'sql', name: `Database ${file}`, settings: { system: 'sqlite', file }, secrets: {} })
      await pages.createSyncs({ direction: 'outbound', connectionId: id, contentTypes: [contentType], target: '' })
      await pages.createKey({ name: `key of ${file}`, scopes: [{ module: 'entries', actions: ['read'] }], expiresInDays: 30 })
      await until('the initial run', async () => ((await pages.runs()).every(({ status }) => status === 'success') ? true : null), 30)
      await until(
        'our webhook',
        async () =>
          Object.values(flow.sandbox.world.stacks[apiKey]!.webhooks).some(({ name }) => name.startsWith('Quayside ins_')) ? true : null,
        10
      )
      const [uid] = Object.keys(flow.sandbox.world.stacks[apiKey]!.entries['main']![contentType]!)
      await cma(flow, admin, `/content_types/${contentType}/entries/${uid}`, {
        method: 'PUT',
        apiKey,
        json: { entry: { title: `Edited in ${file}` } }
      })
    }
    await flow.sandbox.settleWebhooks()
  })
  afterEach(async () => {
    for (const context of contexts.splice(0)) await context.close()
  })

  /** Through the login page and the identity provider, as far as that person gets. */
  async function enter(name: string, path = '/console/'): Promise<Page> {
    const context = await browser!.newContext({ viewport: { width: 1360, height: 900 } })
    context.setDefaultTimeout(15_000)
    contexts.push(context)
    const page = await context.newPage()
    await page.goto(`${flow.server.url}${path}`)
    await page.getByRole('link', { name: 'Log in with your organization' }).click()
    await page.getByRole('button', { name: new RegExp(name) }).click()
    return page
  }

  async function api(
    page: Page,
    method: string,
    path: string,
    data?: unknown
  ): Promise<{ status: number; body: { items: { id: string }[] } & Record<string, unknown>; text: string }> {
    const response = await page.request.fetch(`${flow.server.url}/api/console${path}`, {
      method,
      headers: { origin: flow.server.url, 'content-type': 'application/json' },
      ...(data === undefined ? {} : { data: JSON.stringify(data) })
    })
    const text = await response.text()
    return { status: response.status(), body: JSON.parse(text) as { items: { id: string }[] } & Record<string, unknown>, text }
  }

  it('lets an admin in, shows the installation, and writes into the audit what they do', async () => {
    const page = await enter('Anke Admin')
    await page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor()
    await page.getByText('Harbour Publishing: admin').waitFor()
    await shot(page, '1-overview')
    await page.getByRole('link', { name: 'Installations' }).click()
    await page.getByRole('link', { name: 'Blog EU' }).click()
    await page.getByRole('heading', { name: 'Access keys' }).waitFor()
    await page.getByRole('button', { name: 'Create access key' }).click()
    await page.getByLabel('Name').fill('made in the console')
    await page.getByRole('group', { name: 'Entries' }).getByLabel('read').check()
    await page.getByRole('button', { name: 'Create key' }).click()
    await page.getByText('Copy the key now: it is not shown again.').waitFor()
    await page.getByRole('button', { name: 'I have copied it' }).click()
    await page.getByRole('cell', { name: /^made in the console/ }).waitFor()
    await shot(page, '2-installation')
    await page.getByRole('link', { name: 'Audit', exact: true }).click()
    const audit = page.getByRole('group', { name: 'Audit events' })
    const event = audit.getByRole('row').filter({ hasText: 'made in the console' })
    await event.waitFor()
    expect(await event.innerText()).toMatch(/Anke Admin[\s\S]*key\.create/)
    await audit.getByRole('row').filter({ hasText: 'person.login' }).first().waitFor()
    await shot(page, '3-audit')
  })

  it.each([
    ['Syncs', '4-syncs'],
    ['Runs', '5-runs'],
    ['Deliveries', '6-deliveries'],
    ['Access keys', '7-keys']
  ])('shows the page %s with what it is about', async (name, picture) => {
    const page = await enter('Anke Admin')
    await page.getByRole('navigation', { name: 'Console' }).getByRole('link', { name }).click()
    await page.getByRole('heading', { name, level: 1 }).waitFor()
    const words = { Syncs: 'Database author.db', Runs: 'Success', Deliveries: 'author', 'Access keys': 'key of author.db' }[name] ?? name
    const list = page.getByRole('group', { name })
    await list.getByText(words).first().waitFor()
    await shot(page, picture)
    expect(await page.locator('main').innerText()).not.toContain('item.db')
  })

  it('leads back after the login to the page that was asked for', async () => {
    const page = await enter('Olaf Operator', '/console/runs')
    await page.getByRole('heading', { name: 'Runs', level: 1 }).waitFor()
    expect(new URL(page.url()).pathname).toBe('/console/runs')
  })

  it('lets an operator pause a sync, and refuses the rest in the page and on the server', async () => {
    const page = await enter('Olaf Operator', '/console/syncs')
    await page.getByRole('group', { name: 'Syncs' }).getByRole('link').first().click()
    await page.getByRole('button', { name: /Pause/ }).click()
    await page.getByText('Paused', { exact: true }).waitFor()
    await shot(page, '8-paused-by-operator')
    expect(await page.locator('main').innerText()).toContain('Paused by Olaf Operator')
    await page.getByRole('button', { name: /Resume/ }).click()
    await page
      .getByText(/^(Active|Running)$/)
      .first()
      .waitFor()

    const events = (await flow.database.db.selectFrom('audit_event').select(['action', 'actor_name']).execute()).filter(({ actor_name }) =>
      actor_name.startsWith('Olaf')
    )
    expect(events.map(({ action }) => action)).toEqual(expect.arrayContaining(['sync.pause', 'sync.resume']))
    await page.goto(`${flow.server.url}/console/installations/${first.installationId}`)
    await page.getByRole('heading', { name: 'Access keys' }).waitFor()
    expect(await page.getByRole('button', { name: /Create access key|Replace token|Add connection/ }).count()).toBe(0)
    const key = { name: 'mine', scopes: [{ module: 'entries', actions: ['read'] }], expiresInDays: null }
    expect(await api(page, 'POST', `/installations/${first.installationId}/keys`, key)).toMatchObject({
      status: 403,
      body: { error: { code: 'forbidden', message: 'Your role does not allow this.', remedy: expect.stringContaining('admin') } }
    })
  })

  it('lets an auditor look, and do nothing', async () => {
    const page = await enter('Alma Auditor', '/console/audit')
    await page.getByRole('group', { name: 'Audit events' }).waitFor()
    const [sync] = (await api(page, 'GET', '/syncs')).body.items
    const installation = `/installations/${first.installationId}`
    for (const [method, path, body] of [
      ['POST', `${installation}/syncs/${sync!.id}/run`, {}],
      ['PATCH', `${installation}/syncs/${sync!.id}`, { state: 'paused' }],
      ['POST', `${installation}/grants`, { purpose: 'rotate', expiresInDays: null, branches: ['main'] }],
      ['POST', `${installation}/keys`, { name: 'mine', scopes: [{ module: 'entries', actions: ['read'] }], expiresInDays: null }]
    ] as const) {
      expect([path, (await api(page, method, path, body)).status]).toEqual([path, 403])
    }
  })

  it('refuses a stranger in words, and makes no session', async () => {
    const sessions = async () => (await flow.database.db.selectFrom('session').select('id_hash').execute()).length
    const before = await sessions()
    const page = await enter('Sam Stranger')
    await page.getByRole('heading', { name: 'No access' }).waitFor()
    await shot(page, '9-stranger')
    expect(await page.locator('main').innerText()).toMatch(
      /Sam Stranger is known to the identity provider, but not to Quayside\.[\s\S]*group/
    )
    expect((await api(page, 'GET', '/me')).status).toBe(401)
    expect(await sessions()).toBe(before)
  })

  it('shows the second tenant nothing of the first, in no list and under no id, and its own in all of them', async () => {
    const theirs = await enter('Sina Shore')
    await theirs.getByText('Second Shore: admin').waitFor()
    await shot(theirs, '10-second-tenant')
    const own = await enter('Anke Admin')
    await own.getByText('Harbour Publishing: admin').waitFor()
    const lists = ['installations', 'syncs', 'runs', 'deliveries', 'keys', 'audit']
    const ids: Record<string, string> = {}
    const { db } = flow.database
    const organization = await db
      .selectFrom('installation')
      .select('organization_id')
      .where('id', '=', first.installationId)
      .executeTakeFirstOrThrow()
    const foreign = [
      first.installationId,
      first.installationUid,
      organization.organization_id,
      flow.stack.apiKey,
      'Harbour',
      'Blog EU',
      'author.db',
      'Anke'
    ]
    for (const list of lists) {
      const [mine, other] = [await api(own, 'GET', `/${list}`), await api(theirs, 'GET', `/${list}`)]
      expect([list, mine.status, other.status]).toEqual([list, 200, 200])
      expect([list, other.body.items.length > 0]).toEqual([list, true])
      const both = mine.body.items.map(({ id }) => id).filter(id => other.body.items.some(item => item.id === id))
      expect([list, both]).toEqual([list, []])
      expect([list, foreign.filter(word => other.text.includes(word))]).toEqual([list, []])
      const filtered = await api(theirs, 'GET', `/${list}?installation=${first.installationId}`)
      expect([list, filtered.status, filtered.body.items]).toEqual([list, 200, []])
      expect([list, foreign.slice(1).filter(word => filtered.text.includes(word))]).toEqual([list, []])
      ids[list] = mine.body.items[0]?.id ?? ''
    }
    const [narrowed, ofBoth] = [
      await api(own, 'GET', `/audit?installation=${first.installationId}`),
      await db.selectFrom('audit_event').select(['id', 'action', 'installation_id']).execute()
    ]
    const ofFirst = ofBoth.filter(({ installation_id }) => installation_id === first.installationId).map(({ id }) => id)
    expect(narrowed.body.items.length).toBeGreaterThan(5)
    expect(narrowed.body.items.filter(({ id }) => !ofFirst.includes(id))).toEqual([])
    const ofNone = ofBoth.filter(({ installation_id }) => installation_id === null).map(({ action }) => action)
    expect([...new Set(ofNone)]).toEqual(['person.login'])
    const connection = await db
      .selectFrom('connection')
      .select('id')
      .where('installation_id', '=', first.installationId)
      .executeTakeFirstOrThrow()
    const stranger = `/installations/${first.installationId}`
    const home = `/installations/${second.installationId}`
    const calls: [string, string, unknown?][] = []
    for (const base of [stranger, home]) {
      calls.push(
        ['GET', `${base}/syncs/${ids['syncs']}`],
        ['PATCH', `${base}/syncs/${ids['syncs']}`, { state: 'paused' }],
        ['POST', `${base}/syncs/${ids['syncs']}/run`, {}],
        ['GET', `${base}/runs/${ids['runs']}`],
        ['GET', `${base}/runs/${ids['runs']}/failures`],
        ['POST', `${base}/runs/${ids['runs']}/cancel`, {}],
        ['POST', `${base}/connections/${connection.id}/check`, {}],
        ['GET', `${base}/connections/${connection.id}/fields?target=author`],
        ['DELETE', `${base}/keys/${ids['keys']}`, {}]
      )
    }
    for (const path of ['', '/token', '/connections', '/content-types', '/syncs', '/runs', '/deliveries', '/keys'])
      calls.push(['GET', `${stranger}${path}`])
    calls.push(['POST', `${stranger}/grants`, { purpose: 'rotate', expiresInDays: null, branches: ['main'] }])
    calls.push(['POST', `${stranger}/tokens/paste`, { token: 'cs0123456789abcdef' }])
    for (const [method, path, body] of calls) {
      const answer = await api(theirs, method, path, body)
      expect([method, path, answer.status, answer.body['error']]).toEqual([
        method,
        path,
        404,
        expect.objectContaining({ code: 'not_found' })
      ])
      expect(foreign.slice(3).filter(word => answer.text.includes(word))).toEqual([])
    }
    const sync = await db.selectFrom('sync').select('state').where('id', '=', ids['syncs']!).executeTakeFirstOrThrow()
    expect(sync.state).toBe('active')
  })

  it('ends the session on the server when somebody logs out', async () => {
    const page = await enter('Anke Admin')
    await page.getByText('Harbour Publishing: admin').waitFor()
    const cookies = await page.context().cookies()
    await page.getByRole('button', { name: 'Log out' }).click()
    await page.getByRole('link', { name: 'Log in with your organization' }).waitFor()
    await shot(page, '11-logged-out')
    await page.context().addCookies(cookies)
    expect((await api(page, 'GET', '/me')).status).toBe(401)
  })
})
