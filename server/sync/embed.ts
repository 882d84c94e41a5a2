// References with what they point at, to a depth. Targets are read in batches by uid, level by level, each once whatever number of
// entries name it; before they are read, it is kept who embeds them (edges.ts). A target that is not there (deleted, or not published
// where the sync looks) is null beside its uid; an entry does not embed itself again further down, so circles end.
import type { ContentType, Entry, SchemaField, StackClient } from '../contentstack/stack.ts'
import type { Db } from '../database/database.ts'
import { isAppError } from '../errors.ts'
import type { Outbound } from './carry.ts'
import { recordsOf } from './assets-out.ts'
import { keepEdges, type Parent } from './edges.ts'
import { replaceValues } from './field-walk.ts'
import { findSource } from './mapping.ts'
import { readableFields } from './outward.ts'
import { publishedIn, readPublished } from './published.ts'
import { plainRichText } from './richtext.ts'

interface Target {
  entry: Entry
  schema: SchemaField[]
}

interface Reference {
  uid: string
  contentType: string
}

/** The CMA lists at most so many (contentstack.md §8.1). */
const batch = 100

/** The entries in the same order; each reference of a mapped field is `{ uid, _content_type_uid, _entry }`, as outward.ts reads it. */
export async function embedReferences(
  db: Db,
  outbound: Outbound,
  stack: StackClient,
  locale: string,
  entries: readonly Entry[]
): Promise<Entry[]> {
  const depth = outbound.options.references?.embed ?? 0
  const schema = mappedSchema(outbound)
  const known = new Map<string, Target | null>()
  let frontier: { entry: Entry; schema: readonly SchemaField[] }[] = entries.map(entry => ({ entry, schema }))
  for (let level = 1; level <= depth && frontier.length > 0; level++) {
    const parents = frontier.map(({ entry, schema: fields }) => ({ uid: entry.uid, named: referencesIn(entry, fields) }))
    const edges = parents.map(({ uid, named }): Parent => ({ uid, root: level === 1, children: [...new Set(named.map(one => one.uid))] }))
    await keepEdges(db, outbound.sync, locale, edges)
    const wanted = new Map(parents.flatMap(({ named }) => named.map(one => [`${one.contentType} ${one.uid}`, one] as const)))
    const fresh = [...wanted.values()].filter(one => !known.has(one.uid))
    await readTargets(outbound, stack, locale, fresh, known)
    frontier = fresh.map(one => known.get(one.uid)).filter(target => target !== null && target !== undefined)
  }
  return entries.map(entry => assemble(entry, schema, known, depth, [entry.uid]))
}

/** Fields of which a column shows more than the uids. */
function mappedSchema({ mapping, contentType }: Outbound): SchemaField[] {
  const shown = new Set(
    mapping.flatMap(row => {
      if (row.from === undefined) return row.reads ?? []
      return findSource(contentType.schema, row.from)?.pick === 'uid' ? [] : [row.from.split('.', 1)[0]]
    })
  )
  return contentType.schema.filter(field => shown.has(field.uid))
}

function referencesIn(entry: Entry, schema: readonly SchemaField[]): Reference[] {
  const found: Reference[] = []
  replaceValues(schema, entry, (field, value) => {
    const reference = field.data_type === 'reference' ? referenceOf(field, value) : null
    if (reference) found.push(reference)
    return value
  })
  return found
}

/** null where the content type is not told: the stack cannot be asked then. */
function referenceOf(field: SchemaField, value: unknown): Reference | null {
  const item = (typeof value === 'object' && value !== null ? value : { uid: value }) as Record<string, unknown>
  const only = Array.isArray(field.reference_to)
    ? field.reference_to.length === 1
      ? field.reference_to[0]
      : undefined
    : field.reference_to
  const contentType = item['_content_type_uid'] ?? only
  return typeof item['uid'] === 'string' && typeof contentType === 'string' ? { uid: item['uid'], contentType } : null
}

async function readTargets(
  outbound: Outbound,
  stack: StackClient,
  locale: string,
  wanted: readonly Reference[],
  known: Map<string, Target | null>
): Promise<void> {
  for (const one of wanted) known.set(one.uid, null)
  for (const [contentType, references] of Map.groupBy(wanted, one => one.contentType)) {
    const type = await outbound.schemaOf(contentType)
    if (!type) continue
    for (let from = 0; from < references.length; from += batch) {
      const uids = references.slice(from, from + batch).map(one => one.uid)
      const { entries } = await recordsOf(stack, contentType).page({
        locale,
        query: { uid: { $in: uids } },
        limit: batch,
        includePublishDetails: outbound.options.source === 'published'
      })
      for (const entry of entries) {
        const shownNow = await shownTarget(outbound, stack, locale, type, entry)
        const text = outbound.options.richText === 'text'
        known.set(entry.uid, shownNow && { schema: type.schema, entry: text ? plainRichText(type.schema, shownNow) : shownNow })
      }
    }
  }
}

/** Here a fallback's content counts: the row shows what a reader of that locale would see. */
async function shownTarget(
  { options }: Outbound,
  stack: StackClient,
  locale: string,
  { uid }: ContentType,
  entry: Entry
): Promise<Entry | null> {
  if (options.source === 'draft') return entry
  const environment = options.environment?.uid ?? ''
  for (const code of new Set([locale, entry.locale])) {
    const published = publishedIn(entry, environment, code)
    if (!published) continue
    try {
      return await readPublished(stack, uid, entry, code, published)
    } catch (error) {
      if (!isAppError(error, 'invalid')) throw error
    }
  }
  return null
}

function assemble(
  entry: Entry,
  schema: readonly SchemaField[],
  known: ReadonlyMap<string, Target | null>,
  depth: number,
  path: readonly string[]
): Entry {
  return replaceValues(schema, entry, (field, value) => {
    const reference = field.data_type === 'reference' ? referenceOf(field, value) : null
    if (!reference) return value
    const bare = { uid: reference.uid, _content_type_uid: reference.contentType }
    if (depth === 0 || path.includes(reference.uid)) return bare
    const target = known.get(reference.uid)
    return { ...bare, _entry: target ? shown(target, known, depth - 1, [...path, reference.uid]) : null }
  }) as Entry
}

/** What a reader of the destination gets of an embedded entry: its fields, without the platform's own. */
function shown(
  { entry, schema }: Target,
  known: ReadonlyMap<string, Target | null>,
  depth: number,
  path: readonly string[]
): Record<string, unknown> {
  const assembled = assemble(entry, schema, known, depth, path)
  return readableFields(schema, Object.fromEntries(schema.filter(({ uid }) => uid in assembled).map(({ uid }) => [uid, assembled[uid]])))
}
