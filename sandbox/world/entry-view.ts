// What an entry says in a locale: one's own version, else the fallback's, with non-localizable fields always the master's
// (contentstack.md §8.2, "Localisation"). Pure; knows nothing of requests or indexes.
import type { ContentType, Entry, EntryVersion, FieldsOf, Stack } from './model.ts'
import { localeOf } from './stack.ts'

export interface EntryView {
  entry: Entry
  /** Where the content comes from: the asked locale, or what it fell back to. */
  locale: string
  version: EntryVersion
}

/** The newest version, or the numbered one; null when the entry has nothing to say in that locale. */
export function viewOf(stack: Stack, entry: Entry, locale: string, number?: number): EntryView | null {
  const fallback = localeOf(stack, locale)?.fallback_locale
  for (const candidate of [locale, fallback, stack.masterLocale]) {
    const held = candidate === null || candidate === undefined ? undefined : entry.locales[candidate]
    if (!held || candidate === null || candidate === undefined) continue
    const version = number === undefined ? held.versions.at(-1) : held.versions.find(one => one.version === number)
    return version ? { entry, locale: candidate, version } : null
  }
  return null
}

const sharedFieldsOf = new WeakMap<ContentType, string[]>()

/** Top-level fields that follow the master locale. */
export function nonLocalizable(contentType: ContentType): string[] {
  let names = sharedFieldsOf.get(contentType)
  if (!names) {
    names = contentType.schema.filter(field => field.non_localizable).map(field => field.uid)
    sharedFieldsOf.set(contentType, names)
  }
  return names
}

/** The view's fields in write shape. */
export function fieldsOf(stack: Stack, contentType: ContentType, view: EntryView): FieldsOf {
  const shared = nonLocalizable(contentType)
  if (shared.length === 0 || view.locale === stack.masterLocale) return view.version.fields
  const master = view.entry.locales[stack.masterLocale]?.versions.at(-1)
  if (!master) return view.version.fields
  const fields = { ...view.version.fields }
  for (const name of shared) {
    if (name in master.fields) fields[name] = master.fields[name]
    else delete fields[name]
  }
  return fields
}

/** One field, without building the rest: what a filter over 100,000 entries asks. */
export function fieldOf(stack: Stack, contentType: ContentType, view: EntryView, name: string): unknown {
  if (view.locale !== stack.masterLocale && nonLocalizable(contentType).includes(name)) {
    const master = view.entry.locales[stack.masterLocale]?.versions.at(-1)
    if (master) return master.fields[name]
  }
  return view.version.fields[name]
}
