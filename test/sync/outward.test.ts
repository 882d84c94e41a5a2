import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AppError } from '../../server/errors.ts'
import { defaultOutbound, type Mapping } from '../../server/sync/mapping.ts'
import { entryHash, entryInput, entryValues, outboundShape } from '../../server/sync/outward.ts'
import { contentType, entry, paragraph, schema } from './schemas.ts'

const mapping = defaultOutbound(contentType)

it('turns an entry into a row that a reader understands', () => {
  const row = entryValues(entry, mapping, schema)
  const json = Object.fromEntries(
    mapping.filter(({ type }) => type === 'json').map(({ to }) => [to, JSON.parse(String(row[to])) as unknown])
  )
  expect({ ...row, ...json }).toEqual({
    size: null,
    stars: null,
    entry_uid: 'blt1',
    locale: 'en-us',
    version: 3,
    updated_at: '2026-02-03T04:05:06.789Z',
    title: 'Hello',
    code: 'H',
    words: ['x', 'y'],
    count: 1.5,
    live: false,
    on: '2026-03-04T00:00:00.000Z',
    cover: 'https://images.example/blt2',
    gallery: ['https://images.example/blt3', 'https://images.example/blt4'],
    site: { title: 'Site', href: 'https://site.example' },
    author: [{ uid: 'blta', content_type: 'author' }],
    body: '<p>Once upon</p>',
    bodies: ['<p>one</p>', '<p>two</p>'],
    colour: { hex: '#fff' },
    place: { city: 'Hamburg', story: '<p>by the sea</p>', inner: { deep: 7 } },
    credits: [{ who: [{ uid: 'blta', content_type: 'author' }], face: 'https://images.example/blt5' }],
    sections: [{ quote: { said: '<p>so</p>', by: [{ uid: 'blta', content_type: 'author' }] } }],
    taxonomies: [{ taxonomy_uid: 'topics', term_uid: 'nature' }]
  })
})

it.each([
  ['body.text', 'Once upon'],
  ['author.uid', 'blta'],
  ['gallery.uid', 'blt3,blt4'],
  ['taxonomies.term_uid', 'nature'],
  ['place.city', 'Hamburg'],
  ['place.inner.deep', 7],
  ['place.story.text', 'by the sea'],
  ['uid', 'blt1'],
  ['tags', '["a","b"]']
])('picks %s as %j', (from, expected) => {
  const type = typeof expected === 'number' ? 'number' : from === 'tags' ? 'json' : 'text'
  expect(entryValues(entry, [{ from, to: 'picked', type }], schema)['picked']).toBe(expected)
})

it('never empties the column of a field that was removed from the content type', () => {
  expect(() => entryValues(entry, [{ from: 'gone', to: 'gone', type: 'text' }], schema)).toThrow(/"gone"/)
})

describe('a value that does not fit', () => {
  it.each<[Partial<Mapping>, unknown]>([
    [{ from: 'count', type: 'number' }, 'many'],
    [{ from: 'on', type: 'datetime' }, 'yesterday'],
    [{ from: 'live', type: 'boolean' }, 'maybe'],
    [{ from: 'title', type: 'text', required: true }, null]
  ])('stops its record with the name of the field: %j', (row, value) => {
    const from = row.from ?? ''
    const one = [{ to: 'c', ...row } as Mapping]
    expect(() => entryValues({ ...entry, [from]: value }, one, schema)).toThrow(
      expect.objectContaining({ code: 'invalid', message: expect.stringContaining(`"${from}"`) as string })
    )
  })
})

it('gives a scalar for every column or refuses as AppError, whatever the fields hold', () => {
  const names = schema.map(({ uid }) => uid)
  const columns = outboundShape('t', mapping)
    .fields.map(({ name }) => name)
    .sort()
  fc.assert(
    fc.property(fc.record(Object.fromEntries(names.map(name => [name, fc.jsonValue()]))), fields => {
      const row = attempt(() => entryValues({ ...entry, ...fields }, mapping, schema))
      const fits =
        row instanceof AppError ||
        Object.values(row).every(value => value === null || ['string', 'number', 'boolean'].includes(typeof value))
      expect(fits).toBe(true)
      expect(row instanceof AppError ? columns : Object.keys(row).sort()).toEqual(columns)
    })
  )
})

