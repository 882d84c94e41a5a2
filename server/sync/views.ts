// Syncs, runs, failed records and connections as doors show them: plain objects in the shapes of http/contract/stack.ts, which
// this room does not import. Every list is bound to organizations or to one installation by its caller, newest first.
import type { ContentType as StackContentType } from '../contentstack/stack.ts'
import type { Db } from '../database/database.ts'
import type { Row } from '../database/schema.ts'
import { AppError } from '../errors.ts'
import type { SecretState, Vault } from '../vault/vault.ts'
import { systemOf } from './connections.ts'
import { chosenOptions, type InboundInput } from './inbound-options.ts'
import { getRun, paceView, type RunRow } from './runs.ts'
import { type MappingInput, mappingInput } from './mapping.ts'
import { inboundOptions, localesOf, mappingOf, outboundOptions, type SyncRow } from './sync.ts'

export interface ListAsked {
  /** The principal's; [] = nothing. */
  organizationIds?: readonly string[] | undefined
  installationId?: string | undefined
  before?: string | undefined
  limit?: number | undefined
}

export interface List<T> {
  items: T[]
  next: string | null
}

export interface SyncView {
  id: string
  installationId: string
  name: string
  direction: 'outbound' | 'inbound'
  connectionId: string
  connectionName: string
  system: string
  contentType: string
  target: string
  branch: string
  locales: string[]
  mapping: MappingInput[]
  externalIdField: string | null
  outbound: OutboundView | null
  /** null: outbound. */
  inbound: InboundInput | null
  schedule: { cron: string; timeZone: string; nextAt: number } | null
  state: 'active' | 'running' | 'paused' | 'failing' | 'held'
  pausedReason: string | null
  records: { synced: number; failed: number }
  lastRun: { id: string; status: string; finishedAt: number | null } | null
  createdAt: number
}

interface OutboundView {
  source: 'draft' | 'published'
  environment: string | null
  filter: Record<string, unknown> | null
  /** Levels; 0 = references are ids. */
  embed: number
  richText: 'html' | 'text'
}

export interface RunView {
  id: string
  syncId: string
  syncName: string
  installationId: string
  stackName: string
  cause: RunRow['cause']
  causedBy: string
  status: RunRow['status']
  total: number | null
  read: number
  written: number
  skipped: number
  failed: number
  deleted: number
  error: string | null
  createdAt: number
  startedAt: number | null
  finishedAt: number | null
  planId: string | null
  perMinute: number | null
  remaining: number | null
  secondsLeft: number | null
}

export interface ConnectionView {
  id: string
  connector: string
  name: string
  system: string
  settings: Record<string, unknown>
  /** none: it needs none. exposed: a key that sealed one may be known to others. */
  secrets: SecretState | 'none'
  checkedAt: number | null
  error: string | null
  createdAt: number
}

export interface ContentTypeView {
  uid: string
  title: string
  fields: { uid: string; title: string; type: string; unique: boolean; mandatory: boolean; localizable: boolean }[]
}

export interface FailedRecordView {
  key: string
  entryUid: string
  locale: string
  error: string
  at: number
}

const pageSize = 50

/** `state` is the shown one, which is not a column: pages are cut before it is known, so a page may come out short. */
export async function listSyncs(db: Db, asked: ListAsked & { state?: string | undefined }): Promise<List<SyncView>> {
  const { limit, rows } = await page(db, 'sync', asked)
  const views = await syncViews(db, rows.slice(0, limit))
  return {
    items: asked.state === undefined ? views : views.filter(view => view.state === asked.state),
    next: rows.length > limit ? (rows[limit - 1]?.id ?? null) : null
  }
}

