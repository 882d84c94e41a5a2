// SQLite under Kysely, with what Kysely leaves open: write transactions begin immediate, a commit is on the disk when it
// returns, prepared statements are kept, and the outer connection used inside a transaction throws instead of hanging for ever.
import { AsyncLocalStorage } from 'node:async_hooks'
import { existsSync, mkdirSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import Sqlite from 'better-sqlite3'
import {
  CompiledQuery,
  type DatabaseConnection,
  Kysely,
  SqliteDialect,
  type SqliteDialectConfig,
  SqliteDriver,
  type SqliteStatement
} from 'kysely'
import { AppError } from '../errors.ts'
import type { Schema } from './schema.ts'

/** `:memory:` or a path; its folder is made. Throws `upstream` when the file is no database or may not be written. */
export function openSqlite(path: string): Kysely<Schema> {
  const file = openFile(path)
  const statements = new Map<string, SqliteStatement>()
  const prepared = {
    prepare(text: string): SqliteStatement {
      const known = statements.get(text)
      if (known) return known
      const statement = file.prepare(text) as SqliteStatement
      // Lists of parameters make many texts; forgetting all of them now and then is cheaper than ordering them by use.
      if (statements.size >= 500) statements.clear()
      statements.set(text, statement)
      return statement
    },
    close: () => file.close()
  }
  return guardTransactions(new Kysely<Schema>({ dialect: new ImmediateSqliteDialect({ database: prepared }) }))
}

function openFile(path: string): Sqlite.Database {
  try {
    if (path !== ':memory:') makeFolder(dirname(resolve(path)))
    const file = new Sqlite(path)
    file.pragma('busy_timeout = 10000')
    file.pragma('journal_mode = WAL')
    // On every open: a WAL database reopened falls back to NORMAL, where a power cut may take the last commits with it.
    file.pragma('synchronous = FULL')
    file.pragma('foreign_keys = ON')
    return file
  } catch (cause) {
    throw new AppError('upstream', `The SQLite database ${path} cannot be opened.`, {
      cause,
      remedy: 'Check that the folder exists and may be written, and that the file is a SQLite database.'
    })
  }
}

/** Level by level, because Node's recursive mkdir spins for ever under /proc, where a folder exists and may not be added to. */
function makeFolder(folder: string): void {
  const missing: string[] = []
  for (let level = folder; !existsSync(level); level = dirname(level)) missing.unshift(level)
  for (const level of missing) mkdirSync(level)
}

class ImmediateSqliteDriver extends SqliteDriver {
  // A deferred transaction that reads and then writes fails with BUSY_SNAPSHOT at once, in spite of busy_timeout, when another
  // process wrote in between: https://www.sqlite.org/isolation.html
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'))
  }
}

class ImmediateSqliteDialect extends SqliteDialect {
  readonly #config: SqliteDialectConfig
  constructor(config: SqliteDialectConfig) {
    super(config)
    this.#config = config
  }
  override createDriver(): SqliteDriver {
    return new ImmediateSqliteDriver(this.#config)
  }
}

/**
 * There is one connection, held by the transaction under way: whoever asks for it from inside that transaction's callback waits
 * for himself. The callback runs with a mark, and the outer connection refuses to be taken while the mark is up.
 */
function guardTransactions(db: Kysely<Schema>): Kysely<Schema> {
  const inside = new AsyncLocalStorage<{ open: boolean }>()
  const refuseInside = () => {
    if (inside.getStore()?.open)
      throw new Error('db was used inside a transaction, where only trx may be used: on SQLite this would wait for itself')
  }
  const begin = db.transaction.bind(db)
  db.transaction = () => {
    refuseInside()
    const builder = begin()
    const execute = builder.execute.bind(builder)
    builder.execute = async callback => {
      const mark = { open: true }
      return await execute(async trx => {
        try {
          return await inside.run(mark, async () => await callback(trx))
        } finally {
          mark.open = false
        }
      })
    }
    return builder
  }
  const executor = db.getExecutor()
  const provide = executor.provideConnection.bind(executor)
  executor.provideConnection = async (consumer, options) => {
    refuseInside()
    return await provide(consumer, options)
  }
  return db
}
