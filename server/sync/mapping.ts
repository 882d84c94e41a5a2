// What of a content type goes where: mapping rows, the default ones, and their check against the fields that really exist.
// Pure; it knows neither tables nor the wire. How values are turned: outward.ts and inward.ts.
//
// A path is a field's uid, or a way through single groups ('seo.title'). A last step of 'uid' on a reference or file, of 'term_uid'
// on a taxonomy and of 'text' on rich text picks the plain form.
import type { Field, FieldType } from '../connectors/connector.ts'
import type { ContentType, SchemaField } from '../contentstack/stack.ts'
import { AppError } from '../errors.ts'
import { namesOf, whyRefused } from './expression.ts'

export interface Mapping extends MappingInput {
  /** Outbound: of the column. Inbound: of the source's column. */
  type: FieldType
  /** Inbound: what the field was when it was mapped, as fieldKind says it. */
  kind?: string | undefined
  /** Fields of the content type that an outbound row's expression names. */
  reads?: string[] | undefined
}

/** As people give it: either `from` or `expression`. */
export interface MappingInput {
  from?: string | undefined
  /** JSONata over the record: an entry's fields outbound, its columns inbound. */
  expression?: string | undefined
  to: string
  /** Taken where the record gives nothing. */
  default?: string | number | boolean | undefined
  required?: boolean | undefined
  /** Of the column that an outbound expression fills; text when absent. Other rows take their source's. */
  type?: FieldType | undefined
}

/** Whether a process for expressions is needed. */
export function computes(mapping: readonly Pick<Mapping, 'expression'>[]): boolean {
  return mapping.some(row => row.expression !== undefined)
}

/** Columns that every outbound table has beside the mapped ones. */
export const ownColumns: readonly Field[] = [
  { name: 'entry_uid', type: 'text' },
  { name: 'locale', type: 'text' },
  { name: 'version', type: 'integer' },
  { name: 'updated_at', type: 'datetime' }
]
export const keyColumn = '_key'

/** What every entry has beside its schema. */
const systemFields: Record<string, FieldType> = {
  uid: 'text',
  _version: 'integer',
  locale: 'text',
  tags: 'json',
  created_at: 'datetime',
  updated_at: 'datetime',
  created_by: 'text',
  updated_by: 'text'
}

type PlainForm = 'uid' | 'term_uid' | 'text'

export interface Source {
  steps: string[]
  /** null for what every entry has. */
  field: SchemaField | null
  pick: PlainForm | null
  type: FieldType
}

export function isRichText(field: SchemaField): boolean {
  return (
    field.data_type === 'json' &&
    (field.field_metadata?.['allow_json_rte'] === true || field.field_metadata?.['rich_text_type'] !== undefined)
  )
}

/** Where a path of an outbound mapping leads; null when nowhere. */
export function findSource(schema: readonly SchemaField[], path: string): Source | null {
  const steps = path.split('.')
  let fields: readonly SchemaField[] = schema
  for (const [index, step] of steps.entries()) {
    const field = fields.find(candidate => candidate.uid === step)
    if (!field)
      return index === 0 && steps.length === 1 && Object.hasOwn(systemFields, step)
        ? { steps, field: null, pick: null, type: systemFields[step] ?? 'text' }
        : null
    const rest = steps.slice(index + 1)
    if (rest.length === 0) return { steps, field, pick: null, type: columnType(field) }
    const pick = rest.length === 1 ? pickOf(field, rest[0] ?? '') : null
    if (pick) return { steps: steps.slice(0, -1), field, pick, type: 'text' }
    if (field.multiple === true || !field.schema || (field.data_type !== 'group' && field.data_type !== 'global_field')) return null
    fields = field.schema
  }
  return null
}

function pickOf(field: SchemaField, step: string): PlainForm | null {
  if (step === 'term_uid' && field.data_type === 'taxonomy') return 'term_uid'
  if (step === 'uid' && (field.data_type === 'reference' || field.data_type === 'file')) return 'uid'
  return step === 'text' && isRichText(field) ? 'text' : null
}

/** The column for a field, one each: structured values and several values travel as JSON. */
export function columnType(field: SchemaField): FieldType {
  if (field.multiple === true) return 'json'
  if (isRichText(field)) return 'text'
  switch (field.data_type) {
    case 'text':
    case 'file':
      return 'text'
    case 'number':
      return 'number'
    case 'boolean':
      return 'boolean'
    case 'isodate':
      return 'datetime'
    default:
      return 'json'
  }
}

/** Every field, one column each. */
export function defaultOutbound(contentType: ContentType): (Mapping & { from: string })[] {
  const taken = new Set([keyColumn, ...ownColumns.map(column => column.name)])
  return contentType.schema.map(field => {
    let to = field.uid
    while (taken.has(to)) to = `${to}_field`
    taken.add(to)
    return { from: field.uid, to, type: columnType(field) }
  })
}

/** AppError invalid naming each row whose field does not exist or whose column is taken. */
export function checkOutbound(contentType: ContentType, rows: readonly MappingInput[]): Mapping[] {
  const problems: Record<string, string[]> = {}
  const taken = new Set([keyColumn, ...ownColumns.map(column => column.name)])
  const fields = new Set(contentType.schema.map(field => field.uid))
  const mapping = rows.map((row, index): Mapping => {
    const source = row.from === undefined ? null : findSource(contentType.schema, row.from)
    if (row.from !== undefined && !source)
      problems[`mapping.${index}.from`] = [`${contentType.title} (${contentType.uid}) has no field "${row.from}".`]
    if (taken.has(row.to)) problems[`mapping.${index}.to`] = [`The column "${row.to}" is taken.`]
    taken.add(row.to)
    if (expressionFits(row, index, problems) && row.expression !== undefined) {
      const reads = [...namesOf(row.expression)].filter(name => fields.has(name))
      return { ...kept(row), type: row.type ?? 'text', ...(reads.length > 0 ? { reads } : {}) }
    }
    return { ...kept(row), type: source?.type ?? 'text' }
  })
  if (Object.keys(problems).length > 0)
    throw refused(problems, `Fields of ${contentType.uid}: ${contentType.schema.map(field => field.uid).join(', ')}.`)
  return mapping
}

