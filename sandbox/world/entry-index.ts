// Keeps lists and unique checks fast at 100,000 entries: sorted orders by uid and time, and who holds which unique value. All of
// it is derived from the world and built on first use, so it is never saved. Whoever changes an entry tells `reindex`.
import { viewOf } from './entry-view.ts'
import type { ContentType, Entry, SchemaField, Stack } from './model.ts'
import { contentTypesOf, entriesOf } from './stack.ts'

export type OrderName = 'uid' | 'created_at' | 'updated_at'

interface Item {
  key: string
  uid: string
}

const before = (a: Item, b: Item) => (a.key === b.key ? a.uid < b.uid : a.key < b.key)

/** Uids in the order of a key, kept sorted by binary search: a change moves one element. */
export class SortedOrder {
  readonly items: Item[]
  private readonly keys = new Map<string, string>()

  constructor(items: Item[]) {
    this.items = items.sort((a, b) => (before(a, b) ? -1 : 1))
    for (const item of items) this.keys.set(item.uid, item.key)
  }

  put(uid: string, key: string): void {
    if (this.keys.get(uid) === key) return
    this.remove(uid)
    const item = { key, uid }
    this.items.splice(this.firstNotBefore(item), 0, item)
    this.keys.set(uid, key)
  }

  remove(uid: string): void {
    const key = this.keys.get(uid)
    if (key === undefined) return
    this.keys.delete(uid)
    this.items.splice(this.firstNotBefore({ key, uid }), 1)
  }

  /** Position of the first item whose key is >= `key`, or > `key` when `beyond`. */
  position(key: string, beyond: boolean): number {
    let low = 0
    let high = this.items.length
    while (low < high) {
      const middle = (low + high) >> 1
      const at = this.items[middle]?.key ?? ''
      if (beyond ? at <= key : at < key) low = middle + 1
      else high = middle
    }
    return low
  }

  private firstNotBefore(item: Item): number {
    let low = 0
    let high = this.items.length
    while (low < high) {
      const middle = (low + high) >> 1
      const at = this.items[middle]
      if (at && before(at, item)) low = middle + 1
      else high = middle
    }
    return low
  }
}

export interface EntryIndex {
  size(): number
  /** True while every entry speaks in every locale, because all have the master locale. */
  everyoneVisible(): boolean
  order(name: OrderName, locale: string): SortedOrder
  /** Dot paths of the unique fields. */
  uniquePaths: string[]
  /** Uids of the entries whose newest version, in any locale, holds the value. */
  holders(path: string, value: unknown): string[]
  put(entry: Entry): void
  remove(uid: string): void
}

const indexes = new WeakMap<Record<string, Entry>, { schema: SchemaField[]; index: EntryIndex }>()

export function indexOf(stack: Stack, branch: string, contentType: string): EntryIndex {
  const entries = entriesOf(stack, branch, contentType)
  const type = contentTypesOf(stack, branch)[contentType]
  const schema = type?.schema ?? []
  const known = indexes.get(entries)
  // A changed schema may have other unique fields.
  if (known && known.schema === schema) return known.index
  const index = buildIndex(stack, entries, type)
  indexes.set(entries, { schema, index })
  return index
}

/** After an entry was created, changed or removed (`null`). */
export function reindex(stack: Stack, branch: string, contentType: string, uid: string, entry: Entry | null): void {
  const known = indexes.get(entriesOf(stack, branch, contentType))
  if (!known) return
  if (entry) known.index.put(entry)
  else known.index.remove(uid)
}

function buildIndex(stack: Stack, entries: Record<string, Entry>, type: ContentType | undefined): EntryIndex {
  const uniquePaths = uniquePathsOf(type?.schema ?? [], '')
  const orders = new Map<string, { name: OrderName; locale: string; order: SortedOrder }>()
  const byValue = new Map<string, Map<unknown, Set<string>>>(uniquePaths.map(path => [path, new Map()]))
  const heldBy = new Map<string, { path: string; value: unknown }[]>()
  const all = new Set<string>()
  const masterless = new Set<string>()

  const keyFor = (name: OrderName, locale: string, entry: Entry) => {
    if (name === 'uid') return entry.uid
    if (name === 'created_at') return entry.createdAt
    return viewOf(stack, entry, locale)?.version.updatedAt ?? entry.createdAt
  }
  const forget = (uid: string) => {
    for (const { path, value } of heldBy.get(uid) ?? []) {
      const holders = byValue.get(path)?.get(value)
      holders?.delete(uid)
      if (holders?.size === 0) byValue.get(path)?.delete(value)
    }
    heldBy.delete(uid)
  }
  const remember = (entry: Entry) => {
    forget(entry.uid)
    all.add(entry.uid)
    if (entry.locales[stack.masterLocale]) masterless.delete(entry.uid)
    else masterless.add(entry.uid)
    const held: { path: string; value: unknown }[] = []
    for (const path of uniquePaths) {
      for (const { versions } of Object.values(entry.locales)) {
        const value = valueAt(versions.at(-1)?.fields ?? {}, path)
        if (value === undefined || value === null || value === '') continue
        const values = byValue.get(path)
        const holders = values?.get(value)
        if (holders) holders.add(entry.uid)
        else values?.set(value, new Set([entry.uid]))
        held.push({ path, value })
      }
    }
    if (held.length > 0) heldBy.set(entry.uid, held)
  }
  for (const entry of Object.values(entries)) remember(entry)

  return {
    size: () => all.size,
    everyoneVisible: () => masterless.size === 0,
    order(name, locale) {
      const id = name === 'updated_at' ? `${name}:${locale}` : name
      let known = orders.get(id)
      if (!known) {
        const items = Object.values(entries).map(entry => ({ key: keyFor(name, locale, entry), uid: entry.uid }))
        known = { name, locale, order: new SortedOrder(items) }
        orders.set(id, known)
      }
      return known.order
    },
    uniquePaths,
    holders: (path, value) => [...(byValue.get(path)?.get(value) ?? [])],
    put(entry) {
      remember(entry)
      for (const { name, locale, order } of orders.values()) order.put(entry.uid, keyFor(name, locale, entry))
    },
    remove(uid) {
      forget(uid)
      all.delete(uid)
      masterless.delete(uid)
      for (const { order } of orders.values()) order.remove(uid)
    }
  }
}

/** `unique` is not enforced on multiple fields (contentstack.md §8.2), nor within rows of one. */
function uniquePathsOf(schema: SchemaField[], prefix: string): string[] {
  return schema.flatMap(field => {
    if (field.multiple) return []
    const path = `${prefix}${field.uid}`
    if (field.schema && (field.data_type === 'group' || field.data_type === 'global_field')) return uniquePathsOf(field.schema, `${path}.`)
    return field.unique ? [path] : []
  })
}

export function valueAt(fields: Record<string, unknown>, path: string): unknown {
  let value: unknown = fields
  for (const step of path.split('.')) {
    if (typeof value !== 'object' || value === null) return undefined
    value = (value as Record<string, unknown>)[step]
  }
  return value
}
