// The operator door's routes of one installation: what it is, what an earlier one left for it, and the two ends of a move to another
// server. A takeover of many links goes by turns, so that no request outlasts a proxy's patience.
import { type Request, Router } from 'express'
import type { Actor } from '../../audit/audit.ts'
import { type AdoptAnswer, type ExportHead, type ExportPage, type ImportAnswer, ImportBatch, ImportEnd } from '../contract/export.ts'
import { Adopt, type Installation, type Predecessor } from '../contract/stack.ts'
import { bodyOf, paramOf, queryOf } from '../guards.ts'

export interface OperatorInstallations {
  installation(id: string): Promise<Installation>
  predecessors(id: string): Promise<Predecessor[]>
  adopt(id: string, actor: Actor, from: string): Promise<AdoptAnswer>
  beginExport(id: string, actor: Actor): Promise<ExportHead>
  exportPage(id: string, after: string | null): Promise<ExportPage>
  importLines(id: string, actor: Actor, batch: ImportBatch): Promise<ImportAnswer>
  finishImport(id: string, actor: Actor, end: ImportEnd): Promise<void>
}

/** Mounted behind the door's guard, which has read the body. */
export function installationRoutes(services: OperatorInstallations, actorOf: (request: Request) => Actor): Router {
  const router = Router({ mergeParams: true })
  const idOf = (request: Request) => paramOf(request, 'installationId')
  router.get('/', async (request, response) => void response.json(await services.installation(idOf(request))))
  router.get('/predecessors', async (request, response) => void response.json(await services.predecessors(idOf(request))))
  router.post('/adopt', async (request, response) => {
    response.json(await services.adopt(idOf(request), actorOf(request), bodyOf(request, Adopt).from))
  })
  router.post('/export', async (request, response) => void response.json(await services.beginExport(idOf(request), actorOf(request))))
  router.get('/export', async (request, response) => {
    response.json(await services.exportPage(idOf(request), queryOf(request, 'after') ?? null))
  })
  router.post('/import', async (request, response) => {
    response.json(await services.importLines(idOf(request), actorOf(request), bodyOf(request, ImportBatch)))
  })
  router.post('/import/end', async (request, response) => {
    await services.finishImport(idOf(request), actorOf(request), bodyOf(request, ImportEnd))
    response.json({})
  })
  return router
}
