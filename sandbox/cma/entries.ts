// The entry routes (contentstack.md §8.2, `[V:DOC cma-api-requests]`): list, get, create, update and localize, locales,
// references, versions, unlocalize, publish, delete. Reads and writes themselves are elsewhere; here is only what HTTP asks.
import { Router, type Request } from 'express'
import { viewOf } from '../world/entry-view.ts'
import { indexOf } from '../world/entry-index.ts'
import type { ContentType, Entry } from '../world/model.ts'
import { contentTypesOf, entriesOf, localeOf } from '../world/stack.ts'
import type { Call, Doors } from './call.ts'
import { findEntries } from './entry-list.ts'
import { entryShape, shapingOf } from './entry-shape.ts'
import { createEntry, deleteEntry, shape, unlocalizeEntry, updateEntry, validCreate, validUpdate } from './entry-write.ts'
import { seenEntry } from './late-reads.ts'
import { flag, pagingOf, queryOf } from './page.ts'
import { noSuchLocale, publishEntry, targetOf } from './publish.ts'
import { invalidData, noSuchContentType, noSuchObject } from './refusal.ts'

export function entryRoutes(doors: Doors): Router {
  const router = Router()
  const base = '/content_types/:contentType/entries'

  router.get(
    base,
    doors.stack((call, request) => {
      call.permit('entries', 'read')
      const type = typeNamed(call, request)
      const locale = localeAsked(call)
      if (flag(call.params, 'count')) return { body: { entries: indexOf(call.stack, call.branch, type.uid).size() } }
      const count = flag(call.params, 'include_count')
      const wanted = { locale, query: queryOf(call.params), sort: sortAsked(call), count, ...pagingOf(call.params) }
      const found = findEntries(call.stack, call.branch, type, wanted)
      const shaping = shapingOf(call.stack, call.branch, locale, call.context.urls.contentManagement, call.params)
      const entries = found.views.map(view => entryShape(shaping, type, view))
      return { body: { entries, ...schemaAsked(call, type), ...(found.count !== undefined && { count: found.count }) } }
    })
  )

  router.post(
    base,
    doors.stack((call, request) => {
      const made = call.permitWrite('entries', () => {
        const type = typeNamed(call, request)
        return { type, locale: localeAsked(call), draft: validCreate(call, type, entryGiven(call)) }
      })
      const view = createEntry(call, made.type, made.locale, made.draft)
      return { status: 201, body: { notice: 'Entry created successfully.', entry: shape(call, made.type, view) } }
    })
  )

  router.get(
    `${base}/:uid`,
    doors.stack((call, request) => {
      call.permit('entries', 'read')
      const type = typeNamed(call, request)
      const uid = String(request.params['uid'])
      const standing = entriesOf(call.stack, call.branch, type.uid)[uid]
      const entry = seenEntry(call.context, call.stack, { branch: call.branch, contentType: type.uid, uid, entry: standing })
      if (!entry) throw noSuchObject()
      const locale = localeAsked(call)
      const asked = call.params.get('version')
      const view = viewOf(call.stack, entry, locale, asked === null ? undefined : Number(asked))
      if (!view) throw noSuchObject(asked === null ? 'uid' : 'version')
      const shaping = shapingOf(call.stack, call.branch, locale, call.context.urls.contentManagement, call.params)
      return { body: { entry: entryShape(shaping, type, view), ...schemaAsked(call, type) } }
    })
  )

  router.put(
    `${base}/:uid`,
    doors.stack((call, request) => {
      const made = call.permitWrite('entries', () => {
        const type = typeNamed(call, request)
        const entry = entryNamed(call, type, request)
        const locale = localeAsked(call)
        return { type, entry, locale, draft: validUpdate(call, type, entry, locale, entryGiven(call)) }
      })
      const { view, localized } = updateEntry(call, made.type, made.entry, made.locale, made.draft)
      const notice = localized ? 'Entry localized successfully.' : 'Entry updated successfully.'
      return { body: { notice, entry: shape(call, made.type, view) } }
    })
  )

  router.delete(
    `${base}/:uid`,
    doors.stack((call, request) => {
      const { type, entry } = call.permitWrite('entries', () => named(call, request))
      const asked = flag(call.params, 'delete_all_localized') ? null : call.params.get('locale')
      if (asked !== null && !entry.locales[asked]) throw noSuchLocale()
      deleteEntry(call, type, entry, asked)
      return { body: { notice: 'Entry deleted successfully.' } }
    })
  )

  router.get(
    `${base}/:uid/locales`,
    doors.stack((call, request) => {
      call.permit('entries', 'read')
      const { entry } = named(call, request)
      const locales = call.stack.locales.map(locale => ({ code: locale.code, ...(entry.locales[locale.code] && { localized: true }) }))
      return { body: { locales } }
    })
  )

  router.get(
    `${base}/:uid/references`,
    doors.stack((call, request) => {
      call.permit('entries', 'read')
      return { body: { references: referencesTo(call, named(call, request).entry.uid) } }
    })
  )

  router.get(
    `${base}/:uid/versions`,
    doors.stack((call, request) => {
      call.permit('entries', 'read')
      const { entry } = named(call, request)
      const locale = localeAsked(call)
      const versions = (entry.locales[locale]?.versions ?? []).map(one => ({
        _version: one.version,
        locale,
        updated_at: one.updatedAt,
        updated_by: one.updatedBy
      }))
      return { body: { versions: versions.reverse() } }
    })
  )

  router.post(
    `${base}/:uid/unlocalize`,
    doors.stack((call, request) => {
      const { type, entry } = call.permitWrite('entries', () => named(call, request))
      const locale = localeAsked(call)
      if (locale === call.stack.masterLocale || !entry.locales[locale]) throw noSuchLocale()
      unlocalizeEntry(call, type, entry, locale)
      return { body: { notice: 'Entry unlocalized successfully.' } }
    })
  )

  for (const way of ['publish', 'unpublish'] as const) {
    router.post(
      `${base}/:uid/${way}`,
      doors.stack((call, request) => {
        const found = call.permitWrite(
          'entries',
          () => ({ ...named(call, request), target: targetOf(call, call.body['entry'], call.body) }),
          way
        )
        publishEntry(call, found.type, found.entry, way, found.target)
        return { body: { notice: 'The requested action has been performed.' } }
      })
    )
  }
  return router
}

