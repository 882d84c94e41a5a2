// The other end of export.ts: what another server's installation knew, taken into one of the same stack here. The lines come from a
// file that anybody may have written, so nothing of it decides where it goes: organization and installation are the target's, the
// link set is made anew from both, jobs and secrets are never taken, settings pass the connector's own schema, and every row must
// hang on one that came the same way. A batch commits whole; one sent again finds itself and adds nothing.
import { createHash } from 'node:crypto'
import { type Actor, appendAudit } from '../audit/audit.ts'
import type { Db } from '../database/database.ts'
import { AppError } from '../errors.ts'
import { assertActive, type Installation, objectOf, organizationOf } from '../installations/installation.ts'
import { schedule } from '../jobs/scheduler.ts'
import { takenOverReason } from './adopt.ts'
import { type ConnectionDeps, getConnection, parseSettings, refuseForeignFile, requireConnector } from './connections.ts'
import type { ConnectionLine, ExportHead, ExportLine, LinkLine, SyncLine } from './export.ts'
import { whyRefused } from './expression.ts'
import { blankLink } from './links.ts'
import { keyColumn, ownColumns } from './mapping.ts'
import { scheduleJobKind } from './runs.ts'
import { checkFilter } from './outbound-options.ts'
import { getSync, syncObject, type SyncRow } from './sync.ts'
import { lockInstallation } from './lock.ts'

export interface ImportCounts {
  connections: number
  syncs: number
  links: number
}

interface Import {
  installation: Installation
  head: ExportHead
  actor: Actor
}

const underWayReason = 'Its import is not finished. Run the same command with the same file again.'

/** Returns how many lines were new. AppError not_found, conflict (not active, another stack, an id that is taken), invalid (a line). */
export async function importLines(db: Db, deps: ConnectionDeps, input: Import & { lines: readonly ExportLine[] }): Promise<number> {
  await assertSameStack(db, input.installation, input.head)
  return await db.transaction().execute(async trx => {
    const installation = await lockInstallation(trx, input.installation.id)
    await assertActive(trx, installation)
    const work = { ...input, installation }
    let added = 0
    const made: { row: { id: string; name: string }; kind: 'connection' | 'sync'; detail: Record<string, unknown> }[] = []
    const links: LinkLine[] = []
    for (const line of input.lines) {
      if (line.kind === 'link') links.push(line)
      else if (line.kind === 'connection') {
        if (await insertConnection(trx, deps, work, line))
          made.push({ row: line, kind: 'connection', detail: { connector: line.connector, settings: line.settings } })
      } else if (await insertSync(trx, work, line))
        made.push({ row: line, kind: 'sync', detail: { direction: line.kind, contentType: line.contentType } })
    }
    added += made.length + (await insertLinks(trx, work, links))
    for (const { row, kind, detail } of made) {
      await appendAudit(trx, deps.vault, {
        organizationId: installation.organization_id,
        installationId: installation.id,
        actor: input.actor,
        action: `${kind}.create`,
        object: { ...syncObject(row), kind },
        detail: { ...detail, importedFrom: input.head.exportedAt }
      })
    }
    return added
  })
}

/** Once every line is there: the syncs say what they wait for now. AppError conflict when fewer stand here than the file counted. */
export async function finishImport(db: Db, deps: ConnectionDeps, input: Import & { counts: ImportCounts }): Promise<void> {
  const { installation, head, actor, counts } = input
  await assertSameStack(db, installation, head)
  const imported = db
    .selectFrom('sync')
    .select('link_set_id')
    .where('installation_id', '=', installation.id)
    .where('link_set_id', 'like', `${prefix}%`)
  const syncs = await imported.execute()
  const links = await db
    .selectFrom('link')
    .select(eb => eb.fn.countAll<number>().as('count'))
    .where('link_set_id', 'in', imported)
    .executeTakeFirstOrThrow()
  if (syncs.length < counts.syncs || links.count < counts.links)
    throw new AppError('conflict', `Of ${counts.syncs} syncs and ${counts.links} links, ${syncs.length} and ${links.count} have come.`, {
      remedy: 'Run the same command with the same file again.'
    })
  await db.transaction().execute(async trx => {
    await assertActive(trx, await lockInstallation(trx, installation.id))
    await trx
      .updateTable('sync')
      .set({ paused_reason: takenOverReason, updated_at: Date.now() })
      .where('installation_id', '=', installation.id)
      .where('state', '=', 'paused')
      .where('paused_reason', '=', underWayReason)
      .execute()
    await appendAudit(trx, deps.vault, {
      organizationId: installation.organization_id,
      installationId: installation.id,
      actor,
      action: 'installation.adopt',
      object: objectOf(installation),
      detail: { exportedAt: head.exportedAt, appUid: head.appUid, ...counts }
    })
  })
}

