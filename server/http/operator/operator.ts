// The door of the `quayside` command: whoever holds the key ring runs this server. Its guard: a mark under the ring's own key over
// method, path, body and time, so that nothing secret travels and nothing can be sent again a minute later or elsewhere.
import express, { type Request, Router } from 'express'
import { timingSafeEqual } from 'node:crypto'
import type { Actor } from '../../audit/audit.ts'
import { AppError } from '../../errors.ts'
import type { Vault } from '../../vault/vault.ts'
import type { AccessKey, CreatedKey, Installation, NewKey as NewKeyShape } from '../contract/stack.ts'
import { NewKey } from '../contract/stack.ts'
import { atMost, bodyOf, paramOf } from '../guards.ts'

export interface OperatorServices {
  vault: Vault
  operator: {
    installations(): Promise<Installation[]>
    keys(): Promise<AccessKey[]>
    createKey(installationId: string, actor: Actor, key: NewKeyShape): Promise<CreatedKey>
    revokeKey(actor: Actor, keyId: string): Promise<AccessKey>
  }
}

const freshMs = 60_000

/** What the command sends as `x-quayside-mark`; the door computes the same. `sentAt` in milliseconds. */
export function markOf(
  vault: Pick<Vault, 'mac'>,
  asked: { method: string; path: string; body: string; sentAt: number; actor: string }
): string {
  return vault.mac('operator-door', JSON.stringify([asked.method, asked.path, asked.body, asked.sentAt, asked.actor]))
}

export function operatorRoutes({ vault, operator }: OperatorServices): Router {
  const router = Router()
  router.use(atMost(120, 60), express.text({ type: () => true, limit: '64kb' }))
  router.use((request, _response, next) => {
    const body = typeof request.body === 'string' ? request.body : ''
    const sentAt = Number(request.headers['x-quayside-sent-at'])
    const expected = Buffer.from(
      markOf(vault, { method: request.method, path: request.originalUrl, body, sentAt, actor: actorName(request) })
    )
    const given = Buffer.from(headerOf(request, 'x-quayside-mark'))
    const fits = given.length === expected.length && timingSafeEqual(given, expected)
    if (!fits || !(Math.abs(Date.now() - sentAt) < freshMs)) {
      throw new AppError('unauthorized', 'This command was not marked with the key ring of this server, or not within the last minute.', {
        remedy: 'Run quayside with the same QUAYSIDE_KEY_FILE as the server, on a machine whose clock is right.'
      })
    }
    request.body = body === '' ? {} : JSON.parse(body)
    next()
  })

  router.get('/installations', async (_request, response) => void response.json(await operator.installations()))
  router.get('/keys', async (_request, response) => void response.json(await operator.keys()))
  router.post('/installations/:installationId/keys', async (request, response) => {
    response.status(201).json(await operator.createKey(paramOf(request, 'installationId'), actorOf(request), bodyOf(request, NewKey)))
  })
  router.delete(
    '/keys/:keyId',
    async (request, response) => void response.json(await operator.revokeKey(actorOf(request), paramOf(request, 'keyId')))
  )
  return router
}

function actorOf(request: Request): Actor {
  return { kind: 'system', id: 'cli', name: `quayside command (${actorName(request)})` }
}

function actorName(request: Request): string {
  return headerOf(request, 'x-quayside-actor').slice(0, 80)
}

function headerOf(request: Request, name: string): string {
  const value = request.headers[name]
  return typeof value === 'string' ? value : ''
}
