// Making syncs: everything that could be wrong is looked at first, on both sides; then rows, schedule, initial runs and audit
// events commit together. A refusal leaves nothing behind.
import { type Actor, appendAudit } from '../audit/audit.ts'
import type { Field } from '../connectors/connector.ts'
import type { ContentType, StackClient } from '../contentstack/stack.ts'
import type { Db } from '../database/database.ts'
import { newId } from '../database/id.ts'
import { AppError } from '../errors.ts'
import type { Installation } from '../installations/installation.ts'
import { schedule } from '../jobs/scheduler.ts'
import { assetsType, assetsUid } from './assets-out.ts'
import { getConnection, type OpenConnection, openConnection } from './connections.ts'
import { refuseDefaults } from './fit.ts'
import { checkInboundOptions, type InboundInput } from './inbound-options.ts'
import {
  checkInbound,
  checkOutbound,
  defaultInbound,
  defaultOutbound,
  type Mapping,
  type MappingInput,
  requireExternalIdField
} from './mapping.ts'
import { checkBranch, checkOutboundInput, type OutboundInput } from './outbound-options.ts'
import { outboundShape } from './outward.ts'
import { scheduleJobKind, startRun } from './runs.ts'
import { type InboundOptions, type OutboundOptions, type SyncDeps, syncObject, type SyncRow } from './sync.ts'

/** In the shape of http/contract/stack.ts NewSync. */
export interface SyncInput extends OutboundInput {
  direction: 'outbound' | 'inbound'
  connectionId: string
  /** ['*'] = one outbound sync per content type of the stack. */
  contentTypes: string[]
  /** Inbound: the table read from. Outbound: a prefix of the table names. */
  target: string
  branch?: string | undefined
  locales?: string[] | undefined
  mapping?: MappingInput[] | undefined
  externalIdField?: string | undefined
  inbound?: InboundInput | undefined
  schedule?: { cron: string; timeZone: string } | undefined
}

/** A sync as it would be, judged. */
export type Draft = Pick<SyncRow, 'name' | 'content_type'> & { mapping: Mapping[]; options: OutboundOptions | InboundOptions }

const checkSeconds = 30

/**
 * Each begins with its initial run. AppError not_found (connection, content type), invalid with fields (mapping, branch, locale,
 * environment, filter, external id field), conflict (the table is another sync's), and whatever connector and stack say when they cannot be asked.
 */
export async function createSyncs(
  db: Db,
  deps: SyncDeps,
  input: { installation: Installation; actor: Actor; sync: SyncInput }
): Promise<SyncRow[]> {
  const { installation, actor, sync } = input
  const signal = AbortSignal.timeout(checkSeconds * 1000)
  const branch = sync.branch ?? 'main'
  if (sync.direction === 'outbound' && sync.inbound)
    throw new AppError('invalid', 'An outbound sync takes no inbound options.', { fields: { inbound: ['not for an outbound sync'] } })
  const connection = openConnection(db, deps, await getConnection(db, { installationId: installation.id, id: sync.connectionId }))
  const client = await deps.stackFor(installation.id, { lane: 'people', actor: { kind: 'sync', id: 'new' }, signal })
  const stack = client.with({ branch })
  await checkBranch(client, branch)
  await checkLocales(stack, sync.locales ?? [])
  const contentTypes = await wanted(stack, sync)
  const options = sync.direction === 'outbound' ? await checkOutboundInput(stack, sync, contentTypes) : null
  const assetLocales = await localesOfAssets(stack, sync, options)
  const drafts =
    options !== null
      ? contentTypes.map(contentType => draftOutbound(sync, contentType, connection, options))
      : [await draftInbound(sync, contentTypes, connection, stack, signal)]
  if (sync.direction === 'outbound') await prepareAll(db, connection, drafts, signal)
  return await db.transaction().execute(async trx => {
    await refuseTaken(trx, connection, sync.direction, branch, drafts)
    const now = Date.now()
    const rows: SyncRow[] = drafts.map(({ mapping, options, ...draft }) => ({
      ...draft,
      id: newId('syn'),
      organization_id: installation.organization_id,
      installation_id: installation.id,
      connection_id: connection.row.id,
      link_set_id: newId('lks'),
      direction: sync.direction,
      branch,
      locales_json: JSON.stringify(draft.content_type === assetsUid ? assetLocales : (sync.locales ?? [])),
      mapping_json: JSON.stringify(mapping),
      options_json: JSON.stringify(options),
      state: 'active',
      paused_reason: null,
      revision: 1,
      created_at: now,
      updated_at: now
    }))
    if (rows.length > 0) await trx.insertInto('sync').values(rows).execute()
    for (const row of rows) {
      await startRun(trx, { sync: row, cause: 'initial', causedBy: actor.name })
      if (sync.schedule) {
        const job = {
          kind: scheduleJobKind,
          lane: 'backfill' as const,
          payload: { syncId: row.id },
          group: installation.id
        }
        await schedule(trx, { id: row.id, organizationId: row.organization_id, ...sync.schedule, job })
      }
    }
    for (const row of rows) {
      const detail = { direction: row.direction, contentType: row.content_type, connection: connection.row.name }
      await appendAudit(trx, deps.vault, {
        organizationId: row.organization_id,
        installationId: row.installation_id,
        actor,
        action: 'sync.create',
        object: syncObject(row),
        detail
      })
    }
    return rows
  })
}