async function assertSameStack(db: Db, installation: Installation, head: ExportHead): Promise<void> {
  await assertActive(db, installation)
  const { organization_uid: organizationUid } = await organizationOf(db, installation)
  const here = `${installation.region} ${organizationUid} ${installation.stack_api_key}`
  const there = `${head.region} ${head.organizationUid} ${head.stackApiKey}`
  if (here !== there)
    throw new AppError(
      'conflict',
      `The file is of the stack ${there}, and this installation is in ${here} (region, organization, stack).`,
      {
        remedy: 'Entries of one stack are none of another. Name the installation in the stack of the file.'
      }
    )
}

/** False when it stands already. */
async function insertConnection(trx: Db, deps: ConnectionDeps, { installation }: Import, line: ConnectionLine): Promise<boolean> {
  const connector = requireConnector(line.connector)
  const settings = JSON.stringify(parseSettings(connector, line.settings))
  const unknown = line.secretNames.find(name => !connector.secrets.includes(name))
  if (unknown !== undefined) throw wrong(line.id, `${connector.id} takes no secret named "${unknown}"`)
  await refuseForeignFile(trx, deps.guard, installation.organization_id, JSON.parse(settings))
  const now = Date.now()
  const inserted = await trx
    .insertInto('connection')
    .values({
      id: line.id,
      organization_id: installation.organization_id,
      installation_id: installation.id,
      connector: connector.id,
      name: line.name,
      settings_json: settings,
      // No secret has this id: the connection counts as one whose secrets were erased, until they are given again.
      secrets_json: JSON.stringify(Object.fromEntries(line.secretNames.map(name => [name, '']))),
      checked_at: null,
      error: null,
      created_at: now,
      updated_at: now
    })
    .onConflict(conflict => conflict.column('id').doNothing())
    .returning('id')
    .execute()
  if (inserted.length > 0) return true
  const known = await trx.selectFrom('connection').selectAll().where('id', '=', line.id).executeTakeFirstOrThrow()
  assertOwn(known, installation)
  if (known.connector !== connector.id || known.settings_json !== settings) throw taken(line.id)
  return false
}

function assertOptions({ id, options }: Extract<SyncLine, { kind: 'outbound' }>): void {
  if (options.filter) checkFilter(options.filter)
  if (options.source === 'published' && !options.environment) throw wrong(id, 'it carries published content, but names no environment')
}

async function insertSync(trx: Db, { installation }: Import, line: SyncLine): Promise<boolean> {
  await getConnection(trx, { installationId: installation.id, id: line.connectionId })
  assertMapping(line)
  if (line.kind === 'outbound') assertOptions(line)
  const row = syncRow(installation, line)
  const same = trx
    .selectFrom('sync')
    .selectAll()
    .where('connection_id', '=', row.connection_id)
    .where('direction', '=', row.direction)
    .where('id', '!=', row.id)
  for (const other of await same.execute()) {
    const { table } = JSON.parse(other.options_json) as SyncLine['options']
    if (
      table === line.options.table &&
      (line.kind === 'outbound' || (other.content_type === row.content_type && other.branch === row.branch))
    )
      throw wrong(line.id, `the sync "${other.name}" already uses the table ${table}`)
  }
  const inserted = await trx
    .insertInto('sync')
    .values(row)
    .onConflict(conflict => conflict.column('id').doNothing())
    .returning('id')
    .execute()
  const known = await trx.selectFrom('sync').selectAll().where('id', '=', line.id).executeTakeFirstOrThrow()
  assertOwn(known, installation)
  const differs = (['connection_id', 'link_set_id', 'direction', 'content_type', 'branch'] as const).some(name => known[name] !== row[name])
  if (differs) throw taken(line.id)
  if (inserted.length === 0) return false
  if (line.schedule) {
    const job = { kind: scheduleJobKind, lane: 'backfill' as const, payload: { syncId: row.id }, group: installation.id }
    await schedule(trx, { id: row.id, organizationId: row.organization_id, ...line.schedule, job })
  }
  return true
}

