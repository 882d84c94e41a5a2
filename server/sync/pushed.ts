// Records that an external system pushes: the door's checks, cheapest first, and the one transaction that must be over before a 2xx:
// { batch, run, job }. Signed by https://www.standardwebhooks.com over the bytes as they came, with a secret that belongs to the sync.
// A refusal leaves nothing behind. What is done with a batch is pushed-run.ts.
//
//   closed -> open   an admin opens the door and is shown its secret, once
//   open -> open     opened again: another secret, the old one is good no more
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { type Actor, appendAudit } from '../audit/audit.ts'
import type { Db } from '../database/database.ts'
import { newId } from '../database/id.ts'
import { AppError, isAppError } from '../errors.ts'
import type { Vault } from '../vault/vault.ts'
import { lockInstallation } from './lock.ts'
import { computes } from './mapping.ts'
import { enqueuePushed } from './runs.ts'
import { getSync, inboundOptions, mappingOf, syncObject, type SyncRow } from './sync.ts'

export const largestPushBytes = 1024 * 1024
export const recordsPerPush = 500
/** https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#verifying-signatures */
const toleranceSeconds = 5 * 60
/** Batches of one sync that wait to be carried; more would only hide that it cannot keep up. */
const mostWaiting = 200
const purpose = 'push_door'

export const pushHeaders = ['webhook-id', 'webhook-timestamp', 'webhook-signature'] as const

const Scalar = z.union([z.string(), z.number(), z.boolean(), z.null()])
const Key = z.string().min(1).max(300)
const Batch = z
  .strictObject({
    records: z.array(z.strictObject({ key: Key, values: z.record(z.string().max(300), Scalar) })).default([]),
    deleted: z.array(Key).default([])
  })
  .refine(({ records, deleted }) => records.length + deleted.length > 0, { message: 'holds nothing' })
  .refine(({ records, deleted }) => records.length + deleted.length <= recordsPerPush, { message: `holds more than ${recordsPerPush}` })
export type PushedBatch = z.infer<typeof Batch>

/** The secret is in this answer and nowhere else. AppError not_found, conflict for an outbound sync or an ended installation. */
export async function openPushDoor(
  db: Db,
  deps: { vault: Vault },
  input: { installationId: string; id: string; actor: Actor }
): Promise<{ sync: SyncRow; signingSecret: string }> {
  const signingSecret = `whsec_${randomBytes(32).toString('base64')}`
  return await db.transaction().execute(async trx => {
    const installation = await lockInstallation(trx, input.installationId)
    const sync = await getSync(trx, input)
    if (sync.direction !== 'inbound') throw new AppError('conflict', 'Only an inbound sync takes pushed records.')
    if (installation.status === 'uninstalled')
      throw new AppError('conflict', 'This installation has ended: nothing happens to it any more.')
    const before = await trx.selectFrom('push_door').select('secret_id').where('sync_id', '=', sync.id).executeTakeFirst()
    const owner = { organizationId: sync.organization_id, installationId: sync.installation_id, purpose }
    const secretId = await deps.vault.put(trx, owner, signingSecret)
    await trx
      .insertInto('push_door')
      .values({
        sync_id: sync.id,
        organization_id: sync.organization_id,
        installation_id: sync.installation_id,
        secret_id: secretId,
        created_at: Date.now()
      })
      .onConflict(conflict =>
        conflict.column('sync_id').doUpdateSet({ installation_id: sync.installation_id, secret_id: secretId, created_at: Date.now() })
      )
      .execute()
    if (before) await deps.vault.erase(trx, before.secret_id)
    await appendAudit(trx, deps.vault, {
      organizationId: sync.organization_id,
      installationId: sync.installation_id,
      actor: input.actor,
      action: 'sync.open',
      object: syncObject(sync)
    })
    return { sync, signingSecret }
  })
}

export interface Pushed {
  syncId: string
  /** As the bytes came. */
  rawBody: Buffer
  /** Names in small letters. */
  headers: Record<string, string | string[] | undefined>
}

/**
 * A message that was taken before is taken again, without effect. AppError forbidden (one for every reason that a stranger could
 * learn from), invalid with fields, conflict while the sync is paused, rate_limited while too many batches wait.
 */
export async function receivePushed(
  db: Db,
  deps: { vault: Vault },
  pushed: Pushed,
  now = Date.now()
): Promise<{ duplicate: boolean; runId: string }> {
  const { id: messageId, at, signatures } = presented(pushed)
  const door = /^syn_[0-9a-z]{10,40}$/.test(pushed.syncId) ? await doorOf(db, pushed.syncId) : undefined
  if (!door) throw strange()
  const secret = await secretOf(db, deps.vault, door.secret_id)
  if (!isSigned(secret, `${messageId}.${at}.`, pushed.rawBody, signatures)) throw strange()
  if (Math.abs(now - at * 1000) > toleranceSeconds * 1000)
    throw new AppError('forbidden', 'This message is too old, or comes from the future.', {
      remedy: 'Sign it anew at the time of sending, and check the clocks of both sides.'
    })
  const batch = parse(pushed.rawBody)
  return await db.transaction().execute(async trx => {
    await lockInstallation(trx, door.installation_id)
    const sync = await getSync(trx, { installationId: door.installation_id, id: pushed.syncId })
    const known = await trx
      .selectFrom('pushed_batch')
      .select('run_id')
      .where('sync_id', '=', sync.id)
      .where('message_id', '=', messageId)
      .executeTakeFirst()
    if (known) return { duplicate: true, runId: known.run_id }
    if (sync.state === 'paused')
      throw new AppError('conflict', `${sync.name} is paused.`, { remedy: 'Send it again once the sync is resumed.' })
    requireFitting(sync, batch)
    const waiting = await trx
      .selectFrom('run')
      .select(eb => eb.fn.countAll<number>().as('count'))
      .where('sync_id', '=', sync.id)
      .where('cause', '=', 'push')
      .where('status', 'in', ['queued', 'running'])
      .executeTakeFirst()
    if ((waiting?.count ?? 0) >= mostWaiting) {
      throw new AppError('rate_limited', `${mostWaiting} batches of ${sync.name} wait to be carried.`, {
        remedy: 'Send fewer and larger batches.',
        retryAfterSeconds: 30
      })
    }
    const run = await enqueuePushed(trx, sync)
    await trx
      .insertInto('pushed_batch')
      .values({
        id: newId('psh'),
        organization_id: sync.organization_id,
        installation_id: sync.installation_id,
        sync_id: sync.id,
        run_id: run.id,
        message_id: messageId,
        body_json: JSON.stringify(batch),
        received_at: now
      })
      .execute()
    return { duplicate: false, runId: run.id }
  })
}

