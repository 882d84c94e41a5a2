// Entries carried to their destination under claims: one batch of a run, or one record of a live job. What is pushed is settled by
// its own outcome; what somebody else is writing meanwhile is left to them. Decisions are plan.ts's.
import type { Change, Outcome, Shape } from '../connectors/connector.ts'
import { databaseNow } from '../database/clock.ts'
import type { Db } from '../database/database.ts'
import type { ContentType, Entry } from '../contentstack/stack.ts'
import { AppError, isAppError } from '../errors.ts'
import { hashVersion } from './canonical.ts'
import type { OpenConnection } from './connections.ts'
import { claimLinks, findLinks, type LinkRow, releaseClaim, type Settlement, settleLinks } from './links.ts'
import type { Mapping } from './mapping.ts'
import { destinationKey, entryValues } from './outward.ts'
import { planOutbound } from './plan.ts'
import type { OutboundOptions, SyncRow } from './sync.ts'

/** One outbound sync, opened for work. */
export interface Outbound {
  sync: SyncRow
  mapping: Mapping[]
  options: OutboundOptions
  shape: Shape
  contentType: ContentType
  /** Other content types of its branch, for what is embedded; null: the stack has none of that name. */
  schemaOf(contentType: string): Promise<ContentType | null>
  connection: OpenConnection
  signal: AbortSignal
}

/** A record as the stack has it now. */
export interface Current {
  entryUid: string
  /** Over all that its row is made of; null: no row of it is to stand (source.ts says when). */
  hash: string | null
  /** What the row is made of. Asked only for a row that is written; AppError invalid stops this record alone. */
  entry(): Promise<Entry>
}

export interface Carried {
  written: string[]
  deleted: string[]
  skipped: string[]
  failed: { entryUid: string; error: string; retryAfterSeconds?: number }[]
  /** Somebody else holds them, or has written them since they were read. */
  busy: string[]
}

const readsAtOnce = 5

interface Why {
  cause: string
  /** The run or the job at work; see claimLinks. */
  claimant: string
  runId: string | null
  /** Database time before the entries were read. */
  readAt: number
  force?: boolean
}

/**
 * `keep` commits in the same transaction as the links: counters, checkpoint. It may throw to keep nothing.
 * Throws what the connector throws (the connection is at fault); claims are given back first.
 */
