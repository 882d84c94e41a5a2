// A person's standing permission to an app: made by consent, listed and revoked through Developer Hub, ended when the person
// leaves. Live -> revoked, never back; a revoked one takes all its tokens with it.
import type { SandboxContext } from '../context.ts'
import type { Authorization } from '../world/model.ts'
import { newObjectId } from '../world/uids.ts'
import { hubRefusal } from './refusal.ts'

/** One authorization per app, person and organization; a second consent widens it. */
export function authorizeApp(
  context: SandboxContext,
  input: Pick<Authorization, 'appUid' | 'userUid' | 'organizationUid' | 'scopes'>
): Authorization {
  const existing = liveAuthorization(context, input)
  if (existing) {
    existing.scopes = [...new Set([...existing.scopes, ...input.scopes])]
    return existing
  }
  const authorization = {
    ...input,
    uid: newObjectId(),
    createdAt: context.clock.iso(),
    revokedAt: null
  }
  context.world.authorizations[authorization.uid] = authorization
  return authorization
}

export function liveAuthorization(
  context: SandboxContext,
  of: Pick<Authorization, 'appUid' | 'userUid' | 'organizationUid'>
): Authorization | undefined {
  return Object.values(context.world.authorizations).find(
    it => it.revokedAt === null && it.appUid === of.appUid && it.userUid === of.userUid && it.organizationUid === of.organizationUid
  )
}

/** Live ones, everybody's: a client must find its own by user (reference §3.1). */
export function listAuthorizations(context: SandboxContext, appUid: string, organizationUid: string): Authorization[] {
  return Object.values(context.world.authorizations).filter(
    it => it.revokedAt === null && it.appUid === appUid && it.organizationUid === organizationUid
  )
}

/** By request of a client: `plays.revocation` may refuse it, since whether an app may is not established. Throws Refusal 403. */
export function revokeByRequest(context: SandboxContext, authorizations: Authorization[]): void {
  if (context.plays.revocation === 'refused') throw hubRefusal(403, 'You are not allowed to revoke this authorization.')
  for (const authorization of authorizations) revoke(context, authorization)
}

export function revoke(context: SandboxContext, authorization: Authorization): void {
  authorization.revokedAt ??= context.clock.iso()
  killTokens(context, token => token.authorizationUid === authorization.uid)
  for (const [value, code] of Object.entries(context.world.oauthCodes)) {
    if (code.authorizationUid === authorization.uid) delete context.world.oauthCodes[value]
  }
}

export function killInstallationTokens(context: SandboxContext, installationUid: string): void {
  killTokens(context, token => token.installationUid === installationUid)
  for (const [value, code] of Object.entries(context.world.oauthCodes)) {
    if (code.installationUid === installationUid) delete context.world.oauthCodes[value]
  }
}

function killTokens(context: SandboxContext, which: (token: { authorizationUid?: string; installationUid?: string }) => boolean): void {
  const at = context.clock.iso()
  for (const token of Object.values(context.world.oauthTokens)) if (which(token)) token.revokedAt ??= at
}
