// Keys of one side laid down while it is listed, so that two sides are compared piece by piece and memory stays flat however many
// records there are. Keys are compared as they are, byte for byte. Staged rows go when their comparison ends.
import type { Db } from '../database/database.ts'
import type { Row } from '../database/schema.ts'
import type { LinkRow } from './links.ts'
import type { SyncRow } from './sync.ts'

export interface StagedKey {
  key: string
  fingerprint: string
}

/** Keeps a statement within both databases' parameter limits and below 20 ms. */
const rowsPerStatement = 500

/** A key that comes twice keeps what came first. */
export async function stage(trx: Db, of: { id: string; organization_id: string }, keys: readonly StagedKey[]): Promise<void> {
  for (let from = 0; from < keys.length; from += rowsPerStatement) {
    await trx
      .insertInto('staged_key')
      .values(
        keys.slice(from, from + rowsPerStatement).map(({ key, fingerprint }) => ({
          of_id: of.id,
          external_id: key,
          organization_id: of.organization_id,
          fingerprint
        }))
      )
      .onConflict(conflict => conflict.columns(['of_id', 'external_id']).doNothing())
      .execute()
  }
}

/** Of these keys (at most some hundreds) the staged ones, with their fingerprints. */
export async function stagedAmong(db: Db, ofId: string, keys: readonly string[]): Promise<Map<string, string>> {
  if (keys.length === 0) return new Map()
  const rows = await db
    .selectFrom('staged_key')
    .select(['external_id', 'fingerprint'])
    .where('of_id', '=', ofId)
    .where('external_id', 'in', [...keys])
    .execute()
  return new Map(rows.map(row => [row.external_id, row.fingerprint]))
}

export async function unstage(trx: Db, ofId: string, keys: readonly string[]): Promise<void> {
  if (keys.length === 0) return
  await trx
    .deleteFrom('staged_key')
    .where('of_id', '=', ofId)
    .where('external_id', 'in', [...keys])
    .execute()
}

/** In pages by key, behind `after`. */
export async function stagedPage(db: Db, ofId: string, after: string): Promise<Row<'staged_key'>[]> {
  return await db
    .selectFrom('staged_key')
    .selectAll()
    .where('of_id', '=', ofId)
    .where('external_id', '>', after)
    .orderBy('external_id')
    .limit(rowsPerStatement)
    .execute()
}

/** All of them, a slice at a time: one statement over a million rows would stop everybody else. */
export async function dropStaged(db: Db, ofId: string): Promise<void> {
  for (;;) {
    const rows = await stagedPage(db, ofId, '')
    if (rows.length === 0) return
    await unstage(
      db,
      ofId,
      rows.map(row => row.external_id)
    )
  }
}

export interface LinkPlace {
  locale: string
  key: string
}

/** Every link of a sync, tombstones included, in pages by locale and key, behind `after`. */
export async function* linksAfter(db: Db, sync: SyncRow, after: LinkPlace | null, signal: AbortSignal): AsyncGenerator<LinkRow[]> {
  let place = after ?? { locale: '', key: '' }
  for (;;) {
    signal.throwIfAborted()
    const { locale, key } = place
    const links = await db
      .selectFrom('link')
      .selectAll()
      .where('link_set_id', '=', sync.link_set_id)
      .where('branch', '=', sync.branch)
      // In two steps: an index over (locale, external_id) is searched by either, and by no OR of both.
      .where('locale', '=', locale)
      .where('external_id', '>', key)
      .orderBy('external_id')
      .limit(rowsPerStatement)
      .execute()
    const last = links.at(-1)
    if (last) {
      yield links
      place = { locale, key: last.external_id }
      continue
    }
    const next = await db
      .selectFrom('link')
      .select('locale')
      .where('link_set_id', '=', sync.link_set_id)
      .where('branch', '=', sync.branch)
      .where('locale', '>', locale)
      .orderBy('locale')
      .limit(1)
      .executeTakeFirst()
    if (!next) return
    place = { locale: next.locale, key: '' }
  }
}
