// The CMS page's calls to the sandbox's three hosts, as the real page makes them: the CMA and Developer Hub with the person's
// authtoken, `/apps-api` on its own origin. It knows headers and error bodies, nothing of React.

export interface Platform {
  region: string
  urls: { application: string; contentManagement: string; developerHub: string }
}

export interface Person {
  uid: string
  email: string
  firstName: string
  lastName: string
  organizationUids: string[]
  active: boolean
  /** A toy: the sandbox's people are chosen, not challenged. */
  password: string
}

export interface Session {
  authtoken: string
  user: { uid: string; email: string; first_name: string; last_name: string; organizations?: { uid: string; name: string }[] } & Record<
    string,
    unknown
  >
}

export class CallFailure extends Error {
  readonly status: number
  readonly code: number | undefined
  readonly fields: Record<string, string[]>
  constructor(status: number, message: string, code?: number, fields: Record<string, string[]> = {}) {
    super(message)
    this.status = status
    this.code = code
    this.fields = fields
  }
}

export interface CallOptions {
  params?: Record<string, unknown>
  body?: unknown
  headers?: Record<string, string | undefined>
}

export interface Client {
  platform: Platform
  /** JSON in, JSON out; throws CallFailure. `path` begins after `/v3`. */
  cma<T>(method: string, path: string, apiKey: string | undefined, options?: CallOptions & { branch?: string }): Promise<T>
  developerHub<T>(method: string, path: string, organizationUid: string, body?: unknown): Promise<T>
  /** Routes of the application host itself, below `/apps-api`. */
  own<T>(method: string, path: string, body?: unknown): Promise<T>
}

export function createClient(platform: Platform, authtoken: string | null, onRefused: () => void): Client {
  async function call<T>(url: string, method: string, { params, body, headers }: CallOptions): Promise<T> {
    const target = new URL(url, location.origin)
    for (const [key, value] of Object.entries(params ?? {})) appendParameter(target.searchParams, key, value)
    const sent = new Headers()
    for (const [key, value] of Object.entries({ authtoken: authtoken ?? undefined, ...headers }))
      if (value !== undefined) sent.set(key, value)
    if (body !== undefined && !(body instanceof FormData)) sent.set('content-type', 'application/json')
    const given = body instanceof FormData ? body : body === undefined ? null : JSON.stringify(body)
    let response = await fetch(target, { method, headers: sent, body: given })
    // The organization's 10 requests a second are shared with everything that syncs (platform reference §8.1): the page waits
    // its turn. A request answered 429 was not carried out, so it is safe to send again.
    for (let turn = 1; response.status === 429 && turn <= 12; turn++) {
      await new Promise(resolve => setTimeout(resolve, 200 + Math.random() * 100 * turn))
      response = await fetch(target, { method, headers: sent, body: given })
    }
    const text = await response.text()
    const data = parse(text)
    if (response.ok) return data as T
    const failure = failureOf(response.status, data)
    if (failure.status === 401 && failure.code === 105) onRefused()
    throw failure
  }
  return {
    platform,
    cma: (method, path, apiKey, options = {}) => {
      const { branch, headers, ...rest } = options
      return call(`${platform.urls.contentManagement}/v3${path}`, method, { ...rest, headers: { api_key: apiKey, branch, ...headers } })
    },
    developerHub: (method, path, organizationUid, body) =>
      call(`${platform.urls.developerHub}${path}`, method, { body, headers: { organization_uid: organizationUid } }),
    own: (method, path, body) => call(`/apps-api${path}`, method, { body })
  }
}

/** Arrays repeat their key, objects go as JSON (`query={…}`): how the CMA reads them (platform reference §8.1). */
export function appendParameter(search: URLSearchParams, key: string, value: unknown): void {
  if (value === undefined || value === null) return
  if (Array.isArray(value)) for (const one of value) search.append(key.endsWith('[]') ? key : `${key}[]`, String(one))
  else search.append(key, typeof value === 'string' ? value : JSON.stringify(value))
}

function failureOf(status: number, data: unknown): CallFailure {
  const body = (data !== null && typeof data === 'object' ? data : {}) as {
    error_message?: string
    error_code?: number
    errors?: Record<string, string[]>
    message?: string
    error_description?: string
    error?: string
  }
  const message = body.error_message ?? body.message ?? body.error_description ?? body.error ?? `The sandbox answered ${status}.`
  return new CallFailure(status, message, body.error_code, body.errors ?? {})
}

function parse(text: string): unknown {
  if (text === '') return {}
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
