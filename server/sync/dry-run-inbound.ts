// The dry run of an inbound sync: the source is read, hashed and mapped as in a run, references are resolved and entries looked up;
// nothing is fetched for a file field and nothing written. What a completed listing did not hold is planned to go where the sync says so.
import type { Field, SourceRecord } from '../connectors/connector.ts'
import type { Entry } from '../contentstack/stack.ts'
import type { Db } from '../database/database.ts'
import { AppError, isAppError } from '../errors.ts'
import { targetsOf } from './apply.ts'
import { addressesIn } from './assets-in.ts'
import { compute, type Computed } from './computed.ts'
import { fieldDiffs } from './diff.ts'
import { movePlan, planVanished, ready } from './dry-run.ts'
import { columnsRead, lastCheckpoint } from './inbound.ts'
import type { Inbound } from './inbound-work.ts'
import { holds, recordFields, recordHash, recordInput } from './inward.ts'
import { findLinks } from './links.ts'
import { planInbound } from './plan.ts'
import { addItems, type NewItem, type PlanRow } from './plans.ts'
import { waitingWords, withReferences } from './references.ts'
import { stage } from './staging.ts'
import { inboundOptions } from './sync.ts'

interface InboundCheckpoint {
  /** What the plan was read from, and what it has come to; JSON. */
  from: string | null
  at: string | null
}

/** 'slice' when `until` has passed. Throws PlanMoved, and AppError as stack and connector do. */
export async function dryRunInbound(db: Db, inbound: Inbound, plan: PlanRow, until: number): Promise<'done' | 'slice'> {
  const { sync, connection, signal } = inbound
  const { table, key, cursorColumn, onDisappearance = 'keep' } = inboundOptions(sync)
  const columns = await columnsRead(inbound, { table })
  const source = {
    target: table,
    key,
    fields: columns,
    ...(cursorColumn ? { cursor: cursorColumn } : {})
  }
  const from = cursorColumn ? await lastCheckpoint(db, sync) : null
  let at: InboundCheckpoint = plan.checkpoint_json === null ? { from, at: from } : (JSON.parse(plan.checkpoint_json) as InboundCheckpoint)
  let complete = false
  for await (const page of connection.pull(source, JSON.parse(at.at ?? 'null'), signal)) {
    const { items, skips } = await lookAtRecords(db, inbound, columns, page.records)
    const next = { ...at, at: JSON.stringify(page.checkpoint) }
    await db.transaction().execute(async trx => {
      await addItems(trx, plan, items)
      if (onDisappearance !== 'keep') {
        await stage(
          trx,
          plan,
          page.records.map(record => ({ key: record.key, fingerprint: '' }))
        )
      }
      await movePlan(trx, plan, next, { read: page.records.length, skips, total: undefined })
    })
    at = next
    signal.throwIfAborted()
    complete = page.snapshotComplete === true && from === null
    if (Date.now() > until && page.snapshotComplete !== true) return 'slice'
  }
  if (complete && onDisappearance !== 'keep') await planVanished(db, inbound, plan)
  await ready(db, inbound, plan, at)
  return 'done'
}

async function lookAtRecords(
  db: Db,
  inbound: Inbound,
  columns: readonly Field[],
  records: readonly SourceRecord[]
): Promise<{ items: NewItem[]; skips: number }> {
  const { sync, mapping, locale, stack, signal } = inbound
  const keys = records.map(record => record.key)
  const links = await findLinks(db, sync, locale, keys)
  const changed = records
    .map(record => ({ record, hash: recordHash(record, mapping), link: links.get(record.key) }))
    .filter(({ hash, link }) => planInbound(hash, link, sync.revision) !== 'skip')
  const targets = await targetsOf(
    stack,
    sync,
    locale,
    changed.map(({ record, link }) => ({ external_id: record.key, entry_uid: link?.entry_uid ?? '' }))
  )
  const inputs = changed.map(({ record }) => recordInput(record, columns))
  const computed = await compute(inbound.expressions, sync.installation_id, mapping, inputs, signal)
  const items: NewItem[] = []
  for (const [index, { record, hash }] of changed.entries()) {
    const entry = targets.get(record.key)
    const item = { key: record.key, locale, entryUid: entry?.uid ?? '', expectedVersion: entry?._version ?? null, sourceHash: hash }
    try {
      if (keys.indexOf(record.key) !== keys.lastIndexOf(record.key))
        throw new AppError('invalid', `Two records of the source share the key "${record.key}".`)
      items.push({ ...item, step: entry ? 'update' : 'create', diff: await entryDiffs(db, inbound, record, computed[index], entry) })
    } catch (error) {
      if (!isAppError(error, 'invalid')) throw error
      items.push({ ...item, step: 'fail', diff: null, why: error.message })
    }
  }
  return { items, skips: records.length - changed.length }
}

/**
 * Fields are compared in the shape that reads give them: a file is written as a uid and read as an asset. What would be fetched is
 * shown by its address.
 */
async function entryDiffs(
  db: Db,
  inbound: Inbound,
  record: SourceRecord,
  computed: Computed | undefined,
  entry: Entry | undefined
): Promise<NewItem['diff']> {
  const { contentType } = inbound
  const work = { ...inbound, options: inboundOptions(inbound.sync) }
  const referring = await withReferences(db, work, { record, mapping: inbound.mapping })
  if (referring.blocked) throw new AppError('invalid', waitingWords(referring.waiting))
  const { mapping, addresses } = addressesIn(contentType, referring.record, referring.mapping)
  const fields = recordFields(referring.record, mapping, contentType, computed)
  if (!entry) return fieldDiffs(null, { ...fields, ...addresses })
  const differing = Object.entries(fields).filter(([uid, value]) => !holds(entry, { [uid]: value }, contentType))
  return fieldDiffs(entry, { ...Object.fromEntries(differing), ...addresses })
}
