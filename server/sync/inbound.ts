// A run of an inbound sync: records of a source into entries. A record whose hash equals its link's costs nothing. Page by page what
// is new or changed is written (inbound-write.ts); after the last page references are completed (references.ts), versions published
// (inbound-publish.ts), and what is gone from the source dealt with (inbound-gone.ts). Each part goes on from what the links say,
// so a run that was broken off anywhere is simply taken up again.
import type { Field, SourceRecord } from '../connectors/connector.ts'
import type { Entry } from '../contentstack/stack.ts'
import type { Db } from '../database/database.ts'
import { removeReported, removeUnmet } from './inbound-gone.ts'
import { keysPerLookup, lookAhead } from './inbound-find.ts'
import { publishDue } from './inbound-publish.ts'
import { eachAtOnce, type Inbound, type Item, settled, type Turn, type Work } from './inbound-work.ts'
import { keep, writeRecord } from './inbound-write.ts'
import { openIntents } from './intents.ts'
import { recordHash } from './inward.ts'
import { findLinks, markSeen } from './links.ts'
import { computes, type Mapping } from './mapping.ts'
import { planInbound } from './plan.ts'
import { completeReferences, wakeWaiting } from './references.ts'
import { advanceRun, noCounters, type RunRow } from './runs.ts'
import { type InboundOptions, inboundOptions, type SyncRow } from './sync.ts'

/** 'slice' when `until` has passed: there is more to do. Throws RunMoved; AppError as stack and connector do. */
export async function runInbound(db: Db, inbound: Inbound, run: RunRow, until: number): Promise<Turn> {
  const { sync, connection, signal } = inbound
  const work = await openWork(inbound, run)
  const { table, key, cursorColumn } = work.options
  const source = {
    target: table,
    key,
    fields: work.columns,
    ...(cursorColumn ? { cursor: cursorColumn } : {})
  }
  const from = inbound.plan ? inbound.plan.from : cursorColumn ? await lastCheckpoint(db, sync) : null
  const since: unknown = JSON.parse(run.checkpoint_json ?? from ?? 'null')
  let complete = false
  for await (const page of connection.pull(source, since, signal)) {
    const finished = await writePage(db, work, page.records, until)
    if (!finished) return 'slice'
    const removed = inbound.plan ? 'done' : await removeReported(db, work, page.deleted ?? [], until)
    // The checkpoint stays: the next run hears of them again.
    if (removed !== 'done') return removed
    const checkpoint = JSON.stringify(page.checkpoint)
    await db.transaction().execute(trx => advanceRun(trx, run, noCounters(), { checkpoint }))
    run.checkpoint_json = checkpoint
    // A listing that began behind something is not complete, whatever its end says.
    complete = page.snapshotComplete === true && from === null && !inbound.plan
    if (Date.now() > until && page.snapshotComplete !== true) return 'slice'
  }
  return await finishWork(db, work, complete, until)
}

/** With what a turn remembers still empty. */
export async function openWork(inbound: Inbound, run: RunRow): Promise<Work> {
  const options = inboundOptions(inbound.sync)
  const locales = options.localeColumn === undefined ? [inbound.locale] : (await inbound.stack.locales()).map(locale => locale.code)
  return { ...inbound, options, run, locales, columns: await columnsRead(inbound, options), files: new Map() }
}

/** What the source is asked for: an expression may read every column. AppError as the connector's. */
export async function columnsRead(
  { connection, mapping, signal }: Pick<Inbound, 'connection' | 'mapping' | 'signal'>,
  { table, localeColumn }: Pick<InboundOptions, 'table' | 'localeColumn'>
): Promise<Field[]> {
  if (computes(mapping)) return (await connection.fields(table, signal)).map(({ name, type }) => ({ name, type }))
  const columns = mapping.flatMap(row => (row.from === undefined ? [] : [{ name: row.from, type: row.type }]))
  return localeColumn === undefined ? columns : [...columns, { name: localeColumn, type: 'text' }]
}

/** What follows the last page. `complete`: the source has told of every record that it has. */
export async function finishWork(db: Db, work: Work, complete: boolean, until: number): Promise<Turn> {
  const removed = complete ? await removeUnmet(db, work, until) : 'done'
  if (removed === 'slice') return 'slice'
  if (!(await completeReferences(db, work, until))) return 'slice'
  if (!(await publishDue(db, work, until))) return 'slice'
  await wakeWaiting(db, work)
  return removed
}

/** A cursor goes on where the last run that ended left it. */
export async function lastCheckpoint(db: Db, sync: SyncRow): Promise<string | null> {
  const last = await db
    .selectFrom('run')
    .select('checkpoint_json')
    .where('sync_id', '=', sync.id)
    .where('status', 'in', ['success', 'partial'])
    .where('checkpoint_json', 'is not', null)
    .orderBy('id', 'desc')
    .executeTakeFirst()
  return last?.checkpoint_json ?? null
}

