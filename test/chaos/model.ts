// What must stand in the end, kept by the simplest means: entries with their locales as people left them, and records of the source.
// It knows nothing of how anything is synced. Fields that are not localized follow the master locale.
export const master = 'en-us'

export type Fields = Record<string, string | number | boolean>

/** The fields of a content type that the outbound syncs carry. */
export const fieldsOf = {
  product: { localized: ['title', 'description'], shared: ['sku', 'price', 'in_stock'] },
  author: { localized: ['title', 'biography'], shared: ['email', 'staff'] },
  country: { localized: ['title', 'capital', 'region', 'area', 'independent'], shared: ['code'] }
} as const
export type TypeName = keyof typeof fieldsOf
/** Carried from the source into an entry of `country`. */
export const sourceFields = ['code', 'title', 'capital', 'region', 'area', 'independent'] as const

export interface ModelEntry {
  uid: string
  locales: Record<string, Fields>
}

export interface Model {
  entries: Record<'product' | 'author', Map<string, ModelEntry>>
  /** code -> what the row says; a title of '' is refused by Contentstack. */
  source: Map<string, Fields>
  /** Every code that ever stood in the source. */
  codes: Set<string>
  /** People changed or deleted the entry of this code since its record last changed: who was last is not decided here. */
  touched: Set<string>
}

export const createModel = (): Model => ({
  entries: { product: new Map(), author: new Map() },
  source: new Map(),
  codes: new Set(),
  touched: new Set()
})

/** A write of a person as the platform takes it: a new locale begins with what it showed so far, and shared fields do not move in it. */
export function write(entry: ModelEntry, type: TypeName, locale: string, given: Fields): void {
  const own = entry.locales[locale] ?? entry.locales[master] ?? {}
  const shared: readonly string[] = fieldsOf[type].shared
  const allowed = locale === master ? given : Object.fromEntries(Object.entries(given).filter(([name]) => !shared.includes(name)))
  entry.locales[locale] = { ...own, ...allowed }
}

/** `uid:locale` -> the row's fields. */
export function rowsOf(type: TypeName, entries: Iterable<ModelEntry>, wanted: readonly string[]): Map<string, Fields> {
  const rows = new Map<string, Fields>()
  for (const { uid, locales } of entries) {
    for (const [locale, own] of Object.entries(locales)) {
      if (wanted.length > 0 && !wanted.includes(locale)) continue
      const from = locales[master] ?? own
      const row: Fields = {}
      for (const name of fieldsOf[type].localized) if (own[name] !== undefined) row[name] = own[name]
      for (const name of fieldsOf[type].shared) if (from[name] !== undefined) row[name] = from[name]
      rows.set(`${uid}:${locale}`, row)
    }
  }
  return rows
}
