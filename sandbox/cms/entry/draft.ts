// An entry (or an asset) while somebody works on it: what is saved, what is changed, and who wants to know. The editor's fields and the apps
// in the frames look at one and the same draft. It knows nothing of React and nothing of HTTP.
import type { PageEvent } from '../host/page-event.ts'

export interface SchemaField {
  uid: string
  data_type: string
  display_name: string
  mandatory?: boolean
  multiple?: boolean
  non_localizable?: boolean
  extension_uid?: string
  field_metadata?: Record<string, unknown>
  reference_to?: string | string[]
  schema?: SchemaField[]
  blocks?: { uid: string; title: string; schema?: SchemaField[] }[]
  enum?: { choices: { value: unknown; key?: string }[] }
  [other: string]: unknown
}

export interface ContentType {
  uid: string
  title: string
  schema: SchemaField[]
  [other: string]: unknown
}

export type EntryData = Record<string, unknown> & { uid?: string; _version?: number; locale?: string; title?: string }

export interface Draft {
  current: () => EntryData
  saved: () => EntryData
  changed: () => boolean
  /** `path` is dotted, as the SDK writes it (`seo.title`, `blocks.0.hero.text`). */
  set: (path: string, value: unknown) => void
  /** The CMA's answer to a save, or a reload. */
  replace: (entry: EntryData, because: 'save' | 'load') => void
  discard: () => void
  published: (name: 'entryPublish' | 'entryUnPublish', detail: unknown) => void
  listen: (hear: (event: PageEvent) => void) => () => void
  subscribe: (changed: () => void) => () => void
}

export function createDraft(entry: EntryData, kind: 'entry' | 'asset' = 'entry'): Draft {
  let saved = entry
  let current = entry
  const hearers = new Set<(event: PageEvent) => void>()
  const watchers = new Set<() => void>()

  function tell(event: PageEvent | null): void {
    if (event) for (const hear of hearers) hear(event)
    for (const watch of watchers) watch()
  }
  return {
    current: () => current,
    saved: () => saved,
    changed: () => current !== saved,
    set(path, value) {
      current = withValue(current, path.split('.'), value) as EntryData
      // resolvedData must be there: the SDK reads it without a look (platform reference §10.4).
      tell({ name: `${kind}Change`, data: current, otherData: { resolvedData: current } })
    },
    replace(next, because) {
      saved = next
      current = next
      tell(because === 'save' ? { name: `${kind}Save`, data: next } : null)
    },
    discard() {
      current = saved
      tell({ name: `${kind}Change`, data: current, otherData: { resolvedData: current } })
    },
    published: (name, detail) => tell({ name, data: detail }),
    listen(hear) {
      hearers.add(hear)
      return () => hearers.delete(hear)
    },
    subscribe(changed) {
      watchers.add(changed)
      return () => watchers.delete(changed)
    }
  }
}

export function valueAt(value: unknown, path: string[]): unknown {
  let found: unknown = value
  for (const key of path) found = found !== null && typeof found === 'object' ? (found as Record<string, unknown>)[key] : undefined
  return found
}

/** A copy of `value` with `path` set; what lies beside the path is shared. */
function withValue(value: unknown, path: string[], next: unknown): unknown {
  const [key, ...rest] = path
  if (key === undefined) return next
  if (Array.isArray(value)) return value.map((item, index) => (String(index) === key ? withValue(item, rest, next) : item))
  const object = (value ?? {}) as Record<string, unknown>
  return { ...object, [key]: withValue(object[key], rest, next) }
}
