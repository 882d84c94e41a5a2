// The operator door's routes of the vault: what hangs on which key of the ring, and moving all of it to another.
import { type Request, Router } from 'express'
import type { Actor } from '../../audit/audit.ts'
import { type KeyRingStatus, NewRewrap, type Rewrap } from '../contract/operator.ts'
import { bodyOf, queryOf } from '../guards.ts'

export interface OperatorVault {
  keyRing(): Promise<KeyRingStatus>
  startRewrap(actor: Actor, asked: NewRewrap): Promise<Rewrap>
  /** `jobId`: of the move that was started; without one, of the move under way. AppError not_found. */
  rewrap(jobId: number | null): Promise<Rewrap>
}

/** Mounted behind the door's guard, which has read the body. */
export function vaultRoutes(services: OperatorVault, actorOf: (request: Request) => Actor): Router {
  const router = Router()
  router.get('/keys', async (_request, response) => void response.json(await services.keyRing()))
  router.get('/rewrap', async (request, response) => {
    const job = queryOf(request, 'job')
    response.json(await services.rewrap(job === undefined ? null : Number(job)))
  })
  router.post('/rewrap', async (request, response) => {
    response.status(202).json(await services.startRewrap(actorOf(request), bodyOf(request, NewRewrap)))
  })
  return router
}
