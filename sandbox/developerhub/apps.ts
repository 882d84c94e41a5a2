// Apps as Developer Hub keeps them: created, changed and deleted by people of the owning organization. Judges a manifest the way
// the platform is known to (reference §5, §5.1) and says which organizations may use the app. Knows nothing of installations.
import { randomBytes } from 'node:crypto'
import type { SandboxContext } from '../context.ts'
import { hubRefusal } from '../oauth/refusal.ts'
import { appScopes, userScopes } from '../oauth/scopes.ts'
import type { App } from '../world/model.ts'
import { newObjectId } from '../world/uids.ts'

type Json = Record<string, unknown>

export interface ManifestWebhook {
  enabled: boolean
  name: string
  targetUrl: string
  channels: string[]
  customHeaders: { header_name: string; value: string }[]
  basicAuth?: { user: string; password: string }
  concise: boolean
  retryPolicy: 'automatic' | 'manual'
  branches: string[]
  lifecycle: boolean
}

/** Manifest and OAuth settings in one body, as `POST /manifests` takes them. Throws Refusal 400. */
export function createApp(context: SandboxContext, organizationUid: string, body: Json): App {
  checkManifest(body)
  const app: App = {
    uid: newObjectId(),
    name: String(body.name),
    organizationUid,
    description: typeof body.description === 'string' ? body.description : '',
    version: 1,
    targetType: body.target_type === 'organization' ? 'organization' : 'stack',
    manifest: withoutOauth(body),
    oauth: {
      clientId: randomBytes(12).toString('base64url'),
      clientSecret: randomBytes(24).toString('base64url'),
      redirectUris: [],
      userTokenConfig: { enabled: false, scopes: [], allowPkce: false },
      appTokenConfig: { enabled: false, scopes: [] }
    }
  }
  if (isJson(body.oauth)) configureOauth(app, body.oauth)
  context.world.apps[app.uid] = app
  return app
}

/** Throws Refusal 400. A change of `ui_location` has to repeat `base_url` (reference §5, quirks). */
export function updateApp(app: App, body: Json): void {
  const next = { ...app.manifest, ...withoutOauth(body) }
  if (isJson(body.ui_location) && typeof body.ui_location.base_url !== 'string') {
    throw hubRefusal(400, 'ui_location.base_url is invalid', { 'ui_location.base_url': ['is invalid'] })
  }
  checkManifest(next)
  if (isJson(body.oauth)) configureOauth(app, body.oauth)
  app.manifest = next
  app.name = String(next.name)
  app.description = typeof next.description === 'string' ? next.description : app.description
  app.version += 1
}

/** Accepts `redirect_uris` as a list, or `redirect_uri` as text or list: the platform's form for several is not established. Throws Refusal 400. */
export function configureOauth(app: App, body: Json): void {
  const given = body.redirect_uris ?? body.redirect_uri
  const redirectUris = given === undefined ? app.oauth.redirectUris : [given].flat().filter(it => typeof it === 'string')
  if (redirectUris.length > 10) throw hubRefusal(400, 'At most 10 redirect addresses are allowed.', { redirect_uri: ['is not valid.'] })
  for (const uri of redirectUris) {
    if (!URL.canParse(uri) || uri.includes('#') || !isHttpsOrLoopback(uri)) {
      throw hubRefusal(400, `redirect_uri is not valid: ${uri}`, { redirect_uri: ['is not valid.'] })
    }
  }
  const user = isJson(body.user_token_config) ? body.user_token_config : null
  const application = isJson(body.app_token_config) ? body.app_token_config : null
  const nextUser = user && {
    enabled: user.enabled === true,
    scopes: scopesOf(user, userScopes, 'user_token_config'),
    allowPkce: user.allow_pkce === true
  }
  const nextApp = application && { enabled: application.enabled === true, scopes: scopesOf(application, appScopes, 'app_token_config') }
  app.oauth.redirectUris = redirectUris
  if (nextUser) app.oauth.userTokenConfig = nextUser
  if (nextApp) app.oauth.appTokenConfig = nextApp
}

function scopesOf(config: Json, allowed: ReadonlySet<string>, name: string): string[] {
  const scopes = Array.isArray(config.scopes) ? config.scopes.filter(it => typeof it === 'string') : []
  const wrong = scopes.filter(scope => !allowed.has(scope))
  if (wrong.length > 0) throw hubRefusal(400, `${name}.scopes is not valid: ${wrong.join(' ')}`, { [`${name}.scopes`]: ['is not valid.'] })
  return scopes
}

/** A private app serves its own organization; a public or public_unlisted one any. */
export function mayUse(app: App, organizationUid: string): boolean {
  return app.organizationUid === organizationUid || (app.manifest.visibility !== undefined && app.manifest.visibility !== 'private')
}

/** The `webhook` part of a manifest; null when there is none. */
export function manifestWebhook(app: App): ManifestWebhook | null {
  const webhook = app.manifest.webhook
  if (!isJson(webhook) || typeof webhook.target_url !== 'string') return null
  const headers = Array.isArray(webhook.custom_headers) ? webhook.custom_headers : []
  return {
    enabled: webhook.enabled !== false,
    name: typeof webhook.name === 'string' ? webhook.name : app.name,
    targetUrl: webhook.target_url,
    channels: Array.isArray(webhook.channels) ? webhook.channels.filter(it => typeof it === 'string') : [],
    customHeaders: headers.filter(isJson).map(it => ({ header_name: String(it.header_name), value: String(it.value) })),
    ...(typeof webhook.http_basic_auth === 'string' &&
      webhook.http_basic_auth !== '' && {
        basicAuth: { user: webhook.http_basic_auth, password: textOr(webhook.http_basic_password, '') }
      }),
    concise: webhook.concise_payload === true,
    retryPolicy: webhook.retry_policy === 'manual' ? 'manual' : 'automatic',
    branches: typeof webhook.branch_scope === 'string' ? [webhook.branch_scope] : ['$all'],
    lifecycle: webhook.app_lifecycle_enabled === true
  }
}

function checkManifest(body: Json): void {
  const name = body.name
  if (typeof name !== 'string' || name.length < 3 || name.length > 20) {
    throw hubRefusal(400, 'name must have 3 to 20 characters', { name: ['must have 3 to 20 characters'] })
  }
  if (body.target_type !== 'stack' && body.target_type !== 'organization') {
    throw hubRefusal(400, 'target_type must be stack or organization', { target_type: ['is not valid.'] })
  }
  if (isJson(body.webhook) && body.webhook.target_url !== undefined) {
    const target = body.webhook.target_url
    if (typeof target !== 'string' || !URL.canParse(target) || !isHttpsOrLoopback(target)) {
      throw hubRefusal(400, 'webhook.target_url must be an https address (http only on loopback, in the sandbox)', {
        'webhook.target_url': ['is not valid.']
      })
    }
  }
}

/** The platform wants https and refuses localhost; the sandbox lives on loopback, where there is no certificate. */
function isHttpsOrLoopback(address: string): boolean {
  const { protocol, hostname } = new URL(address)
  return (
    protocol === 'https:' ||
    (protocol === 'http:' && (hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname)))
  )
}

function withoutOauth(body: Json): Json {
  const { oauth: _oauth, uid: _uid, version: _version, ...rest } = body
  return structuredClone(rest)
}

const textOr = (value: unknown, otherwise: string): string => (typeof value === 'string' ? value : otherwise)

export const isJson = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)