/** Columns to fields of the same name; a mandatory title without one takes `name`, else the key. */
export function defaultInbound(contentType: ContentType, columns: readonly Field[], key: string, externalIdField: string): MappingInput[] {
  const names = new Set(columns.map(column => column.name))
  const rows = contentType.schema
    .filter(field => field.uid !== externalIdField && names.has(field.uid))
    .map((field): MappingInput => ({ from: field.uid, to: field.uid, required: field.mandatory === true }))
  const title = contentType.schema.find(field => field.uid === 'title')
  if (title && !names.has('title') && externalIdField !== 'title')
    rows.unshift({ from: names.has('name') ? 'name' : key, to: 'title', required: true })
  return [{ from: key, to: externalIdField, required: true }, ...rows]
}

/** AppError invalid naming each row whose column or field does not exist, or whose field cannot be written from a column. */
export function checkInbound(contentType: ContentType, columns: readonly Field[], rows: readonly MappingInput[]): Mapping[] {
  const problems: Record<string, string[]> = {}
  const taken = new Set<string>()
  const mapping = rows.map((row, index): Mapping => {
    const column = columns.find(candidate => candidate.name === row.from)
    const target = contentType.schema.find(field => field.uid === row.to)
    if (row.from !== undefined && !column) problems[`mapping.${index}.from`] = [`The source has no column "${row.from}".`]
    if (!target && row.to !== 'tags')
      problems[`mapping.${index}.to`] = [`${contentType.title} (${contentType.uid}) has no field "${row.to}".`]
    if (taken.has(row.to)) problems[`mapping.${index}.to`] = [`The field "${row.to}" is mapped twice.`]
    taken.add(row.to)
    expressionFits(row, index, problems)
    return { ...kept(row), type: column?.type ?? 'text', ...(target ? { kind: fieldKind(target) } : {}) }
  })
  for (const field of contentType.schema) {
    if (field.mandatory === true && !taken.has(field.uid))
      problems[`mapping.${field.uid}`] = [`The field "${field.uid}" is mandatory, but nothing is mapped to it.`]
  }
  if (Object.keys(problems).length > 0) {
    throw refused(
      problems,
      `Columns: ${columns.map(column => column.name).join(', ')}. Fields: ${contentType.schema.map(field => field.uid).join(', ')}.`
    )
  }
  return mapping
}

/** A row as it was given, so that it can be given again. */
export function mappingInput(direction: 'outbound' | 'inbound', row: Mapping): MappingInput {
  return { ...kept(row), ...(direction === 'outbound' && row.expression !== undefined ? { type: row.type } : {}) }
}

/** What a field takes, in one word: 'text', 'file[]', 'json (rich text)'. */
export function fieldKind(field: SchemaField): string {
  return `${field.data_type}${isRichText(field) ? ' (rich text)' : ''}${field.multiple === true ? '[]' : ''}`
}

/** Adds what is wrong with the row's source to `problems`; false when something is. */
function expressionFits(row: MappingInput, index: number, problems: Record<string, string[]>): boolean {
  if ((row.from === undefined) === (row.expression === undefined)) {
    problems[`mapping.${index}`] = [`The row to "${row.to}" needs either a source or an expression.`]
    return false
  }
  const why = row.expression === undefined ? null : whyRefused(row.expression)
  if (why !== null) problems[`mapping.${index}.expression`] = [`The expression for "${row.to}" ${why}`]
  return why === null
}

/** What of a row is kept as it was given. */
function kept({ from, expression, to, default: otherwise, required }: MappingInput): MappingInput {
  return {
    ...(from === undefined ? {} : { from }),
    ...(expression === undefined ? {} : { expression }),
    to,
    ...(otherwise === undefined ? {} : { default: otherwise }),
    ...(required ? { required } : {})
  }
}

/** The field that may hold a record's key; AppError invalid that says what is missing and how to add one (engine.md §11). */
export function requireExternalIdField(contentType: ContentType, uid: string): SchemaField {
  const field = contentType.schema.find(candidate => candidate.uid === uid)
  if (field && holdsKeys(field)) return field
  const fitting = contentType.schema.filter(holdsKeys).map(candidate => candidate.uid)
  const what = field ? `cannot hold the key: it must be single-line text, unique, not multiple and non-localizable` : 'does not exist'
  throw new AppError('invalid', `The field "${uid}" of ${contentType.uid} ${what}.`, {
    remedy:
      fitting.length > 0
        ? `Choose one that can: ${fitting.join(', ')}.`
        : `Add a Single Line Textbox to ${contentType.uid}, marked unique and non-localizable, for example "external_id".`,
    fields: { externalIdField: [what] }
  })
}

export function holdsKeys(field: SchemaField): boolean {
  return (
    field.data_type === 'text' &&
    field.unique === true &&
    field.multiple !== true &&
    field.non_localizable === true &&
    field.field_metadata?.['multiline'] !== true &&
    field.field_metadata?.['allow_rich_text'] !== true
  )
}

function refused(problems: Record<string, string[]>, remedy: string): AppError {
  return new AppError('invalid', Object.values(problems).flat().join(' '), { fields: problems, remedy })
}