async function insertLinks(trx: Db, { installation }: Import, lines: readonly LinkLine[]): Promise<number> {
  let added = 0
  for (const [syncId, ofSync] of Map.groupBy(lines, line => line.syncId)) {
    const sync = await getSync(trx, { installationId: installation.id, id: syncId })
    if (!sync.link_set_id.startsWith(prefix)) throw wrong(syncId, 'this sync was made here; no file adds links to it')
    const rows = ofSync.map(line => ({
      ...blankLink(sync, { locale: line.locale, external_id: line.externalId, entry_uid: line.entryUid }, line.order),
      source_hash: line.sourceHash,
      stack_hash: line.stackHash,
      destination_fingerprint: line.destinationFingerprint,
      hash_version: line.hashVersion,
      sync_revision: line.syncRevision,
      version: line.version,
      status: line.status,
      error: line.error,
      cause: line.cause,
      synced_at: line.syncedAt,
      updated_at: line.updatedAt
    }))
    const inserted = await trx
      .insertInto('link')
      .values(rows)
      .onConflict(conflict => conflict.columns(['link_set_id', 'branch', 'locale', 'external_id']).doNothing())
      .returning('external_id')
      .execute()
    added += inserted.length
  }
  return added
}

function syncRow(installation: Installation, line: SyncLine): SyncRow {
  const now = Date.now()
  const options = { ...line.options }
  if ('cursorColumn' in options && options.cursorColumn === null) Reflect.deleteProperty(options, 'cursorColumn')
  return {
    id: line.id,
    organization_id: installation.organization_id,
    installation_id: installation.id,
    connection_id: line.connectionId,
    link_set_id: linkSetOf(installation, line.linkSetId),
    name: line.name,
    direction: line.kind,
    content_type: line.contentType,
    branch: line.branch,
    locales_json: JSON.stringify(line.locales),
    mapping_json: JSON.stringify(
      line.mapping.map(({ required, type, kind, reads, ...row }) => ({ ...row, required: required || undefined, type, kind, reads }))
    ),
    options_json: JSON.stringify(options),
    state: 'paused',
    paused_reason: underWayReason,
    revision: line.revision,
    created_at: now,
    updated_at: now
  }
}

const prefix = 'lki_'

/** Always the same for one installation and one set of the file, and never that of anything else here. */
function linkSetOf(installation: Installation, linkSetId: string): string {
  return `${prefix}${createHash('sha256').update(`${installation.id} ${linkSetId}`).digest('hex').slice(0, 32)}`
}

/** What can be told without asking the stack; the rest shows when the sync is run, as for any other. */
function assertMapping(line: SyncLine): void {
  const taken = new Set(line.kind === 'outbound' ? [keyColumn, ...ownColumns.map(column => column.name)] : [])
  for (const { from, expression, to } of line.mapping) {
    if (taken.has(to)) throw wrong(line.id, `"${to}" is mapped twice`)
    taken.add(to)
    if ((from === undefined) === (expression === undefined)) throw wrong(line.id, `"${to}" needs either a source or an expression`)
    const why = expression === undefined ? null : whyRefused(expression)
    if (why !== null) throw wrong(line.id, `the expression for "${to}" ${why.replace(/\.$/, '')}`)
    if (line.kind === 'inbound' && to === line.options.externalIdField && from === undefined)
      throw wrong(line.id, `"${to}" holds the record's key and takes a column, no expression`)
  }
  if (line.kind === 'inbound' && !taken.has(line.options.externalIdField))
    throw wrong(line.id, `nothing is mapped to ${line.options.externalIdField}, which holds the key`)
}

function assertOwn(row: { id: string; organization_id: string; installation_id: string }, installation: Installation): void {
  if (row.installation_id === installation.id) return
  if (row.organization_id !== installation.organization_id) throw taken(row.id)
  throw new AppError('conflict', `${row.id} stands in this database already, under ${row.installation_id}.`, {
    remedy: `No file is needed here: once that installation has ended, take it over with --from ${row.installation_id}.`
  })
}

function taken(id: string): AppError {
  return new AppError('conflict', `The id ${id} is taken by something else in this database.`, {
    remedy: 'Check that the file is the one that was exported.'
  })
}

function wrong(id: string, why: string): AppError {
  return new AppError('invalid', `${id} cannot be taken over: ${why}.`, { remedy: 'Check that the file is the one that was exported.' })
}
