// A run of an inbound sync: records of a source into entries. A record whose hash equals its link's costs nothing. Before each
// write an intent commits; whatever happens then, the entry is found again by the unique field that holds the record's key, so
// that no record ever gets two entries. It never deletes an entry.
import { setTimeout as wait } from 'node:timers/promises'
import type { Field, SourceRecord } from '../connectors/connector.ts'
import { isOutcomeUnknown } from '../contentstack/cma.ts'
import { cmaErrorOf } from '../contentstack/refusal.ts'
import type { ContentType, Entry, StackClient } from '../contentstack/stack.ts'
import type { Db } from '../database/database.ts'
import type { Row } from '../database/schema.ts'
import { AppError, isAppError } from '../errors.ts'
import type { OpenConnection } from './connections.ts'
import { conflictOf, recordInbound, type Written } from './inbound-log.ts'
import { dropIntent, intend, openIntents, withdrawIntent } from './intents.ts'
import { compute } from './computed.ts'
import type { Expressions } from './expressions.ts'
import { type EntryFields, holds, projectionHash, recordFields, recordHash, recordInput } from './inward.ts'
import { findLinks, keepLink, type LinkRow, markSeen } from './links.ts'
import { computes, type Mapping } from './mapping.ts'
import { planInbound } from './plan.ts'
import { advanceRun, type Counters, noCounters, type RunRow } from './runs.ts'
import { type InboundOptions, inboundOptions, type SyncRow } from './sync.ts'

/** One inbound sync, opened for work. */
export interface Inbound {
  sync: SyncRow
  mapping: Mapping[]
  contentType: ContentType
  connection: OpenConnection
  expressions: Expressions
  stack: StackClient
  /** The stack's master locale: what an external system brings is written there. */
  locale: string
  signal: AbortSignal
  /** Longest that a write may still be under way after its process died: only then is an absent entry really absent. */
  settleSeconds: number
  /** The last try of the job: a record that Contentstack answers with errors of its own then stands aside. */
  lastTry: boolean
  /** A plan is carried out: only what it holds is written. */
  plan?: Chooser
}

interface Work extends Inbound {
  options: InboundOptions
  run: RunRow
  columns: Field[]
}

/** Records written at once: enough to use ten writes a second at usual latencies. */
const concurrency = 4
/** Keys in one look-up: keeps the address of the request below 8 kB. */
const keysPerLookup = 40

/** 'slice' when `until` has passed: there is more to do. Throws RunMoved; AppError as stack and connector do. */
export async function runInbound(db: Db, inbound: Inbound, run: RunRow, until: number): Promise<'done' | 'slice'> {
  const { sync, mapping, connection, signal } = inbound
  const options = inboundOptions(sync)
  const { table, key, cursorColumn } = options
  const work: Work = { ...inbound, options, run, columns: await columnsRead(connection, table, mapping, signal) }
  const source = {
    target: table,
    key,
    fields: work.columns,
    ...(cursorColumn ? { cursor: cursorColumn } : {})
  }
  const beginning = inbound.plan ? inbound.plan.from : cursorColumn ? await lastCheckpoint(db, sync) : null
  const since: unknown = JSON.parse(run.checkpoint_json ?? beginning ?? 'null')
  for await (const page of connection.pull(source, since, signal)) {
    const finished = await writePage(db, work, page.records, until)
    if (!finished) return 'slice'
    const checkpoint = JSON.stringify(page.checkpoint)
    await db.transaction().execute(trx => advanceRun(trx, run, noCounters(), { checkpoint }))
    run.checkpoint_json = checkpoint
    if (Date.now() > until && page.snapshotComplete !== true) return 'slice'
  }
  return 'done'
}

/** An expression may read every column. AppError as the connector's. */
export async function columnsRead(
  connection: OpenConnection,
  table: string,
  mapping: readonly Mapping[],
  signal: AbortSignal
): Promise<Field[]> {
  if (computes(mapping)) return (await connection.fields(table, signal)).map(({ name, type }) => ({ name, type }))
  return mapping.flatMap(row => (row.from === undefined ? [] : [{ name: row.from, type: row.type }]))
}

