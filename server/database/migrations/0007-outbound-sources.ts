// Which rows embed which entries, so that a change of one reaches the rows that show it.
import { sql } from 'kysely'
import type { Migration } from './migration.ts'

export const outboundSources: Migration = {
  name: '0007-outbound-sources',
  async up(db, dialect) {
    const text = dialect === 'postgres' ? 'text collate "C"' : 'text'
    await sql
      .raw(
        `create table embedding (
          link_set_id ${text} not null,
          branch ${text} not null,
          locale ${text} not null,
          parent_uid ${text} not null,
          root integer not null,
          child_uid ${text} not null,
          organization_id ${text} not null references organization (id),
          installation_id ${text} not null,
          primary key (link_set_id, branch, locale, parent_uid, root, child_uid)
        )`
      )
      .execute(db)
    await sql.raw('create index embedding_child on embedding (installation_id, branch, child_uid)').execute(db)
  }
}
