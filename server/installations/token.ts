// The rows of management tokens and their transitions, each one conditional on the state it leaves, so that of two that try at once
// one wins. Custody (custody.ts) decides when; nothing here speaks to Contentstack.
//
//   minting -> verifying -> active -> retiring -> retired      the way of a minted token
//   verifying -> active                                        the way of a pasted token
//   minting -> orphaned      the answer to the creation was lost; verifying -> rejected: it does not do what it must
//   active -> dead           refused as current and confirmed
//   rejected | retiring | dead -> orphaned   could not be deleted in Contentstack then
//   orphaned -> retired      deleted, or proven absent, by a later grant
import { appendAudit, type Actor } from '../audit/audit.ts'
import type { Db } from '../database/database.ts'
import { newId } from '../database/id.ts'
import type { Row } from '../database/schema.ts'
import { AppError } from '../errors.ts'
import { enqueue, release } from '../jobs/queue.ts'
import type { Vault } from '../vault/vault.ts'
import { type Installation, objectOf } from './installation.ts'

export type TokenRow = Row<'management_token'>
export type TokenStatus = TokenRow['status']

export interface VerificationRow {
  /** 'stack', 'alive', 'read', 'branch main', 'write' */
  check: string
  result: 'granted' | 'likely' | 'refused' | 'unknown'
  detail: string
}

/** Enqueued when a token has become the current one, payload { installationId, tokenId }. */
export const installationToken = 'installation.token'

export async function activeToken(db: Db, installationId: string): Promise<TokenRow | null> {
  const query = db.selectFrom('management_token').selectAll().where('installation_id', '=', installationId).where('status', '=', 'active')
  return (await query.orderBy('id', 'desc').executeTakeFirst()) ?? null
}

/** Ids of the active installations that have an active token. */
export async function installationsInCustody(db: Db): Promise<string[]> {
  const rows = await db
    .selectFrom('management_token')
    .innerJoin('installation', 'installation.id', 'management_token.installation_id')
    .select('installation.id')
    .distinct()
    .where('installation.status', '=', 'active')
    .where('management_token.status', '=', 'active')
    .execute()
  return rows.map(({ id }) => id)
}

export async function tokenById(db: Db, id: string): Promise<TokenRow> {
  return await db.selectFrom('management_token').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
}

export async function tokensOf(db: Db, installationId: string, statuses?: TokenStatus[]): Promise<TokenRow[]> {
  let query = db.selectFrom('management_token').selectAll().where('installation_id', '=', installationId).orderBy('id', 'desc')
  if (statuses) query = query.where('status', 'in', statuses)
  return await query.execute()
}

export async function insertToken(
  db: Db,
  installation: Installation,
  token: Pick<TokenRow, 'name' | 'origin' | 'status'> & {
    branches: string[]
    expiresAt: number | null
    secretId?: string
    fingerprint?: string
  }
): Promise<TokenRow> {
  const now = Date.now()
  const row: TokenRow = {
    id: newId('tok'),
    organization_id: installation.organization_id,
    installation_id: installation.id,
    name: token.name,
    token_uid: null,
    origin: token.origin,
    status: token.status,
    secret_id: token.secretId ?? null,
    fingerprint: token.fingerprint ?? null,
    branches_json: JSON.stringify(token.branches),
    expires_at: token.expiresAt,
    verification_json: '[]',
    error: null,
    verified_at: null,
    checked_at: null,
    reminded_days: null,
    created_at: now,
    updated_at: now
  }
  await db.insertInto('management_token').values(row).execute()
  return row
}

/** Throws AppError conflict when the row has left that state meanwhile. */
export async function moveToken(
  db: Db,
  row: Pick<TokenRow, 'id' | 'status'>,
  status: TokenStatus,
  changes: Partial<
    Pick<
      TokenRow,
      'token_uid' | 'secret_id' | 'fingerprint' | 'error' | 'expires_at' | 'branches_json' | 'verification_json' | 'verified_at'
    >
  > = {}
): Promise<void> {
  const result = await db
    .updateTable('management_token')
    .set({ ...changes, status, updated_at: Date.now() })
    .where('id', '=', row.id)
    .where('status', '=', row.status)
    .executeTakeFirst()
  if (result.numUpdatedRows !== 1n) throw new AppError('conflict', `The token ${row.id} is no longer ${row.status}`)
}

/** Retired, rejected and orphaned tokens carry no secret any more. Somebody else having moved the row on meanwhile is no error. */
export async function dropToken(
  db: Db,
  vault: Vault,
  row: TokenRow,
  status: 'retired' | 'rejected' | 'orphaned',
  error: string | null
): Promise<void> {
  await db.transaction().execute(async trx => {
    const result = await trx
      .updateTable('management_token')
      .set({ status, secret_id: null, error, updated_at: Date.now() })
      .where('id', '=', row.id)
      .where('status', '=', row.status)
      .executeTakeFirst()
    if (result.numUpdatedRows === 1n && row.secret_id) await vault.erase(trx, row.secret_id)
  })
}

export interface Verified {
  rows: VerificationRow[]
  /** Those the token reaches, of the ones looked at. */
  branches: string[]
  masterLocale: string | null
  stackName: string | null
}

/**
 * Makes a verified token the current one: the former becomes `retiring`, the hold is released, `installation.token` enqueued. One
 * transaction, to be given as `trx`. Returns the tokens that retire.
 */
export async function switchTo(
  trx: Db,
  vault: Vault,
  input: { installation: Installation; token: TokenRow; verified: Verified; actor: Actor }
): Promise<TokenRow[]> {
  const { installation, token, verified, actor } = input
  const former = (await tokensOf(trx, installation.id, ['active'])).filter(({ id }) => id !== token.id)
  for (const row of former) await moveToken(trx, row, 'retiring')
  const now = Date.now()
  await moveToken(trx, token, 'active', {
    verification_json: JSON.stringify(verified.rows),
    branches_json: JSON.stringify(verified.branches),
    verified_at: now,
    error: null
  })
  await trx
    .updateTable('installation')
    .set({
      updated_at: now,
      ...(verified.masterLocale && { master_locale: verified.masterLocale }),
      ...(verified.stackName && { stack_name: verified.stackName })
    })
    .where('id', '=', installation.id)
    .execute()
  await release(trx, installation.id)
  await enqueue(trx, {
    kind: installationToken,
    lane: 'live',
    payload: { installationId: installation.id, tokenId: token.id },
    group: installation.id
  })
  await appendAudit(trx, vault, {
    organizationId: installation.organization_id,
    installationId: installation.id,
    actor,
    action: 'token.activate',
    object: { kind: 'management_token', id: token.id, name: token.name },
    detail: {
      installation: objectOf(installation).name,
      origin: token.origin,
      fingerprint: token.fingerprint,
      replaces: former.map(({ id }) => id)
    }
  })
  return former
}
