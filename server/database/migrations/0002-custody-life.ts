// What the life of a token needs beyond having one: the watch and its reminders, who is told, what was opened how often, what a
// lost key exposed, and what an erased organization leaves of its history.
import { sql } from 'kysely'
import type { Migration } from './migration.ts'

export const custodyLife: Migration = {
  name: '0002-custody-life',
  async up(db, dialect) {
    const text = dialect === 'postgres' ? 'text collate "C"' : 'text'
    for (const statement of statements(text)) await sql.raw(statement).execute(db)
  }
}

function statements(text: string): string[] {
  return [
    'alter table management_token add column checked_at bigint',
    'alter table management_token add column reminded_days bigint',
    `alter table installation add column adopted_by ${text}`,
    'alter table secret add column exposed_at bigint',
    'alter table audit_event add column erased_at bigint',

    `create table reveal_count (
      organization_id ${text} not null,
      installation_id ${text} not null,
      purpose ${text} not null,
      day ${text} not null,
      count bigint not null,
      primary key (organization_id, installation_id, purpose, day)
    )`,

    `create table alert (
      id ${text} primary key not null,
      organization_id ${text} not null,
      installation_id ${text} not null,
      kind ${text} not null,
      title ${text} not null,
      text ${text} not null,
      links_json ${text} not null,
      created_at bigint not null,
      foreign key (organization_id, installation_id) references installation (organization_id, id)
    )`,
    'create index alert_installation on alert (installation_id, id)',

    `create table alert_recipient (
      id ${text} primary key not null,
      organization_id ${text} not null,
      installation_id ${text} not null,
      kind ${text} not null,
      address ${text} not null,
      secret_id ${text},
      created_by ${text} not null,
      created_at bigint not null,
      sent_at bigint,
      error ${text},
      foreign key (organization_id, installation_id) references installation (organization_id, id)
    )`,
    'create index alert_recipient_installation on alert_recipient (installation_id, id)'
  ]
}
