// Taking a grant back: find our own authorization by its person, delete that one, and believe it only when introspection says inactive.
// The collection's delete is everyone's and is never used. Where Contentstack refuses, nothing is glossed over: until when it stays
// valid, and where its person can remove it.
import { setTimeout as wait } from 'node:timers/promises'
import { appendAudit } from '../audit/audit.ts'
import { type AppCredentials, introspect, listAuthorizations, revokeAuthorization } from '../contentstack/oauth.ts'
import type { Db } from '../database/database.ts'
import { isAppError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Vault } from '../vault/vault.ts'
import { grantActor, grantById, type GrantRow, optionsOf } from './grant.ts'
import { fetchOf } from './install.ts'

export interface RevokeDeps {
  vault: Vault
  log: Log
  fetch?: typeof fetch
}

/** Another grant of the same person under way stands on the same authorization, which only the last of them may take back. */
export async function isAuthorizationShared(db: Db, grant: GrantRow): Promise<boolean> {
  const others = await db
    .selectFrom('grant_flow')
    .selectAll()
    .where('id', '!=', grant.id)
    .where('organization_id', '=', grant.organization_id)
    .where('user_uid', grant.user_uid === null ? 'is' : '=', grant.user_uid)
    .where('status', '=', 'exchanged')
    .where('error', 'is', null)
    .where('valid_until', '>', Date.now())
    .execute()
  return others.length > 0
}

/**
 * Ends the grant: `revoked`, or `revoke_refused`, or `failed` when it had an error. `last` = there will be no other try, so trouble counts
 * as refusal. Throws AppError upstream | rate_limited otherwise.
 */
export async function revokeGrant(
  db: Db,
  deps: RevokeDeps,
  input: { grantId: string; app: AppCredentials; signal: AbortSignal; last: boolean }
): Promise<void> {
  const grant = await grantById(db, input.grantId)
  if (grant.finished_at !== null) return
  let revoked = false
  try {
    revoked = await takeBack(db, deps, grant, input)
  } catch (error) {
    const definite = isAppError(error) && error.code !== 'upstream' && error.code !== 'rate_limited'
    if (!definite && !input.last) throw error
    deps.log.warn({ grantId: grant.id, error }, 'the grant could not be revoked')
  }
  await db.transaction().execute(async trx => {
    if (grant.access_secret_id) await deps.vault.erase(trx, grant.access_secret_id)
    const standing = revoked ? null : stillStands(grant.valid_until)
    const error = [grant.error, standing].filter(text => text !== null).join('. ')
    await trx
      .updateTable('grant_flow')
      .set({
        status: grant.error !== null ? 'failed' : revoked ? 'revoked' : 'revoke_refused',
        error: error === '' ? null : error,
        access_secret_id: null,
        finished_at: Date.now(),
        ...(revoked && { valid_until: null })
      })
      .where('id', '=', grant.id)
      .execute()
    await appendAudit(trx, deps.vault, {
      organizationId: grant.organization_id,
      installationId: grant.installation_id,
      actor: grantActor(grant),
      action: revoked ? 'grant.revoke' : 'grant.stand',
      object: { kind: 'grant', id: grant.id, name: grant.purpose },
      detail: {
        userUid: grant.user_uid,
        ...(grant.error !== null && { error: grant.error }),
        ...(!revoked && { validUntil: grant.valid_until })
      }
    })
  })
}

/** True when Contentstack confirms that it is over. */
async function takeBack(
  db: Db,
  deps: RevokeDeps,
  grant: GrantRow,
  { app, signal }: { app: AppCredentials; signal: AbortSignal }
): Promise<boolean> {
  if (!grant.access_secret_id) return false
  const accessToken = await deps.vault.reveal(db, grant.access_secret_id, 'grant_access_token')
  const options = { ...fetchOf(deps), signal }
  const wasExpired = grant.valid_until !== null && Date.now() >= grant.valid_until
  if (!(await introspect(app, accessToken, options)).active) return !wasExpired
  const bearer = { accessToken, organizationUid: optionsOf(grant).organizationUid ?? '' }
  const authorizations = await listAuthorizations(app, bearer, options)
  const ours = grant.user_uid === null ? authorizations : authorizations.filter(({ userUid }) => userUid === grant.user_uid)
  // Without a known person only a single authorization can be told to be ours.
  const [own, ...more] = ours
  if (!own || (grant.user_uid === null && more.length > 0)) return false
  for (const { authorizationUid } of ours) await revokeAuthorization(app, bearer, authorizationUid, options)
  for (let looks = 0; looks < 3; looks += 1) {
    if (!(await introspect(app, accessToken, options)).active) return true
    await wait(500, undefined, { signal })
  }
  return false
}

function stillStands(validUntil: number | null): string {
  const until = validUntil === null ? 'for up to an hour' : `until ${new Date(validUntil).toISOString().slice(11, 16)} UTC`
  return `Contentstack did not let Quayside take the authorization back; it stays valid ${until}. To end it now, remove the app under Authorized Apps in your Contentstack profile`
}
