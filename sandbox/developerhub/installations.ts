// An app in a stack: absent -> installed -> absent again, with `update` (configuration) and `upgrade` (reinstall) in between; each
// step is told to the app by a lifecycle webhook. The addresses of the UI locations freeze at install: a changed base_url
// arrives only after uninstall and a new install (reference §5, quirks). What an install grants dies with it.
import type { SandboxContext } from '../context.ts'
import { killInstallationTokens } from '../oauth/authorizations.ts'
import { hubRefusal } from '../oauth/refusal.ts'
import type { App, Installation, Organization, User, Webhook } from '../world/model.ts'
import { newObjectId, newUid } from '../world/uids.ts'
import { isJson, manifestWebhook } from './apps.ts'

export type LifecycleEvent = 'install' | 'uninstall' | 'update' | 'upgrade'

/** Tells the app; bound to the webhooks room by the composition. */
export type TellApp = (event: LifecycleEvent, app: App, installation: Installation) => void

export interface Target {
  type: 'stack' | 'organization'
  uid: string
}

/** Throws Refusal 400 when it is installed there already. */
export function install(
  context: SandboxContext,
  tell: TellApp,
  app: App,
  user: User,
  organization: Organization,
  target: Target
): Installation {
  if (installedIn(context, app, target)) throw hubRefusal(400, 'Installation for app is already done')
  const at = context.clock.iso()
  const installation: Installation = {
    uid: newObjectId(),
    appUid: app.uid,
    organizationUid: organization.uid,
    target,
    status: 'installed',
    createdBy: user.uid,
    updatedBy: user.uid,
    createdAt: at,
    updatedAt: at,
    uiLocation: frozenLocations(app),
    configuration: {},
    serverConfiguration: {}
  }
  context.world.installations[installation.uid] = installation
  registerWebhook(context, app, installation)
  tell('install', app, installation)
  return installation
}

/** Takes over the manifest's webhook; UI locations keep the addresses they have, new ones join. Throws Refusal 404. */
export function reinstall(context: SandboxContext, tell: TellApp, app: App, user: User, target: Target): Installation {
  const installation = installedIn(context, app, target)
  if (!installation) throw hubRefusal(404, 'Installation not found.')
  const fresh = frozenLocations(app)
  const kept = Array.isArray(installation.uiLocation.locations) ? installation.uiLocation.locations.filter(isJson) : []
  const added = (Array.isArray(fresh.locations) ? fresh.locations.filter(isJson) : []).filter(it => !kept.some(old => old.type === it.type))
  installation.uiLocation = { ...installation.uiLocation, locations: [...kept, ...added] }
  touch(context, installation, user)
  removeWebhooks(context, installation)
  registerWebhook(context, app, installation)
  tell('upgrade', app, installation)
  return installation
}

export function configure(
  context: SandboxContext,
  tell: TellApp,
  installation: Installation,
  user: User,
  change: { configuration?: Record<string, unknown>; serverConfiguration?: Record<string, unknown> }
): void {
  if (change.configuration) installation.configuration = structuredClone(change.configuration)
  if (change.serverConfiguration) installation.serverConfiguration = structuredClone(change.serverConfiguration)
  touch(context, installation, user)
  const app = context.world.apps[installation.appUid]
  if (app) tell('update', app, installation)
}

export function uninstall(context: SandboxContext, tell: TellApp, installation: Installation, user: User): void {
  touch(context, installation, user)
  const app = context.world.apps[installation.appUid]
  if (app) tell('uninstall', app, installation)
  killInstallationTokens(context, installation.uid)
  removeWebhooks(context, installation)
  delete context.world.installations[installation.uid]
}

export function installedIn(context: SandboxContext, app: App, target: Target): Installation | undefined {
  return Object.values(context.world.installations).find(
    it => it.appUid === app.uid && it.target.type === target.type && it.target.uid === target.uid
  )
}

function touch(context: SandboxContext, installation: Installation, user: User): void {
  installation.updatedAt = context.clock.iso()
  installation.updatedBy = user.uid
}

/** A copy of the manifest's locations with an extension uid each, which exists only on the installation. */
function frozenLocations(app: App): Record<string, unknown> {
  const uiLocation = structuredClone(isJson(app.manifest.ui_location) ? app.manifest.ui_location : {})
  const locations = Array.isArray(uiLocation.locations) ? uiLocation.locations.filter(isJson) : []
  return {
    ...uiLocation,
    locations: locations.map(location => ({
      ...location,
      meta: (Array.isArray(location.meta) ? location.meta.filter(isJson) : []).map(meta => ({
        uid: newObjectId(),
        ...meta,
        extension_uid: newUid()
      }))
    }))
  }
}

function registerWebhook(context: SandboxContext, app: App, installation: Installation): void {
  const declared = manifestWebhook(app)
  const stack = context.world.stacks[installation.target.uid]
  if (!declared?.enabled || !stack) return
  const webhook: Webhook = {
    uid: newUid(),
    name: declared.name,
    destinations: [
      {
        target_url: declared.targetUrl,
        custom_header: declared.customHeaders,
        ...(declared.basicAuth && { http_basic_auth: declared.basicAuth.user, http_basic_password: declared.basicAuth.password })
      }
    ],
    // With `app_lifecycle_enabled` the four installation events come even where no channel names them.
    channels: [...declared.channels, ...(declared.lifecycle ? ['cs.apps.installations'] : [])],
    branches: declared.branches,
    retry_policy: declared.retryPolicy,
    disabled: false,
    concise_payload: declared.concise,
    appInstallationUid: installation.uid,
    consecutiveFailures: 0,
    created_at: context.clock.iso(),
    updated_at: context.clock.iso()
  }
  stack.webhooks[webhook.uid] = webhook
}

function removeWebhooks(context: SandboxContext, installation: Installation): void {
  const webhooks = context.world.stacks[installation.target.uid]?.webhooks ?? {}
  for (const webhook of Object.values(webhooks)) if (webhook.appInstallationUid === installation.uid) delete webhooks[webhook.uid]
}
