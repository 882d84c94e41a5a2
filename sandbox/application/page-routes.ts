// What the CMS page asks its own host: where the region's hosts are, who the toy people are, which apps stand in a stack and
// what the consent page must say. The real CMS has such routes too, but nobody outside it calls them: no fact to follow here.
import express from 'express'
import type { SandboxContext } from '../context.ts'
import { administers, isMember, personByAuthtoken } from '../oauth/person.ts'
import { answerRefusals, hubRefusal } from '../oauth/refusal.ts'
import type { App, Installation } from '../world/model.ts'

interface ManifestLocations {
  base_url?: string
  signed?: boolean
  locations?: { type: string; meta?: Record<string, unknown>[] }[]
}

export function pageRoutes(context: SandboxContext): express.Router {
  const { world, urls } = context
  const router = express.Router()

  router.get('/sandbox', (_request, response) => {
    const { application, contentManagement, developerHub } = urls
    response.json({ region: 'SANDBOX', urls: { application, contentManagement, developerHub } })
  })

  // Passwords of people who do not exist: choosing one is the login.
  router.get('/people', (_request, response) => {
    const people = Object.values(world.users).map(user => ({
      ...user,
      organizations: Object.values(world.organizations)
        .filter(organization => isMember(organization, user))
        .map(({ name }) => name),
      stacks: Object.values(world.stacks).flatMap(stack =>
        stack.members[user.uid] ? [{ name: stack.name, apiKey: stack.apiKey, role: stack.members[user.uid] }] : []
      )
    }))
    response.json({ people })
  })

  router.get('/locations', (request, response) => {
    const user = personByAuthtoken(context, request)
    const stack = world.stacks[text(request.query['api_key'])]
    if (!stack || (!stack.members[user.uid] && !administers(world, stack, user))) throw hubRefusal(404, 'Stack not found.')
    const installed = Object.values(world.installations).filter(({ target }) => target.type === 'stack' && target.uid === stack.apiKey)
    response.json({ apps: installed.map(installation => installedApp(installation, world.apps[installation.appUid])) })
  })

  router.get('/apps/:uid', (request, response) => {
    const user = personByAuthtoken(context, request)
    const app = world.apps[request.params.uid]
    if (!app) throw hubRefusal(404, 'There is no such app.')
    const granted = (organizationUid: string) =>
      Object.values(world.authorizations)
        .filter(it => it.appUid === app.uid && it.userUid === user.uid && it.organizationUid === organizationUid && it.revokedAt === null)
        .flatMap(({ scopes }) => scopes)
    // The app's own organization first: most apps are asked for by the people they were made for.
    const organizations = Object.values(world.organizations)
      .filter(organization => isMember(organization, user))
      .sort((a, b) => Number(b.uid === app.organizationUid) - Number(a.uid === app.organizationUid))
    response.json({
      uid: app.uid,
      name: app.name,
      description: app.description,
      organizations: organizations.map(({ uid, name }) => ({ uid, name, granted: granted(uid) })),
      scopes: app.oauth.userTokenConfig.scopes,
      redirectUris: app.oauth.redirectUris,
      callsBackAfterInstall: app.oauth.appTokenConfig.enabled && app.oauth.redirectUris.length > 0
    })
  })

  router.use(answerRefusals)
  return router
}

/** Each meta of a location is a place of its own; address and paths are those frozen at install (platform reference §5). */
function installedApp(installation: Installation, app: App | undefined): Record<string, unknown> {
  const placed = installation.uiLocation as ManifestLocations
  const name = app?.name ?? 'An app that is gone'
  return {
    installationUid: installation.uid,
    appUid: installation.appUid,
    name,
    version: app?.version ?? 0,
    organizationUid: installation.organizationUid,
    baseUrl: placed.base_url ?? '',
    locations: (placed.locations ?? []).flatMap(location =>
      (location.meta ?? [])
        .filter(meta => meta['enabled'] !== false)
        .map(meta => ({
          type: location.type,
          extensionUid: text(meta['extension_uid'] ?? meta['uid']),
          name: text(meta['name'], name),
          path: text(meta['path'], '/'),
          signed: meta['signed'] === true || (meta['signed'] === undefined && placed.signed === true),
          meta
        }))
    )
  }
}

export function text(value: unknown, otherwise = ''): string {
  return typeof value === 'string' && value !== '' ? value : otherwise
}
