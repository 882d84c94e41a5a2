// Assets as the rows of an outbound sync: to the rest of this room they are entries of one more content type, with the platform's own
// name for it. They are not localized (contentstack.md §8.3): drafts have one row, in the master locale or the chosen ones; published
// ones a row per locale they are published in.
import type { Asset, ContentType, EntriesQuery, Entry, SchemaField, StackClient } from '../contentstack/stack.ts'

export const assetsUid = 'sys_assets'

const field = (uid: string, displayName: string, dataType: string, more: Partial<SchemaField> = {}): SchemaField => ({
  uid,
  display_name: displayName,
  data_type: dataType,
  ...more
})

export const assetsType: ContentType = {
  uid: assetsUid,
  title: 'Assets',
  schema: [
    field('title', 'Title', 'text'),
    field('description', 'Description', 'text'),
    field('filename', 'File name', 'text'),
    field('url', 'URL', 'text'),
    field('content_type', 'MIME type', 'text'),
    field('file_size', 'Size in bytes', 'number'),
    field('parent_uid', 'Folder', 'text'),
    field('tags', 'Tags', 'text', { multiple: true })
  ]
}

interface Records {
  /** One page, at most 100. */
  page(query: EntriesQuery): Promise<{ entries: Entry[]; count: number | null }>
  one(uid: string, query: { locale: string; version?: number; includePublishDetails?: boolean }): Promise<Entry | null>
}

/** The entries of a content type, or the assets in the same shape. */
export function recordsOf(stack: StackClient, contentType: string): Records {
  if (contentType !== assetsUid) {
    return { page: query => stack.entriesPage(contentType, query), one: (uid, query) => stack.entry(contentType, uid, query) }
  }
  return {
    async page({ locale = '', only: _only, ...query }) {
      const { assets, count } = await stack.assetsPage(query)
      return { entries: assets.map(asset => asEntry(asset, locale)), count }
    },
    async one(uid, { locale, ...query }) {
      const asset = await stack.asset(uid, query)
      if (!asset || (query.version !== undefined && asset._version !== query.version)) return null
      return asEntry(asset, locale)
    }
  }
}

export const isFolder = (entry: Entry): boolean => entry['is_dir'] === true

const asEntry = (asset: Asset, locale: string): Entry => ({ ...asset, locale })
