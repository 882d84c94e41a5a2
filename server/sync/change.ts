// Another mapping for a sync that stands. Only while it is paused: what a run carries is by one mapping from its first record to its
// last. The revision grows with it, so that the run of its resuming takes no record for unchanged.
import { type Actor, appendAudit } from '../audit/audit.ts'
import type { Db } from '../database/database.ts'
import { AppError } from '../errors.ts'
import { getConnection, openConnection } from './connections.ts'
import { draftInbound, draftOutbound, type SyncInput } from './create.ts'
import type { MappingInput } from './mapping.ts'
import { outboundShape } from './outward.ts'
import { getSync, inboundOptions, type InboundOptions, outboundOptions, type SyncDeps, syncObject, type SyncRow } from './sync.ts'

const checkSeconds = 30

/** AppError not_found, conflict (not paused, changed meanwhile), invalid with fields, and whatever connector and stack say. */
export async function changeMapping(
  db: Db,
  deps: SyncDeps,
  input: { installationId: string; id: string; actor: Actor; mapping: MappingInput[] }
): Promise<SyncRow> {
  const signal = AbortSignal.timeout(checkSeconds * 1000)
  const sync = await getSync(db, input)
  requirePaused(sync)
  const row = await getConnection(db, { installationId: sync.installation_id, id: sync.connection_id })
  const connection = openConnection(db, deps, row)
  const client = await deps.stackFor(sync.installation_id, { lane: 'people', actor: { kind: 'sync', id: sync.id }, signal })
  const stack = client.with({ branch: sync.branch })
  const contentType = await stack.contentType(sync.content_type)
  const draft = { connectionId: row.id, contentTypes: [sync.content_type], direction: sync.direction, mapping: input.mapping }
  const mapping =
    sync.direction === 'outbound'
      ? draftOutbound({ ...draft, target: '' }, contentType, connection).mapping
      : (await draftInbound(sameKey(sync, draft), [contentType], connection, stack, signal)).mapping
  if (sync.direction === 'outbound') await connection.prepare(outboundShape(outboundOptions(sync).table, mapping), signal)
  return await db.transaction().execute(async trx => {
    const changed = { mapping_json: JSON.stringify(mapping), revision: sync.revision + 1, updated_at: Date.now() }
    const { numUpdatedRows } = await trx
      .updateTable('sync')
      .set(changed)
      .where('id', '=', sync.id)
      .where('state', '=', 'paused')
      .where('revision', '=', sync.revision)
      .executeTakeFirst()
    if (numUpdatedRows === 0n) {
      requirePaused(await getSync(trx, input))
      throw new AppError('conflict', `The mapping of ${sync.name} was changed meanwhile.`, { remedy: 'Look at it and change it again.' })
    }
    await appendAudit(trx, deps.vault, {
      organizationId: sync.organization_id,
      installationId: sync.installation_id,
      actor: input.actor,
      action: 'sync.mapping',
      object: syncObject(sync),
      detail: { revision: changed.revision, to: mapping.map(({ to }) => to) }
    })
    return { ...sync, ...changed }
  })
}

function requirePaused(sync: SyncRow): void {
  if (sync.state === 'paused') return
  throw new AppError('conflict', `${sync.name} is under way.`, { remedy: 'Pause it, change its mapping, then resume it.' })
}

/** Records are found again by their key: another column would make every one of them new. */
function sameKey(sync: SyncRow, draft: Omit<SyncInput, 'target'> & { mapping: MappingInput[] }): SyncInput {
  const { table, key, externalIdField }: InboundOptions = inboundOptions(sync)
  const given = draft.mapping.find(row => row.to === externalIdField)
  if (given && given.from !== key) {
    throw new AppError('invalid', `The field ${externalIdField} holds the record's key, which is the column "${key}".`, {
      fields: { mapping: [`the row to ${externalIdField} needs the column ${key}`] },
      remedy: 'For another key make another sync.'
    })
  }
  const mapping = given ? draft.mapping : [{ from: key, to: externalIdField, required: true }, ...draft.mapping]
  return { ...draft, mapping, target: table, externalIdField }
}