async function checkLocales(stack: StackClient, locales: readonly string[]): Promise<void> {
  if (locales.length === 0) return
  const known = (await stack.locales()).map(locale => locale.code)
  const unknown = locales.filter(locale => !known.includes(locale))
  if (unknown.length > 0) {
    throw new AppError('invalid', `The stack has no locale ${unknown.join(', ')}.`, {
      remedy: `Its locales: ${known.join(', ')}.`,
      fields: { locales: [`unknown: ${unknown.join(', ')}`] }
    })
  }
}

/** A draft of an asset is the same in every locale: one row is enough, unless locales are chosen. */
async function localesOfAssets(stack: StackClient, sync: SyncInput, options: Omit<OutboundOptions, 'table'> | null): Promise<string[]> {
  const chosen = sync.locales ?? []
  if (chosen.length > 0 || options?.source !== 'draft' || !sync.contentTypes.includes(assetsUid)) return chosen
  return (await stack.locales()).filter(({ fallback_locale }) => fallback_locale === null).map(({ code }) => code)
}

async function wanted(stack: StackClient, sync: SyncInput): Promise<ContentType[]> {
  const all = await stack.contentTypes()
  if (sync.contentTypes.includes('*')) {
    if (sync.direction === 'inbound')
      throw new AppError('invalid', 'An inbound sync brings records into one content type.', { fields: { contentTypes: ['name one'] } })
    if (sync.filter) {
      throw new AppError('invalid', 'A filter speaks of the fields of content types that are named.', {
        fields: { contentTypes: ['name them, or leave the filter out'] }
      })
    }
    return all
  }
  return sync.contentTypes.map(uid => {
    const found = uid === assetsUid && sync.direction === 'outbound' ? assetsType : all.find(contentType => contentType.uid === uid)
    if (found) return found
    throw new AppError('invalid', `The stack has no content type "${uid}".`, {
      remedy: `Its content types: ${all.map(contentType => contentType.uid).join(', ')}.`,
      fields: { contentTypes: [`unknown: ${uid}`] }
    })
  })
}

/** AppError invalid with fields for a mapping that does not fit. */
export function draftOutbound(
  sync: SyncInput,
  contentType: ContentType,
  connection: OpenConnection,
  chosen: Omit<OutboundOptions, 'table'> = { source: 'draft' }
): Draft {
  const mapping = sync.mapping && sync.mapping.length > 0 ? checkOutbound(contentType, sync.mapping) : defaultOutbound(contentType)
  refuseDefaults('outbound', mapping, contentType)
  const options: OutboundOptions = { table: `${sync.target}${contentType.uid}`, ...chosen }
  return { name: `${contentType.title} -> ${connection.row.name}`, content_type: contentType.uid, mapping, options }
}

