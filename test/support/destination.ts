// The system that an outbound sync fills in a flow, of the same kind as the server's own database: what to connect to, and a
// look into its tables that asks nobody of ours.
import { join } from 'node:path'
import BetterSqlite from 'better-sqlite3'
import pg from 'pg'
import type { NewConnection, Sync } from '../../server/http/contract/stack.ts'
import { until } from '../../sandbox/demo/admin.ts'
import type { Stack } from '../../sandbox/world/model.ts'
import { freshPostgres } from './databases.ts'
import type { Flow } from './flow.ts'

export interface Destination {
  connection: NewConnection
  /** Every row of a table; none when there is no such table yet. */
  rows(table: string): Promise<Record<string, unknown>[]>
  /** Somebody meddles with the database. */
  removeRow(table: string, entryUid: string): Promise<void>
  close(): Promise<void>
}

export async function openDestination(flow: Flow): Promise<Destination> {
  return flow.dialect === 'sqlite' ? sqliteDestination(flow) : await postgresDestination()
}

function sqliteDestination({ filesDirectory }: Flow): Destination {
  const file = 'website.db'
  return {
    connection: { connector: 'sql', name: 'Website database', settings: { system: 'sqlite', file }, secrets: {} },
    async rows(table) {
      const database = new BetterSqlite(join(filesDirectory, file))
      try {
        const known = database.prepare(`select 1 from sqlite_master where type = 'table' and name = ?`).get(table)
        return known ? (database.prepare(`select * from "${table}"`).all() as Record<string, unknown>[]) : []
      } finally {
        database.close()
      }
    },
    removeRow(table, entryUid) {
      const database = new BetterSqlite(join(filesDirectory, file))
      database.prepare(`delete from "${table}" where entry_uid = ?`).run(entryUid)
      database.close()
      return Promise.resolve()
    },
    close: () => Promise.resolve()
  }
}

async function postgresDestination(): Promise<Destination> {
  const { url, cleanup } = await freshPostgres('template0')
  const { hostname, port, pathname, username, password } = new URL(url)
  const pool = new pg.Pool({ connectionString: url, max: 2 })
  const settings = { system: 'postgres', host: hostname, port: Number(port), database: pathname.slice(1), user: username }
  return {
    connection: { connector: 'sql', name: 'Website database', settings, secrets: { password } },
    async rows(table) {
      const { rows: known } = await pool.query('select 1 from information_schema.tables where table_name = $1', [table])
      return known.length > 0 ? (await pool.query<Record<string, unknown>>(`select * from "${table}"`)).rows : []
    },
    async removeRow(table, entryUid) {
      await pool.query(`delete from "${table}" where entry_uid = $1`, [entryUid])
    },
    async close() {
      await pool.end()
      await cleanup()
    }
  }
}

/** What the stack holds and the database does not, and the other way round; [] = the database equals the stack. */
export async function differences(stack: Stack, syncs: readonly Sync[], { rows }: Destination): Promise<string[]> {
  const found: string[] = []
  for (const sync of syncs) {
    const wanted = new Map(recordsOf(stack, sync.contentType))
    const have = await rows(sync.target)
    const met = new Set<string>()
    for (const row of have) {
      const key = `${String(row['entry_uid'])}:${String(row['locale'])}`
      const is = `version ${String(row['version'])}, "${String(row['title'])}"`
      if (met.has(key)) found.push(`${sync.target}: ${key} stands there twice`)
      met.add(key)
      const should = wanted.get(key)
      if (should === undefined) found.push(`${sync.target}: ${key} has no entry`)
      else if (should !== is) found.push(`${sync.target}: ${key} is ${is}, in the stack ${should}`)
    }
    for (const key of wanted.keys()) if (!met.has(key)) found.push(`${sync.target}: ${key} is missing`)
  }
  return found
}

/** Until nothing but `except` differs. Throws Error naming what does. */
export async function becomesEqual(
  stack: Stack,
  syncs: readonly Sync[],
  destination: Destination,
  seconds: number,
  except: string[] = []
): Promise<void> {
  let last: string[] = []
  try {
    await until(
      'the database to equal the stack',
      async () => {
        last = (await differences(stack, syncs, destination)).filter(difference => !except.includes(difference))
        return last.length === 0 ? true : null
      },
      seconds
    )
  } catch (cause) {
    throw new Error(
      `The database does not equal the stack after ${seconds} s, ${last.length} differences: ${last.slice(0, 5).join('; ')}`,
      { cause }
    )
  }
}

function* recordsOf(stack: Stack, contentType: string): Generator<[key: string, words: string]> {
  for (const entry of Object.values(stack.entries['main']?.[contentType] ?? {})) {
    for (const [locale, { versions }] of Object.entries(entry.locales)) {
      const last = versions.at(-1)
      yield [`${entry.uid}:${locale}`, `version ${last?.version}, "${String(last?.fields['title'])}"`]
    }
  }
}
