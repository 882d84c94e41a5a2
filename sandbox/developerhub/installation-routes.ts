// Routes of installed apps: listing, configuration, uninstalling, and the executions of their manifest's webhook. A person sees the
// installations of the stacks they work in; an app token sees its own. Server configuration is shown to admins and to the app.
import express, { type Request } from 'express'
import type { Deliveries, SandboxContext } from '../context.ts'
import { administers, callerOf, organizationOf, type Caller } from '../oauth/person.ts'
import { hubRefusal, notLoggedIn } from '../oauth/refusal.ts'
import type { Installation, User } from '../world/model.ts'
import { isJson } from './apps.ts'
import { configure, uninstall, type TellApp } from './installations.ts'
import { bodyOf } from './manifest-routes.ts'
import { appShape, authorizationShape, installationShape, page } from './shapes.ts'

export function installationRoutes(context: SandboxContext, tell: TellApp, deliveries: Deliveries): express.Router {
  const { world } = context
  const router = express.Router()

  const adminOf = (installation: Installation, user: User): boolean => {
    const stack = world.stacks[installation.target.uid]
    return stack ? administers(world, stack, user) : world.organizations[installation.organizationUid]?.ownerUid === user.uid
  }
  const sees = (installation: Installation, caller: Caller): boolean => {
    if (caller.kind === 'installation') return caller.installationUid === installation.uid
    const stack = world.stacks[installation.target.uid]
    return adminOf(installation, caller.user) || (stack ? stack.members[caller.user.uid] !== undefined : true)
  }
  /** Unknown and invisible look the same. */
  const visible = (request: Request): { installation: Installation; caller: Caller; privileged: boolean } => {
    const caller = callerOf(context, request)
    const uid = request.params.installation as string
    const installation = Object.hasOwn(world.installations, uid) ? world.installations[uid] : undefined
    const organizationUid = caller.kind === 'person' ? organizationOf(context, request, caller.user).uid : installation?.organizationUid
    if (!installation || installation.organizationUid !== organizationUid || !sees(installation, caller))
      throw hubRefusal(404, 'Installation not found.')
    return { installation, caller, privileged: caller.kind === 'installation' || adminOf(installation, caller.user) }
  }
  const administered = (request: Request): { installation: Installation; user: User } => {
    const { installation, caller, privileged } = visible(request)
    if (caller.kind !== 'person') throw notLoggedIn('authorization')
    if (!privileged) throw hubRefusal(403, 'Only an admin may do this.')
    return { installation, user: caller.user }
  }
  const person = (request: Request): User => {
    const caller = callerOf(context, request)
    if (caller.kind !== 'person') throw notLoggedIn('authorization')
    return caller.user
  }

  router.get('/installations', (request, response) => {
    const caller: Caller = { kind: 'person', user: person(request), via: 'authtoken' }
    const organization = organizationOf(context, request, caller.user)
    const named = (name: string): string[] | null => (typeof request.query[name] === 'string' ? request.query[name].split(',') : null)
    const apps = named('app_uids')
    const uids = named('installation_uids')
    const targets = named('target_uids')
    const found = Object.values(world.installations).filter(
      it =>
        it.organizationUid === organization.uid &&
        sees(it, caller) &&
        (!apps || apps.includes(it.appUid)) &&
        (!uids || uids.includes(it.uid)) &&
        (!targets || targets.includes(it.target.uid))
    )
    response.json(
      page(
        found.map(it => installationShape(context, it, adminOf(it, caller.user))),
        request.query
      )
    )
  })
  router.get('/installations/:installation', (request, response) => {
    const { installation, privileged } = visible(request)
    response.json({ data: installationShape(context, installation, privileged) })
  })
  router.put('/installations/:installation', (request, response) => {
    const { installation, user } = administered(request)
    const body = bodyOf(request)
    // Three spellings: the REST page's, the App SDK's, and the GET's (reference §5).
    const server = body.server_config ?? body.server_configuration ?? body.serverConfiguration
    const change = {
      ...(isJson(body.configuration) && { configuration: body.configuration }),
      ...(isJson(server) && { serverConfiguration: server })
    }
    configure(context, tell, installation, user, change)
    response.json({ data: installationShape(context, installation, true) })
  })
  router.delete('/installations/:installation', (request, response) => {
    const { installation, user } = administered(request)
    uninstall(context, tell, installation, user)
    response.json({})
  })

  router.get(
    ['/installations/:installation/configuration', '/installations/:installation/locations/configuration'],
    (request, response) => {
      response.json({ data: visible(request).installation.configuration })
    }
  )
  router.put('/installations/:installation/configuration', (request, response) => {
    const { installation, user } = administered(request)
    configure(context, tell, installation, user, { configuration: bodyOf(request) })
    response.json({ data: installation.configuration })
  })
  router.get('/installations/:installation/server-configuration', (request, response) => {
    const { installation, privileged } = visible(request)
    if (!privileged) throw hubRefusal(403, 'Only an admin may read the server configuration.')
    response.json({ data: installation.serverConfiguration })
  })
  router.put('/installations/:installation/server-configuration', (request, response) => {
    const { installation, user } = administered(request)
    configure(context, tell, installation, user, { serverConfiguration: bodyOf(request) })
    response.json({ data: installation.serverConfiguration })
  })
  router.get('/installations/:installation/installationData', (request, response) => {
    const { installation, privileged } = visible(request)
    const { configuration, serverConfiguration, uiLocation } = installation
    response.json({ data: { configuration, ...(privileged && { server_configuration: serverConfiguration }), ui_location: uiLocation } })
  })

  router.get('/installations/:installation/webhooks/:webhook/executions', (request, response) => {
    const { installation } = administered(request)
    response.json(page(deliveries.executionsOf(installation.target.uid, webhookOf(installation, request)), request.query))
  })
  router.get('/installations/:installation/webhooks/:webhook/executions/:execution', (request, response) => {
    const { installation } = administered(request)
    response.json({ data: executionOf(installation, request) })
  })
  router.post('/installations/:installation/webhooks/:webhook/executions/:execution/retry', async (request, response) => {
    const { installation } = administered(request)
    await deliveries.retry(installation.target.uid, executionOf(installation, request).uid)
    response.json({ data: executionOf(installation, request) })
  })

  router.get('/authorized-apps', (request, response) => {
    const user = person(request)
    const organization = organizationOf(context, request, user)
    const mine = Object.values(world.authorizations).filter(
      it => it.revokedAt === null && it.userUid === user.uid && it.organizationUid === organization.uid
    )
    const shaped = mine.flatMap(it => {
      const app = world.apps[it.appUid]
      return app ? [{ ...authorizationShape(world, it), app: appShape(app) }] : []
    })
    response.json(page(shaped, request.query))
  })
  return router

  function webhookOf(installation: Installation, request: Request): string {
    const uid = request.params.webhook as string
    const webhook = world.stacks[installation.target.uid]?.webhooks[uid]
    if (webhook?.appInstallationUid !== installation.uid) throw hubRefusal(404, 'Webhook not found.')
    return uid
  }
  function executionOf(installation: Installation, request: Request) {
    const execution = deliveries
      .executionsOf(installation.target.uid, webhookOf(installation, request))
      .find(it => it.uid === request.params.execution)
    if (!execution) throw hubRefusal(404, 'Execution not found.')
    return execution
  }
}
