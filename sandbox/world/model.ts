// What the sandbox remembers, as plain data: the nouns of Contentstack in the shapes its API returns them, plus what the
// platform keeps to itself (secrets, versions, executions). Everything here survives JSON, so that `--keep` can snapshot it.
// Facts: the platform reference that sandbox/README.md cites. Times are ISO strings, as on the wire.

export interface World {
  /** RSA key pair of the region: signs app-tokens and webhooks (PKCS#1 PEM public, PKCS#8 PEM private). */
  signing: { publicPem: string; privatePem: string }
  organizations: Record<string, Organization>
  users: Record<string, User>
  /** By api_key. */
  stacks: Record<string, Stack>
  /** Developer Hub apps by uid. */
  apps: Record<string, App>
  /** By installation uid. */
  installations: Record<string, Installation>
  /** token -> session of a person. */
  authtokens: Record<string, { userUid: string; createdAt: string }>
  authorizations: Record<string, Authorization>
  /** One-time codes, 60 s. */
  oauthCodes: Record<string, OAuthCode>
  /** Access and refresh tokens. */
  oauthTokens: Record<string, OAuthToken>
}

export interface Organization {
  uid: string
  name: string
  ownerUid: string
  /** Strict SSO: no authtokens for its people but the owner. */
  ssoEnabled: boolean
}

export interface User {
  uid: string
  email: string
  password: string
  firstName: string
  lastName: string
  organizationUids: string[]
  /** Deprovisioned people: every request 401, their authorizations revoked. */
  active: boolean
}

export type StackRole = 'owner' | 'admin' | 'developer' | 'editor'

export interface Stack {
  apiKey: string
  uid: string
  name: string
  organizationUid: string
  masterLocale: string
  /** user uid -> role. */
  members: Record<string, StackRole>
  branches: Branch[]
  /** Branches are not enabled: content lies under `main`, which nobody outside hears of. */
  branchless?: boolean
  locales: Locale[]
  environments: Environment[]
  /** By branch, then uid. */
  contentTypes: Record<string, Record<string, ContentType>>
  globalFields: Record<string, Record<string, ContentType>>
  /** By branch, then content type uid, then entry uid. */
  entries: Record<string, Record<string, Record<string, Entry>>>
  /** By branch, then uid. */
  assets: Record<string, Record<string, Asset>>
  /** By uid; their terms inside. */
  taxonomies: Record<string, Taxonomy>
  /** Custom fields and widgets by uid, as the API returns them. */
  extensions: Record<string, Record<string, unknown>>
  webhooks: Record<string, Webhook>
  /** Newest last; 30 days. */
  executions: WebhookExecution[]
  managementTokens: Record<string, ManagementToken>
  /** All that were deleted, by uid: they may still be accepted for a moment (play `tokenDeath`), and tests look for their secrets. */
  deletedTokens?: Record<string, ManagementToken>
  /** Every write the CMA accepted, in order: the truth that tests count duplicates against. */
  writes: WriteRecord[]
}

export interface Branch {
  uid: string
  source: string
  alias: { uid: string }[]
}

export interface Locale {
  uid: string
  code: string
  name: string
  fallback_locale: string | null
}

export interface Environment {
  uid: string
  name: string
  urls: { locale: string; url: string }[]
}

export interface Taxonomy {
  uid: string
  name: string
  description: string
  terms: { uid: string; name: string; parent_uid: string | null; order: number }[]
}

export interface SchemaField {
  uid: string
  data_type: string
  display_name: string
  mandatory?: boolean
  unique?: boolean
  multiple?: boolean
  non_localizable?: boolean
  field_metadata?: Record<string, unknown>
  reference_to?: string | string[]
  schema?: SchemaField[]
  blocks?: { uid: string; title: string; reference_to?: string; schema?: SchemaField[] }[]
  enum?: { advanced?: boolean; choices: { value: unknown; key?: string }[] }
  [other: string]: unknown
}

export interface ContentType {
  uid: string
  title: string
  description: string
  schema: SchemaField[]
  options: Record<string, unknown>
  created_at: string
  updated_at: string
  _version: number
}

/** Field values as the CMA stores them (write shape). */
export type FieldsOf = Record<string, unknown>

export interface EntryVersion {
  version: number
  fields: FieldsOf
  updatedAt: string
  updatedBy: string
}

export interface Entry {
  uid: string
  contentType: string
  createdAt: string
  createdBy: string
  /** By locale; versions count per locale, newest last. A locale without one falls back. */
  locales: Record<string, { createdAt: string; versions: EntryVersion[] }>
  publishDetails: PublishDetail[]
}

