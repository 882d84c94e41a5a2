// How a column is read and compared on each system, so that a keyset loses no row and a value no digit: what a page ends with goes
// back as the same value of the same type, whatever a driver or JavaScript would have made of it in between. Pure.
import type { Field } from '../connector.ts'
import { quote } from './names.ts'
import type { System } from './session.ts'

/** A column as the database declares it. */
export interface Column extends Field {
  /** 'varchar(20)', 'tinyint(1)' */
  declared: string
}

/** The value that travels. */
export function valueOf(column: Column, system: System): string {
  const name = quote(column.name)
  if (system === 'sqlite') return name
  if (system === 'postgres')
    return column.type === 'datetime'
      ? `to_char(${name}::timestamptz at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`
      : `${name}::text`
  // Legacy tables say "no date" with a date of zeros.
  if (column.type === 'datetime')
    return `concat(left(nullif(date_format(${name}, '%Y-%m-%dT%H:%i:%s.%f'), '0000-00-00T00:00:00.000000'), 23), 'Z')`
  if (column.type === 'boolean') return `(${name} <> 0)`
  // As four bytes 0.1 would come back as 0.10000000149011612.
  return /^float/i.test(column.declared) ? `cast(${name} as char)` : name
}

/** Where a row stands in a keyset. */
export function placeOf(column: Column, system: System): string {
  const name = quote(column.name)
  if (system === 'sqlite') return name
  if (system === 'postgres') return `${name}::text`
  if (isBinary(column)) return `hex(${name})`
  return column.type === 'datetime' ? `cast(${name} as char)` : name
}

/** The parameter that stands for such a place. MySQL would compare a number and a text as floating point. */
export function placeMark(column: Column, system: System): string {
  if (system !== 'mysql') return '?'
  if (isBinary(column)) return 'unhex(?)'
  if (column.type === 'datetime') return 'cast(? as datetime(6))'
  if (column.type === 'integer') return 'cast(? as decimal(20, 0))'
  return /^(decimal|numeric)/i.test(column.declared) ? 'cast(? as decimal(65, 30))' : '?'
}

function isBinary({ declared }: Column): boolean {
  return /^(var)?binary/i.test(declared)
}
