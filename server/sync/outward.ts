// An entry turned into the row of a table. Rich text becomes readable, references and files become what they point at, nested
// values follow their schema all the way down. Pure; a value that does not fit its field stops its record alone.
import type { FieldType, FieldValues, Scalar, Shape } from '../connectors/connector.ts'
import type { Entry, SchemaField } from '../contentstack/stack.ts'
import { AppError } from '../errors.ts'
import { hashOf, isAsset, readAsset } from './canonical.ts'
import { allMapped, type Computed, computedValue, type MappedRow, mapRow, nothingComputed } from './computed.ts'
import { computes, findSource, isRichText, keyColumn, type Mapping, ownColumns, type Source } from './mapping.ts'
import { richTextHtml, richTextPlain } from './richtext.ts'

/** The table of an outbound sync. */
export function outboundShape(table: string, mapping: readonly Mapping[]): Shape {
  return { target: table, key: keyColumn, fields: [...ownColumns, ...mapping.map(row => ({ name: row.to, type: row.type }))] }
}

export function destinationKey(entryUid: string, locale: string): string {
  return `${entryUid}:${locale}`
}

/** Over all that a row is made of, before it is made: equal hashes mean that nothing has to be done. */
export function entryHash(entry: Entry, mapping: readonly Mapping[]): string {
  return hashOf([entry.uid, entry.locale, entry._version, entry.updated_at, ...projected(entry, mapping)])
}

/** What the rows of the mapping look into: whole top-level fields, and all that an expression may read. */
export function projected(entry: Entry, mapping: readonly Mapping[]): unknown[] {
  const fields = mapping.map(row => (row.from === undefined ? null : entry[row.from.split('.', 1)[0] ?? row.from]))
  return computes(mapping) ? [fields, entryInput(entry)] : [fields]
}

/**
 * What an expression reads of an entry: its fields, and of the platform's own only what changes with them. Publishing and rights
 * do not make an entry another; an asset counts by what it points at, here as in the hash.
 */
export function entryInput(entry: Entry): Record<string, unknown> {
  const kept = Object.entries(entry).filter(([key]) => key === '_version' || !(key.startsWith('_') || volatile.has(key)))
  return Object.fromEntries(kept.map(([key, value]) => [key, withoutAssets(value)]))
}

const volatile = new Set(['ACL', 'publish_details'])

function withoutAssets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutAssets)
  if (!isObject(value)) return value
  if (isAsset(value)) return readAsset(value)
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withoutAssets(inner)]))
}

/** AppError invalid with the field's name for every value that does not fit, or a required one that is empty. */
export function entryValues(
  entry: Entry,
  mapping: readonly Mapping[],
  schema: readonly SchemaField[],
  computed: Computed = nothingComputed
): FieldValues {
  return {
    entry_uid: entry.uid,
    locale: entry.locale,
    version: entry._version,
    updated_at: datetime('The field "updated_at" holds', entry.updated_at),
    ...Object.fromEntries(allMapped(entryRows(entry, mapping, schema, computed)))
  }
}

/** Row by row, for those who want to see which one gave what. */
export function entryRows(
  entry: Entry,
  mapping: readonly Mapping[],
  schema: readonly SchemaField[],
  computed: Computed
): MappedRow<Scalar>[] {
  return mapping.map(row => mapRow(row.to, () => rowValue(entry, row, schema, computed)))
}

function rowValue(entry: Entry, row: Mapping, schema: readonly SchemaField[], computed: Computed): Scalar {
  const value = row.from === undefined ? expressed(row, computedValue(row, computed)) : carried(entry, row, row.from, schema)
  if (value !== null && value !== '') return value
  if (row.default !== undefined) return defaultValue(row, row.default)
  if (!row.required) return value
  const source = row.from === undefined ? 'The expression' : `The field "${row.from}"`
  throw new AppError('invalid', `${source} is empty, but the column ${row.to} requires it.`)
}

function carried(entry: Entry, row: Mapping, from: string, schema: readonly SchemaField[]): Scalar {
  const source = findSource(schema, from)
  if (!source) throw new AppError('invalid', `The content type has no field "${from}" any more.`)
  return columnValue(row, from, source, valueAt(entry, source.steps))
}

/** Stricter than for fields: nobody means a list where a text should stand, and PostgreSQL keeps no NUL. */
function expressed(row: Mapping, value: unknown): Scalar {
  const says = `The expression for ${row.to} gives`
  const loose = row.type === 'json' || value === null || typeof value !== 'object'
  const whole = row.type !== 'integer' || typeof value !== 'number' || Number.isSafeInteger(value)
  const kept = typeof value !== 'string' || !value.includes('\0')
  if (!loose || !whole || !kept) throw misfit(says, value, row.type)
  return scalar(says, row.type === 'datetime' && typeof value === 'number' ? timeOf(value) : value, row.type)
}

/** Of milliseconds; what is no time at all is left for `scalar` to refuse. */
function timeOf(value: number): unknown {
  return Number.isNaN(new Date(value).getTime()) ? value : new Date(value).toISOString()
}

