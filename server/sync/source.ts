// What an outbound sync takes for the current state of a record: the newest version, or the version that one environment shows.
// A row stands for an entry that has content of its own in the locale (newest), that is published there (published) and that the
// sync's filter finds. How a row is made of it is outward.ts's, whether it is written plan.ts's.
import type { Entry, StackClient } from '../contentstack/stack.ts'
import { AppError, isAppError } from '../errors.ts'
import type { Db } from '../database/database.ts'
import { isFolder, recordsOf } from './assets-out.ts'
import { hashOf } from './canonical.ts'
import { type Current, entriesOf, type Outbound } from './carry.ts'
import { embedReferences } from './embed.ts'
import { both, type ListedPage, listEntries } from './listing.ts'
import { entryHash, projected } from './outward.ts'
import { plainRichText } from './richtext.ts'
import { publishedHash, publishedIn, readPublished } from './published.ts'

export interface CurrentPage extends ListedPage {
  records: Current[]
}

/** `after` as in listEntries. */
export async function* listCurrent(
  db: Db,
  outbound: Outbound,
  stack: StackClient,
  locale: string,
  after: string | null
): AsyncGenerator<CurrentPage> {
  const { sync, options } = outbound
  const listing = {
    contentType: sync.content_type,
    locale,
    publishDetails: options.source === 'published',
    ...(options.filter && { where: options.filter })
  }
  for await (const page of listEntries(stack, listing, after)) {
    yield { ...page, records: await currentsOf(db, outbound, stack, locale, page.entries) }
  }
}

/** One record, read now. */
export async function readCurrent(db: Db, outbound: Outbound, stack: StackClient, entryUid: string, locale: string): Promise<Current> {
  return await currentOfRead(db, outbound, stack, entryUid, locale, await readEntry(outbound, stack, entryUid, locale))
}

/** What the stack answers for it, be it a fallback's content or an entry that the filter does not find. */
export async function readEntry(
  { sync, options }: Pick<Outbound, 'sync' | 'options'>,
  stack: StackClient,
  entryUid: string,
  locale: string
): Promise<Entry | null> {
  return await recordsOf(stack, sync.content_type).one(entryUid, { locale, includePublishDetails: options.source === 'published' })
}

/** `entry` as readEntry gave it. */
export async function currentOfRead(
  db: Db,
  outbound: Outbound,
  stack: StackClient,
  entryUid: string,
  locale: string,
  entry: Entry | null
): Promise<Current> {
  const { sync, options } = outbound
  if (!entry || (options.filter && !(await isFound(stack, sync.content_type, options.filter, entry, locale)))) return noRow(entryUid)
  const [current] = await currentsOf(db, outbound, stack, locale, [entry])
  return current ?? noRow(entryUid)
}

/** Of at most 100 entries those that have a row, by uid. */
export async function readCurrents(
  db: Db,
  outbound: Outbound,
  stack: StackClient,
  entryUids: readonly string[],
  locale: string
): Promise<Map<string, Current>> {
  const { sync, options } = outbound
  if (entryUids.length === 0) return new Map()
  const { entries } = await recordsOf(stack, sync.content_type).page({
    locale,
    query: both(options.filter ?? {}, { uid: { $in: [...entryUids] } }),
    limit: 100,
    includePublishDetails: options.source === 'published'
  })
  const records = await currentsOf(db, outbound, stack, locale, entries)
  return new Map(records.filter(({ hash }) => hash !== null).map(record => [record.entryUid, record]))
}

/**
 * What may have changed since `since` (ISO), page by page: uid -> the version that its row should have, 0 = none. Asked without the
 * filter, so that an entry which left it is looked at too. A publishing leaves no mark in time that a query finds, so with published
 * content every entry is gone through once more, by its publish details alone.
 */
