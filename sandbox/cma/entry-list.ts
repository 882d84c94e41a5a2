// Finds a page of entries: picks an order and candidates from the index, filters what the index cannot answer, counts. Fast at
// 100,000 entries as long as the query has a range or an exact unique value, or none at all.
import { fieldOf, viewOf, type EntryView } from '../world/entry-view.ts'
import { indexOf, type EntryIndex, type OrderName, type SortedOrder } from '../world/entry-index.ts'
import type { ContentType, Entry, Stack } from '../world/model.ts'
import { entriesOf } from '../world/stack.ts'
import { compile, type Bounds, type Filter, type Reader } from './entry-query.ts'

export interface Wanted {
  locale: string
  query: Record<string, unknown>
  /** A field path; without one the newest change comes first [MEM]. */
  sort: { path: string; descending: boolean } | null
  skip: number
  limit: number
  count: boolean
}

export interface Found {
  views: EntryView[]
  count?: number
}

const orderNames: readonly OrderName[] = ['uid', 'created_at', 'updated_at']
const isOrder = (path: string): path is OrderName => (orderNames as readonly string[]).includes(path)

export function findEntries(stack: Stack, branch: string, type: ContentType, wanted: Wanted): Found {
  const index = indexOf(stack, branch, type.uid)
  const entries = entriesOf(stack, branch, type.uid)
  const filter = compile(wanted.query, orderNames)
  const sort = wanted.sort ?? { path: 'updated_at', descending: true }

  const named = exactly(filter, path =>
    path === 'uid' ? (uid: unknown) => [String(uid)] : index.uniquePaths.includes(path) ? value => index.holders(path, value) : null
  )
  const look = (uid: string): EntryView | null => {
    const entry = entries[uid]
    return entry ? viewOf(stack, entry, wanted.locale) : null
  }
  const passes = (view: EntryView, ranges: Map<string, Bounds>) => {
    const read = reader(stack, type, view)
    for (const [path, bounds] of ranges) if (!within(read(path)[0], bounds)) return false
    return filter.rest === null || filter.rest(read)
  }

  if (named === null && isOrder(sort.path)) {
    const order = index.order(sort.path, wanted.locale)
    const { start, end } = span(order, filter.ranges.get(sort.path))
    const others = new Map([...filter.ranges].filter(([path]) => path !== sort.path))
    // A narrow range on another order beats walking this one; see `narrowest`.
    if (others.size === 0) {
      const uids = walk(order, start, end, sort.descending)
      if (filter.rest === null && index.everyoneVisible()) return slice(uids, end - start, wanted, look)
      return scan(uids, wanted, look, view => passes(view, others))
    }
  }
  const candidates = named ?? narrowest(index, filter, wanted.locale) ?? Object.keys(entries)
  const views = candidates.map(look).filter(view => view !== null && passes(view, filter.ranges)) as EntryView[]
  sortViews(views, stack, type, sort)
  return { views: views.slice(wanted.skip, wanted.skip + wanted.limit), ...(wanted.count && { count: views.length }) }
}

/** Nothing to filter: only the page's own entries are looked at. */
function slice(uids: Iterable<string>, total: number, wanted: Wanted, look: (uid: string) => EntryView | null): Found {
  const views: EntryView[] = []
  let position = 0
  for (const uid of uids) {
    if (position >= wanted.skip + wanted.limit) break
    if (position >= wanted.skip) {
      const view = look(uid)
      if (view) views.push(view)
    }
    position += 1
  }
  return { views, ...(wanted.count && { count: total }) }
}

function scan(
  uids: Iterable<string>,
  wanted: Wanted,
  look: (uid: string) => EntryView | null,
  passes: (view: EntryView) => boolean
): Found {
  const views: EntryView[] = []
  let matched = 0
  for (const uid of uids) {
    if (!wanted.count && views.length >= wanted.limit) break
    const view = look(uid)
    if (!view || !passes(view)) continue
    if (matched >= wanted.skip && views.length < wanted.limit) views.push(view)
    matched += 1
  }
  return { views, ...(wanted.count && { count: matched }) }
}

