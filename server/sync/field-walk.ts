// Through an entry's fields as its schema nests them: groups, global fields, blocks and lists of each. One walk for all that looks
// at single values wherever they lie. Pure; it changes nothing in place.
import type { SchemaField } from '../contentstack/stack.ts'

type Fields = Record<string, unknown>

/** The same fields with `replace` applied to each single value that is not itself made of fields. */
export function replaceValues(
  schema: readonly SchemaField[],
  fields: Fields,
  replace: (field: SchemaField, value: unknown) => unknown
): Fields {
  const result: Fields = {}
  for (const [key, value] of Object.entries(fields)) {
    const field = schema.find(candidate => candidate.uid === key)
    Object.defineProperty(result, key, { value: field ? replaced(field, value, replace) : value, enumerable: true, writable: true })
  }
  return result
}

function replaced(field: SchemaField, value: unknown, replace: (field: SchemaField, value: unknown) => unknown): unknown {
  if (value === null || value === undefined) return value
  if (Array.isArray(value)) return value.map(item => replaced(field, item, replace))
  if ((field.data_type === 'group' || field.data_type === 'global_field') && isFields(value))
    return replaceValues(field.schema ?? [], value, replace)
  if (field.data_type === 'blocks' && isFields(value)) {
    return Object.fromEntries(
      Object.entries(value).map(([uid, inner]) => {
        const schema = field.blocks?.find(block => block.uid === uid)?.schema
        return [uid, schema && isFields(inner) ? replaceValues(schema, inner, replace) : inner]
      })
    )
  }
  return replace(field, value)
}

function isFields(value: unknown): value is Fields {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}