export async function* listVersions(
  outbound: Outbound,
  stack: StackClient,
  locale: string,
  since: string
): AsyncGenerator<Map<string, number>> {
  const { sync, options } = outbound
  const only = ['uid', '_version', 'locale']
  const listing =
    options.source === 'published'
      ? { only: [...only, 'publish_details'], publishDetails: true }
      : { only, where: { updated_at: { $gte: since } } }
  for await (const page of listEntries(stack, { contentType: sync.content_type, locale, ...listing }, null)) {
    yield new Map(page.entries.map(entry => [entry.uid, versionOf(outbound, locale, entry)]))
  }
}

function versionOf({ options }: Outbound, locale: string, entry: Entry): number {
  if (isFolder(entry)) return 0
  if (options.source === 'published') return publishedIn(entry, options.environment?.uid ?? '', locale)?.version ?? 0
  return entry.locale === undefined || entry.locale === locale ? entry._version : 0
}

async function currentsOf(db: Db, outbound: Outbound, stack: StackClient, locale: string, entries: readonly Entry[]): Promise<Current[]> {
  const { options } = outbound
  const bare = entries.map(entry => currentOf(outbound, stack, locale, entry))
  const full = options.references ? await withEmbedded(db, outbound, stack, locale, bare) : bare
  if (options.richText !== 'text') return full
  return full.map(current => ({ ...current, entry: async () => plainRichText(outbound.contentType.schema, await current.entry()) }))
}

/** What an embedded entry says is part of the row, so it is part of the hash: the content must be read before it is known to be unchanged. */
async function withEmbedded(
  db: Db,
  outbound: Outbound,
  stack: StackClient,
  locale: string,
  records: readonly Current[]
): Promise<Current[]> {
  const entries = await entriesOf(records.filter(({ hash }) => hash !== null))
  const read = [...entries.values()].filter((entry): entry is Entry => !isAppError(entry))
  const embedded = new Map((await embedReferences(db, outbound, stack, locale, read)).map(entry => [entry.uid, entry]))
  return records.map(record => {
    const entry = embedded.get(record.entryUid)
    if (!entry) return record
    return {
      ...record,
      hash: hashOf([record.hash, projected(entry, outbound.mapping)]),
      entry: () => Promise.resolve(entry)
    }
  })
}

function currentOf(outbound: Outbound, stack: StackClient, locale: string, entry: Entry): Current {
  const { sync, mapping, options } = outbound
  if (isFolder(entry)) return noRow(entry.uid)
  if (options.source === 'draft') {
    // Where the locale has no version of its own, its fallback answers.
    if (entry.locale !== locale) return noRow(entry.uid)
    return { entryUid: entry.uid, hash: entryHash(entry, mapping), version: entry._version, entry: () => Promise.resolve(entry) }
  }
  const published = publishedIn(entry, options.environment?.uid ?? '', locale)
  if (!published) return noRow(entry.uid)
  return {
    entryUid: entry.uid,
    hash: publishedHash(entry.uid, locale, published),
    version: published.version,
    entry: () => readPublished(stack, sync.content_type, entry, locale, published)
  }
}

/** Nothing of this entry is to stand at the destination. */
export function noRow(entryUid: string): Current {
  return { entryUid, hash: null, version: 0, entry: () => Promise.reject(new AppError('internal', `${entryUid} has no row`)) }
}

/** The platform judges its own operators. AppError upstream while its answer is about another version than the one read. */
async function isFound(
  stack: StackClient,
  contentType: string,
  filter: Record<string, unknown>,
  entry: Entry,
  locale: string
): Promise<boolean> {
  const query = both(filter, { uid: entry.uid })
  const { entries } = await recordsOf(stack, contentType).page({ locale, query, limit: 1, only: ['uid', '_version', 'locale'] })
  const [found] = entries
  if (found && found._version !== entry._version)
    throw new AppError('upstream', `The entry ${entry.uid} changed while the filter was asked about it; it is looked at again.`)
  return found !== undefined
}
