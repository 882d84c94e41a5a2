import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pictures } from '../../sandbox/world/built-in-assets.ts'
import { startCma, type CmaHost } from '../support/cma-host.ts'

let cma: CmaHost
let token: Record<string, string>
beforeAll(async () => {
  cma = await startCma()
  token = cma.token()
})
afterAll(() => cma.close())

function form(parts: Record<string, string>, file?: { name: string; type: string; text: string }): FormData {
  const data = new FormData()
  for (const [name, value] of Object.entries(parts)) data.append(`asset[${name}]`, value)
  if (file) data.append('asset[upload]', new Blob([file.text], { type: file.type }), file.name)
  return data
}

describe('assets', () => {
  it('are uploaded with their particulars, told of, and served again', async () => {
    const folder = (await cma.call('POST', '/assets/folders', token, { asset: { name: 'Maps' } })).body.asset
    const file = { name: 'north/sea?.txt', type: 'text/plain', text: 'brr' }
    const reply = await cma.call(
      'POST',
      '/assets',
      token,
      form({ title: 'North', description: 'Cold', tags: 'sea, north', parent_uid: folder.uid }, file)
    )
    expect(reply.status).toBe(201)
    expect(reply.body).toMatchObject({
      notice: 'Asset created successfully.',
      asset: {
        title: 'North',
        description: 'Cold',
        tags: ['sea', 'north'],
        parent_uid: folder.uid,
        file_size: '3',
        content_type: 'text/plain',
        is_dir: false,
        _version: 1
      }
    })
    expect(reply.body.asset.filename).not.toMatch(/[/?]/u)
    expect(await (await fetch(reply.body.asset.url)).text()).toBe('brr')
    expect(cma.changes.at(-1)).toMatchObject({ module: 'asset', event: 'create', object: { title: 'North' } })
    const inside = await cma.call('GET', `/assets?folder=${folder.uid}&include_count=true`, token)
    expect(inside.body).toMatchObject({ count: 1, assets: [{ uid: reply.body.asset.uid }] })
  })

  it('take a new file at a new address, and new words as JSON', async () => {
    const made = (await cma.call('POST', '/assets', token, form({}, { name: 'a.txt', type: 'text/plain', text: 'one' }))).body.asset
    const replaced = (await cma.call('PUT', `/assets/${made.uid}`, token, form({}, { name: 'b.txt', type: 'text/plain', text: 'two!' })))
      .body.asset
    expect(replaced).toMatchObject({ uid: made.uid, filename: 'b.txt', file_size: '4', _version: 2 })
    expect(replaced.url).not.toBe(made.url)
    expect((await fetch(made.url)).status).toBe(404)
    const renamed = await cma.call('PUT', `/assets/${made.uid}`, token, { asset: { title: 'B', tags: ['x'] } })
    expect(renamed.body).toMatchObject({ notice: 'Asset updated successfully.', asset: { title: 'B', tags: ['x'], _version: 3 } })
  })

  it.each([
    ['without a file', form({ title: 'x' }), 'upload'],
    ['into a folder nobody has', form({ parent_uid: 'blt0' }, { name: 'a', type: 'text/plain', text: 'a' }), 'parent_uid'],
    ['as JSON', { asset: { title: 'x' } }, 'upload']
  ])('are refused %s, and nothing is written', async (_what, body, field) => {
    const writes = cma.stack.writes.length
    const reply = await cma.call('POST', '/assets', token, body)
    expect(reply.status).toBe(422)
    expect(Object.keys(reply.body.errors)).toEqual([field])
    expect(cma.stack.writes).toHaveLength(writes)
  })

  it('are published per environment and locale, and shown so only when asked', async () => {
    const target = { asset: { environments: ['production'], locales: ['en-us', 'de-de'] }, version: 1 }
    expect((await cma.call('POST', `/assets/${pictures.wave}/publish`, token, target)).body.notice).toBe('Asset sent for publishing.')
    const asked = await cma.call('GET', `/assets/${pictures.wave}?include_publish_details=true&include_dimension=true`, token)
    expect(asked.body.asset).toMatchObject({
      dimension: { width: 160, height: 90 },
      publish_details: [{ locale: 'en-us' }, { locale: 'de-de' }]
    })
    expect((await cma.call('GET', `/assets/${pictures.wave}`, token)).body.asset).not.toHaveProperty('publish_details')
  })

  it('are listed by kind, by query and in the order asked', async () => {
    const titles = async (path: string) => (await cma.call('GET', path, token)).body.assets.map((asset: { title: string }) => asset.title)
    expect(await titles(`/assets?asc=title&query=${encodeURIComponent('{"content_type":"image/png"}')}`)).toEqual(['Pixel', 'Portrait'])
    expect(await titles('/assets/images?asc=title&limit=2')).toEqual(['Anchor', 'Harbour'])
    expect(await titles('/assets/videos')).toEqual([])
  })

  it('vanish with their folder', async () => {
    const folder = (await cma.call('POST', '/assets/folders', token, { asset: { name: 'Old' } })).body.asset
    const inside = (
      await cma.call('POST', '/assets', token, form({ parent_uid: folder.uid }, { name: 'o.txt', type: 'text/plain', text: 'o' }))
    ).body.asset
    await cma.call('DELETE', `/assets/folders/${folder.uid}`, token)
    expect((await cma.call('GET', `/assets/${inside.uid}`, token)).body.error_code).toBe(141)
  })

  it('served to a browser cannot run as a page of the host', async () => {
    const { url } = (await cma.call('GET', `/assets/${pictures.anchor}`, token)).body.asset
    const bytes = await fetch(url)
    expect(bytes.headers.get('content-security-policy')).toContain('sandbox')
    expect(bytes.headers.get('x-content-type-options')).toBe('nosniff')
  })
})

