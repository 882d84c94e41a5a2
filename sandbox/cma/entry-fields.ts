// What may be written into an entry: each field checked against its schema and brought into the stored shape (contentstack.md
// §8.2, "Field write formats"). Sending the read shape back is refused, as on the platform. Pure over the world.
import type { FieldsOf, SchemaField, Stack } from '../world/model.ts'
import { assetsOf } from '../world/stack.ts'
import { newRowUid } from '../world/uids.ts'
import { blockSchema, groupSchema } from './entry-shape.ts'
import type { FieldErrors } from './refusal.ts'

type Fields = Record<string, unknown>

/** The vocabulary of messages is of low trust in the reference (§8.1). */
const required = 'is a required field.'
const invalid = 'is not valid.'

interface Check {
  stack: Stack
  branch: string
  errors: FieldErrors
}

/**
 * The given fields in stored shape; keys the schema does not know are dropped. `base` holds what stands already (a PUT keeps
 * omitted top-level fields, [MEM]); errors are by dot path.
 */
export function storable(
  stack: Stack,
  branch: string,
  schema: SchemaField[],
  given: Fields,
  base: FieldsOf
): { fields: FieldsOf; errors: FieldErrors } {
  const check: Check = { stack, branch, errors: {} }
  const fields: FieldsOf = { ...base }
  for (const field of schema) {
    if (field.uid in given) {
      const operated = withOperation(given[field.uid], base[field.uid], field.uid, check)
      fields[field.uid] = value(check, field, operated, field.uid)
    }
    if (field.mandatory && isEmpty(fields[field.uid])) note(check, field.uid, required)
  }
  if ('tags' in given) fields['tags'] = tags(check, given['tags'])
  return { fields, errors: check.errors }
}

function note(check: Check, path: string, message: string): null {
  ;(check.errors[path] ??= []).push(message)
  return null
}

const isEmpty = (given: unknown) => given === undefined || given === null || given === '' || (Array.isArray(given) && given.length === 0)
const isObject = (given: unknown): given is Fields => typeof given === 'object' && given !== null && !Array.isArray(given)

/** §8.2: 50 tags of 50 characters. */
function tags(check: Check, given: unknown): unknown {
  if (given === null) return []
  const fits = Array.isArray(given) && given.length <= 50 && given.every(tag => typeof tag === 'string' && tag.length <= 50)
  return fits ? given : note(check, 'tags', invalid)
}

/** §8.2, atomic operations: {"field":{"PUSH":{"data":[…]}}} and PULL, UPDATE, ADD, SUB. */
function withOperation(given: unknown, before: unknown, path: string, check: Check): unknown {
  if (!isObject(given)) return given
  const [operation, ...more] = Object.keys(given)
  if (operation === undefined || more.length > 0 || !['PUSH', 'PULL', 'UPDATE', 'ADD', 'SUB'].includes(operation)) return given
  const argument = given[operation]
  if (operation === 'ADD' || operation === 'SUB') {
    if (typeof argument !== 'number') return note(check, path, invalid)
    return (typeof before === 'number' ? before : 0) + (operation === 'ADD' ? argument : -argument)
  }
  if (!isObject(argument)) return note(check, path, invalid)
  const list: unknown[] = Array.isArray(before) ? [...(before as unknown[])] : []
  if (operation === 'PUSH') return [...list, ...(Array.isArray(argument['data']) ? (argument['data'] as unknown[]) : [argument['data']])]
  if (operation === 'PULL') {
    const query = argument['query']
    return list.filter(
      one => !(isObject(query) && isObject(one) ? Object.entries(query).every(([key, wanted]) => one[key] === wanted) : one === query)
    )
  }
  const index = argument['index']
  if (typeof index !== 'number' || !(index in list)) return note(check, path, invalid)
  list[index] = isObject(list[index]) && isObject(argument['data']) ? { ...list[index], ...argument['data'] } : argument['data']
  return list
}

function value(check: Check, field: SchemaField, given: unknown, path: string): unknown {
  if (given === null || given === undefined) return null
  if (field.data_type === 'reference') return references(check, field, given, path)
  if (field.data_type === 'blocks') return blocks(check, field, given, path)
  if (field.data_type === 'taxonomy') return terms(check, given, path)
  if (!field.multiple) return single(check, field, given, path)
  if (!Array.isArray(given)) return note(check, path, invalid)
  return given.map((one, index) => {
    const made = single(check, field, one, `${path}.${index}`)
    return field.data_type === 'group' && isObject(made) ? withRowUid(made, one) : made
  })
}

