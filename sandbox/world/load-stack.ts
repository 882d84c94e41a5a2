// Loads a stack that Contentstack's CLI exported (`csdx cm:stacks:export`, content version 2: one folder per module, entries by
// content type and locale in chunks named by an index.json) into the world. The directory is read where it lies: asset bytes
// stay there and are read when asked for. What the sandbox has no room for (workflows, labels, marketplace apps) is named.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { country } from './built-in-types.ts'
import type {
  Asset,
  ContentType,
  Entry,
  EntryVersion,
  Environment,
  Locale,
  PublishDetail,
  SchemaField,
  Stack,
  StackRole,
  World
} from './model.ts'
import { ada, dora, edda, harbourPublishing, otto } from './people.ts'
import { assetsOf, contentTypesOf, createStack, entriesOf, globalFieldsOf } from './stack.ts'
import { newUid, uidFor } from './uids.ts'

export interface LoadedStack {
  stack: Stack
  entries: number
  assets: number
  /** Lines for the log: what was added, what was left aside. */
  notes: string[]
}

type Json = Record<string, unknown>

/**
 * Adds the stack to Harbour Publishing with its people. The api key is derived from the directory's name, so that two starts
 * speak of the same stack. Throws Error, naming the path, when the directory is not such an export.
 */
export function loadStack(world: World, directory: string, at: string = new Date().toISOString()): LoadedStack {
  const root = existsSync(join(directory, 'main', 'content_types')) ? join(directory, 'main') : directory
  if (!existsSync(join(root, 'content_types'))) {
    throw new Error(`${directory} is no stack export: it has no content_types folder (made by "csdx cm:stacks:export")`)
  }
  const organization = world.organizations[harbourPublishing]
  if (!organization) throw new Error('the world has no organization to put the stack into')
  const members: Record<string, StackRole> = { [otto.uid]: 'owner', [ada.uid]: 'admin', [dora.uid]: 'developer', [edda.uid]: 'editor' }
  const name = basename(resolve(directory))
  const stack = createStack({ apiKey: uidFor(`stack/${name}`), name, organization, members, locales: [], environments: [] })
  const notes: string[] = []

  loadLocales(root, stack)
  stack.environments = Object.values(readMap(join(root, 'environments', 'environments.json'))).map(
    (one): Environment => ({
      uid: String(one['uid']),
      name: String(one['name']),
      urls: (one['urls'] as Environment['urls'] | undefined) ?? []
    })
  )
  for (const extension of Object.values(readMap(join(root, 'extensions', 'extensions.json')))) {
    const { stackHeaders: _headers, urlPath: _path, ...rest } = extension
    stack.extensions[String(extension['uid'])] = rest
  }
  loadTaxonomies(root, stack)
  loadTypes(root, stack, at)
  const assets = loadAssets(root, stack, at, notes)
  const entries = loadEntries(root, stack, at)

  const types = contentTypesOf(stack, 'main')
  if (!types['country']) {
    types['country'] = country(at)
    notes.push('added the content type "country" for the inbound demo')
  }
  for (const left of ['workflows', 'labels', 'webhooks', 'marketplace_apps', 'releases', 'custom-roles']) {
    if (hasContent(join(root, left))) notes.push(`left aside: ${left}`)
  }
  world.stacks[stack.apiKey] = stack
  return { stack, entries, assets, notes }
}

function loadLocales(root: string, stack: Stack): void {
  const master = Object.values(readMap(join(root, 'locales', 'master-locale.json')))[0]
  const others = Object.values(readMap(join(root, 'locales', 'locales.json')))
  stack.masterLocale = textIn(master?.['code'], 'en-us')
  const first = master ?? { code: stack.masterLocale, name: 'English - United States' }
  stack.locales = [first, ...others.filter(one => one['code'] !== stack.masterLocale)].map(
    (one): Locale => ({
      uid: textIn(one['uid'], newUid()),
      code: textIn(one['code'], stack.masterLocale),
      name: String(one['name']),
      fallback_locale: one['code'] === stack.masterLocale ? null : textIn(one['fallback_locale'], stack.masterLocale)
    })
  )
}

