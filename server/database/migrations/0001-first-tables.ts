// Every table of schema.ts in its first shape. Plain SQL that both databases read, so that what stands in the database is what
// stands here; it never changes once released. Text compares bytewise on both: SQLite does so by itself, PostgreSQL by the
// "C" collation, and keyset paging by id and the comparing of keys for drift rest on that.
import { sql } from 'kysely'
import type { Migration } from './migration.ts'

export const firstTables: Migration = {
  name: '0001-first-tables',
  async up(db, dialect) {
    const text = dialect === 'postgres' ? 'text collate "C"' : 'text'
    const growingId = dialect === 'postgres' ? 'bigint generated always as identity primary key' : 'integer primary key autoincrement'
    for (const statement of statements(text, growingId)) await sql.raw(statement).execute(db)
  }
}

function statements(text: string, growingId: string): string[] {
  return [
    // SQLite lets a text primary key be null unless it is told otherwise: https://www.sqlite.org/lang_createtable.html
    `create table organization (
      id ${text} primary key not null,
      region ${text} not null,
      organization_uid ${text} not null,
      name ${text} not null,
      status ${text} not null,
      created_at bigint not null,
      unique (region, organization_uid)
    )`,

    // (organization_id, id) is what other tables refer to: a row of one tenant cannot point at another tenant's installation.
    `create table installation (
      id ${text} primary key not null,
      organization_id ${text} not null references organization (id),
      region ${text} not null,
      installation_uid ${text} not null,
      app_uid ${text} not null,
      stack_api_key ${text} not null,
      stack_name ${text} not null,
      master_locale ${text} not null,
      status ${text} not null,
      webhook_uid ${text},
      webhook_secret_id ${text},
      created_at bigint not null,
      updated_at bigint not null,
      unique (region, installation_uid),
      unique (organization_id, id)
    )`,
    'create index installation_stack on installation (region, stack_api_key)',

    `create table grant_flow (
      id ${text} primary key not null,
      organization_id ${text} not null,
      installation_id ${text} not null,
      ticket_hash ${text},
      state_hash ${text} unique,
      cookie_hash ${text},
      purpose ${text} not null,
      initiator_json ${text} not null,
      verifier_secret_id ${text},
      options_json ${text} not null,
      status ${text} not null,
      user_uid ${text},
      access_secret_id ${text},
      valid_until bigint,
      error ${text},
      created_at bigint not null,
      expires_at bigint not null,
      used_at bigint,
      finished_at bigint,
      foreign key (organization_id, installation_id) references installation (organization_id, id)
    )`,
    'create index grant_flow_installation on grant_flow (installation_id, id)',

    `create table management_token (
      id ${text} primary key not null,
      organization_id ${text} not null,
      installation_id ${text} not null,
      name ${text} not null,
      token_uid ${text},
      origin ${text} not null,
      status ${text} not null,
      secret_id ${text},
      fingerprint ${text},
      branches_json ${text} not null,
      expires_at bigint,
      verification_json ${text} not null,
      error ${text},
      verified_at bigint,
      created_at bigint not null,
      updated_at bigint not null,
      foreign key (organization_id, installation_id) references installation (organization_id, id)
    )`,
    'create index management_token_installation on management_token (installation_id, id)',

    `create table secret (
      id ${text} primary key not null,
      organization_id ${text} not null,
      installation_id ${text},
      purpose ${text} not null,
      envelope ${text} not null,
      key_id ${text} not null,
      version bigint not null,
      created_at bigint not null,
      erased_at bigint
    )`,
    'create index secret_key on secret (key_id, id)',
    'create index secret_installation on secret (installation_id)',

    `create table audit_event (
      id ${text} primary key not null,
      organization_id ${text} not null,
      installation_id ${text},
      seq bigint not null,
      at bigint not null,
      actor_kind ${text} not null,
      actor_id ${text} not null,
      actor_name ${text} not null,
      action ${text} not null,
      object_kind ${text} not null,
      object_id ${text} not null,
      object_name ${text} not null,
      detail_json ${text} not null,
      previous_mac ${text} not null,
      mac ${text} not null,
      unique (organization_id, seq)
    )`,
    'create index audit_event_page on audit_event (organization_id, id)',
    'create index audit_event_installation on audit_event (installation_id, id)',

    `create table session (
      id_hash ${text} primary key not null,
      kind ${text} not null,
      principal_json ${text} not null,
      installation_id ${text},
      created_at bigint not null,
      seen_at bigint not null,
      idle_expires_at bigint not null,
      absolute_expires_at bigint not null
    )`,
    'create index session_expiry on session (absolute_expires_at)',

    `create table app_token_use (
      token_hash ${text} primary key not null,
      uses bigint not null,
      first_used_at bigint not null,
      expires_at bigint not null
    )`,
    'create index app_token_use_expiry on app_token_use (expires_at)',

    `create table access_key (
      id ${text} primary key not null,
      organization_id ${text} not null,
      installation_id ${text} not null,
      name ${text} not null,
      key_hash ${text} not null unique,
      fingerprint ${text} not null,
      owner ${text} not null,
      scopes_json ${text} not null,
      expires_at bigint,
      revoked_at bigint,
      last_used_at bigint,
      created_at bigint not null,
      foreign key (organization_id, installation_id) references installation (organization_id, id)
    )`,
    'create index access_key_page on access_key (organization_id, id)',
    'create index access_key_installation on access_key (installation_id, id)',

    ...jobStatements(text, growingId),
    ...stackStatements(text),
    ...syncStatements(text)
  ]
}

