// The data model on one page: what we keep, in the words of the design. Column names are snake_case, the same on SQLite and
// PostgreSQL. Conventions, so that one code serves both databases:
//   *_at     milliseconds since 1970 UTC (integer / bigint read as number)
//   *_json   JSON text, parsed by the room that owns the table; flags are 0 | 1
//   id       'ins_…', 'run_…': prefix + time-ordered random text (database/id.ts), so keyset paging by id is paging by age
// Every row that belongs to a tenant carries organization_id, the tenant wall, even where a join could tell.
import type { Generated, Insertable, Selectable } from 'kysely'

export interface Schema {
  organization: OrganizationTable
  installation: InstallationTable
  grant_flow: GrantFlowTable
  management_token: ManagementTokenTable
  secret: SecretTable
  audit_event: AuditEventTable
  session: SessionTable
  app_token_use: AppTokenUseTable
  access_key: AccessKeyTable
  job: JobTable
  job_hold: JobHoldTable
  schedule: ScheduleTable
  budget: BudgetTable
  write_ledger: WriteLedgerTable
  delivery: DeliveryTable
  connection: ConnectionTable
  sync: SyncTable
  run: RunTable
  link: LinkTable
  intent: IntentTable
}

/** A tenant: one Contentstack organization in one region. `unclaimed` until the operator lists it; unclaimed ones stay idle. */
export interface OrganizationTable {
  id: string
  region: string
  organization_uid: string
  name: string
  status: 'claimed' | 'unclaimed'
  created_at: number
}

/** Our app in one stack. States and transitions: installations/installation.ts. Unique (region, installation_uid). */
export interface InstallationTable {
  id: string
  organization_id: string
  region: string
  installation_uid: string
  app_uid: string
  stack_api_key: string
  stack_name: string
  /** From the stack once a token reads it; empty before. */
  master_locale: string
  status: 'pending' | 'active' | 'uninstalled'
  /** The content webhook we registered with the management token; null until then. */
  webhook_uid: string | null
  /** secret.id of the header value that our webhook carries. */
  webhook_secret_id: string | null
  created_at: number
  updated_at: number
}

/** One admin's one-time OAuth authorization under way. Erased of its secrets when finished; ten minutes to live. */
export interface GrantFlowTable {
  id: string
  organization_id: string
  installation_id: string
  /** SHA-256 of the one-minute ticket that opens the top-level start page; null once used. */
  ticket_hash: string | null
  /** SHA-256 of the state parameter, made at the start page; unique. Single use: used_at is set by the callback that wins. */
  state_hash: string | null
  /** SHA-256 of the cookie that must come back with the callback. */
  cookie_hash: string | null
  purpose: 'mint' | 'rotate' | 'delete'
  /** Who began it: Actor as JSON. */
  initiator_json: string
  /** secret.id of the PKCE verifier; erased on use. */
  verifier_secret_id: string | null
  /** What the person chose: expiry days, branches, write. */
  options_json: string
  status: 'started' | 'exchanged' | 'minted' | 'revoked' | 'revoke_refused' | 'failed'
  /** Contentstack's uid of the person who authorised, known after the exchange. */
  user_uid: string | null
  /** secret.id of the user access token, at most 60 minutes; the refresh token is never stored. */
  access_secret_id: string | null
  /** Until when the grant's access token would be valid if it could not be revoked. */
  valid_until: number | null
  error: string | null
  created_at: number
  expires_at: number
  used_at: number | null
  finished_at: number | null
}

/** A management token in our custody, or one we tried to have. States: installations/custody.ts. */
export interface ManagementTokenTable {
  id: string
  organization_id: string
  installation_id: string
  /** The name at Contentstack; a minted one bears a nonce so that it can be found again after a crash. */
  name: string
  /** Contentstack's uid; null while minting and for pasted tokens. */
  token_uid: string | null
  origin: 'minted' | 'pasted'
  status: 'minting' | 'verifying' | 'active' | 'retiring' | 'retired' | 'rejected' | 'dead' | 'orphaned'
  secret_id: string | null
  /** What APIs and pages show instead of the token. */
  fingerprint: string | null
  branches_json: string
  expires_at: number | null
  /** Verification: rows of {check, result, detail}. */
  verification_json: string
  error: string | null
  verified_at: number | null
  created_at: number
  updated_at: number
}

