// Compiles the `query` parameter (contentstack.md §8.1, Mongo-like) into a predicate, and takes out what an index can answer:
// ranges over uid and times, exact unique values. Pure; the list (entry-list.ts) brings the entries.
import { Refusal } from './refusal.ts'

/** All values at a dot path, arrays and blocks walked through. */
export type Reader = (path: string) => unknown[]
export type Predicate = (read: Reader) => boolean

interface Condition {
  path: string
  wanted: unknown
}

export interface Bounds {
  from?: { key: string; beyond: boolean }
  to?: { key: string; beyond: boolean }
}

export interface Filter {
  /** Exact values wanted at a path, usable with an index; the predicate still holds the condition. */
  exact: { path: string; values: unknown[] }[]
  /** Ranges by path, taken out of the predicate: the list must apply them. */
  ranges: Map<string, Bounds>
  /** What is left to ask of every entry; null for nothing. */
  rest: Predicate | null
}

const timed = ['created_at', 'updated_at']

/** Throws Refusal 422 naming an operator the platform does not have. */
export function compile(query: Record<string, unknown>, rangePaths: readonly string[]): Filter {
  const exact: Filter['exact'] = []
  const ranges: Filter['ranges'] = new Map()
  const left: Predicate[] = []
  for (const condition of conjuncts(query)) {
    if ('predicate' in condition) {
      left.push(condition.predicate)
      continue
    }
    const { path, wanted } = condition
    const values = exactValues(wanted)
    if (values) exact.push({ path, values })
    const bounds = rangePaths.includes(path) ? boundsOf(path, wanted) : null
    if (bounds) ranges.set(path, tightest(ranges.get(path), bounds))
    else left.push(fieldPredicate(path, wanted))
  }
  return { exact, ranges, rest: left.length === 0 ? null : read => left.every(predicate => predicate(read)) }
}

function conjuncts(query: Record<string, unknown>): (Condition | { predicate: Predicate })[] {
  return Object.entries(query).flatMap(([key, wanted]): (Condition | { predicate: Predicate })[] => {
    if (key === '$and') return parts(key, wanted).flatMap(conjuncts)
    if (key === '$or') {
      const either = parts(key, wanted).map(whole)
      return [{ predicate: read => either.some(predicate => predicate(read)) }]
    }
    if (key.startsWith('$')) throw unknownOperator(key)
    return [{ path: key, wanted }]
  })
}

function whole(query: Record<string, unknown>): Predicate {
  const all = conjuncts(query).map(one => ('predicate' in one ? one.predicate : fieldPredicate(one.path, one.wanted)))
  return read => all.every(predicate => predicate(read))
}

function parts(key: string, wanted: unknown): Record<string, unknown>[] {
  if (!Array.isArray(wanted) || wanted.some(one => typeof one !== 'object' || one === null)) throw invalidQuery(key)
  return wanted as Record<string, unknown>[]
}

function isOperators(wanted: unknown): wanted is Record<string, unknown> {
  return typeof wanted === 'object' && wanted !== null && !Array.isArray(wanted) && Object.keys(wanted).some(key => key.startsWith('$'))
}

function exactValues(wanted: unknown): unknown[] | null {
  if (!isOperators(wanted)) return typeof wanted === 'object' ? null : [wanted]
  const values = wanted['$in']
  return Array.isArray(values) && values.every(value => typeof value !== 'object') ? values : null
}

function boundsOf(path: string, wanted: unknown): Bounds | null {
  if (!isOperators(wanted)) return null
  const bounds: Bounds = {}
  for (const [operator, value] of Object.entries(wanted)) {
    if (typeof value !== 'string') return null
    const key = timed.includes(path) && !Number.isNaN(Date.parse(value)) ? new Date(value).toISOString() : value
    if (operator === '$gt') bounds.from = { key, beyond: true }
    else if (operator === '$gte') bounds.from = { key, beyond: false }
    else if (operator === '$lt') bounds.to = { key, beyond: false }
    else if (operator === '$lte') bounds.to = { key, beyond: true }
    else return null
  }
  return bounds
}

function tightest(known: Bounds | undefined, bounds: Bounds): Bounds {
  if (!known) return bounds
  const both: Bounds = { ...known }
  const { from, to } = bounds
  if (from && (!both.from || from.key > both.from.key || (from.key === both.from.key && from.beyond))) both.from = from
  if (to && (!both.to || to.key < both.to.key || (to.key === both.to.key && !to.beyond))) both.to = to
  return both
}

function fieldPredicate(path: string, wanted: unknown): Predicate {
  if (!isOperators(wanted)) return read => holds(read(path), wanted)
  const tests = Object.entries(wanted).map(([operator, value]) => operatorTest(operator, value, wanted))
  return read => {
    const values = read(path)
    return tests.every(test => test(values))
  }
}

function operatorTest(operator: string, value: unknown, all: Record<string, unknown>): (values: unknown[]) => boolean {
  switch (operator) {
    case '$eq':
      return values => holds(values, value)
    case '$ne':
      return values => !holds(values, value)
    case '$gt':
      return values => values.some(one => (compare(one, value) ?? 0) > 0)
    case '$gte':
      return values => values.some(one => (compare(one, value) ?? -1) >= 0)
    case '$lt':
      return values => values.some(one => (compare(one, value) ?? 0) < 0)
    case '$lte':
      return values => values.some(one => (compare(one, value) ?? 1) <= 0)
    case '$in':
    case '$nin': {
      if (!Array.isArray(value)) throw invalidQuery(operator)
      const wanted = new Set<unknown>(value)
      const within = (values: unknown[]) => values.some(one => wanted.has(one)) || (values.length === 0 && wanted.has(null))
      return operator === '$in' ? within : values => !within(values)
    }
    case '$exists':
      return values => values.some(one => one !== undefined && one !== null) === (value !== false)
    case '$regex': {
      const pattern = regex(value, all['$options'])
      return values => values.some(one => typeof one === 'string' && pattern.test(one))
    }
    case '$options':
      return () => true
    default:
      throw unknownOperator(operator)
  }
}

function holds(values: unknown[], wanted: unknown): boolean {
  if (wanted === null) return values.every(one => one === null || one === undefined)
  if (typeof wanted === 'object') return values.some(one => JSON.stringify(one) === JSON.stringify(wanted))
  return values.includes(wanted) || (typeof wanted === 'string' && values.some(one => compare(one, wanted) === 0))
}

/** Null when the two cannot be compared. Times compare as instants, whatever their spelling. */
function compare(a: unknown, b: unknown): number | null {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  if (typeof a !== 'string' || typeof b !== 'string') return null
  if (a === b) return 0
  const isTime = (text: string) => /^\d{4}-\d\d-\d\d(?:T|$)/u.test(text)
  if (isTime(a) && isTime(b)) return Date.parse(a) - Date.parse(b)
  return a < b ? -1 : 1
}

function regex(value: unknown, options: unknown): RegExp {
  try {
    return new RegExp(String(value), typeof options === 'string' ? options.replace(/[^ims]/gu, '') : '')
  } catch {
    throw invalidQuery('$regex')
  }
}

function unknownOperator(operator: string): Refusal {
  return new Refusal(422, 141, `The query operator '${operator}' is not valid.`, { query: ['is not valid.'] })
}

function invalidQuery(operator: string): Refusal {
  return new Refusal(422, 141, `The value of '${operator}' is not valid.`, { query: ['is not valid.'] })
}
