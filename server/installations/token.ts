// Management tokens as the rooms above ask for them: which one is current, which others stand, and the change of the current one.
// States and their steps: transitions.ts. When a step is taken is custody's affair; nothing here speaks to Contentstack.
import { raiseAlert } from '../alerts/alert.ts'
import type { Actor } from '../audit/audit.ts'
import type { Db } from '../database/database.ts'
import { newId } from '../database/id.ts'
import { AppError } from '../errors.ts'
import { enqueue, release } from '../jobs/queue.ts'
import type { Vault } from '../vault/vault.ts'
import { type Installation, objectOf } from './installation.ts'
import { current, moveTokens, type TokenRow, type TokenStatus } from './transitions.ts'

export interface VerificationRow {
  /** 'stack', 'alive', 'read', 'branch main', 'write' */
  check: string
  result: 'granted' | 'likely' | 'refused' | 'unknown'
  detail: string
}

/** Enqueued when a token has become the current one, payload { installationId, tokenId }. */
export const installationToken = 'installation.token'

/** The current one: active or expiring. */
export async function activeToken(db: Db, installationId: string): Promise<TokenRow | null> {
  const query = db.selectFrom('management_token').selectAll().where('installation_id', '=', installationId).where('status', 'in', current)
  return (await query.orderBy('id', 'desc').executeTakeFirst()) ?? null
}

/** Ids of the active installations that have a current token. */
export async function installationsInCustody(db: Db): Promise<string[]> {
  const rows = await db
    .selectFrom('management_token')
    .innerJoin('installation', 'installation.id', 'management_token.installation_id')
    .select('installation.id')
    .distinct()
    .where('installation.status', '=', 'active')
    .where('management_token.status', 'in', current)
    .execute()
  return rows.map(({ id }) => id)
}

export async function tokenById(db: Db, id: string): Promise<TokenRow> {
  return await db.selectFrom('management_token').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
}

/** Newest first. */
export async function tokensOf(db: Db, installationId: string, statuses?: readonly TokenStatus[]): Promise<TokenRow[]> {
  let query = db.selectFrom('management_token').selectAll().where('installation_id', '=', installationId).orderBy('id', 'desc')
  if (statuses) query = query.where('status', 'in', statuses)
  return await query.execute()
}

/** Its coming is for the caller to record (Steps.came). */
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

/** One step; somebody else having taken the row on meanwhile is no error. */
export async function dropToken(
  db: Db,
  vault: Vault,
  drop: {
    row: TokenRow
    to: 'retired' | 'rejected' | 'orphaned'
    why: string
    error: string | null
    actor: Actor
    detail?: Record<string, unknown>
  }
): Promise<void> {
  const { row, to, why, error, actor, detail } = drop
  await moveTokens(db, vault, actor, async (_trx, { move }) => {
    await move({ row, to, why, changes: { error }, ...(detail && { detail }) })
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
 * Makes a verified token the current one: the former becomes `retiring`, the hold is released, `installation.token` enqueued. Returns
 * the tokens that it leaves behind, retiring and dead. Throws AppError conflict when it is no longer verifying.
 */
export async function switchTo(
  db: Db,
  vault: Vault,
  input: { installation: Installation; token: TokenRow; verified: Verified; actor: Actor }
): Promise<TokenRow[]> {
  const { installation, token, verified, actor } = input
  return await moveTokens(db, vault, actor, async (trx, { move }) => {
    const former = (await tokensOf(trx, installation.id, current)).filter(({ id }) => id !== token.id)
    for (const row of former) await move({ row, to: 'retiring', why: `replaced by ${token.name}` })
    const now = Date.now()
    const changes = {
      verification_json: JSON.stringify(verified.rows),
      branches_json: JSON.stringify(verified.branches),
      verified_at: now,
      checked_at: now,
      error: null
    }
    const detail = {
      installation: objectOf(installation).name,
      origin: token.origin,
      fingerprint: token.fingerprint,
      replaces: former.map(({ id }) => id)
    }
    if (!(await move({ row: token, to: 'active', why: 'verified', changes, detail }))) {
      throw new AppError('conflict', `The token ${token.id} is no longer ${token.status}`)
    }
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
    const dead = await tokensOf(trx, installation.id, ['dead'])
    if (dead.length > 0) await tellReplaced(trx, installation)
    await enqueue(trx, {
      kind: installationToken,
      lane: 'local',
      payload: { installationId: installation.id, tokenId: token.id },
      group: installation.id
    })
    return [...former, ...dead]
  })
}

async function tellReplaced(trx: Db, installation: Installation): Promise<void> {
  await raiseAlert(trx, {
    organizationId: installation.organization_id,
    installationId: installation.id,
    kind: 'token.replaced',
    title: `${objectOf(installation).name} has a working management token again`,
    text: 'The syncs of this stack go on where they stood; nothing was lost.',
    links: []
  })
}
