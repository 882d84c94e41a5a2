// The extension door's lock: is this app-token Contentstack's word that this person has our app open in this stack? It proves who and
// where, never a role (reference §6). A stranger's token costs one parse; only a genuine one is fetched a key for or leaves a row.
import { createHash } from 'node:crypto'
import { decodeJwt, errors } from 'jose'
import type { AppCredentials } from '../contentstack/oauth.ts'
import type { Region } from '../contentstack/regions.ts'
import { type AppTokenClaims, verifyAppToken, withPublicKey } from '../contentstack/signatures.ts'
import type { Db } from '../database/database.ts'
import type { Row } from '../database/schema.ts'
import { AppError } from '../errors.ts'

export interface AdmittedAppToken {
  region: Region
  claims: AppTokenClaims & { stackApiKey: string }
  /** Agrees with the token in app, organization and stack. null or `pending` = this token is the proof that activates it. */
  installation: Row<'installation'> | null
}

/** Identical tokens can be issued within a second to two frames, so an exchange may repeat for a minute (security.md). */
const mostUses = 10
const usesWithinMs = 60_000
/** jose allows five seconds of clock difference after exp; the row must outlive that. */
const forgetAfterMs = 60_000

/**
 * Counts one use of the token. AppError unauthorized (not ours, not signed, expired, used up, or disagreeing with the installation),
 * forbidden (uninstalled, or an organization that is not served here), upstream (the region's key cannot be read).
 */
export async function admitAppToken(
  db: Db,
  deps: { apps: readonly AppCredentials[]; fetch?: typeof fetch | undefined },
  token: string,
  now = Date.now()
): Promise<AdmittedAppToken> {
  const { region, claims } = await verified(deps, token, now)
  const stackApiKey = claims.stackApiKey
  if (stackApiKey === null) throw refused('The app-token names no stack.')
  const row = await db
    .selectFrom('installation')
    .innerJoin('organization', 'organization.id', 'installation.organization_id')
    .selectAll('installation')
    .select(['organization.organization_uid', 'organization.status as organization_status'])
    .where('installation.region', '=', region.id)
    .where('installation.installation_uid', '=', claims.installationUid)
    .executeTakeFirst()
  if (row) {
    // An install callback does not always tell the stack; such a row is pending and learns it from this token.
    const sameStack = row.stack_api_key === stackApiKey || (row.stack_api_key === '' && row.status === 'pending')
    if (row.app_uid !== claims.appUid || row.organization_uid !== claims.organizationUid || !sameStack) {
      throw refused('The app-token does not agree with this installation.')
    }
    if (row.organization_status !== 'claimed') {
      throw new AppError('forbidden', 'Quayside does not serve this organization.', { remedy: 'Ask the operator of Quayside to list it.' })
    }
    if (row.status === 'uninstalled') {
      throw new AppError('forbidden', 'The app is no longer installed in this stack.', { remedy: 'Install it again from the Marketplace.' })
    }
  }
  await useAppToken(db, token, claims.expiresAt, now)
  if (!row) return { region, claims: { ...claims, stackApiKey }, installation: null }
  const { organization_uid: _uid, organization_status: _status, ...installation } = row
  return { region, claims: { ...claims, stackApiKey }, installation }
}

/** At most ten times within 60 s of the first, never later. AppError unauthorized. `expiresAt` in milliseconds. */
export async function useAppToken(db: Db, token: string, expiresAt: number, now = Date.now()): Promise<void> {
  const tokenHash = createHash('sha256').update(token).digest('hex')
  await db
    .deleteFrom('app_token_use')
    .where('expires_at', '<', now - forgetAfterMs)
    .execute()
  await db
    .insertInto('app_token_use')
    .values({ token_hash: tokenHash, uses: 0, first_used_at: now, expires_at: expiresAt })
    .onConflict(conflict => conflict.column('token_hash').doNothing())
    .execute()
  const counted = await db
    .updateTable('app_token_use')
    .set(row => ({ uses: row('uses', '+', 1) }))
    .where('token_hash', '=', tokenHash)
    .where('uses', '<', mostUses)
    .where('first_used_at', '>', now - usesWithinMs)
    .executeTakeFirst()
  if (counted.numUpdatedRows === 0n) throw refused('This app-token was used before.')
}

async function verified(
  deps: { apps: readonly AppCredentials[]; fetch?: typeof fetch | undefined },
  token: string,
  now: number
): Promise<{ region: Region; claims: AppTokenClaims }> {
  const appUid = claimedApp(token)
  // The token names no region: the key that fits tells it. One app uid may be registered in several regions.
  for (const { region } of deps.apps.filter(app => app.appUid === appUid)) {
    const claims = await withPublicKey<AppTokenClaims>(
      region,
      key => unlessForged(verifyAppToken(token, key, now)),
      deps.fetch ? { fetch: deps.fetch } : {}
    )
    if (claims !== null && claims.appUid === appUid) return { region, claims }
  }
  throw refused('The app-token is not signed by Contentstack for this app.')
}

/** Read without trust, only to see whether it is worth a verification. */
function claimedApp(token: string): unknown {
  if (token.length > 4096 || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) throw refused('This is no app-token.')
  try {
    return decodeJwt(token).app_uid
  } catch (cause) {
    throw new AppError('unauthorized', 'This is no app-token.', { cause, remedy: reload })
  }
}

/** null for a signature that does not fit this key, so that the next key is tried; everything else that is wrong stays wrong. */
async function unlessForged(claims: Promise<AppTokenClaims>): Promise<AppTokenClaims | null> {
  try {
    return await claims
  } catch (error) {
    if (error instanceof AppError && error.cause instanceof errors.JWSSignatureVerificationFailed) return null
    throw error
  }
}

const reload = 'Reload the page in Contentstack.'

function refused(message: string): AppError {
  return new AppError('unauthorized', message, { remedy: reload })
}
