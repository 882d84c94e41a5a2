// The one place where an error code becomes an HTTP status, and an error becomes words on the wire. What is not an AppError
// is a defect of ours: it is logged whole and shown as `internal`, with nothing but the request id to find it by.
import type { ErrorRequestHandler, Request, RequestHandler, Response } from 'express'
import { AppError, type ErrorCode } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Problem } from './contract/problem.ts'

export const statusOf: Readonly<Record<ErrorCode, number>> = {
  invalid: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  rate_limited: 429,
  upstream: 502,
  internal: 500
}

export function answerErrors(log: Log): ErrorRequestHandler {
  // Four parameters make it an error handler.
  return (thrown: unknown, request, response, _next) => {
    if (response.headersSent || response.closed) {
      // Express would print the stack to stderr, past the log and its redaction.
      log.info({ requestId: requestIdOf(response), method: request.method, path: pathOf(request), error: thrown }, 'the answer broke off')
      response.destroy()
      return
    }
    const error = asAppError(thrown)
    noteRefusal(log, request, response, thrown)
    if (error.retryAfterSeconds !== undefined) response.setHeader('retry-after', String(Math.ceil(error.retryAfterSeconds)))
    response.status(statusOf[error.code]).json(problemOf(error, requestIdOf(response)))
  }
}

/** Every refusal leaves a line, in whatever dialect it is said: strangers at a door are seen by whoever reads the log. */
export function noteRefusal(log: Log, request: Request, response: Response, thrown: unknown): void {
  const error = asAppError(thrown)
  const status = statusOf[error.code]
  const fields = { requestId: requestIdOf(response), method: request.method, path: pathOf(request), status, address: request.ip }
  if (status >= 500) log.error({ ...fields, error: thrown }, error.message)
  else log.info({ ...fields, reason: error.message, cause: error.cause }, 'refused')
}

export const unknownRoute: RequestHandler = request => {
  throw new AppError('not_found', `There is no ${request.method} ${pathOf(request)} here.`)
}

export function problemOf(error: AppError, requestId: string): Problem {
  if (error.code === 'internal') return { error: { code: 'internal', message: 'Something went wrong on our side.', requestId } }
  return {
    error: {
      code: error.code,
      message: error.message,
      ...(error.remedy === undefined ? {} : { remedy: error.remedy }),
      ...(error.fields === undefined ? {} : { fields: error.fields }),
      requestId
    }
  }
}

/** The path without its query, which may carry a code, a state or a token. */
export function pathOf(request: { originalUrl: string }): string {
  return request.originalUrl.split('?', 1)[0] ?? '/'
}

export function requestIdOf(response: Response): string {
  const id: unknown = response.locals.requestId
  return typeof id === 'string' ? id : 'unknown'
}

/** body-parser and express throw http-errors: an object with a 4xx `status` and a message fit to be shown. */
export function asAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown
  if (thrown instanceof Error && 'status' in thrown && typeof thrown.status === 'number' && thrown.status >= 400 && thrown.status < 500) {
    return new AppError('invalid', thrown.status === 413 ? 'The request body is too large.' : 'The request could not be read.', {
      cause: thrown
    })
  }
  return new AppError('internal', 'Something went wrong on our side.', { cause: thrown })
}
