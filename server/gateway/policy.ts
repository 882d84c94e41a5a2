// What a script may ask of the CMA through us. Pure, and deny by default: a request is read into one of `routes` or refused; what
// goes on to Contentstack is written anew from what was read, so that nothing can mean one thing here and another there.
// Reach that the server decides (references resolved or published along, joins) needs rights on the whole module (security.md).
// Webhooks, roles, users, tokens, extensions and the rest of the CMA have no route here, so no scope can reach them.
import { AppError } from '../errors.ts'
import type { KeyScope } from '../identity/principal.ts'
import { type QueryRules, readQuery, rules } from './query.ts'

export type GatewayModule = KeyScope['module']
export type GatewayAction = KeyScope['actions'][number]

export interface GatewayCall {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** As the CMA knows it, after `/v3`. */
  path: string
  /** Allow-listed and parsed; to be encoded anew. */
  query: [name: string, value: string][]
  module: GatewayModule
  action: GatewayAction
  contentType: string | null
  /** Entry or asset. */
  objectUid: string | null
  locale: string | null
  body: 'none' | 'json' | 'form' | 'publish'
  /** Why rights on the whole module are needed; empty = a listed content type is enough. */
  reach: string[]
}

interface Route {
  method: GatewayCall['method']
  pattern: string
  module: GatewayModule
  action: GatewayAction
  query: QueryRules
  body?: GatewayCall['body']
  reach?: string
}

// https://www.contentstack.com/docs/developers/apis/content-management-api (contentstack.md §8)
const entries = '/content_types/:contentType/entries'
const routes: Route[] = [
  { method: 'GET', pattern: entries, module: 'entries', action: 'read', query: rules.entryList },
  { method: 'GET', pattern: `${entries}/:uid`, module: 'entries', action: 'read', query: rules.entryRead },
  { method: 'GET', pattern: `${entries}/:uid/locales`, module: 'entries', action: 'read', query: rules.none },
  { method: 'GET', pattern: `${entries}/:uid/versions`, module: 'entries', action: 'read', query: rules.versionList },
  {
    method: 'GET',
    pattern: `${entries}/:uid/references`,
    module: 'entries',
    action: 'read',
    query: rules.locale,
    reach: 'referring entries belong to any content type'
  },
  { method: 'POST', pattern: entries, module: 'entries', action: 'write', query: rules.locale, body: 'json' },
  { method: 'PUT', pattern: `${entries}/:uid`, module: 'entries', action: 'write', query: rules.locale, body: 'json' },
  { method: 'DELETE', pattern: `${entries}/:uid`, module: 'entries', action: 'delete', query: rules.entryDelete },
  { method: 'POST', pattern: `${entries}/:uid/unlocalize`, module: 'entries', action: 'delete', query: rules.locale },
  { method: 'POST', pattern: `${entries}/:uid/publish`, module: 'entries', action: 'publish', query: rules.none, body: 'publish' },
  { method: 'POST', pattern: `${entries}/:uid/unpublish`, module: 'entries', action: 'publish', query: rules.none, body: 'publish' },
  { method: 'GET', pattern: '/assets', module: 'assets', action: 'read', query: rules.assetList },
  { method: 'GET', pattern: '/assets/:uid', module: 'assets', action: 'read', query: rules.assetRead },
  { method: 'POST', pattern: '/assets', module: 'assets', action: 'write', query: rules.none, body: 'form' },
  { method: 'PUT', pattern: '/assets/:uid', module: 'assets', action: 'write', query: rules.none, body: 'form' },
  { method: 'DELETE', pattern: '/assets/:uid', module: 'assets', action: 'delete', query: rules.none },
  { method: 'POST', pattern: '/assets/:uid/publish', module: 'assets', action: 'publish', query: rules.none, body: 'publish' },
  { method: 'POST', pattern: '/assets/:uid/unpublish', module: 'assets', action: 'publish', query: rules.none, body: 'publish' },
  {
    method: 'GET',
    pattern: '/content_types',
    module: 'content_types',
    action: 'read',
    query: rules.contentTypeList,
    reach: 'the list holds every content type'
  },
  { method: 'GET', pattern: '/content_types/:contentType', module: 'content_types', action: 'read', query: rules.contentTypeRead },
  {
    method: 'POST',
    pattern: '/content_types',
    module: 'content_types',
    action: 'write',
    query: rules.none,
    body: 'json',
    reach: 'a new content type is none of those listed'
  },
  { method: 'PUT', pattern: '/content_types/:contentType', module: 'content_types', action: 'write', query: rules.none, body: 'json' },
  { method: 'DELETE', pattern: '/content_types/:contentType', module: 'content_types', action: 'delete', query: rules.none }
]

