// The App SDK, unmodified, in the frames of the CMS page in a real Chromium: page on localhost, app on 127.0.0.1, so that the
// frames are cross-site. What the SDK says and hears is looked at from inside the frame; what was kept, on the CMA's wire.
import { createPublicKey } from 'node:crypto'
import { jwtVerify } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { launchBrowser, skipReason } from '../support/browser.ts'
import { type InFrame, openStage, probeFrame, type Stage } from '../support/cms-stage.ts'

const browser = await launchBrowser()
const patience = { timeout: 15_000 }

describe.skipIf(browser === null)(browser ? 'frames of the CMS page' : `frames of the CMS page (${skipReason})`, () => {
  let stage: Stage
  let installationUid: string
  let extensionUid: (location: string) => string
  const article = { uid: '', title: '' }
  const entryPath = (locale = 'en-us') => `/stack/${stage.apiKey}/content-type/article/${locale}/entry/${article.uid}/edit`
  const firstFile = () => Object.values(stage.stack.assets['main']!).find(({ isDir }) => !isDir)!

  beforeAll(async () => {
    stage = await openStage(browser!)
    ;({ installationUid, extensionUid } = await stage.install())
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
    const firstAsset = () => firstFile().uid

    it.each(paths)('initialise the SDK as %s, on another site, with a signed app-token', async (type, location, path) => {
      const before = stage.probe.loads.length
      const page = await stage.as('Ada', path())
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
      const page = await stage.as('Ada', `/stack/${stage.apiKey}/apps/${installationUid}/configure`)
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
      const page = await stage.as('Ada', entryPath())
      const frame = await probeFrame(page, 'cs.cm.stack.sidebar')
      const first = await frame.evaluate(async () => {
        const { entry } = (window as never as InFrame).sdk.location.SidebarWidget!
        return { data: entry.getData(), draft: await entry.getDraftData(), locale: entry.locale, type: entry.content_type.uid }
      })
      expect(first).toMatchObject({ data: { uid: article.uid, title: article.title }, draft: {}, locale: 'en-us', type: 'article' })
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
          await page.fill('[data-field="keywords"] textarea', `round ${(typed += 1)}`)
          return await frame.evaluate(() => (window as never as InFrame).heard.filter(({ event }) => event === 'change').length)
        }, patience)
        .toBeGreaterThan(0)
      await page.click('button[type=submit]')
      await expect
        .poll(() => frame.evaluate(() => (window as never as InFrame).heard.find(({ event }) => event === 'save')?.data), patience)
        .toMatchObject({ teaser: 'Set by the app', keywords: [`round ${typed}`] })
      const { entry } = (await stage.cma(`/content_types/article/entries/${article.uid}`)) as unknown as { entry: Record<string, unknown> }
      expect(entry).toMatchObject({ teaser: 'Set by the app', _version: (first.data['_version'] as number) + 1 })
      expect(await frame.evaluate(() => (window as never as InFrame).sdk.location.SidebarWidget!.entry.getData()['teaser'])).toBe(
        'Set by the app'
      )
    })

    it('loses nothing of any field type when one field is changed', async () => {
      const read = async () =>
        (await stage.cma(`/content_types/article/entries/${article.uid}`))['entry'] as unknown as Record<string, unknown>
      const before = await read()
      const page = await stage.as('Ada', entryPath())
      await page.fill('[data-field="teaser"] input', 'Only this')
      await page.click('button[type=submit]')
      await expect.poll(async () => (await read())['_version'], patience).toBe((before['_version'] as number) + 1)
      const after = await read()
      expect(after['teaser']).toBe('Only this')
      const { teaser, _version, updated_at, updated_by } = before
      expect({ ...after, teaser, _version, updated_at, updated_by }).toEqual(before)
    })

    it('hears that the entry was published', async () => {
      const page = await stage.as('Ada', entryPath())
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
      const { entries } = (await stage.cma('/content_types/product/entries?limit=1')) as unknown as { entries: { uid: string }[] }
      const page = await stage.as('Ada', `/stack/${stage.apiKey}/content-type/product/fr-fr/entry/${entries[0]!.uid}/edit`)
      await page.waitForSelector('text=There is no fr-fr version')
      await page.click('text=Localize to fr-fr')
      await page.waitForSelector('text=There is no fr-fr version', { state: 'detached' })
      const { entry } = (await stage.cma(`/content_types/product/entries/${entries[0]!.uid}?locale=fr-fr`)) as unknown as {
        entry: { locale: string }
      }
      expect(entry.locale).toBe('fr-fr')
    })

    it('shows a refusal of the CMA with its words and keeps what was typed', async () => {
      const page = await stage.as('Ada', `/stack/${stage.apiKey}/content-type/product/en-us/entry/create`)
      await page.fill('[data-field="title"] input', 'Nameless')
      await page.click('button[type=submit]')
      await page.waitForSelector('[role=alert]:has-text("sku")')
      expect(await page.inputValue('[data-field="title"] input')).toBe('Nameless')
    })
  })
})