/** False when time ran out: what is done is done, the page is read again. The master locale first: other locales are of its entries. */
export async function writePage(db: Db, work: Work, records: readonly SourceRecord[], until: number): Promise<boolean> {
  const found = records.map(record => ({ record, ...identityOf(work, record) }))
  const byLocale = Map.groupBy(found, ({ locale }) => locale)
  for (const locale of new Set([work.locale, ...byLocale.keys()])) {
    const finished = await writeLocale(db, work, locale, byLocale.get(locale) ?? [], until)
    if (!finished) return false
  }
  return true
}

async function writeLocale(
  db: Db,
  work: Work,
  locale: string,
  found: readonly (Identity & { record: SourceRecord })[],
  until: number
): Promise<boolean> {
  const { sync, run } = work
  const mapping = mappingFor(work, locale)
  const keys = found.map(({ key }) => key)
  const links = await findLinks(db, sync, locale, keys)
  const masters = locale === work.locale ? null : await findLinks(db, sync, work.locale, keys)
  const todo: Judged[] = []
  const skipped: string[] = []
  const twice = new Set<string>()
  const met = new Set<string>()
  for (const { record, key, wrong } of found) {
    if (met.has(key)) twice.add(key)
    met.add(key)
    const link = links.get(key)
    const hash = recordHash(record, mapping)
    const unchanged = planInbound(hash, link, sync.revision) === 'skip'
    // Done before this page was broken off; one that has changed since is not.
    if (link?.last_run_id === run.id && (unchanged || link.status === 'failed')) continue
    if (unchanged) skipped.push(key)
    else todo.push({ record, key, locale, hash, link, mapping, masterUid: masters ? (masters.get(key)?.entry_uid ?? '') : null, wrong })
  }
  if (skipped.length > 0) {
    await db.transaction().execute(async trx => {
      await markSeen(trx, sync, locale, skipped, run.id)
      // A plan's run tells of what was planned; one of these that was comes up at its end.
      if (!work.plan) await advanceRun(trx, run, { ...noCounters(), read: skipped.length, skipped: skipped.length })
    })
  }
  if (!work.plan) return await writeEach(db, work, locale, todo, twice, until)
  // Part by part, so that what is written was looked at within 10 s before: at ten writes a second a whole page takes longer.
  for (let from = 0; from < todo.length; from += keysPerLookup) {
    if (Date.now() > until) return false
    const chosen = await work.plan.choose(todo.slice(from, from + keysPerLookup))
    if (!(await writeEach(db, work, locale, chosen.todo, twice, until, chosen.entries))) return false
  }
  return true
}

async function writeEach(
  db: Db,
  work: Work,
  locale: string,
  todo: readonly Judged[],
  twice: ReadonlySet<string>,
  until: number,
  entries: ReadonlyMap<string, Entry> = new Map()
): Promise<boolean> {
  const intents = await openIntents(
    db,
    work.sync,
    locale,
    todo.map(({ key }) => key)
  )
  await settled(work, [...intents.values()])
  const known = lookAhead(
    work,
    todo.filter(({ link, masterUid, wrong }) => masterUid === null && wrong === null && !link?.entry_uid).map(({ key }) => key)
  )
  return await eachAtOnce(todo, until, work.signal, async ({ wrong, ...item }) => {
    const refusal = wrong ?? (twice.has(item.key) ? `Two records of the source share the key "${item.key}".` : null)
    const found = refusal === null ? (entries.get(item.key) ?? (await known(item.key))) : null
    const outcome = refusal === null ? await writeRecord(db, work, item, found, intents.get(item.key)) : { error: refusal }
    await keep(db, work, item, outcome)
  })
}

/** `wrong`: why it can be no entry. */
type Judged = Item & { wrong: string | null }

interface Identity {
  key: string
  locale: string
  /** Why it can be no entry. */
  wrong: string | null
}

/** Without a column for locales the source's key is the external id, and the master's the only locale. */
export function identityOf(
  { mapping, options, locale: master, locales }: Pick<Work, 'mapping' | 'options' | 'locale' | 'locales'>,
  record: SourceRecord
): Identity {
  const { localeColumn, externalIdField } = options
  if (localeColumn === undefined) return { key: record.key, locale: master, wrong: null }
  const idColumn = mapping.find(row => row.to === externalIdField)?.from ?? ''
  const key = String(record.values[idColumn] ?? '')
  const locale = String(record.values[localeColumn] ?? '')
  if (key === '') return { key: record.key, locale: master, wrong: `The column "${idColumn}" is empty.` }
  if (locales.includes(locale)) return { key, locale, wrong: null }
  return {
    key,
    locale: locale.slice(0, 60),
    wrong: `The column "${localeColumn}" holds "${locale.slice(0, 60)}", which is no locale of the stack.`
  }
}

/** Fields that are not localized follow the master, and are not written elsewhere. */
export function mappingFor(
  { mapping, contentType, locale: master }: Pick<Inbound, 'mapping' | 'contentType' | 'locale'>,
  locale: string
): Mapping[] {
  if (locale === master) return mapping
  return mapping.filter(row => contentType.schema.find(field => field.uid === row.to)?.non_localizable !== true)
}