function loadTaxonomies(root: string, stack: Stack): void {
  for (const taxonomy of Object.values(readMap(join(root, 'taxonomies', 'taxonomies.json')))) {
    const uid = String(taxonomy['uid'])
    const file = [join(root, 'taxonomies', `${uid}.json`), join(root, 'taxonomies', 'terms', `${uid}-terms.json`)].find(path =>
      existsSync(path)
    )
    const held = file ? (JSON.parse(readFileSync(file, 'utf8')) as Json | Json[]) : []
    const terms = Array.isArray(held) ? held : ((held['terms'] as Json[] | undefined) ?? [])
    stack.taxonomies[uid] = {
      uid,
      name: String(taxonomy['name']),
      description: textIn(taxonomy['description'], ''),
      terms: terms.map((term, index) => ({
        uid: String(term['uid']),
        name: String(term['name']),
        parent_uid: (term['parent_uid'] as string | null | undefined) ?? null,
        order: Number(term['order'] ?? index + 1)
      }))
    }
  }
}

function loadTypes(root: string, stack: Stack, at: string): void {
  const shaped = (type: Json): ContentType => ({
    uid: String(type['uid']),
    title: String(type['title']),
    description: textIn(type['description'], ''),
    schema: (type['schema'] as SchemaField[] | undefined) ?? [],
    options: (type['options'] as Record<string, unknown> | undefined) ?? {},
    created_at: textIn(type['created_at'], at),
    updated_at: textIn(type['updated_at'], at),
    _version: Number(type['_version'] ?? 1)
  })
  const globals = readIfThere(join(root, 'global_fields', 'globalfields.json'))
  for (const type of Array.isArray(globals) ? (globals as Json[]) : Object.values((globals ?? {}) as Record<string, Json>)) {
    globalFieldsOf(stack, 'main')[String(type['uid'])] = shaped(type)
  }
  // schema.json repeats every content type and, in some exports, the global fields: the single files are the truth.
  for (const file of readdirSync(join(root, 'content_types'))) {
    if (!file.endsWith('.json') || file === 'schema.json') continue
    const type = shaped(JSON.parse(readFileSync(join(root, 'content_types', file), 'utf8')) as Json)
    contentTypesOf(stack, 'main')[type.uid] = type
  }
}

function loadAssets(root: string, stack: Stack, at: string, notes: string[]): number {
  const folder = join(root, 'assets')
  const files = Object.values((readIfThere(join(folder, 'assets.json')) ?? {}) as Record<string, string>)
  const held = files.flatMap(file => Object.values(readMap(join(folder, file))))
  const folders = readIfThere(join(folder, 'folders.json'))
  const directories = (Array.isArray(folders) ? folders : Object.values(folders ?? {})) as Json[]
  const assets = assetsOf(stack, 'main')
  let missing = 0
  for (const one of [...directories, ...held]) {
    const uid = String(one['uid'])
    const filename = textIn(one['filename'] ?? one['name'], uid)
    const isDir = one['is_dir'] === true
    const path = join(folder, 'files', uid, filename)
    if (!isDir && !existsSync(path)) missing += 1
    const asset: Asset = {
      uid,
      title: textIn(one['title'], filename),
      description: textIn(one['description'], ''),
      filename,
      contentType: textIn(one['content_type'], isDir ? 'application/vnd.contenstack.folder' : 'application/octet-stream'),
      fileSize: Number(one['file_size'] ?? 0),
      isDir,
      parentUid: (one['parent_uid'] as string | null | undefined) ?? null,
      uploadUid: uidFor(`upload/${uid}`),
      tags: (one['tags'] as string[] | undefined) ?? [],
      version: Number(one['_version'] ?? 1),
      createdAt: textIn(one['created_at'], at),
      updatedAt: textIn(one['updated_at'], at),
      createdBy: textIn(one['created_by'], otto.uid),
      updatedBy: textIn(one['updated_by'], otto.uid),
      publishDetails: publishDetails(one),
      content: { path: resolve(path) }
    }
    assets[uid] = asset
  }
  if (missing > 0) notes.push(`${missing} assets have no file in the export: their address answers 404`)
  return held.length
}

