// What an outbound sync takes for the current state of a record: the newest version, or the version that one environment shows.
// A row stands for an entry that has content of its own in the locale (newest), that is published there (published) and that the
// sync's filter finds. How a row is made of it is outward.ts's, whether it is written plan.ts's.
import type { Entry, StackClient } from '../contentstack/stack.ts'
import { AppError } from '../errors.ts'
import type { Current, Outbound } from './carry.ts'
import { both, type ListedPage, listEntries } from './listing.ts'
import { entryHash } from './outward.ts'
import { publishedHash, publishedIn, readPublished } from './published.ts'

export interface CurrentPage extends ListedPage {
  records: Current[]
}

/** `after` as in listEntries. */
export async function* listCurrent(
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
    yield { ...page, records: page.entries.map(entry => currentOf(outbound, stack, locale, entry)) }
  }
}

/** One record, read now. */
export async function readCurrent(outbound: Outbound, stack: StackClient, entryUid: string, locale: string): Promise<Current> {
  return await currentOfRead(outbound, stack, entryUid, locale, await readEntry(outbound, stack, entryUid, locale))
}

/** What the stack answers for it, be it a fallback's content or an entry that the filter does not find. */
export async function readEntry(
  { sync, options }: Pick<Outbound, 'sync' | 'options'>,
  stack: StackClient,
  entryUid: string,
  locale: string
): Promise<Entry | null> {
  return await stack.entry(sync.content_type, entryUid, { locale, includePublishDetails: options.source === 'published' })
}

/** `entry` as readEntry gave it. */
export async function currentOfRead(
  outbound: Outbound,
  stack: StackClient,
  entryUid: string,
  locale: string,
  entry: Entry | null
): Promise<Current> {
  const { sync, options } = outbound
  if (!entry || (options.filter && !(await isFound(stack, sync.content_type, options.filter, entry, locale)))) return noRow(entryUid)
  return currentOf(outbound, stack, locale, entry)
}

/** Of at most 100 entries those that have a row, by uid. */
export async function readCurrents(
  outbound: Outbound,
  stack: StackClient,
  entryUids: readonly string[],
  locale: string
): Promise<Map<string, Current>> {
  const { sync, options } = outbound
  if (entryUids.length === 0) return new Map()
  const { entries } = await stack.entriesPage(sync.content_type, {
    locale,
    query: both(options.filter ?? {}, { uid: { $in: [...entryUids] } }),
    limit: 100,
    includePublishDetails: options.source === 'published'
  })
  const records = entries.map(entry => currentOf(outbound, stack, locale, entry))
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
  if (options.source === 'published') return publishedIn(entry, options.environment?.uid ?? '', locale)?.version ?? 0
  return entry.locale === undefined || entry.locale === locale ? entry._version : 0
}

function currentOf(outbound: Outbound, stack: StackClient, locale: string, entry: Entry): Current {
  const { sync, mapping, options } = outbound
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
  const { entries } = await stack.entriesPage(contentType, { locale, query, limit: 1, only: ['uid', '_version', 'locale'] })
  const [found] = entries
  if (found && found._version !== entry._version)
    throw new AppError('upstream', `The entry ${entry.uid} changed while the filter was asked about it; it is looked at again.`)
  return found !== undefined
}
