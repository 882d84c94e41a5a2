// `sdk.api()` and `sdk.createAdapter()`: one HTTP request of the app, made by the page with the person's authtoken
// (platform reference §10.3, §10.5). Only the region's own hosts can be reached: the authtoken goes nowhere else.
// Not emulated: the manifest's `permissions` narrowing what an app may call (§11.11 is not established).
import { appendParameter } from '../client.ts'
import type { Place } from './place.ts'

export interface AdapterRequest {
  url?: string
  baseURL?: string
  method?: string
  headers?: Record<string, unknown>
  params?: Record<string, unknown>
  data?: unknown
}

interface AdapterResponse {
  status: number
  statusText: string
  headers: Record<string, string>
  data: unknown
}

export async function answerApi(
  request: AdapterRequest,
  place: Pick<Place, 'client' | 'session' | 'stack' | 'branch'>
): Promise<AdapterResponse> {
  const { contentManagement, developerHub } = place.client.platform.urls
  const target = targetOf(request, contentManagement)
  if (target === null || ![contentManagement, developerHub].some(host => new URL(host).origin === target.origin)) {
    return refused(403, `An app reaches only the region's own hosts, not "${request.url ?? ''}".`)
  }
  for (const [key, value] of Object.entries(request.params ?? {})) appendParameter(target.searchParams, key, value)
  const headers = new Headers({ api_key: place.stack.api_key, organization_uid: place.stack.org_uid, branch: place.branch })
  for (const [key, value] of Object.entries(request.headers ?? {})) {
    if (typeof value === 'string' && !/^(authtoken|authorization|host|user-agent|x-user-agent|content-length)$/i.test(key))
      headers.set(key, value)
  }
  headers.set('authtoken', place.session.authtoken)
  const method = (request.method ?? 'GET').toUpperCase()
  const body = request.data === undefined || request.data === null || method === 'GET' ? null : textOf(request.data)
  if (body !== null && !headers.has('content-type')) headers.set('content-type', 'application/json')
  const response = await fetch(target, { method, headers, body })
  const text = await response.text()
  return { status: response.status, statusText: response.statusText, headers: Object.fromEntries(response.headers), data: jsonOr(text) }
}

/**
 * Relative urls are the CMA's. The management SDK on `host: sdk.endpoints.CMA` asks for `https://https://host:443/v3/…`; the
 * platform's page puts up with it (§10.5), so the inner address counts.
 */
export function targetOf(request: AdapterRequest, contentManagement: string): URL | null {
  const url = request.url ?? ''
  const joined = /^https?:/i.test(url) || !request.baseURL ? url : `${request.baseURL.replace(/\/$/, '')}/${url.replace(/^\//, '')}`
  const doubled = /^https?:\/\/(https?:\/\/[^/]+?)(?::443)?(\/.*)?$/i.exec(joined)
  try {
    return new URL(doubled ? `${doubled[1]}${doubled[2] ?? ''}` : joined, contentManagement)
  } catch {
    return null
  }
}

function refused(status: number, message: string): AdapterResponse {
  return {
    status,
    statusText: 'Forbidden',
    headers: { 'content-type': 'application/json' },
    data: { error_message: message, error_code: status }
  }
}

function textOf(data: unknown): string {
  return typeof data === 'string' ? data : JSON.stringify(data)
}

function jsonOr(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
