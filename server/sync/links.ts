// Links: what a record is on both sides and what was last written (engine.md §2). A claim is the right to write one record: it
// raises the record's order, so that whoever held it before and wakes up late is refused by the destination.
import { sql } from 'kysely'
import { databaseNow } from '../database/clock.ts'
import type { Db } from '../database/database.ts'
import { newId } from '../database/id.ts'
import type { Row } from '../database/schema.ts'
import { hashVersion } from './canonical.ts'
import type { SyncRow } from './sync.ts'

export type LinkRow = Row<'link'>
export type LinkId = Pick<LinkRow, 'locale' | 'external_id' | 'entry_uid'>

/** Longer than a batch takes with its time-outs; a holder that died leaves its records to others after this. */
const claimSeconds = 90
/** Keeps a statement within both databases' parameter limits. */
const rowsPerStatement = 500

export async function findLinks(db: Db, sync: SyncRow, locale: string, externalIds: readonly string[]): Promise<Map<string, LinkRow>> {
  const found = new Map<string, LinkRow>()
  for (const part of inParts(externalIds)) {
    const rows = await db
      .selectFrom('link')
      .selectAll()
      .where('link_set_id', '=', sync.link_set_id)
      .where('branch', '=', sync.branch)
      .where('locale', '=', locale)
      .where('external_id', 'in', part)
      .execute()
    for (const row of rows) found.set(row.external_id, row)
  }
  return found
}

export interface Claim {
  token: string
  /** external id -> the order to write with. Absent: somebody else is at it. */
  orders: Map<string, number>
}

/**
 * Claims what is free; records without a link get one that says nothing is there yet. `claimant` is the run or the job, of which
 * only one at a time is at work: what it claimed before its process died it takes over at once, with a higher order.
 */
export async function claimLinks(db: Db, sync: SyncRow, claimant: string, records: readonly LinkId[]): Promise<Claim> {
  const own = `${claimant} `
  const token = `${own}${newId('clm')}`
  const orders = new Map<string, number>()
  for (const part of inParts(records)) {
    const now = await databaseNow(db)
    const claimed = await db
      .insertInto('link')
      .values(part.map(record => ({ ...blankLink(sync, record, now), claim_token: token, claim_until: now + claimSeconds * 1000 })))
      .onConflict(conflict =>
        conflict
          .columns(['link_set_id', 'branch', 'locale', 'external_id'])
          .doUpdateSet(eb => ({
            claim_token: eb.ref('excluded.claim_token'),
            claim_until: eb.ref('excluded.claim_until'),
            // Grows with time even across a link set that was made anew over the same table.
            order: sql<number>`case when "link"."order" >= excluded."order" then "link"."order" + 1 else excluded."order" end`
          }))
          .where(eb =>
            eb.or([
              eb('link.claim_until', 'is', null),
              eb('link.claim_until', '<', now),
              sql<boolean>`substr("link".claim_token, 1, ${sql.lit(own.length)}) = ${own}`
            ])
          )
      )
      .returning(['external_id', 'order'])
      .execute()
    for (const row of claimed) orders.set(row.external_id, row.order)
  }
  return { token, orders }
}

export interface Settlement extends LinkId {
  source_hash: string
  destination_fingerprint: string
  hash_version: number
  version: number
  status: LinkRow['status']
  error: string | null
  cause: string
  last_run_id: string | null
  /** null: nothing was written, the time of the last write stays. */
  synced_at: number | null
}

/** Keeps what was written and gives the claim back, as far as it is still held. Returns how many were. */
export async function settleLinks(trx: Db, sync: SyncRow, token: string, settled: readonly Settlement[]): Promise<number> {
  let kept = 0
  for (const part of inParts(settled)) {
    const now = await databaseNow(trx)
    const rows = await trx
      .insertInto('link')
      .values(
        part.map(({ synced_at, ...row }) => ({
          ...blankLink(sync, row, now),
          ...row,
          sync_revision: sync.revision,
          synced_at: synced_at ?? 0
        }))
      )
      .onConflict(conflict =>
        conflict
          .columns(['link_set_id', 'branch', 'locale', 'external_id'])
          .doUpdateSet(eb => ({
            sync_id: eb.ref('excluded.sync_id'),
            content_type: eb.ref('excluded.content_type'),
            entry_uid: eb.ref('excluded.entry_uid'),
            source_hash: eb.ref('excluded.source_hash'),
            destination_fingerprint: eb.ref('excluded.destination_fingerprint'),
            hash_version: eb.ref('excluded.hash_version'),
            sync_revision: eb.ref('excluded.sync_revision'),
            version: eb.ref('excluded.version'),
            status: eb.ref('excluded.status'),
            error: eb.ref('excluded.error'),
            cause: eb.ref('excluded.cause'),
            last_run_id: sql<string | null>`coalesce(excluded.last_run_id, "link".last_run_id)`,
            synced_at: sql<number>`case when excluded.synced_at = 0 then "link".synced_at else excluded.synced_at end`,
            updated_at: eb.ref('excluded.updated_at'),
            claim_token: null,
            claim_until: null
          }))
          .where('link.claim_token', '=', token)
      )
      .returning('external_id')
      .execute()
    kept += rows.length
  }
  return kept
}

