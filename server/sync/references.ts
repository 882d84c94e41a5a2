// References of inbound records by external id: a column names records of other inbound syncs of the same stack and branch, and
// their links say which entries those became. A record that is not there yet leaves its place empty and is remembered; the record
// that names it stands aside until then, so that nothing unresolved counts as done, and is completed without being read again.
//
//   waiting -> complete   by the run that links the last record named, or by the next one of the waiting record's own sync;
//                         a run of another sync that links it starts that one
import type { Scalar, SourceRecord } from '../connectors/connector.ts'
import type { Entry, SchemaField } from '../contentstack/stack.ts'
import type { Db } from '../database/database.ts'
import type { Row } from '../database/schema.ts'
import { enqueue } from '../jobs/queue.ts'
import { entriesByUid, keysPerLookup } from './inbound-find.ts'
import { eachAtOnce, type Item, type Work } from './inbound-work.ts'
import { dueAfter, update } from './inbound-update.ts'
import { dropIntent, intend } from './intents.ts'
import { holds, projectionHash } from './inward.ts'
import { findLinks, keepLink } from './links.ts'
import type { Mapping } from './mapping.ts'
import { advanceRun, noCounters, runKey, scheduleJobKind } from './runs.ts'
import type { SyncRow } from './sync.ts'

/** A field that names records without an entry. */
export interface Waiting {
  field: string
  /** All that the field names, in order. */
  ids: string[]
  missing: string[]
}

/** In place of a field: the record waits for the entry that it localizes. */
const masterEntry = ''
export const waitsForMaster = (key: string): Waiting[] => [{ field: masterEntry, ids: [key], missing: [key] }]

interface Target {
  uid: string
  _content_type_uid: string
}

/**
 * The record with the external ids of its reference fields replaced by what the CMA takes, and the mapping that finds them there.
 * `blocked`: a field that must be filled names only what is not there, so no entry can be made.
 */
export async function withReferences(
  db: Db,
  { sync, contentType, options, locale }: Pick<Work, 'sync' | 'contentType' | 'options' | 'locale'>,
  { record, mapping }: Pick<Item, 'record' | 'mapping'>
): Promise<{ record: SourceRecord; mapping: Mapping[]; waiting: Waiting[]; blocked: boolean }> {
  if (options.references !== 'externalId') return { record, mapping, waiting: [], blocked: false }
  const values = { ...record.values }
  const waiting: Waiting[] = []
  const rows: Mapping[] = []
  let blocked = false
  for (const row of mapping) {
    const field = contentType.schema.find(candidate => candidate.uid === row.to)
    const ids = row.from !== undefined && field?.data_type === 'reference' ? idsIn(field, record.values[row.from] ?? null) : []
    if (!field || ids.length === 0) {
      rows.push(row)
      continue
    }
    const found = await targets(db, sync, field, locale, ids)
    const missing = ids.filter(id => !found.has(id))
    if (missing.length > 0) waiting.push({ field: field.uid, ids, missing })
    const resolved = ids.flatMap(id => found.get(id) ?? [])
    if (resolved.length === 0 && (row.required || field.mandatory === true)) blocked = true
    // A column of its own: the same source column may go to another field as it is.
    const from = `${row.from} as ${row.to}`
    values[from] = JSON.stringify(resolved)
    rows.push({ ...row, from, type: 'json' })
  }
  return { record: { ...record, values }, mapping: rows, waiting, blocked }
}

export function waitingWords(waiting: readonly Waiting[]): string {
  const named = waiting.map(({ field, missing }) => {
    const shown = missing.slice(0, 3).map(id => `"${id.slice(0, 60)}"`)
    return `${field} names ${shown.join(', ')}${missing.length > 3 ? ` and ${missing.length - 3} more` : ''}`
  })
  return `Waits for records that have no entry yet: ${named.join('; ')}. It is completed by itself once they have.`
}

/** What the record waits for now, in place of what it waited for before. */
export async function keepPending(trx: Db, sync: SyncRow, of: { locale: string; key: string }, waiting: readonly Waiting[]): Promise<void> {
  await trx
    .deleteFrom('pending_reference')
    .where('link_set_id', '=', sync.link_set_id)
    .where('branch', '=', sync.branch)
    .where('locale', '=', of.locale)
    .where('external_id', '=', of.key)
    .execute()
  if (waiting.length === 0) return
  await trx
    .insertInto('pending_reference')
    .values(
      waiting.map(({ field, ids }) => ({
        link_set_id: sync.link_set_id,
        branch: sync.branch,
        locale: of.locale,
        external_id: of.key,
        field,
        organization_id: sync.organization_id,
        installation_id: sync.installation_id,
        sync_id: sync.id,
        ids_json: JSON.stringify(ids),
        created_at: Date.now()
      }))
    )
    .execute()
}

