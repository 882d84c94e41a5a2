// What a sync means to write before it does (plans), what it did record by record (the run log), and what a comparison of both
// sides found (drift), with the staging that keeps such comparisons out of memory.
import { sql } from 'kysely'
import type { Migration } from './migration.ts'

export const plans: Migration = {
  name: '0008-plans',
  async up(db, dialect) {
    const text = dialect === 'postgres' ? 'text collate "C"' : 'text'
    for (const statement of statements(text)) await sql.raw(statement).execute(db)
  }
}

function statements(text: string): string[] {
  return [
    `alter table run add column plan_id ${text}`,
    'alter table run add column pace_at bigint',
    'alter table run add column pace_done bigint',
    'alter table run add column pace bigint',

    `create table plan (
      id ${text} primary key not null,
      organization_id ${text} not null,
      sync_id ${text} not null references sync (id),
      kind ${text} not null,
      status ${text} not null,
      reason ${text} not null,
      made_by ${text} not null,
      sync_revision bigint not null,
      checkpoint_json ${text},
      total bigint,
      "read" bigint not null,
      creates bigint not null,
      updates bigint not null,
      deletes bigint not null,
      failures bigint not null,
      skips bigint not null,
      allowed_deletes bigint,
      run_id ${text},
      error ${text},
      created_at bigint not null,
      ready_at bigint,
      expires_at bigint not null
    )`,
    'create index plan_page on plan (organization_id, id)',
    'create index plan_sync on plan (sync_id, status)',

    `create table plan_item (
      plan_id ${text} not null,
      external_id ${text} not null,
      organization_id ${text} not null,
      locale ${text} not null,
      entry_uid ${text} not null,
      step ${text} not null,
      expected_version bigint,
      source_hash ${text} not null,
      diff_json ${text},
      state ${text} not null,
      why ${text},
      primary key (plan_id, external_id)
    )`,
    'create index plan_item_organization on plan_item (organization_id)',

    `create table run_record (
      id ${text} primary key not null,
      organization_id ${text} not null,
      sync_id ${text} not null references sync (id),
      run_id ${text},
      external_id ${text} not null,
      entry_uid ${text} not null,
      locale ${text} not null,
      outcome ${text} not null,
      approved bigint not null,
      why ${text},
      cause ${text} not null,
      at bigint not null
    )`,
    'create index run_record_run on run_record (run_id, id)',
    'create index run_record_key on run_record (sync_id, external_id)',
    'create index run_record_entry on run_record (sync_id, entry_uid)',
    "create index run_record_deleted on run_record (sync_id, at) where outcome = 'deleted' and approved = 0",
    'create index run_record_organization on run_record (organization_id)',

    `create table drift (
      id ${text} primary key not null,
      organization_id ${text} not null,
      sync_id ${text} not null references sync (id),
      status ${text} not null,
      cause ${text} not null,
      repair bigint not null,
      listed bigint not null,
      compared bigint not null,
      missing bigint not null,
      stale bigint not null,
      extra bigint not null,
      by_id bigint not null,
      repaired bigint not null,
      plan_id ${text},
      error ${text},
      created_at bigint not null,
      started_at bigint,
      finished_at bigint
    )`,
    'create index drift_page on drift (organization_id, id)',
    'create index drift_sync on drift (sync_id, id)',

    `create table staged_key (
      of_id ${text} not null,
      external_id ${text} not null,
      organization_id ${text} not null,
      fingerprint ${text} not null,
      primary key (of_id, external_id)
    )`,
    'create index staged_key_organization on staged_key (organization_id)'
  ]
}