/** Nothing is looked up for a request that does not carry all three. */
function presented({ headers, rawBody }: Pushed): { id: string; at: number; signatures: Buffer[] } {
  const [id, timestamp, signature] = pushHeaders.map(name => headers[name])
  if (typeof id !== 'string' || !/^[\w.:-]{1,200}$/.test(id)) throw strange()
  if (typeof timestamp !== 'string' || !/^\d{1,12}$/.test(timestamp)) throw strange()
  if (typeof signature !== 'string' || signature.length > 1024) throw strange()
  if (rawBody.length === 0 || rawBody.length > largestPushBytes) throw new AppError('invalid', 'The message is empty or too large.')
  const signatures = signature
    .split(' ')
    .filter(part => part.startsWith('v1,'))
    .map(part => Buffer.from(part.slice(3), 'base64'))
  return { id, at: Number(timestamp), signatures }
}

async function doorOf(db: Db, syncId: string) {
  return await db
    .selectFrom('push_door')
    .innerJoin('installation', 'installation.id', 'push_door.installation_id')
    .innerJoin('organization', 'organization.id', 'push_door.organization_id')
    .select(['push_door.secret_id', 'push_door.installation_id'])
    .where('push_door.sync_id', '=', syncId)
    .where('installation.status', '=', 'active')
    .where('organization.status', '=', 'claimed')
    .executeTakeFirst()
}

async function secretOf(db: Db, vault: Vault, secretId: string): Promise<Buffer> {
  try {
    const text = await vault.reveal(db, secretId, purpose)
    return Buffer.from(text.slice('whsec_'.length), 'base64')
  } catch (error) {
    throw isAppError(error, 'not_found') ? strange() : error
  }
}

function isSigned(secret: Buffer, head: string, body: Buffer, signatures: readonly Buffer[]): boolean {
  const expected = createHmac('sha256', secret).update(head).update(body).digest()
  return signatures.some(given => given.length === expected.length && timingSafeEqual(given, expected))
}

function parse(rawBody: Buffer): PushedBatch {
  let body: unknown
  try {
    body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(rawBody))
  } catch {
    throw new AppError('invalid', 'The message is not JSON in UTF-8.')
  }
  const parsed = Batch.safeParse(body)
  if (parsed.success) return parsed.data
  const fields: Record<string, string[]> = {}
  for (const issue of parsed.error.issues.slice(0, 20)) (fields[issue.path.join('.') || 'body'] ??= []).push(issue.message)
  throw new AppError('invalid', 'The message has not the shape { records: [{ key, values }], deleted: [key] }.', { fields })
}

/** A column left out would empty its field, and one misspelt go unheard: both are refused. AppError invalid with fields. */
function requireFitting(sync: SyncRow, { records, deleted }: PushedBatch): void {
  const options = inboundOptions(sync)
  const { localeColumn, onDisappearance = 'keep' } = options
  const mapping = mappingOf(sync)
  const columns = new Set([...mapping.flatMap(row => row.from ?? []), ...(localeColumn === undefined ? [] : [localeColumn])])
  // An expression may read whatever comes.
  const others = computes(mapping)
  const fields: Record<string, string[]> = {}
  const met = new Set<string>()
  for (const [index, key] of [...records.map(record => record.key), ...deleted].entries()) {
    if (met.has(key)) fields[index < records.length ? `records.${index}.key` : `deleted.${index - records.length}`] = ['stands there twice']
    met.add(key)
  }
  for (const [index, { values }] of records.entries()) {
    const wrong = [
      ...[...columns].filter(name => !Object.hasOwn(values, name)).map(name => `"${name}" is missing`),
      ...Object.keys(values)
        .filter(name => !others && !columns.has(name))
        .map(name => `"${name}" is not mapped`)
    ]
    if (wrong.length > 0) fields[`records.${index}.values`] = wrong.slice(0, 10)
  }
  if (deleted.length > 0 && onDisappearance === 'keep') fields['deleted'] = ['this sync keeps the entries of records that are gone']
  const named = Object.entries(fields).slice(0, 20)
  if (named.length > 0)
    throw new AppError('invalid', 'The records do not fit the mapping of this sync.', {
      fields: Object.fromEntries(named),
      remedy: `Send a value for each of: ${[...columns].join(', ')}.`
    })
}

/** One refusal for every reason, so that nobody learns which syncs exist or which check failed. */
function strange(): AppError {
  return new AppError('forbidden', 'This message is not signed for a sync of this address.')
}
