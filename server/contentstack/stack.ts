// The Content Management API of one stack in typed calls. Knows paths and shapes; the credential, the budget and the retries are the
// Cma's. A missing entry is null, everything else that goes wrong is an AppError.
import { AppError } from '../errors.ts'
import type { Cma, CmaRequest, QueryValue, RawRequest, RequestLane } from './cma.ts'
import { isMissingObject } from './refusal.ts'

export interface CallOptions {
  lane?: RequestLane
  signal?: AbortSignal
  branch?: string
}

export interface Entry {
  uid: string
  /** Counts per locale. */
  _version: number
  /** The locale this content is of: the fallback's where the asked one has no version of its own. */
  locale: string
  created_at: string
  updated_at: string
  title?: string
  publish_details?: PublishDetail[]
  [field: string]: unknown
}

export interface PublishDetail {
  environment: string
  locale: string
  time: string
  user?: string
  version: number
}

export interface SchemaField {
  uid: string
  data_type: string
  display_name: string
  mandatory?: boolean
  unique?: boolean
  multiple?: boolean
  non_localizable?: boolean
  field_metadata?: Record<string, unknown>
  reference_to?: string | string[]
  schema?: SchemaField[]
  blocks?: { uid: string; title: string; reference_to?: string; schema?: SchemaField[] }[]
  enum?: { advanced?: boolean; choices: { value: unknown; key?: string }[] }
  [other: string]: unknown
}

export interface ContentType {
  uid: string
  title: string
  description?: string
  schema: SchemaField[]
  options?: Record<string, unknown>
  updated_at?: string
}

export interface Locale {
  uid: string
  code: string
  name: string
  /** null for the master. */
  fallback_locale: string | null
}

export interface Environment {
  uid: string
  name: string
}

export interface Branch {
  uid: string
  source?: string
}

export interface Asset {
  uid: string
  filename: string
  url: string
  _version: number
  created_at: string
  updated_at: string
  is_dir?: boolean
  publish_details?: PublishDetail[]
  [field: string]: unknown
}

export interface Role {
  uid: string
  name: string
  users?: string[]
  owner?: string
  stack?: { name?: string; master_locale?: string; owner_uid?: string }
}

export interface Webhook {
  uid: string
  name: string
  destinations: { target_url: string; custom_header?: { header_name: string; value: string }[] }[]
  channels: string[]
  branches?: string[]
  retry_policy: 'manual' | 'automatic'
  disabled: boolean
  concise_payload: boolean
  updated_at?: string
}
export type NewWebhook = Omit<Webhook, 'uid' | 'updated_at'>

/** One sending of a webhook, as the CMS logs it for 30 days. */
export interface WebhookExecution {
  uid: string
  /** Milliseconds; null where the log does not say. */
  createdAt: number | null
  /** What was sent, as text; null where the log does not show it. */
  body: string | null
}

export interface EntriesQuery {
  locale?: string
  /** Mongo-like, e.g. { uid: { $gt: … } }. */
  query?: object
  asc?: string
  desc?: string
  limit?: number
  skip?: number
  includeCount?: boolean
  includePublishDetails?: boolean
  /** Only these fields, beside uid and the system's own. */
  only?: string[]
}

export interface Publishing {
  environments: string[]
  locales: string[]
  locale: string
  version: number
}

export interface NewAsset {
  bytes: Uint8Array<ArrayBuffer>
  filename: string
  contentType: string
  tags: string[]
}

export interface PublishTarget {
  /** By name. */
  environments: string[]
  locale: string
}