/** AppError invalid for one that does not fit its column. */
export function defaultValue(row: Pick<Mapping, 'type' | 'to'>, value: NonNullable<Mapping['default']>): Scalar {
  const says = `The default of ${row.to} is`
  if (row.type === 'boolean' && (value === 'true' || value === 'false')) return value === 'true'
  if (row.type === 'integer' && !Number.isSafeInteger(Number(value))) throw misfit(says, value, row.type)
  return scalar(says, value, row.type)
}

function columnValue(row: Mapping, from: string, source: Source, raw: unknown): Scalar {
  if (raw === null || raw === undefined) return null
  if (source.pick) return picked(source, raw)
  const value = source.field ? readable(source.field, raw) : raw
  return scalar(`The field "${from}" holds`, value, row.type)
}

/** `says` begins the sentence in which a value is refused. */
function scalar(says: string, value: unknown, type: FieldType): Scalar {
  if (value === null || value === undefined) return null
  switch (type) {
    case 'json':
      return JSON.stringify(value)
    case 'boolean':
      if (typeof value === 'boolean') return value
      break
    case 'integer':
    case 'number': {
      const number = typeof value === 'number' ? value : typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN
      if (Number.isFinite(number)) return number
      if (value === '') return null
      break
    }
    case 'datetime':
      return value === '' ? null : datetime(says, value)
    case 'text':
      return typeof value === 'string' ? value : JSON.stringify(value)
  }
  throw misfit(says, value, type)
}

function misfit(says: string, value: unknown, type: FieldType): AppError {
  return new AppError('invalid', `${says} ${JSON.stringify(value)?.slice(0, 60)}, which is no ${type}.`)
}

function datetime(says: string, value: unknown): string {
  const at = typeof value === 'string' ? Date.parse(value) : Number.NaN
  if (Number.isNaN(at)) throw new AppError('invalid', `${says} ${JSON.stringify(value)?.slice(0, 60)}, which is no date.`)
  return new Date(at).toISOString()
}

function picked({ pick }: Source, raw: unknown): string | null {
  const items = Array.isArray(raw) ? raw : [raw]
  const texts = items.map(item => (pick === 'text' ? textOf(item) : uidOf(item, pick ?? 'uid'))).filter(text => text !== '')
  return texts.length > 0 ? texts.join(pick === 'text' ? '\n' : ',') : null
}

const textOf = (item: unknown): string => (typeof item === 'string' ? item : richTextPlain(item))

/** A field's value as a reader of the destination wants it. */
function readable(field: SchemaField, value: unknown): unknown {
  if (value === null || value === undefined) return null
  if (field.data_type === 'reference') return (Array.isArray(value) ? value : [value]).map(item => reference(field, item))
  if (field.data_type === 'blocks') return Array.isArray(value) ? value.map(item => block(field, item)) : value
  if (field.multiple === true && Array.isArray(value)) return value.map(item => single(field, item))
  return single(field, value)
}

function single(field: SchemaField, value: unknown): unknown {
  // Text already where the sync carries text.
  if (isRichText(field)) return typeof value === 'string' ? value : richTextHtml(value)
  if (field.data_type === 'file') return isObject(value) ? (value['url'] ?? value['uid'] ?? null) : value
  if ((field.data_type === 'group' || field.data_type === 'global_field') && isObject(value))
    return readableFields(field.schema ?? [], value)
  return value
}

/** Fields of an embedded entry, or of a group, as a reader of the destination wants them. */
export function readableFields(schema: readonly SchemaField[], value: Record<string, unknown>): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  for (const [key, inner] of Object.entries(value)) {
    // The platform's own row ids.
    if (key === '_metadata') continue
    const field = schema.find(candidate => candidate.uid === key)
    Object.defineProperty(result, key, { value: field ? readable(field, inner) : inner, enumerable: true })
  }
  return result
}

/** [{ block_uid: { … } }] in, the same shape out. */
function block(field: SchemaField, item: unknown): unknown {
  if (!isObject(item)) return item
  return Object.fromEntries(
    Object.entries(item)
      .filter(([key]) => key !== '_metadata')
      .map(([key, inner]) => [
        key,
        isObject(inner) ? readableFields(field.blocks?.find(candidate => candidate.uid === key)?.schema ?? [], inner) : inner
      ])
  )
}

function reference(field: SchemaField, item: unknown): unknown {
  const target = Array.isArray(field.reference_to) ? (field.reference_to.length === 1 ? field.reference_to[0] : null) : field.reference_to
  if (!isObject(item)) return { uid: item, content_type: target ?? null }
  const bare = { uid: item['uid'] ?? null, content_type: item['_content_type_uid'] ?? target ?? null }
  // Put there by embed.ts.
  return Object.hasOwn(item, '_entry') ? { ...bare, entry: item['_entry'] } : bare
}

function valueAt(entry: Entry, steps: readonly string[]): unknown {
  let value: unknown = entry
  for (const step of steps) {
    if (!isObject(value) || !Object.hasOwn(value, step)) return null
    value = value[step]
  }
  return value
}

function uidOf(item: unknown, key: 'uid' | 'term_uid'): string {
  const uid = isObject(item) ? item[key] : item
  return typeof uid === 'string' ? uid : ''
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}