// Finished jobs stay in the table for a while, so each index covers only the rows that its question is about (jobs/claim.ts).
function jobStatements(text: string, growingId: string): string[] {
  return [
    `create table job (
      id ${growingId},
      kind ${text} not null,
      lane ${text} not null,
      "key" ${text},
      group_id ${text} not null,
      unique_key ${text},
      payload_json ${text} not null,
      state ${text} not null,
      attempt bigint not null,
      max_attempts bigint not null,
      run_at bigint not null,
      lease_token ${text},
      lease_until bigint,
      error ${text},
      created_at bigint not null,
      finished_at bigint
    )`,
    `create index job_due on job (lane, group_id, run_at, id) where state = 'ready'`,
    `create index job_key on job ("key", id) where finished_at is null`,
    `create unique index job_unique on job (unique_key) where state = 'ready'`,
    `create index job_running on job (group_id, lease_until) where state = 'running'`,
    'create index job_finished on job (finished_at) where finished_at is not null',

    `create table job_hold (
      group_id ${text} primary key not null,
      reason ${text} not null,
      held_at bigint not null
    )`,

    `create table schedule (
      id ${text} primary key not null,
      organization_id ${text},
      cron ${text} not null,
      time_zone ${text} not null,
      job_json ${text} not null,
      next_at bigint not null,
      enabled bigint not null
    )`,
    'create index schedule_due on schedule (next_at) where enabled = 1'
  ]
}

function stackStatements(text: string): string[] {
  return [
    `create table budget (
      organization_id ${text} not null,
      kind ${text} not null,
      next_at bigint not null,
      limit_per_second bigint not null,
      blocked_until bigint not null,
      recent_json ${text} not null default '[]',
      primary key (organization_id, kind)
    )`,

    `create table write_ledger (
      id ${text} primary key not null,
      organization_id ${text} not null,
      installation_id ${text} not null,
      at bigint not null,
      actor_kind ${text} not null,
      actor_id ${text} not null,
      run_id ${text},
      method ${text} not null,
      path ${text} not null,
      status bigint not null,
      content_type ${text},
      entry_uid ${text},
      locale ${text},
      version bigint
    )`,
    'create index write_ledger_page on write_ledger (organization_id, id)',
    'create index write_ledger_entry on write_ledger (installation_id, entry_uid, locale, version)',

    `create table delivery (
      id ${text} primary key not null,
      organization_id ${text} not null,
      installation_id ${text} not null,
      dedupe_key ${text} not null unique,
      module ${text} not null,
      event ${text} not null,
      object_uid ${text},
      content_type ${text},
      locale ${text},
      body ${text} not null,
      received_at bigint not null,
      triggered_at bigint,
      status ${text} not null,
      note ${text} not null,
      dispatched_at bigint
    )`,
    'create index delivery_page on delivery (organization_id, id)',
    'create index delivery_installation on delivery (installation_id, id)'
  ]
}

