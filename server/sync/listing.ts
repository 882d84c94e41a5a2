// Reading a whole content type in one locale while people edit it (engine.md §4). By uid as a keyset where the CMA sorts so:
// each page is proven sorted and beyond the cursor. Where it does not, by date of creation with overlap, until as many uids were
// seen as the CMA counts. It knows nothing of what is done with the entries.
import type { Entry, StackClient } from '../contentstack/stack.ts'
import { AppError } from '../errors.ts'
import { recordsOf } from './assets-out.ts'

export interface ListedPage {
  entries: Entry[]
  /** Where a keyset goes on after this page; null = this order cannot be resumed, only begun again. */
  after: string | null
  /** Entries in all, as the CMA counts them; null when it does not say. */
  total: number | null
  last: boolean
}

interface Listing {
  contentType: string
  locale: string
  /** Narrows what is listed. */
  where?: Record<string, unknown>
  only?: string[]
  publishDetails?: boolean
}

const pageSize = 100
const overlap = 10
const passes = 3

/** `after`: the uid behind which to go on. AppError upstream for a listing that contradicts itself. */
export async function* listEntries(stack: StackClient, listing: Listing, after: string | null): AsyncGenerator<ListedPage> {
  const records = recordsOf(stack, listing.contentType)
  let cursor = after
  let seen = 0
  for (;;) {
    const beyond = cursor === null ? {} : { uid: { $gt: cursor } }
    const page = await records.page({
      locale: listing.locale,
      asc: 'uid',
      limit: pageSize,
      includeCount: true,
      ...(cursor === null && !listing.where ? {} : { query: both(listing.where ?? {}, beyond) }),
      ...shown(listing)
    })
    if (!isKeyset(page.entries, cursor)) {
      yield* listByAge(stack, listing)
      return
    }
    const left = page.count
    if (page.entries.length === 0 && (left ?? 0) > 0) throw contradiction(listing, `${left} entries counted, none listed`)
    seen += page.entries.length
    cursor = page.entries.at(-1)?.uid ?? cursor
    const last = left === null ? page.entries.length < pageSize : page.entries.length >= left
    yield {
      entries: page.entries,
      after: cursor,
      total: left === null || after !== null ? null : seen + Math.max(0, left - page.entries.length),
      last
    }
    if (last) return
  }
}

const shown = ({ only, publishDetails }: Listing): { only?: string[]; includePublishDetails?: boolean } => ({
  ...(only && { only }),
  ...(publishDetails && { includePublishDetails: true })
})

/** One query that finds what both find. */
export function both(one: Record<string, unknown>, other: Record<string, unknown>): Record<string, unknown> {
  return Object.keys(other).some(key => Object.hasOwn(one, key)) ? { $and: [one, other] } : { ...one, ...other }
}

/** Strictly growing, and all of it behind the cursor: only then is the cursor's next page really the next. */
function isKeyset(entries: readonly Entry[], cursor: string | null): boolean {
  let previous = cursor
  for (const { uid } of entries) {
    if (previous !== null && uid <= previous) return false
    previous = uid
  }
  return true
}

async function* listByAge(stack: StackClient, listing: Listing): AsyncGenerator<ListedPage> {
  const records = recordsOf(stack, listing.contentType)
  const seen = new Set<string>()
  for (let pass = 1; pass <= passes; pass++) {
    let total = Number.POSITIVE_INFINITY
    for (let skip = 0; skip < total; skip += pageSize - overlap) {
      const page = await records.page({
        locale: listing.locale,
        asc: 'created_at',
        limit: pageSize,
        skip,
        includeCount: true,
        ...(listing.where ? { query: listing.where } : {}),
        ...shown(listing)
      })
      total = page.count ?? (page.entries.length < pageSize ? skip + page.entries.length : Number.POSITIVE_INFINITY)
      const fresh = page.entries.filter(entry => !seen.has(entry.uid))
      for (const entry of fresh) seen.add(entry.uid)
      if (fresh.length > 0) yield { entries: fresh, after: null, total, last: false }
      if (page.entries.length === 0) break
    }
    // Entries deleted during the pass make it see more than are counted; fewer means that paging slid over some.
    if (seen.size >= total || !Number.isFinite(total)) {
      yield { entries: [], after: null, total, last: true }
      return
    }
  }
  throw contradiction(listing, `fewer entries came than are counted, ${passes} times over`)
}

function contradiction(listing: Listing, what: string): AppError {
  return new AppError('upstream', `The list of ${listing.contentType} in ${listing.locale} is not complete: ${what}.`, {
    remedy: 'Contentstack may be busy with an import; the run is tried again.'
  })
}
