// The CMS page itself in a real Chromium: installing, consenting, leaving, and what axe says of it.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { launchBrowser, skipReason } from '../support/browser.ts'
import { openStage, type Stage } from '../support/cms-stage.ts'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** What axe calls serious or critical, once its script is on the page. The app in the frames is not this page's business. */
function serious(page: Page): Promise<string[]> {
  return page.evaluate(async () => {
    interface Violation {
      id: string
      impact: string
      nodes: { html: string }[]
    }
    const { axe } = window as never as { axe: { run: (options: object) => Promise<{ violations: Violation[] }> } }
    const { violations } = await axe.run({ iframes: false })
    const grave = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
    return grave.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)
  })
}

const browser = await launchBrowser()

describe.skipIf(browser === null)(browser ? 'the CMS page' : `the CMS page (${skipReason})`, () => {
  let stage: Stage
  let installationUid: string
  const article = { uid: '', title: '' }
  const entryPath = (locale = 'en-us') => `/stack/${stage.apiKey}/content-type/article/${locale}/entry/${article.uid}/edit`

  function consentPath(change: Record<string, string> = {}): string {
    const asked = {
      response_type: 'code',
      client_id: stage.app.clientId,
      redirect_uri: `${stage.probe.url}/callback`,
      scope: 'cm.stack.management-tokens:write',
      state: 'state-1',
      code_challenge: 'c'.repeat(43),
      code_challenge_method: 'S256',
      ...change
    }
    return `/apps/${stage.app.appUid}/authorize?${new URLSearchParams(asked)}`
  }

  beforeAll(async () => {
    stage = await openStage(browser!)
    ;({ installationUid } = await stage.install())
    const { entries } = await stage.cma<{ entries: { uid: string; title: string }[] }>(
      '/content_types/article/entries?limit=1&asc=created_at'
    )
    Object.assign(article, entries[0])
  })
  afterEach(() => stage.closePages())
  afterAll(async () => {
    await stage?.close()
    await browser?.close()
  })

  describe('installing and consenting', () => {
    it('sends the browser to the app’s callback with code, location and installation, and without a state', () => {
      const callback = stage.probe.loads.find(({ pathname }) => pathname === '/callback')!
      expect([...callback.searchParams.keys()].sort()).toEqual(['code', 'installation_uid', 'location'])
      expect(callback.searchParams.get('location')).toBe('SANDBOX')
      expect(callback.searchParams.get('installation_uid')).toBe(installationUid)
    })

    it('says that the app is there already, and leads to it', async () => {
      const page = await stage.as('Ada', `/apps/${stage.app.appUid}/install`)
      await page.click('text=Blog EU')
      await page.click('button.primary')
      await page.click('text=Show the apps of this stack')
      await page.waitForSelector('td:has-text("Probe")')
      expect(new URL(page.url()).pathname).toBe(`/stack/${stage.apiKey}/apps`)
    })

    it('names the scopes in words, and takes a no back to the app with its state', async () => {
      const page = await stage.as('Ada', consentPath())
      await page.waitForSelector('text=Create and delete management tokens of a stack')
      await page.click('text=Cancel')
      await page.waitForURL(`${stage.probe.url}/callback*`)
      expect(Object.fromEntries(new URL(page.url()).searchParams)).toEqual({ error: 'access_denied', state: 'state-1' })
    })

    it('takes a yes back with a code, and does not ask again for what was granted', async () => {
      const page = await stage.as('Ada', consentPath())
      await page.click('button.primary')
      await page.waitForURL(`${stage.probe.url}/callback*`)
      expect(Object.fromEntries(new URL(page.url()).searchParams)).toEqual({
        code: expect.any(String),
        location: 'SANDBOX',
        state: 'state-1'
      })
      const again = await stage.as('Ada', consentPath({ state: 'state-2' }))
      await again.waitForURL(`${stage.probe.url}/callback*`)
      expect(new URL(again.url()).searchParams.get('state')).toBe('state-2')
    })

    it('asks again when more is asked for', async () => {
      const page = await stage.as('Ada', consentPath({ scope: 'user:read cm.stack.management-tokens:write' }))
      await page.waitForSelector('text=See who you are')
      expect(await page.isEnabled('button.primary')).toBe(true)
    })

    it('understands the address the official SDK builds, with the query before the hash', async () => {
      const query = consentPath({ state: 'hash', scope: 'user:read' }).split('?')[1]
      const page = await stage.as('Dora', `/?${query}#!/apps/${stage.app.appUid}/authorize`)
      await page.waitForSelector('h1:has-text("Probe asks for access")')
      expect(new URL(page.url()).pathname).toBe(`/apps/${stage.app.appUid}/authorize`)
    })

    it.each([
      ['a foreign address to come back to', { redirect_uri: 'https://evil.example/callback' }, 'is not one of the redirect addresses'],
      ['no address to come back to', { redirect_uri: '' }, 'names no redirect_uri']
    ])('goes nowhere with %s', async (_name, change, words) => {
      const page = await stage.as('Edda', consentPath(change))
      await page.waitForSelector(`[role=alert]:has-text("${words}")`)
      expect(await page.isDisabled('button.primary')).toBe(true)
      expect(await page.isDisabled('text=Cancel')).toBe(true)
    })

    it('shows what Developer Hub refuses and stays', async () => {
      const page = await stage.as('Edda', consentPath({ scope: 'organizations:read' }))
      await page.click('button.primary')
      await page.waitForSelector('[role=alert]:has-text("not configured for: organizations:read")')
      expect(new URL(page.url()).origin).toBe(stage.sandbox.urls.application)
    })
  })

  describe('for everybody', () => {
    it.each([
      ['the stacks', () => '/'],
      ['the content types', () => `/stack/${stage.apiKey}`],
      ['a list of entries', () => `/stack/${stage.apiKey}/content-type/article`],
      ['the entry editor', () => entryPath()],
      ['the assets', () => `/stack/${stage.apiKey}/assets`],
      ['the apps', () => `/stack/${stage.apiKey}/apps`],
      ['the webhooks', () => `/stack/${stage.apiKey}/webhooks`],
      ['the tokens', () => `/stack/${stage.apiKey}/tokens`],
      ['the dashboard', () => `/stack/${stage.apiKey}/dashboard`],
      ['the install page', () => `/apps/${stage.app.appUid}/install`]
    ])('axe finds nothing serious on %s', async (_name, path) => {
      const page = await stage.as('Ada', path())
      await page.waitForSelector('button:has-text("Change person"), button:has-text("Not Ada?")')
      await page.waitForSelector('h1')
      await page.waitForSelector('.skeleton', { state: 'detached' })
      await page.addScriptTag({ content: axe })
      expect(await serious(page)).toEqual([])
    })
  })

  describe('when Ada leaves', () => {
    it('her authtoken and her authorization end on the page, the stack’s token goes on, and her next call logs her out', async () => {
      const asking = await stage.as('Ada', consentPath({ scope: 'user:read' }))
      await asking.click('button.primary')
      await asking.waitForURL(`${stage.probe.url}/callback*`)
      const scope = [
        { module: 'content_type', acl: { read: true, write: true } },
        { module: 'branch', branches: ['main'], acl: { read: true } }
      ]
      const body = { token: { name: 'Of the stack', scope } }
      const made = await stage.cma<{ token?: { uid: string } }>('/stacks/management_tokens', { method: 'POST', body })
      expect(made.token?.uid).toBeTruthy()
      const page = await stage.as('Ada')
      await page.waitForSelector('h1:has-text("Stacks")')
      await page.goto(`${stage.sandbox.urls.application}/stack/${stage.apiKey}/people`)
      await page.waitForSelector('.held:has-text("Authtoken"):has-text("works, 200")')
      await page.waitForSelector('.held:has-text("Authorization of Probe"):has-text("granted")')
      await page.waitForSelector('.held:has-text("Of the stack"):has-text("works, 200")')
      await page.click('text=Ada leaves')
      await page.waitForSelector('.held:has-text("Authtoken"):has-text("refused, 401")')
      await page.waitForSelector('.held:has-text("Authorization of Probe"):has-text("revoked")')
      await page.waitForSelector('.held:has-text("Of the stack"):has-text("works, 200")')
      await page.click('text=Management tokens')
      await page.waitForSelector('[role=alert]:has-text("Ada\'s authtoken was refused")')
      await page.click('[data-person="Ada"]')
      await page.waitForSelector('.gate [role=alert]')
      await page.goto(`${stage.sandbox.urls.application}/stack/${stage.apiKey}/people`)
      await page.addScriptTag({ content: axe })
      expect(await serious(page)).toEqual([])
      await page.click('text=Ada returns')
      await page.waitForSelector('text=works in this stack as admin')
      await page.waitForSelector('.held:has-text("Authtoken"):has-text("refused, 401")')
    })
  })
})
