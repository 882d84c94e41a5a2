// `sdk.stack` and `sdk.metadata`: each action of a stackQuery as the CMA request it stands for (platform reference §10.3).
// The request is made with the person's own authtoken, so an app sees what the person may see. Pure but for `run`.
import { CallFailure, type Client } from '../client.ts'
import { Refusal } from './wire.ts'

export interface StackQuery {
  action?: string
  uid?: string
  code?: string
  name?: string
  content_type_uid?: string
  params?: Record<string, unknown>
  payload?: Record<string, unknown>
  headers?: Record<string, string>
  api_key?: string
  skip_api_key?: boolean
  asset_type?: string
}

interface CmaRequest {
  method: string
  path: string
  params?: Record<string, unknown>
  body?: unknown
}

type Route = (query: StackQuery) => CmaRequest

const read =
  (path: (query: StackQuery) => string, extra: Record<string, unknown> = {}): Route =>
  query => ({ method: 'GET', path: path(query), params: { ...query.params, ...extra } })
const write =
  (method: string, path: (query: StackQuery) => string): Route =>
  query => ({
    method,
    path: path(query),
    ...(query.params ? { params: query.params } : {}),
    ...(query.payload ? { body: query.payload } : {})
  })

const entries = (query: StackQuery) => `/content_types/${segment(query.content_type_uid)}/entries`
const entry = (query: StackQuery) => `${entries(query)}/${segment(query.uid)}`
const asset = (query: StackQuery) => `/assets/${segment(query.uid)}`

const routes: Record<string, Route> = {
  getContentType: read(query => `/content_types/${segment(query.uid)}`),
  getContentTypes: read(() => '/content_types'),
  getGlobalField: read(query => `/global_fields/${segment(query.uid)}`),
  getGlobalFields: read(() => '/global_fields'),
  getEnvironment: read(query => `/environments/${segment(query.name)}`),
  getEnvironments: read(() => '/environments'),
  getLocale: read(query => `/locales/${segment(query.code)}`),
  getLocales: read(() => '/locales'),
  getReleases: read(() => '/releases'),
  getPublishes: read(() => '/publish-queue'),
  getWorkflow: read(query => `/workflows/${segment(query.uid)}`),
  getWorkflows: read(() => '/workflows'),
  getStacks: read(() => '/stacks'),
  getManagementTokens: read(() => '/stacks/management_tokens'),
  getEntry: read(entry),
  getEntries: read(entries),
  getEntryReferences: read(query => `${entry(query)}/references`),
  getEntryLanguages: read(query => `${entry(query)}/locales`),
  createEntry: write('POST', entries),
  updateEntry: write('PUT', entry),
  deleteEntry: write('DELETE', entry),
  publishEntry: write('POST', query => `${entry(query)}/publish`),
  unpublishEntry: write('POST', query => `${entry(query)}/unpublish`),
  unlocalizeEntry: write('POST', query => `${entry(query)}/unlocalize`),
  getAsset: read(asset),
  getAssets: read(() => '/assets'),
  getRteAssets: read(() => '/assets/rt'),
  getAssetsOfSpecificTypes: read(query => `/assets/${segment(query.asset_type)}`),
  getAssetReferences: read(query => `${asset(query)}/references`),
  updateAsset: write('PUT', asset),
  deleteAsset: write('DELETE', asset),
  publishAsset: write('POST', query => `${asset(query)}/publish`),
  unpublishAsset: write('POST', query => `${asset(query)}/unpublish`)
}

/** The CMA request of a query. Throws Refusal for an action the sandbox does not know. */
export function requestOf(query: StackQuery): CmaRequest {
  const action = query.action ?? ''
  const route = Object.hasOwn(routes, action) ? routes[action] : undefined
  if (!route) throw new Refusal(`The sandbox's CMS page does not emulate the stack query "${action}".`)
  return route(query)
}

/** Resolves to the CMA's body; rejects with Refusal carrying the CMA's own message. */
export async function runStackQuery(
  query: StackQuery,
  around: { client: Client; apiKey: string; branch: string; organizationUid: string; installationUid: string }
): Promise<unknown> {
  try {
    if (query.action === 'getAppManifest') {
      const reply = await around.client.developerHub<{ data: { manifest: unknown } }>(
        'GET',
        `/installations/${segment(query.uid)}`,
        query.headers?.['organization_uid'] ?? around.organizationUid
      )
      return reply.data.manifest
    }
    const request = requestOf(query)
    const { branch, ...headers } = query.headers ?? {}
    const body = await around.client.cma<Record<string, unknown>>(
      request.method,
      request.path,
      query.skip_api_key ? undefined : (query.api_key ?? around.apiKey),
      { params: request.params ?? {}, body: request.body, headers, branch: branch ?? around.branch }
    )
    return query.action === 'getManagementTokens' ? withoutDetails(body) : body
  } catch (error) {
    if (error instanceof CallFailure) throw new Refusal(error.message)
    throw error
  }
}

/** An app gets uid and name of each token, nothing else (§10.3). */
function withoutDetails(body: Record<string, unknown>): Record<string, unknown> {
  const tokens = (body['tokens'] ?? []) as { uid: string; name: string }[]
  return { tokens: tokens.map(({ uid, name }) => ({ uid, name })) }
}

function segment(value: string | undefined): string {
  if (!value) throw new Refusal('Kindly provide valid parameters')
  return encodeURIComponent(value)
}
