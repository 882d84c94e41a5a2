// What the life of an inbound record needs beyond its first write: whether it is published, what it refers to and waits for,
// which files it has brought along, and who may push it.
import { sql } from 'kysely'
import type { Migration } from './migration.ts'

export const inboundLife: Migration = {
  name: '0006-inbound-life',
  async up(db, dialect) {
    const text = dialect === 'postgres' ? 'text collate "C"' : 'text'
    for (const statement of statements(text)) await sql.raw(statement).execute(db)
  }
}

function statements(text: string): string[] {
  return [
    'alter table link add column published_version bigint not null default 0',
    'alter table link add column publish_due bigint',
    'create index link_publish_due on link (sync_id, locale, external_id) where publish_due is not null',

    `create table pending_reference (
      link_set_id ${text} not null,
      branch ${text} not null,
      locale ${text} not null,
      external_id ${text} not null,
      field ${text} not null,
      organization_id ${text} not null,
      installation_id ${text} not null,
      sync_id ${text} not null,
      ids_json ${text} not null,
      created_at bigint not null,
      primary key (link_set_id, branch, locale, external_id, field)
    )`,
    'create index pending_reference_sync on pending_reference (sync_id, locale, external_id)',
    'create index pending_reference_installation on pending_reference (installation_id)',

    `create table asset_copy (
      installation_id ${text} not null,
      branch ${text} not null,
      content_hash ${text} not null,
      organization_id ${text} not null,
      asset_uid ${text},
      claimed_at bigint not null,
      primary key (installation_id, branch, content_hash)
    )`,

    `create table push_door (
      sync_id ${text} primary key not null,
      organization_id ${text} not null,
      installation_id ${text} not null,
      secret_id ${text} not null,
      created_at bigint not null
    )`,

    `create table pushed_batch (
      id ${text} primary key not null,
      organization_id ${text} not null,
      installation_id ${text} not null,
      sync_id ${text} not null,
      run_id ${text} not null,
      message_id ${text} not null,
      body_json ${text} not null,
      received_at bigint not null,
      unique (sync_id, message_id)
    )`,
    'create index pushed_batch_run on pushed_batch (run_id)'
  ]
}