function* walk(order: SortedOrder, start: number, end: number, descending: boolean): Generator<string> {
  for (let step = 0; step < end - start; step += 1) {
    const item = order.items[descending ? end - 1 - step : start + step]
    if (item) yield item.uid
  }
}

function span(order: SortedOrder, bounds: Bounds | undefined): { start: number; end: number } {
  const start = bounds?.from ? order.position(bounds.from.key, bounds.from.beyond) : 0
  const end = bounds?.to ? order.position(bounds.to.key, bounds.to.beyond) : order.items.length
  return { start, end: Math.max(start, end) }
}

function narrowest(index: EntryIndex, filter: Filter, locale: string): string[] | null {
  let best: { order: SortedOrder; start: number; end: number } | null = null
  for (const [path, bounds] of filter.ranges) {
    if (!isOrder(path)) continue
    const candidate = index.order(path, locale)
    const { start, end } = span(candidate, bounds)
    if (!best || end - start < best.end - best.start) best = { order: candidate, start, end }
  }
  return best ? [...walk(best.order, best.start, best.end, false)] : null
}

function exactly(filter: Filter, finder: (path: string) => ((value: unknown) => string[]) | null): string[] | null {
  for (const { path, values } of filter.exact) {
    const find = finder(path)
    if (find && !values.includes(null)) return [...new Set(values.flatMap(find))]
  }
  return null
}

function within(value: unknown, bounds: Bounds): boolean {
  if (typeof value !== 'string') return false
  if (bounds.from && (bounds.from.beyond ? value <= bounds.from.key : value < bounds.from.key)) return false
  return !bounds.to || (bounds.to.beyond ? value <= bounds.to.key : value < bounds.to.key)
}

function sortViews(views: EntryView[], stack: Stack, type: ContentType, sort: { path: string; descending: boolean }): void {
  const keyed = views.map(view => ({ view, key: reader(stack, type, view)(sort.path)[0] }))
  const sign = sort.descending ? -1 : 1
  keyed.sort((a, b) => sign * (order(a.key, b.key) || (a.view.entry.uid < b.view.entry.uid ? -1 : 1)))
  views.splice(0, views.length, ...keyed.map(one => one.view))
}

/** Absent values first, then numbers, then text. */
function order(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  const [left, right] = [a, b].map(value => (typeof value === 'string' ? value : (JSON.stringify(value ?? '') ?? '')))
  return left === right ? 0 : (left ?? '') < (right ?? '') ? -1 : 1
}

/** What a query sees of an entry: its own data first, then its fields. */
function reader(stack: Stack, type: ContentType, view: EntryView): Reader {
  return path => {
    const steps = path.split('.')
    const head = steps[0] ?? ''
    const own = ownData(view.entry, view, head)
    const value = own === undefined ? fieldOf(stack, type, view, head) : own
    const values: unknown[] = []
    collect(value, steps, 1, values)
    return values
  }
}

function ownData(entry: Entry, view: EntryView, name: string): unknown {
  switch (name) {
    case 'uid':
      return entry.uid
    case 'locale':
      return view.locale
    case '_version':
      return view.version.version
    case 'created_at':
      return entry.createdAt
    case 'updated_at':
      return view.version.updatedAt
    case 'created_by':
      return entry.createdBy
    case 'updated_by':
      return view.version.updatedBy
    default:
      return undefined
  }
}

function collect(value: unknown, steps: string[], at: number, into: unknown[]): void {
  if (Array.isArray(value)) {
    for (const one of value) collect(one, steps, at, into)
    return
  }
  const step = steps[at]
  if (step === undefined) {
    if (value !== undefined) into.push(value)
    return
  }
  if (typeof value === 'object' && value !== null) collect((value as Record<string, unknown>)[step], steps, at + 1, into)
  // A file is stored as its uid and read as an asset: `cover.uid` finds it either way.
  else if (typeof value === 'string' && step === 'uid' && at === steps.length - 1) into.push(value)
}
