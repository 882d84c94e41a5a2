// Intents: what is about to be written to the stack, committed before the request leaves (engine.md §1). One that is still here
// when its record is looked at again says: somebody may have written, look before you write.
import type { Db } from '../database/database.ts'
import { newId } from '../database/id.ts'
import type { Row } from '../database/schema.ts'
import type { SyncRow } from './sync.ts'

interface Of {
  locale: string
  key: string
}

export async function openIntents(db: Db, sync: SyncRow, locale: string, keys: readonly string[]): Promise<Map<string, Row<'intent'>>> {
  if (keys.length === 0) return new Map()
  const rows = await db
    .selectFrom('intent')
    .selectAll()
    .where('link_set_id', '=', sync.link_set_id)
    .where('branch', '=', sync.branch)
    .where('locale', '=', locale)
    .where('external_id', 'in', [...keys])
    .execute()
  return new Map(rows.map(row => [row.external_id, row]))
}

/** Takes the place of an older one of the same record. `unlink`: until it is settled the record does not look unchanged. Returns its id. */
export async function intend(
  db: Db,
  sync: SyncRow,
  intent: Of & { entryUid: string | null; hash: string; expected: number | null; unlink?: boolean }
): Promise<string> {
  const id = newId('int')
  await db.transaction().execute(async trx => {
    await dropIntent(trx, sync, intent)
    await trx
      .insertInto('intent')
      .values({
        id,
        organization_id: sync.organization_id,
        installation_id: sync.installation_id,
        link_set_id: sync.link_set_id,
        branch: sync.branch,
        locale: intent.locale,
        external_id: intent.key,
        content_type: sync.content_type,
        entry_uid: intent.entryUid,
        hash: intent.hash,
        expected_version: intent.expected,
        created_at: Date.now()
      })
      .execute()
    if (!intent.unlink) return
    await trx
      .updateTable('link')
      .set({ source_hash: '' })
      .where('link_set_id', '=', sync.link_set_id)
      .where('branch', '=', sync.branch)
      .where('locale', '=', intent.locale)
      .where('external_id', '=', intent.key)
      .execute()
  })
  return id
}

/** What was intended surely did not happen; an intent that took its place meanwhile stays. */
export async function withdrawIntent(db: Db, id: string): Promise<void> {
  await db.deleteFrom('intent').where('id', '=', id).execute()
}

export async function dropIntent(trx: Db, sync: SyncRow, of: Of): Promise<void> {
  await trx
    .deleteFrom('intent')
    .where('link_set_id', '=', sync.link_set_id)
    .where('branch', '=', sync.branch)
    .where('locale', '=', of.locale)
    .where('external_id', '=', of.key)
    .execute()
}
