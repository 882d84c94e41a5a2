// The token endpoint: codes into tokens, refresh tokens into new access tokens, and whether a token still lives. Access tokens
// live 3600 s on the sandbox's clock; that refresh tokens live a year is our choice, the platform says nothing (reference §3.2).
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { SandboxContext } from '../context.ts'
import type { App, OAuthCode, OAuthToken } from '../world/model.ts'
import { sandboxLocation, takeCode } from './codes.ts'
import { isLive } from './person.ts'
import { oauthRefusal } from './refusal.ts'

const accessSeconds = 3600
const refreshSeconds = 365 * 24 * 3600

/** The form fields of a token request; whatever is not text counts as absent. */
export type TokenForm = Record<string, unknown>

export interface TokenAnswer {
  access_token: string
  refresh_token: string
  token_type: 'Bearer'
  expires_in: number
  location: string
  organization_uid: string
  authorization_type: 'app' | 'user'
  user_uid?: string
  stack_api_key?: string
}

/** Throws Refusal 400 or 401 in OAuth's words. */
export function answerTokenRequest(context: SandboxContext, form: TokenForm): TokenAnswer {
  const field = (name: string): string => (typeof form[name] === 'string' ? form[name] : '')
  const app = clientOf(context, field('client_id'), field('client_secret'))
  const withoutSecret = field('client_secret') === ''
  switch (field('grant_type')) {
    case 'authorization_code':
      return exchange(context, app, {
        code: field('code'),
        redirectUri: field('redirect_uri'),
        verifier: field('code_verifier'),
        withoutSecret
      })
    case 'refresh_token':
      return refresh(context, app, { refreshToken: field('refresh_token'), redirectUri: field('redirect_uri'), withoutSecret })
    case 'client_credentials':
      throw oauthRefusal('unauthorized_client', 'The sandbox does not emulate machine-to-machine apps.')
    default:
      throw oauthRefusal('unsupported_grant_type', 'grant_type must be authorization_code or refresh_token.')
  }
}

function clientOf(context: SandboxContext, clientId: string, clientSecret: string): App {
  const app = Object.values(context.world.apps).find(it => it.oauth.clientId === clientId)
  if (!app || (clientSecret !== '' && !same(clientSecret, app.oauth.clientSecret))) {
    throw oauthRefusal('invalid_client', 'client_id or client_secret is not valid.', 401)
  }
  return app
}

function exchange(
  context: SandboxContext,
  app: App,
  given: { code: string; redirectUri: string; verifier: string; withoutSecret: boolean }
): TokenAnswer {
  const code = takeCode(context, given.code)
  if (!code || code.appUid !== app.uid)
    throw oauthRefusal('invalid_grant', 'The code is not valid, was used already or is older than 60 seconds.')
  if (code.redirectUri !== given.redirectUri) throw oauthRefusal('invalid_grant', 'redirect_uri is not the one the code was issued for.')
  if (code.codeChallenge === undefined) {
    if (given.withoutSecret) throw oauthRefusal('invalid_client', 'Without PKCE the client_secret is required.', 401)
    if (given.verifier !== '') throw oauthRefusal('invalid_grant', 'A code_verifier was sent, but the code was asked for without PKCE.')
  } else if (!verifies(code, given.verifier)) {
    throw oauthRefusal('invalid_grant', 'code_verifier does not match the code_challenge.')
  }
  const who = {
    kind: code.kind,
    appUid: app.uid,
    organizationUid: code.organizationUid,
    scopes: code.scopes,
    withoutSecret: given.withoutSecret
  }
  const owner =
    code.kind === 'app' ? { installationUid: code.installationUid } : { userUid: code.userUid, authorizationUid: code.authorizationUid }
  const refreshToken = issue(context, 'refresh', { ...who, ...owner })
  if (!isLive(context, context.world.oauthTokens[refreshToken]!)) {
    delete context.world.oauthTokens[refreshToken]
    throw oauthRefusal('invalid_grant', 'The authorization behind this code has ended.')
  }
  return answer(context, context.world.oauthTokens[refreshToken]!, refreshToken)
}

