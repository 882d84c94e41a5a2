// The application host's machine routes: token endpoint, introspection, public key, and two that only the CMS page calls
// (`install-code`, `app-token`), which stand for what the real CMS does inside itself and have no public counterpart.
import express from 'express'
import type { SandboxContext } from '../context.ts'
import type { Installation, User } from '../world/model.ts'
import { mintAppToken } from './app-token.ts'
import { redirectWithCode } from './codes.ts'
import { administers, isMember, personByAuthtoken } from './person.ts'
import { answerRefusals, hubRefusal } from './refusal.ts'
import { answerTokenRequest, introspect } from './tokens.ts'

/** For the application host. */
export function oauthRoutes(context: SandboxContext): express.Router {
  const router = express.Router()
  router.get('/.well-known/public-keys.json', (_request, response) => {
    response.set('access-control-allow-origin', '*').json({ 'signing-key': context.world.signing.publicPem })
  })
  // Both paths live on the platform: the second in its PKCE page and in many apps (reference §3.1).
  router.use(tokenRoute(context, ['/apps-api/token', '/apps-api/apps/token']))
  router.post('/apps-api/introspect', express.urlencoded({ extended: false }), (request, response) => {
    response.json(introspect(context, formOf(request)))
  })
  router.post('/apps-api/install-code', express.json(), (request, response) => {
    const user = personByAuthtoken(context, request)
    const installation = installationOf(context, formOf(request).installation_uid)
    const app = context.world.apps[installation.appUid]
    if (!app || app.uid !== formOf(request).app_uid) throw hubRefusal(404, 'App not found.')
    if (!mayInstall(context, installation, user)) throw hubRefusal(403, 'Only an admin of the stack may install apps.')
    const redirectUri = app.oauth.redirectUris[0]
    if (!app.oauth.appTokenConfig.enabled || redirectUri === undefined) throw hubRefusal(400, 'App tokens are not enabled for this app.')
    const { uid: installationUid, organizationUid } = installation
    const code = {
      appUid: app.uid,
      redirectUri,
      kind: 'app',
      userUid: user.uid,
      organizationUid,
      scopes: app.oauth.appTokenConfig.scopes,
      installationUid
    } as const
    // No state: whoever receives this callback cannot tell who sent the browser (reference §3.1).
    response.json({ redirect_url: redirectWithCode(context, code, { installation_uid: installationUid }) })
  })
  router.post('/apps-api/app-token', express.json(), (request, response) => {
    const user = personByAuthtoken(context, request)
    const installation = installationOf(context, formOf(request).installation_uid)
    if (!sees(context, installation, user)) throw hubRefusal(404, 'Installation not found.')
    response.set('cache-control', 'no-store').json({ token: mintAppToken(context, installation, user) })
  })
  router.use(answerRefusals)
  return router
}

/** The token endpoint, which the platform serves on the application host and on Developer Hub. */
export function tokenRoute(context: SandboxContext, paths: string[]): express.Router {
  const router = express.Router()
  router.post(paths, express.urlencoded({ extended: false }), (request, response) => {
    response.set('cache-control', 'no-store').json(answerTokenRequest(context, formOf(request)))
  })
  return router
}

const formOf = (request: express.Request): Record<string, unknown> =>
  typeof request.body === 'object' && request.body !== null ? (request.body as Record<string, unknown>) : {}

function installationOf(context: SandboxContext, uid: unknown): Installation {
  const installation =
    typeof uid === 'string' && Object.hasOwn(context.world.installations, uid) ? context.world.installations[uid] : undefined
  if (!installation) throw hubRefusal(404, 'Installation not found.')
  return installation
}

function sees(context: SandboxContext, installation: Installation, user: User): boolean {
  const stack = context.world.stacks[installation.target.uid]
  if (stack) return stack.members[user.uid] !== undefined || administers(context.world, stack, user)
  const organization = context.world.organizations[installation.organizationUid]
  return organization !== undefined && isMember(organization, user)
}

function mayInstall(context: SandboxContext, installation: Installation, user: User): boolean {
  const stack = context.world.stacks[installation.target.uid]
  return stack ? administers(context.world, stack, user) : context.world.organizations[installation.organizationUid]?.ownerUid === user.uid
}