type Kept = Pick<
  LinkRow,
  | 'locale'
  | 'external_id'
  | 'entry_uid'
  | 'source_hash'
  | 'stack_hash'
  | 'version'
  | 'status'
  | 'error'
  | 'cause'
  | 'last_run_id'
  | 'publish_due'
>

/** One record of an inbound run, which is alone with its records: no claim. */
export async function keepLink(
  trx: Db,
  sync: SyncRow,
  { wrote, ...link }: Kept & { wrote: boolean; published_version?: number }
): Promise<void> {
  const now = await databaseNow(trx)
  const row: LinkRow = {
    ...blankLink(sync, link, now),
    ...link,
    hash_version: hashVersion,
    sync_revision: sync.revision,
    synced_at: wrote ? now : 0
  }
  const { order: _order, synced_at: _at, claim_token: _token, claim_until: _until, published_version, ...moved } = row
  await trx
    .insertInto('link')
    .values(row)
    .onConflict(conflict =>
      conflict.columns(['link_set_id', 'branch', 'locale', 'external_id']).doUpdateSet({
        ...moved,
        ...(link.published_version === undefined ? {} : { published_version }),
        ...(wrote ? { synced_at: now } : {})
      })
    )
    .execute()
}

/** Why a record has not moved yet, while its job is tried again; the next write or look takes it away. */
export async function noteTrouble(db: Db, sync: SyncRow, record: LinkId, error: string): Promise<void> {
  await db
    .insertInto('link')
    .values({ ...blankLink(sync, record, await databaseNow(db)), status: 'failed', error })
    .onConflict(conflict => conflict.columns(['link_set_id', 'branch', 'locale', 'external_id']).doUpdateSet({ error }))
    .execute()
}

export async function clearTrouble(db: Db, sync: SyncRow, locale: string, externalId: string): Promise<void> {
  await db
    .updateTable('link')
    .set({ error: null })
    .where('link_set_id', '=', sync.link_set_id)
    .where('branch', '=', sync.branch)
    .where('locale', '=', locale)
    .where('external_id', '=', externalId)
    .where('status', '!=', 'failed')
    .execute()
}

/** Gives claims back without having written anything. */
export async function releaseClaim(db: Db, sync: SyncRow, token: string): Promise<void> {
  await db
    .updateTable('link')
    .set({ claim_token: null, claim_until: null })
    .where('link_set_id', '=', sync.link_set_id)
    .where('claim_token', '=', token)
    .execute()
}

/** These records were met by the run, changed or not. */
export async function markSeen(trx: Db, sync: SyncRow, locale: string, externalIds: readonly string[], runId: string): Promise<void> {
  for (const part of inParts(externalIds)) {
    await trx
      .updateTable('link')
      .set({ last_run_id: runId })
      .where('link_set_id', '=', sync.link_set_id)
      .where('branch', '=', sync.branch)
      .where('locale', '=', locale)
      .where('external_id', 'in', part)
      .execute()
  }
}

export function blankLink(sync: SyncRow, record: LinkId, order: number): LinkRow {
  return {
    link_set_id: sync.link_set_id,
    branch: sync.branch,
    locale: record.locale,
    external_id: record.external_id,
    organization_id: sync.organization_id,
    installation_id: sync.installation_id,
    sync_id: sync.id,
    content_type: sync.content_type,
    entry_uid: record.entry_uid,
    source_hash: '',
    stack_hash: '',
    destination_fingerprint: '',
    hash_version: 0,
    sync_revision: 0,
    order,
    version: 0,
    // Nothing is at the destination.
    status: 'deleted',
    error: null,
    cause: '',
    last_run_id: null,
    published_version: 0,
    publish_due: null,
    claim_token: null,
    claim_until: null,
    synced_at: 0,
    updated_at: order
  }
}

function inParts<T>(items: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(items.length / rowsPerStatement) }, (_, index) =>
    items.slice(index * rowsPerStatement, (index + 1) * rowsPerStatement)
  )
}
