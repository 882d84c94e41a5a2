import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { sql } from 'kysely'
import { beforeAll, describe, expect, test } from 'vitest'
import { databaseNow } from '../../server/database/clock.ts'
import { type Db, dialectOf, isUniqueViolation, openDatabase } from '../../server/database/database.ts'
import { newId } from '../../server/database/id.ts'
import { migrate } from '../../server/database/migrate.ts'
import type { Schema } from '../../server/database/schema.ts'
import { forEachDatabase, freshPostgres, freshSqlite, type TestDatabase } from '../support/databases.ts'
import { insertInstallation, insertOrganization } from '../support/rows.ts'

forEachDatabase((open, dialect) => {
  let database: TestDatabase
  let db: Db
  beforeAll(async () => {
    database = await open()
    db = database.db
  })

  test('the migrated database has exactly the tables and columns of the data model', async () => {
    const tables = await db.introspection.getTables()
    const found = Object.fromEntries(
      tables.filter(table => table.name !== 'migration').map(table => [table.name, table.columns.map(column => column.name)])
    )
    expect(found).toEqual(modelOnPaper())
  })

  test('a column that the model calls nullable is nullable in the database, and no other', async () => {
    const tables = await db.introspection.getTables()
    const found = tables
      .filter(table => table.name !== 'migration')
      .flatMap(table => table.columns.filter(column => column.isNullable).map(column => `${table.name}.${column.name}`))
    // SQLite reports an integer primary key as nullable though it never is.
    expect(new Set(found.filter(name => name !== 'job.id'))).toEqual(new Set(nullableOnPaper()))
  })

  test('migrating a migrated database changes nothing', async () => {
    const before = await sql`select * from migration`.execute(db)
    await migrate(database)
    expect((await sql`select * from migration`.execute(db)).rows).toEqual(before.rows)
  })

  test('two processes that migrate an empty database at once both succeed', async () => {
    const fresh = dialect === 'sqlite' ? await freshSqlite() : await freshPostgres('template0')
    const script = `
      import { openDatabase } from '${new URL('../../server/database/database.ts', import.meta.url)}'
      import { migrate } from '${new URL('../../server/database/migrate.ts', import.meta.url)}'
      const database = await openDatabase(process.argv[1])
      await migrate(database)
      await database.close()`
    const migrateElsewhere = async () => await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, fresh.url])
    await Promise.all([migrateElsewhere(), migrateElsewhere()])
    const migrated = await openDatabase(fresh.url)
    expect(await migrated.db.selectFrom('job').selectAll().execute()).toEqual([])
    await migrated.close()
    await fresh.cleanup()
  })

  test('the dialect is known of a database and of a transaction', async () => {
    expect(dialectOf(db)).toBe(dialect)
    expect(await db.transaction().execute(async trx => dialectOf(trx))).toBe(dialect)
  })

  test('numbers come back as numbers, counts too', async () => {
    const row = await insertOrganization(db, { created_at: 1_800_000_000_123 })
    expect(row.created_at).toBe(1_800_000_000_123)
    const { n } = await db
      .selectFrom('organization')
      .select(eb => eb.fn.countAll<number>().as('n'))
      .executeTakeFirstOrThrow()
    expect(n).toBeTypeOf('number')
  })

  test('a broken unique key is told from other errors', async () => {
    const row = await insertOrganization(db)
    const samePrimaryKey = await insertOrganization(db, { id: row.id }).catch(error => error)
    const sameUid = await insertOrganization(db, { organization_uid: row.organization_uid }).catch(error => error)
    const noSuchTable = await sql`select * from nowhere`.execute(db).catch(error => error)
    expect([samePrimaryKey, sameUid, noSuchTable].map(isUniqueViolation)).toEqual([true, true, false])
  })

  test('a row of one tenant cannot refer to an installation of another', async () => {
    const installation = await insertInstallation(db)
    const stranger = await insertOrganization(db)
    const connection = {
      id: newId('con'),
      installation_id: installation.id,
      connector: 'sql',
      name: 'x',
      settings_json: '{}',
      secrets_json: '{}',
      created_at: 0,
      updated_at: 0
    }
    await expect(
      db
        .insertInto('connection')
        .values({ ...connection, organization_id: stranger.id })
        .execute()
    ).rejects.toThrow(/foreign key/i)
    await db
      .insertInto('connection')
      .values({ ...connection, organization_id: installation.organization_id })
      .execute()
  })

  test('text is ordered bytewise', async () => {
    const names = ['a', 'B', '_', 'ä', 'Z', '0']
    for (const name of names) await insertOrganization(db, { region: 'order', name })
    const rows = await db.selectFrom('organization').select('name').where('region', '=', 'order').orderBy('name').execute()
    expect(rows.map(row => row.name)).toEqual(['0', 'B', 'Z', '_', 'a', 'ä'])
  })

  test('a transaction that throws leaves nothing behind', async () => {
    const id = newId('org')
    await expect(
      db.transaction().execute(async trx => {
        await insertOrganization(trx, { id })
        throw new Error('changed my mind')
      })
    ).rejects.toThrow('changed my mind')
    expect(await db.selectFrom('organization').select('id').where('id', '=', id).execute()).toEqual([])
  })

  test('the database clock is near ours', async () => {
    expect(Math.abs((await databaseNow(db)) - Date.now())).toBeLessThan(5_000)
  })

  test('closing twice is harmless', async () => {
    const other = await openDatabase(database.url)
    await other.close()
    await expect(other.close()).resolves.toBeUndefined()
  })
})

