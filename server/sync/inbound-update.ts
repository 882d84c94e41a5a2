// The bare update of an entry that is known to exist, and what it leaves to be published. Apart, since whole records and single
// fields of them are both written this way.
import { isOutcomeUnknown } from '../contentstack/cma.ts'
import type { Entry } from '../contentstack/stack.ts'
import { isAppError } from '../errors.ts'
import type { Work } from './inbound-work.ts'
import { type EntryFields, holds } from './inward.ts'

/** null: the entry is gone. An answer that nobody heard is made up by reading back; AppError upstream when that does not tell. */
export async function update(work: Work, locale: string, uid: string, fields: EntryFields): Promise<Entry | null> {
  const { stack, sync, contentType } = work
  try {
    return await stack.updateEntry(sync.content_type, uid, fields, { locale })
  } catch (error) {
    if (isAppError(error, 'not_found')) return null
    if (!isOutcomeUnknown(error)) throw error
    const entry = await stack.entry(sync.content_type, uid, { locale })
    if (entry?.locale === locale && holds(entry, fields, contentType)) return entry
    throw error
  }
}

/** The version that is still to be published of an entry that stands at `version`; null = nothing is. */
export function dueAfter({ options }: Work, published: number, version: number): number | null {
  return options.publish && published !== version ? version : null
}