/** A cursor goes on where the last run that ended left it. */
export async function lastCheckpoint(db: Db, sync: SyncRow): Promise<string | null> {
  const last = await db
    .selectFrom('run')
    .select('checkpoint_json')
    .where('sync_id', '=', sync.id)
    .where('status', 'in', ['success', 'partial'])
    .where('checkpoint_json', 'is not', null)
    // A plan's run has passed by what was not in the plan.
    .where('plan_id', 'is', null)
    .orderBy('id', 'desc')
    .executeTakeFirst()
  return last?.checkpoint_json ?? null
}

export interface Todo {
  record: SourceRecord
  hash: string
  link: LinkRow | undefined
}

/** Of a plan that is carried out: what of a page it holds. */
export interface Chooser {
  /** The checkpoint that the plan was read from, as JSON. */
  from: string | null
  /** Of these the ones that the plan holds and that have not moved, with the entries as they stand now by key. */
  choose(todo: readonly Todo[]): Promise<{ todo: Todo[]; entries: Map<string, Entry> }>
}

/** Part by part, so that what is written was looked at within 10 s before: at ten writes a second a whole page takes longer. */
async function inChosenParts(
  chooser: Chooser,
  todo: readonly Todo[],
  until: number,
  write: (part: { todo: Todo[]; entries: Map<string, Entry> }) => Promise<boolean>
): Promise<boolean> {
  for (let from = 0; from < todo.length; from += keysPerLookup) {
    if (Date.now() > until) return false
    if (!(await write(await chooser.choose(todo.slice(from, from + keysPerLookup))))) return false
  }
  return true
}

/** False when time ran out: what is done is done, the page is read again. */
async function writePage(db: Db, work: Work, records: readonly SourceRecord[], until: number): Promise<boolean> {
  const { sync, mapping, run, locale } = work
  const links = await findLinks(
    db,
    sync,
    locale,
    records.map(record => record.key)
  )
  const todo: Todo[] = []
  const skipped: string[] = []
  const twice = new Set<string>()
  const met = new Set<string>()
  for (const record of records) {
    if (met.has(record.key)) twice.add(record.key)
    met.add(record.key)
    const link = links.get(record.key)
    // Done before this page was broken off.
    if (link?.last_run_id === run.id) continue
    const hash = recordHash(record, mapping)
    if (planInbound(hash, link, sync.revision) === 'skip') skipped.push(record.key)
    else todo.push({ record, hash, link })
  }
  if (work.plan) return await inChosenParts(work.plan, todo, until, part => writeEach(db, work, part.todo, twice, until, part.entries))
  if (skipped.length > 0) {
    await db.transaction().execute(async trx => {
      await markSeen(trx, sync, locale, skipped, run.id)
      await advanceRun(trx, run, { ...noCounters(), read: skipped.length, skipped: skipped.length })
    })
  }
  return await writeEach(db, work, todo, twice, until)
}

async function writeEach(
  db: Db,
  work: Work,
  todo: readonly Todo[],
  twice: ReadonlySet<string>,
  until: number,
  entries: ReadonlyMap<string, Entry> = new Map()
): Promise<boolean> {
  const intents = await openIntents(
    db,
    work.sync,
    work.locale,
    todo.map(({ record }) => record.key)
  )
  await settled(work, [...intents.values()])
  const known = lookAhead(
    work,
    todo.filter(({ link }) => !link?.entry_uid).map(({ record }) => record.key)
  )
  return await eachAtOnce(todo, until, work.signal, async ({ record, hash, link }) => {
    const outcome = twice.has(record.key)
      ? { error: `Two records of the source share the key "${record.key}".` }
      : await writeRecord(db, work, record, hash, link, entries.get(record.key) ?? (await known(record.key)), intents.get(record.key))
    await keep(db, work, record, hash, link, outcome)
  })
}

