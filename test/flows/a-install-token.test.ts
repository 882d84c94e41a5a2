// Flow A, from install to a token in custody, as Ada clicks it in a real Chromium: install, consent in a window of
// Contentstack's own, or paste. What is proven is read from the sandbox's records and from our own disk, not from our pages alone.
import type { BrowserContext, FrameLocator, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { until } from '../../sandbox/demo/admin.ts'
import { ada } from '../../sandbox/world/people.ts'
import { launchBrowser } from '../support/browser.ts'
import { cma, enterCms, type Flow, installApp, onBothDatabasesIn, shoot } from '../support/flow.ts'
import { findSecrets, type Secrets, secretsOfOperator, secretsOfWorld, watchSecrets, watchWire } from '../support/secrets.ts'

const browser = await launchBrowser()
afterAll(() => browser?.close())

onBothDatabasesIn(browser, 'A. install, grant, token in custody', (open, dialect) => {
  let flow: Flow
  let context: BrowserContext
  let page: Page
  let frame: FrameLocator
  let secrets: Secrets
  const wire = watchWire()
  afterAll(() => wire.stop())
  const shot = (name: string, of = page) => shoot(of, `a-${dialect}-${name}`)
  const tokens = () => Object.values(flow.stack.managementTokens)

  beforeAll(async () => {
    flow = await open()
  })
  afterAll(() => context?.close())

  it('is installed by a stack admin from the install page, and says that it holds no token yet', async () => {
    ;({ context, page } = await enterCms(browser!, flow, 'Ada', `/apps/${flow.app.appUid}/install`))
    secrets = watchSecrets(context)
    await page.getByRole('radio', { name: /Blog EU/ }).check()
    await page.getByRole('button', { name: 'Install', exact: true }).click()
    await page.getByRole('heading', { name: 'Quayside is installed' }).waitFor()
    await shot('1-installed')
    expect(await page.getByRole('paragraph').allInnerTexts()).toContainEqual(expect.stringContaining('holds no token yet'))
    const rows = await flow.database.db.selectFrom('installation').select(['status', 'stack_api_key']).execute()
    expect(rows.map(row => row.stack_api_key)).toEqual([flow.stack.apiKey])
    expect(tokens()).toEqual([])
  })

  it('opens its configuration from there, in a frame of the CMS', async () => {
    await page.getByRole('link', { name: 'To Contentstack' }).click()
    frame = page.frameLocator('iframe[data-location="cs.cm.stack.config"]')
    await frame.getByRole('button', { name: 'Connect this stack' }).waitFor()
    await shot('2-configuration')
    expect(await frame.getByRole('heading', { level: 1 }).innerText()).toBe('Quayside for this stack')
  })

  it('takes the grant in a window of its own, which says that the token is in custody and the grant revoked', async () => {
    await frame.getByRole('button', { name: 'Connect this stack' }).click()
    const opening = context.waitForEvent('page')
    await frame.getByRole('button', { name: 'Authorise in Contentstack' }).click()
    const popup = await opening
    const consent = popup.getByRole('heading', { name: 'Quayside asks for access' })
    const login = popup.getByRole('button', { name: /^Ada / })
    await consent.or(login).waitFor()
    if (await login.isVisible()) await login.click()
    await consent.waitFor()
    await shot('3-consent', popup)
    expect(await popup.getByRole('listitem').locator('code').allInnerTexts()).toEqual([
      'cm.stack.management-tokens:read',
      'cm.stack.management-tokens:write'
    ])
    await popup.getByRole('button', { name: 'Authorize' }).click()
    await popup.getByRole('heading', { name: 'The token is in custody' }).waitFor()
    await shot('4-in-custody', popup)
    expect(await popup.getByRole('main').innerText()).toContain('Your grant was revoked; nothing of yours is kept.')
    await popup.close()
  })

  it('shows the token active on the configuration page, and the next thing to do', async () => {
    await frame.getByText("The stack's own token is in custody.").waitFor()
    await frame.getByRole('button', { name: 'Close' }).click()
    const section = frame.getByRole('region', { name: 'Management token' })
    await section.getByText('Active', { exact: true }).waitFor()
    await frame.getByRole('heading', { name: 'Access keys' }).waitFor()
    await shot('5-active')
    expect(await section.innerText()).toContain(tokens()[0]!.name)
  })

  it('leaves one token in the stack, named ours and naming nobody, and no right of Ada’s alive', () => {
    expect(tokens()).toHaveLength(1)
    expect(tokens()[0]!.name).toMatch(/^Quayside [0-9a-f]{8,}$/)
    expect(tokens()[0]!.dead).toBe(false)
    expect(JSON.stringify(tokens()[0])).not.toMatch(/ada@|Ada Admin/)
    const { authorizations, oauthTokens, oauthCodes } = flow.sandbox.world
    expect(Object.values(authorizations)).toHaveLength(1)
    expect(Object.values(authorizations).filter(({ revokedAt }) => revokedAt === null)).toEqual([])
    expect(Object.values(oauthTokens).filter(({ kind, revokedAt }) => kind === 'user' && revokedAt === null)).toEqual([])
    expect(Object.keys(oauthCodes)).toEqual([])
  })

  it('keeps nothing that could act as Ada: no secret of this flow is in our database, our files or our log', async () => {
    const all: Secrets = new Map([...wire.secrets, ...secretsOfWorld(flow), ...(await secretsOfOperator(flow)), ...secrets])
    // The other database's flow runs beside this one, and what it sends is looked for as well.
    expect([...new Set(all.values())]).toEqual(
      expect.arrayContaining([
        'app webhook secret',
        'code_verifier',
        'key of the vault',
        "the app's client secret",
        "the console's client secret",
        'authtoken',
        'user access token',
        'user refresh token',
        'management token',
        'app access token',
        'app refresh token',
        'code',
        'state',
        'ticket',
        'app-token',
        'authorization',
        'cookie'
      ])
    )
    expect(await findSecrets(flow, all)).toEqual([])
    const open = await flow.database.db.selectFrom('secret').select('purpose').where('erased_at', 'is', null).execute()
    expect(open.map(({ purpose }) => purpose).sort()).toEqual(['mac_key', 'management_token', 'webhook_header'])
  })

  it('writes each step into the audit, with who began it', async () => {
    const events = await flow.database.db
      .selectFrom('audit_event')
      .select(['action', 'actor_kind', 'actor_name', 'actor_id'])
      .orderBy('seq')
      .execute()
    expect(events.map(({ action }) => action)).toEqual(
      expect.arrayContaining(['token.mint', 'token.activate', 'grant.revoke', 'webhook.register'])
    )
  })
})

onBothDatabasesIn(browser, 'A. a token pasted instead', (open, dialect) => {
  it('is verified the same way, kept sealed, and never shown again', async () => {
    const flow = await open()
    const { installationUid } = await installApp(flow)
    const admin = await flow.as(ada)
    const { token } = await cma<{ token: { token: string } }>(flow, admin, '/stacks/management_tokens', {
      method: 'POST',
      json: {
        token: {
          name: 'Made by hand',
          description: '',
          scope: [
            { module: 'content_type', acl: { read: true, write: true } },
            { module: 'branch', branches: ['main'], acl: { read: true } }
          ]
        }
      }
    })
    const { context, page } = await enterCms(browser!, flow, 'Ada', `/stack/${flow.stack.apiKey}/apps/${installationUid}/configure`)
    const frame = page.frameLocator('iframe[data-location="cs.cm.stack.config"]')
    await frame.getByRole('button', { name: 'Paste a token instead' }).click()
    await frame.locator('input[type=password]').fill(token.token)
    await frame.getByRole('button', { name: 'Verify and keep' }).click()
    await frame.getByText('The token is verified and in custody.').waitFor()
    await shoot(page, `a-${dialect}-6-pasted`)
    expect(await frame.locator('body').innerText()).not.toContain(token.token)
    await context.close()
    const row = await flow.database.db.selectFrom('management_token').select(['status', 'origin']).executeTakeFirstOrThrow()
    expect(row).toEqual({ status: 'active', origin: 'pasted' })
    expect(
      await findSecrets(
        flow,
        new Map([
          [token.token, 'management token'],
          [admin.authtoken, 'authtoken']
        ])
      )
    ).toEqual([])
    await until(
      'the content webhook',
      async () => (Object.values(flow.stack.webhooks).some(({ name }) => name.startsWith('Quayside ins_')) ? true : null),
      10
    )
  })
})
