// The data model: what we keep, in the words of the design; what a sync keeps stands in schema-sync.ts. Column names are snake_case, the same on SQLite and
// PostgreSQL. Conventions, so that one code serves both databases:
//   *_at     milliseconds since 1970 UTC (integer / bigint read as number)
//   *_json   JSON text, parsed by the room that owns the table; flags are 0 | 1
//   id       'ins_…', 'run_…': prefix + time-ordered random text (database/id.ts), so keyset paging by id is paging by age
// Every row that belongs to a tenant carries organization_id, the tenant wall, even where a join could tell.
import type { Generated, Insertable, Selectable } from 'kysely'
import type { DriftTable, PlanItemTable, PlanTable, RunRecordTable, StagedKeyTable } from './schema-plan.ts'
import type {
  AssetCopyTable,
  ConnectionTable,
  ContentWebhookTable,
  DeliveryTable,
  EmbeddingTable,
  IntentTable,
  LinkTable,
  PendingReferenceTable,
  PushDoorTable,
  PushedBatchTable,
  RunTable,
  SyncTable
} from './schema-sync.ts'

export interface Schema {
  organization: OrganizationTable
  installation: InstallationTable
  grant_flow: GrantFlowTable
  management_token: ManagementTokenTable
  secret: SecretTable
  ring_key: RingKeyTable
  reveal_count: RevealCountTable
  audit_event: AuditEventTable
  erasure: ErasureTable
  alert: AlertTable
  alert_recipient: AlertRecipientTable
  session: SessionTable
  app_token_use: AppTokenUseTable
  access_key: AccessKeyTable
  job: JobTable
  job_hold: JobHoldTable
  schedule: ScheduleTable
  budget: BudgetTable
  write_ledger: WriteLedgerTable
  delivery: DeliveryTable
  content_webhook: ContentWebhookTable
  connection: ConnectionTable
  sync: SyncTable
  run: RunTable
  link: LinkTable
  embedding: EmbeddingTable
  intent: IntentTable
  plan: PlanTable
  plan_item: PlanItemTable
  run_record: RunRecordTable
  drift: DriftTable
  staged_key: StagedKeyTable
  pending_reference: PendingReferenceTable
  asset_copy: AssetCopyTable
  push_door: PushDoorTable
  pushed_batch: PushedBatchTable
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
  /** The installation that took over the connections, syncs and links of this one, which has ended. */
  adopted_by: string | null
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
  purpose: 'mint' | 'rotate' | 'delete' | 'uninstall'
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

/** A management token in our custody, or one we tried to have. States: installations/token.ts. */
export interface ManagementTokenTable {
  id: string
  organization_id: string
  installation_id: string
  /** The name at Contentstack; a minted one bears a nonce so that it can be found again after a crash. */
  name: string
  /** Contentstack's uid; null while minting and for pasted tokens. */
  token_uid: string | null
  origin: 'minted' | 'pasted'
  status: 'minting' | 'verifying' | 'active' | 'expiring' | 'retiring' | 'retired' | 'rejected' | 'dead' | 'orphaned'
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
  /** When Contentstack last accepted it, as far as the watch looked. */
  checked_at: number | null
  /** The reminder sent last: so many days before it expires. */
  reminded_days: number | null
}

/** Everything sealed, one table, so that a key rotation walks one table. The vault alone reads `envelope`. */
export interface SecretTable {
  id: string
  organization_id: string
  installation_id: string | null
  /** What it is for: management_token, pkce_verifier, grant_access_token, webhook_header, connection, alert_recipient, mac_key. Part of the associated data. */
  purpose: string
  envelope: string
  /** The key that wraps it; '' when erased. */
  key_id: string
  version: number
  created_at: number
  erased_at: number | null
  /** Since when it may be known to others, because the key that wrapped it was: what it opens must be replaced. */
  exposed_at: number | null
}

/** A key of the ring that sealed or seals; its bytes stand in the key file alone. States: vault/ring-keys.ts. One is `sealing`. */
export interface RingKeyTable {
  id: string
  state: 'sealing' | 'leaving' | 'left'
  /** When it last began to seal. */
  since: number
  /** When it last gave way to another; null = never. */
  stopped_at: number | null
  /** Since when it is given as known to others. */
  compromised_at: number | null
}

/** How often secrets of one purpose were opened, per installation ('' = none) and UTC day (YYYY-MM-DD). */
export interface RevealCountTable {
  organization_id: string
  installation_id: string
  purpose: string
  day: string
  count: number
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
  /** When its actor, object and detail were blanked on request; the chain still holds (audit/erase.ts). */
  erased_at: number | null
}

/** The erasing of an organization under way; gone when it is done. */
export interface ErasureTable {
  organization_id: string
  started_at: number
  /** Ids, also of those whose rows are gone by now. */
  installations_json: string
  /** { table: rows erased so far } */
  rows_json: string
  /** Tokens left standing at Contentstack: [{ name, stackName, status }]. */
  tokens_json: string
  /** The audit chain's head before: { seq, mac }. */
  head_json: string
}

/** Something that the admins of one installation were told, newest wins. */
export interface AlertTable {
  id: string
  organization_id: string
  installation_id: string
  /** 'token.dead', 'token.expiring', …: alerts/alert.ts. */
  kind: string
  title: string
  text: string
  /** [{ title, url }]: what to press. */
  links_json: string
  created_at: number
}

/** Where alerts of one installation go. secret_id holds { url, signingSecret? } of a Slack or signed webhook; an e-mail address stands in clear. */
export interface AlertRecipientTable {
  id: string
  organization_id: string
  installation_id: string
  kind: 'email' | 'slack' | 'webhook'
  /** As shown: the e-mail address, or scheme and host of the URL. */
  address: string
  secret_id: string | null
  created_by: string
  created_at: number
  /** Of the last alert: when it went out, or why it did not. */
  sent_at: number | null
  error: string | null
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
  lane: 'people' | 'local' | 'live' | 'backfill'
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
  /** How often it was taken up: grows where `attempt` is given back, so with the id it is the fencing token of a key. */
  claims: Generated<number>
  /** How many runs ended after another process had taken over: what they wrote may have been written twice. */
  overtaken: Generated<number>
  /** [{ attempt, at, error, internal }]: each failed attempt's error, oldest first. */
  errors_json: Generated<string>
  /** The dead job that it was put in again for. */
  replaces: number | null
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

export type Row<T extends keyof Schema> = Selectable<Schema[T]>
export type NewRow<T extends keyof Schema> = Insertable<Schema[T]>
