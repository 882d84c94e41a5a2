// Short spellings of schema fields in the shape the CMA returns them, for the built-in content types. Knows field types, no
// content type.
import type { ContentType, SchemaField } from './model.ts'

type More = Partial<SchemaField>

function field(data_type: string, uid: string, display_name: string, more: More = {}): SchemaField {
  const { field_metadata, ...rest } = more
  return {
    uid,
    data_type,
    display_name,
    field_metadata: { description: '', version: 3, ...field_metadata },
    mandatory: false,
    unique: false,
    multiple: false,
    non_localizable: false,
    ...rest
  }
}

export const text = (uid: string, name: string, more?: More) => field('text', uid, name, more)
export const title = (name = 'Title') => field('text', 'title', name, { mandatory: true, unique: true, field_metadata: { _default: true } })
export const url = () => field('text', 'url', 'URL', { field_metadata: { _default: true } })
export const html = (uid: string, name: string) =>
  field('text', uid, name, { field_metadata: { allow_rich_text: true, rich_text_type: 'advanced', multiline: false } })
export const richText = (uid: string, name: string) =>
  field('json', uid, name, {
    reference_to: ['sys_assets'],
    field_metadata: { allow_json_rte: true, embed_entry: false, rich_text_type: 'advanced' }
  })
export const number = (uid: string, name: string, more?: More) => field('number', uid, name, more)
export const boolean = (uid: string, name: string, more?: More) => field('boolean', uid, name, more)
export const date = (uid: string, name: string) => field('isodate', uid, name)
export const file = (uid: string, name: string, more?: More) => field('file', uid, name, more)
export const link = (uid: string, name: string) => field('link', uid, name)
export const select = (uid: string, name: string, choices: string[], more?: More) =>
  field('text', uid, name, { display_type: 'dropdown', enum: { advanced: false, choices: choices.map(value => ({ value })) }, ...more })
export const reference = (uid: string, name: string, to: string[], many = false) =>
  field('reference', uid, name, { reference_to: to, field_metadata: { ref_multiple: many, ref_multiple_content_types: true } })
export const group = (uid: string, name: string, schema: SchemaField[], more?: More) => field('group', uid, name, { schema, ...more })
export const globalField = (uid: string, name: string, to: string) => field('global_field', uid, name, { reference_to: to })
export const blocks = (uid: string, name: string, kinds: NonNullable<SchemaField['blocks']>) =>
  field('blocks', uid, name, { multiple: true, blocks: kinds })
export const taxonomy = (uid: string, name: string, taxonomyUid: string) =>
  field('taxonomy', uid, name, { multiple: true, taxonomies: [{ taxonomy_uid: taxonomyUid, max_terms: 5, mandatory: false }] })
export const custom = (uid: string, name: string, extensionUid: string) =>
  field('json', uid, name, { extension_uid: extensionUid, config: {}, field_metadata: { extension: true } })

export interface ContentTypeSeed {
  uid: string
  title: string
  description?: string
  schema: SchemaField[]
  isPage?: boolean
  singleton?: boolean
}

export function contentType(seed: ContentTypeSeed, at: string): ContentType {
  const page = seed.isPage ?? false
  return {
    uid: seed.uid,
    title: seed.title,
    description: seed.description ?? '',
    schema: seed.schema,
    options: {
      is_page: page,
      singleton: seed.singleton ?? false,
      title: 'title',
      sub_title: [],
      ...(page && { url_pattern: '/:title', url_prefix: '/' })
    },
    created_at: at,
    updated_at: at,
    _version: 1
  }
}
