// From what the CMA reads out to what it takes in: file fields as uids, system fields left out (platform reference §8.2:
// "sending the read-shape back" is refused). Pure.
import type { EntryData, SchemaField } from './draft.ts'

/** Only what the schema names, plus tags; `undefined` values stay out, null empties a field. */
export function writeShape(entry: EntryData, schema: SchemaField[]): Record<string, unknown> {
  const fields = fieldsOf(entry, schema)
  if (Array.isArray(entry['tags'])) fields['tags'] = entry['tags']
  return fields
}

function fieldsOf(value: Record<string, unknown>, schema: SchemaField[]): Record<string, unknown> {
  const written: Record<string, unknown> = {}
  for (const field of schema) {
    const given = value[field.uid]
    if (given !== undefined)
      written[field.uid] =
        Array.isArray(given) && field.data_type !== 'blocks' ? given.map(one => single(one, field)) : single(given, field)
  }
  if (value['_metadata'] !== undefined) written['_metadata'] = value['_metadata']
  return written
}

function single(value: unknown, field: SchemaField): unknown {
  if (value === null || typeof value !== 'object') return value
  if (field.data_type === 'file') return (value as { uid?: unknown }).uid ?? null
  if (field.data_type === 'group' || field.data_type === 'global_field')
    return fieldsOf(value as Record<string, unknown>, field.schema ?? [])
  if (field.data_type === 'blocks' && Array.isArray(value))
    return value.map(row => block(row as Record<string, Record<string, unknown>>, field))
  return value
}

function block(row: Record<string, Record<string, unknown>>, field: SchemaField): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).map(([uid, value]) => {
      const schema = field.blocks?.find(candidate => candidate.uid === uid)?.schema
      return [uid, schema ? fieldsOf(value, schema) : value]
    })
  )
}
