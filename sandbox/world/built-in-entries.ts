// The entries of the built-in blog: authors, products, articles in up to three languages and a home page, with references,
// nested rows and blocks, and some published. Written in the shape the CMA stores; the same in every run.
import { pictures } from './built-in-assets.ts'
import type { Entry, EntryVersion, FieldsOf, Stack } from './model.ts'
import { entriesOf } from './stack.ts'
import { uidFor } from './uids.ts'

interface Draft {
  contentType: string
  name: string
  locales: Record<string, FieldsOf>
  /** Environment names the master locale is published to. */
  published?: string[]
}

export const entryUid = (contentType: string, name: string) => uidFor(`entry/${contentType}/${name}`)

const refer = (contentType: string, name: string) => ({ uid: entryUid(contentType, name), _content_type_uid: contentType })
const row = (seed: string) => ({ uid: `cs${uidFor(`row/${seed}`).slice(3)}` })

const authors = ['Mara Quill', 'Jonas Reed', 'Ines Tide', 'Pavel Stern', 'Lotte Brook', 'Omar Vane']
const products = ['Rope', 'Buoy', 'Compass', 'Lantern', 'Sextant', 'Oilskin', 'Hammock', 'Chart', 'Bell', 'Pulley']
const subjects: [string, string, string][] = [
  ['How tides work', 'Wie Gezeiten entstehen', 'Comment fonctionnent les marées'],
  ['A short history of knots', 'Kleine Geschichte der Knoten', 'Petite histoire des nœuds'],
  ['Reading a sea chart', 'Eine Seekarte lesen', 'Lire une carte marine'],
  ['The last lighthouse keeper', 'Der letzte Leuchtturmwärter', 'Le dernier gardien de phare'],
  ['Fog signals', 'Nebelsignale', 'Signaux de brume'],
  ['Sails and what they are for', 'Segel und wozu sie dienen', 'Les voiles et leur usage'],
  ['Sea birds of the north', 'Seevögel des Nordens', 'Oiseaux de mer du Nord'],
  ['Repairing a wooden hull', 'Einen Holzrumpf ausbessern', 'Réparer une coque en bois'],
  ['Galley recipes', 'Rezepte aus der Kombüse', 'Recettes de bord'],
  ['Night watch', 'Nachtwache', 'Quart de nuit'],
  ['The harbour in winter', 'Der Hafen im Winter', 'Le port en hiver'],
  ['Salt', 'Salz', 'Le sel'],
  ['Weather by eye', 'Wetter mit bloßem Auge', 'La météo à l’œil'],
  ['Pilots', 'Lotsen', 'Les pilotes'],
  ['Old names of winds', 'Alte Namen der Winde', 'Anciens noms des vents'],
  ['Moorings', 'Festmacher', 'Les amarres'],
  ['Container to kitchen', 'Vom Container in die Küche', 'Du conteneur à la cuisine'],
  ['Letters from sea', 'Briefe von See', 'Lettres de mer'],
  ['Ferries', 'Fähren', 'Les bacs'],
  ['What the buoys say', 'Was die Bojen sagen', 'Ce que disent les bouées'],
  ['Ship’s cats', 'Schiffskatzen', 'Chats de bord'],
  ['Under the pier', 'Unter der Pier', 'Sous la jetée']
]

function richText(seed: string, ...paragraphs: string[]): unknown {
  return {
    type: 'doc',
    uid: uidFor(`doc/${seed}`).slice(3),
    attrs: {},
    children: [
      { type: 'h2', uid: uidFor(`h2/${seed}`).slice(3), attrs: {}, children: [{ text: paragraphs[0] ?? '' }] },
      ...paragraphs.slice(1).map((words, index) => ({
        type: 'p',
        uid: uidFor(`p/${seed}/${index}`).slice(3),
        attrs: {},
        children: [{ text: words }, { text: ' (bold)', bold: true }]
      })),
      {
        type: 'reference',
        uid: uidFor(`img/${seed}`).slice(3),
        attrs: { type: 'asset', 'asset-uid': pictures.wave, 'display-type': 'display', 'content-type-uid': 'sys_assets', alt: 'Wave' },
        children: [{ text: '' }]
      }
    ]
  }
}

