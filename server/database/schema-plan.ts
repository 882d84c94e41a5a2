// The data model, third page: what a sync means to write, what it did record by record, and what comparing both sides found.
// Conventions: schema.ts. None of these carries an installation: they belong to their sync, which may move to another (adopt).

/** States and transitions: sync/plans.ts. */
export interface PlanTable {
  id: string
  organization_id: string
  sync_id: string
  /** dry-run: asked for by a person. brake: deletes that were too many. drift: rows at the destination that no entry stands behind. */
  kind: 'dry-run' | 'brake' | 'drift'
  status: 'making' | 'ready' | 'applying' | 'applied' | 'stale' | 'discarded' | 'failed'
  /** Why a person is asked; '' for a dry run. */
  reason: string
  made_by: string
  /** The sync's when the plan was begun: a changed sync makes it stale. */
  sync_revision: number
  /** While it is made: how far. */
  checkpoint_json: string | null
  total: number | null
  read: number
  creates: number
  updates: number
  deletes: number
  /** Records that would stand aside. */
  failures: number
  /** Counted, never stored. */
  skips: number
  /** What a person allowed for this very plan; null = nothing beyond the brake. */
  allowed_deletes: number | null
  /** The run that carries it out. */
  run_id: string | null
  error: string | null
  created_at: number
  ready_at: number | null
  expires_at: number
}

export interface PlanItemTable {
  plan_id: string
  external_id: string
  organization_id: string
  /** '' for a row at the destination that no entry stands behind. */
  locale: string
  entry_uid: string
  step: 'create' | 'update' | 'delete' | 'fail'
  /** Version of the entry when it was planned; null where there is none. */
  expected_version: number | null
  /** Hash of the source when it was planned; '' for a delete. */
  source_hash: string
  /** [{ field, from?, to }], bounded: sync/diff.ts. */
  diff_json: string | null
  state: 'pending' | 'done' | 'skipped' | 'failed'
  why: string | null
}

/** The log of what was done, record by record; what was unchanged is only counted. Kept for 30 days. */
export interface RunRecordTable {
  id: string
  organization_id: string
  sync_id: string
  /** null: by a live job. */
  run_id: string | null
  external_id: string
  entry_uid: string
  locale: string
  /** skipped: planned, but its record had moved. parked: its deletion waits for a person. */
  outcome: 'created' | 'updated' | 'deleted' | 'failed' | 'skipped' | 'conflict' | 'parked'
  /** 1 = a person allowed this delete, so that it does not count against the brake. */
  approved: number
  why: string | null
  cause: string
  at: number
}

/** One comparison of both sides. States: sync/drift.ts. */
export interface DriftTable {
  id: string
  organization_id: string
  sync_id: string
  status: 'queued' | 'running' | 'done' | 'failed'
  cause: string
  /** 1 = what is missing or stale is written again. */
  repair: number
  listed: number
  compared: number
  missing: number
  stale: number
  extra: number
  /** Compared by id alone, for want of a fingerprint. */
  by_id: number
  repaired: number
  /** Where the extra ones wait for a person. */
  plan_id: string | null
  error: string | null
  created_at: number
  started_at: number | null
  finished_at: number | null
}

/** Keys met while one side is listed, so that a comparison needs no memory; gone when it is done. */
export interface StagedKeyTable {
  /** The drift or the plan. */
  of_id: string
  external_id: string
  organization_id: string
  fingerprint: string
}
