// Every test that touches data runs twice: on SQLite in a file and on PostgreSQL, each database fresh, migrated and gone
// afterwards. forEachDatabase opens a describe block per kind; `open` may be called in a hook or in a test, as often as wanted.
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, inject } from 'vitest'
import { type Database, type DialectName, openDatabase } from '../../server/database/database.ts'
import { migrate } from '../../server/database/migrate.ts'
import { administer, databaseUrl } from './postgres.setup.ts'

export type TestDatabase = Database

/** `define` runs once per kind of database. What `open` gave is closed and deleted when the block's tests are done. */
export function forEachDatabase(define: (open: () => Promise<TestDatabase>, dialect: DialectName) => void): void {
  describe.each(['sqlite', 'postgres'] as const)('on %s', dialect => {
    const cleanups: (() => Promise<void>)[] = []
    afterAll(async () => {
      for (const cleanup of cleanups.toReversed()) await cleanup()
    })
    define(async () => {
      const { url, cleanup } = dialect === 'sqlite' ? await freshSqlite() : await freshPostgres()
      const database = await openDatabase(url)
      await migrate(database)
      cleanups.push(async () => {
        // A test may have closed it to play a crash; closing twice is harmless.
        await database.close()
        await cleanup()
      })
      return database
    }, dialect)
  })
}

/** The url of an empty, unmigrated database of its own, and how to be rid of it. */
export async function freshSqlite(): Promise<{ url: string; cleanup: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'quayside-sqlite-'))
  return { url: `sqlite:${join(folder, 'test.db')}`, cleanup: () => rm(folder, { recursive: true, force: true }) }
}

/** A copy of the migrated template, or of `template`: PostgreSQL's own `template0` gives an empty one. */
export async function freshPostgres(template = inject('postgresTemplate')): Promise<{ url: string; cleanup: () => Promise<void> }> {
  const server = inject('postgresUrl')
  const name = `quayside_test_${randomBytes(6).toString('hex')}`
  await administer(server, `create database ${name} template ${template}`)
  return { url: databaseUrl(server, name), cleanup: () => administer(server, `drop database if exists ${name} with (force)`) }
}
