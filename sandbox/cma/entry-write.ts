// Creating, changing, localizing and deleting entries (contentstack.md §8.2). No upsert, no idempotency key, no expected
// version: the last write wins, and versions count per locale. Each accepted write is recorded and told.
import { fieldsOf, nonLocalizable, viewOf, type EntryView } from '../world/entry-view.ts'
import { indexOf, reindex, valueAt } from '../world/entry-index.ts'
import type { ContentType, Entry, FieldsOf } from '../world/model.ts'
import { entriesOf } from '../world/stack.ts'
import { newUid } from '../world/uids.ts'
import type { Call } from './call.ts'
import { storable } from './entry-fields.ts'
import { entryShape, plainShaping } from './entry-shape.ts'
import { rememberDeleted } from './late-reads.ts'
import { authorOf, recordWrite } from './record.ts'
import { invalidData, type FieldErrors } from './refusal.ts'
import type { ChangeEvent } from '../changes.ts'

export interface Draft {
  fields: FieldsOf
}

/** Throws Refusal 422/119 with every field error at once. Message texts are [MEM]. */
export function validCreate(call: Call, type: ContentType, given: Record<string, unknown>): Draft {
  const { fields, errors } = storable(call.stack, call.branch, type.schema, given, {})
  addUniqueErrors(call, type, fields, null, errors)
  if (Object.keys(errors).length > 0) throw invalidData('Entry creation failed. Please enter valid data.', errors)
  return { fields: { tags: [], ...fields } }
}

/** A localized version starts from what the locale showed so far. */
export function validUpdate(call: Call, type: ContentType, entry: Entry, locale: string, given: Record<string, unknown>): Draft {
  const before = viewOf(call.stack, entry, locale)
  const base = before ? fieldsOf(call.stack, type, before) : {}
  const allowed = { ...given }
  // Non-localizable fields follow the master: a localized write cannot move them.
  if (locale !== call.stack.masterLocale && entry.locales[call.stack.masterLocale])
    for (const name of nonLocalizable(type)) delete allowed[name]
  const { fields, errors } = storable(call.stack, call.branch, type.schema, allowed, base)
  addUniqueErrors(call, type, fields, entry.uid, errors)
  if (Object.keys(errors).length > 0) throw invalidData('Entry update failed. Please enter valid data.', errors)
  return { fields }
}

function addUniqueErrors(call: Call, type: ContentType, fields: FieldsOf, self: string | null, errors: FieldErrors): void {
  const index = indexOf(call.stack, call.branch, type.uid)
  for (const path of index.uniquePaths) {
    const value = valueAt(fields, path)
    // Empty is allowed as often as one likes, unless the field is mandatory.
    if (value === undefined || value === null || value === '') continue
    if (index.holders(path, value).some(uid => uid !== self)) (errors[path] ??= []).push('is not unique.')
  }
}

export function createEntry(call: Call, type: ContentType, locale: string, draft: Draft): EntryView {
  const at = call.context.clock.iso()
  const by = authorOf(call)
  const version = { version: 1, fields: draft.fields, updatedAt: at, updatedBy: by }
  const uid = newUid()
  const entry: Entry = {
    uid,
    contentType: type.uid,
    createdAt: at,
    createdBy: by,
    locales: { [locale]: { createdAt: at, versions: [version] } },
    publishDetails: []
  }
  entriesOf(call.stack, call.branch, type.uid)[uid] = entry
  const view = { entry, locale, version }
  settle(call, type, view, 'create')
  return view
}

/** Also localizes: a locale without a version of its own gets its first. */
export function updateEntry(
  call: Call,
  type: ContentType,
  entry: Entry,
  locale: string,
  draft: Draft
): { view: EntryView; localized: boolean } {
  const at = call.context.clock.iso()
  const held = entry.locales[locale]
  const localized = held === undefined
  const versions = held?.versions ?? []
  const version = { version: (versions.at(-1)?.version ?? 0) + 1, fields: draft.fields, updatedAt: at, updatedBy: authorOf(call) }
  if (localized) entry.locales[locale] = { createdAt: at, versions: [version] }
  else versions.push(version)
  const view = { entry, locale, version }
  settle(call, type, view, localized ? 'localize' : 'update')
  return { view, localized }
}

/** The named locale only, or all of the entry when null. What a plain DELETE leaves of other locales is not established. */
export function deleteEntry(call: Call, type: ContentType, entry: Entry, locale: string | null): void {
  rememberDeleted(call.context, call.stack, call.branch, entry)
  const locales = locale === null ? Object.keys(entry.locales) : [locale]
  const views = locales.map(one => viewOf(call.stack, entry, one)).filter(view => view !== null)
  const last = views.map(view => ({ view, object: shape(call, type, view) }))
  for (const one of locales) {
    delete entry.locales[one]
    entry.publishDetails = entry.publishDetails.filter(detail => detail.locale !== one)
  }
  const gone = Object.keys(entry.locales).length === 0
  if (gone) delete entriesOf(call.stack, call.branch, type.uid)[entry.uid]
  reindex(call.stack, call.branch, type.uid, entry.uid, gone ? null : entry)
  recordWrite(call, {
    action: 'delete',
    module: 'entry',
    uid: entry.uid,
    contentType: type.uid,
    branch: call.branch,
    ...(locale !== null && { locale })
  })
  for (const { view, object } of last) tell(call, type, view, 'delete', object)
}

/** Drops a locale's own versions, so that it falls back again. */
export function unlocalizeEntry(call: Call, type: ContentType, entry: Entry, locale: string): void {
  delete entry.locales[locale]
  reindex(call.stack, call.branch, type.uid, entry.uid, entry)
  recordWrite(call, { action: 'update', module: 'entry', uid: entry.uid, contentType: type.uid, branch: call.branch, locale })
  const view = viewOf(call.stack, entry, locale)
  if (view) tell(call, type, view, 'update', shape(call, type, view))
}

function settle(call: Call, type: ContentType, view: EntryView, action: 'create' | 'update' | 'localize'): void {
  const { entry, locale, version } = view
  reindex(call.stack, call.branch, type.uid, entry.uid, entry)
  recordWrite(call, {
    action,
    module: 'entry',
    uid: entry.uid,
    contentType: type.uid,
    branch: call.branch,
    locale,
    version: version.version
  })
  tell(call, type, view, action === 'create' ? 'create' : 'update', shape(call, type, view))
}

function tell(call: Call, type: ContentType, view: EntryView, event: ChangeEvent, object: Record<string, unknown>): void {
  call.context.changes.emit({
    module: 'entry',
    event,
    apiKey: call.stack.apiKey,
    branch: call.branch,
    locale: view.locale,
    object,
    contentType: type,
    by: call.credential,
    at: call.context.clock.iso()
  })
}

export function shape(call: Call, type: ContentType, view: EntryView): Record<string, unknown> {
  return entryShape(plainShaping(call.stack, call.branch, view.locale, call.context.urls.contentManagement), type, view)
}
