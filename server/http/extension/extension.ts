// The door of the frames inside Contentstack. Its guard: a session that an app-token began, and the Origin of our own page.
// An editor gets the state of an entry and "Sync now"; what else a frame asks for is judged in stack-routes.ts.
import express, { type Request, type Response, Router } from 'express'
import { AppError } from '../../errors.ts'
import type { ExtensionPrincipal } from '../../identity/principal.ts'
import { type EntryStatus, SyncNow } from '../contract/extension.ts'
import { bodyOf, limitOf, ownOriginOnly, paramOf, queryOf, requiredQuery } from '../guards.ts'
import { type Scope, type StackServices, stackRoutes } from '../stack-routes.ts'
import { personOf, principalAt, proven, type SessionServices, sessionRoutes } from './session.ts'

export interface ExtensionServices extends SessionServices, StackServices {
  publicUrl: string
  entryStatus(input: EntryAsked & { version: number | null }): Promise<EntryStatus>
  /** How many syncs were queued. */
  syncEntry(input: EntryAsked & { principal: ExtensionPrincipal }): Promise<number>
}

export interface EntryAsked {
  installationId: string
  contentType: string
  entryUid: string
  locale: string
  branch: string
}

export function extensionRoutes(services: ExtensionServices): Router {
  const router = Router()
  router.use(ownOriginOnly(services.publicUrl), express.json({ limit: '256kb' }))
  router.use(sessionRoutes(services))
  router.use(async (request, response, next) => {
    response.locals.principal = await personOf(services, request)
    next()
  })

  router.get('/entries/:contentType/:entryUid/status', async (request, response) => {
    response.json(
      await services.entryStatus({
        ...entryAsked(request, response, requiredQuery(request, 'locale'), requiredQuery(request, 'branch')),
        version: versionOf(request)
      })
    )
  })

  // Each goes before all other work of the organization, and its reads are of everybody's budget.
  const countSyncNow = limitOf(60, 60)
  router.post('/entries/:contentType/:entryUid/sync', async (request, response) => {
    const { locale, branch } = bodyOf(request, SyncNow)
    const { installationId, userUid } = principalAt(response)
    await countSyncNow(`${installationId} ${userUid}`)
    const queued = await services.syncEntry({ ...entryAsked(request, response, locale, branch), principal: principalAt(response) })
    response.status(202).json({ queued })
  })

  router.use(
    '/stack',
    stackRoutes(services, async (_request, response): Promise<Scope> => {
      // Asked of Contentstack, so only here: an editor's panel works while Contentstack's API does not.
      const principal = await proven(services, principalAt(response))
      return { principal, installationId: principal.installationId, organizationId: principal.organizationId }
    })
  )
  return router
}

function entryAsked(request: Request, response: Response, locale: string, branch: string): EntryAsked {
  return {
    installationId: principalAt(response).installationId,
    contentType: paramOf(request, 'contentType'),
    entryUid: paramOf(request, 'entryUid'),
    locale,
    branch
  }
}

function versionOf(request: Request): number | null {
  const text = queryOf(request, 'version')
  if (text === undefined) return null
  if (!/^\d{1,9}$/.test(text)) throw new AppError('invalid', `The version "${text}" is not a whole number.`)
  return Number(text)
}
