// The reply to `init`: the SDK's InitializationData for each kind of location (platform reference §10.2). Pure.
import type { Place } from './place.ts'

/** Manifest location -> the `type` the SDK switches on. An unknown one becomes FIELD, as in the SDK itself. */
const typeOf: Record<string, string> = {
  'cs.cm.stack.sidebar': 'WIDGET',
  'cs.cm.stack.custom_field': 'FIELD',
  'cs.cm.stack.dashboard': 'DASHBOARD',
  'cs.cm.stack.config': 'APP_CONFIG_WIDGET',
  'cs.org.config': 'APP_CONFIG_WIDGET',
  'cs.cm.stack.asset_sidebar': 'ASSET_SIDEBAR_WIDGET',
  'cs.cm.stack.field_modifier': 'FIELD_MODIFIER_LOCATION',
  'cs.cm.stack.full_page': 'FULL_PAGE_LOCATION',
  'cs.cm.stack.content_type_sidebar': 'CONTENT_TYPE_SIDEBAR_WIDGET'
}

export function initializationData(place: Place): Record<string, unknown> {
  const { app, location, client, session, stack, branch, entry, field, asset } = place
  const { application, contentManagement, developerHub } = client.platform.urls
  const type = typeOf[location.type] ?? 'FIELD'
  const common = {
    type,
    app_id: app.appUid,
    installation_uid: app.installationUid,
    extension_uid: location.extensionUid,
    region: client.platform.region,
    currentBranch: branch,
    stack,
    user: session.user,
    manifest: { uid: app.appUid, name: app.name, version: app.version },
    endpoints: { APP: application, CMA: contentManagement, DEVELOPER_HUB: developerHub }
  }
  const ofEntry = entry && { content_type: entry.contentType, entry: entry.saved(), locale: entry.locale }
  const ofField = field && {
    uid: field.uid,
    schema: { ...field.schema, $uid: field.uid },
    value: field.value(),
    field_config: field.config ?? {}
  }
  if (type === 'DASHBOARD') return { ...common, dashboard_width: location.meta['default_width'] === 'full' ? 'full_width' : 'half_width' }
  if (type === 'ASSET_SIDEBAR_WIDGET') return { ...common, currentAsset: asset?.current(), config: {} }
  return { ...common, ...ofEntry, ...ofField }
}
