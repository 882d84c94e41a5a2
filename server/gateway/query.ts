// The parameters each kind of gateway request may carry, with the shape of each value. What is not listed is refused, and so is a
// name given twice: which of the two Contentstack would heed is not ours to guess. Pure; knows no scope and no address.
import { AppError } from '../errors.ts'

export type QueryRules = Record<string, Rule>

interface Rule {
  shape: (value: string) => boolean
  /** Given as `name[]`, any number of times. */
  list?: boolean
  /** Why this parameter needs rights on the whole module. */
  reach?: string | ((value: string) => string | null)
}

const matches = (shape: RegExp) => (value: string) => shape.test(value)
const flag: Rule = { shape: matches(/^(true|false)$/) }
const whole: Rule = { shape: matches(/^\d{1,9}$/) }
const fieldPath: Rule = { shape: matches(/^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$/) }
const localeCode: Rule = { shape: matches(/^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$/) }
const conditions: Rule = {
  shape: value => conditionsIn(value) !== null,
  reach: value => (conditionsIn(value)?.join ? 'the query joins other content types' : null)
}
const fieldList: Rule = { ...fieldPath, list: true }
const references: Rule = { ...fieldPath, list: true, reach: 'include[] reads referenced entries of any content type' }

const paging: QueryRules = {
  skip: whole,
  limit: whole,
  asc: fieldPath,
  desc: fieldPath,
  include_count: flag,
  count: flag,
  query: conditions
}
const projection: QueryRules = { 'only[BASE][]': fieldList, 'except[BASE][]': fieldList }
const locale: QueryRules = { locale: localeCode }
const entryDetails: QueryRules = {
  ...locale,
  ...projection,
  fallback_locale: localeCode,
  include_fallback: flag,
  include_publish_details: flag,
  include_branch: flag,
  include_workflow: flag,
  include_metadata: flag,
  'include[]': references
}
const assetDetails: QueryRules = { ...locale, include_publish_details: flag, include_branch: flag, relative_urls: flag, version: whole }

export const rules = {
  none: {},
  locale,
  entryList: { ...entryDetails, ...paging },
  entryRead: { ...entryDetails, version: whole },
  entryDelete: { ...locale, delete_all_localized: flag },
  versionList: { ...locale, skip: whole, limit: whole, include_count: flag, named: flag },
  assetList: { ...assetDetails, ...paging, folder: { shape: matches(/^[A-Za-z0-9_]{1,60}$/) }, include_folders: flag },
  assetRead: assetDetails,
  contentTypeList: { ...paging, include_global_field_schema: flag },
  contentTypeRead: { include_global_field_schema: flag, version: whole }
} satisfies Record<string, QueryRules>

const longestQuery = 8_000

/** AppError invalid, naming the parameter. */
export function readQuery(query: string, allowed: QueryRules): { pairs: [string, string][]; reach: string[] } {
  if (query.length > longestQuery) throw wrong('The query is too long.', 'query')
  const pairs: [string, string][] = []
  const reach: string[] = []
  for (const part of query === '' ? [] : query.split('&')) {
    const at = part.indexOf('=')
    const name = decoded(at < 0 ? part : part.slice(0, at))
    const value = decoded(at < 0 ? '' : part.slice(at + 1))
    const rule = Object.hasOwn(allowed, name) ? allowed[name] : undefined
    const shown = /^[\w[\]]{1,60}$/.test(name) ? name : 'query'
    if (!rule) throw wrong(`The gateway does not pass the parameter "${shown}" here.`, shown)
    if (!rule.list && pairs.some(([given]) => given === name)) throw wrong(`The parameter "${shown}" is given more than once.`, shown)
    if (!rule.shape(value)) throw wrong(`The parameter "${shown}" has a value that the gateway does not pass.`, shown)
    const why = typeof rule.reach === 'function' ? rule.reach(value) : rule.reach
    if (why && !reach.includes(why)) reach.push(why)
    pairs.push([name, value])
  }
  return { pairs, reach }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch (cause) {
    throw new AppError('invalid', 'The query is not well encoded.', { cause, remedy: 'Encode it as UTF-8 with percent signs.' })
  }
}

function wrong(message: string, field: string): AppError {
  return new AppError('invalid', message, { fields: { [field]: [message] }, remedy: 'Leave it out, or correct it.' })
}

// Operators of https://www.contentstack.com/docs/developers/apis/content-management-api ("Queries"); the two *_query ones look
// into other content types.
const operators = ['$and', '$or', '$in', '$nin', '$exists', '$regex', '$options', '$lt', '$lte', '$gt', '$gte', '$ne', '$eq', '$all']
const joins = ['$in_query', '$nin_query']
const deepest = 8

/** null = not a query that we pass: no JSON object, an unknown operator, or nested without end. */
function conditionsIn(text: string): { join: boolean } | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
  const found = { join: false }
  return walk(value, 0, found) ? found : null
}

function walk(value: unknown, depth: number, found: { join: boolean }): boolean {
  if (typeof value !== 'object' || value === null) return true
  if (depth > deepest) return false
  if (Array.isArray(value)) return value.every(item => walk(item, depth + 1, found))
  return Object.entries(value).every(([name, inner]) => {
    // `__proto__` is an own property after JSON.parse, so it is seen here as any other name.
    if (joins.includes(name)) found.join = true
    else if (name.startsWith('$') && !operators.includes(name)) return false
    return walk(inner, depth + 1, found)
  })
}
