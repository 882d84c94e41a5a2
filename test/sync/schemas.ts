// A content type with every kind of field, as the CMA gives it, and an entry of it as reads give it.
import type { ContentType, Entry, SchemaField } from '../../server/contentstack/stack.ts'

export const field = (uid: string, data_type: string, more: Partial<SchemaField> = {}): SchemaField => ({
  uid,
  data_type,
  display_name: uid,
  ...more
})
const rich = { field_metadata: { allow_json_rte: true } }

export const schema: SchemaField[] = [
  field('title', 'text', { mandatory: true, unique: true }),
  field('code', 'text', { unique: true, non_localizable: true }),
  field('words', 'text', { multiple: true }),
  field('count', 'number'),
  field('live', 'boolean'),
  field('on', 'isodate'),
  field('cover', 'file'),
  field('gallery', 'file', { multiple: true }),
  field('site', 'link'),
  field('author', 'reference', { reference_to: ['author'], field_metadata: { ref_multiple: false } }),
  field('body', 'json', rich),
  field('bodies', 'json', { ...rich, multiple: true }),
  field('colour', 'json', { extension_uid: 'blt1' }),
  field('place', 'group', {
    schema: [field('city', 'text'), field('story', 'json', rich), field('inner', 'group', { schema: [field('deep', 'number')] })]
  }),
  field('credits', 'group', { multiple: true, schema: [field('who', 'reference', { reference_to: ['author'] }), field('face', 'file')] }),
  field('sections', 'blocks', {
    multiple: true,
    blocks: [
      {
        uid: 'quote',
        title: 'Quote',
        schema: [field('said', 'json', rich), field('by', 'reference', { reference_to: ['author', 'guest'] })]
      }
    ]
  }),
  field('taxonomies', 'taxonomy', { multiple: true }),
  field('size', 'text', { enum: { choices: [{ value: 's' }, { value: 'm' }] } }),
  field('stars', 'number', { min: 0, max: 6, enum: { choices: [{ value: 1 }, { value: 5 }, { value: 7 }] } })
]

export const contentType: ContentType = { uid: 'everything', title: 'Everything', schema }

export const paragraph = (text: string): unknown => ({ type: 'doc', children: [{ type: 'p', attrs: {}, children: [{ text }] }] })
const asset = (uid: string): unknown => ({ uid, url: `https://images.example/${uid}`, filename: `${uid}.png`, _version: 1 })
const toAuthor = [{ uid: 'blta', _content_type_uid: 'author' }]

export const entry: Entry = {
  uid: 'blt1',
  _version: 3,
  locale: 'en-us',
  created_at: '2026-01-01T00:00:00.000Z',
  updated_at: '2026-02-03T04:05:06.789Z',
  tags: ['a', 'b'],
  title: 'Hello',
  code: 'H',
  words: ['x', 'y'],
  count: 1.5,
  live: false,
  on: '2026-03-04',
  cover: asset('blt2'),
  gallery: [asset('blt3'), asset('blt4')],
  site: { title: 'Site', href: 'https://site.example' },
  author: toAuthor,
  body: paragraph('Once upon'),
  bodies: [paragraph('one'), paragraph('two')],
  colour: { hex: '#fff' },
  place: { city: 'Hamburg', story: paragraph('by the sea'), inner: { deep: 7 }, _metadata: { uid: 'cs1' } },
  credits: [{ who: toAuthor, face: asset('blt5'), _metadata: { uid: 'cs2' } }],
  sections: [{ quote: { said: paragraph('so'), by: toAuthor, _metadata: { uid: 'cs3' } } }],
  taxonomies: [{ taxonomy_uid: 'topics', term_uid: 'nature' }]
}
