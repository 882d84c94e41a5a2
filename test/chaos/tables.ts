// The outside world of a seed: one database that is the source of the inbound sync and the destination of the outbound ones, of the
// same kind as Quayside's own. Reads and writes with the system's own driver and asks nobody of ours.
import { join } from 'node:path'
import BetterSqlite from 'better-sqlite3'
import pg from 'pg'
import type { Fields } from './model.ts'

export interface Tables {
  settings: Record<string, string | number>
  secrets: Record<string, string>
  /** Every row of a table; none when there is no such table yet. */
  rows(table: string): Promise<Record<string, unknown>[]>
  /** Writes the source's record of that code; null removes it. */
  keep(code: string, record: Fields | null): Promise<void>
  close(): Promise<void>
}

export const sourceTable = 'countries'
const columns = ['code', 'title', 'capital', 'region', 'area', 'independent']
const makeSource = `create table ${sourceTable} (code text primary key, title text, capital text, region text, area double precision, independent boolean)`

export async function openSqliteTables(filesDirectory: string): Promise<Tables> {
  const file = 'outside.db'
  const database = new BetterSqlite(join(filesDirectory, file))
  database.pragma('journal_mode = WAL')
  database.exec(makeSource)
  const put = database.prepare(`insert or replace into ${sourceTable} values (${columns.map(() => '?').join(', ')})`)
  const remove = database.prepare(`delete from ${sourceTable} where code = ?`)
  return await Promise.resolve({
    settings: { system: 'sqlite', file },
    secrets: {},
    rows(table) {
      const known = database.prepare(`select 1 from sqlite_master where type = 'table' and name = ?`).get(table)
      return Promise.resolve(known ? (database.prepare(`select * from "${table}"`).all() as Record<string, unknown>[]) : [])
    },
    keep(code, record) {
      if (record === null) remove.run(code)
      else put.run(...columns.map(name => asSqlite(record[name])))
      return Promise.resolve()
    },
    close() {
      database.close()
      return Promise.resolve()
    }
  })
}

/** `url`: an empty database of its own. */
export async function openPostgresTables(url: string): Promise<Tables> {
  const pool = new pg.Pool({ connectionString: url, max: 2 })
  pool.on('error', () => {})
  await pool.query(makeSource)
  const { hostname, port, pathname, username, password } = new URL(url)
  return {
    settings: { system: 'postgres', host: hostname, port: Number(port), database: pathname.slice(1), user: username },
    secrets: { password },
    async rows(table) {
      const { rows: known } = await pool.query('select 1 from information_schema.tables where table_name = $1', [table])
      return known.length > 0 ? (await pool.query<Record<string, unknown>>(`select * from "${table}"`)).rows : []
    },
    async keep(code, record) {
      await pool.query(`delete from ${sourceTable} where code = $1`, [code])
      if (record === null) return
      const places = columns.map((_, index) => `$${index + 1}`).join(', ')
      await pool.query(
        `insert into ${sourceTable} values (${places})`,
        columns.map(name => record[name] ?? null)
      )
    },
    close: () => pool.end()
  }
}

const asSqlite = (value: string | number | boolean | undefined) => (typeof value === 'boolean' ? Number(value) : (value ?? null))
