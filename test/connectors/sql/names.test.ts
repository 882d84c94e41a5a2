import fc from 'fast-check'
import { expect, it } from 'vitest'
import { columnNames, fit, quote, tableName } from '../../../server/connectors/sql/names.ts'

const names = fc.uniqueArray(
  fc.string({ minLength: 1, maxLength: 120, unit: 'grapheme' }).filter(name => !name.includes('\0')),
  { maxLength: 30 }
)

it.each(['sqlite', 'postgres', 'mysql'] as const)(
  'gives every column a name of its own on %s, at most 63 bytes, whatever a database folds',
  system => {
    fc.assert(
      fc.property(names, given => {
        const columns = [...columnNames(given, system).values()]
        const folded = new Set([...columns.map(column => column.toLowerCase()), '_order'])
        expect(folded.size).toBe(new Set(given).size + 1)
        for (const column of columns) expect(Buffer.byteLength(column)).toBeLessThanOrEqual(63)
      })
    )
  }
)

it('keeps a short name as it is', () => {
  expect(columnNames(['title', 'seo.title'], 'mysql').get('seo.title')).toBe('seo.title')
})

it.each(['', 'a\0b'])('refuses %j as a name', name => {
  expect(() => fit(name)).toThrow(/cannot be a name/)
})

it('quotes so that no name ends its own quotes', () => {
  expect(quote('a"; drop table b; --')).toBe('"a""; drop table b; --"')
})

it('keeps to what MySQL takes in a name: no character beyond three bytes, no space at the end', () => {
  const columns = [...columnNames(['a🐎', 'a🐄', 'a', 'a ', '🐎', '\ud83d'], 'mysql').values()]
  expect(new Set(columns).size).toBe(6)
  for (const column of columns) expect(column).toMatch(/^[\w]+$/)
})

it('reads schema.table where a server has schemas', () => {
  expect(tableName('public.country', 'postgres')).toBe('"public"."country"')
  expect(tableName('shop.country', 'mysql')).toBe('"shop"."country"')
  expect(tableName('public.country', 'sqlite')).toBe('"public.country"')
})
