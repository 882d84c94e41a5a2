// Records that external systems push into inbound syncs. The body is taken as raw bytes, because the signature covers bytes. Whoever
// asks too often is told so before anything is looked up.
import express, { type RequestHandler, Router } from 'express'
import { AppError } from '../../errors.ts'
import { largestPushBytes, pushHeaders } from '../../sync/pushed.ts'
import { atMost, paramOf } from '../guards.ts'

export interface PushedServices {
  /** Durable before it resolves. AppError forbidden | invalid | conflict | rate_limited. */
  receivePushed(input: {
    syncId: string
    rawBody: Buffer
    headers: Record<string, string | string[] | undefined>
  }): Promise<{ duplicate: boolean; runId: string }>
}

/** Messages a minute: of one address, whatever it pushes to. */
const perMinute = 300

export function pushedRoutes(services: PushedServices): Router {
  const router = Router()
  const raw = express.raw({ type: () => true, limit: largestPushBytes })
  router.post('/hooks/in/:syncId', atMost(perMinute, 60), carriesAll, raw, async (request, response) => {
    const body: unknown = request.body
    const rawBody = Buffer.isBuffer(body) ? body : Buffer.alloc(0)
    const { duplicate, runId } = await services.receivePushed({ syncId: paramOf(request, 'syncId'), rawBody, headers: request.headers })
    response.status(202).json({ accepted: true, duplicate, runId })
  })
  return router
}

/** Whoever does not even claim to have signed is not listened to for a megabyte. */
const carriesAll: RequestHandler = (request, _response, next) => {
  if (pushHeaders.some(name => typeof request.headers[name] !== 'string'))
    throw new AppError('forbidden', 'This message is not signed for a sync of this address.')
  next()
}