async function writeRecord(
  db: Db,
  work: Work,
  record: SourceRecord,
  hash: string,
  link: LinkRow | undefined,
  found: Entry | null,
  intent: Row<'intent'> | undefined
): Promise<Written> {
  const { contentType, stack, locale, sync } = work
  try {
    const input = recordInput(record, work.columns)
    const [computed] = await compute(work.expressions, sync.installation_id, work.mapping, [input], work.signal)
    const fields = recordFields(record, work.mapping, contentType, computed)
    let entry = found
    // An update whose answer nobody heard, or an adopted entry: look before writing.
    if (!entry && link?.entry_uid && intent) entry = await stack.entry(sync.content_type, link.entry_uid, { locale })
    if (entry && holds(entry, fields, contentType)) return { entry, fields, wrote: false }
    const uid = entry?.uid ?? link?.entry_uid
    if (uid) {
      const expected = entry?._version ?? link?.version ?? null
      await intend(db, sync, { locale, key: record.key, entryUid: uid, hash, expected })
      const updated = await update(work, uid, fields)
      if (updated) return { entry: updated, fields, wrote: true, ...(await conflictOf(work, updated, fields, expected)) }
      // Deleted in the CMS: the record is still there, so it becomes an entry again.
    }
    const intentId = await intend(db, sync, { locale, key: record.key, entryUid: null, hash, expected: null })
    return await create(db, work, record, fields, intentId)
  } catch (error) {
    // An abort carries whatever reason its giver chose: that is never the record's fault.
    if (work.signal.aborted) throw error
    if (isAppError(error, 'invalid') || (isAppError(error, 'conflict') && cmaErrorOf(error))) return { error: refusalWords(error) }
    if (isAppError(error, 'upstream') && (cmaErrorOf(error)?.status ?? 0) >= 500 && work.lastTry) return { error: error.message }
    throw error
  }
}

async function create(db: Db, work: Work, record: SourceRecord, fields: EntryFields, intentId: string): Promise<Written> {
  const { stack, sync, locale, contentType } = work
  try {
    return { entry: await stack.createEntry(sync.content_type, fields, { locale }), fields, wrote: true }
  } catch (error) {
    const exists = cmaErrorOf(error)?.errorCode === 119 && cmaErrorOf(error)?.errors[work.options.externalIdField] !== undefined
    if (!exists && !isOutcomeUnknown(error)) {
      // A creation is repeated only after what was surely refused. So nothing was made, and the next try has nothing to wait out.
      const refused = isAppError(error, 'unauthorized') || isAppError(error, 'rate_limited')
      if (refused && !work.signal.aborted) await withdrawIntent(db, intentId)
      throw error
    }
    // It may have been made, or have stood there all along; a look-up may lag behind.
    const entry = await found(work, record.key)
    if (!entry && !exists) throw error
    if (!entry)
      throw new AppError(
        'invalid',
        `Contentstack says that an entry with ${work.options.externalIdField} "${record.key}" exists, but none can be found.`
      )
    if (holds(entry, fields, contentType)) return { entry, fields, wrote: !exists }
    const updated = await update(work, entry.uid, fields)
    if (!updated) throw new AppError('upstream', `The entry of "${record.key}" went away while it was written.`, { cause: error })
    return { entry: updated, fields, wrote: true }
  }
}

/** null: the entry is gone. */
async function update(work: Work, uid: string, fields: EntryFields): Promise<Entry | null> {
  const { stack, sync, locale, contentType } = work
  try {
    return await stack.updateEntry(sync.content_type, uid, fields, { locale })
  } catch (error) {
    if (isAppError(error, 'not_found')) return null
    if (!isOutcomeUnknown(error)) throw error
    const entry = await stack.entry(sync.content_type, uid, { locale })
    if (entry && holds(entry, fields, contentType)) return entry
    throw error
  }
}

