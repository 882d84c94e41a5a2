// What an installation knows, as lines that another server can take over (import.ts): connections without their secrets, syncs and
// their rhythm, and every link with what was last written. Read in pages by key, so that a million links need no more memory than
// a few hundred. History (runs, deliveries, audit) stays where it happened.
import { sql } from 'kysely'
import { type Actor, appendAudit } from '../audit/audit.ts'
import type { Db } from '../database/database.ts'
import type { Row } from '../database/schema.ts'
import { AppError } from '../errors.ts'
import { type Installation, objectOf, organizationOf } from '../installations/installation.ts'
import type { Vault } from '../vault/vault.ts'
import { chosenOptions, type InboundInput } from './inbound-options.ts'
import type { Mapping } from './mapping.ts'
import { inboundOptions, localesOf, mappingOf, type OutboundOptions, outboundOptions, type SyncRow } from './sync.ts'

export interface ExportHead {
  format: 'quayside-export'
  version: 1
  region: string
  organizationUid: string
  stackApiKey: string
  appUid: string
  exportedAt: number
}

export interface ConnectionLine {
  kind: 'connection'
  id: string
  connector: string
  name: string
  settings: Record<string, unknown>
  /** Names alone: what must be given again. */
  secretNames: string[]
}

interface AnySyncLine {
  id: string
  connectionId: string
  linkSetId: string
  name: string
  contentType: string
  branch: string
  locales: string[]
  mapping: (Mapping & { required: boolean })[]
  revision: number
  schedule: { cron: string; timeZone: string } | null
}

export type SyncLine =
  | (AnySyncLine & { kind: 'outbound'; options: OutboundOptions })
  | (AnySyncLine & {
      kind: 'inbound'
      options: { table: string; key: string; externalIdField: string; cursorColumn: string | null } & InboundInput
    })

/** Branch and content type are its sync's. */
export interface LinkLine {
  kind: 'link'
  syncId: string
  locale: string
  externalId: string
  entryUid: string
  sourceHash: string
  stackHash: string
  destinationFingerprint: string
  hashVersion: number
  syncRevision: number
  order: number
  version: number
  status: 'synced' | 'failed' | 'deleted'
  error: string | null
  cause: string
  syncedAt: number
  updatedAt: number
}

export type ExportLine = ConnectionLine | SyncLine | LinkLine

export interface ExportPage {
  lines: ExportLine[]
  /** Ask with it for what follows; null at the end. */
  next: string | null
}

const linksPerPage = 500
const rowsPerPage = 50

/** The first line, and the audit event that somebody took a copy. AppError conflict when another installation has it all. */
export async function beginExport(
  db: Db,
  deps: { vault: Vault },
  { installation, actor }: { installation: Installation; actor: Actor }
): Promise<ExportHead> {
  if (installation.adopted_by !== null)
    throw new AppError('conflict', `What ${installation.id} had was taken over by ${installation.adopted_by}.`, {
      remedy: `Export ${installation.adopted_by}.`
    })
  const { organization_uid: organizationUid } = await organizationOf(db, installation)
  const { region, stack_api_key: stackApiKey, app_uid: appUid } = installation
  await appendAudit(db, deps.vault, {
    organizationId: installation.organization_id,
    installationId: installation.id,
    actor,
    action: 'installation.export',
    object: objectOf(installation)
  })
  return { format: 'quayside-export', version: 1, region, organizationUid, stackApiKey, appUid, exportedAt: Date.now() }
}

/** Connections, then syncs, then links. AppError invalid for an `after` that was never a `next`. */
export async function exportPage(db: Db, { id }: Pick<Installation, 'id'>, after: string | null): Promise<ExportPage> {
  const place = placeOf(after)
  switch (place[0]) {
    case 'connections':
      return await connectionPage(db, id, place[1])
    case 'syncs':
      return await syncPage(db, id, place[1])
    case 'links':
      return await linkPage(db, id, place)
    default:
      throw notAPlace()
  }
}

/** Where a page begins: behind this id, or in this link set behind (branch, locale, external id). */
type Place = ['connections' | 'syncs', string] | LinkPlace
type LinkPlace = ['links', string, string, string, string]

async function connectionPage(db: Db, installationId: string, after: string): Promise<ExportPage> {
  const rows = await db
    .selectFrom('connection')
    .selectAll()
    .where('installation_id', '=', installationId)
    .where('id', '>', after)
    .orderBy('id')
    .limit(rowsPerPage)
    .execute()
  const last = rows.length < rowsPerPage ? undefined : rows.at(-1)
  return { lines: rows.map(connectionLine), next: last ? textOf(['connections', last.id]) : textOf(['syncs', '']) }
}

