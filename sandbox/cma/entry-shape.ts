// An entry as the CMA returns it (contentstack.md §8.2): stored fields with files as whole assets, references resolved where
// asked for, and the platform's own keys around them. Pure over the world.
import { fieldsOf, viewOf, type EntryView } from '../world/entry-view.ts'
import type { ContentType, SchemaField, Stack } from '../world/model.ts'
import { assetsOf, contentTypesOf, entriesOf, globalFieldsOf } from '../world/stack.ts'
import { assetShape } from './asset-shape.ts'
import { flag, listed } from './page.ts'

export interface Shaping {
  stack: Stack
  branch: string
  /** Asked locale: references resolve in it. */
  locale: string
  /** Of the host that serves asset bytes. */
  origin: string
  only: string[]
  except: string[]
  /** Dot paths of reference fields to resolve. */
  include: string[]
  publishDetails: boolean
  branchName: boolean
  metadata: boolean
}

export function shapingOf(stack: Stack, branch: string, locale: string, origin: string, params: URLSearchParams): Shaping {
  return {
    stack,
    branch,
    locale,
    origin,
    only: listed(params, 'only'),
    except: listed(params, 'except'),
    include: listed(params, 'include'),
    publishDetails: flag(params, 'include_publish_details'),
    branchName: flag(params, 'include_branch'),
    metadata: flag(params, 'include_metadata')
  }
}

/** With nothing asked for: what a webhook or a write's reply carries. */
export function plainShaping(stack: Stack, branch: string, locale: string, origin: string): Shaping {
  return shapingOf(stack, branch, locale, origin, new URLSearchParams())
}

const always = ['uid', 'locale', '_version']

export function entryShape(shaping: Shaping, type: ContentType, view: EntryView): Record<string, unknown> {
  const { stack } = shaping
  const { entry, version, locale } = view
  const shape: Record<string, unknown> = {
    ...readFields(shaping, fieldsOf(stack, type, view), type.schema, shaping.include, 0),
    tags: version.fields['tags'] ?? [],
    locale,
    uid: entry.uid,
    ...(entry.createdBy !== '' && { created_by: entry.createdBy }),
    ...(version.updatedBy !== '' && { updated_by: version.updatedBy }),
    created_at: entry.createdAt,
    updated_at: version.updatedAt,
    ACL: {},
    _version: version.version,
    _in_progress: false,
    ...(shaping.branchName && { _branch: shaping.branch }),
    ...(shaping.metadata && { _metadata: { extensions: {} } }),
    ...(shaping.publishDetails && { publish_details: entry.publishDetails })
  }
  if (shaping.only.length > 0) {
    const kept = new Set([...always, ...shaping.only.map(path => path.split('.')[0] ?? '')])
    return Object.fromEntries(Object.entries(shape).filter(([key]) => kept.has(key)))
  }
  for (const key of shaping.except) delete shape[key]
  return shape
}

function readFields(
  shaping: Shaping,
  fields: Record<string, unknown>,
  schema: SchemaField[],
  include: string[],
  depth: number
): Record<string, unknown> {
  const shape: Record<string, unknown> = {}
  for (const field of schema) {
    if (field.uid in fields)
      shape[field.uid] = readValue(shaping, fields[field.uid], field, below(include, field.uid), include.includes(field.uid), depth)
  }
  if ('_metadata' in fields) shape['_metadata'] = fields['_metadata']
  return shape
}

function readValue(shaping: Shaping, value: unknown, field: SchemaField, include: string[], resolve: boolean, depth: number): unknown {
  if (value === null || value === undefined) return value
  if (field.data_type === 'blocks' && Array.isArray(value)) {
    return value.map((block: Record<string, unknown>) =>
      Object.fromEntries(
        Object.entries(block).map(([kind, content]) => {
          const schema = blockSchema(shaping.stack, shaping.branch, field, kind)
          return [kind, schema ? readFields(shaping, content as Record<string, unknown>, schema, below(include, kind), depth) : content]
        })
      )
    )
  }
  if (Array.isArray(value)) return value.map(one => readValue(shaping, one, field, include, resolve, depth))
  switch (field.data_type) {
    case 'file': {
      const asset = typeof value === 'string' ? assetsOf(shaping.stack, shaping.branch)[value] : undefined
      return asset ? assetShape(shaping.stack, asset, shaping.origin) : null
    }
    case 'group':
    case 'global_field': {
      const schema = groupSchema(shaping.stack, shaping.branch, field)
      return schema ? readFields(shaping, value as Record<string, unknown>, schema, include, depth) : value
    }
    case 'reference':
      return resolve ? resolved(shaping, value as { uid: string; _content_type_uid: string }, include, depth) : value
    default:
      return value
  }
}

/** A deleted or invisible target stays a bare reference. */
function resolved(shaping: Shaping, reference: { uid: string; _content_type_uid: string }, include: string[], depth: number): unknown {
  const type = contentTypesOf(shaping.stack, shaping.branch)[reference._content_type_uid]
  const entry = entriesOf(shaping.stack, shaping.branch, reference._content_type_uid)[reference.uid]
  const view = entry ? viewOf(shaping.stack, entry, shaping.locale) : null
  // Five levels, as the platform resolves at most; also what ends a circle.
  if (!type || !view || depth >= 5) return reference
  return {
    ...readFields(shaping, fieldsOf(shaping.stack, type, view), type.schema, include, depth + 1),
    uid: reference.uid,
    locale: view.locale,
    _version: view.version.version,
    _content_type_uid: type.uid,
    created_at: view.entry.createdAt,
    updated_at: view.version.updatedAt
  }
}

function below(include: string[], name: string): string[] {
  return include.filter(path => path.startsWith(`${name}.`)).map(path => path.slice(name.length + 1))
}

export function groupSchema(stack: Stack, branch: string, field: SchemaField): SchemaField[] | undefined {
  if (field.schema) return field.schema
  return typeof field.reference_to === 'string' ? globalFieldsOf(stack, branch)[field.reference_to]?.schema : undefined
}

export function blockSchema(stack: Stack, branch: string, field: SchemaField, kind: string): SchemaField[] | undefined {
  const block = field.blocks?.find(one => one.uid === kind)
  return block?.schema ?? globalFieldsOf(stack, branch)[block?.reference_to ?? '']?.schema
}
