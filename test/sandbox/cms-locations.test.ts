// What each kind of UI location can do beyond the entry sidebar, and what every one of them can call, through the unmodified
// App SDK in a real Chromium.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { launchBrowser, skipReason } from '../support/browser.ts'
import { type InFrame, openStage, probeFrame, type Stage } from '../support/cms-stage.ts'

const browser = await launchBrowser()
const patience = { timeout: 15_000 }

describe.skipIf(browser === null)(browser ? 'UI locations' : `UI locations (${skipReason})`, () => {
  let stage: Stage
  let installationUid: string
  const article = { uid: '', title: '' }
  const entryPath = (locale = 'en-us') => `/stack/${stage.apiKey}/content-type/article/${locale}/entry/${article.uid}/edit`
  const firstFile = () => Object.values(stage.stack.assets['main']!).find(({ isDir }) => !isDir)!

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

  describe('the other locations', () => {
    it('a custom field sets its own value in the entry', async () => {
      const page = await stage.as('Ada', entryPath())
      const frame = await probeFrame(page, 'cs.cm.stack.custom_field')
      await frame.evaluate(() => (window as never as InFrame).sdk.location.CustomField!.field.setData({ hex: '#6c5ce7' }))
      await frame.evaluate(() => (window as never as InFrame).sdk.location.CustomField!.frame.updateHeight(222))
      await page.click('button[type=submit]')
      await page.waitForSelector('text=not saved yet', { state: 'detached' })
      const { entry } = (await stage.cma(`/content_types/article/entries/${article.uid}`)) as unknown as { entry: { accent: unknown } }
      expect(entry.accent).toEqual({ hex: '#6c5ce7' })
      expect(
        await page.evaluate(() => document.querySelector<HTMLIFrameElement>('[data-location="cs.cm.stack.custom_field"]')?.style.height)
      ).toBe('222px')
    })

    it('the configuration is staged by the app, kept by Save, and then everybody’s getConfig', async () => {
      const page = await stage.as('Ada', `/stack/${stage.apiKey}/apps/${installationUid}/configure`)
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
      const editor = await probeFrame(await stage.as('Edda', entryPath()), 'cs.cm.stack.sidebar')
      expect(await editor.evaluate(() => (window as never as InFrame).sdk.getConfig())).toEqual({ colour: 'plum' })
    })

    it('an editor’s save of the configuration is refused by Developer Hub', async () => {
      const page = await stage.as('Edda', `/stack/${stage.apiKey}/apps/${installationUid}/configure`)
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
      const { uid } = firstFile()
      const page = await stage.as('Ada', `/stack/${stage.apiKey}/assets/${uid}`)
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
      expect(stage.stack.assets['main']![uid]!.title).toBe(`Titled by the app ${round}`)
    })
  })

  describe('what every location can call', () => {
    it('store keeps, lists, removes and clears', async () => {
      const frame = await probeFrame(await stage.as('Ada', `/stack/${stage.apiKey}/dashboard`), 'cs.cm.stack.dashboard')
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
      const frame = await probeFrame(await stage.as('Ada', `/stack/${stage.apiKey}/dashboard`), 'cs.cm.stack.dashboard')
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
      const frame = await probeFrame(await stage.as('Edda', `/stack/${stage.apiKey}/dashboard`), 'cs.cm.stack.dashboard')
      const said = await frame.evaluate(() =>
        (window as never as InFrame).sdk.stack.getManagementTokens().then(
          () => 'allowed',
          (error: unknown) => String(error)
        )
      )
      expect(said).not.toBe('allowed')
    })

    it('api() reaches the CMA with the person’s rights and nothing else', async () => {
      const frame = await probeFrame(await stage.as('Ada', `/stack/${stage.apiKey}/dashboard`), 'cs.cm.stack.dashboard')
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
      const frame = await probeFrame(await stage.as('Ada', `/stack/${stage.apiKey}/dashboard`), 'cs.cm.stack.dashboard')
      await frame.evaluate(async () => {
        const file = new File(['<svg xmlns="http://www.w3.org/2000/svg"/>'], 'uploaded.svg', { type: 'image/svg+xml' })
        await (window as never as InFrame).sdk.stack.Asset.uploadAsset([file])
      })
      const assets = Object.values(stage.stack.assets['main']!)
      expect(assets.some(({ filename }) => filename === 'uploaded.svg')).toBe(true)
    })
  })
})
