// Who is calling, for the hosts other than the CMA: a person by authtoken, a person by an OAuth user token, or an installation
// by its app token. Refuses what is unknown, expired, revoked, or belongs to someone who left. Decides no permission.
import type { Request } from 'express'
import type { SandboxContext } from '../context.ts'
import type { OAuthToken, Organization, Stack, User, World } from '../world/model.ts'
import { hubRefusal, notLoggedIn } from './refusal.ts'

export type Caller = { kind: 'person'; user: User; via: 'authtoken' | 'oauth' } | { kind: 'installation'; installationUid: string }

/** Throws Refusal 401. */
export function callerOf(context: SandboxContext, request: Request): Caller {
  const authtoken = request.header('authtoken')
  if (authtoken) {
    const session = context.world.authtokens[authtoken]
    const user = session && context.world.users[session.userUid]
    if (!user?.active) throw notLoggedIn('authtoken')
    return { kind: 'person', user, via: 'authtoken' }
  }
  const bearer = /^Bearer (\S+)$/i.exec(request.header('authorization') ?? '')?.[1]
  const token = bearer === undefined ? undefined : context.world.oauthTokens[bearer]
  if (!token || token.type !== 'access' || !isLive(context, token))
    throw notLoggedIn(request.header('authorization') ? 'authorization' : 'authtoken')
  if (token.kind === 'app') return { kind: 'installation', installationUid: token.installationUid ?? '' }
  return { kind: 'person', user: context.world.users[token.userUid ?? '']!, via: 'oauth' }
}

/** Only an authtoken: what the CMS page itself does for the person in front of it. Throws Refusal 401. */
export function personByAuthtoken(context: SandboxContext, request: Request): User {
  const caller = request.header('authtoken') ? callerOf(context, request) : null
  if (caller?.kind !== 'person') throw notLoggedIn('authtoken')
  return caller.user
}

export function isLive(context: SandboxContext, token: OAuthToken): boolean {
  if (token.revokedAt !== null || Date.parse(token.expiresAt) <= context.clock.now()) return false
  if (token.kind === 'app') return token.installationUid !== undefined && context.world.installations[token.installationUid] !== undefined
  const authorization = context.world.authorizations[token.authorizationUid ?? '']
  return authorization !== undefined && authorization.revokedAt === null && context.world.users[token.userUid ?? '']?.active === true
}

/** The organization of the `organization_uid` header, of which the person must be one. Throws Refusal 400 or 403. */
export function organizationOf(context: SandboxContext, request: Request, user: User): Organization {
  const uid = request.header('organization_uid')
  if (!uid) throw hubRefusal(400, 'organization_uid header is required', { organization_uid: ['is a required field.'] })
  const organization = context.world.organizations[uid]
  if (!organization || !isMember(organization, user))
    throw hubRefusal(403, 'You do not belong to this organization.', { organization_uid: ['is not valid.'] })
  return organization
}

export const isMember = (organization: Organization, user: User): boolean =>
  organization.ownerUid === user.uid || user.organizationUids.includes(organization.uid)

/** Stack owner or admin, or the owner of its organization. */
export function administers(world: World, stack: Stack, user: User): boolean {
  const role = stack.members[user.uid]
  return role === 'owner' || role === 'admin' || world.organizations[stack.organizationUid]?.ownerUid === user.uid
}