async function syncPage(db: Db, installationId: string, after: string): Promise<ExportPage> {
  const rows = await db
    .selectFrom('sync')
    .leftJoin('schedule', 'schedule.id', 'sync.id')
    .selectAll('sync')
    .select(['schedule.cron', 'schedule.time_zone', 'schedule.enabled'])
    .where('sync.installation_id', '=', installationId)
    .where('sync.id', '>', after)
    .orderBy('sync.id')
    .limit(rowsPerPage)
    .execute()
  const last = rows.length < rowsPerPage ? undefined : rows.at(-1)
  const lines = rows.map(({ cron, time_zone: timeZone, enabled, ...sync }) =>
    syncLine(sync, enabled === 1 && cron !== null && timeZone !== null ? { cron, timeZone } : null)
  )
  return { lines, next: textOf(last ? ['syncs', last.id] : ['links', '', '', '', '']) }
}

async function linkPage(db: Db, installationId: string, [, linkSetId, branch, locale, externalId]: LinkPlace): Promise<ExportPage> {
  const sets = (query: Db) => query.selectFrom('sync').select('link_set_id').where('installation_id', '=', installationId)
  // A question of its own: beside the order of the key, SQLite would sort every page.
  const own = await sets(db).where('link_set_id', '=', linkSetId).executeTakeFirst()
  if (linkSetId !== '' && !own) throw notAPlace()
  const rows = await db
    .selectFrom('link')
    .selectAll()
    .where('link_set_id', '=', linkSetId)
    .where(sql<boolean>`("branch", "locale", "external_id") > (${branch}, ${locale}, ${externalId})`)
    .orderBy('branch')
    .orderBy('locale')
    .orderBy('external_id')
    .limit(linksPerPage)
    .execute()
  const last = rows.length < linksPerPage ? undefined : rows.at(-1)
  if (last) return { lines: rows.map(linkLine), next: textOf(['links', linkSetId, last.branch, last.locale, last.external_id]) }
  const following = await sets(db).where('link_set_id', '>', linkSetId).orderBy('link_set_id').limit(1).executeTakeFirst()
  return { lines: rows.map(linkLine), next: following ? textOf(['links', following.link_set_id, '', '', '']) : null }
}

function connectionLine(row: Row<'connection'>): ConnectionLine {
  return {
    kind: 'connection',
    id: row.id,
    connector: row.connector,
    name: row.name,
    settings: JSON.parse(row.settings_json) as Record<string, unknown>,
    secretNames: Object.keys(JSON.parse(row.secrets_json) as Record<string, string>)
  }
}

function syncLine(sync: SyncRow, schedule: AnySyncLine['schedule']): SyncLine {
  const line: AnySyncLine = {
    id: sync.id,
    connectionId: sync.connection_id,
    linkSetId: sync.link_set_id,
    name: sync.name,
    contentType: sync.content_type,
    branch: sync.branch,
    locales: localesOf(sync),
    mapping: mappingOf(sync).map(row => ({ ...row, required: row.required === true })),
    revision: sync.revision,
    schedule
  }
  if (sync.direction === 'outbound') return { kind: 'outbound', ...line, options: outboundOptions(sync) }
  const options = inboundOptions(sync)
  const { table, key, externalIdField, cursorColumn = null } = options
  return { kind: 'inbound', ...line, options: { table, key, externalIdField, cursorColumn, ...chosenOptions(options) } }
}

function linkLine(row: Row<'link'>): LinkLine {
  return {
    kind: 'link',
    syncId: row.sync_id,
    locale: row.locale,
    externalId: row.external_id,
    entryUid: row.entry_uid,
    sourceHash: row.source_hash,
    stackHash: row.stack_hash,
    destinationFingerprint: row.destination_fingerprint,
    hashVersion: row.hash_version,
    syncRevision: row.sync_revision,
    order: row.order,
    version: row.version,
    status: row.status,
    error: row.error,
    cause: row.cause,
    syncedAt: row.synced_at,
    updatedAt: row.updated_at
  }
}

function textOf(place: Place): string {
  return Buffer.from(JSON.stringify(place)).toString('base64url')
}

function placeOf(text: string | null): Place {
  if (text === null) return ['connections', '']
  let place: unknown
  try {
    place = JSON.parse(Buffer.from(text, 'base64url').toString())
  } catch {
    throw notAPlace()
  }
  if (!Array.isArray(place) || !place.every(part => typeof part === 'string' && !part.includes('\0'))) throw notAPlace()
  if (place.length !== (place[0] === 'links' ? 5 : 2)) throw notAPlace()
  return place as Place
}

function notAPlace(): AppError {
  return new AppError('invalid', 'This is no place in an export.', { remedy: 'Begin the export again.' })
}
