// What Contentstack's APIs say when they say no, turned into AppErrors once. The wording shown to people carries Contentstack's own
// message, with the credential of the request cut out should it appear in it. Codes: reference §1.6 and §8.1.
import { AppError, type ErrorCode } from '../errors.ts'
import type { WireAnswer } from './wire.ts'

export interface CmaError {
  status: number
  /** Contentstack's error_code; null when the body had none. */
  errorCode: number | null
  errors: Record<string, string[]>
}

const cmaErrors = new WeakMap<AppError, CmaError>()

/** Status, error_code and errors map of an error that came from Contentstack; null for any other error. */
export function cmaErrorOf(error: unknown): CmaError | null {
  return error instanceof AppError ? (cmaErrors.get(error) ?? null) : null
}

/** 401 with code 105: not logged in. Alone it proves nothing about the token, since scripts can provoke other 401s. */
export function isTokenRefusal(error: unknown): boolean {
  const refusal = cmaErrorOf(error)
  return refusal?.status === 401 && refusal.errorCode === 105
}

/** The credential is fine, the action is not allowed: 403, or the codes 161 and 162 which may come with 401. */
export function isPermissionRefusal(error: unknown): boolean {
  const refusal = cmaErrorOf(error)
  return refusal !== null && codeOf(refusal) === 'forbidden'
}

/** Entry or asset missing is 422 with code 141, not 404. */
export function isMissingObject(error: unknown): boolean {
  const refusal = cmaErrorOf(error)
  return refusal !== null && (refusal.status === 404 || refusal.errorCode === 141)
}

/** `secret` is cut out of every text. */
export function refusalOf(answer: Pick<WireAnswer, 'status' | 'headers' | 'text'>, secret: string): AppError {
  const body = parsed(answer.text)
  const refusal: CmaError = {
    status: answer.status,
    errorCode: typeof body.error_code === 'number' ? body.error_code : null,
    errors: errorsOf(body.errors, secret)
  }
  const said = [body.error_message, body.error_description, body.message, body.error].find(text => typeof text === 'string' && text !== '')
  const words = typeof said === 'string' ? cleaned(said, secret) : `status ${answer.status} without a reason`
  const code = codeOf(refusal)
  const error = new AppError(code, `Contentstack refused: ${words}`, {
    ...(Object.keys(refusal.errors).length > 0 && { fields: refusal.errors }),
    ...(code === 'rate_limited' && { retryAfterSeconds: retryAfterOf(answer.headers) })
  })
  cmaErrors.set(error, refusal)
  return error
}

function codeOf({ status, errorCode }: CmaError): ErrorCode {
  if (status === 429 || errorCode === 429) return 'rate_limited'
  if (status === 403 || errorCode === 161 || errorCode === 162) return 'forbidden'
  if (status === 401) return 'unauthorized'
  if (status === 404 || status === 412 || errorCode === 141 || errorCode === 118 || errorCode === 109) return 'not_found'
  if (status === 409) return 'conflict'
  if (status >= 400 && status < 500) return 'invalid'
  return 'upstream'
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

function errorsOf(errors: unknown, secret: string): Record<string, string[]> {
  if (typeof errors !== 'object' || errors === null) return {}
  return Object.fromEntries(
    Object.entries(errors)
      .slice(0, 50)
      .map(([field, texts]) => [field, (Array.isArray(texts) ? texts : [texts]).slice(0, 10).map(text => cleaned(String(text), secret))])
  )
}

function cleaned(text: string, secret: string): string {
  const short = text.length > 500 ? `${text.slice(0, 500)}…` : text
  return secret.length < 8 ? short : short.replaceAll(secret, '[redacted]')
}

/** No Retry-After is documented (reference §8.1); the limits are per second. */
function retryAfterOf(headers: Headers): number {
  const seconds = Number(headers.get('retry-after'))
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, 300) : 1
}
