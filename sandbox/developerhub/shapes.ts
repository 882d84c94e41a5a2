// Apps, installations and authorizations in the shapes that Developer Hub's API returns (reference §5, §5.1). Pure; who may see
// what is decided by the routes.
import type { SandboxContext } from '../context.ts'
import type { App, Authorization, Installation, World } from '../world/model.ts'

export function appShape(app: App): Record<string, unknown> {
  return {
    visibility: 'private',
    framework_version: '1.0',
    icon: '',
    ...app.manifest,
    uid: app.uid,
    name: app.name,
    description: app.description,
    version: app.version,
    target_type: app.targetType,
    organization_uid: app.organizationUid
  }
}

/** With the secret: only for people of the owning organization. */
export function oauthShape(app: App): Record<string, unknown> {
  const { oauth } = app
  return {
    app_uid: app.uid,
    client_id: oauth.clientId,
    client_secret: oauth.clientSecret,
    redirect_uri: oauth.redirectUris[0] ?? '',
    redirect_uris: oauth.redirectUris,
    user_token_config: {
      enabled: oauth.userTokenConfig.enabled,
      scopes: oauth.userTokenConfig.scopes,
      allow_pkce: oauth.userTokenConfig.allowPkce
    },
    app_token_config: { ...oauth.appTokenConfig }
  }
}

/** `server_configuration` is for admins and back ends only (reference §5, rules). */
export function installationShape(
  context: SandboxContext,
  installation: Installation,
  withServerConfiguration: boolean
): Record<string, unknown> {
  const { world } = context
  const app = world.apps[installation.appUid]
  const manifest = app && appShape(app)
  const webhooks = Object.values(world.stacks[installation.target.uid]?.webhooks ?? {}).filter(
    it => it.appInstallationUid === installation.uid
  )
  return {
    uid: installation.uid,
    status: installation.status,
    manifest: manifest && {
      uid: manifest.uid,
      name: manifest.name,
      version: manifest.version,
      target_type: manifest.target_type,
      visibility: manifest.visibility,
      framework_version: manifest.framework_version,
      icon: manifest.icon,
      organization_uid: manifest.organization_uid
    },
    target: installation.target,
    organization_uid: installation.organizationUid,
    created_by: personShape(world, installation.createdBy),
    updated_by: personShape(world, installation.updatedBy),
    created_at: installation.createdAt,
    updated_at: installation.updatedAt,
    ui_location: installation.uiLocation,
    configuration: installation.configuration,
    ...(withServerConfiguration && { server_configuration: installation.serverConfiguration }),
    webhooks: webhooks.map(it => ({ webhook_uid: it.uid, channels: it.channels, disabled: it.disabled }))
  }
}

export function authorizationShape(world: World, authorization: Authorization): Record<string, unknown> {
  return {
    authorization_uid: authorization.uid,
    app_uid: authorization.appUid,
    organization_uid: authorization.organizationUid,
    user: personShape(world, authorization.userUid),
    scopes: authorization.scopes,
    created_at: authorization.createdAt
  }
}

function personShape(world: World, uid: string): Record<string, unknown> {
  const user = world.users[uid]
  return { uid, first_name: user?.firstName ?? '', last_name: user?.lastName ?? '', email: user?.email ?? '' }
}

/** `{data, skip, limit, count}`; limit is 50 at most (reference §5). */
export function page<T>(all: T[], query: Record<string, unknown>): { data: T[]; skip: number; limit: number; count: number } {
  const whole = (value: unknown, otherwise: number): number =>
    typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : otherwise
  const skip = whole(query.skip, 0)
  const limit = Math.min(50, whole(query.limit, 50))
  return { data: all.slice(skip, skip + limit), skip, limit, count: all.length }
}
