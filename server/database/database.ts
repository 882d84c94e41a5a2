// The one way to a database: SQLite in a file for the embedded case, PostgreSQL once it is outgrown, both through Kysely.
// Knows connections and what must be set on each; refuses to know any table (schema.ts) or any change of them (migrate.ts).
import Sqlite from 'better-sqlite3'
import { Kysely, PostgresAdapter, PostgresDialect } from 'kysely'
import pg from 'pg'
import { AppError } from '../errors.ts'
import type { Schema } from './schema.ts'
import { openSqlite } from './sqlite.ts'

/** A connection or a transaction: query functions take either, so a caller decides what commits together. */
export type Db = Kysely<Schema>
export type DialectName = 'sqlite' | 'postgres'

export interface Database {
  db: Db
  dialect: DialectName
  /** As it was opened; carries the password, so never logged or shown. LISTEN needs a connection of its own. */
  url: string
  close(): Promise<void>
}

/**
 * `sqlite:PATH`, `sqlite::memory:` or `postgres://…`. Opens and proves the connection; does not migrate.
 * Throws `invalid` for another kind of url, `upstream` when the database cannot be reached or opened.
 */
export async function openDatabase(url: string): Promise<Database> {
  if (url.startsWith('sqlite:')) {
    const db = openSqlite(url.slice('sqlite:'.length))
    return { db, dialect: 'sqlite', url, close: () => db.destroy() }
  }
  if (/^postgres(ql)?:\/\//.test(url)) return await openPostgres(url)
  throw new AppError('invalid', 'The database URL must begin with sqlite: or postgres://.', {
    remedy: 'For example sqlite:./quayside.db or postgres://user:password@host:5432/quayside.'
  })
}

/** For the few statements that differ; works on a transaction too. */
export function dialectOf(db: Db): DialectName {
  return db.getExecutor().adapter instanceof PostgresAdapter ? 'postgres' : 'sqlite'
}

/** True for a broken unique key or primary key on either database. */
export function isUniqueViolation(error: unknown): boolean {
  if (error instanceof Sqlite.SqliteError) return error.code === 'SQLITE_CONSTRAINT_UNIQUE' || error.code === 'SQLITE_CONSTRAINT_PRIMARYKEY'
  return error instanceof pg.DatabaseError && error.code === '23505'
}

const int8 = pg.types.builtins.INT8

async function openPostgres(url: string): Promise<Database> {
  const pool = new pg.Pool({
    connectionString: url,
    max: 10,
    connectionTimeoutMillis: 10_000,
    application_name: 'quayside',
    // int8 arrives as text by default. All of ours are counters, ids and milliseconds, far below 2^53.
    types: {
      getTypeParser: (oid, format) => (oid === int8 ? Number : pg.types.getTypeParser(oid, format))
    }
  })
  // An idle connection that the server drops emits here; without a listener it would end the process. The pool replaces it.
  pool.on('error', () => {})
  const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) })
  try {
    const client = await pool.connect()
    client.release()
  } catch (cause) {
    await db.destroy()
    await pool.end().catch(() => {})
    throw new AppError('upstream', 'PostgreSQL cannot be reached or refused the login.', {
      cause,
      remedy: 'Check host, port, user, password and database name in the database URL.'
    })
  }
  return { db, dialect: 'postgres', url, close: () => db.destroy() }
}