export async function syncViews(db: Db, syncs: readonly SyncRow[]): Promise<SyncView[]> {
  if (syncs.length === 0) return []
  const ids = syncs.map(sync => sync.id)
  const connections = byId(
    await db
      .selectFrom('connection')
      .selectAll()
      .where('id', 'in', unique(syncs.map(sync => sync.connection_id)))
      .execute()
  )
  const schedules = byId(await db.selectFrom('schedule').selectAll().where('id', 'in', ids).execute())
  const holds = new Set(
    (
      await db
        .selectFrom('job_hold')
        .select('group_id')
        .where('group_id', 'in', unique(syncs.map(sync => sync.installation_id)))
        .execute()
    ).map(hold => hold.group_id)
  )
  const counts = await db
    .selectFrom('link')
    .select(eb => ['link_set_id', 'status', eb.fn.countAll<number>().as('count')])
    .where('link_set_id', 'in', unique(syncs.map(sync => sync.link_set_id)))
    .groupBy(['link_set_id', 'status'])
    .execute()
  const lastRuns = byId(
    await db
      .selectFrom('run')
      .selectAll()
      .where(
        'id',
        'in',
        db
          .selectFrom('run')
          .select(eb => eb.fn.max('id').as('id'))
          .where('sync_id', 'in', ids)
          .groupBy('sync_id')
      )
      .execute(),
    run => run.sync_id
  )
  return syncs.map(sync => {
    const connection = connections.get(sync.connection_id)
    const timed = schedules.get(sync.id)
    const run = lastRuns.get(sync.id)
    const count = (status: string): number => counts.find(row => row.link_set_id === sync.link_set_id && row.status === status)?.count ?? 0
    const records = { synced: count('synced'), failed: count('failed') }
    return {
      id: sync.id,
      installationId: sync.installation_id,
      name: sync.name,
      direction: sync.direction,
      connectionId: sync.connection_id,
      connectionName: connection?.name ?? '',
      system: connection ? systemOf(connection) : '',
      contentType: sync.content_type,
      target: (JSON.parse(sync.options_json) as { table: string }).table,
      branch: sync.branch,
      locales: localesOf(sync),
      mapping: mappingOf(sync).map(row => mappingInput(sync.direction, row)),
      externalIdField: sync.direction === 'inbound' ? inboundOptions(sync).externalIdField : null,
      outbound: sync.direction === 'outbound' ? outboundView(sync) : null,
      inbound: sync.direction === 'inbound' ? chosenOptions(inboundOptions(sync)) : null,
      schedule: timed ? { cron: timed.cron, timeZone: timed.time_zone, nextAt: timed.next_at } : null,
      state: stateOf(sync, run, records.failed, holds.has(sync.installation_id)),
      pausedReason: sync.paused_reason,
      records,
      lastRun: run ? { id: run.id, status: run.status, finishedAt: run.finished_at } : null,
      createdAt: sync.created_at
    }
  })
}

function outboundView(sync: SyncRow): OutboundView {
  const { source, environment, filter = null, references, richText = 'html' } = outboundOptions(sync)
  return { source, environment: environment?.name ?? null, filter, embed: references?.embed ?? 0, richText }
}

function stateOf(sync: SyncRow, run: RunRow | undefined, failed: number, held: boolean): SyncView['state'] {
  if (sync.state === 'paused') return 'paused'
  if (held) return 'held'
  if (run && (run.status === 'queued' || run.status === 'running')) return 'running'
  return failed > 0 || run?.status === 'failed' || run?.status === 'partial' ? 'failing' : 'active'
}

export async function listRuns(
  db: Db,
  asked: ListAsked & { syncId?: string | undefined; status?: string | undefined }
): Promise<List<RunView>> {
  const { limit, rows } = await page(db, 'run', asked, {
    ...(asked.syncId === undefined ? {} : { sync_id: asked.syncId }),
    ...(asked.status === undefined ? {} : { status: asked.status })
  })
  return { items: await runViews(db, rows.slice(0, limit)), next: rows.length > limit ? (rows[limit - 1]?.id ?? null) : null }
}