/** Everything sealed, one table, so that a key rotation walks one table. The vault alone reads `envelope`. */
export interface SecretTable {
  id: string
  organization_id: string
  installation_id: string | null
  /** What it is for: management_token, pkce_verifier, grant_access_token, webhook_header, connection. Part of the associated data. */
  purpose: string
  envelope: string
  key_id: string
  version: number
  created_at: number
  erased_at: number | null
}

/** Append-only, chained per organization by a keyed hash. Unique (organization_id, seq). installation_id: null = it concerns none alone. */
export interface AuditEventTable {
  id: string
  organization_id: string
  installation_id: string | null
  seq: number
  at: number
  actor_kind: 'admin' | 'extension' | 'key' | 'system' | 'grant'
  actor_id: string
  actor_name: string
  action: string
  object_kind: string
  object_id: string
  object_name: string
  detail_json: string
  previous_mac: string
  mac: string
}

/** A console or extension session. The id is stored hashed; principal_json is the Principal without its session id. */
export interface SessionTable {
  id_hash: string
  kind: 'admin' | 'extension'
  principal_json: string
  installation_id: string | null
  created_at: number
  seen_at: number
  idle_expires_at: number
  absolute_expires_at: number
}

/** How often an app-token (hashed) was exchanged: at most ten times within 60 s of the first (security.md, Extension door). */
export interface AppTokenUseTable {
  token_hash: string
  uses: number
  first_used_at: number
  expires_at: number
}

export interface AccessKeyTable {
  id: string
  organization_id: string
  installation_id: string
  name: string
  /** SHA-256 of the key; unique. The key itself is shown once. */
  key_hash: string
  fingerprint: string
  /** The person answerable for it, as shown: 'Ada Admin <ada@…>'. */
  owner: string
  /** [{ module: 'entries' | 'assets' | 'content_types', actions: ('read'|'write'|'publish'|'delete')[], contentTypes?: string[] }] */
  scopes_json: string
  expires_at: number | null
  revoked_at: number | null
  last_used_at: number | null
  created_at: number
}

/** States and transitions: jobs/job.ts. id grows in commit order per key. */
export interface JobTable {
  id: Generated<number>
  kind: string
  lane: 'people' | 'live' | 'backfill'
  /** Jobs of one key run one at a time in id order; null = no order. */
  key: string | null
  /** What hold() and release() act on, and what takes turns within a lane: an installation id; '' = none. */
  group_id: string
  /** While a job with this value waits (ready and not yet begun), enqueueing another is a no-op. Cleared when the job is claimed. */
  unique_key: string | null
  payload_json: string
  state: 'ready' | 'running' | 'done' | 'cancelled' | 'dead'
  attempt: number
  max_attempts: number
  run_at: number
  lease_token: string | null
  lease_until: number | null
  error: string | null
  created_at: number
  finished_at: number | null
}

export interface JobHoldTable {
  group_id: string
  reason: string
  held_at: number
}

export interface ScheduleTable {
  id: string
  organization_id: string | null
  cron: string
  time_zone: string
  /** Job to enqueue: { kind, payload, key?, group? }. */
  job_json: string
  next_at: number
  enabled: number
}

/** Per organization and request kind: when requests left (the last ones) and may leave, by the database's clock (installations/budget.ts). */
export interface BudgetTable {
  organization_id: string
  kind: 'read' | 'write' | 'bulk'
  next_at: number
  limit_per_second: number
  /** After a 429: nothing before this. */
  blocked_until: number
  recent_json: Generated<string>
}

/** Who wrote what to the stack: syncs and access keys alike. Our own webhook echo is recognised here. */
export interface WriteLedgerTable {
  id: string
  organization_id: string
  installation_id: string
  at: number
  actor_kind: 'sync' | 'key' | 'system'
  /** sync.id or access_key.id; the room's name for system. */
  actor_id: string
  run_id: string | null
  method: string
  path: string
  status: number
  content_type: string | null
  entry_uid: string | null
  locale: string | null
  /** `_version` that Contentstack returned. */
  version: number | null
}

