import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import pg from 'pg'
import { afterEach, describe, expect, it } from 'vitest'
import { connectors } from '../../../server/connectors/index.ts'
import type { ConnectorContext, Shape } from '../../../server/connectors/connector.ts'
import { closePools } from '../../../server/connectors/sql/postgres.ts'
import { sqlConnector } from '../../../server/connectors/sql/sql.ts'
import type { SqlSettings } from '../../../server/connectors/sql/settings.ts'
import { AppError } from '../../../server/errors.ts'
import { freshPostgres } from '../../support/databases.ts'
import { type Bench, change, collect, connectorBattery, destination } from '../battery.ts'

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  await closePools()
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

interface SqlBench extends Bench {
  settings: SqlSettings
  run(sql: string): Promise<void>
}

async function openSqliteBench(): Promise<SqlBench> {
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

async function openPostgresBench(): Promise<SqlBench> {
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
    run: async sql => void (await query(sql)),
    rows: async target => byKey(await query(`select * from "${target}"`)),
    seed: async (target, count) => {
      await query(`create table "${target}" (id integer primary key, name text, changed_at timestamptz)`)
      const rows = Array.from({ length: count }, (_, index) => `(${scattered(index, count)}, 'name ${index}', '${moment(index)}')`)
      await query(`insert into "${target}" values ${rows.join(', ')}`)
    }
  }
}

connectorBattery('SQLite', openSqliteBench)
connectorBattery('PostgreSQL', openPostgresBench)

describe.each([
  ['SQLite', openSqliteBench],
  ['PostgreSQL', openPostgresBench]
] as const)('tables in %s', (_, open) => {
  it('survives hostile names of tables, columns and keys', async () => {
    const bench = await open()
    const long = 'field_'.repeat(20)
    const names = [
      'Title',
      'title',
      'select',
      'a"b',
      "c'd; drop table x",
      'what?',
      'per%cent',
      'ümläut',
      'with space',
      '_order',
      `${long}one`,
      `${long}two`,
      '$1'
    ]
    const shape: Shape = { target: 'odd "table" ?; --', key: '_key', fields: names.map(name => ({ name, type: 'text' })) }
    await sqlConnector.prepare?.(shape, bench.settings, bench.ctx)
    const values = Object.fromEntries(names.map(name => [name, `value of ${name}`]))
    const outcomes = await sqlConnector.push?.(shape, [{ key: 'k\'1"?', values, order: 1 }], bench.settings, bench.ctx)
    expect(outcomes).toMatchObject([{ status: 'written' }])
    expect(await collect(sqlConnector.list!(shape, bench.settings, bench.ctx))).toEqual([
      { key: 'k\'1"?', fingerprint: outcomes?.[0]?.fingerprint }
    ])
  })

  it('never writes into a table that it did not make', async () => {
    const bench = await open()
    await bench.run('create table article (_key text primary key, title text)')
    await expect(sqlConnector.prepare?.(destination, bench.settings, bench.ctx)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('article')
    })
  })

  it('says which table went missing under a running sync', async () => {
    const bench = await open()
    await sqlConnector.prepare?.(destination, bench.settings, bench.ctx)
    await bench.run('drop table article')
    await expect(sqlConnector.push?.(destination, [change('a', 1)], bench.settings, bench.ctx)).rejects.toMatchObject({
      code: 'upstream',
      message: expect.stringContaining('article')
    })
  })

  it('reads column types and the primary key of a source', async () => {
    const bench = await open()
    await bench.run(
      'create table country (cca3 varchar(3) primary key, name text, area double precision, independent boolean, people bigint, seen timestamp)'
    )
    expect(await sqlConnector.fields?.('country', bench.settings, bench.ctx)).toEqual([
      { name: 'cca3', type: 'text', key: true },
      { name: 'name', type: 'text' },
      { name: 'area', type: 'number' },
      { name: 'independent', type: 'boolean' },
      { name: 'people', type: 'integer' },
      { name: 'seen', type: 'datetime' }
    ])
  })

  it('carries values of each type out of a source', async () => {
    const bench = await open()
    await bench.run('create table t (id text primary key, n bigint, big bigint, f real, b boolean, at timestamp)')
    await bench.run(
      "insert into t values ('x', 12, 9007199254740993, 1.5, true, '2026-01-02T03:04:05.678Z'), ('y', null, null, null, null, null)"
    )
    const source: Shape = { target: 't', key: 'id', fields: ['n', 'big', 'f', 'b', 'at'].map(name => ({ name, type: 'text' })) }
    const [page] = await collect(sqlConnector.pull!(source, null, bench.settings, bench.ctx))
    expect(page?.records).toEqual([
      { key: 'x', values: { id: 'x', n: 12, big: '9007199254740993', f: 1.5, b: true, at: '2026-01-02T03:04:05.678Z' } },
      { key: 'y', values: { id: 'y', n: null, big: null, f: null, b: null, at: null } }
    ])
  })
})

it.each<[string, (settings: Extract<SqlSettings, { system: 'postgres' }>) => SqlSettings, string, string, RegExp]>([
  ['a wrong password', settings => settings, 'wrong', 'unauthorized', /password/],
  ['an unknown database', settings => ({ ...settings, database: 'nowhere' }), '', 'invalid', /name/],
  ['a closed port', settings => ({ ...settings, port: 1 }), '', 'upstream', /port/]
])('PostgreSQL refuses %s with a remedy', async (_, change, password, code, remedy) => {
  const bench = await openPostgresBench()
  const settings = change(bench.settings as Extract<SqlSettings, { system: 'postgres' }>)
  const ctx = password === '' ? bench.ctx : { ...bench.ctx, secret: () => Promise.resolve(password) }
  await expect(sqlConnector.check(settings, ctx)).rejects.toMatchObject({ code, remedy: expect.stringMatching(remedy) })
})

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
