// Takes the subjects out of a chain: who, what on and what exactly, event by event, so that the chain still proves order and number
// (chain.ts). What is blanked counts as erased only under an organization.erase event behind it; that event is appended first.
import type { Db } from '../database/database.ts'
import { erased, type Marks } from './chain.ts'

/**
 * Of at most `limit` events after the number `after`, up to `upTo`. Returns how many it blanked, and the last number it looked at, null
 * when there was none. What is erased already stays as it is.
 */
export async function eraseSubjects(
  trx: Db,
  vault: Marks,
  { organizationId, after, upTo, limit }: { organizationId: string; after: number; upTo: number; limit: number }
): Promise<{ blanked: number; last: number | null }> {
  const events = await trx
    .selectFrom('audit_event')
    .selectAll()
    .where('organization_id', '=', organizationId)
    .where('seq', '>', after)
    .where('seq', '<=', upTo)
    .orderBy('seq')
    .limit(limit)
    .execute()
  const standing = events.filter(event => event.erased_at === null)
  const now = Date.now()
  for (const event of standing) {
    await trx
      .updateTable('audit_event')
      .set(erased(vault, event, now))
      .where('id', '=', event.id)
      .execute()
  }
  return { blanked: standing.length, last: events.at(-1)?.seq ?? null }
}
