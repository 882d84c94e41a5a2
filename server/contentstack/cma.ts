// One request to the Content Management API of one stack: credential, budget, time-out, retry, error. It is handed where credentials
// and slots come from and keeps neither. A request is repeated only when it cannot have been carried out, or when carrying it out
// twice changes nothing; otherwise the caller learns that the outcome is unknown and must read back (engine.md §1).
import { setTimeout as wait } from 'node:timers/promises'
import type { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import { cmaErrorOf, isTokenRefusal, refusalOf } from './refusal.ts'
import type { Region } from './regions.ts'
import { exchange, noAnswerOf, send, unreadable, type WireAnswer, type WireRequest } from './wire.ts'

export type RequestKind = 'read' | 'write' | 'bulk'
/** Whose slots: people before live changes before backfill. */
export type RequestLane = 'people' | 'live' | 'backfill'

export interface Credential {
  header: 'authorization'
  value: string
  /** Whatever the owner knows the credential by; handed back to onRefused. */
  id?: string
}

export interface RateNews {
  limit: number | null
  remaining: number | null
  status: number
}

export interface CmaOptions {
  region: Region
  apiKey: string
  branch?: string
  /** Sent with each request beside the credential (organization_uid for user tokens). */
  headers?: Record<string, string>
  /** Asked anew for each attempt. Throws AppError unauthorized when there is none. */
  credential(): Promise<Credential>
  /** Resolves when a request of that kind may leave. */
  acquire(kind: RequestKind, lane: RequestLane, signal?: AbortSignal): Promise<void>
  learn(kind: RequestKind, news: RateNews): void
  /** A 401 with code 105. 'repeat' = the credential has been replaced meanwhile, try once more with the new one. */
  onRefused?(credential: Credential): Promise<'repeat' | 'refused'>
  /** Awaited before the answer of an accepted write is handed on. */
  onWritten?(write: AcceptedWrite): Promise<void>
  fetch?: typeof fetch
  log: Log
  timeoutSeconds?: number
}

export type QueryValue = string | number | boolean | string[] | undefined

export interface CmaRequest {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE'
  /** Below /v3, with a leading slash; parts already percent-encoded. */
  path: string
  query?: Record<string, QueryValue>
  json?: unknown
  form?: FormData
  branch?: string
  headers?: Record<string, string>
  kind?: RequestKind
  lane?: RequestLane
  signal?: AbortSignal
  /** 'always': carrying it out twice changes nothing. 'refused': repeat only what surely was not carried out. By method unless set. */
  repeat?: 'always' | 'refused'
}

export interface AcceptedWrite {
  method: string
  path: string
  query: Record<string, QueryValue>
  status: number
  body: unknown
}

/** A request as a script made it, for the gateway: nothing of it is interpreted here. */
export interface RawRequest {
  method: string
  /** Below /v3 with its query, percent-encoded. */
  target: string
  headers?: Record<string, string>
  body?: string | Uint8Array<ArrayBuffer>
  kind: RequestKind
  lane: RequestLane
  signal?: AbortSignal
}

export interface Cma {
  /** The parsed body. Throws AppError as refusal.ts says; upstream when the answer was cut short or is not JSON. */
  request<T>(request: CmaRequest): Promise<T>
  /** Contentstack's answer whatever its status, body unread. Never repeated but for a replaced credential; not reported to onWritten. */
  raw(request: RawRequest): Promise<Response>
}

const maxAttempts = 5

/** True when nobody knows whether the request was carried out: read back before repeating. */
export function isOutcomeUnknown(error: unknown): boolean {
  const none = noAnswerOf(error)
  if (none) return !none.neverSent
  return (cmaErrorOf(error)?.status ?? 0) >= 500
}

export function createCma(options: CmaOptions): Cma {
  const headersFor = (credential: Credential, branch: string | undefined, extra: Record<string, string> = {}) => ({
    ...extra,
    ...options.headers,
    api_key: options.apiKey,
    ...(branch !== undefined && { branch }),
    [credential.header]: credential.value
  })

  async function attempt(request: CmaRequest, kind: RequestKind): Promise<WireAnswer> {
    await options.acquire(kind, request.lane ?? 'live', request.signal)
    const credential = await options.credential()
    const answer = await exchange(wireRequest(options, request, headersFor(credential, request.branch ?? options.branch, request.headers)))
    options.learn(kind, newsOf(answer))
    if (answer.status >= 200 && answer.status < 300) return answer
    throw new Refused(refusalOf(answer, credential.value), credential)
  }

  return {
    async request<T>(request: CmaRequest): Promise<T> {
      const kind = request.kind ?? kindOf(request.method, request.path)
      let replaced = false
      for (let attempts = 1; ; attempts += 1) {
        try {
          const answer = await attempt(request, kind)
          const body = parseBody(answer)
          if (kind !== 'read') {
            await options.onWritten?.({
              method: request.method,
              path: request.path,
              query: request.query ?? {},
              status: answer.status,
              body
            })
          }
          return body as T
        } catch (thrown) {
          const error = thrown instanceof Refused ? thrown.refusal : thrown
          if (thrown instanceof Refused && !replaced && isTokenRefusal(error) && options.onRefused) {
            replaced = (await options.onRefused(thrown.credential)) === 'repeat'
            if (replaced) continue
          }
          if (attempts >= maxAttempts || !mayRepeat(request, error)) throw error
          options.log.debug({ method: request.method, path: request.path, attempts }, 'repeating a request to Contentstack')
          await wait(pauseMilliseconds(attempts), undefined, { signal: request.signal })
        }
      }
    },

    async raw(request: RawRequest): Promise<Response> {
      for (let repeats = 0; ; repeats += 1) {
        await options.acquire(request.kind, request.lane, request.signal)
        const credential = await options.credential()
        const { target, method, body, signal } = request
        const response = await send({
          method,
          url: `${options.region.contentManagement}/v3${target}`,
          headers: headersFor(credential, options.branch, request.headers),
          ...(body !== undefined && { body: body as string }),
          ...(signal && { signal }),
          ...(options.fetch && { fetch: options.fetch }),
          timeoutSeconds: options.timeoutSeconds ?? 60
        })
        options.learn(request.kind, newsOf(response))
        if (response.status !== 401 || repeats > 0 || !options.onRefused) return response
        // The body must be read to tell a dead token from another 401, and handed on all the same.
        const text = await response.text()
        const refusal = refusalOf({ status: 401, headers: response.headers, text }, credential.value)
        if (isTokenRefusal(refusal) && (await options.onRefused(credential)) === 'repeat') continue
        return new Response(text, { status: 401, headers: response.headers })
      }
    }
  }
}

/** Never leaves this file: carries which credential was refused. */
class Refused extends Error {
  readonly refusal: AppError
  readonly credential: Credential
  constructor(refusal: AppError, credential: Credential) {
    super('refused')
    this.refusal = refusal
    this.credential = credential
  }
}

function wireRequest(options: CmaOptions, request: CmaRequest, headers: Record<string, string>): WireRequest {
  const json = request.json === undefined ? undefined : JSON.stringify(request.json)
  return {
    method: request.method,
    url: `${options.region.contentManagement}/v3${request.path}${queryText(request.query)}`,
    headers: { ...headers, accept: 'application/json', ...(json !== undefined && { 'content-type': 'application/json' }) },
    ...(json !== undefined && { body: json }),
    ...(request.form && { body: request.form }),
    ...(request.signal && { signal: request.signal }),
    ...(options.fetch && { fetch: options.fetch }),
    timeoutSeconds: options.timeoutSeconds ?? 30
  }
}

function queryText(query: Record<string, QueryValue> = {}): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (Array.isArray(value)) for (const item of value) search.append(name, item)
    else if (value !== undefined) search.append(name, String(value))
  }
  const text = search.toString()
  return text === '' ? '' : `?${text}`
}