// No dot, percent sign, backslash or empty segment can pass: there is nothing to decode or to normalise differently.
const plainPath = /^\/v3((?:\/[A-Za-z0-9_-]+)+)$/
const longestPath = 400
// contentstack.md: uids are `blt` + 16 hex for stack objects, `cs` + hex for newer kinds; words such as `import` are no uid.
const uidShape = /^(?:blt|cs)[0-9a-f]{12,40}$/
const contentTypeShape = /^[a-z0-9_]{1,200}$/
/** Addresses that read like a content type and are not: bulk doors, and the alias under which assets answer as entries. */
const notContentTypes = ['import', 'export', 'built_io_upload', 'sys_assets']

/**
 * `path` and `query` raw, as they came: from `/v3` on, and without the question mark.
 * AppError forbidden when no route matches, invalid when a route's parameters are not its own.
 */
export function readCall(method: string, path: string, query: string): GatewayCall {
  const plain = path.length <= longestPath ? plainPath.exec(path)?.[1] : undefined
  if (plain === undefined) throw notPassed('an address that is not plainly written')
  for (const route of routes) {
    const names = route.method === method ? match(route.pattern, plain) : null
    if (!names) continue
    const { pairs, reach } = readQuery(query, route.query)
    return {
      method: route.method,
      path: plain,
      query: pairs,
      module: route.module,
      action: route.action,
      contentType: names.contentType ?? null,
      objectUid: names.uid ?? null,
      locale: pairs.find(([name]) => name === 'locale')?.[1] ?? null,
      body: route.body ?? 'none',
      reach: route.reach === undefined ? reach : [route.reach, ...reach]
    }
  }
  throw notPassed(/^[A-Z]{1,10}$/.test(method) ? `${method} ${plain}` : `a method that is none, on ${plain}`)
}

/** AppError forbidden, naming what the key lacks. */
export function permit(scopes: readonly KeyScope[], call: GatewayCall): void {
  const fitting = scopes.filter(scope => scope.module === call.module && scope.actions.includes(call.action))
  if (fitting.some(scope => covers(scope, call))) return
  const wanted = `${call.action} ${call.module}${call.contentType === null ? '' : ` of "${call.contentType}"`}`
  if (fitting.length > 0 && call.reach.length > 0) {
    throw new AppError(
      'forbidden',
      `This access key is limited to some content types, and this request reaches beyond them: ${call.reach.join('; ')}.`,
      {
        remedy: `Leave that out, or use a key that may ${call.action} all ${call.module}.`
      }
    )
  }
  throw new AppError('forbidden', `This access key may not ${wanted}.`, { remedy: 'Ask for a key with that scope.' })
}

function covers(scope: KeyScope, call: GatewayCall): boolean {
  if (scope.contentTypes === undefined) return true
  return call.reach.length === 0 && call.contentType !== null && scope.contentTypes.includes(call.contentType)
}

function match(pattern: string, path: string): { contentType?: string; uid?: string } | null {
  const wanted = pattern.split('/')
  const given = path.split('/')
  if (wanted.length !== given.length) return null
  const names: { contentType?: string; uid?: string } = {}
  for (const [index, part] of wanted.entries()) {
    const segment = given[index] as string
    if (part === ':contentType') {
      if (!contentTypeShape.test(segment) || notContentTypes.includes(segment)) return null
      names.contentType = segment
    } else if (part === ':uid') {
      if (!uidShape.test(segment)) return null
      names.uid = segment
    } else if (part !== segment) {
      return null
    }
  }
  return names
}

function notPassed(what: string): AppError {
  return new AppError('forbidden', `The gateway does not pass ${what}.`, {
    remedy:
      'It passes entries, assets and content types of the Content Management API under /v3, as the documentation of access keys lists them.'
  })
}