function single(check: Check, field: SchemaField, given: unknown, path: string): unknown {
  switch (field.data_type) {
    case 'text':
      if (typeof given !== 'string') return note(check, path, invalid)
      return field.enum && given !== '' && !field.enum.choices.some(choice => choice.value === given) ? note(check, path, invalid) : given
    case 'number':
      return typeof given === 'number' && Number.isFinite(given) ? bounded(check, field, given, path) : note(check, path, invalid)
    case 'boolean':
      return typeof given === 'boolean' ? given : note(check, path, invalid)
    case 'isodate':
      return given === '' || (typeof given === 'string' && !Number.isNaN(Date.parse(given))) ? given : note(check, path, invalid)
    case 'file':
      // The read shape is a whole asset; only its uid may be written.
      if (given === '') return null
      return typeof given === 'string' && assetsOf(check.stack, check.branch)[given]?.isDir === false ? given : note(check, path, invalid)
    case 'link':
      return isObject(given) && ['title', 'href'].every(key => typeof (given[key] ?? '') === 'string') ? given : note(check, path, invalid)
    case 'group':
    case 'global_field': {
      if (!isObject(given)) return note(check, path, invalid)
      const schema = groupSchema(check.stack, check.branch, field)
      return schema ? nested(check, schema, given, path) : given
    }
    case 'json':
      if (typeof given !== 'object') return note(check, path, invalid)
      return field.field_metadata?.['allow_json_rte'] === true && (given as Fields)['type'] !== 'doc' ? note(check, path, invalid) : given
    default:
      return given
  }
}

function bounded(check: Check, field: SchemaField, given: number, path: string): number | null {
  if (typeof field['min'] === 'number' && given < field['min']) return note(check, path, `is less than the minimum value ${field['min']}.`)
  if (typeof field['max'] === 'number' && given > field['max'])
    return note(check, path, `is greater than the maximum value ${field['max']}.`)
  return given
}

/** Groups and blocks are replaced as a whole: nothing of the old content stays. */
function nested(check: Check, schema: SchemaField[], given: Fields, path: string): Fields {
  const made: Fields = {}
  for (const field of schema) {
    const at = `${path}.${field.uid}`
    if (field.uid in given) made[field.uid] = value(check, field, given[field.uid], at)
    if (field.mandatory && isEmpty(made[field.uid])) note(check, at, required)
  }
  return made
}

function withRowUid(row: Fields, given: unknown): Fields {
  const metadata = isObject(given) ? given['_metadata'] : undefined
  return { ...row, _metadata: isObject(metadata) && typeof metadata['uid'] === 'string' ? metadata : { uid: newRowUid() } }
}

function references(check: Check, field: SchemaField, given: unknown, path: string): unknown {
  const allowed = [field.reference_to ?? []].flat()
  if (!Array.isArray(given)) return note(check, path, invalid)
  const made = given.map((one: unknown) => {
    // The older form of a field with one target type: bare uids.
    if (typeof one === 'string' && allowed.length === 1) return { uid: one, _content_type_uid: allowed[0] }
    if (!isObject(one) || typeof one['uid'] !== 'string' || !allowed.includes(String(one['_content_type_uid'])))
      return note(check, path, invalid)
    return { uid: one['uid'], _content_type_uid: one['_content_type_uid'] }
  })
  return made.length > 1 && field.field_metadata?.['ref_multiple'] === false ? note(check, path, invalid) : made
}

function blocks(check: Check, field: SchemaField, given: unknown, path: string): unknown {
  if (!Array.isArray(given)) return note(check, path, invalid)
  return given.map((block: unknown, index) => {
    const [kind, ...more] = isObject(block) ? Object.keys(block) : []
    const content = isObject(block) && kind !== undefined ? block[kind] : undefined
    const schema = kind === undefined ? undefined : blockSchema(check.stack, check.branch, field, kind)
    if (!schema || kind === undefined || more.length > 0 || !isObject(content)) return note(check, `${path}.${index}`, invalid)
    return { [kind]: withRowUid(nested(check, schema, content, `${path}.${index}.${kind}`), content) }
  })
}

/** §8.5: at most 25 terms an entry. */
function terms(check: Check, given: unknown, path: string): unknown {
  if (!Array.isArray(given) || given.length > 25) return note(check, path, invalid)
  return given.map((one: unknown) => {
    const taxonomy = isObject(one) ? check.stack.taxonomies[String(one['taxonomy_uid'])] : undefined
    if (!isObject(one) || !taxonomy?.terms.some(term => term.uid === one['term_uid'])) return note(check, path, invalid)
    return { taxonomy_uid: one['taxonomy_uid'], term_uid: one['term_uid'] }
  })
}
