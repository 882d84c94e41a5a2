// A record turned into the fields of an entry, in the shapes that the CMA takes on writes, and the comparison of those with
// what it gives back on reads: the two differ. Pure; a value that does not fit its field stops its record alone.
import type { Scalar, SourceRecord } from '../connectors/connector.ts'
import type { ContentType, Entry, SchemaField } from '../contentstack/stack.ts'
import { AppError } from '../errors.ts'
import { canonicalText, hashOf } from './canonical.ts'
import type { Mapping } from './mapping.ts'

export type EntryFields = Record<string, unknown>

/** Over all that an entry is made of: equal hashes mean that nothing has to be done. */
export function recordHash(record: SourceRecord, mapping: readonly Mapping[]): string {
  return hashOf([record.key, mapping.map(row => record.values[row.from] ?? null)])
}

/** AppError invalid with the field's name for a value that does not fit, or a required one that is empty. */
export function recordFields(record: SourceRecord, mapping: readonly Mapping[], contentType: ContentType): EntryFields {
  const fields: EntryFields = {}
  for (const row of mapping) {
    const field = contentType.schema.find(candidate => candidate.uid === row.to)
    const value = record.values[row.from] ?? null
    if ((value === null || value === '') && row.required)
      throw new AppError('invalid', `The column "${row.from}" is empty, but the field ${row.to} requires it.`)
    fields[row.to] = field ? fieldValue(row, field, value) : tags(value)
  }
  return fields
}

/** Whether an entry as read already holds these fields. */
export function holds(entry: Entry, fields: EntryFields, contentType: ContentType): boolean {
  return canonicalText(projected(fields, fields, contentType)) === canonicalText(projected(entry, fields, contentType))
}

/** The stack hash: over the returned entry, projected on what was written. */
export function projectionHash(entry: Entry, fields: EntryFields, contentType: ContentType): string {
  return hashOf(projected(entry, fields, contentType))
}

function projected(of: Record<string, unknown>, fields: EntryFields, contentType: ContentType): unknown[] {
  return Object.keys(fields)
    .sort()
    .map(uid => [
      uid,
      written(
        contentType.schema.find(field => field.uid === uid),
        of[uid]
      )
    ])
}

/** A value as read, brought back to the shape in which it is written. */
function written(field: SchemaField | undefined, value: unknown): unknown {
  if (value === null || value === undefined || value === '') return null
  if (Array.isArray(value)) return value.length === 0 ? null : value.map(item => written(field, item))
  if (field?.data_type === 'isodate' && typeof value === 'string')
    return Number.isNaN(Date.parse(value)) ? value : new Date(value).toISOString()
  if (typeof value !== 'object') return value
  const object = value as Record<string, unknown>
  if (field?.data_type === 'file') return object['uid'] ?? null
  if (field?.data_type === 'reference') return { uid: object['uid'], _content_type_uid: object['_content_type_uid'] }
  const { _metadata: _, ...rest } = object
  return rest
}

function fieldValue(row: Mapping, field: SchemaField, value: Scalar): unknown {
  if (value === null) return field.multiple === true ? [] : null
  if (field.multiple === true && field.data_type !== 'reference') {
    const items = listOf(value)
    return items.map(item => one(row, field, item))
  }
  return one(row, field, value)
}

function one(row: Mapping, field: SchemaField, value: unknown): unknown {
  const refuse = (what: string): AppError =>
    new AppError(
      'invalid',
      `The column "${row.from}" holds ${JSON.stringify(value)?.slice(0, 60)}, which is no ${what} for the field ${row.to}.`
    )
  switch (field.data_type) {
    case 'text':
      return typeof value === 'string' ? value : JSON.stringify(value)
    case 'number': {
      const number = typeof value === 'string' && value.trim() === '' ? Number.NaN : Number(value)
      if (!Number.isFinite(number)) throw refuse('number')
      return number
    }
    case 'boolean':
      if (value === true || value === 1 || value === 'true' || value === '1') return true
      if (value === false || value === 0 || value === 'false' || value === '0') return false
      throw refuse('boolean')
    case 'isodate': {
      const at = typeof value === 'string' || typeof value === 'number' ? new Date(value).getTime() : Number.NaN
      if (Number.isNaN(at)) throw refuse('date')
      return new Date(at).toISOString()
    }
    case 'file':
      if (typeof value !== 'string' || !/^[\w-]{1,200}$/.test(value)) throw refuse("asset's uid")
      return value
    case 'link':
      return typeof value === 'string' && !value.startsWith('{') ? { title: '', href: value } : json(value, refuse)
    case 'reference':
      return referencesOf(field, value, refuse)
    default:
      return json(value, refuse)
  }
}

function referencesOf(field: SchemaField, value: unknown, refuse: (what: string) => AppError): unknown {
  const target = Array.isArray(field.reference_to) ? field.reference_to[0] : field.reference_to
  return listOf(value as Scalar).map(item => {
    if (typeof item === 'string' && item !== '') return { uid: item, _content_type_uid: target }
    if (item === null || typeof item !== 'object' || !('uid' in item)) throw refuse('reference')
    const named = '_content_type_uid' in item ? item._content_type_uid : 'content_type' in item ? item.content_type : target
    return { uid: item.uid, _content_type_uid: named }
  })
}

/** JSON arrays as they are, anything else as a list of one. */
function listOf(value: Scalar): unknown[] {
  if (value === null || value === '') return []
  if (typeof value === 'string' && value.startsWith('[')) {
    try {
      const items: unknown = JSON.parse(value)
      if (Array.isArray(items)) return items
    } catch {
      // Text that happens to begin like a list.
    }
  }
  return [value]
}

function tags(value: Scalar): string[] {
  return listOf(value)
    .flatMap(item => (typeof item === 'string' ? item.split(',') : [String(item)]))
    .map(tag => tag.trim())
    .filter(tag => tag !== '')
}

function json(value: unknown, refuse: (what: string) => AppError): unknown {
  if (typeof value !== 'string') return value
  try {
    return JSON.parse(value)
  } catch {
    throw refuse('JSON')
  }
}
