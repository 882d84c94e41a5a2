// One webhook received: the row that makes it durable before its 2xx, and what people see of it. Knows neither signatures nor syncs.
//   received -> dispatched (handed on) | ignored (nothing to do; `note` says why). A body is never applied as truth (engine.md §3).
import { createHash } from 'node:crypto'
import { type Db, dialectOf } from '../database/database.ts'
import { newId } from '../database/id.ts'
import type { Row } from '../database/schema.ts'
import { AppError } from '../errors.ts'

export type DeliveryRow = Row<'delivery'>

/** Of a lifecycle event that comes before we know its installation; dispatch fills it in. No tenant sees such a row. */
export const notYetKnown = ''

export interface NewDelivery {
  organizationId: string
  installationId: string
  /** Names the door and what stands behind it, so that equal bytes of two stacks stay two deliveries. */
  door: string
  module: string
  event: string
  objectUid: string | null
  contentType: string | null
  locale: string | null
  /** null where the body and the door name none. */
  branch: string | null
  version: number | null
  /** Exactly the bytes that the signature covered. */
  body: Buffer
  triggeredAt: number
  receivedAt: number
}

/** The new deliveries' ids, in the order given; null for the same bytes come before, or twice at once. */
export async function recordDeliveries(trx: Db, deliveries: readonly NewDelivery[]): Promise<(string | null)[]> {
  if (deliveries.length === 0) return []
  const rows = deliveries.map(delivery => ({
    id: newId('dlv'),
    organization_id: delivery.organizationId,
    installation_id: delivery.installationId,
    dedupe_key: createHash('sha256').update(`${delivery.door}\n`).update(delivery.body).digest('hex'),
    module: delivery.module,
    event: delivery.event,
    object_uid: delivery.objectUid,
    content_type: delivery.contentType,
    locale: delivery.locale,
    branch: delivery.branch,
    version: delivery.version,
    body: delivery.body.toString('utf8'),
    received_at: delivery.receivedAt,
    triggered_at: delivery.triggeredAt,
    status: 'received' as const,
    note: '',
    dispatched_at: null
  }))
  const recorded = await trx
    .insertInto('delivery')
    .values(rows)
    .onConflict(conflict => conflict.column('dedupe_key').doNothing())
    .returning('id')
    .execute()
  const ids = new Set(recorded.map(({ id }) => id))
  return rows.map(({ id }) => (ids.has(id) ? id : null))
}

export async function settleDelivery(
  trx: Db,
  id: string,
  outcome: { status: 'dispatched' | 'ignored'; note: string; installation?: { id: string; organization_id: string } }
): Promise<void> {
  const { status, note, installation } = outcome
  await trx
    .updateTable('delivery')
    .set({
      status,
      note,
      dispatched_at: Date.now(),
      ...(installation ? { installation_id: installation.id, organization_id: installation.organization_id } : {})
    })
    .where('id', '=', id)
    .execute()
}

/** The same outcome for many: one statement for each, however many they are. */
export async function settleDeliveries(
  trx: Db,
  outcomes: readonly { id: string; status: 'dispatched' | 'ignored'; note: string }[]
): Promise<void> {
  for (const same of Map.groupBy(outcomes, ({ status, note }) => `${status} ${note}`).values()) {
    const { status, note } = same[0]!
    await trx
      .updateTable('delivery')
      .set({ status, note, dispatched_at: Date.now() })
      .where(
        'id',
        'in',
        same.map(({ id }) => id)
      )
      .execute()
  }
}

/** Beside those that still wait: they stay `received`, so that the job may be put in again. */
export async function noteDeliveries(trx: Db, ids: readonly string[], note: string): Promise<void> {
  await trx.updateTable('delivery').set({ note }).where('id', 'in', ids).where('status', '=', 'received').execute()
}

/** Oldest first: of these, the ones that still wait; in a transaction nobody else takes them until its end. */
export async function undispatched(db: Db, ids: readonly string[]): Promise<DeliveryRow[]> {
  return await db
    .selectFrom('delivery')
    .selectAll()
    .where('id', 'in', ids)
    .where('status', '=', 'received')
    .orderBy('id')
    .$if(db.isTransaction && dialectOf(db) === 'postgres', query => query.forUpdate())
    .execute()
}

/** As listed: without the body. */
export type ListedDelivery = Omit<DeliveryRow, 'body' | 'dedupe_key'> & { stack_name: string }

/** Newest first. `before` = the last id of the page before. */
export async function listDeliveries(
  db: Db,
  of: {
    organizationIds: readonly string[]
    installationId?: string | undefined
    status?: string | undefined
    before?: string | undefined
    limit: number
  }
): Promise<ListedDelivery[]> {
  if (of.organizationIds.length === 0) return []
  const { installationId, status, before } = of
  return await listed(db)
    .where('delivery.organization_id', 'in', of.organizationIds)
    .$if(installationId !== undefined, query => query.where('delivery.installation_id', '=', installationId as string))
    .$if(status !== undefined, query => query.where('delivery.status', '=', status as DeliveryRow['status']))
    .$if(before !== undefined, query => query.where('delivery.id', '<', before as string))
    .orderBy('delivery.id', 'desc')
    .limit(of.limit)
    .execute()
}

/** AppError not_found for another tenant's delivery as for an unknown one. */
export async function getDelivery(db: Db, organizationIds: readonly string[], id: string): Promise<ListedDelivery> {
  const row =
    organizationIds.length === 0
      ? undefined
      : await listed(db).where('delivery.id', '=', id).where('delivery.organization_id', 'in', organizationIds).executeTakeFirst()
  if (row) return row
  throw new AppError('not_found', 'There is no such delivery.')
}

function listed(db: Db) {
  return db
    .selectFrom('delivery')
    .innerJoin('installation', 'installation.id', 'delivery.installation_id')
    .select([
      'delivery.id',
      'delivery.organization_id',
      'delivery.installation_id',
      'delivery.module',
      'delivery.event',
      'delivery.object_uid',
      'delivery.content_type',
      'delivery.locale',
      'delivery.received_at',
      'delivery.triggered_at',
      'delivery.status',
      'delivery.note',
      'delivery.dispatched_at',
      'delivery.branch',
      'delivery.version',
      'installation.stack_name'
    ])
}
