// What a delivery announces of its record (the branch and the version that a read must have reached), and our webhook of each branch
// with what is known of its health.
import { sql } from 'kysely'
import type { Migration } from './migration.ts'

export const webhookHealth: Migration = {
  name: '0009-webhook-health',
  async up(db, dialect) {
    const text = dialect === 'postgres' ? 'text collate "C"' : 'text'
    for (const statement of statements(text)) await sql.raw(statement).execute(db)
  }
}

function statements(text: string): string[] {
  return [
    `alter table delivery add column branch ${text}`,
    'alter table delivery add column version bigint',
    'create index delivery_object on delivery (installation_id, object_uid, received_at)',
    `create table content_webhook (
      installation_id ${text} not null,
      branch ${text} not null,
      organization_id ${text} not null,
      webhook_uid ${text},
      compared_until bigint,
      missed bigint not null,
      missed_at bigint,
      disabled_at bigint,
      enabled_at bigint,
      gap_runs_json ${text} not null,
      primary key (installation_id, branch),
      foreign key (organization_id, installation_id) references installation (organization_id, id)
    )`
  ]
}
