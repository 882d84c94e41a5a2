// The data model, second page: what a sync keeps, from the webhook received to the link written. Conventions: schema.ts.

import type { Generated } from 'kysely'

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
  branch: string | null
  /** Of the object in its locale, as announced: what a read must have reached. */
  version: number | null
}

/** Our webhook in a stack, one for each branch that has an active outbound sync, and one for `main`. Primary key (installation_id, branch). */
export interface ContentWebhookTable {
  installation_id: string
  branch: string
  organization_id: string
  /** null until it is registered. */
  webhook_uid: string | null
  /** By the CMS's clock: executions up to then have been compared with what arrived. */
  compared_until: number | null
  /** Executions that never arrived, in all. */
  missed: number
  missed_at: number | null
  /** Since when it was disabled or gone, as far as we can tell; null while it stands. */
  disabled_at: number | null
  enabled_at: number | null
  /** The runs that fill the last gap. */
  gap_runs_json: string
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
  /** Outbound: sync/sync.ts OutboundOptions. Inbound: InboundOptions. */
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
  cause: 'initial' | 'schedule' | 'person' | 'reconcile' | 'push'
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
  /** The plan that it carries out; null = it plans page by page as it goes. */
  plan_id: string | null
  /** The stretch that its pace is measured over: since when, at how many records; and records a minute over the last one. */
  pace_at: number | null
  pace_done: number | null
  pace: number | null
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
  /** Inbound: the version that publish_details last showed; 0 = none. */
  published_version: Generated<number>
  /** The version that is still to be published; null = nothing is. */
  publish_due: Generated<number | null>
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

/** Who embeds whom: sync/edges.ts. */
export interface EmbeddingTable {
  link_set_id: string
  branch: string
  /** Of the row that embeds. */
  locale: string
  parent_uid: string
  /** 1: the parent has a row of its own; 0: it is itself embedded. */
  root: number
  child_uid: string
  organization_id: string
  installation_id: string
}

/** A field of a record written without its references, because records that they name have no entry yet (sync/references.ts). */
export interface PendingReferenceTable {
  link_set_id: string
  branch: string
  locale: string
  external_id: string
  field: string
  organization_id: string
  installation_id: string
  sync_id: string
  /** All the external ids of the field, in order. */
  ids_json: string
  created_at: number
}

/** A file that inbound syncs have brought into the stack, by its content (sync/assets-in.ts). */
export interface AssetCopyTable {
  installation_id: string
  branch: string
  content_hash: string
  organization_id: string
  /** null: an upload is under way, or its answer was lost. */
  asset_uid: string | null
  claimed_at: number
}

/** Where an external system may push records of an inbound sync (sync/pushed.ts). */
export interface PushDoorTable {
  sync_id: string
  organization_id: string
  installation_id: string
  secret_id: string
  created_at: number
}

/** One message that came through it. Unique (sync_id, message_id). */
export interface PushedBatchTable {
  id: string
  organization_id: string
  installation_id: string
  sync_id: string
  run_id: string
  message_id: string
  /** '' once its records are carried. */
  body_json: string
  received_at: number
}
