// Flow E, the editor: Edda opens an entry in the CMS and sees beside it where it is in sync, edits and watches it arrive, asks for
// "Sync now", and can do nothing more: what would change the set-up is refused by the server, whatever her page shows.
import type { BrowserContext, FrameLocator, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { until } from '../../sandbox/demo/admin.ts'
import { edda } from '../../sandbox/world/people.ts'
import type { Sync } from '../../server/http/contract/stack.ts'
import { launchBrowser } from '../support/browser.ts'
import { type Destination, openDestination } from '../support/destination.ts'
import { type Connected, connect, enterCms, type Flow, onBothDatabasesIn, reopen, shoot } from '../support/flow.ts'

const browser = await launchBrowser()
afterAll(() => browser?.close())

onBothDatabasesIn(browser, 'E. the editor and the sidebar', (open, dialect) => {
  let flow: Flow
  let connected: Connected
  let destination: Destination
  let syncs: Sync[]
  let context: BrowserContext
  let page: Page
  let sidebar: FrameLocator
  let uid: string
  const shot = (name: string) => shoot(page, `e-${dialect}-${name}`)
  const row = async () => (await destination.rows('article')).find(each => each['entry_uid'] === uid && each['locale'] === 'en-us')
  const system = dialect === 'sqlite' ? 'SQLite' : 'PostgreSQL'

  beforeAll(async () => {
    flow = await open()
    connected = await connect(flow)
    destination = await openDestination(flow)
    const { pages } = connected
    const website = await pages.connect(destination.connection)
    const archive = await pages.connect({
      connector: 'sql',
      name: 'Archive',
      settings: { system: 'sqlite', file: 'archive.db' },
      secrets: {}
    })
    syncs = await pages.createSyncs({ direction: 'outbound', connectionId: website.id, contentTypes: ['article'], target: '' })
    syncs.push(
      ...(await pages.createSyncs({ direction: 'outbound', connectionId: archive.id, contentTypes: ['article'], target: 'archived_' }))
    )
    await until('the initial runs', async () => ((await pages.runs()).every(({ status }) => status === 'success') ? true : null), 30)
    await until('our webhook', async () => (Object.keys(flow.stack.webhooks).length > 1 ? true : null), 10)
    uid = Object.values(flow.stack.entries['main']!['article']!).find(({ locales }) => locales['de-de'])!.uid
  })
  afterAll(async () => {
    await context?.close()
    await destination?.close()
  })

  it('shows beside the entry that it is in sync with each system, at which version and since when', async () => {
    ;({ context, page } = await enterCms(
      browser!,
      flow,
      'Edda',
      `/stack/${flow.stack.apiKey}/content-type/article/en-us/entry/${uid}/edit`
    ))
    sidebar = page.frameLocator('iframe[data-location="cs.cm.stack.sidebar"]')
    await sidebar.getByRole('status').getByText('In sync with all 2 systems').waitFor()
    await shot('1-in-sync')
    const rows = await sidebar.getByRole('list').getByRole('listitem').allInnerTexts()
    expect(rows).toHaveLength(2)
    for (const text of rows) expect(text).toMatch(/In sync[\s\S]*version 1[\s\S]*(just now|ago|second|minute)/)
    expect(rows.join('\n')).toContain(system)
  })

  it('says what stands behind a line when it is opened: the sync, its direction, what caused the last change', async () => {
    const first = sidebar.getByRole('list').getByRole('button').first()
    await first.click()
    await sidebar.getByText('Direction').first().waitFor()
    await shot('2-detail')
    const text = await sidebar.getByRole('list').innerText()
    expect(text).toMatch(/Contentstack (->|→) /)
    expect(text).toMatch(/Caused by\s+the initial run/)
    await first.click()
  })

  it('follows an edit within seconds, and so does the database', async () => {
    await page.getByRole('textbox', { name: /^Title/ }).fill('Edda was here')
    await sidebar.getByText('unsaved changes stay here').waitFor()
    await page.getByRole('button', { name: 'Save', exact: true }).click()
    const startedAt = performance.now()
    await sidebar
      .getByText(/version 2 · /)
      .nth(1)
      .waitFor()
    await sidebar.getByRole('status').getByText('In sync with all 2 systems').waitFor()
    expect(performance.now() - startedAt).toBeLessThan(5_000)
    expect(await row()).toMatchObject({ title: 'Edda was here' })
    const first = sidebar.getByRole('list').getByRole('button').first()
    await first.click()
    await sidebar.getByText('an edit in Contentstack').waitFor()
    await first.click()
    expect(Number((await row())?.['version'])).toBe(2)
    await shot('3-after-the-edit')
  })

  it('carries the entry once more on "Sync now", also when somebody meddled with the database', async () => {
    await destination.removeRow('article', uid)
    expect(await row()).toBeUndefined()
    await sidebar.getByRole('button', { name: 'Sync now' }).click()
    await sidebar.getByText('2 syncs asked.').waitFor()
    await until('the row to be back', async () => ((await row()) ? true : null), 10)
    await shot('4-sync-now')
  })

  it('tells her on the configuration page that it is for admins, and nothing of the set-up', async () => {
    await page.goto(`${flow.urls.application}/stack/${flow.stack.apiKey}/apps/${connected.installationUid}/configure`)
    const frame = page.frameLocator('iframe[data-location="cs.cm.stack.config"]')
    await frame.getByText("This page is for the stack's admins.").waitFor()
    await shot('5-not-an-admin')
    expect(await frame.locator('body').innerText()).not.toMatch(/Replace token|Add connection|Create access key/)
  })

  it('refuses her session on every route of the set-up, and changes nothing', async () => {
    const { headers } = await reopen(flow, await flow.as(edda), connected.installationUid)
    const [sync] = syncs
    const routes: [string, string, unknown?][] = [
      ['GET', '/token'],
      ['POST', '/grants', { purpose: 'mint', expiresInDays: null, branches: ['main'] }],
      ['POST', '/tokens/paste', { token: 'cs0123456789abcdef0123456789' }],
      ['GET', '/connections'],
      ['POST', '/connections', { connector: 'sql', name: 'Mine', settings: { system: 'sqlite', file: 'mine.db' }, secrets: {} }],
      ['GET', `/connections/${sync!.connectionId}/fields?target=article`],
      ['GET', '/content-types'],
      ['GET', '/syncs'],
      ['POST', '/syncs', { direction: 'outbound', connectionId: sync!.connectionId, contentTypes: ['author'], target: '' }],
      ['PATCH', `/syncs/${sync!.id}`, { state: 'paused' }],
      ['POST', `/syncs/${sync!.id}/run`, {}],
      ['GET', '/runs'],
      ['GET', '/deliveries'],
      ['GET', '/keys'],
      ['POST', '/keys', { name: 'Mine', scopes: [{ module: 'entries', actions: ['read'] }], expiresInDays: null }]
    ]
    const counted = async () =>
      await Promise.all(
        (['connection', 'sync', 'run', 'access_key', 'grant_flow', 'audit_event'] as const).map(async table =>
          Number(
            (
              await flow.database.db
                .selectFrom(table)
                .select(eb => eb.fn.countAll().as('count'))
                .executeTakeFirstOrThrow()
            ).count
          )
        )
      )
    const before = await counted()
    for (const [method, path, body] of routes) {
      const response = await fetch(`${flow.server.url}/api/extension/stack${path}`, {
        method,
        headers: { ...headers, 'content-type': 'application/json', origin: flow.server.url },
        ...(body === undefined ? {} : { body: JSON.stringify(body) })
      })
      const answer = await response.json()
      expect([method, path, response.status, answer]).toEqual([
        method,
        path,
        403,
        {
          error: expect.objectContaining({
            code: 'forbidden',
            message: 'Only an Owner or Admin of this stack may do this.',
            remedy: expect.stringContaining('Owner or Admin')
          })
        }
      ])
    }
    expect(await counted()).toEqual(before)
  })
})