function loadEntries(root: string, stack: Stack, at: string): number {
  let loaded = 0
  for (const type of Object.values(contentTypesOf(stack, 'main'))) {
    const folder = join(root, 'entries', type.uid)
    if (!existsSync(folder)) continue
    const entries = entriesOf(stack, 'main', type.uid)
    // The master locale first, so that an entry's own creation time is the master's.
    const locales = readdirSync(folder).sort((a, b) => Number(b === stack.masterLocale) - Number(a === stack.masterLocale))
    for (const locale of locales) {
      const chunks = Object.values((readIfThere(join(folder, locale, 'index.json')) ?? {}) as Record<string, string>)
      for (const chunk of chunks) {
        for (const exported of Object.values(readMap(join(folder, locale, chunk)))) {
          // An unlocalized entry is exported under every locale as its fallback.
          if ((exported['locale'] ?? locale) === locale) plant(stack, type, entries, locale, exported, at)
        }
      }
    }
    loaded += Object.keys(entries).length
  }
  return loaded
}

function plant(stack: Stack, type: ContentType, entries: Record<string, Entry>, locale: string, exported: Json, at: string): void {
  const uid = String(exported['uid'])
  const updatedAt = textIn(exported['updated_at'], at)
  const createdAt = textIn(exported['created_at'], updatedAt)
  const createdBy = textIn(exported['created_by'], otto.uid)
  const fields = storedFields(exported, type.schema, stack)
  fields['tags'] = exported['tags'] ?? []
  const version: EntryVersion = {
    version: Number(exported['_version'] ?? 1),
    fields,
    updatedAt,
    updatedBy: textIn(exported['updated_by'], createdBy)
  }
  const entry = (entries[uid] ??= { uid, contentType: type.uid, createdAt, createdBy, locales: {}, publishDetails: [] })
  entry.locales[locale] = { createdAt, versions: [version] }
  for (const detail of publishDetails(exported)) {
    const known = entry.publishDetails.some(one => one.environment === detail.environment && one.locale === detail.locale)
    if (!known) entry.publishDetails.push(detail)
  }
}

/** The export holds the read shape; stored is the write shape, where a file is its uid (contentstack.md §8.2). */
function storedFields(exported: Json, schema: SchemaField[], stack: Stack): Json {
  const fields: Json = {}
  for (const field of schema) {
    if (field.uid in exported) fields[field.uid] = storedValue(exported[field.uid], field, stack)
  }
  if ('_metadata' in exported) fields['_metadata'] = exported['_metadata']
  return fields
}

function storedValue(value: unknown, field: SchemaField, stack: Stack): unknown {
  if (value === null || value === undefined) return value
  if (field.data_type === 'blocks') {
    return (value as Json[]).map(block =>
      Object.fromEntries(
        Object.entries(block).map(([kind, content]) => {
          const known = field.blocks?.find(one => one.uid === kind)
          const schema = known?.schema ?? globalFieldsOf(stack, 'main')[known?.reference_to ?? '']?.schema
          return [kind, schema ? storedFields(content as Json, schema, stack) : content]
        })
      )
    )
  }
  if (Array.isArray(value)) return value.map(one => storedValue(one, field, stack))
  if (field.data_type === 'file') return typeof value === 'object' ? ((value as Json)['uid'] ?? null) : value
  if ((field.data_type === 'group' || field.data_type === 'global_field') && typeof value === 'object') {
    const referred = typeof field.reference_to === 'string' ? globalFieldsOf(stack, 'main')[field.reference_to]?.schema : undefined
    const schema = field.schema ?? referred
    return schema ? storedFields(value as Json, schema, stack) : value
  }
  return value
}

function publishDetails(exported: Json): PublishDetail[] {
  const details = exported['publish_details']
  return Array.isArray(details) ? (details as PublishDetail[]).map(detail => ({ ...detail })) : []
}

function textIn(value: unknown, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise
}

function readIfThere(file: string): Json | unknown[] | null {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Json | unknown[]) : null
}

function readMap(file: string): Record<string, Json> {
  return (readIfThere(file) ?? {}) as Record<string, Json>
}

function hasContent(folder: string): boolean {
  if (!existsSync(folder)) return false
  return readdirSync(folder).some(file => file.endsWith('.json') && readFileSync(join(folder, file), 'utf8').trim().length > 2)
}
