// What is written to one connection stops together: its endpoint said that it wants nothing more (AppError.pauses), and record after
// record failing there would help nobody. Resuming is a person's, sync by sync; what changed meanwhile is found by the run that begins.
import type { Actor } from '../audit/audit.ts'
import type { Db } from '../database/database.ts'
import { AppError } from '../errors.ts'
import type { JobResult } from '../jobs/job.ts'
import type { Vault } from '../vault/vault.ts'
import { words } from './connections.ts'
import { pauseSync, type SyncRow } from './sync.ts'

const engine: Actor = { kind: 'system', id: 'sync', name: 'The sync engine' }

/** For a job that met `error` at the sync's connection: null unless the error pauses; then its outbound syncs are paused. */
export async function pauseIfGone(db: Db, deps: { vault: Vault }, sync: SyncRow, error: unknown): Promise<JobResult | null> {
  if (!(error instanceof AppError) || !error.pauses) return null
  await pauseEndpoint(db, deps, { installationId: sync.installation_id, connectionId: sync.connection_id, reason: words(error) })
  return { cancel: 'its endpoint is gone: the sync is paused' }
}

/** `reason` stands at the connection and at each sync that was active. Repeating it pauses what an interrupted one left. */
async function pauseEndpoint(
  db: Db,
  deps: { vault: Vault },
  { installationId, connectionId, reason }: { installationId: string; connectionId: string; reason: string }
): Promise<void> {
  await db
    .updateTable('connection')
    .set({ error: reason, checked_at: Date.now(), updated_at: Date.now() })
    .where('id', '=', connectionId)
    .where('installation_id', '=', installationId)
    .execute()
  const writing = await db
    .selectFrom('sync')
    .select('id')
    .where('connection_id', '=', connectionId)
    .where('direction', '=', 'outbound')
    .where('state', '=', 'active')
    .orderBy('id')
    .execute()
  for (const { id } of writing) await pauseSync(db, deps, { installationId, id, actor: engine, reason })
}
