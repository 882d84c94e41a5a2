// Names of tables and columns, made safe for SQL: quoted, at most 63 bytes (PostgreSQL cuts longer ones silently), and never
// colliding where a database folds case (SQLite does for columns). Pure; it knows no connection.
import { createHash } from 'node:crypto'
import { AppError } from '../../errors.ts'

/** The connector's own column: the highest Change.order that a row has taken. */
export const orderColumn = '_order'

/** PostgreSQL, NAMEDATALEN - 1: https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS */
const longestBytes = 63

export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** The name as it stands in the database. AppError invalid for an empty one or one with a NUL byte. */
export function fit(name: string): string {
  if (name === '' || name.includes('\0')) throw new AppError('invalid', `"${name.replaceAll('\0', '\\0')}" cannot be a name in a database.`)
  return Buffer.byteLength(name) <= longestBytes ? name : hashed(name)
}

/** Field name -> column name. Names that differ only by case, or that meet a column of ours, take a hash of themselves. */
export function columnNames(names: readonly string[]): Map<string, string> {
  const sharing = new Map<string, number>([[orderColumn, 1]])
  for (const name of new Set(names)) sharing.set(fold(name), (sharing.get(fold(name)) ?? 0) + 1)
  return new Map(
    names.map(name => [name, sharing.get(fold(name)) === 1 || (name === fold(name) && name !== orderColumn) ? fit(name) : hashed(name)])
  )
}

/** 'schema.table' on PostgreSQL, one name on SQLite. */
export function tableName(target: string, system: 'sqlite' | 'postgres'): string {
  const dot = target.indexOf('.')
  if (system === 'postgres' && dot > 0 && dot < target.length - 1)
    return `${quote(fit(target.slice(0, dot)))}.${quote(fit(target.slice(dot + 1)))}`
  return quote(fit(target))
}

function fold(name: string): string {
  return fit(name).toLowerCase()
}

function hashed(name: string): string {
  const suffix = `_${createHash('sha256').update(name).digest('hex').slice(0, 8)}`
  let cut = ''
  for (const character of name) {
    if (Buffer.byteLength(cut + character) > longestBytes - suffix.length) break
    cut += character
  }
  return cut + suffix
}