export interface StackClient {
  /** The same stack with other defaults for lane, signal or branch. */
  with(options: CallOptions): StackClient
  /** Cheapest proof that the credential is good. Throws AppError unauthorized (isTokenRefusal), not_found for a stack unknown in this region. */
  health(): Promise<void>
  /** All of them; global fields are spelled out in the schema. */
  contentTypes(): Promise<ContentType[]>
  /** Throws AppError not_found. */
  contentType(uid: string): Promise<ContentType>
  /** One page, at most 100 entries. */
  entriesPage(contentType: string, query?: EntriesQuery): Promise<{ entries: Entry[]; count: number | null }>
  entry(
    contentType: string,
    uid: string,
    query?: { locale?: string; version?: number; includePublishDetails?: boolean }
  ): Promise<Entry | null>
  entryLocales(contentType: string, uid: string): Promise<{ code: string; localized: boolean }[]>
  /** Not repeated when its outcome is unknown (isOutcomeUnknown). Throws AppError invalid with fields for 119. */
  createEntry(contentType: string, fields: object, query?: { locale?: string }): Promise<Entry>
  /** Top-level fields left out keep their values. Not repeated when its outcome is unknown: a repeat would make another version. */
  updateEntry(contentType: string, uid: string, fields: object, query?: { locale?: string }): Promise<Entry>
  /** False when it was gone already. Without a locale: in all locales. */
  deleteEntry(contentType: string, uid: string, query?: { locale?: string }): Promise<boolean>
  /** Environments by name. A notice proves nothing: look at publish_details. */
  publishEntry(contentType: string, uid: string, publishing: Publishing): Promise<void>
  unpublishEntry(contentType: string, uid: string, publishing: Publishing): Promise<void>
  /** At most ten entries of one locale in one request, https://www.contentstack.com/docs/developers/apis/content-management-api#publish-entries-and-assets-in-bulk. */
  publishEntries(contentType: string, entries: readonly { uid: string; version: number }[], to: PublishTarget): Promise<void>
  /** At most 100 MB. Not repeated when its outcome is unknown: look for it by a tag. */
  createAsset(file: NewAsset): Promise<Asset>
  /** One page, at most 100 assets, without folders. */
  assetsPage(query?: Omit<EntriesQuery, 'locale' | 'only'>): Promise<{ assets: Asset[]; count: number | null }>
  asset(uid: string, query?: { version?: number; includePublishDetails?: boolean }): Promise<Asset | null>
  locales(): Promise<Locale[]>
  environments(): Promise<Environment[]>
  /** Empty for stacks without branches. */
  branches(): Promise<Branch[]>
  roles(): Promise<Role[]>
  webhooks(): Promise<Webhook[]>
  createWebhook(webhook: NewWebhook): Promise<Webhook>
  updateWebhook(uid: string, webhook: NewWebhook): Promise<Webhook>
  /** False when it was gone already. */
  deleteWebhook(uid: string): Promise<boolean>
  /** Of a span of the CMS's time, at most `most` and `more` when there are others; null for a webhook that is gone. */
  webhookExecutions(
    uid: string,
    span: { from: number; to: number; most: number }
  ): Promise<{ executions: WebhookExecution[]; more: boolean } | null>
  /** See Cma.raw. */
  raw(request: RawRequest): Promise<Response>
}

/** https://www.contentstack.com/docs/developers/apis/content-management-api: lists carry at most 100. */
const pageSize = 100

