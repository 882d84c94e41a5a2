// Contentstack's webhooks. The body is taken as raw bytes, because the signature covers bytes; what is refused is 4xx but never
// 401, which Contentstack's circuit breaker counts against the whole webhook (reference §7.5).
import express, { type RequestHandler, Router } from 'express'
import { AppError } from '../../errors.ts'
import { largestWebhookBytes, secretHeader, signatureHeader } from '../../webhooks/receive.ts'
import { paramOf } from '../guards.ts'

export interface WebhookServices {
  /** Durable before it resolves. AppError forbidden | invalid | not_found. */
  receiveContent(input: {
    installationId: string
    /** Of a webhook for another branch than the main one. */
    branch?: string
    rawBody: Buffer
    headers: Record<string, string | string[] | undefined>
  }): Promise<unknown>
  receiveLifecycle(input: { region: string; rawBody: Buffer; headers: Record<string, string | string[] | undefined> }): Promise<unknown>
}

export function webhookRoutes(services: WebhookServices): Router {
  const router = Router()
  const raw = [carriesBoth, express.raw({ type: () => true, limit: largestWebhookBytes })]
  router.post('/webhooks/content/:installationId{/:branch}', ...raw, async (request, response) => {
    const { branch } = request.params
    await services.receiveContent({
      installationId: paramOf(request, 'installationId'),
      ...(branch === undefined ? {} : { branch: paramOf(request, 'branch') }),
      rawBody: bytesOf(request.body),
      headers: request.headers
    })
    response.status(202).json({ accepted: true })
  })
  router.post('/webhooks/lifecycle/:region', ...raw, async (request, response) => {
    await services.receiveLifecycle({ region: paramOf(request, 'region'), rawBody: bytesOf(request.body), headers: request.headers })
    response.status(202).json({ accepted: true })
  })
  return router
}

/** Whoever does not even claim to be Contentstack is not listened to for two megabytes. */
const carriesBoth: RequestHandler = (request, _response, next) => {
  if (typeof request.headers[secretHeader] !== 'string' || typeof request.headers[signatureHeader] !== 'string')
    throw new AppError('forbidden', 'This webhook is not from Contentstack for this installation.')
  next()
}

function bytesOf(body: unknown): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0)
}