type Pending = Row<'pending_reference'>

/** Fills every field whose records all have entries by now. False when time ran out. */
export async function completeReferences(db: Db, work: Work, until: number): Promise<boolean> {
  for await (const rows of pendingOf(db, work.sync)) {
    const ready: { row: Pending; value: Target[] }[] = []
    for (const row of rows) {
      const field = work.contentType.schema.find(candidate => candidate.uid === row.field)
      const ids = JSON.parse(row.ids_json) as string[]
      const found = field ? await targets(db, work.sync, field, work.locale, ids) : new Map<string, Target>()
      if (ids.every(id => found.has(id))) ready.push({ row, value: ids.flatMap(id => found.get(id) ?? []) })
    }
    for (const locale of new Set(ready.map(({ row }) => row.locale))) {
      const there = ready.filter(({ row }) => row.locale === locale)
      const finished = await completeAll(db, work, locale, there, until)
      if (!finished) return false
    }
  }
  return true
}

async function completeAll(
  db: Db,
  work: Work,
  locale: string,
  ready: readonly { row: Pending; value: Target[] }[],
  until: number
): Promise<boolean> {
  const { sync, contentType, mapping, run } = work
  const keys = ready.map(({ row }) => row.external_id)
  const links = await findLinks(db, sync, locale, keys)
  const uids = [...links.values()].map(link => link.entry_uid).filter(uid => uid !== '')
  const entries = uids.length === 0 ? new Map<string, Entry>() : await entriesByUid(work, locale, uids)
  // Two fields of one record go one after the other.
  const byKey = Map.groupBy(ready, ({ row }) => row.external_id)
  return await eachAtOnce([...byKey.entries()], until, work.signal, async ([key, fields]) => {
    const link = links.get(key)
    const entry = entries.get(link?.entry_uid ?? '')
    // Gone in the CMS: the next run makes it again, complete.
    if (!link || !entry) return
    const values = Object.fromEntries(fields.map(({ row, value }) => [row.field, value]))
    const held = holds(entry, values, contentType)
    if (!held) await intend(db, sync, { locale, key, entryUid: entry.uid, hash: link.source_hash, expected: entry._version })
    const done = held ? entry : await update(work, locale, entry.uid, values)
    if (!done) return
    await db.transaction().execute(async trx => {
      const names = fields.map(({ row }) => row.field)
      const left = await leftBeside(trx, work, { locale, key }, names)
      await keepPending(trx, sync, { locale, key }, left)
      const here = link.last_run_id === run.id && link.status === 'failed'
      await keepLink(trx, sync, {
        ...link,
        version: done._version,
        stack_hash: projectionHash(done, Object.fromEntries(mapping.map(row => [row.to, null])), contentType),
        status: left.length > 0 ? 'failed' : 'synced',
        error: left.length > 0 ? waitingWords(left) : null,
        publish_due: dueAfter(work, link.published_version, done._version),
        cause: `run ${run.id}`,
        last_run_id: run.id,
        wrote: true
      })
      await dropIntent(trx, sync, { locale, key })
      if (left.length === 0) {
        const counted = here ? { failed: -1, written: 1 } : { read: 1, written: 1 }
        await advanceRun(trx, run, { ...noCounters(), ...counted })
      }
    })
  })
}

/** What the record still waits for, these fields apart. */
async function leftBeside(
  db: Db,
  { sync, contentType, locale: master }: Work,
  of: { locale: string; key: string },
  filled: readonly string[]
): Promise<Waiting[]> {
  const rows = await db
    .selectFrom('pending_reference')
    .select(['field', 'ids_json'])
    .where('link_set_id', '=', sync.link_set_id)
    .where('branch', '=', sync.branch)
    .where('locale', '=', of.locale)
    .where('external_id', '=', of.key)
    .where('field', 'not in', [...filled])
    .execute()
  const left: Waiting[] = []
  for (const row of rows) {
    const ids = JSON.parse(row.ids_json) as string[]
    const field = contentType.schema.find(candidate => candidate.uid === row.field)
    const found = field ? await targets(db, sync, field, master, ids) : new Map<string, Target>()
    left.push({ field: row.field, ids, missing: ids.filter(id => !found.has(id)) })
  }
  return left
}

/**
 * Starts the syncs of the same stack and branch whose records can now be completed, each once its run under way is over. This one as
 * well: what is left to complete has no entry yet, so it takes a reading of the source; behind a cursor there would be none.
 */
