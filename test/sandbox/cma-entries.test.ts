import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { entryUid } from '../../sandbox/world/built-in-entries.ts'
import { pictures } from '../../sandbox/world/built-in-assets.ts'
import { ada } from '../../sandbox/world/people.ts'
import { startCma, type CmaHost } from '../support/cma-host.ts'

let cma: CmaHost
let token: Record<string, string>
beforeAll(async () => {
  cma = await startCma()
  token = cma.token()
})
afterAll(() => cma.close())

const path = (type: string, uid = '') => `/content_types/${type}/entries${uid === '' ? '' : `/${uid}`}`

async function made(fields: Record<string, unknown>, type = 'product'): Promise<Record<string, unknown>> {
  const reply = await cma.call('POST', path(type), token, { entry: fields })
  expect(reply.body.errors).toBeUndefined()
  return reply.body.entry as Record<string, unknown>
}

describe('creating and reading', () => {
  it('answers a creation with the whole entry at version 1 and records the write', async () => {
    const reply = await cma.call('POST', path('product'), token, {
      entry: { title: 'Knife', sku: 'K-1', price: 9.5, unknown: 1, uid: 'blt0' }
    })
    expect(reply.status).toBe(201)
    expect(reply.body.notice).toBe('Entry created successfully.')
    expect(reply.body.entry).toMatchObject({
      title: 'Knife',
      sku: 'K-1',
      price: 9.5,
      _version: 1,
      locale: 'en-us',
      ACL: {},
      tags: [],
      _in_progress: false
    })
    expect(reply.body.entry).not.toHaveProperty('unknown')
    expect(reply.body.entry.uid).toMatch(/^blt[0-9a-f]{16}$/u)
    expect(cma.stack.writes.at(-1)).toMatchObject({
      action: 'create',
      module: 'entry',
      uid: reply.body.entry.uid,
      by: { kind: 'management_token' }
    })
    const read = await cma.call('GET', path('product', reply.body.entry.uid), token)
    expect(read.body.entry).toEqual(reply.body.entry)
  })

  it('reads file fields as whole assets, refuses them back, and takes their uid', async () => {
    const read = await cma.call('GET', path('article', entryUid('article', 'article-0')), token)
    const { entry } = read.body
    expect(entry.cover).toMatchObject({ uid: pictures.harbour, filename: 'harbour.svg', file_size: expect.any(String), _version: 1 })
    expect(entry.sections[1].picture.image).toMatchObject({ uid: pictures.anchor })
    expect(entry.author).toEqual([{ uid: entryUid('author', 'Mara Quill'), _content_type_uid: 'author' }])
    const back = await cma.call('PUT', path('article', entry.uid), token, { entry })
    expect(back.status).toBe(422)
    expect(back.body).toMatchObject({ error_code: 119, errors: { cover: ['is not valid.'] } })
    const again = await cma.call('PUT', path('article', entry.uid), token, { entry: { cover: pictures.wave } })
    expect(again.body.entry.cover.uid).toBe(pictures.wave)
    expect(again.body.entry.title).toBe(entry.title)
    expect(again.body.entry._version).toBe(entry._version + 1)
  })

  it('serves the bytes at the address it gives', async () => {
    const read = await cma.call('GET', path('article', entryUid('article', 'article-2')), token)
    const bytes = await fetch(read.body.entry.cover.url)
    expect(bytes.headers.get('content-type')).toContain('image/svg+xml')
    expect(await bytes.text()).toContain('<title>Harbour</title>')
  })

  it('resolves references where asked, nested ones too', async () => {
    const read = await cma.call(
      'GET',
      `${path('article', entryUid('article', 'article-1'))}?include[]=author&include[]=sections.teasers.items.target`,
      token
    )
    expect(read.body.entry.author[0]).toMatchObject({ title: 'Jonas Reed', _content_type_uid: 'author' })
    expect(read.body.entry.sections[2].teasers.items[0].target[0]).toMatchObject({ title: 'How tides work', _content_type_uid: 'article' })
  })

  it('gives new rows and blocks a uid of their own', async () => {
    const entry = await made(
      { title: 'Rows', credits: [{ role: 'Cook', name: 'Nell' }], sections: [{ quote: { words: 'Ahoy' } }] },
      'article'
    )
    expect(entry['credits']).toEqual([{ role: 'Cook', name: 'Nell', _metadata: { uid: expect.stringMatching(/^cs/u) } }])
    expect(entry['sections']).toEqual([{ quote: { words: 'Ahoy', _metadata: { uid: expect.stringMatching(/^cs/u) } } }])
  })

  it('applies atomic operations to what stands', async () => {
    const entry = await made({ title: 'Atoms', keywords: ['a', 'b'], reading_minutes: 2 }, 'article')
    const uid = String(entry['uid'])
    const change = { keywords: { PUSH: { data: ['c'] } }, reading_minutes: { ADD: 5 } }
    expect((await cma.call('PUT', path('article', uid), token, { entry: change })).body.entry).toMatchObject({
      keywords: ['a', 'b', 'c'],
      reading_minutes: 7
    })
    const next = { keywords: { UPDATE: { index: 0, data: 'z' } }, reading_minutes: { SUB: 1 } }
    expect((await cma.call('PUT', path('article', uid), token, { entry: next })).body.entry).toMatchObject({
      keywords: ['z', 'b', 'c'],
      reading_minutes: 6
    })
    expect(
      (await cma.call('PUT', path('article', uid), token, { entry: { keywords: { PULL: { query: 'b' } } } })).body.entry.keywords
    ).toEqual(['z', 'c'])
  })
})

