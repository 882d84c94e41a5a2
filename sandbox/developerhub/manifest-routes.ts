// Routes of apps: their manifests, OAuth settings, consent, authorizations, and putting an app into a stack. People of the
// owning organization change an app; people of any organization it serves may authorize and install it.
import express, { type Request } from 'express'
import type { SandboxContext } from '../context.ts'
import { listAuthorizations, revokeByRequest } from '../oauth/authorizations.ts'
import { consent } from '../oauth/consent.ts'
import { administers, callerOf, organizationOf } from '../oauth/person.ts'
import { hubRefusal, notLoggedIn } from '../oauth/refusal.ts'
import { scopeCatalogue } from '../oauth/scopes.ts'
import type { App, Organization, User } from '../world/model.ts'
import { configureOauth, createApp, isJson, mayUse, updateApp } from './apps.ts'
import { install, reinstall, type Target, type TellApp } from './installations.ts'
import { appShape, authorizationShape, installationShape, oauthShape, page } from './shapes.ts'

interface Asking {
  user: User
  organization: Organization
}

export function manifestRoutes(context: SandboxContext, tell: TellApp): express.Router {
  const router = express.Router()
  const asking = (request: Request): Asking => {
    const caller = callerOf(context, request)
    // An app token reads its own installation and nothing else here.
    if (caller.kind !== 'person') throw notLoggedIn('authorization')
    return { user: caller.user, organization: organizationOf(context, request, caller.user) }
  }
  const anyApp = (uid: string | undefined, organization: Organization): App => {
    const app = uid !== undefined && Object.hasOwn(context.world.apps, uid) ? context.world.apps[uid] : undefined
    if (!app || !mayUse(app, organization.uid)) throw hubRefusal(404, 'App not found.')
    return app
  }
  const ownApp = (request: Request): App => {
    const { organization } = asking(request)
    const app = anyApp(request.params.app as string, organization)
    if (app.organizationUid !== organization.uid) throw hubRefusal(403, 'Only the organization that owns the app may do this.')
    return app
  }

  router.get('/oauth/scopes', (request, response) => {
    asking(request)
    response.json({ data: scopeCatalogue() })
  })
  router.get('/', (request, response) => {
    const { organization } = asking(request)
    const search = (typeof request.query.search === 'string' ? request.query.search : '').toLowerCase()
    const apps = Object.values(context.world.apps)
      .filter(app => app.organizationUid === organization.uid && app.name.toLowerCase().includes(search))
      .filter(app => request.query.target_type === undefined || app.targetType === request.query.target_type)
    response.json(page(apps.map(appShape), request.query))
  })
  router.post('/', (request, response) => {
    const { organization } = asking(request)
    const app = createApp(context, organization.uid, bodyOf(request))
    response.status(201).json({ data: appShape(app) })
  })
  router.get('/:app', (request, response) => {
    const { organization } = asking(request)
    response.json({ data: appShape(anyApp(request.params.app, organization)) })
  })
  router.put('/:app', (request, response) => {
    const app = ownApp(request)
    updateApp(app, bodyOf(request))
    response.json({ data: appShape(app) })
  })
  router.delete('/:app', (request, response) => {
    const app = ownApp(request)
    if (Object.values(context.world.installations).some(it => it.appUid === app.uid))
      throw hubRefusal(400, 'The app is installed. Uninstall it first.')
    delete context.world.apps[app.uid]
    response.json({})
  })
  router.get('/:app/oauth', (request, response) => void response.json({ data: oauthShape(ownApp(request)) }))
  router.put('/:app/oauth', (request, response) => {
    const app = ownApp(request)
    configureOauth(app, bodyOf(request))
    response.json({ data: oauthShape(app) })
  })

  router.post('/:app/authorize', (request, response) => {
    const { user, organization } = asking(request)
    // Otherwise an app could widen its own authorization; the CMS page sends the person's authtoken.
    if (callerOf(context, request).kind !== 'person' || !request.header('authtoken')) throw notLoggedIn('authtoken')
    const app = anyApp(request.params.app, organization)
    response.json({ data: { redirect_url: consent(context, app, user, organization, bodyOf(request)) } })
  })
  router.get('/:app/authorizations', (request, response) => {
    const { organization } = asking(request)
    const app = anyApp(request.params.app, organization)
    response.json(
      page(
        listAuthorizations(context, app.uid, organization.uid).map(it => authorizationShape(context.world, it)),
        request.query
      )
    )
  })
  router.delete('/:app/authorizations', (request, response) => {
    const { organization } = asking(request)
    const app = anyApp(request.params.app, organization)
    revokeByRequest(context, listAuthorizations(context, app.uid, organization.uid))
    response.json({})
  })
  router.delete('/:app/authorizations/:authorization', (request, response) => {
    const { organization } = asking(request)
    const app = anyApp(request.params.app, organization)
    const found = listAuthorizations(context, app.uid, organization.uid).find(it => it.uid === request.params.authorization)
    if (!found) throw hubRefusal(404, 'Authorization not found.')
    revokeByRequest(context, [found])
    response.json({})
  })

  router.post('/:app/install', (request, response) => {
    const { user, organization } = asking(request)
    const app = anyApp(request.params.app, organization)
    const target = targetOf(context, app, user, organization, bodyOf(request))
    const installation = install(context, tell, app, user, organization, target)
    const at = `${context.urls.application}/installed-apps/${installation.uid}`
    response.json({
      data: {
        status: 'installed',
        installation_uid: installation.uid,
        redirect_to: 'config',
        redirect_uri: target.type === 'stack' ? `${at}/stacks/${target.uid}/config` : `${at}/config`
      }
    })
  })
  router.put('/:app/reinstall', (request, response) => {
    const { user, organization } = asking(request)
    const app = anyApp(request.params.app, organization)
    const installation = reinstall(context, tell, app, user, targetOf(context, app, user, organization, bodyOf(request)))
    response.json({ data: { status: 'installed', installation_uid: installation.uid, redirect_to: 'config' } })
  })
  router.get('/:app/installations', (request, response) => {
    const { organization } = asking(request)
    const app = anyApp(request.params.app, organization)
    const installations = Object.values(context.world.installations).filter(
      it => it.appUid === app.uid && it.organizationUid === organization.uid
    )
    response.json(
      page(
        installations.map(it => installationShape(context, it, false)),
        request.query
      )
    )
  })
  return router
}

export const bodyOf = (request: Request): Record<string, unknown> => (isJson(request.body) ? request.body : {})

/** Stack owner or admin, or the organization's owner, may install (reference §5, rules). Throws Refusal 400, 403 or 404. */
function targetOf(context: SandboxContext, app: App, user: User, organization: Organization, body: Record<string, unknown>): Target {
  const { target_type: type, target_uid: uid } = body
  if (type !== app.targetType || typeof uid !== 'string')
    throw hubRefusal(400, 'target_type or target_uid is not valid.', { target_type: ['is not valid.'] })
  if (type === 'organization') {
    if (uid !== organization.uid) throw hubRefusal(404, 'Organization not found.')
    if (organization.ownerUid !== user.uid) throw hubRefusal(403, 'Only an admin of the organization may install apps.')
    return { type, uid }
  }
  const stack = Object.hasOwn(context.world.stacks, uid) ? context.world.stacks[uid] : undefined
  if (!stack || stack.organizationUid !== organization.uid) throw hubRefusal(404, 'Stack not found.')
  if (!administers(context.world, stack, user)) throw hubRefusal(403, 'Only an owner or admin of the stack may install apps.')
  return { type: 'stack', uid }
}
