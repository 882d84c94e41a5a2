// The parameters all lists share: skip, limit, counts, and arrays spelled `only[BASE][]`, `only[BASE][0]` or `only[]`
// (contentstack.md §8.1). Parses and slices; knows no list.
import { Refusal } from './refusal.ts'

export interface Paging {
  skip: number
  limit: number
}

/** Default and maximum 100; the maximum is [MEM], and more is cut rather than refused. */
export function pagingOf(params: URLSearchParams): Paging {
  return { skip: wholeNumber(params, 'skip', 0), limit: Math.min(100, wholeNumber(params, 'limit', 100)) }
}

function wholeNumber(params: URLSearchParams, name: string, otherwise: number): number {
  const text = params.get(name)
  if (text === null || text === '') return otherwise
  if (!/^\d{1,9}$/u.test(text)) throw new Refusal(422, 141, `The parameter '${name}' is not valid.`, { [name]: ['is not valid.'] })
  return Number(text)
}

export function flag(params: URLSearchParams, name: string): boolean {
  return params.get(name) === 'true'
}

/** Every value of an array parameter, whatever the client's bracket style. */
export function listed(params: URLSearchParams, name: string): string[] {
  const shape = new RegExp(`^${name}(?:\\[BASE\\])?(?:\\[\\d*\\])?$`, 'u')
  return [...params.entries()].filter(([key]) => shape.test(key)).map(([, value]) => value)
}

/** The `query` parameter as an object; {} when absent. Throws Refusal 422 for anything else. */
export function queryOf(params: URLSearchParams): Record<string, unknown> {
  const text = params.get('query')
  if (text === null || text === '') return {}
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    parsed = null
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new Refusal(422, 141, 'Failed to parse the query. Please try again.', { query: ['is not valid.'] })
  }
  return parsed as Record<string, unknown>
}

/** A list short enough to be sliced as it is: everything but entries. */
export function pageOf(items: unknown[], params: URLSearchParams, key: string): Record<string, unknown> {
  const { skip, limit } = pagingOf(params)
  if (flag(params, 'count')) return { [key]: items.length }
  return { [key]: items.slice(skip, skip + limit), ...(flag(params, 'include_count') && { count: items.length }) }
}