describe('refusals', () => {
  it.each([
    ['a missing title', 'product', { sku: 'X-1' }, 'title', 'is a required field.'],
    ['a title that stands', 'product', { title: 'Rope', sku: 'X-2' }, 'title', 'is not unique.'],
    ['a unique value that stands', 'product', { title: 'New rope', sku: 'HP-1000' }, 'sku', 'is not unique.'],
    ['text in a number field', 'product', { title: 'X', sku: 'X-3', price: '9' }, 'price', 'is not valid.'],
    ['an asset nobody has', 'product', { title: 'X', sku: 'X-4', picture: 'blt0' }, 'picture', 'is not valid.'],
    ['a choice that is none', 'article', { title: 'X', tone: 'gossip' }, 'tone', 'is not valid.'],
    [
      'a reference to a foreign type',
      'article',
      { title: 'X', author: [{ uid: 'blt0', _content_type_uid: 'product' }] },
      'author',
      'is not valid.'
    ],
    ['two references where one may stand', 'article', { title: 'X', author: ['blt1', 'blt2'] }, 'author', 'is not valid.'],
    ['a block nobody defined', 'article', { title: 'X', sections: [{ rant: {} }] }, 'sections.0', 'is not valid.'],
    [
      'a block without its mandatory field',
      'article',
      { title: 'X', sections: [{ quote: {} }] },
      'sections.0.quote.words',
      'is a required field.'
    ],
    ['rich text that is no document', 'article', { title: 'X', body: { type: 'p' } }, 'body', 'is not valid.'],
    [
      'a term nobody has',
      'article',
      { title: 'X', taxonomies: [{ taxonomy_uid: 'topics', term_uid: 'no' }] },
      'taxonomies',
      'is not valid.'
    ],
    ['a date that is none', 'article', { title: 'X', first_published: 'soon' }, 'first_published', 'is not valid.']
  ])('%s is 422/119 by field and writes nothing', async (_what, type, fields, field, message) => {
    const writes = cma.stack.writes.length
    const reply = await cma.call('POST', path(type), token, { entry: fields })
    expect(reply.status).toBe(422)
    expect(reply.body.error_code).toBe(119)
    expect(reply.body.errors[field]).toContain(message)
    expect(cma.stack.writes).toHaveLength(writes)
  })

  it.each([
    ['an entry nobody has', path('product', 'blt0'), 141],
    ['a content type nobody has', path('nothing'), 118],
    ['a locale the stack has not', `${path('product')}?locale=en_US`, 141],
    ['an operator nobody has', `${path('product')}?query={"title":{"$near":1}}`, 141],
    ['a query that is no JSON', `${path('product')}?query={`, 141],
    ['a limit that is no number', `${path('product')}?limit=many`, 141]
  ])('%s is 422 with its code', async (_what, at, code) => {
    const reply = await cma.call('GET', at, token)
    expect({ status: reply.status, code: reply.body.error_code }).toEqual({ status: 422, code })
  })

  it('says so when a body is no JSON', async () => {
    const reply = await fetch(`${cma.url}/v3${path('product')}`, {
      method: 'POST',
      headers: { api_key: cma.stack.apiKey, ...token, 'content-type': 'application/json' },
      body: '{'
    })
    expect(reply.status).toBe(422)
  })
})