function named(call: Call, request: Request): { type: ContentType; entry: Entry } {
  const type = typeNamed(call, request)
  return { type, entry: entryNamed(call, type, request) }
}

function typeNamed(call: Call, request: Request): ContentType {
  const uid = String(request.params['contentType'])
  const type = contentTypesOf(call.stack, call.branch)[uid]
  if (!type) throw noSuchContentType(uid)
  return type
}

function entryNamed(call: Call, type: ContentType, request: Request): Entry {
  const entry = entriesOf(call.stack, call.branch, type.uid)[String(request.params['uid'])]
  if (!entry) throw noSuchObject()
  return entry
}

/** Locale codes are lower-case and hyphenated; anything else is 422 (§8.1). */
function localeAsked(call: Call): string {
  const asked = call.params.get('locale') ?? call.stack.masterLocale
  if (!localeOf(call.stack, asked)) throw noSuchLocale()
  return asked
}

/** Whether `asc=uid` holds is not established: under the play `unsorted` it is ignored without a word. */
function sortAsked(call: Call): { path: string; descending: boolean } | null {
  const ascending = call.params.get('asc')
  const path = ascending ?? call.params.get('desc')
  if (path === null || path === '') return null
  if (path === 'uid' && call.context.plays.sortedPaging === 'unsorted') return null
  return { path, descending: ascending === null }
}

function schemaAsked(call: Call, type: ContentType): Record<string, unknown> {
  return flag(call.params, 'include_content_type')
    ? { content_type: type }
    : flag(call.params, 'include_schema')
      ? { schema: type.schema }
      : {}
}

function entryGiven(call: Call): Record<string, unknown> {
  const given = call.body['entry']
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw invalidData('Entry creation failed. Please enter valid data.', { entry: ['is a required field.'] })
  }
  return given as Record<string, unknown>
}

/** Who refers to an entry: a full scan, as nothing else in the sandbox needs the reverse. */
function referencesTo(call: Call, uid: string): Record<string, unknown>[] {
  const marker = `"uid":${JSON.stringify(uid)}`
  return Object.values(contentTypesOf(call.stack, call.branch)).flatMap(type =>
    Object.values(entriesOf(call.stack, call.branch, type.uid)).flatMap(entry =>
      Object.entries(entry.locales).flatMap(([locale, { versions }]) => {
        const last = versions.at(-1)
        if (!last || entry.uid === uid || !JSON.stringify(last.fields).includes(marker)) return []
        return [
          {
            entry_uid: entry.uid,
            content_type_uid: type.uid,
            locale,
            title: last.fields['title'],
            content_type_title: type.title,
            _version: last.version
          }
        ]
      })
    )
  )
}
