// Sessions of the console and of the frames in the CMS: random, revocable, stored only as a hash. A session remembers who logged in,
// not what they may do: a stack admin is proven anew (installations/admins.ts), and an organization that the operator no longer
// lists falls away at once. It knows no cookie and no header; those are the doors'.
import { createHash, randomBytes } from 'node:crypto'
import type { Db } from '../database/database.ts'
import { AppError } from '../errors.ts'
import type { AdminPrincipal, ExtensionPrincipal } from './principal.ts'

/** Lives: idle and absolute, in milliseconds (security.md, Extension door). */
export const adminLife = { idleMs: 60 * 60_000, absoluteMs: 8 * 60 * 60_000 }
export const extensionLife = { idleMs: 15 * 60_000, absoluteMs: 8 * 60 * 60_000 }

const touchEveryMs = 60_000
const tokenShape = /^[A-Za-z0-9_-]{43}$/

export type SessionPrincipal = AdminPrincipal | ExtensionPrincipal

export interface NewSession {
  token: string
  idleExpiresAt: number
  absoluteExpiresAt: number
}

export interface Session<P extends SessionPrincipal = SessionPrincipal> {
  principal: P
  installationId: string | null
  idleExpiresAt: number
  absoluteExpiresAt: number
}

/** The token is in clear only here. Sessions that are over are swept out on the way. */
export async function createSession(
  db: Db,
  input: { principal: SessionPrincipal; idleMs: number; absoluteMs: number },
  now = Date.now()
): Promise<NewSession> {
  const token = randomBytes(32).toString('base64url')
  const absoluteExpiresAt = now + input.absoluteMs
  const idleExpiresAt = Math.min(now + input.idleMs, absoluteExpiresAt)
  await db
    .deleteFrom('session')
    .where(over => over.or([over('absolute_expires_at', '<=', now), over('idle_expires_at', '<=', now)]))
    .execute()
  await db
    .insertInto('session')
    .values({
      id_hash: hashOf(token),
      kind: input.principal.kind,
      principal_json: JSON.stringify(input.principal),
      installation_id: input.principal.kind === 'extension' ? input.principal.installationId : null,
      created_at: now,
      seen_at: now,
      idle_expires_at: idleExpiresAt,
      absolute_expires_at: absoluteExpiresAt
    })
    .execute()
  return { token, idleExpiresAt, absoluteExpiresAt }
}

/**
 * null = no such session, it is over, or what it rests on is gone. An extension's `stackAdmin` comes back as false: whoever needs
 * more proves it anew. Reading keeps a session from becoming idle.
 */
export async function readSession(db: Db, token: string, kind: 'admin', now?: number): Promise<Session<AdminPrincipal> | null>
export async function readSession(db: Db, token: string, kind: 'extension', now?: number): Promise<Session<ExtensionPrincipal> | null>
export async function readSession(db: Db, token: string, kind: SessionPrincipal['kind'], now = Date.now()): Promise<Session | null> {
  if (!tokenShape.test(token)) return null
  const row = await db
    .selectFrom('session')
    .selectAll()
    .where('id_hash', '=', hashOf(token))
    .where('kind', '=', kind)
    .where('idle_expires_at', '>', now)
    .where('absolute_expires_at', '>', now)
    .executeTakeFirst()
  if (!row) return null
  const principal = await standing(db, JSON.parse(row.principal_json) as SessionPrincipal)
  if (!principal) return null
  const idleMs = row.idle_expires_at - row.seen_at
  const idleExpiresAt = Math.min(now + idleMs, row.absolute_expires_at)
  const touched = now - row.seen_at >= touchEveryMs
  if (touched) {
    await db.updateTable('session').set({ seen_at: now, idle_expires_at: idleExpiresAt }).where('id_hash', '=', row.id_hash).execute()
  }
  return {
    principal,
    installationId: row.installation_id,
    idleExpiresAt: touched ? idleExpiresAt : row.idle_expires_at,
    absoluteExpiresAt: row.absolute_expires_at
  }
}

/** Renews an extension's session within its absolute life. AppError unauthorized when it is over. */
export async function renewSession(db: Db, token: string, now = Date.now()): Promise<NewSession & Session<ExtensionPrincipal>> {
  const session = await readSession(db, token, 'extension', now)
  if (!session) throw new AppError('unauthorized', 'This session is over.', { remedy: 'Reload the page in Contentstack.' })
  const idleExpiresAt = Math.min(now + extensionLife.idleMs, session.absoluteExpiresAt)
  await db.updateTable('session').set({ seen_at: now, idle_expires_at: idleExpiresAt }).where('id_hash', '=', hashOf(token)).execute()
  return { ...session, token, idleExpiresAt }
}

export async function endSession(db: Db, token: string): Promise<void> {
  await db.deleteFrom('session').where('id_hash', '=', hashOf(token)).execute()
}

/** The principal as far as what it rests on still stands; null when nothing is left. */
async function standing(db: Db, principal: SessionPrincipal): Promise<SessionPrincipal | null> {
  if (principal.kind === 'extension') {
    const found = await db
      .selectFrom('installation')
      .innerJoin('organization', 'organization.id', 'installation.organization_id')
      .select('installation.id')
      .where('installation.id', '=', principal.installationId)
      .where('organization.id', '=', principal.organizationId)
      .where('installation.status', '=', 'active')
      .where('organization.status', '=', 'claimed')
      .executeTakeFirst()
    return found ? { ...principal, stackAdmin: false } : null
  }
  const organizationIds = Object.keys(principal.roles)
  if (organizationIds.length === 0) return principal
  const claimed = await db
    .selectFrom('organization')
    .select('id')
    .where('id', 'in', organizationIds)
    .where('status', '=', 'claimed')
    .execute()
  const roles = Object.fromEntries(Object.entries(principal.roles).filter(([id]) => claimed.some(row => row.id === id)))
  return { ...principal, roles }
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}
