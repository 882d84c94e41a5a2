// The way through Developer Hub's forms, in the order in which they ask. By hand, because registering an app by API wants a
// person's authtoken, which this product never asks for.
import type { Manifest } from './manifest.ts'

/** Lines for a terminal. Names the header of the webhook but never prints its value: that stays in the JSON and the server's settings. */
export function clickPath(manifest: Manifest, application: string): string[] {
  const { ui_location: ui, webhook, oauth } = manifest
  return [
    `1. Open ${application} as somebody who may manage the organization's apps, then Developer Hub > New App.`,
    `   Type: Stack App. Name: ${manifest.name}.`,
    '2. UI Locations. Switch on "Enable Signing" first: the server answers only to signed frames.',
    `   App URL: ${ui.base_url}`,
    ...ui.locations.map(({ type, meta }) => `   Add ${locationNames[type]}: path ${meta[0]?.path ?? ''}, signed`),
    '3. OAuth.',
    ...oauth.redirect_uris.map(
      (uri, index) => `   Redirect URL ${index + 1}: ${uri}${index === 0 ? '   (keep it first: installs return to the first)' : ''}`
    ),
    `   App token, scopes: ${oauth.app_token_config.scopes.join(', ')}`,
    `   User token, scopes: ${oauth.user_token_config.scopes.join(', ')}   (allow PKCE)`,
    "   Copy App UID, Client ID and Client Secret into the server's settings for this region.",
    '4. Webhook.',
    `   URL: ${webhook.target_url}, signed, automatic retries`,
    `   Custom header: ${webhook.custom_headers[0]?.header_name ?? ''} with the value that the server's settings hold`,
    `   Events: ${webhook.channels.join(', ')}`,
    '5. Save, then Install App into a stack. The app opens on its configuration page and asks for its token there.',
    '',
    'Iframe addresses freeze at install. An installed app keeps the App URL it was installed with, and changing it later in',
    'Developer Hub does not move it: uninstall and install again, which also discards the configuration kept in the CMS.',
    'Decide on the address before the first real install.'
  ]
}

const locationNames: Record<Manifest['ui_location']['locations'][number]['type'], string> = {
  'cs.cm.stack.config': 'App Configuration',
  'cs.cm.stack.sidebar': 'Entry Sidebar',
  'cs.cm.stack.dashboard': 'Stack Dashboard',
  'cs.cm.stack.full_page': 'Full Page'
}
