// Entries found again by the keys they hold: the unique field that is all an inbound sync has to recognise its own work by. Looked
// up many at once and one part ahead, since reads and writes have slots of their own.
import { setTimeout as wait } from 'node:timers/promises'
import type { Entry } from '../contentstack/stack.ts'
import type { Work } from './inbound-work.ts'

/** Keys in one look-up: keeps the address of the request below 8 kB. */
export const keysPerLookup = 40

/**
 * Entries by the keys they hold, looked up while records before them are written. One part ahead and no more, so that a page that is
 * broken off has asked for little in vain. A key that was not given finds nothing.
 */
export function lookAhead(work: Work, keys: readonly string[]): (key: string) => Promise<Entry | null> {
  const partOf = new Map(keys.map((key, index) => [key, Math.floor(index / keysPerLookup)]))
  const asked: Promise<Map<string, Entry>>[] = []
  const ask = (part: number): Promise<Map<string, Entry>> | undefined => {
    const given = keys.slice(part * keysPerLookup, (part + 1) * keysPerLookup)
    if (given.length === 0) return undefined
    const looking = (asked[part] ??= lookUp(work, given))
    // Its failure is met by whoever needs it; until then it must not count as unhandled.
    looking.catch(() => {})
    return looking
  }
  return async key => {
    const part = partOf.get(key)
    if (part === undefined) return null
    const looking = ask(part)
    void ask(part + 1)
    return (await looking)?.get(key) ?? null
  }
}

/** A look-up may lag behind a write: asked for about three seconds. */
export async function findByKey(work: Work, key: string): Promise<Entry | null> {
  for (const pause of [0, 300, 1_000, 2_000]) {
    if (pause > 0) await wait(pause, undefined, { signal: work.signal })
    const entry = (await lookUp(work, [key])).get(key)
    if (entry) return entry
  }
  return null
}

/** At most keysPerLookup keys. */
async function lookUp({ stack, sync, locale, options }: Work, keys: readonly string[]): Promise<Map<string, Entry>> {
  const byKey = new Map<string, Entry>()
  const { entries } = await stack.entriesPage(sync.content_type, {
    locale,
    query: { [options.externalIdField]: { $in: keys } },
    limit: 100
  })
  for (const entry of entries) {
    const key = entry[options.externalIdField]
    // Without upper and lower case a query may find more than it was asked for.
    if (typeof key === 'string' && keys.includes(key)) byKey.set(key, entry)
  }
  return byKey
}

/** Entries by uid with their publish_details, at most keysPerLookup; those that are gone are missing. */
export async function entriesByUid({ stack, sync }: Work, locale: string, uids: readonly string[]): Promise<Map<string, Entry>> {
  const { entries } = await stack.entriesPage(sync.content_type, {
    locale,
    query: { uid: { $in: uids } },
    limit: 100,
    includePublishDetails: true
  })
  return new Map(entries.map(entry => [entry.uid, entry]))
}
