// What is written to one connection stops together: a person says so, or its endpoint does, which wants nothing more
// (AppError.pauses), and record after record failing there would help nobody. Resuming is a person's, sync by sync; what changed
// meanwhile is found by the run that begins.
import type { Actor } from '../audit/audit.ts'
import type { Db } from '../database/database.ts'
import { AppError } from '../errors.ts'
import type { JobResult } from '../jobs/job.ts'
import type { Vault } from '../vault/vault.ts'
import { getConnection, words } from './connections.ts'
import { pauseSync, type SyncRow } from './sync.ts'

const engine: Actor = { kind: 'system', id: 'sync', name: 'The sync engine' }

/** For a job that met `error` at the sync's connection: null unless the error pauses; then all that writes there is paused. */
export async function pauseIfGone(db: Db, deps: { vault: Vault }, sync: SyncRow, error: unknown): Promise<JobResult | null> {
  if (!(error instanceof AppError) || !error.pauses) return null
  const [reason, now] = [words(error), Date.now()]
  await db
    .updateTable('connection')
    .set({ error: reason, checked_at: now, updated_at: now })
    .where('id', '=', sync.connection_id)
    .where('installation_id', '=', sync.installation_id)
    .execute()
  await pauseWriting(db, deps, { installationId: sync.installation_id, connectionId: sync.connection_id, actor: engine, reason })
  return { cancel: 'its endpoint is gone: the sync is paused' }
}

/** By a person. AppError not_found, also for another installation's connection. */
export async function pauseEndpoint(
  db: Db,
  deps: { vault: Vault },
  { installationId, id, actor }: { installationId: string; id: string; actor: Actor }
): Promise<void> {
  const { name } = await getConnection(db, { installationId, id })
  const reason = `Paused by ${actor.name}, with all that writes to ${name}.`
  await pauseWriting(db, deps, { installationId, connectionId: id, actor, reason })
}

/** Each sync that was active, with its audit event. Repeating it pauses what an interrupted one left. */
async function pauseWriting(
  db: Db,
  deps: { vault: Vault },
  input: { installationId: string; connectionId: string; actor: Actor; reason: string }
): Promise<void> {
  const { installationId, connectionId, actor, reason } = input
  const writing = await db
    .selectFrom('sync')
    .select('id')
    .where('connection_id', '=', connectionId)
    .where('direction', '=', 'outbound')
    .where('state', '=', 'active')
    .orderBy('id')
    .execute()
  for (const { id } of writing) await pauseSync(db, deps, { installationId, id, actor, reason })
}