export async function carry(
  db: Db,
  outbound: Outbound,
  locale: string,
  records: readonly Current[],
  why: Why,
  keep: (trx: Db, carried: Carried) => Promise<void>
): Promise<Carried> {
  const { sync, mapping } = outbound
  const carried: Carried = { written: [], deleted: [], skipped: [], failed: [], busy: [] }
  const links = await findLinks(
    db,
    sync,
    locale,
    records.map(record => destinationKey(record.entryUid, locale))
  )
  const changed: Changed[] = []
  for (const record of records) {
    const key = destinationKey(record.entryUid, locale)
    const link = links.get(key)
    const { entryUid, hash } = record
    const step = planOutbound(hash, link, sync.revision, why.force)
    if (step === 'skip') carried.skipped.push(record.entryUid)
    // Written by another after we read: ours may be the older state, theirs is looked after.
    else if (link && link.synced_at >= why.readAt) carried.busy.push(record.entryUid)
    else changed.push({ entryUid, hash, key, link, step, entry: () => record.entry() })
  }
  if (changed.length === 0) {
    await db.transaction().execute(trx => keep(trx, carried))
    return carried
  }

  // Before the claim, which is short.
  const entries = await entriesOf(changed.filter(({ step }) => step === 'write'))
  const claim = await claimLinks(
    db,
    sync,
    why.claimant,
    changed.map(({ key, entryUid }) => ({ locale, external_id: key, entry_uid: entryUid }))
  )
  try {
    // Between our look and our claim another may have written: only a link that has not moved is ours to judge.
    const now = await findLinks(db, sync, locale, [...claim.orders.keys()])
    const settlements: Settlement[] = []
    const pushes: { record: Changed; change: Change }[] = []
    for (const record of changed) {
      const order = claim.orders.get(record.key)
      const before = record.link?.synced_at ?? 0
      if (order === undefined || (now.get(record.key)?.synced_at ?? 0) !== before) {
        carried.busy.push(record.entryUid)
        continue
      }
      try {
        const entry = entries.get(record.entryUid) ?? null
        if (isAppError(entry)) throw entry
        const values = entry && entryValues(entry, mapping, outbound.contentType.schema)
        pushes.push({ record, change: { key: record.key, values, order } })
      } catch (error) {
        if (!isAppError(error, 'invalid')) throw error
        carried.failed.push({ entryUid: record.entryUid, error: error.message })
        settlements.push(settlement(record, { status: 'failed', error: error.message, synced_at: null }))
      }
    }
    const outcomes =
      pushes.length > 0
        ? await outbound.connection.push(
            outbound.shape,
            pushes.map(({ change }) => change),
            outbound.signal
          )
        : []
    const writtenAt = await databaseNow(db)
    for (const [index, { record }] of pushes.entries()) settlements.push(settlementOf(record, outcomes[index], writtenAt))
    await db.transaction().execute(async trx => {
      const kept = await settleLinks(trx, sync, claim.token, settlements)
      if (kept < settlements.length)
        throw new AppError('upstream', 'The claim on some records ran out while they were written; they are looked at again.')
      await keep(trx, carried)
    })
    if (carried.busy.length > 0) await releaseClaim(db, sync, claim.token)
    return carried
  } catch (error) {
    await releaseClaim(db, sync, claim.token)
    throw error
  }

  function settlementOf(record: Changed, outcome: Outcome | undefined, at: number): Settlement {
    if (outcome?.status === 'written' || outcome?.status === 'unchanged') {
      carried.written.push(record.entryUid)
      return settlement(record, { status: 'synced', error: null, synced_at: at, fingerprint: outcome.fingerprint })
    }
    if (outcome?.status === 'deleted') {
      carried.deleted.push(record.entryUid)
      return settlement(record, { status: 'deleted', error: null, synced_at: at })
    }
    const stale = outcome?.status === 'stale' ? 'The destination holds a newer write of this record.' : undefined
    const error = stale ?? outcome?.error ?? 'The destination gave no answer for this record.'
    const wait = outcome?.retryAfterSeconds
    carried.failed.push({ entryUid: record.entryUid, error, ...(wait === undefined ? {} : { retryAfterSeconds: wait }) })
    return settlement(record, { status: 'failed', error, synced_at: null })
  }

  function settlement(
    record: Changed,
    result: { status: LinkRow['status']; error: string | null; synced_at: number | null; fingerprint?: string | undefined }
  ): Settlement {
    const entry = entries.get(record.entryUid)
    return {
      locale,
      external_id: record.key,
      entry_uid: record.entryUid,
      // What failed has carried nothing: the version stays that of the last good write.
      source_hash: result.status === 'failed' ? (record.link?.source_hash ?? '') : (record.hash ?? ''),
      version: result.status === 'failed' ? (record.link?.version ?? 0) : entry && !isAppError(entry) ? entry._version : 0,
      destination_fingerprint: result.fingerprint ?? '',
      hash_version: hashVersion,
      status: result.status,
      error: result.error,
      cause: why.cause,
      last_run_id: why.runId,
      synced_at: result.synced_at
    }
  }
}

interface Changed {
  entryUid: string
  key: string
  hash: string | null
  link: LinkRow | undefined
  step: 'write' | 'delete'
  entry(): Promise<Entry>
}

/** By uid: the content, or why it cannot be had. Several at a time, so that a page of older versions does not come one by one. */
export async function entriesOf(records: readonly Pick<Current, 'entryUid' | 'entry'>[]): Promise<Map<string, Entry | AppError>> {
  const found = new Map<string, Entry | AppError>()
  const waiting = [...records]
  const read = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      try {
        found.set(next.entryUid, await next.entry())
      } catch (error) {
        if (!isAppError(error, 'invalid')) throw error
        found.set(next.entryUid, error)
      }
    }
  }
  await Promise.all(Array.from({ length: readsAtOnce }, read))
  return found
}
