// A person with a browser, without the browser: keeps cookies per host, follows nothing by itself, and says what was refused.
// The demo drives every real HTTP flow through it, as Ada would by clicking.

export interface Answer<T> {
  status: number
  body: T
  /** Where a redirect points, absolute. */
  location: string | null
}

export interface Ask {
  method?: string
  headers?: Record<string, string>
  json?: unknown
  /** Statuses that are not an error here. Default: 2xx and 3xx. */
  allow?: number[]
}

export interface Person {
  ask<T = unknown>(url: string, options?: Ask): Promise<Answer<T>>
}

/** `patienceSeconds`: how long a refused connection is tried again. `ask` throws Error with method, path (never the query: it may hold a code), status and the refusal's own words. */
export function createPerson({ patienceSeconds = 0 }: { patienceSeconds?: number } = {}): Person {
  const jar = new Map<string, Map<string, string>>()

  return {
    async ask<T>(url: string, { method = 'GET', headers = {}, json, allow = [] }: Ask = {}): Promise<Answer<T>> {
      const { host, origin, pathname } = new URL(url)
      const cookies = jar.get(host)
      const send = () =>
        fetch(url, {
          method,
          redirect: 'manual',
          headers: {
            ...(cookies ? { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') } : {}),
            ...(json === undefined ? {} : { 'content-type': 'application/json', origin }),
            ...headers
          },
          ...(json === undefined ? {} : { body: JSON.stringify(json) })
        })
      let response = await patiently(patienceSeconds, method === 'GET', send)
      // The limit is the organization's: a person's browser waits and asks again.
      for (let again = 0; response.status === 429 && !allow.includes(429) && again < 10; again += 1) {
        await new Promise(resolve => setTimeout(resolve, 500))
        response = await send()
      }
      for (const line of response.headers.getSetCookie()) {
        const [, name, value] = /^([^=]+)=([^;]*)/.exec(line) ?? []
        if (!name) continue
        const own = jar.get(host) ?? new Map<string, string>()
        own.set(name, value ?? '')
        jar.set(host, own)
      }
      const text = await response.text()
      const body = (response.headers.get('content-type') ?? '').includes('json') && text !== '' ? JSON.parse(text) : text
      if (response.status >= 400 && !allow.includes(response.status)) {
        throw new Error(`${method} ${origin}${pathname} answered ${response.status}: ${wordsOf(body)}`)
      }
      const location = response.headers.get('location')
      return { status: response.status, body: body as T, location: location === null ? null : new URL(location, url).href }
    }
  }
}

/** A server that is just starting again refuses connections or cuts them. Where nothing was sent, or only asked, once more is harmless. */
async function patiently<T>(seconds: number, onlyAsks: boolean, act: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + seconds * 1000
  for (;;) {
    try {
      return await act()
    } catch (error) {
      const cause: unknown = error instanceof Error ? error.cause : undefined
      const refused = cause instanceof Error && 'code' in cause && cause.code === 'ECONNREFUSED'
      if (!(refused || onlyAsks) || Date.now() > deadline) throw error
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }
}

function wordsOf(body: unknown): string {
  if (typeof body !== 'object' || body === null)
    return String(body)
      .replace(/<[^>]*>/g, ' ')
      .replace(/\s+/g, ' ')
      .trim()
      .slice(0, 300)
  if ('error' in body && typeof body.error === 'object' && body.error !== null && 'message' in body.error) {
    const remedy = 'remedy' in body.error ? ` ${String(body.error.remedy)}` : ''
    return `${String(body.error.message)}${remedy}`
  }
  if ('error_message' in body) return `${String(body.error_message)} ${'errors' in body ? JSON.stringify(body.errors) : ''}`
  return JSON.stringify(body).slice(0, 300)
}