describe('SQLite', () => {
  test('every open sets what a durable commit needs', async () => {
    const { url, cleanup } = await freshSqlite()
    await (await openDatabase(url)).close()
    const again = await openDatabase(url)
    const read = async (name: string) =>
      Object.values((await sql.raw<Record<string, unknown>>(`pragma ${name}`).execute(again.db)).rows[0]!)[0]
    expect([await read('journal_mode'), await read('synchronous'), await read('foreign_keys'), await read('busy_timeout')]).toEqual([
      'wal',
      2,
      1,
      10_000
    ])
    await again.close()
    await cleanup()
  })

  test('the outer connection used inside a transaction throws instead of waiting for itself', async () => {
    const database = await openDatabase('sqlite::memory:')
    await migrate(database)
    const { db } = database
    await expect(db.transaction().execute(async () => await db.selectFrom('job').selectAll().execute())).rejects.toThrow(/only trx/)
    await expect(db.transaction().execute(async () => await db.transaction().execute(async () => {}))).rejects.toThrow(/only trx/)
    // What a transaction set going may use the database once the transaction is over.
    let later = Promise.resolve<unknown>(null)
    const { promise: over, resolve } = Promise.withResolvers<void>()
    await db.transaction().execute(async () => {
      later = over.then(async () => await db.selectFrom('job').selectAll().execute())
    })
    resolve()
    expect(await later).toEqual([])
    await database.close()
  })

  test('a transaction takes the write lock at its beginning, so a read before the write cannot go stale', async () => {
    const { url, cleanup } = await freshSqlite()
    const [one, two] = [await openDatabase(url), await openDatabase(url)]
    await migrate(one)
    await sql`pragma busy_timeout = 0`.execute(two.db)
    await one.db.transaction().execute(async trx => {
      await trx.selectFrom('job').selectAll().execute()
      await expect(two.db.transaction().execute(async () => {})).rejects.toThrow(/locked/)
    })
    await Promise.all([one.close(), two.close()])
    await cleanup()
  })
})

describe('openDatabase', () => {
  test.each([
    ['mysql://localhost/x', 'invalid'],
    ['', 'invalid'],
    ['./quayside.db', 'invalid'],
    ['sqlite:/dev/null/place.db', 'upstream'],
    ['sqlite:/proc/no/such/place.db', 'upstream'],
    ['sqlite:/etc/hostname', 'upstream'],
    ['postgres://nobody:s3cret@127.0.0.1:1/nothing', 'upstream']
  ])('refuses %s with code %s and without the password', async (url, code) => {
    const error = await openDatabase(url).catch(error => error)
    expect(error).toMatchObject({ name: 'AppError', code })
    expect(`${error.message} ${error.remedy}`).not.toContain('s3cret')
  })
})

describe('newId', () => {
  test('ids have their prefix, one length, and grow even within one millisecond', () => {
    const ids = Array.from({ length: 5_000 }, () => newId('run'))
    expect(ids.toSorted()).toEqual(ids)
    expect(new Set(ids).size).toBe(5_000)
    expect(ids.every(id => /^run_[0-9a-z]{26}$/.test(id))).toBe(true)
  })
})

// The model is TypeScript and gone at run time, so its pages are read: interface by interface, column by column.
const page = ['schema.ts', 'schema-sync.ts', 'schema-plan.ts']
  .map(name => readFileSync(new URL(`../../server/database/${name}`, import.meta.url), 'utf8'))
  .join('\n')

function columnsOnPaper(): [table: keyof Schema, column: string, type: string][] {
  const tables = [...page.matchAll(/^ {2}(\w+): (\w+Table)$/gm)]
  return tables.flatMap(([, table, type]) => {
    const body = new RegExp(`interface ${type} \\{\\n([\\s\\S]*?)\\n\\}`).exec(page)![1]!
    return [...body.matchAll(/^ {2}(\w+): (.+)$/gm)].map(([, column, columnType]): [keyof Schema, string, string] => [
      table as keyof Schema,
      column!,
      columnType!
    ])
  })
}

function modelOnPaper(): Record<string, string[]> {
  const model: Record<string, string[]> = {}
  for (const [table, column] of columnsOnPaper()) (model[table] ??= []).push(column)
  return model
}

function nullableOnPaper(): string[] {
  return columnsOnPaper()
    .filter(([, , type]) => type.includes('| null'))
    .map(([table, column]) => `${table}.${column}`)
}
