// The door of the console: people of the operator's identity providers. Its guard: a session cookie, and for every change the
// Origin of our own page. Lists reach as far as the person's roles; another organization's id is answered as if unknown.
import express, { type Request, type Response, Router } from 'express'
import type { Actor } from '../../audit/audit.ts'
import { AppError } from '../../errors.ts'
import { type Action, actorOf, type AdminPrincipal, can, organizationsOf } from '../../identity/principal.ts'
import { readSession } from '../../identity/session.ts'
import { type AuditEvent, EraseOrganization, type ErasurePreview, type ErasureReceipt, type Me } from '../contract/console.ts'
import type { DeadJob } from '../contract/jobs.ts'
import type { AccessKey, Delivery, Installation, List, Run, Sync } from '../contract/stack.ts'
import { bodyOf, ownOriginOnly, paramOf, queryOf } from '../guards.ts'
import { refusalOf, type StackServices, stackRoutes } from '../stack-routes.ts'
import { type LoginServices, logOut, sessionTokenOf } from './login.ts'

export interface ListAsked {
  organizationIds: string[]
  installationId?: string | undefined
  before?: string | undefined
}

export interface ConsoleServices extends LoginServices, StackServices {
  publicUrl: string
  organizationsNamed(organizationIds: string[]): Promise<{ id: string; name: string }[]>
  /** AppError not_found for an installation of none of these organizations. */
  organizationOf(organizationIds: string[], installationId: string): Promise<string>
  erasure: {
    preview(organizationId: string): Promise<ErasurePreview>
    /** All of it. */
    erase(organizationId: string, actor: Actor, asked: EraseOrganization): Promise<ErasureReceipt>
  }
  lists: {
    installations(asked: ListAsked): Promise<List<Installation>>
    syncs(asked: ListAsked & { state?: string | undefined }): Promise<List<Sync>>
    runs(asked: ListAsked & { syncId?: string | undefined; status?: string | undefined }): Promise<List<Run>>
    deadJobs(asked: ListAsked & { kind?: string | undefined }): Promise<List<DeadJob>>
    deliveries(asked: ListAsked & { status?: string | undefined }): Promise<List<Delivery>>
    keys(asked: ListAsked): Promise<List<AccessKey>>
    audit(asked: ListAsked): Promise<List<AuditEvent>>
  }
}

export function consoleRoutes(services: ConsoleServices): Router {
  const { lists } = services
  const router = Router()
  router.use(ownOriginOnly(services.publicUrl), express.json({ limit: '256kb' }))
  router.use(async (request, response, next) => {
    const token = sessionTokenOf(services, request)
    const session = token === null ? null : await readSession(services.db, token, 'admin')
    if (session === null) throw new AppError('unauthorized', 'You are not logged in.', { remedy: 'Log in.' })
    response.locals.principal = session.principal
    next()
  })

  router.get('/me', async (_request, response) => {
    const principal = principalAt(response)
    const organizations = await services.organizationsNamed(Object.keys(principal.roles))
    response.json({
      name: principal.name,
      email: principal.email,
      organizations: organizations.map(({ id, name }) => ({ id, name, role: principal.roles[id] ?? 'auditor' }))
    } satisfies Me)
  })

  router.post('/logout', async (request, response) => {
    await logOut(services, sessionTokenOf(services, request) ?? '', response)
    response.json({})
  })

  const list = (
    path: string,
    action: Action,
    filters: string[],
    answer: (asked: ListAsked, filter: (name: string) => string | undefined) => Promise<unknown>
  ): void => {
    router.get(path, async (request, response) => {
      refuseUnknown(request, ['installation', 'before', ...filters])
      const organizationIds = organizationsOf(principalAt(response), action)
      if (organizationIds === '*' || organizationIds.length === 0) throw refusalOf(principalAt(response))
      const asked = { organizationIds, installationId: queryOf(request, 'installation'), before: queryOf(request, 'before') }
      response.json(await answer(asked, name => queryOf(request, name)))
    })
  }
  list('/installations', 'installation.read', [], asked => lists.installations(asked))
  list('/syncs', 'sync.read', ['state'], (asked, filter) => lists.syncs({ ...asked, state: filter('state') }))
  list('/runs', 'sync.read', ['sync', 'status'], (asked, filter) =>
    lists.runs({ ...asked, syncId: filter('sync'), status: filter('status') })
  )
  list('/jobs', 'sync.read', ['kind'], (asked, filter) => lists.deadJobs({ ...asked, kind: filter('kind') }))
  list('/deliveries', 'delivery.read', ['status'], (asked, filter) => lists.deliveries({ ...asked, status: filter('status') }))
  list('/keys', 'key.read', [], asked => lists.keys(asked))
  list('/audit', 'audit.read', [], asked => lists.audit(asked))

  const erasable = (request: Request, response: Response): string => {
    const principal = principalAt(response)
    const organizationId = paramOf(request, 'organizationId')
    if (!Object.hasOwn(principal.roles, organizationId)) throw new AppError('not_found', `There is no organization ${organizationId}`)
    if (!can(principal, 'organization.erase', { organizationId })) throw refusalOf(principal)
    return organizationId
  }
  router.get('/organizations/:organizationId/erase', async (request, response) => {
    response.json(await services.erasure.preview(erasable(request, response)))
  })
  router.post('/organizations/:organizationId/erase', async (request, response) => {
    const organizationId = erasable(request, response)
    response.json(await services.erasure.erase(organizationId, actorOf(principalAt(response)), bodyOf(request, EraseOrganization)))
  })

  router.use(
    '/installations/:installationId',
    stackRoutes(services, async (request, response) => {
      const principal = principalAt(response)
      const installationId = paramOf(request, 'installationId')
      return { principal, installationId, organizationId: await services.organizationOf(Object.keys(principal.roles), installationId) }
    })
  )
  return router
}

function principalAt(response: Response): AdminPrincipal {
  return response.locals.principal as AdminPrincipal
}

/** A misspelt filter would otherwise answer with everything. */
function refuseUnknown(request: Request, known: string[]): void {
  const unknown = Object.keys(request.query).find(name => !known.includes(name))
  if (unknown !== undefined)
    throw new AppError('invalid', `There is no filter "${unknown}" here.`, { remedy: `Filters: ${known.join(', ')}.` })
}
