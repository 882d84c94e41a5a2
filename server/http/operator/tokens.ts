// The operator door's routes of tokens in custody: each with its state and where to rotate it, and a look at one right now.
import { Router } from 'express'
import type { CustodyLine, TokenLook } from '../contract/operator.ts'
import { paramOf } from '../guards.ts'

export interface TokenServices {
  tokens(): Promise<CustodyLine[]>
  /** AppError not_found. */
  token(installationId: string): Promise<CustodyLine>
  /** Asks Contentstack. AppError not_found | conflict (not active) | upstream | rate_limited. */
  checkToken(installationId: string): Promise<TokenLook>
}

/** Mounted behind the door's guard. */
export function tokenRoutes(services: TokenServices): Router {
  const router = Router()
  router.get('/tokens', async (_request, response) => void response.json(await services.tokens()))
  router.get('/tokens/:installationId', async (request, response) => {
    response.json(await services.token(paramOf(request, 'installationId')))
  })
  router.post('/tokens/:installationId/check', async (request, response) => {
    response.json(await services.checkToken(paramOf(request, 'installationId')))
  })
  return router
}
