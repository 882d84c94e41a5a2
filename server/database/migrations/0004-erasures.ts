// How far the erasing of an organization has come, so that it can be taken up again.
import { sql } from 'kysely'
import type { Migration } from './migration.ts'

export const erasures: Migration = {
  name: '0004-erasures',
  async up(db, dialect) {
    const text = dialect === 'postgres' ? 'text collate "C"' : 'text'
    await sql
      .raw(
        `create table erasure (
          organization_id ${text} primary key not null references organization (id),
          started_at bigint not null,
          installations_json ${text} not null,
          rows_json ${text} not null,
          tokens_json ${text} not null,
          head_json ${text} not null
        )`
      )
      .execute(db)
  }
}
