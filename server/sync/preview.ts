// What a sync would make of a few real records: each row's value or its error, and whether a write would follow. It reads both sides
// and writes to neither. For a sync that is being made, and for one that exists and whose mapping is being changed.
import type { SourceRecord } from '../connectors/connector.ts'
import type { ContentType, Entry, StackClient } from '../contentstack/stack.ts'
import type { Db } from '../database/database.ts'
import type { Installation } from '../installations/installation.ts'
import { compute, type Computed, type MappedRow } from './computed.ts'
import { getConnection, type OpenConnection, openConnection } from './connections.ts'
import { type Draft, draftInbound, draftOutbound, type SyncInput } from './create.ts'
import type { Expressions } from './expressions.ts'
import { columnsRead } from './inbound.ts'
import { holds, recordHash, recordInput, recordRows } from './inward.ts'
import { findLinks, type LinkRow } from './links.ts'
import type { Mapping } from './mapping.ts'
import { destinationKey, entryHash, entryInput, entryRows } from './outward.ts'
import { planInbound, planOutbound } from './plan.ts'
import { getSync, type InboundOptions, type SyncDeps, type SyncRow } from './sync.ts'

/** In the shape of http/contract/stack.ts SyncPreview. */
export interface PreviewInput extends Pick<SyncInput, 'direction' | 'connectionId' | 'target' | 'branch' | 'mapping' | 'externalIdField'> {
  contentType: string
  /** The stack's master locale when absent. */
  locale?: string | undefined
  /** An existing sync, with what it has carried so far. */
  syncId?: string | undefined
  /** How many. */
  records?: number | undefined
}

export interface PreviewRecord {
  key: string
  /** refuse: a row gave no value, so nothing of the record would be written. */
  would: 'create' | 'update' | 'skip' | 'refuse'
  rows: { to: string; value: string | null; error: string | null }[]
}

export interface PreviewDeps extends SyncDeps {
  expressions: Expressions
}

const usualRecords = 5
const previewSeconds = 40
/** Of one shown value. */
const longestShown = 1_000

/** AppError not_found, invalid with fields as createSyncs, and whatever connector and stack say when they cannot be asked. */
export async function previewSync(
  db: Db,
  deps: PreviewDeps,
  { installation, preview }: { installation: Installation; preview: PreviewInput }
): Promise<PreviewRecord[]> {
  const signal = AbortSignal.timeout(previewSeconds * 1000)
  const sync = preview.syncId === undefined ? null : await getSync(db, { installationId: installation.id, id: preview.syncId })
  const row = await getConnection(db, { installationId: installation.id, id: preview.connectionId })
  const connection = openConnection(db, deps, row)
  const client = await deps.stackFor(installation.id, { lane: 'people', actor: { kind: 'sync', id: 'preview' }, signal })
  const stack = client.with({ branch: preview.branch ?? 'main' })
  const contentType = await stack.contentType(preview.contentType)
  const input: SyncInput = { ...preview, contentTypes: [preview.contentType] }
  const locale = preview.locale ?? (installation.master_locale || undefined)
  const count = preview.records ?? usualRecords
  const work = { db, deps, installation, connection, stack, contentType, locale, count, sync, signal }
  if (preview.direction === 'outbound') return await outbound(work, draftOutbound(input, contentType, connection))
  return await inbound(work, await draftInbound(input, [contentType], connection, stack, signal))
}

interface Work {
  db: Db
  deps: PreviewDeps
  installation: Installation
  connection: OpenConnection
  stack: StackClient
  contentType: ContentType
  locale: string | undefined
  count: number
  sync: SyncRow | null
  signal: AbortSignal
}

