// A sync: what moves, which way, when. This file owns its row; creating is create.ts, doing is outbound.ts and inbound.ts.
//
//   active -> paused   by a person, by its endpoint (endpoint.ts), or by itself when its mapping no longer fits (broken.ts);
//                      its runs pause, its waiting jobs are dropped
//   paused -> active   by a person; what happened meanwhile is found by a run from the beginning
import { type Actor, appendAudit } from '../audit/audit.ts'
import type { Db } from '../database/database.ts'
import type { Row } from '../database/schema.ts'
import { AppError } from '../errors.ts'
import type { StackUse } from '../installations/credentials.ts'
import type { StackClient } from '../contentstack/stack.ts'
import { cancelJobs } from '../jobs/queue.ts'
import type { Vault } from '../vault/vault.ts'
import { type ConnectionDeps, getConnection, requireSecrets } from './connections.ts'
import type { Mapping } from './mapping.ts'
import { restartRun, runKey, startRun } from './runs.ts'

export type SyncRow = Row<'sync'>

export interface SyncDeps extends ConnectionDeps {
  /** A ready client of the installation's stack. Throws AppError unauthorized when no token stands. */
  stackFor(installationId: string, use: StackUse): Promise<StackClient>
}

export type EmbedDepth = 1 | 2 | 3

/** Syncs made before an option existed lack it. */
export interface OutboundOptions {
  table: string
  /** 'draft': the newest version. 'published': what one environment shows. */
  source: 'draft' | 'published'
  /** Of 'published'; by uid, since names may be given anew. */
  environment?: { uid: string; name: string }
  /** A query of the CMA: only entries that it finds have a row. */
  filter?: Record<string, unknown>
  /** References with what they point at, so many levels deep; absent: uid and content type alone. */
  references?: { embed: EmbedDepth }
  /** How JSON rich text reads; absent: HTML. */
  richText?: 'html' | 'text'
}

export interface InboundOptions {
  table: string
  /** The source's column that holds the record's key. */
  key: string
  /** The entry's field that holds it. */
  externalIdField: string
  cursorColumn?: string
  /** What becomes of the entry of a record that its source has no more. Absent: keep. */
  onDisappearance?: 'keep' | 'unpublish' | 'delete'
  /** Environments, by name, in which each written version is published. Absent: entries stay drafts. */
  publish?: { environments: string[] }
  /** What the columns of reference fields hold. Absent: uids of entries. */
  references?: 'uid' | 'externalId'
  /** The column that names each record's locale; the external id is then the column mapped to its field, `key` the source's own. */
  localeColumn?: string
}

export const mappingOf = (sync: SyncRow): Mapping[] => JSON.parse(sync.mapping_json) as Mapping[]
export const localesOf = (sync: SyncRow): string[] => JSON.parse(sync.locales_json) as string[]
export const outboundOptions = (sync: SyncRow): OutboundOptions => JSON.parse(sync.options_json) as OutboundOptions
export const inboundOptions = (sync: SyncRow): InboundOptions => JSON.parse(sync.options_json) as InboundOptions
export const syncObject = (sync: Pick<SyncRow, 'id' | 'name'>) => ({ kind: 'sync', id: sync.id, name: sync.name })

/** AppError not_found, also for another installation's. */
export async function getSync(db: Db, of: { installationId: string; id: string }): Promise<SyncRow> {
  const sync = await findSync(db, of.id)
  if (!sync || sync.installation_id !== of.installationId) throw new AppError('not_found', `There is no sync ${of.id}`)
  return sync
}

/** For jobs, which carry no tenant. */
export async function findSync(db: Db, id: string): Promise<SyncRow | undefined> {
  return await db.selectFrom('sync').selectAll().where('id', '=', id).executeTakeFirst()
}

/** A second pause is as good as the first, and tells no second time of it. `reason`: in a sentence; by whom when left out. */
export async function pauseSync(
  db: Db,
  deps: { vault: Vault },
  input: { installationId: string; id: string; actor: Actor; reason?: string; detail?: Record<string, unknown> }
): Promise<SyncRow> {
  return await db.transaction().execute(async trx => {
    const sync = await getSync(trx, input)
    const reason = input.reason ?? `Paused by ${input.actor.name}.`
    const paused = { state: 'paused' as const, paused_reason: reason, updated_at: Date.now() }
    // Two workers may meet the same closed door at once: the second waits here, and finds it done.
    const { numUpdatedRows } = await trx
      .updateTable('sync')
      .set(paused)
      .where('id', '=', sync.id)
      .where('state', '=', 'active')
      .executeTakeFirst()
    if (numUpdatedRows === 0n) return await getSync(trx, input)
    await trx
      .updateTable('run')
      .set({ status: 'paused' })
      .where('sync_id', '=', sync.id)
      .where('status', 'in', ['queued', 'running'])
      .execute()
    await cancelJobs(trx, { key: runKey(sync.id) })
    await appendAudit(trx, deps.vault, {
      organizationId: sync.organization_id,
      installationId: sync.installation_id,
      actor: input.actor,
      action: 'sync.pause',
      object: syncObject(sync),
      ...(input.reason === undefined ? {} : { detail: { reason: input.reason, ...input.detail } })
    })
    return { ...sync, ...paused }
  })
}

/** Begins a run: changes that came while it was paused were not kept. AppError conflict while its connection lacks its secrets. */
export async function resumeSync(
  db: Db,
  deps: { vault: Vault },
  input: { installationId: string; id: string; actor: Actor }
): Promise<SyncRow> {
  return await db.transaction().execute(async trx => {
    const sync = await getSync(trx, input)
    if (sync.state === 'active') return sync
    await requireSecrets(trx, deps.vault, await getConnection(trx, { installationId: sync.installation_id, id: sync.connection_id }))
    const active = { ...sync, state: 'active' as const, paused_reason: null, updated_at: Date.now() }
    await trx
      .updateTable('sync')
      .set({ state: active.state, paused_reason: null, updated_at: active.updated_at })
      .where('id', '=', sync.id)
      .execute()
    const waiting = await trx
      .selectFrom('run')
      .selectAll()
      .where('sync_id', '=', sync.id)
      .where('status', '=', 'paused')
      .orderBy('id')
      .execute()
    for (const pushed of waiting.filter(run => run.cause === 'push')) await restartRun(trx, pushed)
    const paused = waiting.findLast(run => run.cause !== 'push')
    if (paused) await restartRun(trx, paused)
    else await startRun(trx, { sync: active, cause: 'reconcile', causedBy: input.actor.name })
    await appendAudit(trx, deps.vault, {
      organizationId: sync.organization_id,
      installationId: sync.installation_id,
      actor: input.actor,
      action: 'sync.resume',
      object: syncObject(sync)
    })
    return active
  })
}
