// Turns a request's headers into who is asking, or refuses: an authtoken names a person, a raw `authorization` is a stack's
// management token, `Bearer` is OAuth (contentstack.md §1.5, §2). What that one may then do: permissions.ts. The Developer Hub
// uses the same door.
import type { IncomingHttpHeaders } from 'node:http'
import type { SandboxContext } from '../context.ts'
import type { Credential, ManagementToken, Stack } from '../world/model.ts'
import { lateMs } from '../plays.ts'
import { noStack, notLoggedIn } from './refusal.ts'

type Room = Pick<SandboxContext, 'world' | 'clock' | 'plays'>

/**
 * The proven credential of a request; `stack` is the one its `api_key` names, null outside of any stack. Throws Refusal 401/105
 * when nothing proves, 412/109 when a management token comes without a stack.
 */
export function credentialOf(context: Room, headers: IncomingHttpHeaders, stack: Stack | null): Credential {
  const authtoken = one(headers['authtoken'])
  if (authtoken) return personOf(context, authtoken)
  const authorization = one(headers.authorization)
  if (!authorization) throw notLoggedIn('authtoken')
  const bearer = /^Bearer\s+(?<token>\S+)$/iu.exec(authorization)?.groups?.['token']
  if (bearer !== undefined) return oauthOf(context, bearer)
  if (!stack) throw noStack()
  const known = [...Object.values(stack.managementTokens), ...Object.values(stack.deletedTokens ?? {})]
  const token = known.find(candidate => candidate.secret === authorization)
  if (!token || !isAccepted(context, token)) throw notLoggedIn(context.plays.expiredTokenBody)
  return { kind: 'management_token', tokenUid: token.uid, apiKey: stack.apiKey }
}

/** §1.2: a token dies at midnight UTC of its expiry date, whatever time of day was sent. */
export function isAlive(token: ManagementToken, now: number): boolean {
  if (token.dead) return false
  return token.expires_on === null || now < Date.parse(`${token.expires_on.slice(0, 10)}T00:00:00.000Z`)
}

/** What died a moment ago may still be let in. */
function isAccepted({ clock, plays }: Room, token: ManagementToken): boolean {
  const graceMs = plays.tokenDeath === 'late' ? lateMs : 0
  if (token.dead) return token.deadSince !== undefined && clock.now() < Date.parse(token.deadSince) + graceMs
  return isAlive(token, clock.now() - graceMs)
}

function personOf(context: Room, authtoken: string): Credential {
  const session = context.world.authtokens[authtoken]
  if (!session || !context.world.users[session.userUid]?.active) throw notLoggedIn('authtoken')
  return { kind: 'authtoken', userUid: session.userUid }
}

/** §2: a user token ends with its authorization, an app token with its installation. The errors key for OAuth is [?]. */
function oauthOf(context: Room, bearer: string): Credential {
  const { world, clock } = context
  const token = world.oauthTokens[bearer]
  const refused = notLoggedIn('access_token')
  if (!token || token.type !== 'access' || token.revokedAt !== null || Date.parse(token.expiresAt) <= clock.now()) throw refused
  if (token.kind === 'user') {
    const authorization = world.authorizations[token.authorizationUid ?? '']
    if (!token.userUid || !authorization || authorization.revokedAt !== null || !world.users[token.userUid]?.active) throw refused
    return { kind: 'oauth_user', userUid: token.userUid, authorizationUid: authorization.uid, scopes: token.scopes }
  }
  const installation = world.installations[token.installationUid ?? '']
  if (!installation) throw refused
  const apiKey = installation.target.type === 'stack' ? installation.target.uid : ''
  return { kind: 'oauth_app', installationUid: installation.uid, apiKey, scopes: token.scopes }
}

/** The person behind a credential, or null for a token that names nobody. */
export function personBehind(credential: Credential): string | null {
  return credential.kind === 'authtoken' || credential.kind === 'oauth_user' ? credential.userUid : null
}

function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header
}
