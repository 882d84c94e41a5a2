// Bodies of webhooks: what changed, in full or concise (reference §7.3), and what became of an installation (§5.2). Pure. A delete
// carries the last state; that, and where the configuration sits in an `update`, is not established and our choice.
import type { Change } from '../changes.ts'
import type { App, Branch, Installation } from '../world/model.ts'

export function changeBody(change: Change, branch: Branch | undefined, concise: boolean): string {
  const publishing = change.event === 'publish' || change.event === 'unpublish'
  return JSON.stringify({
    module: change.module,
    api_key: change.apiKey,
    event: change.event,
    triggered_at: change.at,
    data: {
      [change.module]: objectOf(change, concise),
      ...(change.contentType && {
        content_type: concise ? { uid: change.contentType.uid, title: change.contentType.title } : change.contentType
      }),
      ...(publishing && { environment: change.environment, action: change.event, status: 'success', locale: change.locale }),
      // The samples of concise payloads show none.
      ...(!concise && branch && { branch: { uid: branch.uid, source: branch.source, alias: branch.alias } })
    }
  })
}

function objectOf(change: Change, concise: boolean): Record<string, unknown> {
  const version = change.event === 'publish' ? (change.version ?? change.object._version) : change.object._version
  const whole = { ...change.object, ...(version !== undefined && { _version: version }) }
  if (!concise) return whole
  const { uid, title, locale } = change.object
  return { uid, title, locale: locale ?? change.locale, _version: version }
}

export function lifecycleBody(event: string, app: App, installation: Installation, at: string): string {
  const inStack = installation.target.type === 'stack'
  return JSON.stringify({
    triggered_at: at,
    event,
    module: 'app_installation',
    ...(inStack && { api_key: installation.target.uid }),
    data: {
      app_installation: {
        app_uid: app.uid,
        app_version: app.version,
        organization_uid: installation.organizationUid,
        installation_uid: installation.uid,
        target: installation.target,
        created_at: installation.createdAt,
        created_by: installation.createdBy,
        updated_at: installation.updatedAt,
        updated_by: installation.updatedBy,
        // The docs say that configuration reaches the back end with `update`.
        ...(event === 'update' && { configuration: installation.configuration, server_configuration: installation.serverConfiguration })
      }
    }
  })
}
