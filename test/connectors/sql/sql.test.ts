import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import type { Shape } from '../../../server/connectors/connector.ts'
import { sqlConnector } from '../../../server/connectors/sql/sql.ts'
import type { SqlSettings } from '../../../server/connectors/sql/settings.ts'
import { findMariadb } from '../../support/mariadb.ts'
import { change, collect, connectorBattery, destination } from '../battery.ts'
import { openMariadbBench, openPostgresBench, openSqliteBench } from './benches.ts'

const mariadb = await findMariadb()

const lacks = { throttle: 'a database asks nobody to wait' }
connectorBattery('SQLite', openSqliteBench, lacks)
connectorBattery('PostgreSQL', openPostgresBench, lacks)
describe.skipIf(mariadb === null)('where a MariaDB runs', () => {
  connectorBattery('MariaDB', openMariadbBench, lacks)
})

const systems = [
  ['SQLite', openSqliteBench],
  ['PostgreSQL', openPostgresBench],
  ...(mariadb === null ? [] : [['MariaDB', openMariadbBench] as const])
] as const

describe.each(systems)('tables in %s', (_, open) => {
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
      'emoji 🐎',
      'emoji ',
      'İ',
      'i',
      '\u212a',
      'k',
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
    await bench.run('create table article (_key varchar(100) primary key, title text)')
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
    await bench.run('create table t (id varchar(20) primary key, n bigint, big bigint, f real, b boolean, at timestamp(3) null)')
    await bench.run(`insert into t values ('x', 12, 9007199254740993, 1.5, true, '${bench.instant}'), ('y', null, null, null, null, null)`)
    const source: Shape = { target: 't', key: 'id', fields: ['n', 'big', 'f', 'b', 'at'].map(name => ({ name, type: 'text' })) }
    const [page] = await collect(sqlConnector.pull!(source, null, bench.settings, bench.ctx))
    expect(page?.records).toEqual([
      { key: 'x', values: { id: 'x', n: 12, big: '9007199254740993', f: 1.5, b: true, at: '2026-01-02T03:04:05.678Z' } },
      { key: 'y', values: { id: 'y', n: null, big: null, f: null, b: null, at: null } }
    ])
  })
})

type Server = Exclude<SqlSettings, { system: 'sqlite' }>

const refusals: [string, (settings: Server) => SqlSettings, string, string, RegExp][] = [
  ['a wrong password', settings => settings, 'wrong', 'unauthorized', /password/],
  ['a user it does not know', settings => ({ ...settings, user: 'nobody' }), 'wrong', 'unauthorized', /user/i],
  ['an unknown database', settings => ({ ...settings, database: 'nowhere' }), '', 'invalid|forbidden', /name|right/],
  ['TLS that it does not speak', settings => ({ ...settings, ssl: 'require' }), '', 'invalid', /TLS/],
  ['a closed port', settings => ({ ...settings, port: 1 }), '', 'upstream', /port/]
]

describe.each(systems.filter(([name]) => name !== 'SQLite'))('%s refuses', (_, open) => {
  it.each(refusals)('%s with a remedy, and never repeats the password', async (_what, turn, password, code, remedy) => {
    const bench = await open()
    const real = await bench.ctx.secret('password')
    const ctx = password === '' ? bench.ctx : { ...bench.ctx, secret: () => Promise.resolve(password) }
    const error = await sqlConnector.check(turn(bench.settings as Server), ctx).catch((error: unknown) => error)
    expect(error).toMatchObject({ code: expect.stringMatching(`^(${code})$`), remedy: expect.stringMatching(remedy) })
    // The cause goes to the log.
    expect(inspect(error, { depth: 8 })).not.toContain(password || real)
  })
})

