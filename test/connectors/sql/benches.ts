// The SQL databases that the connector is proven on, each empty and gone afterwards: SQLite in a file, PostgreSQL, and a MariaDB
// where one runs. What landed is read with the database's own driver, past everything of ours.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { afterEach } from 'vitest'
import type { ConnectorContext } from '../../../server/connectors/connector.ts'
import { connectors } from '../../../server/connectors/index.ts'
import { sqlConnector } from '../../../server/connectors/sql/sql.ts'
import type { SqlSettings } from '../../../server/connectors/sql/settings.ts'
import { AppError } from '../../../server/errors.ts'
import { freshPostgres } from '../../support/databases.ts'
import { freshMariadb } from '../../support/mariadb.ts'
import type { Bench } from '../battery.ts'

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  await sqlConnector.close?.()
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

export interface SqlBench extends Bench {
  settings: SqlSettings
  /** How a moment is written in a statement of the system's own. */
  instant: string
  run(sql: string): Promise<void>
}

export async function openSqliteBench(): Promise<SqlBench> {
  const folder = await mkdtemp(join(tmpdir(), 'quayside-connector-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  const withFile = <T>(work: (database: Sqlite.Database) => T): Promise<T> => {
    const database = new Sqlite(join(folder, 'out.db'))
    try {
      return Promise.resolve(work(database))
    } finally {
      database.close()
    }
  }
  return {
    ...benchOf(),
    settings: { system: 'sqlite', file: 'out.db' },
    unreachable: { system: 'sqlite', file: 'not-a-database.txt' },
    ctx: contextOf({ file: path => join(folder, path === 'not-a-database.txt' ? '.' : path) }),
    poison: { parts: 'x'.repeat(1_000), title: { toString: null } as never },
    secrets: [],
    instant: '2026-01-02T03:04:05.678Z',
    run: sql => withFile(database => void database.exec(sql)),
    rows: target => withFile(database => byKey(database.prepare(`select * from "${target}"`).all() as Record<string, unknown>[])),
    seed: (target, count) =>
      withFile(database => {
        database.exec(`create table "${target}" (id integer primary key, name text, changed_at datetime)`)
        const insert = database.prepare(`insert into "${target}" values (?, ?, ?)`)
        database.transaction(() => {
          for (let index = 0; index < count; index++) insert.run(scattered(index, count), `name ${index}`, moment(index))
        })()
      })
  }
}

export async function openPostgresBench(): Promise<SqlBench> {
  const { url, cleanup } = await freshPostgres('template0')
  cleanups.push(cleanup)
  const { hostname, port, username, password, pathname } = new URL(url)
  const settings: SqlSettings = {
    system: 'postgres',
    host: hostname,
    port: Number(port),
    database: pathname.slice(1),
    user: username,
    ssl: 'off'
  }
  const query = async (sql: string): Promise<Record<string, unknown>[]> => {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    try {
      return (await client.query<Record<string, unknown>>(sql)).rows
    } finally {
      await client.end()
    }
  }
  return {
    ...benchOf(),
    settings,
    unreachable: { ...settings, port: 1 },
    ctx: contextOf({ resolve: () => Promise.resolve('127.0.0.1'), secret: () => Promise.resolve(password) }),
    poison: { amount: 'not a number' },
    secrets: [password],
    instant: '2026-01-02T03:04:05.678Z',
    run: async sql => void (await query(sql)),
    rows: async target => byKey(await query(`select * from "${target}"`)),
    seed: async (target, count) => {
      await query(`create table "${target}" (id integer primary key, name text, changed_at timestamptz)`)
      const rows = Array.from({ length: count }, (_, index) => `(${scattered(index, count)}, 'name ${index}', '${moment(index)}')`)
      await query(`insert into "${target}" values ${rows.join(', ')}`)
    }
  }
}

export async function openMariadbBench(): Promise<SqlBench> {
  const { url, cleanup } = await freshMariadb()
  cleanups.push(cleanup)
  const { hostname, port, username, password, pathname } = new URL(url)
  const settings: SqlSettings = {
    system: 'mysql',
    host: hostname,
    port: Number(port || 3306),
    database: pathname.slice(1),
    user: username,
    ssl: 'off'
  }
  const query = async (sql: string): Promise<Record<string, unknown>[]> => {
    const connection = await mysql.createConnection({ uri: url, timezone: 'Z' })
    try {
      await connection.query("set time_zone = '+00:00'")
      return (await connection.query<mysql.RowDataPacket[]>(sql))[0]
    } finally {
      await connection.end()
    }
  }
  return {
    ...benchOf(),
    settings,
    unreachable: { ...settings, port: 1 },
    ctx: contextOf({ resolve: () => Promise.resolve('127.0.0.1'), secret: () => Promise.resolve(password) }),
    poison: { amount: 'not a number' },
    secrets: [password],
    instant: '2026-01-02 03:04:05.678',
    run: async sql => void (await query(sql)),
    rows: async target => byKey(await query(`select * from \`${target}\``)),
    seed: async (target, count) => {
      await query(`create table \`${target}\` (id integer primary key, name text, changed_at timestamp(3))`)
      const rows = Array.from(
        { length: count },
        (_, index) => `(${scattered(index, count)}, 'name ${index}', '${moment(index).slice(0, -1).replace('T', ' ')}')`
      )
      await query(`insert into \`${target}\` values ${rows.join(', ')}`)
    }
  }
}

function benchOf(): Pick<Bench, 'connector'> {
  return { connector: connectors.find(({ id }) => id === 'sql')! }
}

function contextOf(given: Partial<ConnectorContext>): ConnectorContext {
  return {
    fetch,
    resolve: () => Promise.reject(new AppError('forbidden', 'no host')),
    file: () => {
      throw new AppError('forbidden', 'no file')
    },
    secret: () => Promise.reject(new AppError('not_found', 'no secret')),
    signal: new AbortController().signal,
    ...given
  }
}

function byKey(rows: Record<string, unknown>[]): Map<string, Record<string, unknown>> {
  return new Map(rows.map(row => [String(row['_key']), row]))
}

/** Ids that do not come in insertion order. */
function scattered(index: number, count: number): number {
  return ((index * 7) % count) * 3 + Math.floor((index * 7) / count)
}

/** Several records share each moment. */
function moment(index: number): string {
  return new Date(Date.UTC(2026, 0, 1) + Math.floor(index / 50) * 1000).toISOString()
}