export function createStack(cma: Cma, defaults: CallOptions = {}): StackClient {
  const call = <T>(request: CmaRequest): Promise<T> => cma.request<T>({ ...defaults, ...request })
  const get = <T>(path: string, query?: Record<string, QueryValue>): Promise<T> => call<T>({ method: 'GET', path, ...(query && { query }) })

  async function all<T>(path: string, key: string, query: Record<string, QueryValue> = {}): Promise<T[]> {
    const found: T[] = []
    for (;;) {
      const page = await get<Record<string, T[] | undefined>>(path, { ...query, limit: pageSize, skip: found.length })
      const items = page[key] ?? []
      found.push(...items)
      if (items.length < pageSize) return found
    }
  }

  const entries = (contentType: string): string => `/content_types/${part(contentType)}/entries`

  return {
    with: options => createStack(cma, { ...defaults, ...options }),
    async health() {
      // The CLI's own way to validate a management token (reference §1.5).
      await get('/environments', { limit: 1 })
    },
    contentTypes: () => all<ContentType>('/content_types', 'content_types', { include_global_field_schema: true }),
    async contentType(uid) {
      return (await get<{ content_type: ContentType }>(`/content_types/${part(uid)}`, { include_global_field_schema: true })).content_type
    },
    async entriesPage(contentType, query = {}) {
      const body = await get<{ entries?: Entry[]; count?: number }>(entries(contentType), listQuery(query))
      return { entries: body.entries ?? [], count: body.count ?? null }
    },
    async entry(contentType, uid, query = {}) {
      const wanted = { locale: query.locale, version: query.version, include_publish_details: query.includePublishDetails || undefined }
      const body = await missingAsNull(get<{ entry: Entry }>(`${entries(contentType)}/${part(uid)}`, wanted))
      return body?.entry ?? null
    },
    async entryLocales(contentType, uid) {
      return (
        (await get<{ locales?: { code: string; localized?: boolean }[] }>(`${entries(contentType)}/${part(uid)}/locales`)).locales?.map(
          ({ code, localized }) => ({ code, localized: localized ?? false })
        ) ?? []
      )
    },
    async createEntry(contentType, fields, query = {}) {
      return (await call<{ entry: Entry }>({ method: 'POST', path: entries(contentType), query, json: { entry: fields } })).entry
    },
    async updateEntry(contentType, uid, fields, query = {}) {
      const path = `${entries(contentType)}/${part(uid)}`
      return (await call<{ entry: Entry }>({ method: 'PUT', path, query, json: { entry: fields }, repeat: 'refused' })).entry
    },
    async deleteEntry(contentType, uid, query = {}) {
      const scope = query.locale === undefined ? { delete_all_localized: true } : { locale: query.locale }
      return (await missingAsNull(call({ method: 'DELETE', path: `${entries(contentType)}/${part(uid)}`, query: scope }))) !== null
    },
    async publishEntry(contentType, uid, publishing) {
      await call({ method: 'POST', path: `${entries(contentType)}/${part(uid)}/publish`, json: publishBody(publishing), repeat: 'always' })
    },
    async unpublishEntry(contentType, uid, publishing) {
      await call({
        method: 'POST',
        path: `${entries(contentType)}/${part(uid)}/unpublish`,
        json: publishBody(publishing),
        repeat: 'always'
      })
    },
    async publishEntries(contentType, published, { environments, locale }) {
      const json = {
        entries: published.map(entry => ({ ...entry, content_type: contentType, locale })),
        locales: [locale],
        environments
      }
      await call({ method: 'POST', path: '/bulk/publish', json, repeat: 'always' })
    },
    async assetsPage(query = {}) {
      const body = await get<{ assets?: Asset[]; count?: number }>('/assets', listQuery(query))
      return { assets: body.assets ?? [], count: body.count ?? null }
    },
    async asset(uid, query = {}) {
      const wanted = { version: query.version, include_publish_details: query.includePublishDetails || undefined }
      return (await missingAsNull(get<{ asset: Asset }>(`/assets/${part(uid)}`, wanted)))?.asset ?? null
    },
    async createAsset({ bytes, filename, contentType, tags }) {
      const form = new FormData()
      form.append('asset[upload]', new Blob([bytes], { type: contentType }), filename)
      form.append('asset[title]', filename)
      form.append('asset[tags]', tags.join(','))
      return (await call<{ asset: Asset }>({ method: 'POST', path: '/assets', form })).asset
    },
    locales: () => all<Locale>('/locales', 'locales'),
    environments: () => all<Environment>('/environments', 'environments'),
    branches: () => all<Branch>('/stacks/branches', 'branches'),
    roles: () => all<Role>('/roles', 'roles'),
    webhooks: () => all<Webhook>('/webhooks', 'webhooks'),
    async createWebhook(webhook) {
      return (await call<{ webhook: Webhook }>({ method: 'POST', path: '/webhooks', json: { webhook } })).webhook
    },
    async updateWebhook(uid, webhook) {
      return (await call<{ webhook: Webhook }>({ method: 'PUT', path: `/webhooks/${part(uid)}`, json: { webhook } })).webhook
    },
    async deleteWebhook(uid) {
      return (await missingAsNull(call({ method: 'DELETE', path: `/webhooks/${part(uid)}` }))) !== null
    },
    async webhookExecutions(uid, { from, to, most }) {
      const executions: WebhookExecution[] = []
      const span = { from: new Date(from).toISOString(), to: new Date(to).toISOString() }
      for (;;) {
        const query = { ...span, limit: pageSize, skip: executions.length }
        const page = await missingAsNull(get<{ webhooks?: LoggedExecution[] }>(`/webhooks/${part(uid)}/executions`, query))
        if (!page) return null
        const items = page.webhooks ?? []
        executions.push(...items.map(executionOf))
        if (items.length < pageSize) return { executions, more: false }
        if (executions.length >= most) return { executions, more: true }
      }
    },
    raw: request => cma.raw(request)
  }
}

const listQuery = (query: EntriesQuery): Record<string, QueryValue> => ({
  locale: query.locale,
  query: query.query && JSON.stringify(query.query),
  asc: query.asc,
  desc: query.desc,
  limit: query.limit,
  skip: query.skip,
  include_count: query.includeCount || undefined,
  include_publish_details: query.includePublishDetails || undefined,
  'only[BASE][]': query.only
})

/** Of the log's shape only the paths are documented (reference §7.1): what is not as expected is taken for not shown. */
interface LoggedExecution {
  uid?: unknown
  created_at?: unknown
  request_details?: unknown
}

function executionOf({ uid, created_at: at, request_details: details }: LoggedExecution): WebhookExecution {
  const first: unknown = Array.isArray(details) ? details[0] : details
  const body = typeof first === 'object' && first !== null && 'body' in first ? first.body : undefined
  const createdAt = typeof at === 'string' ? Date.parse(at) : Number.NaN
  return {
    uid: String(uid),
    createdAt: Number.isNaN(createdAt) ? null : createdAt,
    body: typeof body === 'string' ? body : typeof body === 'object' && body !== null ? JSON.stringify(body) : null
  }
}

const publishBody = ({ environments, locales, locale, version }: Publishing) => ({ entry: { environments, locales }, locale, version })

/** A uid as one path segment. Dots would be folded by the URL parser even when encoded, so what is no uid is refused. */
function part(uid: string): string {
  if (!/^[\w-]{1,200}$/.test(uid)) throw new AppError('invalid', `"${uid.slice(0, 60)}" is not a uid of Contentstack`)
  return uid
}

async function missingAsNull<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer
  } catch (error) {
    if (isMissingObject(error)) return null
    throw error
  }
}