export function kindOf(method: string, path: string): RequestKind {
  if (method === 'GET' || method === 'HEAD') return 'read'
  return path.startsWith('/bulk/') ? 'bulk' : 'write'
}

/** https://www.contentstack.com/docs/developers/apis/content-management-api#rate-limiting: the headers come with every response. */
function newsOf(answer: { status: number; headers: Headers }): RateNews {
  return {
    limit: whole(answer.headers.get('x-ratelimit-limit')),
    remaining: whole(answer.headers.get('x-ratelimit-remaining')),
    status: answer.status
  }
}

function whole(text: string | null): number | null {
  const value = text === null || text.trim() === '' ? Number.NaN : Number(text)
  return Number.isInteger(value) && value >= 0 ? value : null
}

function parseBody(answer: WireAnswer): unknown {
  if (answer.text === '') return {}
  try {
    return JSON.parse(answer.text)
  } catch {
    throw unreadable('Contentstack answered with something that is not JSON, or with only a part of it')
  }
}

function mayRepeat(request: CmaRequest, error: unknown): boolean {
  const none = noAnswerOf(error)
  const status = cmaErrorOf(error)?.status ?? 0
  if (none?.neverSent || status === 429) return true
  const harmless = (request.repeat ?? (request.method === 'POST' ? 'refused' : 'always')) === 'always'
  return harmless && (none !== null || status >= 500)
}

/** 0.3, 0.6, 1.2, 2.4 s, each with up to a quarter on top so that many do not come back at once. */
function pauseMilliseconds(attempts: number): number {
  return 300 * 2 ** (attempts - 1) * (1 + Math.random() / 4)
}