async function outbound(work: Work, { mapping }: Draft): Promise<PreviewRecord[]> {
  const { contentType, stack, count, sync } = work
  const query = { limit: count, ...(work.locale === undefined ? {} : { locale: work.locale }) }
  const { entries } = await stack.entriesPage(contentType.uid, query)
  const keyOf = (entry: Entry): string => destinationKey(entry.uid, entry.locale)
  const links = await linksOf(work, entries.map(keyOf))
  const computed = await computeAll(work, mapping, entries.map(entryInput))
  return entries.map((entry, index) => {
    const rows = entryRows(entry, mapping, contentType.schema, computed[index] ?? new Map())
    const link = links.get(keyOf(entry))
    const step = planOutbound(entryHash(entry, mapping), link, revisionOf(sync, mapping))
    return shown(keyOf(entry), rows, step === 'skip' ? 'skip' : link ? 'update' : 'create')
  })
}

async function inbound(work: Work, { mapping, options }: Draft): Promise<PreviewRecord[]> {
  const { contentType, connection, sync, signal } = work
  const { table, key, externalIdField, localeColumn } = options as InboundOptions
  const columns = await columnsRead({ connection, mapping, signal }, { table, localeColumn })
  const records = await firstRecords(connection, { target: table, key, fields: columns }, work)
  const keys = records.map(record => record.key)
  const links = await linksOf(work, keys)
  const found = await entriesOf(work, externalIdField, keys)
  const computed = await computeAll(
    work,
    mapping,
    records.map(record => recordInput(record, columns))
  )
  return records.map((record, index) => {
    const rows = recordRows(record, mapping, contentType, computed[index] ?? new Map())
    const entry = found.get(record.key)
    const fields = Object.fromEntries(rows.flatMap(row => ('value' in row ? [[row.to, row.value]] : [])))
    const step = planInbound(recordHash(record, mapping), links.get(record.key), revisionOf(sync, mapping))
    const same = step === 'skip' || (entry !== undefined && holds(entry, fields, contentType))
    return shown(record.key, rows, same ? 'skip' : entry || step === 'update' ? 'update' : 'create')
  })
}

async function linksOf({ db, sync, locale }: Work, keys: readonly string[]): Promise<Map<string, LinkRow>> {
  return sync && locale !== undefined ? await findLinks(db, sync, locale, keys) : new Map()
}

async function firstRecords(
  connection: OpenConnection,
  source: Parameters<OpenConnection['pull']>[0],
  { count, signal }: Work
): Promise<SourceRecord[]> {
  const records: SourceRecord[] = []
  for await (const page of connection.pull(source, null, signal)) {
    records.push(...page.records.slice(0, count - records.length))
    if (records.length >= count) break
  }
  return records
}

async function entriesOf({ stack, contentType, locale }: Work, field: string, keys: readonly string[]): Promise<Map<unknown, Entry>> {
  if (keys.length === 0) return new Map()
  const query = { query: { [field]: { $in: keys } }, limit: 100, ...(locale === undefined ? {} : { locale }) }
  const { entries } = await stack.entriesPage(contentType.uid, query)
  return new Map(entries.map(entry => [entry[field], entry]))
}

async function computeAll(
  { deps, installation, signal }: Work,
  mapping: readonly Mapping[],
  inputs: readonly unknown[]
): Promise<Computed[]> {
  return await compute(deps.expressions, installation.id, mapping, inputs, signal)
}

/** Another mapping than the sync's makes every record another. */
function revisionOf(sync: SyncRow | null, mapping: readonly Mapping[]): number {
  if (!sync) return 1
  return JSON.stringify(mapping) === sync.mapping_json ? sync.revision : sync.revision + 1
}

function shown(key: string, rows: readonly MappedRow<unknown>[], would: PreviewRecord['would']): PreviewRecord {
  return {
    key: cut(key),
    would: rows.some(row => 'error' in row) ? 'refuse' : would,
    rows: rows.map(row =>
      'error' in row ? { to: row.to, value: null, error: row.error } : { to: row.to, value: textOf(row.value), error: null }
    )
  }
}

function textOf(value: unknown): string | null {
  if (value === null || value === undefined) return null
  return cut(typeof value === 'string' ? value : JSON.stringify(value))
}

function cut(text: string): string {
  return text.length > longestShown ? `${text.slice(0, longestShown)}…` : text
}
