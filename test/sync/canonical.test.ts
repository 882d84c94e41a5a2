import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { canonicalText, hashOf } from '../../server/sync/canonical.ts'

const shuffled = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(shuffled)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, inner]) => [key, shuffled(inner)])
  )
}

it('reads the same whatever order the keys came in', () => {
  fc.assert(
    fc.property(fc.jsonValue(), value => {
      expect(canonicalText(shuffled(value))).toBe(canonicalText(value))
    })
  )
})

it('reads the same after a travel through JSON', () => {
  fc.assert(
    fc.property(fc.jsonValue(), value => {
      expect(canonicalText(JSON.parse(JSON.stringify(value)))).toBe(canonicalText(value))
    })
  )
})

it('tells different values apart', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
      // Through JSON, because -0 and 0 are one value there.
      const same = isDeepStrictEqual(JSON.parse(JSON.stringify(a)), JSON.parse(JSON.stringify(b)))
      expect(canonicalText(a) === canonicalText(b)).toBe(same)
    })
  )
})

it.each([
  [{ a: 1 }, { object: [['a', 1]] }],
  [{ a: 1 }, [['a', 1]]],
  [{}, []],
  [null, {}],
  [{ a: undefined }, { a: null }],
  ['1', 1]
])('does not mix up %j and %j', (a, b) => {
  expect(hashOf(a)).not.toBe(hashOf(b))
})

it('counts an asset by what it points at, not by its dates', () => {
  const asset = { uid: 'blt1', url: 'https://images.example/1', filename: 'a.png', updated_at: '2026-01-01', _version: 1 }
  expect(hashOf({ cover: { ...asset, updated_at: '2026-02-02', _version: 2 } })).toBe(hashOf({ cover: asset }))
  expect(hashOf({ cover: { ...asset, url: 'https://images.example/2' } })).not.toBe(hashOf({ cover: asset }))
})
