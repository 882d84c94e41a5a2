import { describe, expect, it } from 'vitest'
import type { ContentType, SchemaField } from '../../server/contentstack/stack.ts'
import { type Mapped, refuseDefaults, whyBroken } from '../../server/sync/fit.ts'
import { checkInbound, checkOutbound } from '../../server/sync/mapping.ts'
import { contentType, field, schema } from './schemas.ts'

const without = (uid: string): ContentType => ({ ...contentType, schema: schema.filter(each => each.uid !== uid) })
const changed = (uid: string, change: Partial<SchemaField>): ContentType => ({
  ...contentType,
  schema: schema.map(each => (each.uid === uid ? { ...each, ...change } : each))
})
const outbound: Mapped = {
  direction: 'outbound',
  contentType: 'everything',
  externalIdField: null,
  mapping: checkOutbound(contentType, [
    { from: 'title', to: 'title' },
    { from: 'count', to: 'count' },
    { from: 'place.city', to: 'city' },
    { expression: '$uppercase(code) & $string(live)', to: 'shout' }
  ])
}
const inbound: Mapped = {
  direction: 'inbound',
  contentType: 'everything',
  externalIdField: 'code',
  mapping: checkInbound(
    contentType,
    [
      { name: 'key', type: 'text' },
      { name: 'name', type: 'text' }
    ],
    [
      { from: 'key', to: 'code' },
      { from: 'name', to: 'title' },
      { expression: '$length(name)', to: 'count' },
      { from: 'name', to: 'tags' }
    ]
  )
}

describe('a mapping still fits', () => {
  it.each<[string, Mapped, ContentType]>([
    ['what it was made for', outbound, contentType],
    ['what it was made for', inbound, contentType],
    ['without a field that it does not touch', outbound, without('gallery')],
    ['with one more optional field', inbound, { ...contentType, schema: [...schema, field('more', 'text')] }],
    ['with another name for a field', outbound, changed('title', { display_name: 'Headline' })],
    ['with a mandatory field that it carries', inbound, changed('count', { mandatory: true })]
  ])('%s', (_, mapped, now) => {
    expect(whyBroken(mapped, now)).toEqual([])
  })
})

describe('a mapping no longer fits, and says which field', () => {
  it.each<[string, Mapped, ContentType | null, string, RegExp]>([
    ['the content type is gone', outbound, null, 'everything', /everything is gone/],
    ['the content type is gone', inbound, null, 'everything', /everything is gone/],
    ['a field is gone', outbound, without('title'), 'title', /"title" is gone/],
    ['a group is gone', outbound, without('place'), 'place.city', /"place.city" is gone/],
    ['a field inside a group is gone', outbound, changed('place', { schema: [] }), 'place.city', /"place.city" is gone/],
    ['a type has changed', outbound, changed('count', { data_type: 'text' }), 'count', /gives text now.*takes number/],
    ['a field holds several now', outbound, changed('title', { multiple: true }), 'title', /gives json now/],
    ['a group is multiple now', outbound, changed('place', { multiple: true }), 'place.city', /"place.city" is gone/],
    ['a field that an expression reads is gone', outbound, without('code'), 'code', /"code", which the expression for "shout" reads/],
    ['a field is gone', inbound, without('count'), 'count', /"count" is gone/],
    ['a type has changed', inbound, changed('count', { data_type: 'text' }), 'count', /was number and is text/],
    ['a field holds several now', inbound, changed('title', { multiple: true }), 'title', /was text and is text\[\]/],
    [
      'text became rich text',
      inbound,
      changed('title', { data_type: 'json', field_metadata: { allow_json_rte: true } }),
      'title',
      /rich text/
    ],
    ['the key is no longer unique', inbound, changed('code', { unique: false }), 'code', /no longer hold the key/],
    ['the key is localized', inbound, changed('code', { non_localizable: false }), 'code', /no longer hold the key/],
    ['another field is mandatory', inbound, changed('on', { mandatory: true }), 'on', /"on" is mandatory now/]
  ])('%s', (_, mapped, now, named, why) => {
    expect(whyBroken(mapped, now)).toEqual([{ field: named, why: expect.stringMatching(why) as string }])
  })

  it('names every one of them', () => {
    const now = { ...contentType, schema: [] }
    expect(
      whyBroken(outbound, now)
        .map(broken => broken.field)
        .sort()
    ).toEqual(['code', 'count', 'live', 'place.city', 'title'])
    expect(whyBroken(inbound, now).map(broken => broken.field)).toEqual(['code', 'title', 'count'])
  })
})

describe('a default', () => {
  it.each<
    [Mapped['direction'], { to: string; type: 'text' | 'integer' | 'number' | 'boolean' | 'datetime'; default: string | number | boolean }]
  >([
    ['outbound', { to: 'a', type: 'number', default: 'many' }],
    ['outbound', { to: 'a', type: 'integer', default: 1.5 }],
    ['outbound', { to: 'a', type: 'boolean', default: 'yes' }],
    ['outbound', { to: 'a', type: 'datetime', default: 'soon' }],
    ['outbound', { to: 'a', type: 'text', default: '' }],
    ['inbound', { to: 'count', type: 'text', default: 'many' }],
    ['inbound', { to: 'size', type: 'text', default: 'xxl' }],
    ['inbound', { to: 'on', type: 'text', default: 'soon' }],
    ['inbound', { to: 'author', type: 'text', default: 7 }]
  ])('that does not fit is refused by its row: %s %j', (direction, row) => {
    expect(() => refuseDefaults(direction, [{ from: 'x', ...row }], contentType)).toThrow(
      expect.objectContaining({ code: 'invalid', fields: { 'mapping.0.default': [expect.stringContaining(row.to)] } })
    )
  })

  it('that fits is taken', () => {
    const rows = [{ from: 'x', to: 'a', type: 'datetime' as const, default: '2026-01-01' }]
    expect(() => refuseDefaults('outbound', rows, contentType)).not.toThrow()
    expect(() => refuseDefaults('inbound', [{ expression: 'x', to: 'size', type: 'text', default: 's' }], contentType)).not.toThrow()
  })
})
