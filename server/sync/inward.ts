// A record turned into the fields of an entry, in the shapes that the CMA takes on writes, and the comparison of those with
// what it gives back on reads: the two differ. Pure; a value that does not fit its field stops its record alone.
import type { Field, Scalar, SourceRecord } from '../connectors/connector.ts'
import type { ContentType, Entry, SchemaField } from '../contentstack/stack.ts'
import { AppError } from '../errors.ts'
import { canonicalText, hashOf } from './canonical.ts'
import { allMapped, type Computed, computedValue, type MappedRow, mapRow, nothingComputed } from './computed.ts'
import { fieldValue, isEmpty, tagsValue } from './inward-value.ts'
import { computes, type Mapping } from './mapping.ts'

export type EntryFields = Record<string, unknown>

/** Over all that an entry is made of: equal hashes mean that nothing has to be done. An expression may read every column. */
export function recordHash(record: SourceRecord, mapping: readonly Mapping[]): string {
  const mapped = mapping.map(row => (row.from === undefined ? null : (record.values[row.from] ?? null)))
  return hashOf(computes(mapping) ? [record.key, mapped, record.values] : [record.key, mapped])
}

/** What an expression reads: every column, structured ones as what they hold. */
export function recordInput({ values }: SourceRecord, columns: readonly Field[]): Record<string, unknown> {
  return Object.fromEntries(columns.map(({ name, type }) => [name, type === 'json' ? structured(values[name]) : (values[name] ?? null)]))
}

function structured(value: Scalar | undefined): unknown {
  if (typeof value !== 'string') return value ?? null
  try {
    return JSON.parse(value)
  } catch {
    return value
  }
}

/** AppError invalid with the field's name for every value that does not fit, or a required one that is empty. */
export function recordFields(
  record: SourceRecord,
  mapping: readonly Mapping[],
  contentType: ContentType,
  computed: Computed = nothingComputed
): EntryFields {
  return Object.fromEntries(allMapped(recordRows(record, mapping, contentType, computed)))
}

/** Row by row, for those who want to see which one gave what. */
export function recordRows(
  record: SourceRecord,
  mapping: readonly Mapping[],
  contentType: ContentType,
  computed: Computed
): MappedRow<unknown>[] {
  return mapping.map(row => mapRow(row.to, () => rowValue(record, row, contentType, computed)))
}

function rowValue(record: SourceRecord, row: Mapping, contentType: ContentType, computed: Computed): unknown {
  const field = contentType.schema.find(candidate => candidate.uid === row.to)
  if (!field && row.to !== 'tags') throw new AppError('invalid', `${contentType.uid} has no field ${row.to} any more.`)
  const given = row.from === undefined ? computedValue(row, computed) : (record.values[row.from] ?? null)
  const fallen = isEmpty(given) && row.default !== undefined
  const source = row.from === undefined ? 'The expression' : `The column "${row.from}"`
  const place = { says: fallen ? 'The default is' : row.from === undefined ? 'The expression gives' : `${source} holds`, to: row.to }
  const value = fallen ? row.default : given
  const required = row.required === true || field?.mandatory === true
  const empty = (): AppError => new AppError('invalid', `${source} is empty, but the field ${row.to} requires it.`)
  if (required && isEmpty(value)) throw empty()
  const made = field ? fieldValue(place, field, value) : tagsValue(place, value)
  if (required && isEmpty(made)) throw empty()
  return made
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
