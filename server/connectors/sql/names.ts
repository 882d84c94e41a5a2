// Names of tables and columns, made safe for SQL: quoted, at most 63 bytes (PostgreSQL cuts longer ones silently), and never
// colliding where a database folds case (SQLite and MySQL do for columns). Pure; it knows no connection.
import { createHash } from 'node:crypto'
import { AppError } from '../../errors.ts'
import type { System } from './session.ts'

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
  return Buffer.byteLength(name) <= longestBytes ? name : hashed(name, name)
}

/** Field name -> column name. Names that differ only by case, or that meet a column of ours, take a hash of themselves. */
export function columnNames(names: readonly string[], system: System): Map<string, string> {
  const sharing = new Map<string, number>([[orderColumn, 1]])
  for (const name of new Set(names)) sharing.set(fold(name), (sharing.get(fold(name)) ?? 0) + 1)
  return new Map(
    names.map(name => {
      const own = sharing.get(fold(name)) === 1 || (name === fold(name) && name !== orderColumn)
      return [name, own ? spelt(name, system) : hashed(spelt(name, system), name)]
    })
  )
}

/** 'schema.table' on PostgreSQL, 'database.table' on MySQL, one name on SQLite. */
export function tableName(target: string, system: System): string {
  return tableParts(target, system).map(quote).join('.')
}

/** [schema, table] or [table], as they stand in the database. */
export function tableParts(target: string, system: System): string[] {
  const dot = target.indexOf('.')
  if (system !== 'sqlite' && dot > 0 && dot < target.length - 1)
    return [spelt(target.slice(0, dot), system), spelt(target.slice(dot + 1), system)]
  return [spelt(target, system)]
}

/**
 * MySQL keeps names as three-byte UTF-8 and refuses a space at the end: such names take a hash of themselves.
 * https://dev.mysql.com/doc/refman/8.4/en/identifiers.html
 */
function spelt(name: string, system: System): string {
  const fitting = fit(name)
  if (system !== 'mysql') return fitting
  const bare = fitting.replaceAll(/\p{Surrogate}|[^\0-\uFFFF]/gu, '').trimEnd()
  return bare === fitting ? fitting : hashed(bare, name)
}

/** MySQL takes İ and i for one. */
function fold(name: string): string {
  return fit(name).normalize('NFD').replaceAll(/\p{M}/gu, '').toLowerCase()
}

function hashed(name: string, whole: string): string {
  const suffix = `_${createHash('sha256').update(whole).digest('hex').slice(0, 8)}`
  let cut = ''
  for (const character of name) {
    if (Buffer.byteLength(cut + character) > longestBytes - suffix.length) break
    cut += character
  }
  return cut + suffix
}
