// What a job remembers of its failures, and how often it was taken up, which is its fencing token.
import { sql } from 'kysely'
import type { Migration } from './migration.ts'

export const deadLetters: Migration = {
  name: '0005-dead-letters',
  async up(db, dialect) {
    const text = dialect === 'postgres' ? 'text collate "C"' : 'text'
    for (const statement of statements(text)) await sql.raw(statement).execute(db)
  }
}

function statements(text: string): string[] {
  return [
    'alter table job add column claims bigint not null default 0',
    'alter table job add column overtaken bigint not null default 0',
    `alter table job add column errors_json ${text} not null default '[]'`,
    'alter table job add column replaces bigint',
    `create index job_dead on job (group_id, id) where state = 'dead'`
  ]
}