function article(index: number, titles: [string, string, string]): Draft {
  const [en, de, fr] = titles
  const name = `article-${index}`
  const previous = index > 0 ? [refer('article', `article-${index - 1}`)] : []
  const fields = (heading: string, language: string): FieldsOf => ({
    title: heading,
    url: `/${language}/${name}`,
    teaser: `${heading}, in a few minutes.`,
    keywords: ['sea', language, name],
    summary: `<p>${heading} <strong>in short</strong> &amp; plain.</p>`,
    body: richText(`${name}/${language}`, heading, `Paragraph one of ${name}.`, `Paragraph two of ${name}.`),
    reading_minutes: 2 + (index % 7),
    featured: index % 4 === 0,
    first_published: `2024-0${1 + (index % 9)}-1${index % 9}T08:00:00.000Z`,
    cover: index % 2 === 0 ? pictures.harbour : pictures.lighthouse,
    gallery: index % 3 === 0 ? [pictures.anchor, pictures.wave] : [],
    source: { title: 'Archive', href: `https://archive.harbour.example/${name}` },
    tone: (['news', 'opinion', 'guide'] as const)[index % 3],
    channels: index % 2 === 0 ? ['web', 'mail'] : ['web'],
    author: [refer('author', authors[index % authors.length] ?? '')],
    related: [...previous, refer('product', products[index % products.length] ?? '')],
    location: { place: 'Harbour', latitude: 53.5 + index / 100, longitude: 9.9 - index / 100 },
    credits: [
      {
        role: 'Photograph',
        name: 'Ines Tide',
        profile: { title: 'Profile', href: 'https://people.harbour.example/ines' },
        _metadata: row(`${name}/0`)
      },
      { role: 'Editor', name: 'Edda Editor', profile: { title: '', href: '' }, _metadata: row(`${name}/1`) }
    ],
    seo: { meta_title: heading, meta_description: `About: ${heading}`, no_index: index % 5 === 0 },
    sections: [
      { quote: { words: `“${heading}” – nobody, ever.`, speaker: 'A gull', _metadata: row(`${name}/q`) } },
      { picture: { image: pictures.anchor, caption: 'An anchor', _metadata: row(`${name}/p`) } },
      {
        teasers: {
          heading: 'Read on',
          items: previous.map(target => ({ label: 'Before', target: [target], _metadata: row(`${name}/ti`) })),
          _metadata: row(`${name}/t`)
        }
      }
    ],
    taxonomies: [{ taxonomy_uid: 'topics', term_uid: index % 2 === 0 ? 'nautics' : 'nature' }],
    accent: { hex: `#${(index * 1_118_481 + 4_473_924).toString(16).slice(0, 6)}`, alpha: 1 },
    tags: index % 2 === 0 ? ['sea', 'read'] : []
  })
  const locales: Record<string, FieldsOf> = { 'en-us': fields(en, 'en') }
  if (index % 2 === 0) locales['de-de'] = fields(de, 'de')
  if (index % 4 === 0) locales['fr-fr'] = fields(fr, 'fr')
  return {
    contentType: 'article',
    name,
    locales,
    published: index % 3 === 0 ? ['development', 'production'] : index % 3 === 1 ? ['development'] : []
  }
}

export function builtInDrafts(): Draft[] {
  return [
    ...authors.map(
      (name, index): Draft => ({
        contentType: 'author',
        name,
        published: ['development'],
        locales: {
          'en-us': {
            title: name,
            email: `${name.split(' ')[0]?.toLowerCase()}@harbour.example`,
            portrait: pictures.portrait,
            biography: `${name} writes about the sea.`,
            website: { title: name, href: `https://people.harbour.example/${index}` },
            staff: index % 2 === 0
          },
          ...(index < 3 && { 'de-de': { title: name, biography: `${name} schreibt über das Meer.` } })
        }
      })
    ),
    ...products.map(
      (name, index): Draft => ({
        contentType: 'product',
        name,
        locales: {
          'en-us': {
            title: name,
            sku: `HP-${1000 + index}`,
            price: 4.5 * (index + 1),
            in_stock: index % 3 !== 0,
            description: `<p>A good ${name.toLowerCase()}.</p>`,
            picture: index % 2 === 0 ? pictures.anchor : null
          },
          ...(index < 4 && { 'de-de': { title: `${name} (DE)`, description: `<p>${name}, gut.</p>` } })
        }
      })
    ),
    ...subjects.map((titles, index) => article(index, titles)),
    {
      contentType: 'home',
      name: 'home',
      published: ['development', 'production'],
      locales: {
        'en-us': {
          title: 'Harbour Blog',
          url: '/',
          welcome: richText('home', 'Welcome', 'Everything about the sea.'),
          highlights: [refer('article', 'article-0'), refer('article', 'article-3')],
          seo: { meta_title: 'Harbour Blog', meta_description: 'About the sea', no_index: false }
        }
      }
    }
  ]
}

/** Times count up by a minute from `start` (ms), so that sorting by time has something to sort. */
export function plantEntries(stack: Stack, branch: string, drafts: Draft[], start: number, by: string): void {
  let minute = 0
  const tick = () => {
    minute += 1
    return new Date(start + minute * 60_000).toISOString()
  }
  for (const draft of drafts) {
    const uid = entryUid(draft.contentType, draft.name)
    const createdAt = tick()
    const entry: Entry = { uid, contentType: draft.contentType, createdAt, createdBy: by, locales: {}, publishDetails: [] }
    for (const [locale, fields] of Object.entries(draft.locales)) {
      const updatedAt = locale === stack.masterLocale ? createdAt : tick()
      const version: EntryVersion = { version: 1, fields: { tags: [], ...fields }, updatedAt, updatedBy: by }
      entry.locales[locale] = { createdAt: updatedAt, versions: [version] }
    }
    for (const name of draft.published ?? []) {
      const environment = stack.environments.find(one => one.name === name)
      if (environment)
        entry.publishDetails.push({ environment: environment.uid, locale: stack.masterLocale, time: tick(), user: by, version: 1 })
    }
    entriesOf(stack, branch, draft.contentType)[uid] = entry
  }
}