describe('settings', () => {
  it('webhooks are made, changed and removed; their password never comes out', async () => {
    const webhook = {
      name: 'Hook',
      destinations: [
        {
          target_url: 'http://127.0.0.1:9/x',
          http_basic_auth: 'u',
          http_basic_password: 'sesame',
          custom_header: [{ header_name: 'h', value: 'v' }]
        }
      ],
      channels: ['content_types.entries.create'],
      branches: ['main'],
      retry_policy: 'automatic',
      concise_payload: true
    }
    const made = await cma.call('POST', '/webhooks', token, { webhook })
    expect(made.status).toBe(201)
    const { uid } = made.body.webhook
    const changed = await cma.call('PUT', `/webhooks/${uid}`, token, { webhook: { disabled: true } })
    expect(changed.body.webhook).toMatchObject({ name: 'Hook', disabled: true, concise_payload: true, channels: webhook.channels })
    expect(JSON.stringify([made.body, changed.body, (await cma.call('GET', '/webhooks', token)).body])).not.toContain('sesame')
    expect(cma.stack.webhooks[uid]?.destinations[0]?.http_basic_password).toBe('sesame')
    expect((await cma.call('GET', `/webhooks/${uid}/executions`, token)).status).toBe(200)
    expect((await cma.call('DELETE', `/webhooks/${uid}`, token)).status).toBe(200)
    expect((await cma.call('GET', `/webhooks/${uid}`, token)).body.error_code).toBe(141)
  })

  it.each([
    ['no channels', { name: 'X', destinations: [{ target_url: 'https://a.example' }], channels: [] }, 'channels'],
    ['an address that is none', { name: 'X', destinations: [{ target_url: 'javascript:0' }], channels: ['assets.create'] }, 'destinations'],
    ['no name', { destinations: [{ target_url: 'https://a.example' }], channels: ['assets.create'] }, 'name']
  ])('a webhook with %s is refused', async (_what, webhook, field) => {
    const reply = await cma.call('POST', '/webhooks', token, { webhook })
    expect(reply.status).toBe(422)
    expect(Object.keys(reply.body.errors)).toEqual([field])
  })

  it('a locale that stands is 247; a new one falls back to the master', async () => {
    expect((await cma.call('POST', '/locales', token, { locale: { code: 'de-de', name: 'German' } })).body.error_code).toBe(247)
    expect((await cma.call('POST', '/locales', token, { locale: { code: 'it-it', name: 'Italian' } })).body.locale).toMatchObject({
      fallback_locale: 'en-us'
    })
    expect((await cma.call('DELETE', '/locales/en-us', token)).status).toBe(422)
    expect((await cma.call('DELETE', '/locales/it-it', token)).status).toBe(200)
  })

  it('an environment is found by its name', async () => {
    expect((await cma.call('POST', '/environments', token, { environment: { name: 'staging', urls: [] } })).status).toBe(201)
    expect((await cma.call('GET', '/environments/staging', token)).body.environment.name).toBe('staging')
    expect((await cma.call('GET', '/environments?limit=1&include_count=true', token)).body).toMatchObject({ count: 3 })
  })

  it('a field can be added to a content type, and global fields stand in where asked', async () => {
    const type = (await cma.call('GET', '/content_types/product', token)).body.content_type
    const schema = [
      ...type.schema,
      { uid: 'external_id', data_type: 'text', display_name: 'External id', unique: true, multiple: false, non_localizable: true }
    ]
    const updated = await cma.call('PUT', '/content_types/product', token, { content_type: { title: type.title, uid: 'product', schema } })
    expect(updated.body.content_type._version).toBe(type._version + 1)
    const entry = (n: string) =>
      cma.call('POST', '/content_types/product/entries', token, { entry: { title: n, sku: n, external_id: 'E1' } })
    expect((await entry('one')).status).toBe(201)
    expect((await entry('two')).body.errors).toEqual({ external_id: ['is not unique.'] })
    const article = (await cma.call('GET', '/content_types/article?include_global_field_schema=true', token)).body.content_type
    expect(article.schema.find((field: { uid: string }) => field.uid === 'seo').schema[0].uid).toBe('meta_title')
  })

  it.each([
    ['a uid with capitals', { uid: 'Bad', title: 'Bad', schema: [{ uid: 'title', data_type: 'text' }] }, 'uid'],
    ['a uid that stands', { uid: 'product', title: 'Other', schema: [{ uid: 'title', data_type: 'text' }] }, 'uid'],
    ['a title that stands', { uid: 'other', title: 'Product', schema: [{ uid: 'title', data_type: 'text' }] }, 'title'],
    ['no title field', { uid: 'other', title: 'Other', schema: [{ uid: 'x', data_type: 'text' }] }, 'schema'],
    [
      'two fields of one uid',
      { uid: 'other', title: 'Other', schema: ['title', 'title'].map(uid => ({ uid, data_type: 'text' })) },
      'schema'
    ]
  ])('a content type with %s is refused with 115', async (_what, content_type, field) => {
    const reply = await cma.call('POST', '/content_types', token, { content_type })
    expect(reply.body.error_code).toBe(115)
    expect(Object.keys(reply.body.errors)).toEqual([field])
  })

  it('a branch is a copy that goes its own way', async () => {
    const owner = cma.as(Object.keys(cma.stack.members)[0] ?? '')
    expect((await cma.call('POST', '/stacks/branches', owner, { branch: { uid: 'try_out', source: 'main' } })).status).toBe(201)
    const there = { ...owner, branch: 'try_out' }
    await cma.call('POST', '/content_types/product/entries', there, { entry: { title: 'Only here', sku: 'OH' } })
    const count = async (credential: Record<string, string>) =>
      (await cma.call('GET', '/content_types/product/entries?count=true', credential)).body.entries
    expect(await count(there)).toBe((await count(owner)) + 1)
  })

  it('every write is in the audit log', async () => {
    const owner = cma.as(Object.keys(cma.stack.members)[0] ?? '')
    const { logs } = (await cma.call('GET', '/audit-logs', owner)).body
    expect(logs).toHaveLength(Math.min(100, cma.stack.writes.length))
    expect(logs[0]).toMatchObject({ module: 'entry', event_type: 'create' })
  })
})
