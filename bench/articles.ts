// The content that the cases read and write: one content type with what articles usually hold, about 2 kB of JSON an entry, and
// as many entries of it as a case asks for. The same in every run.
import { boolean, contentType, date, group, html, number, reference, select, text, title, url } from '../sandbox/world/fields.ts'
import type { Stack } from '../sandbox/world/model.ts'
import { contentTypesOf, entriesOf } from '../sandbox/world/stack.ts'
import { uidFor } from '../sandbox/world/uids.ts'

export const articleType = 'bench_article'
/** For the inbound cases: empty, with a unique field for the record's key. */
export const recordType = 'bench_record'

const words = 'tide buoy lantern chart harbour rope sail compass pilot ferry mooring signal winter kitchen letter watch'.split(' ')

export function plantArticles(stack: Stack, count: number): void {
  const at = '2026-01-01T00:00:00.000Z'
  const types = contentTypesOf(stack, 'main')
  types[articleType] = contentType(
    {
      uid: articleType,
      title: 'Bench article',
      schema: [
        title(),
        url(),
        text('teaser', 'Teaser'),
        html('body', 'Body'),
        text('keywords', 'Keywords', { multiple: true }),
        number('reading_minutes', 'Reading minutes'),
        boolean('featured', 'Featured'),
        date('first_published', 'First published'),
        select('section', 'Section', ['news', 'people', 'places']),
        reference('related', 'Related', [articleType], true),
        group('seo', 'SEO', [text('title', 'Title'), text('description', 'Description')])
      ]
    },
    at
  )
  types[recordType] = contentType(
    {
      uid: recordType,
      title: 'Bench record',
      schema: [
        title(),
        text('code', 'Code', { mandatory: true, unique: true, non_localizable: true }),
        text('body', 'Body', { field_metadata: { multiline: true } }),
        number('amount', 'Amount'),
        boolean('open', 'Open')
      ]
    },
    at
  )
  const entries = entriesOf(stack, 'main', articleType)
  for (let index = 0; index < count; index++) {
    const uid = uidOf(index)
    const fields = {
      title: `${word(index)} ${word(index + 3)} ${index}`,
      url: `/articles/${index}`,
      teaser: sentence(index, 20),
      body: `<h2>${sentence(index, 5)}</h2>${[1, 2, 3, 4].map(part => `<p>${sentence(index + part, 30)}</p>`).join('')}`,
      keywords: [word(index), word(index + 5)],
      reading_minutes: (index % 12) + 1,
      featured: index % 7 === 0,
      first_published: new Date(Date.parse(at) + index * 60_000).toISOString(),
      section: ['news', 'people', 'places'][index % 3],
      related: [{ uid: uidOf((index + 1) % count), _content_type_uid: articleType }],
      seo: { title: sentence(index, 5), description: sentence(index, 15) },
      tags: [word(index)]
    }
    const version = { version: 1, fields, updatedAt: at, updatedBy: 'blt0000000000000001' }
    entries[uid] = {
      uid,
      contentType: articleType,
      createdAt: at,
      createdBy: version.updatedBy,
      locales: { [stack.masterLocale]: { createdAt: at, versions: [version] } },
      publishDetails: []
    }
  }
}

export const uidOf = (index: number): string => uidFor(`bench/${index}`)
const word = (index: number): string => words[index % words.length] ?? ''
const sentence = (index: number, length: number): string => Array.from({ length }, (_, at) => word(index + at * 7)).join(' ')