function syncStatements(text: string): string[] {
  return [
    `create table connection (
      id ${text} primary key not null,
      organization_id ${text} not null,
      installation_id ${text} not null,
      connector ${text} not null,
      name ${text} not null,
      settings_json ${text} not null,
      secrets_json ${text} not null,
      checked_at bigint,
      error ${text},
      created_at bigint not null,
      updated_at bigint not null,
      foreign key (organization_id, installation_id) references installation (organization_id, id)
    )`,
    'create index connection_page on connection (organization_id, id)',
    'create index connection_installation on connection (installation_id, id)',

    `create table sync (
      id ${text} primary key not null,
      organization_id ${text} not null,
      installation_id ${text} not null,
      connection_id ${text} not null references connection (id),
      link_set_id ${text} not null,
      name ${text} not null,
      direction ${text} not null,
      content_type ${text} not null,
      branch ${text} not null,
      locales_json ${text} not null,
      mapping_json ${text} not null,
      options_json ${text} not null,
      state ${text} not null,
      paused_reason ${text},
      revision bigint not null,
      created_at bigint not null,
      updated_at bigint not null,
      foreign key (organization_id, installation_id) references installation (organization_id, id)
    )`,
    'create index sync_page on sync (organization_id, id)',
    'create index sync_installation on sync (installation_id, content_type)',

    `create table run (
      id ${text} primary key not null,
      organization_id ${text} not null,
      installation_id ${text} not null,
      sync_id ${text} not null references sync (id),
      cause ${text} not null,
      caused_by ${text} not null,
      status ${text} not null,
      checkpoint_json ${text},
      total bigint,
      "read" bigint not null,
      written bigint not null,
      skipped bigint not null,
      failed bigint not null,
      deleted bigint not null,
      error ${text},
      started_at bigint,
      finished_at bigint,
      created_at bigint not null
    )`,
    'create index run_page on run (organization_id, id)',
    'create index run_sync on run (sync_id, id)',

    `create table link (
      link_set_id ${text} not null,
      branch ${text} not null,
      locale ${text} not null,
      external_id ${text} not null,
      organization_id ${text} not null,
      installation_id ${text} not null,
      sync_id ${text} not null,
      content_type ${text} not null,
      entry_uid ${text} not null,
      source_hash ${text} not null,
      stack_hash ${text} not null,
      destination_fingerprint ${text} not null,
      hash_version bigint not null,
      sync_revision bigint not null,
      "order" bigint not null,
      version bigint not null,
      status ${text} not null,
      error ${text},
      cause ${text} not null,
      last_run_id ${text},
      claim_token ${text},
      claim_until bigint,
      synced_at bigint not null,
      updated_at bigint not null,
      primary key (link_set_id, branch, locale, external_id)
    )`,
    'create index link_entry on link (link_set_id, branch, entry_uid)',
    'create index link_status on link (sync_id, status)',
    // The sidebar asks by installation and entry, over all syncs.
    'create index link_sidebar on link (installation_id, entry_uid)',

    `create table intent (
      id ${text} primary key not null,
      organization_id ${text} not null,
      installation_id ${text} not null,
      link_set_id ${text} not null,
      branch ${text} not null,
      locale ${text} not null,
      external_id ${text} not null,
      content_type ${text} not null,
      entry_uid ${text},
      hash ${text} not null,
      expected_version bigint,
      created_at bigint not null
    )`,
    'create index intent_link on intent (link_set_id, branch, locale, external_id)'
  ]
}
