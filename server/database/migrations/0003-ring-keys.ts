// Which key of the ring seals, said by the database, so that every process seals under the same one whatever it read last.
import { sql } from 'kysely'
import type { Migration } from './migration.ts'

export const ringKeys: Migration = {
  name: '0003-ring-keys',
  async up(db, dialect) {
    const text = dialect === 'postgres' ? 'text collate "C"' : 'text'
    for (const statement of statements(text)) await sql.raw(statement).execute(db)
  }
}

function statements(text: string): string[] {
  return [
    `create table ring_key (
      id ${text} primary key not null,
      state ${text} not null,
      since bigint not null,
      stopped_at bigint,
      compromised_at bigint
    )`,
    `create unique index ring_key_sealing on ring_key (state) where state = 'sealing'`,
    'create index secret_exposed on secret (id) where exposed_at is not null',
    // What is erased hangs on no key any more.
    `update secret set key_id = '' where erased_at is not null`
  ]
}
