// The door of scripts: an access key in the place of a token, the CMA's own paths below /gateway. Its guard: a key that stands.
// Refusals speak the CMA's dialect (error_message, error_code), because that is what a script written for the CMA reads.
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream as NodeReadableStream } from 'node:stream/web'
import express, { type ErrorRequestHandler, type Response, Router } from 'express'
import { AppError } from '../../errors.ts'
import type { GatewayRequest, GatewayResponse } from '../../gateway/proxy.ts'
import type { KeyPrincipal } from '../../identity/principal.ts'
import type { Log } from '../../log.ts'
import { asAppError, noteRefusal, problemOf, requestIdOf, statusOf } from '../errors.ts'
import { clientOf, limitOf } from '../guards.ts'

export interface GatewayServices {
  log: Log
  /** null for a key that is unknown, revoked or expired. */
  findAccessKey(key: string): Promise<KeyPrincipal | null>
  handleGateway(principal: KeyPrincipal, request: GatewayRequest): Promise<GatewayResponse>
}

export function gatewayRoutes(services: GatewayServices): Router {
  const router = Router()
  // Only refusals count: a guesser behind the same address must not lock out a script whose key stands.
  const countRefusal = limitOf(120, 60)
  router.use(async (request, response, next) => {
    const key = (request.headers.authorization ?? '').replace(/^Bearer /, '')
    const principal = key === '' ? null : await services.findAccessKey(key)
    if (principal === null) {
      await countRefusal(clientOf(request))
      throw new AppError('unauthorized', 'This access key is not known, is revoked or has expired.', {
        remedy: 'Send an access key of Quayside as the authorization header; an authtoken or a management token is not accepted here.'
      })
    }
    response.locals.principal = principal
    next()
  })
  router.use(express.raw({ type: () => true, limit: '32mb' }), async (request, response) => {
    const hungUp = new AbortController()
    response.once('close', () => hungUp.abort())
    const [path, query] = splitOnce(request.url, '?')
    const answer = await services.handleGateway(response.locals.principal as KeyPrincipal, {
      method: request.method,
      path,
      query,
      headers: request.headers,
      body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
      signal: hungUp.signal
    })
    await send(answer, response)
  })
  router.use(answerInDialect(services.log))
  return router
}

async function send({ status, headers, body }: GatewayResponse, response: Response): Promise<void> {
  response.status(status).set(headers)
  if (body === null || Buffer.isBuffer(body)) response.end(body ?? undefined)
  else await pipeline(Readable.fromWeb(body as NodeReadableStream), response)
}

function splitOnce(text: string, at: string): [string, string] {
  const index = text.indexOf(at)
  return index < 0 ? [text, ''] : [text.slice(0, index), text.slice(index + 1)]
}

/** error_code 105 and 162 as the CMA gives them for the same refusals (reference §1.6); a defect goes on to the common handler. */
const answerInDialect =
  (log: Log): ErrorRequestHandler =>
  (thrown: unknown, request, response, next) => {
    const error = asAppError(thrown)
    if (error.code === 'internal' || response.headersSent || response.closed) return next(thrown)
    noteRefusal(log, request, response, thrown)
    const codes: Partial<Record<AppError['code'], number>> = { unauthorized: 105, forbidden: 162, rate_limited: 429 }
    const { error: problem } = problemOf(error, requestIdOf(response))
    if (error.retryAfterSeconds !== undefined) response.setHeader('retry-after', String(Math.ceil(error.retryAfterSeconds)))
    response.status(statusOf[error.code]).json({
      error_message: [problem.message, problem.remedy].filter(Boolean).join(' '),
      error_code: codes[error.code] ?? statusOf[error.code],
      errors: problem.fields ?? {},
      request_id: problem.requestId
    })
  }
