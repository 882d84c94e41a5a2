// The app as Contentstack sees it: which pages stand where in the CMS, which OAuth scopes a grant may ask for and which
// lifecycle events reach us. Pure: an address goes in, the manifest comes out; nothing here talks to Developer Hub.
// Shapes and allowed values: https://www.contentstack.com/docs/developers/developer-hub/app-manifest

/** Where a page of ours stands in the CMS. Its path is what the server serves and what ui/locations/table.ts maps to a component. */
export const uiLocations = [
  { type: 'cs.cm.stack.config', path: '/app-configuration', name: 'Quayside' },
  { type: 'cs.cm.stack.sidebar', path: '/entry-sidebar', name: 'Quayside' },
  { type: 'cs.cm.stack.dashboard', path: '/stack-dashboard', name: 'Quayside', default_width: 'half' },
  { type: 'cs.cm.stack.full_page', path: '/full-page', name: 'Quayside' }
] as const

/** A grant asks for these and nothing else. Contentstack offers them to user tokens only, never to an app token. */
export const grantScopes = ['cm.stack.management-tokens:read', 'cm.stack.management-tokens:write'] as const

/** The app token of the install flow is dropped at once, so it may do as little as the platform allows an app to ask for. */
export const appScopes = ['cm.content-types.management:read'] as const

export const lifecycleChannels = [
  'cs.apps.installations.install',
  'cs.apps.installations.uninstall',
  'cs.apps.installations.update',
  'cs.apps.installations.upgrade'
] as const

export interface ManifestInput {
  /** Where browsers and Contentstack reach the server. */
  publicUrl: string
  /** Region as the server's configuration names it ('na', 'eu', …). Each region is its own Developer Hub app. */
  region: string
  /** The value of our own header on lifecycle webhooks; the server holds the same one. */
  webhookSecret: string
}

export type Manifest = ReturnType<typeof renderManifest>

/**
 * The manifest and OAuth settings for one environment. Throws an Error that names the value where the address cannot work:
 * Contentstack calls https only, and iframe addresses are a plain origin without path, query or credentials.
 */
export function renderManifest({ publicUrl, region, webhookSecret }: ManifestInput) {
  const origin = originOf(publicUrl)
  if (!/^[a-z0-9-]{1,32}$/.test(region)) throw new Error(`The region is "${region}"; it is a short name such as na, eu or azure-eu.`)
  if (webhookSecret.length < 16) throw new Error('The webhook secret is shorter than 16 characters.')
  return {
    name: 'Quayside',
    description: "Keeps this stack in sync with the systems around it, on the stack's own management token.",
    target_type: 'stack',
    visibility: 'private',
    ui_location: {
      signed: true,
      base_url: origin,
      locations: uiLocations.map(({ type, path, name, ...rest }) => ({
        type,
        meta: [{ name, path, signed: true, enabled: true, required: false, ...rest }]
      }))
    },
    webhook: {
      enabled: true,
      signed: true,
      app_lifecycle_enabled: true,
      name: 'Quayside lifecycle',
      target_url: `${origin}/webhooks/lifecycle/${region}`,
      channels: [...lifecycleChannels],
      custom_headers: [{ header_name: 'x-quayside-secret', value: webhookSecret }],
      branch_scope: '$all',
      concise_payload: false,
      retry_policy: 'automatic'
    },
    oauth: {
      // The first one is where the install flow returns: it carries no state, so it has an address of its own.
      redirect_uri: `${origin}/oauth/install/callback`,
      redirect_uris: [`${origin}/oauth/install/callback`, `${origin}/oauth/grant/callback`],
      app_token_config: { enabled: true, scopes: [...appScopes] },
      user_token_config: { enabled: true, scopes: [...grantScopes], allow_pkce: true }
    }
  }
}

function originOf(publicUrl: string): string {
  let url: URL
  try {
    url = new URL(publicUrl)
  } catch {
    throw new Error(`"${publicUrl}" is not an address. Give the whole of it: https://quayside.example.com`)
  }
  const local = url.hostname === 'localhost' || url.hostname === '127.0.0.1' || url.hostname === '[::1]'
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && local)) {
    throw new Error(
      `"${publicUrl}" is not https. Contentstack frames and calls https addresses only; plain http works with the sandbox on this machine.`
    )
  }
  if (url.username || url.password)
    throw new Error('The address carries a user name or password. Leave them out: everybody who opens the app would see them.')
  if (url.pathname !== '/' || url.search || url.hash) {
    throw new Error(`"${publicUrl}" has more than an origin. Quayside stands at the root of its host: ${url.origin}`)
  }
  return url.origin
}