function refresh(
  context: SandboxContext,
  app: App,
  given: { refreshToken: string; redirectUri: string; withoutSecret: boolean }
): TokenAnswer {
  const token = tokenNamed(context, given.refreshToken)
  if (!token || token.type !== 'refresh' || token.appUid !== app.uid || !isLive(context, token)) {
    throw oauthRefusal('invalid_grant', 'The refresh token is not valid.')
  }
  if (given.redirectUri !== '' && !app.oauth.redirectUris.includes(given.redirectUri))
    throw oauthRefusal('invalid_grant', 'redirect_uri is not valid.')
  // Reference §3.2: the secret is left out of a refresh exactly when it was left out of the exchange.
  if (given.withoutSecret !== (token.withoutSecret ?? false)) {
    throw oauthRefusal(
      'invalid_client',
      given.withoutSecret ? 'client_secret is required.' : 'client_secret was not used for this token.',
      401
    )
  }
  if (context.plays.refreshRotation === 'same') return answer(context, token, given.refreshToken)
  token.revokedAt = context.clock.iso()
  return answer(context, token, issue(context, 'refresh', token))
}

function answer(context: SandboxContext, grant: OAuthToken, refreshToken: string): TokenAnswer {
  const installation = grant.installationUid === undefined ? undefined : context.world.installations[grant.installationUid]
  return {
    access_token: issue(context, 'access', grant),
    refresh_token: refreshToken,
    token_type: 'Bearer',
    expires_in: accessSeconds,
    location: sandboxLocation,
    organization_uid: grant.organizationUid,
    authorization_type: grant.kind,
    ...(grant.userUid !== undefined && { user_uid: grant.userUid }),
    ...(installation?.target.type === 'stack' && { stack_api_key: installation.target.uid })
  }
}

function issue(context: SandboxContext, type: 'access' | 'refresh', grant: Omit<OAuthToken, 'type' | 'expiresAt' | 'revokedAt'>): string {
  forgetExpired(context)
  const { kind, appUid, organizationUid, userUid, authorizationUid, installationUid, scopes, withoutSecret } = grant
  const value = `${type === 'access' ? 'c' : 'e'}${randomBytes(20).toString('hex')}`
  const seconds = type === 'access' ? accessSeconds : refreshSeconds
  context.world.oauthTokens[value] = {
    type,
    kind,
    appUid,
    organizationUid,
    userUid,
    authorizationUid,
    installationUid,
    scopes,
    withoutSecret,
    expiresAt: new Date(context.clock.now() + seconds * 1000).toISOString(),
    revokedAt: null
  }
  return value
}

function forgetExpired(context: SandboxContext): void {
  const dayAgo = context.clock.now() - 86_400_000
  for (const [value, token] of Object.entries(context.world.oauthTokens)) {
    if (Date.parse(token.expiresAt) < dayAgo) delete context.world.oauthTokens[value]
  }
}

/** RFC 7662 in the platform's narrower form (reference §3.1). */
export function introspect(context: SandboxContext, form: TokenForm): { active: true; scope: string } | { active: false } {
  const token = typeof form.token === 'string' ? tokenNamed(context, form.token) : undefined
  return token && isLive(context, token) ? { active: true, scope: token.scopes.join(' ') } : { active: false }
}

const tokenNamed = (context: SandboxContext, value: string): OAuthToken | undefined =>
  Object.hasOwn(context.world.oauthTokens, value) ? context.world.oauthTokens[value] : undefined

function verifies(code: OAuthCode, verifier: string): boolean {
  if (verifier === '') return false
  const made = code.codeChallengeMethod === 'S256' ? createHash('sha256').update(verifier).digest('base64url') : verifier
  return same(made, code.codeChallenge ?? '')
}

function same(a: string, b: string): boolean {
  const [left, right] = [a, b].map(text => createHash('sha256').update(text).digest())
  return timingSafeEqual(left!, right!)
}
