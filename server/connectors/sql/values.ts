// Values between what travels and what a column holds, and the fingerprint of a row: the same whether taken from what was
// pushed or from what the database gives back, on either system. Pure.
import { createHash } from 'node:crypto'
import type { Field, FieldType, FieldValues, Scalar } from '../connector.ts'

export const columnTypes: Record<'sqlite' | 'postgres', Record<FieldType, string>> = {
  // The word TEXT gives the column text affinity (https://sqlite.org/datatype3.html §3.1): JSON `1` must not turn into a number.
  sqlite: { text: 'TEXT', integer: 'INTEGER', number: 'REAL', boolean: 'BOOLEAN', datetime: 'DATETIME TEXT', json: 'JSON TEXT' },
  postgres: { text: 'text', integer: 'bigint', number: 'double precision', boolean: 'boolean', datetime: 'timestamptz', json: 'jsonb' }
}

/** The FieldType of a declared column type. */
export function fieldType(declared: string): FieldType {
  const name = declared.toLowerCase()
  if (name.includes('json')) return 'json'
  if (name.includes('bool')) return 'boolean'
  if (/date|timestamp/.test(name)) return 'datetime'
  if (/\b(tiny|small|medium|big)?int(eger)?\d*\b|serial/.test(name)) return 'integer'
  if (/real|floa|doub|num|dec/.test(name)) return 'number'
  return 'text'
}

/** As a parameter of a statement. */
export function toColumn(value: Scalar | undefined, system: 'sqlite' | 'postgres'): Scalar {
  if (value === undefined) return null
  return system === 'sqlite' && typeof value === 'boolean' ? Number(value) : value
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
  if (type === 'integer' || type === 'number') return typeof value === 'number' ? value : String(value)
  if (type === 'datetime') {
    const at = Date.parse(String(value))
    return Number.isNaN(at) ? String(value) : at
  }
  if (type === 'json') return sorted(parsed(String(value)))
  return String(value)
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