function attempt<T>(work: () => T): T | AppError {
  try {
    return work()
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
}

it('does not change the entry it reads', () => {
  const before = JSON.stringify(entry)
  entryValues(entry, mapping, schema)
  expect(JSON.stringify(entry)).toBe(before)
})

it('hashes by the mapped fields, the version and nothing else', () => {
  const few = mapping.filter(({ from }) => from === 'title' || from === 'place')
  const hash = entryHash(entry, few)
  expect(entryHash({ ...entry, body: paragraph('other'), ACL: { a: 1 } }, few)).toBe(hash)
  expect(entryHash({ ...entry, title: 'Other' }, few)).not.toBe(hash)
  expect(entryHash({ ...entry, _version: 4 }, few)).not.toBe(hash)
  expect(entryHash({ ...entry, locale: 'de-de' }, few)).not.toBe(hash)
})

describe('an expression', () => {
  const row: Mapping = { expression: 'x', to: 'c', type: 'text' }
  const given = (value: unknown, change: Partial<Mapping> = {}): unknown =>
    entryValues(entry, [{ ...row, ...change }], schema, new Map([['c', { value: JSON.stringify(value) }]]))['c']

  it.each<[Mapping['type'], unknown, unknown]>([
    ['text', 'a', 'a'],
    ['text', 7, '7'],
    ['text', true, 'true'],
    ['integer', 7, 7],
    ['number', '1.5', 1.5],
    ['boolean', false, false],
    ['datetime', '2026-03-04', '2026-03-04T00:00:00.000Z'],
    ['datetime', 0, '1970-01-01T00:00:00.000Z'],
    ['json', { a: [1] }, '{"a":[1]}'],
    ['text', null, null]
  ])('fills a column of type %s with %j', (type, value, expected) => {
    expect(given(value, { type })).toEqual(expected)
  })

  it.each<[Mapping['type'], unknown]>([
    ['text', ['a']],
    ['text', { a: 1 }],
    ['text', 'a\0b'],
    ['integer', 1.5],
    ['integer', 1e300],
    ['number', 'many'],
    ['boolean', 'true'],
    ['datetime', 'soon'],
    ['datetime', 1e300]
  ])('stops its record when a column of type %s gets %j', (type, value) => {
    expect(() => given(value, { type })).toThrow(
      expect.objectContaining({ code: 'invalid', fields: { c: [expect.stringContaining('for c')] } })
    )
  })

  it('falls back to the default where it gives nothing, and is refused where one is required and there is none', () => {
    expect(given(null, { default: 'd' })).toBe('d')
    expect(given('', { default: 7, type: 'integer' })).toBe(7)
    expect(given('a', { default: 'd' })).toBe('a')
    expect(() => given(null, { required: true })).toThrow(/empty.*c requires it/)
  })

  it('reads fields alone, an asset as what it points at; so does the hash', () => {
    const input = entryInput({ ...entry, ACL: {}, publish_details: [], _in_progress: false })
    expect(Object.keys(input).sort()).toEqual(Object.keys(entry).sort())
    expect(input['cover']).toEqual({ uid: 'blt2', url: 'https://images.example/blt2', filename: 'blt2.png' })
    const hash = entryHash(entry, [row])
    const changed = (change: object): string => entryHash({ ...entry, ...change }, [row])
    expect(changed({ ACL: { a: 1 }, publish_details: [], _in_progress: true })).toBe(hash)
    expect(changed({ cover: { ...(entry['cover'] as object), _version: 9 } })).toBe(hash)
    for (const { uid } of schema.filter(each => each.uid in entry)) expect(changed({ [uid]: 'other' }), uid).not.toBe(hash)
  })
})