/** AppError invalid with fields, or what the connector says when it is asked for its columns. */
export async function draftInbound(
  sync: SyncInput,
  contentTypes: ContentType[],
  connection: OpenConnection,
  stack: StackClient,
  signal: AbortSignal
): Promise<Draft> {
  const [contentType] = contentTypes
  if (!contentType || contentTypes.length > 1)
    throw new AppError('invalid', 'An inbound sync brings records into one content type.', { fields: { contentTypes: ['name one'] } })
  if (sync.target === '') throw new AppError('invalid', 'Name the table to read from.', { fields: { target: ['needs a name'] } })
  if (!sync.externalIdField) {
    throw new AppError('invalid', 'Name the field that holds the key of a record.', {
      remedy: `It is a single-line, unique, non-localizable text field of ${contentType.uid}.`,
      fields: { externalIdField: ['needed for an inbound sync'] }
    })
  }
  requireExternalIdField(contentType, sync.externalIdField)
  const columns = await connection.fields(sync.target, signal)
  const key = keyOf(sync, sync.externalIdField, columns)
  const given = sync.mapping && sync.mapping.length > 0 ? sync.mapping : defaultInbound(contentType, columns, key, sync.externalIdField)
  const rows = given.some(row => row.to === sync.externalIdField)
    ? given
    : [{ from: key, to: sync.externalIdField, required: true }, ...given]
  const mapping = checkInbound(contentType, columns, rows)
  refuseDefaults('inbound', mapping, contentType)
  const more = await checkInboundOptions(stack, columns, sync.inbound ?? {})
  const options: InboundOptions = { table: sync.target, key, externalIdField: sync.externalIdField, ...more }
  return { name: `${connection.row.name} -> ${contentType.title}`, content_type: contentType.uid, mapping, options }
}

/** The column mapped to the external id field, else the primary key. With several rows for one external id only that will do. */
function keyOf(sync: SyncInput, externalIdField: string, columns: readonly Field[]): string {
  const mapped = sync.mapping?.find(row => row.to === externalIdField)
  // By it the record is found again, and only the source can find a record by a column of its own.
  if (mapped && mapped.from === undefined) {
    throw new AppError('invalid', `The field ${externalIdField} holds the record's key: it takes a column, no expression.`, {
      fields: { mapping: [`the row to ${externalIdField} needs a column`] }
    })
  }
  const severalRows = sync.inbound?.localeColumn !== undefined
  if (mapped?.from !== undefined && !severalRows) return mapped.from
  if (!mapped && severalRows) {
    throw new AppError('invalid', 'With a column for locales the column that holds the external id must be named.', {
      remedy: `Map it to ${externalIdField}.`,
      fields: { mapping: [`needs a row to ${externalIdField}`] }
    })
  }
  const [key, ...more] = columns.filter(column => column.key)
  if (key && more.length === 0) return key.name
  throw new AppError('invalid', `The table ${sync.target} has ${key ? 'several key columns' : 'no primary key'}.`, {
    remedy: severalRows
      ? 'With a column for locales each row needs a key of its own: add a primary key of one column, or read from a view that has one.'
      : `Map one unique column to ${externalIdField}.`,
    fields: { mapping: [`needs a row to ${externalIdField}`] }
  })
}

/** Before anything is kept: a table that cannot be made is a refusal now, not a failed run later. */
async function prepareAll(db: Db, connection: OpenConnection, drafts: readonly Draft[], signal: AbortSignal): Promise<void> {
  const { row } = connection
  const known = await db
    .selectFrom('sync')
    .select('options_json')
    .where('connection_id', '=', row.id)
    .where('direction', '=', 'outbound')
    .execute()
  const taken = new Set(known.map(sync => (JSON.parse(sync.options_json) as OutboundOptions).table))
  for (const { mapping, options } of drafts) {
    if (!taken.has(options.table)) await connection.prepare(outboundShape(options.table, mapping), signal)
  }
}

/** Two syncs into one table would take turns overwriting each other. */
async function refuseTaken(
  trx: Db,
  connection: OpenConnection,
  direction: SyncInput['direction'],
  branch: string,
  drafts: readonly Draft[]
): Promise<void> {
  // Two creations at once meet at this row.
  await trx.updateTable('connection').set({ updated_at: Date.now() }).where('id', '=', connection.row.id).execute()
  const others = await trx
    .selectFrom('sync')
    .selectAll()
    .where('connection_id', '=', connection.row.id)
    .where('direction', '=', direction)
    .execute()
  for (const draft of drafts) {
    const other = others.find(
      sync =>
        (JSON.parse(sync.options_json) as OutboundOptions).table === draft.options.table &&
        (direction === 'outbound' || (sync.content_type === draft.content_type && sync.branch === branch))
    )
    if (!other) continue
    throw new AppError('conflict', `The sync "${other.name}" already uses the table ${draft.options.table}.`, {
      remedy: direction === 'outbound' ? 'Give a prefix for the table names, or use another connection.' : 'Change that sync instead.'
    })
  }
}