/** Link, counters and the intent's end commit together. */
async function keep(db: Db, work: Work, record: SourceRecord, hash: string, link: LinkRow | undefined, outcome: Written): Promise<void> {
  const { sync, run, locale, contentType } = work
  const failed = 'error' in outcome
  const counters: Counters = { ...noCounters(), read: 1, ...(failed ? { failed: 1 } : outcome.wrote ? { written: 1 } : { skipped: 1 }) }
  await db.transaction().execute(async trx => {
    await keepLink(trx, sync, {
      locale,
      external_id: record.key,
      entry_uid: failed ? (link?.entry_uid ?? '') : outcome.entry.uid,
      source_hash: failed ? (link?.source_hash ?? '') : hash,
      stack_hash: failed ? (link?.stack_hash ?? '') : projectionHash(outcome.entry, outcome.fields, contentType),
      version: failed ? (link?.version ?? 0) : outcome.entry._version,
      status: failed ? 'failed' : 'synced',
      error: failed ? outcome.error : (outcome.conflict ?? null),
      cause: `run ${run.id}`,
      last_run_id: run.id,
      wrote: !failed
    })
    await dropIntent(trx, sync, { locale, key: record.key })
    await recordInbound(trx, sync, run, locale, record.key, link, outcome)
    await advanceRun(trx, run, counters)
  })
}

/**
 * Entries by the keys they hold, looked up while records before them are written: reads and writes have slots of their own. One
 * part ahead and no more, so that a page that is broken off has asked for little in vain. A key that was not given finds nothing.
 */
function lookAhead(work: Work, keys: readonly string[]): (key: string) => Promise<Entry | null> {
  const partOf = new Map(keys.map((key, index) => [key, Math.floor(index / keysPerLookup)]))
  const asked: Promise<Map<string, Entry>>[] = []
  const ask = (part: number): Promise<Map<string, Entry>> | undefined => {
    const given = keys.slice(part * keysPerLookup, (part + 1) * keysPerLookup)
    if (given.length === 0) return undefined
    const looking = (asked[part] ??= lookUp(work, given))
    // Its failure is met by whoever needs it; until then it must not count as unhandled.
    looking.catch(() => {})
    return looking
  }
  return async key => {
    const part = partOf.get(key)
    if (part === undefined) return null
    const looking = ask(part)
    void ask(part + 1)
    return (await looking)?.get(key) ?? null
  }
}

/** At most keysPerLookup keys. */
async function lookUp({ stack, sync, locale, options }: Work, keys: readonly string[]): Promise<Map<string, Entry>> {
  const byKey = new Map<string, Entry>()
  const { entries } = await stack.entriesPage(sync.content_type, {
    locale,
    query: { [options.externalIdField]: { $in: keys } },
    limit: 100
  })
  for (const entry of entries) {
    const key = entry[options.externalIdField]
    // Without upper and lower case a query may find more than it was asked for.
    if (typeof key === 'string' && keys.includes(key)) byKey.set(key, entry)
  }
  return byKey
}

async function found(work: Work, key: string): Promise<Entry | null> {
  for (const pause of [0, 300, 1_000, 2_000]) {
    if (pause > 0) await wait(pause, undefined, { signal: work.signal })
    const entry = (await lookUp(work, [key])).get(key)
    if (entry) return entry
  }
  return null
}

/** A process may have died with a write on its way: until that has surely landed or not, an absent entry proves nothing. */
async function settled(work: Work, intents: readonly Row<'intent'>[]): Promise<void> {
  const youngest = Math.max(0, ...intents.map(intent => intent.created_at))
  const rest = youngest + work.settleSeconds * 1000 - Date.now()
  if (rest > 0) await wait(rest, undefined, { signal: work.signal })
}

/** False when time ran out before all were done. The first error stops the rest and is thrown once those under way are done. */
async function eachAtOnce<T>(items: readonly T[], until: number, signal: AbortSignal, run: (item: T) => Promise<void>): Promise<boolean> {
  let next = 0
  let error: unknown
  const worker = async (): Promise<void> => {
    while (next < items.length && error === undefined && Date.now() <= until) {
      signal.throwIfAborted()
      const item = items[next++] as T
      try {
        await run(item)
      } catch (refusal) {
        error ??= refusal
      }
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  if (error !== undefined) throw error
  return next >= items.length
}

/** The CMS's own words, field by field. */
function refusalWords(error: AppError): string {
  const fields = Object.entries(error.fields ?? {}).map(([field, says]) => `${field} ${says.join(' ')}`)
  return fields.length > 0 ? `${error.message} (${fields.join('; ')})` : error.message
}
