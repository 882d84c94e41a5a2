// The operator's door to whole organizations: which there are, and the erasing of one, a piece of it with each request.
import { type Request, Router } from 'express'
import type { Actor } from '../../audit/audit.ts'
import type { Organization } from '../contract/audit.ts'
import { EraseOrganization, type ErasurePreview, ErasureReceipt } from '../contract/console.ts'
import { bodyOf, paramOf } from '../guards.ts'

export interface OrganizationDoor {
  list(): Promise<Organization[]>
  preview(organizationId: string): Promise<ErasurePreview>
  /** A piece of it; to be asked again until it is done. */
  erase(
    organizationId: string,
    actor: Actor,
    asked: EraseOrganization
  ): Promise<{ done: false; rows: Record<string, number> } | { done: true; receipt: ErasureReceipt }>
  verifyReceipt(receipt: ErasureReceipt): Promise<{ genuine: boolean; inChain: boolean }>
}

export function organizationRoutes(organizations: OrganizationDoor, actorOf: (request: Request) => Actor): Router {
  const router = Router()
  router.get('/', async (_request, response) => void response.json(await organizations.list()))
  router.get('/:organizationId/erase', async (request, response) => {
    response.json(await organizations.preview(paramOf(request, 'organizationId')))
  })
  router.post('/:organizationId/erase', async (request, response) => {
    const asked = bodyOf(request, EraseOrganization)
    response.json(await organizations.erase(paramOf(request, 'organizationId'), actorOf(request), asked))
  })
  router.post('/receipts/verify', async (request, response) => {
    response.json(await organizations.verifyReceipt(bodyOf(request, ErasureReceipt)))
  })
  return router
}
