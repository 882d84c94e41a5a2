import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Scalar } from '../../server/connectors/connector.ts'
import { AppError } from '../../server/errors.ts'
import { holds, projectionHash, recordFields, recordHash, recordRows } from '../../server/sync/inward.ts'
import type { Mapping } from '../../server/sync/mapping.ts'
import { contentType, entry, schema } from './schemas.ts'

const to = (field: string): Mapping[] => [{ from: 'c', to: field, type: 'text' }]
const record = (c: Scalar) => ({ key: 'k', values: { c } })

it.each<[string, Scalar, unknown]>([
  ['title', 'Hello', 'Hello'],
  ['title', 12, '12'],
  ['count', '1.5', 1.5],
  ['count', 0, 0],
  ['live', 1, true],
  ['live', 'false', false],
  ['on', '2026-03-04', '2026-03-04T00:00:00.000Z'],
  ['cover', 'blt2', 'blt2'],
  ['gallery', '["blt3","blt4"]', ['blt3', 'blt4']],
  ['gallery', null, []],
  ['words', 'one', ['one']],
  ['site', 'https://site.example', { title: '', href: 'https://site.example' }],
  ['author', 'blta', [{ uid: 'blta', _content_type_uid: 'author' }]],
  ['author', '[{"uid":"blta","content_type":"author"}]', [{ uid: 'blta', _content_type_uid: 'author' }]],
  ['place', '{"city":"Kiel","inner":{"deep":"3"}}', { city: 'Kiel', inner: { deep: 3 } }],
  ['credits', '[{"who":"blta","face":null}]', [{ who: [{ uid: 'blta', _content_type_uid: 'author' }], face: null }]],
  [
    'sections',
    '[{"quote":{"by":[{"uid":"bltg","content_type":"guest"}]}}]',
    [{ quote: { by: [{ uid: 'bltg', _content_type_uid: 'guest' }] } }]
  ],
  ['taxonomies', '[{"taxonomy_uid":"topics","term_uid":"sea"}]', [{ taxonomy_uid: 'topics', term_uid: 'sea' }]],
  ['size', 'm', 'm'],
  ['stars', '5', 5],
  ['colour', '{"hex":"#fff"}', { hex: '#fff' }],
  ['tags', 'a, b', ['a', 'b']],
  ['count', null, null]
])('writes to %s the column %j as %j', (field, value, expected) => {
  expect(recordFields(record(value), to(field), contentType)[field]).toEqual(expected)
})

it.each<[string, Scalar]>([
  ['count', 'many'],
  ['count', ''],
  ['live', 'maybe'],
  ['on', 'yesterday'],
  ['cover', 'https://elsewhere.example/a.png'],
  ['author', '[7]'],
  ['author', '[{"uid":"blta","content_type":"guest"}]'],
  ['author', '["blta","bltb"]'],
  ['place', '{"town":"Kiel"}'],
  ['place', '{"inner":{"deep":"far"}}'],
  ['place', '["Kiel"]'],
  ['place', '{"__proto__":{"city":"Kiel"}}'],
  ['sections', '[{"verse":{}}]'],
  ['sections', '[{"quote":{},"verse":{}}]'],
  ['body', '{"type":"p"}'],
  ['site', '{"href":7}'],
  ['taxonomies', '[{"term_uid":"sea"}]'],
  ['taxonomies', JSON.stringify(Array.from({ length: 26 }, () => ({ taxonomy_uid: 't', term_uid: 'u' })))],
  ['tags', 'x'.repeat(51)],
  ['tags', Array.from({ length: 51 }, (_, index) => index).join(',')],
  ['size', 'xxl'],
  ['stars', '4'],
  ['stars', '7'],
  ['stars', '-1'],
  ['colour', '{not json']
])('stops the record when %s cannot take %j, naming column and field', (field, value) => {
  expect(() => recordFields(record(value), to(field), contentType)).toThrow(
    expect.objectContaining({ code: 'invalid', message: expect.stringMatching(new RegExp(`"c".*${field}`)) as string })
  )
})

it('stops the record when a mandatory field would be empty, though its row does not require it', () => {
  expect(() => recordFields(record(''), to('title'), contentType)).toThrow(/"c" is empty, but the field title requires it/)
})

it('takes the default where the column is empty, and its own value where it is not', () => {
  const mapping: Mapping[] = [{ from: 'c', to: 'count', type: 'text', default: 7 }]
  expect(recordFields(record(null), mapping, contentType)).toEqual({ count: 7 })
  expect(recordFields(record(''), mapping, contentType)).toEqual({ count: 7 })
  expect(recordFields(record(0), mapping, contentType)).toEqual({ count: 0 })
})