/** One webhook received. Unique dedupe_key. The body is kept exactly as the signature covered it. */
export interface DeliveryTable {
  id: string
  organization_id: string
  installation_id: string
  dedupe_key: string
  module: string
  event: string
  /** entry or asset uid when there is one. */
  object_uid: string | null
  content_type: string | null
  locale: string | null
  body: string
  received_at: number
  triggered_at: number | null
  status: 'received' | 'dispatched' | 'ignored'
  /** Why it was ignored, or how many syncs it woke. */
  note: string
  dispatched_at: number | null
}

export interface ConnectionTable {
  id: string
  organization_id: string
  installation_id: string
  connector: string
  name: string
  /** The connector's settings without secrets. */
  settings_json: string
  /** secret name -> secret.id */
  secrets_json: string
  checked_at: number | null
  error: string | null
  created_at: number
  updated_at: number
}

/** States and transitions: sync/sync.ts. */
export interface SyncTable {
  id: string
  organization_id: string
  installation_id: string
  connection_id: string
  /** Links belong to the link set; a two-way pair shares one (engine.md §2). */
  link_set_id: string
  name: string
  direction: 'outbound' | 'inbound'
  content_type: string
  branch: string
  /** Locales in scope as JSON array; [] = all of the stack's. */
  locales_json: string
  /** [{ from, to, type, required?, default? }] in the direction of travel. */
  mapping_json: string
  /** Outbound: { table, references, richText, source: 'draft'|'published', environment? }. Inbound: { table, externalIdField, cursorColumn?, publish? }. */
  options_json: string
  state: 'active' | 'paused'
  paused_reason: string | null
  /** Grows with each change of mapping or options; part of what makes a link stale. */
  revision: number
  created_at: number
  updated_at: number
}

/** States and transitions: sync/runs.ts. */
export interface RunTable {
  id: string
  organization_id: string
  installation_id: string
  sync_id: string
  cause: 'initial' | 'schedule' | 'person' | 'reconcile'
  caused_by: string
  status: 'queued' | 'running' | 'success' | 'partial' | 'failed' | 'paused' | 'cancelled'
  /** Where it will resume; null = from the beginning. */
  checkpoint_json: string | null
  /** Known total, or null. */
  total: number | null
  read: number
  written: number
  skipped: number
  failed: number
  deleted: number
  error: string | null
  started_at: number | null
  finished_at: number | null
  created_at: number
}

/**
 * (link set, branch, locale, external id) <-> (content type, entry), with what was last written to each side (engine.md §2).
 * Outbound: external_id is the destination's key, `${entry_uid}:${locale}`.
 */
export interface LinkTable {
  link_set_id: string
  branch: string
  locale: string
  external_id: string
  organization_id: string
  installation_id: string
  sync_id: string
  content_type: string
  entry_uid: string
  source_hash: string
  stack_hash: string
  destination_fingerprint: string
  hash_version: number
  sync_revision: number
  /** Change.order last handed to the connector; grows per key. */
  order: number
  /** Version of the entry last carried (outbound) or written (inbound). */
  version: number
  status: 'synced' | 'failed' | 'deleted'
  error: string | null
  /** What caused the last write: 'run run_…', 'webhook dlv_…', 'person Ada …'. */
  cause: string
  last_run_id: string | null
  /** While claim_until lies ahead, whoever holds claim_token alone may write this record (engine.md §5). */
  claim_token: string | null
  claim_until: number | null
  synced_at: number
  updated_at: number
}

/** Written and committed before each CMA write, settled after it (engine.md §1). */
export interface IntentTable {
  id: string
  organization_id: string
  installation_id: string
  link_set_id: string
  branch: string
  locale: string
  external_id: string
  content_type: string
  /** null for a create. */
  entry_uid: string | null
  hash: string
  expected_version: number | null
  created_at: number
}

export type Row<T extends keyof Schema> = Selectable<Schema[T]>
export type NewRow<T extends keyof Schema> = Insertable<Schema[T]>
