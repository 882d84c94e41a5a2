// SQLite in a file under the operator's directory. A session lives for one call of the connector: nothing stays open, so a
// file can be moved or deleted between two calls. better-sqlite3 works in our own thread: statements are kept small.
import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import Sqlite from 'better-sqlite3'
import type { ConnectorContext } from '../connector.ts'
import { BadValue, missingRelation, type Session, trouble } from './session.ts'
import type { SqliteSettings } from './settings.ts'

/** A waiting writer blocks our thread, so it waits briefly; the engine retries. */
const busyMilliseconds = 500

/** Opens, works, closes. With `create` a missing file is made, otherwise AppError invalid. */
export async function withSqlite<T>(
  settings: SqliteSettings,
  ctx: ConnectorContext,
  create: boolean,
  work: (session: Session) => Promise<T>
): Promise<T> {
  ctx.signal.throwIfAborted()
  const path = ctx.file(settings.file)
  const place = `SQLite file ${settings.file}`
  if (!existsSync(path)) {
    if (!create)
      throw trouble('invalid', place, 'does not exist.', "Check the name; it is looked up under the operator's directory.", undefined)
    mkdirSync(dirname(path), { recursive: true })
  }
  let database: Sqlite.Database
  try {
    database = new Sqlite(path, { timeout: busyMilliseconds })
    database.pragma('journal_mode = WAL')
    database.pragma('synchronous = NORMAL')
  } catch (error) {
    throw translate(error, place)
  }
  try {
    return await work({
      system: 'sqlite',
      place,
      async query(sql, parameters = []) {
        ctx.signal.throwIfAborted()
        try {
          const statement = database.prepare(sql)
          // Integers beyond 2^53 must not be rounded, or a keyset would miss rows.
          return statement.reader
            ? (statement.safeIntegers(true).all(...parameters) as Record<string, unknown>[])
            : (statement.run(...parameters), [])
        } catch (error) {
          throw translate(error, place)
        }
      }
    })
  } finally {
    database.close()
  }
}

function translate(error: unknown, place: string): Error {
  if (!(error instanceof Error)) return trouble('upstream', place, 'failed.', 'Try again.', error)
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (/^SQLITE_(CONSTRAINT|MISMATCH|TOOBIG|RANGE)/.test(code) || error instanceof TypeError || error instanceof RangeError)
    return new BadValue(error.message, { cause: error })
  if (code === 'SQLITE_NOTADB' || code === 'SQLITE_CORRUPT')
    return trouble('invalid', place, 'is not a SQLite database.', 'Name another file.', error)
  if (code === 'SQLITE_CANTOPEN' || code === 'SQLITE_READONLY' || code === 'SQLITE_PERM' || code === 'SQLITE_AUTH') {
    return trouble('forbidden', place, 'cannot be opened for writing.', 'Check the permissions of the file and its directory.', error)
  }
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED'))
    return trouble('upstream', place, 'is locked by another program.', 'Close what holds it open for long; we try again.', error)
  if (code.startsWith('SQLITE_FULL') || code.startsWith('SQLITE_IOERR'))
    return trouble('upstream', place, 'cannot be written: the disk is full or failing.', 'Free some space.', error)
  if (/no such (table|column)|has no column/.test(error.message)) return missingRelation(place, error)
  return trouble('upstream', place, `failed: ${error.message}`, 'Look at the file with the sqlite3 command.', error)
}