export interface PublishDetail {
  environment: string
  locale: string
  time: string
  user: string
  version: number
}

export interface Asset {
  uid: string
  title: string
  description: string
  filename: string
  contentType: string
  fileSize: number
  isDir: boolean
  parentUid: string | null
  uploadUid: string
  tags: string[]
  version: number
  createdAt: string
  updatedAt: string
  createdBy: string
  updatedBy: string
  publishDetails: PublishDetail[]
  dimension?: { width: number; height: number }
  /** The bytes, base64; or a path of a loaded export, read on demand. */
  content: { base64: string } | { path: string }
  /** What it was before, oldest first. */
  earlier?: Omit<Asset, 'earlier'>[]
}

export interface Webhook {
  uid: string
  name: string
  destinations: {
    target_url: string
    custom_header: { header_name: string; value: string }[]
    http_basic_auth?: string
    http_basic_password?: string
  }[]
  channels: string[]
  branches: string[]
  retry_policy: 'automatic' | 'manual'
  disabled: boolean
  concise_payload: boolean
  /** Set for the webhooks of an app's manifest. */
  appInstallationUid?: string
  consecutiveFailures: number
  created_at: string
  updated_at: string
}

export interface WebhookExecution {
  uid: string
  webhookUid: string
  channel: string
  createdAt: string
  targetUrl: string
  body: string
  retryCount: number
  status: 'pending' | 'success' | 'failed'
  responses: { at: string; status: number | null; error?: string }[]
}

export interface ManagementToken {
  uid: string
  name: string
  description: string
  secret: string
  scope: TokenScope[]
  expires_on: string | null
  is_email_notification_enabled: boolean
  createdAt: string
  updatedAt: string
  createdBy: string
  /** Silently expired by the limit, revoked or deleted. */
  dead: boolean
  /** When that was; absent in tests that kill by hand. */
  deadSince?: string
}

export interface TokenScope {
  module: string
  acl: { read?: boolean; write?: boolean }
  branches?: string[]
  branch_aliases?: string[]
}

/** How a request proved itself; `by` of a write. */
export type Credential =
  | { kind: 'authtoken'; userUid: string }
  | { kind: 'management_token'; tokenUid: string; apiKey: string }
  | { kind: 'oauth_user'; userUid: string; authorizationUid: string; scopes: string[] }
  | { kind: 'oauth_app'; installationUid: string; apiKey: string; scopes: string[] }

export interface WriteRecord {
  at: string
  by: { kind: Credential['kind']; uid: string; name: string }
  action: 'create' | 'update' | 'localize' | 'delete' | 'publish' | 'unpublish'
  module: 'entry' | 'asset' | 'content_type' | 'global_field' | 'webhook' | 'locale' | 'environment' | 'management_token'
  uid: string
  contentType?: string
  branch?: string
  locale?: string
  version?: number
}

export interface App {
  uid: string
  name: string
  organizationUid: string
  description: string
  version: number
  targetType: 'stack' | 'organization'
  /** The manifest as given to Developer Hub (ui_location, webhook, permissions, …). */
  manifest: Record<string, unknown>
  oauth: {
    clientId: string
    clientSecret: string
    redirectUris: string[]
    userTokenConfig: { enabled: boolean; scopes: string[]; allowPkce: boolean }
    appTokenConfig: { enabled: boolean; scopes: string[] }
  }
}

export interface Installation {
  uid: string
  appUid: string
  organizationUid: string
  target: { type: 'stack' | 'organization'; uid: string }
  status: 'installed'
  createdBy: string
  updatedBy: string
  createdAt: string
  updatedAt: string
  /** base_url and locations as they stood at install: frozen until uninstall. */
  uiLocation: Record<string, unknown>
  configuration: Record<string, unknown>
  serverConfiguration: Record<string, unknown>
}

export interface Authorization {
  uid: string
  appUid: string
  userUid: string
  organizationUid: string
  scopes: string[]
  createdAt: string
  revokedAt: string | null
}

export interface OAuthCode {
  appUid: string
  redirectUri: string
  kind: 'app' | 'user'
  userUid: string
  organizationUid: string
  scopes: string[]
  installationUid?: string
  authorizationUid?: string
  codeChallenge?: string
  codeChallengeMethod?: 'S256' | 'plain'
  expiresAt: string
}

export interface OAuthToken {
  type: 'access' | 'refresh'
  kind: 'app' | 'user'
  appUid: string
  organizationUid: string
  userUid?: string
  authorizationUid?: string
  installationUid?: string
  scopes: string[]
  /** Exchanged by PKCE alone: its refresh must leave the client secret out as well. */
  withoutSecret?: boolean
  expiresAt: string
  revokedAt: string | null
}
