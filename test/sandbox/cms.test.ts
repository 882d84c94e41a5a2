// The CMS page in a real Chromium, with the unmodified App SDK in its frames: page on localhost, app on 127.0.0.1, so that the
// frames are cross-site. What the SDK says and hears is looked at from inside the frame; what was kept, on the CMA's wire.
import { createPublicKey } from 'node:crypto'
import type ContentstackAppSDK from '@contentstack/app-sdk'
import { jwtVerify } from 'jose'
import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { skipReason, launchBrowser } from '../support/browser.ts'
import { enter, openStage, probeFrame, type Stage } from '../support/cms-stage.ts'

interface InFrame {
  sdk: Awaited<ReturnType<typeof ContentstackAppSDK.default.init>>
  heard: { event: string; data: Record<string, unknown>; resolved?: unknown }[]
}

const browser = await launchBrowser()
const article = { name: '', uid: '' }
const patience = { timeout: 15_000 }

describe.skipIf(browser === null)(browser ? 'the CMS page' : `the CMS page (${skipReason})`, () => {
  let stage: Stage
  let installationUid: string
  const opened: Page[] = []

  async function as(person: string, path = '/'): Promise<Page> {
    const page = await enter(browser!, stage, person, path)
    opened.push(page)
    return page
  }
  const cma = async (path: string, init: RequestInit = {}): Promise<Record<string, never>> => {
    const response = await fetch(`${stage.sandbox.urls.contentManagement}/v3${path}`, {
      ...init,
      headers: { authtoken: await adaToken(), api_key: stage.apiKey, 'content-type': 'application/json' }
    })
    return (await response.json()) as Record<string, never>
  }
  let token: string | undefined
  async function adaToken(): Promise<string> {
    if (token && stage.sandbox.world.authtokens[token]) return token
    const ada = Object.values(stage.sandbox.world.users).find(({ firstName }) => firstName === 'Ada')!
    const response = await fetch(`${stage.sandbox.urls.contentManagement}/v3/user-session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ user: { email: ada.email, password: ada.password } })
    })
    token = ((await response.json()) as { user: { authtoken: string } }).user.authtoken
    return token
  }
  const entryPath = (locale = 'en-us') => `/stack/${stage.apiKey}/content-type/article/${locale}/entry/${article.uid}/edit`

  beforeAll(async () => {
    stage = await openStage()
    const { entries } = (await cma('/content_types/article/entries?limit=1&asc=created_at')) as unknown as {
      entries: { uid: string; title: string }[]
    }
    article.uid = entries[0]!.uid
    article.name = entries[0]!.title
    // Installed the way people do it: the install page, and the way back to the app's callback.
    const page = await as('Ada', `/apps/${stage.app.appUid}/install`)
    await page.click('text=Blog EU')
    await page.click('button.primary')
    await page.waitForURL(`${stage.probe.url}/callback*`)
    installationUid = Object.keys(stage.sandbox.world.installations)[0] ?? ''
    const accent = stage.sandbox.world.stacks[stage.apiKey]!.contentTypes['main']!['article']!.schema.find(({ uid }) => uid === 'accent')!
    accent['extension_uid'] = extensionUid('cs.cm.stack.custom_field')
  })
  afterEach(async () => {
    for (const page of opened.splice(0)) await page.context().close()
  })
  afterAll(async () => {
    await stage?.close()
    await browser?.close()
  })

  function extensionUid(type: string): string {
    const placed = stage.sandbox.world.installations[installationUid]!.uiLocation as {
      locations: { type: string; meta: { extension_uid: string }[] }[]
    }
    return placed.locations.find(location => location.type === type)!.meta[0]!.extension_uid
  }

  describe('installing and consenting', () => {
    it('sends the browser to the app’s callback with code, location and installation, and without a state', () => {
      const callback = stage.probe.loads.find(({ pathname }) => pathname === '/callback')!
      expect([...callback.searchParams.keys()].sort()).toEqual(['code', 'installation_uid', 'location'])
      expect(callback.searchParams.get('location')).toBe('SANDBOX')
      expect(callback.searchParams.get('installation_uid')).toBe(installationUid)
    })

    it('says that the app is there already, and leads to it', async () => {
      const page = await as('Ada', `/apps/${stage.app.appUid}/install`)
      await page.click('text=Blog EU')
      await page.click('button.primary')
      await page.click('text=Show the apps of this stack')
      await page.waitForSelector('td:has-text("Probe")')
      expect(new URL(page.url()).pathname).toBe(`/stack/${stage.apiKey}/apps`)
    })

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

    it('names the scopes in words, and takes a no back to the app with its state', async () => {
      const page = await as('Ada', consentPath())
      await page.waitForSelector('text=Create and delete management tokens of a stack')
      await page.click('text=Cancel')
      await page.waitForURL(`${stage.probe.url}/callback*`)
      expect(Object.fromEntries(new URL(page.url()).searchParams)).toEqual({ error: 'access_denied', state: 'state-1' })
    })

    it('takes a yes back with a code, and does not ask again for what was granted', async () => {
      const page = await as('Ada', consentPath())
      await page.click('button.primary')
      await page.waitForURL(`${stage.probe.url}/callback*`)
      expect(Object.fromEntries(new URL(page.url()).searchParams)).toEqual({
        code: expect.any(String),
        location: 'SANDBOX',
        state: 'state-1'
      })
      const again = await as('Ada', consentPath({ state: 'state-2' }))
      await again.waitForURL(`${stage.probe.url}/callback*`)
      expect(new URL(again.url()).searchParams.get('state')).toBe('state-2')
    })

    it('asks again when more is asked for', async () => {
      const page = await as('Ada', consentPath({ scope: 'user:read cm.stack.management-tokens:write' }))
      await page.waitForSelector('text=See who you are')
      expect(await page.isEnabled('button.primary')).toBe(true)
    })

    it('understands the address the official SDK builds, with the query before the hash', async () => {
      const query = consentPath({ state: 'hash', scope: 'user:read' }).split('?')[1]
      const page = await as('Dora', `/?${query}#!/apps/${stage.app.appUid}/authorize`)
      await page.waitForSelector('h1:has-text("Probe asks for access")')
      expect(new URL(page.url()).pathname).toBe(`/apps/${stage.app.appUid}/authorize`)
    })

    it.each([
      ['a foreign address to come back to', { redirect_uri: 'https://evil.example/callback' }, 'is not one of the redirect addresses'],
      ['no address to come back to', { redirect_uri: '' }, 'names no redirect_uri']
    ])('goes nowhere with %s', async (_name, change, words) => {
      const page = await as('Edda', consentPath(change))
      await page.waitForSelector(`[role=alert]:has-text("${words}")`)
      expect(await page.isDisabled('button.primary')).toBe(true)
      expect(await page.isDisabled('text=Cancel')).toBe(true)
    })

    it('shows what Developer Hub refuses and stays', async () => {
      const page = await as('Edda', consentPath({ scope: 'organizations:read' }))
      await page.click('button.primary')
      await page.waitForSelector('[role=alert]:has-text("not configured for: organizations:read")')
      expect(new URL(page.url()).origin).toBe(stage.sandbox.urls.application)
    })
  })

  describe('frames', () => {
    const paths: [type: string, location: string, path: () => string][] = [
      ['WIDGET', 'cs.cm.stack.sidebar', () => entryPath()],
      ['FIELD', 'cs.cm.stack.custom_field', () => entryPath()],
      ['APP_CONFIG_WIDGET', 'cs.cm.stack.config', () => `/stack/${stage.apiKey}/apps/${installationUid}/configure`],
      ['DASHBOARD', 'cs.cm.stack.dashboard', () => `/stack/${stage.apiKey}/dashboard`],
      [
        'FULL_PAGE_LOCATION',
        'cs.cm.stack.full_page',
        () => `/stack/${stage.apiKey}/app/${installationUid}/${extensionUid('cs.cm.stack.full_page')}`
      ],
      ['ASSET_SIDEBAR_WIDGET', 'cs.cm.stack.asset_sidebar', () => `/stack/${stage.apiKey}/assets/${firstAsset()}`]
    ]
    const firstAsset = () => Object.keys(stage.sandbox.world.stacks[stage.apiKey]!.assets['main']!)[0]

    it.each(paths)('initialise the SDK as %s, on another site, with a signed app-token', async (type, location, path) => {
      const before = stage.probe.loads.length
      const page = await as('Ada', path())
      const frame = await probeFrame(page, location)
      expect(await frame.textContent('#place')).toBe(type)
      expect([new URL(page.url()).hostname, new URL(frame.url()).hostname]).toEqual(['localhost', '127.0.0.1'])
      const ids = await frame.evaluate(() => (window as never as InFrame).sdk.ids)
      expect(ids).toMatchObject({
        apiKey: stage.apiKey,
        appUID: stage.app.appUid,
        installationUID: installationUid,
        locationUID: extensionUid(location)
      })
      const named = stage.probe.loads.slice(before).map(url => url.searchParams.get('app-token'))
      const keys = (await (await fetch(`${stage.sandbox.urls.application}/.well-known/public-keys.json`)).json()) as {
        'signing-key': string
      }
      const { payload } = await jwtVerify(named.at(-1)!, createPublicKey(keys['signing-key']), { algorithms: ['RS256'] })
      expect(payload).toMatchObject({
        app_uid: stage.app.appUid,
        installation_uid: installationUid,
        stack_api_key: stage.apiKey,
        user_uid: ids.userUID
      })
    })

    it('answer nobody but the frame: not the page itself, not another window', async () => {
      const page = await as('Ada', `/stack/${stage.apiKey}/apps/${installationUid}/configure`)
      const frame = await probeFrame(page, 'cs.cm.stack.config')
      const answered = await page.evaluate(async () => {
        const seen: string[] = []
        window.addEventListener('message', event => seen.push(String(event.data)))
        const request = {
          type: 'postrobot_message_request',
          hash: 'forged',
          name: 'getConfig',
          id: 'f1',
          sourceDomain: location.origin,
          domain: '*'
        }
        window.postMessage(JSON.stringify({ __postRobot__: request }), '*')
        await new Promise(resolve => setTimeout(resolve, 0))
        return seen
      })
      // A round trip of the real app, so that an answer to the forged one would be there by now.
      await frame.evaluate(() => (window as never as InFrame).sdk.store.getAll())
      expect(answered.filter(message => message.includes('postrobot_message_ack'))).toEqual([])
    })
  })

  describe('the entry sidebar', () => {
    it('reads the entry, changes a field, hears change and save, and the CMA keeps it', async () => {
      const page = await as('Ada', entryPath())
      const frame = await probeFrame(page, 'cs.cm.stack.sidebar')
      const first = await frame.evaluate(async () => {
        const { entry } = (window as never as InFrame).sdk.location.SidebarWidget!
        return { data: entry.getData(), draft: await entry.getDraftData(), locale: entry.locale, type: entry.content_type.uid }
      })
      expect(first).toMatchObject({ data: { uid: article.uid, title: article.name }, draft: {}, locale: 'en-us', type: 'article' })
      await frame.evaluate(() =>
        (window as never as InFrame).sdk.location.SidebarWidget!.entry.getField('teaser').setData('Set by the app')
      )
      expect(await page.inputValue('[data-field="teaser"] input')).toBe('Set by the app')
      expect(await frame.evaluate(() => (window as never as InFrame).sdk.location.SidebarWidget!.entry.getDraftData())).toMatchObject({
        teaser: 'Set by the app'
      })
      // The SDK tells the page what it wants to hear 400 ms after it was asked to (its own debounce); typing goes on until then.
      let typed = 0
      await expect
        .poll(async () => {
          await page.fill('[data-field="keywords"] textarea', `["round ${(typed += 1)}"]`)
          return await frame.evaluate(() => (window as never as InFrame).heard.filter(({ event }) => event === 'change').length)
        }, patience)
        .toBeGreaterThan(0)
      await page.click('button[type=submit]')
      await expect
        .poll(() => frame.evaluate(() => (window as never as InFrame).heard.find(({ event }) => event === 'save')?.data), patience)
        .toMatchObject({ teaser: 'Set by the app', keywords: [`round ${typed}`] })
      const { entry } = (await cma(`/content_types/article/entries/${article.uid}`)) as unknown as { entry: Record<string, unknown> }
      expect(entry).toMatchObject({ teaser: 'Set by the app', _version: (first.data['_version'] as number) + 1 })
      expect(await frame.evaluate(() => (window as never as InFrame).sdk.location.SidebarWidget!.entry.getData()['teaser'])).toBe(
        'Set by the app'
      )
    })

    it('loses nothing of any field type when one field is changed', async () => {
      const read = async () => (await cma(`/content_types/article/entries/${article.uid}`))['entry'] as unknown as Record<string, unknown>
      const before = await read()
      const page = await as('Ada', entryPath())
      await page.fill('[data-field="teaser"] input', 'Only this')
      await page.click('button[type=submit]')
      await expect.poll(async () => (await read())['_version'], patience).toBe((before['_version'] as number) + 1)
      const { _version, updated_at, updated_by, ...after } = await read()
      expect(after).toMatchObject({ teaser: 'Only this' })
      expect({
        ...after,
        teaser: before['teaser'],
        _version: before['_version'],
        updated_at: before['updated_at'],
        updated_by: before['updated_by']
      }).toEqual(before)
    })

    it('hears that the entry was published', async () => {
      const page = await as('Ada', entryPath())
      const frame = await probeFrame(page, 'cs.cm.stack.sidebar')
      await expect
        .poll(async () => {
          await page.click('text=Publish…')
          const box = page.locator('dialog input[type=checkbox]').first()
          if (!(await box.isChecked())) await box.check()
          await page.click('dialog button.primary')
          await page.waitForSelector('dialog', { state: 'hidden' })
          return await frame.evaluate(() => (window as never as InFrame).heard.find(({ event }) => event === 'publish')?.data)
        }, patience)
        .toMatchObject({ locale: 'en-us' })
    })

    it('shows what another locale borrows, and localizes it', async () => {
      const { entries } = (await cma('/content_types/product/entries?limit=1')) as unknown as { entries: { uid: string }[] }
      const page = await as('Ada', `/stack/${stage.apiKey}/content-type/product/fr-fr/entry/${entries[0]!.uid}/edit`)
      await page.waitForSelector('text=There is no fr-fr version')
      await page.click('text=Localize to fr-fr')
      await page.waitForSelector('text=There is no fr-fr version', { state: 'detached' })
      const { entry } = (await cma(`/content_types/product/entries/${entries[0]!.uid}?locale=fr-fr`)) as unknown as {
        entry: { locale: string }
      }
      expect(entry.locale).toBe('fr-fr')
    })

    it('shows a refusal of the CMA with its words and keeps what was typed', async () => {
      const page = await as('Ada', `/stack/${stage.apiKey}/content-type/product/en-us/entry/create`)
      await page.fill('[data-field="title"] input', 'Nameless')
      await page.click('button[type=submit]')
      await page.waitForSelector('[role=alert]:has-text("sku")')
      expect(await page.inputValue('[data-field="title"] input')).toBe('Nameless')
    })
  })

  describe('the other locations', () => {
    it('a custom field sets its own value in the entry', async () => {
      const page = await as('Ada', entryPath())
      const frame = await probeFrame(page, 'cs.cm.stack.custom_field')
      await frame.evaluate(() => (window as never as InFrame).sdk.location.CustomField!.field.setData({ hex: '#6c5ce7' }))
      await frame.evaluate(() => (window as never as InFrame).sdk.location.CustomField!.frame.updateHeight(222))
      await page.click('button[type=submit]')
      await page.waitForSelector('text=not saved yet', { state: 'detached' })
      const { entry } = (await cma(`/content_types/article/entries/${article.uid}`)) as unknown as { entry: { accent: unknown } }
      expect(entry.accent).toEqual({ hex: '#6c5ce7' })
      expect(
        await page.evaluate(() => document.querySelector<HTMLIFrameElement>('[data-location="cs.cm.stack.custom_field"]')?.style.height)
      ).toBe('222px')
    })

    it('the configuration is staged by the app, kept by Save, and then everybody’s getConfig', async () => {
      const page = await as('Ada', `/stack/${stage.apiKey}/apps/${installationUid}/configure`)
      const frame = await probeFrame(page, 'cs.cm.stack.config')
      const staged = { configuration: { colour: 'plum' }, serverConfiguration: { secret: 'kept apart' } }
      await frame.evaluate(
        data => (window as never as InFrame).sdk.location.AppConfigWidget!.installation.setInstallationData(data),
        staged
      )
      expect(stage.sandbox.world.installations[installationUid]!.configuration).toEqual({})
      await frame.evaluate(() =>
        (window as never as InFrame).sdk.location.AppConfigWidget!.installation.setValidity(false, { message: 'Say a size' })
      )
      await page.waitForSelector('text=Say a size')
      expect(await page.isDisabled('button.primary')).toBe(true)
      await frame.evaluate(() => (window as never as InFrame).sdk.location.AppConfigWidget!.installation.setValidity(true))
      await page.click('button.primary:enabled')
      await page.waitForSelector('text=not saved yet', { state: 'detached' })
      const read = await frame.evaluate(async () => ({
        installation: await (window as never as InFrame).sdk.location.AppConfigWidget!.installation.getInstallationData(),
        config: await (window as never as InFrame).sdk.getConfig()
      }))
      expect(read).toMatchObject({ installation: staged, config: { colour: 'plum' } })
      const editor = await probeFrame(await as('Edda', entryPath()), 'cs.cm.stack.sidebar')
      expect(await editor.evaluate(() => (window as never as InFrame).sdk.getConfig())).toEqual({ colour: 'plum' })
    })

    it('an editor’s save of the configuration is refused by Developer Hub', async () => {
      const page = await as('Edda', `/stack/${stage.apiKey}/apps/${installationUid}/configure`)
      const frame = await probeFrame(page, 'cs.cm.stack.config')
      await frame.evaluate(() =>
        (window as never as InFrame).sdk.location.AppConfigWidget!.installation.setInstallationData({
          configuration: { colour: 'rust' },
          serverConfiguration: {}
        })
      )
      await page.click('button.primary:enabled')
      await page.waitForSelector('[role=alert]:has-text("Only an admin")')
      expect(stage.sandbox.world.installations[installationUid]!.configuration).toEqual({ colour: 'plum' })
    })

    it('an asset sidebar changes the asset and hears the save', async () => {
      const uid = Object.keys(stage.sandbox.world.stacks[stage.apiKey]!.assets['main']!)[0]!
      const page = await as('Ada', `/stack/${stage.apiKey}/assets/${uid}`)
      const frame = await probeFrame(page, 'cs.cm.stack.asset_sidebar')
      expect(await frame.evaluate(() => (window as never as InFrame).sdk.location.AssetSidebarWidget!.getData().uid)).toBe(uid)
      let round = 0
      await expect
        .poll(async () => {
          const title = `Titled by the app ${(round += 1)}`
          await frame.evaluate(next => (window as never as InFrame).sdk.location.AssetSidebarWidget!.setData({ title: next }), title)
          await page.click('button.primary:enabled')
          await page.waitForSelector('text=not saved yet', { state: 'detached' })
          return await frame.evaluate(() => (window as never as InFrame).heard.find(({ event }) => event === 'assetSave')?.data['title'])
        }, patience)
        .toMatch(/^Titled by the app/)
      expect(stage.sandbox.world.stacks[stage.apiKey]!.assets['main']![uid]!.title).toBe(`Titled by the app ${round}`)
    })
  })

  describe('what every location can call', () => {
    it('store keeps, lists, removes and clears', async () => {
      const frame = await probeFrame(await as('Ada', `/stack/${stage.apiKey}/dashboard`), 'cs.cm.stack.dashboard')
      const said = await frame.evaluate(async () => {
        const { store } = (window as never as InFrame).sdk
        await store.set('a', { deep: [1] })
        await store.set('b', 'two')
        const both = await store.getAll()
        await store.remove('a')
        const gone = await store.get('a')
        await store.clear()
        return { both, gone: gone ?? null, after: await store.getAll() }
      })
      expect(said).toEqual({ both: { a: { deep: [1] }, b: 'two' }, gone: null, after: {} })
    })

    it('stack queries read and write as the person, and say why not', async () => {
      const frame = await probeFrame(await as('Ada', `/stack/${stage.apiKey}/dashboard`), 'cs.cm.stack.dashboard')
      const said = await frame.evaluate(async () => {
        const { stack } = (window as never as InFrame).sdk
        const type = stack.ContentType('author')
        const made = await type.Entry.create({ entry: { title: 'Made by a query' } })
        const found = await type.Entry.Query().where('title', 'Made by a query').find()
        await type.Entry(made.entry.uid).update({ entry: { biography: 'short' } }, 'en-us')
        const fetched = await type.Entry(made.entry.uid).fetch()
        await type.Entry(made.entry.uid).delete()
        return {
          types: (await stack.getContentTypes())['content_types'].length,
          type: (await stack.getContentType('article'))['content_type'].uid,
          locales: (await stack.getLocales()).locales.map(({ code }: { code: string }) => code),
          environments: (await stack.getEnvironments()).environments.length,
          stacks: (await stack.getAllStacks()).map(({ name }) => name),
          tokens: await stack.getManagementTokens(),
          found: found.entries.length,
          biography: fetched.entry.biography,
          refusal: await type
            .Entry('blt0000000000000000')
            .fetch()
            .catch((error: unknown) => String(error)),
          branch: stack.getCurrentBranch()?.uid
        }
      })
      expect(said).toMatchObject({ type: 'article', stacks: ['Blog EU'], found: 1, biography: 'short', branch: 'main', environments: 2 })
      expect(said.types).toBeGreaterThan(3)
      expect(said.locales.sort()).toEqual(['de-de', 'en-us', 'fr-fr'])
      expect(said.refusal).toMatch(/doesn't exist/)
    })

    it('an editor’s query is refused what the editor is refused', async () => {
      const frame = await probeFrame(await as('Edda', `/stack/${stage.apiKey}/dashboard`), 'cs.cm.stack.dashboard')
      const said = await frame.evaluate(() =>
        (window as never as InFrame).sdk.stack.getManagementTokens().then(
          () => 'allowed',
          (error: unknown) => String(error)
        )
      )
      expect(said).not.toBe('allowed')
    })

    it('api() reaches the CMA with the person’s rights and nothing else', async () => {
      const frame = await probeFrame(await as('Ada', `/stack/${stage.apiKey}/dashboard`), 'cs.cm.stack.dashboard')
      const said = await frame.evaluate(async () => {
        const { sdk } = window as never as InFrame
        const good = await sdk.api(`${sdk.endpoints.CMA}/v3/content_types/article`)
        const own = await sdk.api('/v3/user')
        const foreign = await sdk.api('http://127.0.0.1:1/steal')
        const forged = await sdk.api('/v3/user', { headers: { authtoken: 'blt-forged' } })
        return {
          good: ((await good.json()) as { content_type: { uid: string } }).content_type.uid,
          own: ((await own.json()) as { user: { first_name: string } }).user.first_name,
          foreign: foreign.status,
          forged: forged.status
        }
      })
      expect(said).toEqual({ good: 'article', own: 'Ada', foreign: 403, forged: 200 })
    })

    it('an asset is uploaded from inside the frame', async () => {
      const frame = await probeFrame(await as('Ada', `/stack/${stage.apiKey}/dashboard`), 'cs.cm.stack.dashboard')
      await frame.evaluate(async () => {
        const file = new File(['<svg xmlns="http://www.w3.org/2000/svg"/>'], 'uploaded.svg', { type: 'image/svg+xml' })
        await (window as never as InFrame).sdk.stack.Asset.uploadAsset([file])
      })
      const assets = Object.values(stage.sandbox.world.stacks[stage.apiKey]!.assets['main']!)
      expect(assets.some(({ filename }) => filename === 'uploaded.svg')).toBe(true)
    })
  })

  // Last: it takes Ada's credentials away.
  describe('when Ada leaves', () => {
    it('her authtoken and her authorization end on the page, the stack’s token goes on, and her next call logs her out', async () => {
      const made = (await cma('/stacks/management_tokens', {
        method: 'POST',
        body: JSON.stringify({
          token: {
            name: 'Of the stack',
            scope: [
              { module: 'content_type', acl: { read: true, write: true } },
              { module: 'branch', branches: ['main'], acl: { read: true } }
            ]
          }
        })
      })) as unknown as { token?: { uid: string } }
      expect(made.token?.uid).toBeTruthy()
      const page = await as('Ada')
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
      await page.click('text=Ada returns')
      await page.waitForSelector('text=works in this stack as admin')
      await page.waitForSelector('.held:has-text("Authtoken"):has-text("refused, 401")')
    })
  })
})
