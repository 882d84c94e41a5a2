// Access keys: our credential for a script, made by a person who answers for it, bound to one installation, shown once and stored as
// a hash. Knows nothing of requests: what a key's scopes allow is decided in gateway/policy.ts.
//   active -> expired (by time) | revoked (by a person). Neither comes back.
import { createHash, randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { type Actor, type AuditAction, appendAudit } from '../audit/audit.ts'
import type { Db } from '../database/database.ts'
import { newId } from '../database/id.ts'
import type { Row } from '../database/schema.ts'
import { AppError } from '../errors.ts'
import type { Vault } from '../vault/vault.ts'
import type { KeyPrincipal, KeyScope } from './principal.ts'

export type AccessKeyRow = Row<'access_key'>

const dayMs = 24 * 60 * 60_000
const touchEveryMs = 60_000
/** 32 random bytes and six characters of checksum: a mistyped or made-up key is told apart without a look into the database. */
const keyShape = /^qsk_([A-Za-z0-9_-]{43})([A-Za-z0-9_-]{6})$/

/** AppError invalid (scopes that cannot be), not_found (no such active installation in that organization). */
export async function createAccessKey(
  db: Db,
  deps: { vault: Vault },
  input: {
    organizationId: string
    installationId: string
    name: string
    owner: string
    scopes: KeyScope[]
    /** null = until revoked. */
    expiresInDays: number | null
    actor: Actor
  },
  now = Date.now()
): Promise<{ row: AccessKeyRow; key: string }> {
  checkScopes(input.scopes)
  const body = randomBytes(32).toString('base64url')
  const key = `qsk_${body}${checksumOf(body)}`
  return await together(db, async trx => {
    const installation = await trx
      .selectFrom('installation')
      .select(['id', 'stack_name'])
      .where('id', '=', input.installationId)
      .where('organization_id', '=', input.organizationId)
      .where('status', '=', 'active')
      .executeTakeFirst()
    if (!installation) throw new AppError('not_found', 'There is no such active installation.')
    const row = await trx
      .insertInto('access_key')
      .values({
        id: newId('key'),
        organization_id: input.organizationId,
        installation_id: input.installationId,
        name: input.name,
        key_hash: hashOf(key),
        fingerprint: `qsk_${body.slice(0, 4)}…`,
        owner: input.owner,
        scopes_json: JSON.stringify(input.scopes),
        expires_at: input.expiresInDays === null ? null : now + input.expiresInDays * dayMs,
        revoked_at: null,
        last_used_at: null,
        created_at: now
      })
      .returningAll()
      .executeTakeFirstOrThrow()
    await audit(trx, deps.vault, input.actor, 'key.create', row, { scopes: input.scopes, expiresAt: row.expires_at })
    return { row, key }
  })
}

/** The key's principal, or null: unknown, expired, revoked, or its installation or organization is no longer served. */
export async function findAccessKey(db: Db, key: string, now = Date.now()): Promise<KeyPrincipal | null> {
  const [, body, checksum] = keyShape.exec(key) ?? []
  if (body === undefined || checksum !== checksumOf(body)) return null
  const row = await db
    .selectFrom('access_key')
    .innerJoin('installation', 'installation.id', 'access_key.installation_id')
    .innerJoin('organization', 'organization.id', 'access_key.organization_id')
    .selectAll('access_key')
    .where('key_hash', '=', hashOf(key))
    .where('access_key.revoked_at', 'is', null)
    .where('installation.status', '=', 'active')
    .where('organization.status', '=', 'claimed')
    .executeTakeFirst()
  if (!row || accessKeyStatus(row, now) !== 'active') return null
  if (row.last_used_at === null || now - row.last_used_at >= touchEveryMs) {
    await db.updateTable('access_key').set({ last_used_at: now }).where('id', '=', row.id).execute()
  }
  return {
    kind: 'key',
    keyId: row.id,
    name: row.name,
    owner: row.owner,
    installationId: row.installation_id,
    organizationId: row.organization_id,
    scopes: scopesOf(row)
  }
}

/** Does this text look like one of our keys? For refusing it where something else is wanted, and for keeping it out of logs. */
export function looksLikeAccessKey(text: string): boolean {
  return /qsk_[A-Za-z0-9_-]{20,}/.test(text)
}

export function accessKeyStatus(row: AccessKeyRow, now = Date.now()): 'active' | 'expired' | 'revoked' {
  if (row.revoked_at !== null) return 'revoked'
  return row.expires_at !== null && row.expires_at <= now ? 'expired' : 'active'
}

export function scopesOf(row: AccessKeyRow): KeyScope[] {
  return JSON.parse(row.scopes_json) as KeyScope[]
}

/** Newest first. `before` = the last id of the page before. */
export async function listAccessKeys(
  db: Db,
  input: { organizationIds: string[]; installationId?: string | undefined; before?: string | undefined; limit: number }
): Promise<(AccessKeyRow & { stack_name: string })[]> {
  if (input.organizationIds.length === 0) return []
  const { installationId, before } = input
  return await db
    .selectFrom('access_key')
    .innerJoin('installation', 'installation.id', 'access_key.installation_id')
    .selectAll('access_key')
    .select('installation.stack_name')
    .where('access_key.organization_id', 'in', input.organizationIds)
    .$if(installationId !== undefined, query => query.where('access_key.installation_id', '=', installationId as string))
    .$if(before !== undefined, query => query.where('access_key.id', '<', before as string))
    .orderBy('access_key.id', 'desc')
    .limit(input.limit)
    .execute()
}

/** Revoking twice is harmless. AppError not_found for another tenant's key as for an unknown one. */
export async function revokeAccessKey(
  db: Db,
  deps: { vault: Vault },
  input: { id: string; organizationIds: string[]; installationId?: string | undefined; actor: Actor },
  now = Date.now()
): Promise<AccessKeyRow> {
  const { id, organizationIds, installationId } = input
  return await together(db, async trx => {
    const row =
      organizationIds.length === 0
        ? undefined
        : await trx
            .selectFrom('access_key')
            .selectAll()
            .where('id', '=', id)
            .where('organization_id', 'in', organizationIds)
            .$if(installationId !== undefined, query => query.where('installation_id', '=', installationId as string))
            .executeTakeFirst()
    if (!row) throw new AppError('not_found', 'There is no such access key.')
    if (row.revoked_at !== null) return row
    // Two people at once: only the one who changes the row is in the audit trail.
    const changed = await trx
      .updateTable('access_key')
      .set({ revoked_at: now })
      .where('id', '=', id)
      .where('revoked_at', 'is', null)
      .returningAll()
      .executeTakeFirst()
    if (!changed) return { ...row, revoked_at: now }
    await audit(trx, deps.vault, input.actor, 'key.revoke', changed, {})
    return changed
  })
}

/** All of an installation that has ended: revoked, and their hashes gone. Returns how many stood. The caller's audit event names them. */
export async function endAccessKeys(trx: Db, installationId: string, now = Date.now()): Promise<number> {
  const keys = () => trx.updateTable('access_key').where('installation_id', '=', installationId)
  const { numUpdatedRows } = await keys().set({ revoked_at: now }).where('revoked_at', 'is', null).executeTakeFirst()
  await keys().set({ key_hash: sql<string>`'erased ' || id` }).execute()
  return Number(numUpdatedRows)
}

const actionsOf: Record<KeyScope['module'], KeyScope['actions']> = {
  entries: ['read', 'write', 'publish', 'delete'],
  assets: ['read', 'write', 'publish', 'delete'],
  content_types: ['read', 'write', 'delete']
}

function checkScopes(scopes: KeyScope[]): void {
  const problems: string[] = scopes.length === 0 ? ['A key needs at least one scope.'] : []
  for (const { module, actions, contentTypes } of scopes) {
    const possible = Object.hasOwn(actionsOf, module) ? actionsOf[module] : null
    if (!possible) {
      problems.push(`There is no module "${module as string}".`)
      continue
    }
    if (actions.length === 0) problems.push(`The scope on ${module} names no action.`)
    for (const action of actions) if (!possible.includes(action)) problems.push(`"${action}" is not an action on ${module}.`)
    if (contentTypes === undefined) continue
    if (module === 'assets') problems.push('Assets belong to no content type; leave the content types out.')
    else if (contentTypes.length === 0) problems.push(`The scope on ${module} names no content type; leave the list out to mean all.`)
    else if (contentTypes.some(uid => !/^[a-z0-9_]{1,200}$/.test(uid)))
      problems.push(`The scope on ${module} names a content type that cannot be.`)
  }
  if (problems.length === 0) return
  throw new AppError('invalid', 'These scopes cannot be given.', { fields: { scopes: problems }, remedy: 'Correct the scopes of the key.' })
}

async function audit(
  trx: Db,
  vault: Vault,
  actor: Actor,
  action: AuditAction,
  row: AccessKeyRow,
  detail: Record<string, unknown>
): Promise<void> {
  await appendAudit(trx, vault, {
    organizationId: row.organization_id,
    installationId: row.installation_id,
    actor,
    action,
    object: { kind: 'access_key', id: row.id, name: row.name },
    detail: { fingerprint: row.fingerprint, ...detail }
  })
}

function together<T>(db: Db, act: (trx: Db) => Promise<T>): Promise<T> {
  return db.isTransaction ? act(db) : db.transaction().execute(act)
}

/** No salt and no stretching: the key is 256 random bits. */
function hashOf(key: string): string {
  return createHash('sha256').update(key).digest('hex')
}

function checksumOf(body: string): string {
  return createHash('sha256').update(`quayside access key ${body}`).digest('base64url').slice(0, 6)
}
