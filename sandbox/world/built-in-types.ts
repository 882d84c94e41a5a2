// The content types of the built-in blog: between them, one field of every type the platform has. Also `country`, the empty
// target of the demo's inbound sync. Knows no entries.
import {
  blocks,
  boolean,
  contentType,
  custom,
  date,
  file,
  globalField,
  group,
  html,
  link,
  number,
  reference,
  richText,
  select,
  taxonomy,
  text,
  title,
  url
} from './fields.ts'
import type { ContentType } from './model.ts'
import { uidFor } from './uids.ts'

export const colourExtension = uidFor('extension/colour')

export function builtInGlobalFields(at: string): ContentType[] {
  return [
    contentType(
      {
        uid: 'seo',
        title: 'SEO',
        schema: [
          text('meta_title', 'Meta title'),
          text('meta_description', 'Meta description', { field_metadata: { multiline: true } }),
          boolean('no_index', 'Keep out of search engines')
        ]
      },
      at
    )
  ]
}

export function builtInContentTypes(at: string): ContentType[] {
  return [
    contentType(
      {
        uid: 'author',
        title: 'Author',
        description: 'Who writes.',
        schema: [
          title('Name'),
          text('email', 'E-mail', { unique: true, non_localizable: true }),
          file('portrait', 'Portrait'),
          text('biography', 'Biography', { field_metadata: { multiline: true } }),
          link('website', 'Website'),
          boolean('staff', 'On our staff', { non_localizable: true })
        ]
      },
      at
    ),
    contentType(
      {
        uid: 'article',
        title: 'Article',
        description: 'A blog article.',
        isPage: true,
        schema: [
          title(),
          url(),
          text('teaser', 'Teaser'),
          text('keywords', 'Keywords', { multiple: true }),
          html('summary', 'Summary'),
          richText('body', 'Body'),
          number('reading_minutes', 'Reading minutes'),
          boolean('featured', 'Featured'),
          date('first_published', 'First published'),
          file('cover', 'Cover'),
          file('gallery', 'Gallery', { multiple: true }),
          link('source', 'Source'),
          select('tone', 'Tone', ['news', 'opinion', 'guide']),
          select('channels', 'Channels', ['web', 'mail', 'print'], { multiple: true }),
          reference('author', 'Author', ['author']),
          reference('related', 'Related', ['article', 'product'], true),
          group('location', 'Location', [text('place', 'Place'), number('latitude', 'Latitude'), number('longitude', 'Longitude')]),
          group('credits', 'Credits', [text('role', 'Role'), text('name', 'Name'), link('profile', 'Profile')], { multiple: true }),
          globalField('seo', 'SEO', 'seo'),
          blocks('sections', 'Sections', [
            { uid: 'quote', title: 'Quote', schema: [text('words', 'Words', { mandatory: true }), text('speaker', 'Speaker')] },
            { uid: 'picture', title: 'Picture', schema: [file('image', 'Image'), text('caption', 'Caption')] },
            {
              uid: 'teasers',
              title: 'Teasers',
              schema: [
                text('heading', 'Heading'),
                group('items', 'Items', [text('label', 'Label'), reference('target', 'Target', ['article'])], { multiple: true })
              ]
            },
            { uid: 'search', title: 'Search settings', reference_to: 'seo' }
          ]),
          taxonomy('taxonomies', 'Taxonomy', 'topics'),
          custom('accent', 'Accent colour', colourExtension)
        ]
      },
      at
    ),
    contentType(
      {
        uid: 'product',
        title: 'Product',
        description: 'What the shop sells.',
        schema: [
          title('Name'),
          text('sku', 'SKU', { mandatory: true, unique: true, non_localizable: true }),
          number('price', 'Price', { non_localizable: true }),
          boolean('in_stock', 'In stock', { non_localizable: true }),
          html('description', 'Description'),
          file('picture', 'Picture')
        ]
      },
      at
    ),
    contentType(
      {
        uid: 'home',
        title: 'Home page',
        singleton: true,
        isPage: true,
        schema: [
          title(),
          url(),
          richText('welcome', 'Welcome'),
          reference('highlights', 'Highlights', ['article'], true),
          globalField('seo', 'SEO', 'seo')
        ]
      },
      at
    ),
    country(at)
  ]
}

/** `code` is what an inbound sync needs: a single-line, unique, non-multiple, non-localizable external-id field. */
export function country(at: string): ContentType {
  return contentType(
    {
      uid: 'country',
      title: 'Country',
      description: 'Filled by an inbound sync.',
      schema: [
        title('Name'),
        text('code', 'Code', { mandatory: true, unique: true, non_localizable: true }),
        text('capital', 'Capital'),
        text('region', 'Region'),
        number('area', 'Area in km²'),
        text('flag', 'Flag'),
        text('languages', 'Languages'),
        boolean('independent', 'Independent'),
        number('latitude', 'Latitude'),
        number('longitude', 'Longitude')
      ]
    },
    at
  )
}