describe('lists', () => {
  it.each([
    ['equality on a unique field', { sku: 'HP-1003' }, ['Lantern']],
    ['$in', { sku: { $in: ['HP-1001', 'HP-1002', 'nope'] } }, ['Buoy', 'Compass']],
    ['a range of numbers', { price: { $gt: 41 } }, ['Pulley']],
    ['$and of $gte and $lte', { $and: [{ price: { $gte: 9 } }, { price: { $lte: 13.5 } }] }, ['Buoy', 'Compass']],
    ['$or', { $or: [{ title: 'Rope' }, { price: { $lt: 9 } }] }, ['Rope']],
    ['$regex with options', { title: { $regex: '^sex', $options: 'i' } }, ['Sextant']],
    ['$exists false', { $and: [{ picture: { $exists: false } }, { sku: { $in: ['HP-1000', 'HP-1001'] } }] }, ['Buoy']],
    ['$nin and $ne', { $and: [{ sku: { $nin: ['HP-1008'] } }, { title: { $ne: 'Pulley' } }, { price: { $gt: 35 } }] }, ['Chart']],
    ['a dot path into a file', { 'picture.uid': pictures.anchor, price: { $lt: 5 } }, ['Rope']]
  ])('finds by %s', async (_what, query, titles) => {
    const reply = await cma.call(
      'GET',
      `${path('product')}?include_count=true&asc=title&query=${encodeURIComponent(JSON.stringify({ ...query, title: (query as Record<string, unknown>)['title'] ?? { $nin: ['Knife'] } }))}`,
      token
    )
    expect(reply.body.entries.map((entry: { title: string }) => entry.title)).toEqual(titles)
    expect(reply.body.count).toBe(titles.length)
  })

  it('finds through references, rows and blocks by dot path', async () => {
    const ask = async (query: unknown) =>
      (await cma.call('GET', `${path('article')}?include_count=true&query=${encodeURIComponent(JSON.stringify(query))}`, token)).body.count
    expect(await ask({ 'author.uid': entryUid('author', 'Mara Quill') })).toBe(4)
    expect(await ask({ 'credits.name': 'Nell' })).toBe(1)
    expect(await ask({ 'sections.quote.words': 'Ahoy' })).toBe(1)
    expect(await ask({ 'seo.no_index': true })).toBe(5)
  })

  it('pages by uid as a keyset and misses nothing', async () => {
    const seen: string[] = []
    for (let last = ''; ; last = seen.at(-1) ?? '') {
      const query = encodeURIComponent(JSON.stringify({ uid: { $gt: last } }))
      const { entries } = (await cma.call('GET', `${path('article')}?asc=uid&limit=7&only[BASE][]=uid&query=${query}`, token)).body
      if (entries.length === 0) break
      seen.push(...entries.map((entry: { uid: string }) => entry.uid))
    }
    expect(seen).toEqual(Object.keys(cma.stack.entries['main']?.['article'] ?? {}).sort())
  })

  it('finds what changed since a time, newest first', async () => {
    const since = new Date(cma.context.clock.now()).toISOString()
    cma.context.clock.advance(5)
    await made({ title: 'Later', sku: 'L-1' })
    cma.context.clock.advance(5)
    await made({ title: 'Latest', sku: 'L-2' })
    const query = encodeURIComponent(JSON.stringify({ updated_at: { $gt: since } }))
    const titles = async (more: string) =>
      (await cma.call('GET', `${path('product')}?query=${query}${more}`, token)).body.entries.map((entry: { title: string }) => entry.title)
    expect(await titles('')).toEqual(['Latest', 'Later'])
    expect(await titles('&asc=updated_at')).toEqual(['Later', 'Latest'])
    expect(await titles('&asc=title')).toEqual(['Later', 'Latest'].sort())
  })

  it.each(['only[BASE][]', 'only[BASE][0]', 'only[]'])('keeps only what %s names', async spelling => {
    const reply = await cma.call('GET', `${path('product')}?limit=1&${encodeURIComponent(spelling)}=sku`, token)
    expect(Object.keys(reply.body.entries[0]).sort()).toEqual(['_version', 'locale', 'sku', 'uid'])
  })

  it('leaves out what except names, and counts alone with count=true', async () => {
    const reply = await cma.call('GET', `${path('product')}?limit=1&except[BASE][]=sku`, token)
    expect(reply.body.entries[0]).not.toHaveProperty('sku')
    expect((await cma.call('GET', `${path('country')}?count=true`, token)).body).toEqual({ entries: 0 })
  })

  it('ignores asc=uid under the play "unsorted", but not time', async () => {
    cma.context.plays.sortedPaging = 'unsorted'
    const uids = async (sort: string) =>
      (await cma.call('GET', `${path('article')}?${sort}`, token)).body.entries.map((entry: { uid: string }) => entry.uid)
    const asked = await uids('asc=uid')
    expect(asked).not.toEqual(asked.toSorted())
    expect(asked).toEqual(await uids('desc=updated_at'))
    cma.context.plays.sortedPaging = 'sorted'
    expect(await uids('asc=uid')).toEqual(asked.toSorted())
  })
})

