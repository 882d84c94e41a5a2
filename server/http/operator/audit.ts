// The operator's door to the audit trails: each route does a piece that is soon done, so that the command can show how far it is and
// neither side keeps more than a piece in memory.
import { Router } from 'express'
import { AppError } from '../../errors.ts'
import * as shapes from '../contract/audit.ts'
import { bodyOf, queryOf } from '../guards.ts'

export interface AuditDoor {
  chainAfter(organizationId: string): Promise<shapes.Chain | null>
  stretch(asked: shapes.AskStretch): Promise<shapes.Stretch>
  anchors(asked: shapes.AskAnchors): Promise<shapes.ComparedAnchors>
  exportPage(asked: shapes.AskExport): Promise<shapes.ExportPage>
  reveals(asked: { organizationId: string | undefined; days: number }): Promise<shapes.RevealCount[]>
}

const mostDays = 3_660

export function auditRoutes(audit: AuditDoor): Router {
  const router = Router()
  router.get('/chains', async (request, response) => {
    response.json({ chain: await audit.chainAfter(queryOf(request, 'after') ?? '') })
  })
  router.post('/stretch', async (request, response) => void response.json(await audit.stretch(bodyOf(request, shapes.AskStretch))))
  router.post('/anchors', async (request, response) => void response.json(await audit.anchors(bodyOf(request, shapes.AskAnchors))))
  router.post('/export', async (request, response) => void response.json(await audit.exportPage(bodyOf(request, shapes.AskExport))))
  router.get('/reveals', async (request, response) => {
    const days = Number(queryOf(request, 'days') ?? 30)
    if (!Number.isInteger(days) || days < 1 || days > mostDays) {
      throw new AppError('invalid', `"days" must be a whole number from 1 to ${mostDays}.`)
    }
    response.json(await audit.reveals({ organizationId: queryOf(request, 'organization'), days }))
  })
  return router
}
