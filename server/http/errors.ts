// The one place where an error code becomes an HTTP status, and an error becomes words on the wire. What is not an AppError
// is a defect of ours: it is logged whole and shown as `internal`, with nothing but the request id to find it by.
import type { ErrorRequestHandler, RequestHandler, Response } from 'express'
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
  return (thrown: unknown, request, response, next) => {
    const error = asAppError(thrown)
    const status = statusOf[error.code]
    const fields = {
      requestId: requestIdOf(response),
      method: request.method,
      path: pathOf(request),
      status,
      error: status >= 500 ? thrown : undefined
    }
    if (status >= 500) log.error(fields, error.message)
    else log.info({ ...fields, reason: error.message }, 'refused')
    if (response.headersSent) return next(thrown)
    if (error.retryAfterSeconds !== undefined) response.setHeader('retry-after', String(Math.ceil(error.retryAfterSeconds)))
    response.status(status).json(problemOf(error, requestIdOf(response)))
  }
}

export const unknownRoute: RequestHandler = request => {
  throw new AppError('not_found', `There is no ${request.method} ${pathOf(request)} here.`)
}

export function problemOf(error: AppError, requestId: string): Problem {
  return {
    error: {
      code: error.code,
      message: error.code === 'internal' ? 'Something went wrong on our side.' : error.message,
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