describe('locales', () => {
  const rope = () => path('product', entryUid('product', 'Rope'))
  const bell = () => path('product', entryUid('product', 'Bell'))

  it('falls back with the locale it fell back to', async () => {
    expect((await cma.call('GET', `${bell()}?locale=de-de`, token)).body.entry).toMatchObject({ title: 'Bell', locale: 'en-us' })
    expect((await cma.call('GET', `${rope()}?locale=de-de`, token)).body.entry).toMatchObject({ title: 'Rope (DE)', locale: 'de-de' })
  })

  it('localizes at version 1, counts versions by locale, and shares non-localizable fields', async () => {
    const localized = await cma.call('PUT', `${bell()}?locale=fr-fr`, token, { entry: { title: 'Cloche', price: 1 } })
    expect(localized.body).toMatchObject({
      notice: 'Entry localized successfully.',
      entry: { title: 'Cloche', _version: 1, locale: 'fr-fr', price: 40.5 }
    })
    await cma.call('PUT', bell(), token, { entry: { price: 77 } })
    const french = await cma.call('GET', `${bell()}?locale=fr-fr`, token)
    expect(french.body.entry).toMatchObject({ title: 'Cloche', _version: 1, price: 77 })
    const locales = (await cma.call('GET', `${bell()}/locales`, token)).body.locales
    expect(locales).toEqual([{ code: 'en-us', localized: true }, { code: 'de-de' }, { code: 'fr-fr', localized: true }])
    expect((await cma.call('GET', `${bell()}?version=1`, token)).body.entry.price).toBe(40.5)
    const unlocalized = await cma.call('POST', `${bell()}/unlocalize?locale=fr-fr`, token)
    expect(unlocalized.body.notice).toBe('Entry unlocalized successfully.')
    expect((await cma.call('GET', `${bell()}?locale=fr-fr`, token)).body.entry.locale).toBe('en-us')
  })

  it('deletes one locale or all', async () => {
    const compass = path('product', entryUid('product', 'Compass'))
    expect((await cma.call('DELETE', `${compass}?locale=de-de`, token)).body.notice).toBe('Entry deleted successfully.')
    expect((await cma.call('GET', `${compass}?locale=de-de`, token)).body.entry.locale).toBe('en-us')
    expect((await cma.call('DELETE', `${compass}?delete_all_localized=true`, token)).status).toBe(200)
    expect((await cma.call('GET', compass, token)).body.error_code).toBe(141)
    expect(cma.changes.at(-1)).toMatchObject({ module: 'entry', event: 'delete', object: { title: 'Compass' } })
    const again = await cma.call('POST', path('product'), token, { entry: { title: 'Compass', sku: 'HP-1002' } })
    expect(again.status).toBe(201)
  })
})

