// Values between what travels and what a column holds, and the fingerprint of a row: the same whether taken from what was
// pushed or from what the database gives back, on either system. Pure.
import { createHash } from 'node:crypto'
import type { Field, FieldType, FieldValues, Scalar } from '../connector.ts'
import { BadValue, type System } from './session.ts'

export const columnTypes: Record<System, Record<FieldType, string>> = {
  // The word TEXT gives the column text affinity (https://sqlite.org/datatype3.html §3.1): JSON `1` must not turn into a number.
  sqlite: { text: 'TEXT', integer: 'INTEGER', number: 'REAL', boolean: 'BOOLEAN', datetime: 'DATETIME TEXT', json: 'JSON TEXT' },
  postgres: { text: 'text', integer: 'bigint', number: 'double precision', boolean: 'boolean', datetime: 'timestamptz', json: 'jsonb' },
  mysql: { text: 'longtext', integer: 'bigint', number: 'double', boolean: 'boolean', datetime: 'datetime(3)', json: 'json' }
}

/** The FieldType of a declared column type. */
export function fieldType(declared: string): FieldType {
  const name = declared.toLowerCase()
  if (name.includes('json')) return 'json'
  // tinyint(1) is what MySQL makes of a boolean.
  if (name.includes('bool') || name === 'tinyint(1)' || name === 'bit(1)') return 'boolean'
  if (/date|timestamp/.test(name)) return 'datetime'
  if (/\b(tiny|small|medium|big)?int(eger)?\d*\b|serial/.test(name)) return 'integer'
  if (/real|floa|doub|num|dec/.test(name)) return 'number'
  return 'text'
}

/** As a parameter of a statement. Throws BadValue for what the system would round instead of refusing it. */
export function toColumn(value: Scalar | undefined, type: FieldType, system: System): Scalar {
  if (value === undefined || value === null) return null
  if (type === 'integer' && typeof value === 'string' && /^[+-]?\d{19,}$/.test(value) && BigInt.asIntN(64, BigInt(value)) !== BigInt(value))
    throw new BadValue(`${value.slice(0, 40)} is too large for a column of whole numbers.`)
  if (system === 'postgres') return value
  if (typeof value === 'boolean') return Number(value)
  if (system === 'sqlite') return value
  if (type === 'integer' && typeof value === 'number' && !Number.isInteger(value)) throw new BadValue(`${value} is no whole number.`)
  return type === 'datetime' ? mysqlDatetime(String(value)) : value
}

/** MySQL reads no zone: UTC as the session has it. What is no date, or beyond its years, goes as it is, to be refused there. */
function mysqlDatetime(text: string): string {
  const at = Date.parse(text)
  const iso = Number.isNaN(at) ? '' : new Date(at).toISOString()
  return /^\d{4}-/.test(iso) ? iso.slice(0, -1).replace('T', ' ') : text
}

/** From a driver's value (PostgreSQL: always text) to what travels. */
export function fromColumn(value: unknown, type: FieldType): Scalar {
  if (value === null || value === undefined) return null
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (type === 'boolean') return value === true || value === 'true' || value === 't' || Number(value) === 1
  if (type === 'integer' || type === 'number') {
    const number = Number(value)
    return Number.isNaN(number) || (typeof value !== 'number' && Number.isInteger(number) && !Number.isSafeInteger(number))
      ? scalarText(value)
      : number
  }
  return typeof value === 'number' ? value : scalarText(value)
}

export function fingerprint(fields: readonly Field[], values: FieldValues): string {
  const parts = fields
    .map(field => [field.name, normal(values[field.name] ?? null, field.type)] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32)
}

function normal(value: Scalar, type: FieldType): unknown {
  if (value === null) return null
  if (type === 'boolean') return value === true || value === 1
  if (type === 'integer' || type === 'number') return normalNumber(value)
  if (type === 'datetime') {
    const at = Date.parse(String(value))
    return Number.isNaN(at) ? String(value) : at
  }
  if (type === 'json') return sorted(parsed(String(value).toWellFormed()))
  // Half a surrogate pair cannot stand in UTF-8: every driver writes U+FFFD for it.
  return String(value).toWellFormed()
}

/** Whole numbers that JavaScript cannot hold travel as text; the others are the same as text or number. */
function normalNumber(value: Scalar): unknown {
  const number = Number(value)
  return typeof value === 'number' || String(number) === value ? number : String(value)
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)])
  )
}

function scalarText(value: unknown): string {
  return typeof value === 'string' ? value : typeof value === 'bigint' ? String(value) : JSON.stringify(value)
}
