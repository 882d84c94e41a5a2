// The one error of the product. Rooms throw it with a code that says what kind of refusal this is; every door translates
// the code once (http/errors.ts: status; cli: exit code). Decide by `code`, never by message text.

export type ErrorCode = 'invalid' | 'unauthorized' | 'forbidden' | 'not_found' | 'conflict' | 'rate_limited' | 'upstream' | 'internal'

export interface ErrorDetails {
  /** What went wrong underneath; logged, never shown. */
  cause?: unknown
  /** What the reader can do about it, one sentence. Shown. */
  remedy?: string
  /** Field path -> messages, for `invalid`. Shown. */
  fields?: Record<string, string[]>
  /** For `rate_limited`: when to come back. */
  retryAfterSeconds?: number
  /** The other side wants nothing more until a person acts: what goes there is paused, not tried again. */
  pauses?: boolean
}

/** The message is shown to people: it names the thing and never carries a secret. */
export class AppError extends Error {
  override readonly name = 'AppError'
  readonly code: ErrorCode
  readonly remedy: string | undefined
  readonly fields: Record<string, string[]> | undefined
  readonly retryAfterSeconds: number | undefined
  readonly pauses: boolean

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.remedy = details.remedy
    this.fields = details.fields
    this.retryAfterSeconds = details.retryAfterSeconds
    this.pauses = details.pauses === true
  }
}

export function isAppError(error: unknown, code?: ErrorCode): error is AppError {
  return error instanceof AppError && (code === undefined || error.code === code)
}