describe('publishing', () => {
  it('shows in publish_details, and tells once per environment and locale', async () => {
    const entry = await made({ title: 'Anchor', sku: 'A-1' })
    const uid = String(entry['uid'])
    const before = cma.changes.length
    const target = { entry: { environments: ['development', 'production'], locales: ['en-us', 'de-de'] }, locale: 'en-us', version: 1 }
    const reply = await cma.call('POST', `${path('product', uid)}/publish`, token, target)
    expect(reply.body).toEqual({ notice: 'The requested action has been performed.' })
    const told = cma.changes.slice(before)
    expect(told.map(change => `${change.event} ${change.environment?.name} ${change.locale}`)).toEqual([
      'publish development en-us',
      'publish production en-us',
      'publish development de-de',
      'publish production de-de'
    ])
    const read = await cma.call('GET', `${path('product', uid)}?include_publish_details=true`, token)
    expect(read.body.entry.publish_details).toHaveLength(4)
    expect((await cma.call('GET', path('product', uid), token)).body.entry).not.toHaveProperty('publish_details')
    await cma.call('POST', `${path('product', uid)}/unpublish`, token, { entry: { environments: ['production'], locales: ['en-us'] } })
    expect((await cma.call('GET', `${path('product', uid)}?include_publish_details=true`, token)).body.entry.publish_details).toHaveLength(
      3
    )
  })

  it('refuses an environment or a version nobody has', async () => {
    const at = `${path('product', entryUid('product', 'Rope'))}/publish`
    expect((await cma.call('POST', at, token, { entry: { environments: ['moon'], locales: ['en-us'] } })).status).toBe(422)
    expect((await cma.call('POST', at, token, { entry: { environments: ['production'] }, version: 99 })).status).toBe(422)
  })

  it('stands only later under the play "queued", and at its time when scheduled', async () => {
    cma.context.plays.publishing = 'queued'
    const uid = entryUid('product', 'Buoy')
    const details = () => cma.stack.entries['main']?.['product']?.[uid]?.publishDetails.length
    await cma.call('POST', `${path('product', uid)}/publish`, token, { entry: { environments: ['production'] } })
    expect(details()).toBe(0)
    cma.context.clock.advance(2000)
    expect(details()).toBe(1)
    cma.context.plays.publishing = 'immediate'
    const scheduled_at = new Date(cma.context.clock.now() + 3_600_000).toISOString()
    await cma.call('POST', `${path('product', uid)}/publish`, token, { entry: { environments: ['development'] }, scheduled_at })
    expect(details()).toBe(1)
    cma.context.clock.advance(3_600_001)
    expect(details()).toBe(2)
  })

  it('publishes and deletes in bulk, under a job', async () => {
    const one = await made({ title: 'Bulk 1', sku: 'B-1' })
    const entries = [{ uid: one['uid'], content_type: 'product', version: 1, locale: 'en-us' }]
    const reply = await cma.call('POST', '/bulk/publish', token, { entries, locales: ['en-us'], environments: ['production'] })
    expect(reply.body.job_id).toMatch(/^cs/u)
    expect((await cma.call('GET', `/bulk/jobs/${reply.body.job_id}`, token)).body).toMatchObject({
      status: 'complete',
      summary: { success: 1 }
    })
    expect((await cma.call('POST', '/bulk/delete', token, { entries })).status).toBe(200)
    expect((await cma.call('GET', path('product', String(one['uid'])), token)).body.error_code).toBe(141)
  })
})

it('knows who refers to an entry', async () => {
  const reply = await cma.call('GET', `${path('author', entryUid('author', 'Mara Quill'))}/references`, cma.as(ada.uid))
  expect(reply.body.references.length).toBeGreaterThan(3)
  expect(reply.body.references[0]).toMatchObject({ content_type_uid: 'article' })
})
