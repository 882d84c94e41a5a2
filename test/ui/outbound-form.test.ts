// Creating an outbound sync in the stack's page: the usual needs two clicks, the rest lies folded beside it.
import { expect, it } from 'vitest'
import { onStage, seriousFindings } from './on-stage.ts'
import { session } from './stage.ts'
import { connection, sync, token } from './states.ts'

onStage('the form of an outbound sync', pages => {
  const base = '/api/extension/stack'
  const shown = async () => {
    pages.stage.door['POST /api/extension/session'] = session({ stackAdmin: true })
    pages.stage.door[`GET ${base}/token`] = { current: token, history: [], grant: null }
    pages.stage.door[`GET ${base}/connections`] = { items: [connection], next: null }
    pages.stage.door[`GET ${base}/keys`] = { items: [], next: null }
    const outbound = { source: 'published', environment: 'production', filter: { a: 1 }, embed: 2, richText: 'html' }
    pages.stage.door[`GET ${base}/syncs`] = { items: [{ ...sync, outbound }], next: null }
    pages.stage.door[`GET ${base}/content-types`] = { items: [{ uid: 'article', title: 'Article', fields: [] }], next: null }
    pages.stage.door[`POST ${base}/syncs`] = 400
    const { app } = await pages.inFrame('/app-configuration', { width: 1000 })
    await app.getByRole('button', { name: 'Create sync' }).click()
    return { app }
  }

  it('sends nothing but the choice of content types where nothing else is chosen', async () => {
    const { app } = await shown()
    await app.getByRole('button', { name: 'Create sync' }).click()
    await app.getByText('The door says 400.').waitFor()
    expect(pages.asked('POST', `${base}/syncs`)[0]?.body).toEqual({
      direction: 'outbound',
      connectionId: connection.id,
      target: '',
      contentTypes: ['*']
    })
  })

  it('takes versions, references, filter and branch, refuses a filter that is none, and shows what a sync was told', async () => {
    const { app } = await shown()
    await app.getByText('published in production, filtered, references embedded 2 deep').waitFor()
    await app.getByLabel('These').check()
    await app.getByRole('checkbox', { name: 'Article' }).check()
    await app.getByRole('checkbox', { name: 'Assets' }).check()
    await app.getByText('Versions, filter, references').click()
    await app.getByLabel('Versions').selectOption('published')
    await app.getByLabel('Environment').fill('production')
    await app.getByLabel('References', { exact: true }).selectOption('2')
    await app.getByLabel('JSON rich text').selectOption('text')
    await app.getByLabel('Branch').fill('redesign')
    await app.getByLabel('Filter').fill('{"category":')
    await app.getByText('This is no JSON object.').waitFor()
    expect(await app.getByRole('button', { name: 'Create 2 syncs' }).isDisabled()).toBe(true)
    await app.getByLabel('Filter').fill('{"category":"news"}')
    expect(await seriousFindings(app)).toEqual([])
    await app.getByRole('button', { name: 'Create 2 syncs' }).click()
    await app.getByText('The door says 400.').waitFor()
    expect(pages.asked('POST', `${base}/syncs`)[0]?.body).toEqual({
      direction: 'outbound',
      connectionId: connection.id,
      target: '',
      contentTypes: ['article', 'sys_assets'],
      source: 'published',
      environment: 'production',
      branch: 'redesign',
      filter: { category: 'news' },
      references: { embed: 2 },
      richText: 'text'
    })
  })
})
