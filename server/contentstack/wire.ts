// One request to one of Contentstack's hosts: time-out, no redirects, the body as text. Knows no endpoint and no credential;
// what a status means is for its callers. Redirects are refused because following one would carry the credential elsewhere.
import { AppError } from '../errors.ts'

export interface WireRequest {
  method: string
  url: string
  headers?: Record<string, string>
  body?: string | FormData | URLSearchParams
  signal?: AbortSignal
  timeoutSeconds?: number
  fetch?: typeof fetch
}

export interface WireAnswer {
  status: number
  headers: Headers
  text: string
}

/** No answer came, or only a part of one: the request may or may not have been carried out. */
export interface NoAnswer {
  /** True when the request cannot have reached a handler (no connection was made). */
  neverSent: boolean
}

const noAnswers = new WeakMap<AppError, NoAnswer>()

/** What is known about a request that got no whole answer; null for any other error. */
export function noAnswerOf(error: unknown): NoAnswer | null {
  return error instanceof AppError ? (noAnswers.get(error) ?? null) : null
}

/** Throws AppError upstream (noAnswerOf tells more), or the signal's reason when the caller gave up. */
export async function exchange(request: WireRequest): Promise<WireAnswer> {
  const response = await send(request)
  try {
    return { status: response.status, headers: response.headers, text: await response.text() }
  } catch (cause) {
    throw noAnswer(request, cause, false)
  }
}

/** As exchange, with the body left to be read. */
export async function send(request: WireRequest): Promise<Response> {
  const timeout = AbortSignal.timeout((request.timeoutSeconds ?? 30) * 1000)
  const signal = request.signal ? AbortSignal.any([request.signal, timeout]) : timeout
  request.signal?.throwIfAborted()
  try {
    const { method, headers, body } = request
    return await (request.fetch ?? fetch)(request.url, { method, headers, body, signal, redirect: 'manual' })
  } catch (cause) {
    throw noAnswer(request, cause, isNoConnection(cause))
  }
}

function noAnswer(request: WireRequest, cause: unknown, neverSent: boolean): unknown {
  if (request.signal?.aborted) return request.signal.reason
  const host = new URL(request.url).host
  const late = cause instanceof Error && cause.name === 'TimeoutError'
  const error = new AppError('upstream', late ? `${host} did not answer in time` : `The connection to ${host} failed`, {
    cause: reasonOf(cause),
    remedy: 'It is tried again by itself; if it stays so, look at status.contentstack.com and at the network of this server.'
  })
  noAnswers.set(error, { neverSent })
  return error
}

/** For an answer that came, but says nothing that can be understood. */
export function unreadable(message: string): AppError {
  const error = new AppError('upstream', message)
  noAnswers.set(error, { neverSent: false })
  return error
}

/** Fetch hides the socket's error in `cause`; nothing else of it is kept, since it may hold the request. */
function reasonOf(cause: unknown): Error {
  const inner: unknown = cause instanceof Error && cause.cause ? cause.cause : cause
  return new Error(inner instanceof Error ? `${codeOf(inner) ?? inner.name}: ${inner.message}` : 'unknown')
}

function codeOf(error: Error): string | null {
  return 'code' in error && typeof error.code === 'string' ? error.code : null
}

function isNoConnection(error: unknown): boolean {
  const inner: unknown = error instanceof Error && error.cause ? error.cause : error
  const code = inner instanceof Error ? codeOf(inner) : null
  return (
    code !== null && ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT'].includes(code)
  )
}
