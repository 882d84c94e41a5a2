// An entry turned into the row of a table. Rich text becomes readable, references and files become what they point at, nested
// values follow their schema all the way down. Pure; a value that does not fit its field stops its record alone.
import type { FieldType, FieldValues, Scalar, Shape } from '../connectors/connector.ts'
import type { Entry, SchemaField } from '../contentstack/stack.ts'
import { AppError } from '../errors.ts'
import { hashOf } from './canonical.ts'
import { findSource, isRichText, keyColumn, type Mapping, ownColumns, type Source } from './mapping.ts'
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
  return hashOf([entry.uid, entry.locale, entry._version, entry.updated_at, projected(entry, mapping)])
}

/** The whole top-level fields that the rows of the mapping look into. */
export function projected(entry: Entry, mapping: readonly Mapping[]): unknown[] {
  return mapping.map(row => entry[row.from.split('.', 1)[0] ?? row.from])
}

/** AppError invalid with the field's name for a value that does not fit, or a required one that is empty. */
export function entryValues(entry: Entry, mapping: readonly Mapping[], schema: readonly SchemaField[]): FieldValues {
  const values: FieldValues = {
    entry_uid: entry.uid,
    locale: entry.locale,
    version: entry._version,
    updated_at: datetime('updated_at', entry.updated_at)
  }
  for (const row of mapping) {
    const source = findSource(schema, row.from)
    // A field that was removed from the content type leaves its column empty.
    const value = source ? columnValue(row, source, valueAt(entry, source.steps)) : null
    if (value === null && row.required)
      throw new AppError('invalid', `The field "${row.from}" is empty, but the column ${row.to} requires it.`)
    values[row.to] = value
  }
  return values
}

function columnValue(row: Mapping, source: Source, raw: unknown): Scalar {
  if (raw === null || raw === undefined) return null
  if (source.pick) return picked(source, raw)
  const value = source.field ? readable(source.field, raw) : raw
  return scalar(row.from, value, row.type)
}

function scalar(path: string, value: unknown, type: FieldType): Scalar {
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
      return value === '' ? null : datetime(path, value)
    case 'text':
      return typeof value === 'string' ? value : JSON.stringify(value)
  }
  throw new AppError('invalid', `The field "${path}" holds ${JSON.stringify(value)?.slice(0, 60)}, which is no ${type}.`)
}

function datetime(path: string, value: unknown): string {
  const at = typeof value === 'string' ? Date.parse(value) : Number.NaN
  if (Number.isNaN(at)) throw new AppError('invalid', `The field "${path}" holds ${JSON.stringify(value)?.slice(0, 60)}, which is no date.`)
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
