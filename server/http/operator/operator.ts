// The door of the `quayside` command: whoever holds the key ring runs this server. Its guard: a mark under the ring's own key over
// method, path, body, time and a random word, so that nothing secret travels and nothing can be sent again: within its minute a mark
// is remembered (by this process), afterwards it is too old.
import express, { type Request, Router } from 'express'
import type { Actor } from '../../audit/audit.ts'
import { AppError } from '../../errors.ts'
import { type RingKey, ringMark } from '../../vault/cipher.ts'
import type { Vault } from '../../vault/vault.ts'
import type { AccessKey, CreatedKey, Installation, NewKey as NewKeyShape } from '../contract/stack.ts'
import { NewKey } from '../contract/stack.ts'
import { bodyOf, clientOf, limitOf, paramOf } from '../guards.ts'
import { type AuditDoor, auditRoutes } from './audit.ts'
import { type DoctorServices, doctorRoutes } from './doctor.ts'
import { installationRoutes, type OperatorInstallations } from './installations.ts'
import { type JobDoor, jobRoutes } from './jobs.ts'
import { type OrganizationDoor, organizationRoutes } from './organizations.ts'
import { type OperatorVault, vaultRoutes } from './vault.ts'
import { tokenRoutes, type TokenServices } from './tokens.ts'

export interface OperatorServices {
  vault: Vault
  operator: OperatorVault &
    OperatorInstallations &
    DoctorServices &
    TokenServices & {
      audit: AuditDoor
      jobs: JobDoor
      organizations: OrganizationDoor
      installations(): Promise<Installation[]>
      keys(): Promise<AccessKey[]>
      createKey(installationId: string, actor: Actor, key: NewKeyShape): Promise<CreatedKey>
      revokeKey(actor: Actor, keyId: string): Promise<AccessKey>
    }
}

const freshMs = 60_000

interface Asked {
  method: string
  path: string
  body: string
  /** Milliseconds. */
  sentAt: number
  /** Never used before. */
  word: string
  actor: string
}

const label = 'operator-door'

/** What the command sends as `x-quayside-mark`, under its current key; the door takes it under any key of its own ring. */
export function markOf(key: RingKey, asked: Asked): string {
  return ringMark(key, label, textOf(asked))
}

function textOf({ method, path, body, sentAt, word, actor }: Asked): string {
  return JSON.stringify([method, path, body, sentAt, word, actor])
}

export function operatorRoutes({ vault, operator }: OperatorServices): Router {
  const router = Router()
  const countRefusal = limitOf(120, 60)
  const isFirst = firstTimes()
  router.use(express.text({ type: () => true, limit: '64kb' }))
  router.use(async (request, _response, next) => {
    const body = typeof request.body === 'string' ? request.body : ''
    const sentAt = Number(request.headers['x-quayside-sent-at'])
    const word = headerOf(request, 'x-quayside-word')
    const { method, originalUrl: path } = request
    const text = textOf({ method, path, body, sentAt, word, actor: actorName(request) })
    const fits = vault.isRingMark(label, text, headerOf(request, 'x-quayside-mark'))
    const now = Date.now()
    if (!fits || !(Math.abs(now - sentAt) < freshMs) || !isFirst(`${sentAt} ${word}`, now)) {
      // Only refusals count, so that a stranger cannot keep the operator's commands out.
      await countRefusal(clientOf(request))
      throw new AppError(
        'unauthorized',
        'This command was not marked with the key ring of this server, not within the last minute, or was sent before.',
        { remedy: 'Run quayside with the same QUAYSIDE_KEY_FILE as the server, on a machine whose clock is right.' }
      )
    }
    request.body = jsonIn(body)
    next()
  })

  router.use(doctorRoutes(operator))
  router.use(tokenRoutes(operator))
  router.use('/vault', vaultRoutes(operator, actorOf))
  router.get('/installations', async (_request, response) => void response.json(await operator.installations()))
  router.get('/keys', async (_request, response) => void response.json(await operator.keys()))
  router.post('/installations/:installationId/keys', async (request, response) => {
    response.status(201).json(await operator.createKey(paramOf(request, 'installationId'), actorOf(request), bodyOf(request, NewKey)))
  })
  router.use('/audit', auditRoutes(operator.audit))
  router.use('/jobs', jobRoutes(operator.jobs, actorOf))
  router.use('/organizations', organizationRoutes(operator.organizations, actorOf))
  router.use('/installations/:installationId', installationRoutes(operator, actorOf))
  router.delete(
    '/keys/:keyId',
    async (request, response) => void response.json(await operator.revokeKey(actorOf(request), paramOf(request, 'keyId')))
  )
  return router
}

/** Remembers what fitted for as long as it would fit again: from a minute before its time to a minute after. */
function firstTimes(): (sent: string, now: number) => boolean {
  const until = new Map<string, number>()
  return (sent, now) => {
    for (const [old, end] of until) {
      if (end > now) break
      until.delete(old)
    }
    if (until.has(sent)) return false
    until.set(sent, now + 2 * freshMs)
    return true
  }
}

function jsonIn(body: string): unknown {
  try {
    return body === '' ? {} : JSON.parse(body)
  } catch (cause) {
    throw new AppError('invalid', 'The request could not be read.', { cause })
  }
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