describe.skipIf(mariadb === null)('MariaDB', () => {
  it('goes on with another connection when the server has ended the one that was kept', async () => {
    const bench = await openMariadbBench()
    await sqlConnector.prepare?.(destination, bench.settings, bench.ctx)
    await bench.run(
      "begin not atomic for own in (select id from information_schema.processlist where user = substring_index(current_user(), '@', 1) and id <> connection_id()) do kill own.id; end for; end"
    )
    expect(await sqlConnector.push?.(destination, [change('a', 1)], bench.settings, bench.ctx)).toMatchObject([{ status: 'written' }])
  })

  it('stands a record aside that meets a unique index of somebody else, and leaves that row as it was', async () => {
    const bench = await openMariadbBench()
    await sqlConnector.prepare?.(destination, bench.settings, bench.ctx)
    await bench.run('alter table article add unique index somebodys (entry_uid(100))')
    await sqlConnector.push?.(destination, [change('a', 1, { entry_uid: 'one' })], bench.settings, bench.ctx)
    const outcomes = await sqlConnector.push?.(
      destination,
      [change('b', 2, { entry_uid: 'one', title: 'intruder' }), change('c', 2)],
      bench.settings,
      bench.ctx
    )
    expect(outcomes).toMatchObject([
      { key: 'b', status: 'invalid', error: expect.stringContaining('unique index') },
      { key: 'c', status: 'written' }
    ])
    const rows = await bench.rows('article')
    expect([...rows.keys()].sort()).toEqual(['a', 'c'])
    expect(rows.get('a')).toMatchObject({ title: 'Title of a', _order: 1 })
  })

  it('takes what one packet cannot carry in smaller ones, and stands a record aside that none can', async () => {
    const bench = await openMariadbBench()
    await sqlConnector.prepare?.(destination, bench.settings, bench.ctx)
    const large = 'x'.repeat(6 * 1024 * 1024)
    const changes = [
      change('a', 1, { title: large }),
      change('b', 1, { title: large }),
      change('c', 1, { title: large.repeat(20) }),
      change('d', 1)
    ]
    const outcomes = await sqlConnector.push?.(destination, changes, bench.settings, bench.ctx)
    expect(outcomes?.map(({ status }) => status)).toEqual(['written', 'written', 'invalid', 'written'])
  })

  it.each([
    ['numbers beyond what JavaScript holds', 'bigint unsigned', ['9007199254740993', '9007199254740994', '18446744073709551615']],
    ['decimals', 'decimal(30, 10)', ['1.0000000001', '1.0000000002', '12345678901234567890.0000000001']],
    ['bytes', 'binary(2)', ["x'00ff'", "x'0100'", "x'ff00'"]],
    ['texts in a set of one byte', 'varchar(20) character set latin1', ["'a'", "'b'", "'ÿ'"]]
  ])('pages by keys that are %s', async (_, type, literals) => {
    const bench = await openMariadbBench()
    await bench.run(`create table source (id ${type} primary key, name text)`)
    await bench.run(`insert into source values ${literals.map((literal, index) => `(${literal}, 'n${index}')`).join(', ')}`)
    const source: Shape = { target: 'source', key: 'id', fields: [{ name: 'name', type: 'text' }] }
    const [whole] = await collect(sqlConnector.pull!(source, null, bench.settings, bench.ctx))
    expect(whole?.records.map(({ values }) => values['name'])).toEqual(['n0', 'n1', 'n2'])
    for (const [index, record] of (whole?.records ?? []).entries()) {
      const [rest] = await collect(sqlConnector.pull!(source, { key: record.key, cursor: null }, bench.settings, bench.ctx))
      expect(rest?.records.map(({ values }) => values['name'])).toEqual(['n0', 'n1', 'n2'].slice(index + 1))
    }
  })

  it('reads dates in UTC whatever zone the server keeps, and a date of zeros as none', async () => {
    const bench = await openMariadbBench()
    await bench.run('create table t (id integer primary key, stamp timestamp(6) null, day date, plain datetime)')
    await bench.run(
      "set statement time_zone = '+05:00', sql_mode = '' for insert into t values (1, '2026-01-02 03:04:05.678901', '2026-01-02', '0000-00-00')"
    )
    const source: Shape = { target: 't', key: 'id', fields: ['stamp', 'day', 'plain'].map(name => ({ name, type: 'text' })) }
    const [page] = await collect(sqlConnector.pull!(source, null, bench.settings, bench.ctx))
    expect(page?.records).toEqual([
      { key: '1', values: { id: 1, stamp: '2026-01-01T22:04:05.678Z', day: '2026-01-02T00:00:00.000Z', plain: null } }
    ])
  })
})

describe.each(systems.filter(([name]) => name !== 'SQLite'))('a cursor on %s', (_, open) => {
  it('finds a record again that committed late, with a moment before the checkpoint', async () => {
    const bench = await open()
    await bench.seed('source', 60)
    const source: Shape = { target: 'source', key: 'id', fields: [{ name: 'name', type: 'text' }], cursor: 'changed_at' }
    const [page] = await collect(sqlConnector.pull!(source, null, bench.settings, bench.ctx))
    await bench.run("insert into source values (9001, 'late', '2026-01-01 00:00:00.500'), (9002, 'too late', '2025-12-31 23:58:00')")
    const again = await collect(sqlConnector.pull!(source, page?.checkpoint ?? null, bench.settings, bench.ctx))
    const names = again.flatMap(({ records }) => records.map(({ values }) => values['name']))
    expect(names).toContain('late')
    expect(names).not.toContain('too late')
  })

  it('says at once that a table cannot be made with so many columns', async () => {
    const bench = await open()
    const fields = Array.from({ length: 5000 }, (_unused, index) => ({ name: `f${index}`, type: 'integer' as const }))
    await expect(sqlConnector.prepare?.({ ...destination, fields }, bench.settings, bench.ctx)).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining('article'),
      remedy: expect.stringMatching(/fewer/)
    })
  })
})