export async function wakeWaiting(db: Db, work: Work): Promise<void> {
  const { sync, locale, stack, options } = work
  const others = await db
    .selectFrom('sync')
    .selectAll()
    .where('installation_id', '=', sync.installation_id)
    .where('branch', '=', sync.branch)
    .$if(options.cursorColumn !== undefined, query => query.where('id', '!=', sync.id))
    .where('state', '=', 'active')
    .where('id', 'in', db.selectFrom('pending_reference').select('sync_id').where('installation_id', '=', sync.installation_id))
    .execute()
  for (const other of others) {
    const { schema } = await stack.contentType(other.content_type)
    if (!(await canComplete(db, other, schema, locale))) continue
    await enqueue(db, {
      kind: scheduleJobKind,
      lane: 'backfill',
      payload: { syncId: other.id, cause: 'reconcile', causedBy: sync.name },
      key: runKey(other.id),
      group: other.installation_id,
      uniqueKey: `references:${other.id}`
    })
  }
}

async function canComplete(db: Db, sync: SyncRow, schema: readonly SchemaField[], locale: string): Promise<boolean> {
  for await (const rows of pendingOf(db, sync)) {
    for (const row of rows) {
      const field = schema.find(candidate => candidate.uid === row.field)
      const ids = JSON.parse(row.ids_json) as string[]
      if (row.field === masterEntry && (await findLinks(db, sync, locale, ids)).get(ids[0] ?? '')?.entry_uid) return true
      if (field && (await targets(db, sync, field, locale, ids)).size === new Set(ids).size) return true
    }
  }
  return false
}

async function* pendingOf(db: Db, sync: SyncRow): AsyncGenerator<Pending[]> {
  let after: Pending | undefined
  for (;;) {
    const last = after
    const rows = await db
      .selectFrom('pending_reference')
      .selectAll()
      .where('sync_id', '=', sync.id)
      .$if(last !== undefined, query =>
        query.where(eb =>
          eb(eb.refTuple('locale', 'external_id', 'field'), '>', eb.tuple(last?.locale ?? '', last?.external_id ?? '', last?.field ?? ''))
        )
      )
      .orderBy('locale')
      .orderBy('external_id')
      .orderBy('field')
      .limit(keysPerLookup)
      .execute()
    if (rows.length === 0) return
    yield rows
    after = rows.at(-1)
  }
}

/** External ids -> the entries that other inbound syncs made of them; what has none is missing. */
async function targets(db: Db, sync: SyncRow, field: SchemaField, locale: string, ids: readonly string[]): Promise<Map<string, Target>> {
  const contentTypes = [field.reference_to ?? []].flat()
  if (contentTypes.length === 0) return new Map()
  const rows = await db
    .selectFrom('link')
    .innerJoin('sync', join => join.onRef('sync.link_set_id', '=', 'link.link_set_id').onRef('sync.id', '=', 'link.sync_id'))
    .select(['link.external_id', 'link.entry_uid', 'link.content_type'])
    .where('sync.installation_id', '=', sync.installation_id)
    .where('sync.branch', '=', sync.branch)
    .where('sync.direction', '=', 'inbound')
    .where('sync.content_type', 'in', contentTypes)
    .where('link.branch', '=', sync.branch)
    .where('link.locale', '=', locale)
    .where('link.external_id', 'in', [...new Set(ids)])
    .where('link.entry_uid', '!=', '')
    .where('link.status', '!=', 'deleted')
    .execute()
  // An id that two content types know belongs to the one that the field names first.
  const rank = (row: { content_type: string }): number => contentTypes.indexOf(row.content_type)
  return new Map(
    rows.sort((a, b) => rank(b) - rank(a)).map(row => [row.external_id, { uid: row.entry_uid, _content_type_uid: row.content_type }])
  )
}

/** A list as JSON, or parted by commas where the field takes several. */
function idsIn(field: SchemaField, value: Scalar): string[] {
  if (value === null || value === '') return []
  const list = parsedList(value)
  if (list) return list.filter(item => typeof item === 'string' || typeof item === 'number').map(String)
  const text = String(value)
  const several = field.field_metadata?.['ref_multiple'] === true
  return several
    ? text
        .split(',')
        .map(id => id.trim())
        .filter(id => id !== '')
    : [text]
}

function parsedList(value: Scalar): unknown[] | null {
  if (typeof value !== 'string' || !value.startsWith('[')) return null
  try {
    const items: unknown = JSON.parse(value)
    return Array.isArray(items) ? items : null
  } catch {
    return null
  }
}
