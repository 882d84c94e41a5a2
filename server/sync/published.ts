// What an environment shows of an entry: the version that publish_details names for it, which need not be the newest. A draft
// edit moves nothing here; publishing an older version, or the same once more, is news.
import type { Entry, StackClient } from '../contentstack/stack.ts'
import { AppError } from '../errors.ts'
import { recordsOf } from './assets-out.ts'
import { hashOf } from './canonical.ts'

export interface Published {
  version: number
  /** ISO, the platform's clock. */
  time: string
}

/** null: not published there. `entry` must have been read with its publish details. */
export function publishedIn(entry: Entry, environmentUid: string, locale: string): Published | null {
  const [newest] = (entry.publish_details ?? [])
    .filter(detail => detail.environment === environmentUid && detail.locale === locale)
    .toSorted((a, b) => (a.time < b.time ? 1 : -1))
  return newest ? { version: newest.version, time: newest.time } : null
}

/** A version never changes once it stands, so its number and the time of publishing stand for its content. */
export function publishedHash(entryUid: string, locale: string, { version, time }: Published): string {
  return hashOf(['published', entryUid, locale, version, time])
}

/**
 * The published version's content; `listed` itself when that is the newest. Its `locale` is the one it was published in, also where a
 * fallback's content was published there. AppError invalid when the stack does not have that version any more.
 */
export async function readPublished(
  stack: StackClient,
  contentType: string,
  listed: Entry,
  locale: string,
  { version }: Published
): Promise<Entry> {
  if (listed._version === version) return { ...listed, locale }
  const records = recordsOf(stack, contentType)
  const own = await records.one(listed.uid, { locale, version })
  if (own) return { ...own, locale }
  // Published while it fell back, localized since: the number is the fallback's.
  for (const code of await fallbacksOf(stack, locale)) {
    const entry = await records.one(listed.uid, { locale: code, version })
    if (entry) return { ...entry, locale }
  }
  throw new AppError('invalid', `Version ${version} of ${listed.uid}, published in ${locale}, is not in the stack any more.`)
}

/** One level, then the master (contentstack.md §8.2). */
async function fallbacksOf(stack: StackClient, locale: string): Promise<string[]> {
  const locales = await stack.locales()
  const fallback = locales.find(({ code }) => code === locale)?.fallback_locale ?? null
  const master = locales.find(({ fallback_locale }) => fallback_locale === null)?.code ?? null
  return [...new Set([fallback, master])].filter(code => code !== null && code !== locale) as string[]
}
