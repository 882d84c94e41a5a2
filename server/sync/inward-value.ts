// One value brought into the shape that a field takes on writes, or refused with the field's name before anything is written: type,
// choices, bounds, references and what groups and blocks hold, all the way down. Limits are contentstack.md §8.2 and §8.5. Pure.
import type { SchemaField } from '../contentstack/stack.ts'
import { AppError } from '../errors.ts'
import { isRichText } from './mapping.ts'

/** Where the value came from and where it goes: 'The column "area" holds', 'area'. */
export interface Place {
  says: string
  to: string
}

/** null and [] for nothing. AppError invalid naming the place. */
export function fieldValue(place: Place, field: SchemaField, value: unknown): unknown {
  if (value === null || value === undefined) return field.multiple === true ? [] : null
  if (field.data_type === 'reference') return references(place, field, value)
  if (field.data_type === 'taxonomy') return terms(place, value)
  if (field.multiple === true || field.data_type === 'blocks')
    return listOf(value).map((item, index) => one({ ...place, to: `${place.to}.${index}` }, field, item))
  return one(place, field, value)
}

/** §8.2: 50 tags of 50 characters. AppError invalid. */
export function tagsValue(place: Place, value: unknown): string[] {
  const tags = listOf(value ?? null)
    .flatMap(item => (typeof item === 'string' ? item.split(',') : [String(item)]))
    .map(tag => tag.trim())
    .filter(tag => tag !== '')
  if (tags.length > 50) throw refusal(place, `${tags.length} tags`, 'list of 50 tags or fewer')
  const long = tags.find(tag => tag.length > 50)
  if (long !== undefined) throw refusal(place, long, 'tag of 50 characters or fewer')
  return tags
}

export function isEmpty(value: unknown): boolean {
  return value === null || value === undefined || value === '' || (Array.isArray(value) && value.length === 0)
}

function refusal(place: Place, value: unknown, what: string): AppError {
  return new AppError('invalid', `${place.says} ${JSON.stringify(value)?.slice(0, 60)}, which is no ${what} for the field ${place.to}.`)
}

function one(place: Place, field: SchemaField, value: unknown): unknown {
  const refuse = (what: string): AppError => refusal(place, value, what)
  switch (field.data_type) {
    case 'text': {
      if (value !== null && typeof value === 'object') throw refuse('text')
      return chosen(field, typeof value === 'string' ? value : JSON.stringify(value), refuse)
    }
    case 'number': {
      const number = typeof value === 'string' && value.trim() === '' ? Number.NaN : typeof value === 'object' ? Number.NaN : Number(value)
      if (!Number.isFinite(number)) throw refuse('number')
      if (typeof field['min'] === 'number' && number < field['min']) throw refuse(`number from ${field['min']} on`)
      if (typeof field['max'] === 'number' && number > field['max']) throw refuse(`number up to ${field['max']}`)
      return chosen(field, number, refuse)
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
    case 'link': {
      const link = typeof value === 'string' && !value.startsWith('{') ? { title: '', href: value } : parsed(value, refuse)
      if (!isObject(link) || !['title', 'href'].every(key => typeof (link[key] ?? '') === 'string')) throw refuse('link')
      return link
    }
    case 'group':
    case 'global_field':
      return inside(place, field.schema, parsed(value, refuse), refuse)
    case 'blocks':
      return block(place, field, parsed(value, refuse), refuse)
    default: {
      const json = parsed(value, refuse)
      if (isRichText(field) && (!isObject(json) || json['type'] !== 'doc')) throw refuse('rich text document')
      return json
    }
  }
}

/** A select takes its choices alone; '' leaves it open. */
function chosen<T extends string | number>(field: SchemaField, value: T, refuse: (what: string) => AppError): T {
  const choices = field.enum?.choices ?? []
  if (choices.length === 0 || value === '' || choices.some(choice => String(choice.value) === String(value))) return value
  const named = choices.slice(0, 10).map(choice => String(choice.value))
  throw refuse(`choice (${named.join(', ')}${choices.length > named.length ? ', …' : ''})`)
}

function inside(place: Place, schema: readonly SchemaField[] | undefined, value: unknown, refuse: (what: string) => AppError): unknown {
  if (!isObject(value)) throw refuse('group')
  // A schema that was not sent along: Contentstack judges.
  if (!schema) return value
  const result: Record<string, unknown> = {}
  for (const [key, inner] of Object.entries(value)) {
    const field = schema.find(candidate => candidate.uid === key)
    if (!field && key !== '_metadata') throw refuse(`group with a field "${key.slice(0, 60)}"`)
    result[key] = field ? fieldValue({ ...place, to: `${place.to}.${key}` }, field, inner) : inner
  }
  for (const field of schema) {
    if (field.mandatory === true && isEmpty(result[field.uid])) throw refuse(`group without the mandatory "${field.uid}"`)
  }
  return result
}

function block(place: Place, field: SchemaField, value: unknown, refuse: (what: string) => AppError): unknown {
  const kinds = isObject(value) ? Object.keys(value) : []
  const known = field.blocks?.find(candidate => candidate.uid === kinds[0])
  if (!isObject(value) || kinds.length !== 1 || !known) throw refuse(`block (${(field.blocks ?? []).map(({ uid }) => uid).join(', ')})`)
  return { [known.uid]: inside({ ...place, to: `${place.to}.${known.uid}` }, known.schema, value[known.uid], refuse) }
}

function references(place: Place, field: SchemaField, value: unknown): unknown {
  const allowed = [field.reference_to ?? []].flat()
  const made = listOf(value).map(item => {
    if (typeof item === 'string' && item !== '') return { uid: item, _content_type_uid: allowed[0] }
    if (!isObject(item) || typeof item['uid'] !== 'string') throw refusal(place, item, 'reference')
    const named = item['_content_type_uid'] ?? item['content_type'] ?? allowed[0]
    if (allowed.length > 0 && !(allowed as unknown[]).includes(named)) throw refusal(place, item, `reference to ${allowed.join(' or ')}`)
    return { uid: item['uid'], _content_type_uid: named }
  })
  if (made.length > 1 && field.field_metadata?.['ref_multiple'] === false) throw refusal(place, value, 'single reference')
  return made
}

/** §8.5: at most 25 terms an entry. */
function terms(place: Place, value: unknown): unknown[] {
  const items = listOf(value)
  if (items.length > 25) throw refusal(place, `${items.length} terms`, 'list of 25 terms or fewer')
  for (const item of items) {
    if (!isObject(item) || typeof item['taxonomy_uid'] !== 'string' || typeof item['term_uid'] !== 'string')
      throw refusal(place, item, 'term (taxonomy_uid, term_uid)')
  }
  return items
}

/** Lists and JSON arrays as they are, anything else as a list of one. */
function listOf(value: unknown): unknown[] {
  if (isEmpty(value)) return []
  if (Array.isArray(value)) return value
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

/** A column carries what is structured as JSON text. */
function parsed(value: unknown, refuse: (what: string) => AppError): unknown {
  if (typeof value !== 'string') return value
  try {
    return JSON.parse(value)
  } catch {
    throw refuse('JSON')
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}