export async function runViews(db: Db, runs: readonly RunRow[]): Promise<RunView[]> {
  if (runs.length === 0) return []
  const syncs = byId(
    await db
      .selectFrom('sync')
      .select(['id', 'name'])
      .where('id', 'in', unique(runs.map(run => run.sync_id)))
      .execute()
  )
  const stacks = byId(
    await db
      .selectFrom('installation')
      .select(['id', 'stack_name', 'stack_api_key'])
      .where('id', 'in', unique(runs.map(run => run.installation_id)))
      .execute()
  )
  return runs.map(run => ({
    id: run.id,
    syncId: run.sync_id,
    syncName: syncs.get(run.sync_id)?.name ?? '',
    installationId: run.installation_id,
    stackName: stacks.get(run.installation_id)?.stack_name || (stacks.get(run.installation_id)?.stack_api_key ?? ''),
    cause: run.cause,
    causedBy: run.caused_by,
    status: run.status,
    total: run.total,
    read: run.read,
    written: run.written,
    skipped: run.skipped,
    failed: run.failed,
    deleted: run.deleted,
    error: run.error,
    createdAt: run.created_at,
    startedAt: run.started_at,
    finishedAt: run.finished_at,
    planId: run.plan_id,
    ...paceView(run)
  }))
}

/** Records that stood aside in this run and still do. AppError not_found, also for another installation's run. */
export async function failedRecords(db: Db, of: { installationId: string; runId: string }): Promise<FailedRecordView[]> {
  const run = await getRun(db, { installationId: of.installationId, id: of.runId })
  const rows = await db
    .selectFrom('link')
    .innerJoin('sync', 'sync.link_set_id', 'link.link_set_id')
    .select(['link.external_id', 'link.entry_uid', 'link.locale', 'link.error', 'link.updated_at'])
    .where('sync.id', '=', run.sync_id)
    .where('link.last_run_id', '=', run.id)
    .where('link.status', '=', 'failed')
    .orderBy('link.external_id')
    .limit(500)
    .execute()
  return rows.map(row => ({
    key: row.external_id,
    entryUid: row.entry_uid,
    locale: row.locale,
    error: row.error ?? '',
    at: row.updated_at
  }))
}

export async function connectionView(db: Db, vault: Pick<Vault, 'statesOf'>, row: Row<'connection'>): Promise<ConnectionView> {
  const ids = Object.values(JSON.parse(row.secrets_json) as Record<string, string>)
  const states = [...(await vault.statesOf(db, ids)).values()]
  return {
    id: row.id,
    connector: row.connector,
    name: row.name,
    system: systemOf(row),
    settings: JSON.parse(row.settings_json) as Record<string, unknown>,
    secrets: states.find(state => state === 'erased') ?? states.find(state => state === 'exposed') ?? states[0] ?? 'none',
    checkedAt: row.checked_at,
    error: row.error,
    createdAt: row.created_at
  }
}

export function contentTypeView(contentType: StackContentType): ContentTypeView {
  return {
    uid: contentType.uid,
    title: contentType.title,
    fields: contentType.schema.map(field => ({
      uid: field.uid,
      title: field.display_name,
      type: field.data_type,
      unique: field.unique === true,
      mandatory: field.mandatory === true,
      localizable: field.non_localizable !== true
    }))
  }
}

async function page<T extends 'sync' | 'run'>(
  db: Db,
  table: T,
  asked: ListAsked,
  equal: Record<string, string> = {}
): Promise<{ limit: number; rows: Row<T>[] }> {
  const limit = Math.min(asked.limit ?? pageSize, 1000)
  if (asked.organizationIds === undefined && asked.installationId === undefined) throw new AppError('internal', 'A list without a tenant.')
  if (asked.organizationIds?.length === 0) return { limit, rows: [] }
  let query = db
    .selectFrom(table as 'sync')
    .selectAll()
    .orderBy('id', 'desc')
    .limit(limit + 1)
  if (asked.organizationIds) query = query.where('organization_id', 'in', [...asked.organizationIds])
  if (asked.installationId !== undefined) query = query.where('installation_id', '=', asked.installationId)
  if (asked.before !== undefined) query = query.where('id', '<', asked.before)
  for (const [column, value] of Object.entries(equal)) query = query.where(column as 'id', '=', value)
  return { limit, rows: (await query.execute()) as unknown as Row<T>[] }
}

function byId<T extends { id: string }>(rows: readonly T[], key: (row: T) => string = row => row.id): Map<string, T> {
  return new Map(rows.map(row => [key(row), row]))
}

function unique<T>(items: readonly T[]): T[] {
  return [...new Set(items)]
}