it('names every field that does not fit, not just the first', () => {
  const mapping = [...to('count'), ...to('live')]
  expect(() => recordFields(record('x'), mapping, contentType)).toThrow(
    expect.objectContaining({ fields: { count: [expect.any(String)], live: [expect.any(String)] } })
  )
})

it('stops the record when a required column is empty', () => {
  const required = [{ from: 'c', to: 'title', type: 'text' as const, required: true }]
  for (const empty of [null, '']) expect(() => recordFields(record(empty), required, contentType)).toThrow(/"c" is empty/)
})

it('never throws anything but a refusal, whatever a source brings', () => {
  const scalar = fc.oneof(fc.string(), fc.double(), fc.boolean(), fc.constant(null), fc.json())
  fc.assert(
    fc.property(fc.constantFrom(...schema.map(({ uid }) => uid)), scalar, (field, value) => {
      expect(() => {
        try {
          recordFields(record(value), to(field), contentType)
        } catch (error) {
          if (!(error instanceof AppError)) throw error
        }
      }).not.toThrow()
    })
  )
})

it('recognises what it wrote in the different shape that reads give', () => {
  const fields = {
    title: 'Hello',
    cover: 'blt2',
    gallery: ['blt3', 'blt4'],
    author: [{ uid: 'blta', _content_type_uid: 'author' }],
    on: '2026-03-04T00:00:00.000Z'
  }
  expect(holds(entry, fields, contentType)).toBe(true)
  expect(holds(entry, { ...fields, cover: 'blt9' }, contentType)).toBe(false)
  expect(holds({ ...entry, site: undefined }, { ...fields, site: null }, contentType)).toBe(true)
  expect(projectionHash(entry, fields, contentType)).toBe(projectionHash({ ...entry, _version: 9, count: 2 }, fields, contentType))
})

it('hashes a record by its key and mapped columns alone', () => {
  const mapping = to('title')
  expect(recordHash({ key: 'k', values: { c: 'a', other: 1 } }, mapping)).toBe(
    recordHash({ key: 'k', values: { other: 2, c: 'a' } }, mapping)
  )
  expect(recordHash({ key: 'k', values: { c: 'a' } }, mapping)).not.toBe(recordHash({ key: 'j', values: { c: 'a' } }, mapping))
})

it('is total: whatever expressions give, every field is of its type or the row is refused by name', () => {
  const uids = [...schema.map(({ uid }) => uid), 'tags']
  const value = fc.oneof(fc.jsonValue(), fc.constantFrom('m', 5, true, '2026-01-01', 'blt1', ['blt1'], { type: 'doc', children: [] }))
  const evaluation = fc.oneof(
    value.map(given => ({ value: JSON.stringify(given) })),
    fc.string().map(error => ({ error }))
  )
  const otherwise = fc.option(fc.oneof(fc.string(), fc.integer(), fc.boolean()), { nil: undefined })
  fc.assert(
    fc.property(fc.constantFrom(...uids), evaluation, otherwise, fc.boolean(), (field, given, fallback, required) => {
      const row: Mapping = { expression: 'x', to: field, type: 'text', default: fallback, required }
      const [made] = recordRows(record(null), [row], contentType, new Map([[field, given]]))
      expect(made).toEqual(recordRows(record(null), [row], contentType, new Map([[field, given]]))[0])
      expect(made && 'error' in made ? made.error.includes(field) : typeFits(field, made?.value)).toBe(true)
    }),
    { numRuns: 2_000 }
  )
})

function typeFits(uid: string, value: unknown): boolean {
  const type = schema.find(each => each.uid === uid)
  if (value === null) return type?.multiple !== true && type?.mandatory !== true
  if (!type) return Array.isArray(value) && value.length <= 50 && value.every(tag => typeof tag === 'string' && tag.length <= 50)
  if (type.multiple === true || type.data_type === 'reference') return Array.isArray(value)
  switch (type.data_type) {
    case 'text':
      return typeof value === 'string'
    case 'number':
      return Number.isFinite(value)
    case 'boolean':
      return typeof value === 'boolean'
    case 'isodate':
      return typeof value === 'string' && !Number.isNaN(Date.parse(value))
    case 'file':
      return typeof value === 'string'
    case 'link':
    case 'group':
      return typeof value === 'object' && !Array.isArray(value)
    default:
      return true
  }
}

it('hashes every column where an expression may read it', () => {
  const mapping: Mapping[] = [...to('title'), { expression: 'other', to: 'count', type: 'text' }]
  const hash = recordHash({ key: 'k', values: { c: 'a', other: 1 } }, mapping)
  expect(recordHash({ key: 'k', values: { other: 1, c: 'a' } }, mapping)).toBe(hash)
  expect(recordHash({ key: 'k', values: { c: 'a', other: 2 } }, mapping)).not.toBe(hash)
})
