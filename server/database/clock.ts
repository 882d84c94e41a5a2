// Whose clock counts. Leases, budgets and due times are compared across processes, so on PostgreSQL they follow the server's
// clock; SQLite's processes share one machine and thereby one clock.
import { type RawBuilder, sql } from 'kysely'
import { type Db, dialectOf } from './database.ts'

/** The database's time in milliseconds since 1970. */
export async function databaseNow(db: Db): Promise<number> {
  if (dialectOf(db) === 'sqlite') return Date.now()
  const { rows } = await sql<{ now: number }>`select ${postgresNow} as now`.execute(db)
  return rows[0]!.now
}

/** The database's time as an expression, to spare the round trip of databaseNow. */
export function nowExpression(db: Db): RawBuilder<number> {
  return dialectOf(db) === 'sqlite' ? sql<number>`${Date.now()}` : postgresNow
}

// now() stands still for a whole transaction, and clock_timestamp() moves within a statement, so that no index could be searched by it.
const postgresNow = sql<number>`(extract(epoch from statement_timestamp()) * 1000)::bigint`
