// One fetch for every call: JSON both ways, the answer checked against the contract's shape, every refusal one ApiError.
// It knows no route and no session; a door (session.ts, console.ts) adds how its caller proves who it is.
import * as z from 'zod/mini'
import { Problem } from '../../server/http/contract/problem.ts'

// zod compiles its checks with `new Function`, which the pages' Content-Security-Policy forbids.
z.config({ jitless: true })

export type ErrorCode = Problem['error']['code'] | 'unreachable' | 'unexpected'

/** `message` and `remedy` are written for people. Decide by `code`. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly code: ErrorCode
  readonly remedy: string | undefined
  readonly fields: Record<string, string[]>
  readonly requestId: string | undefined

  constructor(
    code: ErrorCode,
    message: string,
    details: { remedy?: string | undefined; fields?: Record<string, string[]>; requestId?: string; cause?: unknown } = {}
  ) {
    super(message, { cause: details.cause })
    this.code = code
    this.remedy = details.remedy
    this.fields = details.fields ?? {}
    this.requestId = details.requestId
  }
}

export interface Call<T> {
  method?: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  path: string
  /** Left out when undefined, null or ''. */
  query?: Record<string, string | number | null | undefined>
  body?: unknown
  answer: z.ZodMiniType<T>
  signal?: AbortSignal | undefined
}

export type Request = <T>(call: Call<T>) => Promise<T>

/** ApiError with the server's code, `unreachable` when nothing answered, `unexpected` when the answer has another shape. */
export async function request<T>(call: Call<T>, headers: Record<string, string> = {}): Promise<T> {
  const method = call.method ?? 'GET'
  let response: Response
  try {
    response = await fetch(addressOf(call), {
      method,
      headers: { accept: 'application/json', ...(method === 'GET' ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(method === 'GET' ? {} : { body: JSON.stringify(call.body ?? {}) }),
      signal: call.signal ?? null,
      cache: 'no-store'
    })
  } catch (cause) {
    if (call.signal?.aborted) throw cause
    throw new ApiError('unreachable', 'Quayside does not answer.', {
      remedy: 'It is tried again by itself. If it lasts, ask whoever runs Quayside.',
      cause
    })
  }
  const body: unknown = await response.json().catch(() => null)
  if (!response.ok) throw refusalOf(response.status, body)
  const parsed = z.safeParse(call.answer, body)
  if (parsed.success) return parsed.data
  const where = parsed.error.issues[0]?.path.join('.') ?? ''
  throw new ApiError('unexpected', 'Quayside answered in a way this page does not understand.', {
    remedy: `Reload the page: it may be older than the server. (${call.path}${where ? `, ${where}` : ''})`,
    cause: parsed.error
  })
}

function addressOf({ path, query }: Call<unknown>): string {
  const pairs = Object.entries(query ?? {}).flatMap(([name, value]) =>
    value === undefined || value === null || value === '' ? [] : [[name, String(value)]]
  )
  return pairs.length === 0 ? path : `${path}?${new URLSearchParams(pairs).toString()}`
}

function refusalOf(status: number, body: unknown): ApiError {
  const parsed = z.safeParse(Problem, body)
  if (parsed.success) {
    const { code, message, remedy, fields, requestId } = parsed.data.error
    return new ApiError(code, message, { remedy, requestId, ...(fields ? { fields } : {}) })
  }
  // Something between us and the server answered: a proxy, a login wall, a server that is just starting.
  return new ApiError('unreachable', `Quayside could not be reached (status ${status}).`, {
    remedy: 'It is tried again by itself. If it lasts, ask whoever runs Quayside.'
  })
}

export function isApiError(error: unknown, code?: ErrorCode): error is ApiError {
  return error instanceof ApiError && (code === undefined || error.code === code)
}
