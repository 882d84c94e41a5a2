// Brings a database to the tables of schema.ts, one migration after the other, each once, all in one transaction under a lock,
// so that two processes starting together do not both begin. Migrations expand first and contract a release later: a process
// of the release before must be able to run on what stands here, which is why unknown applied names are no error.
import { sql } from 'kysely'
import type { Database } from './database.ts'
import { migrations } from './migrations/index.ts'

const migrationLock = 7_820_151

/** Applies what is missing; a second call does nothing. Everything or nothing: a failing migration leaves the database as it was. */
export async function migrate(database: Database): Promise<void> {
  await database.db.transaction().execute(async trx => {
    // SQLite's transaction has the write lock already (begin immediate).
    if (database.dialect === 'postgres') await sql`select pg_advisory_xact_lock(${migrationLock})`.execute(trx)
    await sql`create table if not exists migration (name text primary key, applied_at bigint not null)`.execute(trx)
    const { rows } = await sql<{ name: string }>`select name from migration`.execute(trx)
    const applied = new Set(rows.map(row => row.name))
    for (const migration of migrations) {
      if (applied.has(migration.name)) continue
      await migration.up(trx, database.dialect)
      await sql`insert into migration (name, applied_at) values (${migration.name}, ${Date.now()})`.execute(trx)
    }
  })
}
