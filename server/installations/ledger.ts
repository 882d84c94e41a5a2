// Who wrote what to the stack. Contentstack itself names only the token, so attribution and the recognition of our own webhooks
// coming back both rest on these rows. Knows nothing of syncs or keys but their ids.
import type { AcceptedWrite } from '../contentstack/cma.ts'
import type { Db } from '../database/database.ts'
import { newId } from '../database/id.ts'
import type { Row } from '../database/schema.ts'

export type LedgerRow = Row<'write_ledger'>

export interface WriteActor {
  kind: 'sync' | 'key' | 'system'
  id: string
  runId?: string | null
}

export interface Write {
  organizationId: string
  installationId: string
  actor: WriteActor
  method: string
  path: string
  status: number
  contentType: string | null
  entryUid: string | null
  locale: string | null
  /** `_version` that Contentstack returned. */
  version: number | null
}

export async function recordWrite(db: Db, write: Write): Promise<void> {
  await db
    .insertInto('write_ledger')
    .values({
      id: newId('led'),
      organization_id: write.organizationId,
      installation_id: write.installationId,
      at: Date.now(),
      actor_kind: write.actor.kind,
      actor_id: write.actor.id,
      run_id: write.actor.runId ?? null,
      method: write.method,
      path: write.path,
      status: write.status,
      content_type: write.contentType,
      entry_uid: write.entryUid,
      locale: write.locale,
      version: write.version
    })
    .execute()
}

export interface Written {
  installationId: string
  entryUid: string
  locale: string
  version: number
}

/** Of each, the write that made this very version of the entry, if it was ours; in the order asked. */
export async function findWrites(db: Db, asked: readonly Written[]): Promise<(LedgerRow | null)[]> {
  if (asked.length === 0) return []
  const rows = await db
    .selectFrom('write_ledger')
    .selectAll()
    .where(eb =>
      eb.or(
        asked.map(of =>
          eb.and([
            eb('installation_id', '=', of.installationId),
            eb('entry_uid', '=', of.entryUid),
            eb('locale', '=', of.locale),
            eb('version', '=', of.version)
          ])
        )
      )
    )
    .orderBy('id')
    .execute()
  // The last one of a version counts.
  const found = new Map(rows.map(row => [nameOf(row.installation_id, row.entry_uid, row.locale, row.version), row]))
  return asked.map(of => found.get(nameOf(of.installationId, of.entryUid, of.locale, of.version)) ?? null)
}

const nameOf = (...parts: (string | number | null)[]): string => JSON.stringify(parts)

/** Newest first, `before` = id of the last one seen. */
export async function listWrites(
  db: Db,
  of: { organizationIds: readonly string[]; installationId?: string; before?: string | null; limit: number }
): Promise<LedgerRow[]> {
  if (of.organizationIds.length === 0) return []
  let query = db
    .selectFrom('write_ledger')
    .selectAll()
    .where('organization_id', 'in', of.organizationIds)
    .orderBy('id', 'desc')
    .limit(of.limit)
  if (of.installationId !== undefined) query = query.where('installation_id', '=', of.installationId)
  if (of.before) query = query.where('id', '<', of.before)
  return await query.execute()
}

/** What a write touched, from its path and from what Contentstack answered. Pure. */
export function touchedBy(write: AcceptedWrite): Pick<Write, 'contentType' | 'entryUid' | 'locale' | 'version'> {
  const [, contentType = null, uidInPath = null] = /^\/content_types\/([^/]+)(?:\/entries(?:\/([^/]+))?)?/.exec(write.path) ?? []
  const returned = objectIn(objectIn(write.body)?.entry)
  const text = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null)
  return {
    contentType,
    entryUid: uidInPath ?? text(returned?.uid),
    locale: text(returned?.locale) ?? text(write.query.locale),
    version: typeof returned?._version === 'number' ? returned._version : null
  }
}

function objectIn(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null
}
