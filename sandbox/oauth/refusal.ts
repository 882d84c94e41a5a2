// How a room of the sandbox says no: thrown with the status and body that the wire shall carry, turned into a response in one
// place. Bodies differ by API: OAuth speaks `error` / `error_description`, Developer Hub and the CMA speak `error_message`.
import type { ErrorRequestHandler } from 'express'

export class Refusal extends Error {
  readonly status: number
  readonly body: Record<string, unknown>

  constructor(status: number, body: Record<string, unknown>) {
    super(typeof body.error_message === 'string' ? body.error_message : `refused with ${status}`)
    this.status = status
    this.body = body
  }
}

/** RFC 6749 §5.2; that the platform uses this form is read from one client only (reference §3.2). */
export function oauthRefusal(error: string, description: string, status = 400): Refusal {
  return new Refusal(status, { error, error_description: description, error_message: description })
}

/** `message` as well as `error_message`: which of the two Developer Hub sends is not established, so clients may read either. */
export function hubRefusal(status: number, message: string, errors: Record<string, string[]> = {}): Refusal {
  return new Refusal(status, { status, message, error_message: message, errors })
}

/** Reference §1.6: the same body for an authtoken that is wrong, expired or of someone who left. */
export function notLoggedIn(key: 'authtoken' | 'authorization' | 'access_token'): Refusal {
  return new Refusal(401, {
    error_message: "You're not allowed in here unless you're logged in.",
    error_code: 105,
    errors: { [key]: ['is not valid.'] }
  })
}

export const answerRefusals: ErrorRequestHandler = (error: unknown, _request, response, next) => {
  if (response.headersSent) return next(error)
  if (error instanceof Refusal) return void response.status(error.status).json(error.body)
  const status = typeof error === 'object' && error !== null && 'status' in error && typeof error.status === 'number' ? error.status : 500
  const message = error instanceof Error ? error.message : String(error)
  if (status >= 500) console.error(error)
  response.status(status).json({ error_message: message })
}
