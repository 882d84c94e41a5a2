import fc from 'fast-check'
import { expect, it } from 'vitest'
import { columnNames, fit, quote, tableName } from '../../../server/connectors/sql/names.ts'

const names = fc.uniqueArray(
  fc.string({ minLength: 1, maxLength: 120, unit: 'grapheme' }).filter(name => !name.includes('\0')),
  { maxLength: 30 }
)

it('gives every column a name of its own, at most 63 bytes, whatever a database folds', () => {
  fc.assert(
    fc.property(names, given => {
      const columns = [...columnNames(given).values()]
      const folded = new Set([...columns.map(column => column.toLowerCase()), '_order'])
      expect(folded.size).toBe(new Set(given).size + 1)
      for (const column of columns) expect(Buffer.byteLength(column)).toBeLessThanOrEqual(63)
    })
  )
})

it('keeps a short name as it is', () => {
  expect(columnNames(['title', 'seo.title']).get('seo.title')).toBe('seo.title')
})

it.each(['', 'a\0b'])('refuses %j as a name', name => {
  expect(() => fit(name)).toThrow(/cannot be a name/)
})

it('quotes so that no name ends its own quotes', () => {
  expect(quote('a"; drop table b; --')).toBe('"a""; drop table b; --"')
})

it('reads schema.table on PostgreSQL only', () => {
  expect(tableName('public.country', 'postgres')).toBe('"public"."country"')
  expect(tableName('public.country', 'sqlite')).toBe('"public.country"')
})
