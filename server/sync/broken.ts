// A sync whose mapping no longer fits its content type stops itself: paused with the field named, by the system, in the audit trail.
// Looked at when a run begins or goes on, before a record is carried, and when Contentstack says that a content type has changed.
import type { ContentType, StackClient } from '../contentstack/stack.ts'
import type { Db } from '../database/database.ts'
import { isAppError } from '../errors.ts'
import { cmaErrorOf } from '../contentstack/refusal.ts'
import type { JobContext, JobKind, JobResult } from '../jobs/job.ts'
import { enqueue } from '../jobs/queue.ts'
import type { Vault } from '../vault/vault.ts'
import { assetsType, assetsUid } from './assets-out.ts'
import { type Broken, whyBroken } from './fit.ts'
import { findSync, inboundOptions, mappingOf, pauseSync, type SyncDeps, type SyncRow } from './sync.ts'

export const fitJobKind = 'sync.fit'

/** null: it is gone. Assets are the platform's own. AppError as the stack's. */
export async function contentTypeNow(stack: StackClient, uid: string): Promise<ContentType | null> {
  if (uid === assetsUid) return assetsType
  try {
    return await stack.contentType(uid)
  } catch (error) {
    // contentstack.md §8.1: a content type that is not there is 118.
    if (cmaErrorOf(error)?.errorCode === 118) return null
    throw error
  }
}

/** True when it was paused: then nothing may be written. */
export async function pauseIfBroken(db: Db, deps: { vault: Vault }, sync: SyncRow, now: ContentType | null): Promise<boolean> {
  const broken = whyBroken(
    {
      direction: sync.direction,
      contentType: sync.content_type,
      mapping: mappingOf(sync),
      externalIdField: sync.direction === 'inbound' ? inboundOptions(sync).externalIdField : null
    },
    now
  )
  if (broken.length === 0) return false
  await pauseSync(db, deps, {
    installationId: sync.installation_id,
    id: sync.id,
    actor: { kind: 'system', id: 'mapping', name: 'the mapping’s check' },
    reason: reasonOf(sync, broken),
    detail: { fields: broken.map(({ field }) => field) }
  })
  return true
}

function reasonOf(sync: SyncRow, broken: readonly Broken[]): string {
  const shown = broken.slice(0, 5).map(({ why }) => why)
  const more = broken.length > shown.length ? ` And ${broken.length - shown.length} more.` : ''
  return `The content type ${sync.content_type} has changed and the mapping no longer fits. ${shown.join(' ')}${more} Nothing was written. Change the mapping or the content type, then resume.`
}

/** One look per active sync that the change may concern; returns how many. `contentType` null: any, a global field changed. */
export async function lookAtFit(trx: Db, of: { installationId: string; contentType: string | null; branch: string }): Promise<number> {
  let query = trx
    .selectFrom('sync')
    .select('id')
    .where('installation_id', '=', of.installationId)
    .where('branch', '=', of.branch)
    .where('state', '=', 'active')
  if (of.contentType !== null) query = query.where('content_type', '=', of.contentType)
  const syncs = await query.orderBy('id').execute()
  for (const { id } of syncs) {
    await enqueue(trx, {
      kind: fitJobKind,
      lane: 'live',
      payload: { syncId: id },
      group: of.installationId,
      uniqueKey: `fit:${id}`
    })
  }
  return syncs.length
}

/** Payload { syncId }. Reads the content type as it is now: what the webhook said of it is a hint. */
export function fitJob(
  db: Db,
  deps: SyncDeps,
  whenRefused: (sync: SyncRow, error: Error) => Promise<JobResult>
): JobKind<{ syncId: string }> {
  return {
    kind: fitJobKind,
    lane: 'live',
    maxAttempts: 12,
    timeoutSeconds: 60,
    async run({ syncId }: { syncId: string }, { signal, log }: JobContext): Promise<JobResult> {
      const sync = await findSync(db, syncId)
      if (!sync || sync.state === 'paused') return { cancel: 'the sync is paused or gone' }
      try {
        const client = await deps.stackFor(sync.installation_id, { lane: 'live', actor: { kind: 'sync', id: sync.id }, signal })
        const now = await contentTypeNow(client.with({ branch: sync.branch }), sync.content_type)
        if (await pauseIfBroken(db, deps, sync, now)) log.info({ syncId }, 'the mapping no longer fits, the sync is paused')
      } catch (error) {
        if (isAppError(error, 'unauthorized') && !signal.aborted) return await whenRefused(sync, error)
        throw error
      }
    }
  }
}
