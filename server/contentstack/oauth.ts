// OAuth of a Developer Hub app, as a client: where to send the browser, code into token, is it still alive, and taking it back.
// Contentstack's refresh tokens are read by nobody here, so that none can be kept. Facts: reference §3.1, §3.2.
import { createHash, randomBytes } from 'node:crypto'
import { AppError } from '../errors.ts'
import { refusalOf } from './refusal.ts'
import type { Region } from './regions.ts'
import { exchange } from './wire.ts'

/** Our app as registered in one region. */
export interface AppCredentials {
  region: Region
  appUid: string
  clientId: string
  clientSecret: string
  /** Value of the `x-quayside-secret` header that the manifest's lifecycle webhook carries. */
  webhookSecret: string
}

export interface WireOptions {
  fetch?: typeof fetch
  signal?: AbortSignal
}

/** The scopes of a grant: minting and deleting management tokens, nothing else. */
export const grantScopes = ['cm.stack.management-tokens:read', 'cm.stack.management-tokens:write'] as const

export function newPkce(): { verifier: string; challenge: string } {
  const verifier = randomBytes(48).toString('base64url')
  return { verifier, challenge: challengeOf(verifier) }
}

export function challengeOf(verifier: string): string {
  return createHash('sha256').update(verifier).digest('base64url')
}

/** Where the browser goes for a user authorization. */
export function authorizeUrl(
  app: AppCredentials,
  input: { redirectUri: string; scopes: readonly string[]; state: string; challenge: string }
): string {
  const url = new URL(`${app.region.application}/apps/${encodeURIComponent(app.appUid)}/authorize`)
  url.search = new URLSearchParams({
    response_type: 'code',
    client_id: app.clientId,
    redirect_uri: input.redirectUri,
    scope: input.scopes.join(' '),
    state: input.state,
    code_challenge: input.challenge,
    code_challenge_method: 'S256'
  }).toString()
  return url.href
}

export interface Exchanged {
  accessToken: string
  organizationUid: string
  /** App tokens of stack apps carry it; not established for all. */
  stackApiKey: string | null
  /** User tokens carry it. */
  userUid: string | null
  authorizationType: 'app' | 'user'
  expiresInSeconds: number
}

/** Codes live 60 s and work once. Throws AppError invalid (the code is not good), upstream. */
export async function exchangeCode(
  app: AppCredentials,
  input: { code: string; redirectUri: string; verifier?: string },
  options: WireOptions = {}
): Promise<Exchanged> {
  const body = new URLSearchParams({
    grant_type: 'authorization_code',
    client_id: app.clientId,
    client_secret: app.clientSecret,
    redirect_uri: input.redirectUri,
    code: input.code,
    ...(input.verifier !== undefined && { code_verifier: input.verifier })
  })
  const answer = await exchange({ method: 'POST', url: `${app.region.application}/apps-api/token`, body, ...options })
  if (answer.status >= 400 && answer.status < 500) {
    throw new AppError('invalid', 'Contentstack did not accept the authorization code', {
      cause: refusalOf(answer, app.clientSecret),
      remedy: 'Codes live 60 seconds and work once: start again. If it stays so, check client id and secret of this region.'
    })
  }
  if (answer.status !== 200) throw refusalOf(answer, app.clientSecret)
  const token = jsonOf(answer.text)
  const text = (name: string): string | null => (typeof token[name] === 'string' && token[name] !== '' ? token[name] : null)
  const accessToken = text('access_token')
  const organizationUid = text('organization_uid')
  const authorizationType = text('authorization_type')
  if (!accessToken || !organizationUid || (authorizationType !== 'app' && authorizationType !== 'user')) {
    throw new AppError('upstream', 'Contentstack answered the authorization code without a token, organization or type')
  }
  const expires = Number(token.expires_in)
  return {
    accessToken,
    organizationUid,
    stackApiKey: text('stack_api_key'),
    userUid: text('user_uid'),
    authorizationType,
    expiresInSeconds: Number.isFinite(expires) && expires > 0 ? expires : 3600
  }
}

/** Whether the access token is still good. Throws AppError upstream. */
export async function introspect(app: AppCredentials, accessToken: string, options: WireOptions = {}): Promise<{ active: boolean }> {
  const body = new URLSearchParams({
    token: accessToken,
    token_type_hint: 'access_token',
    client_id: app.clientId,
    client_secret: app.clientSecret
  })
  const answer = await exchange({ method: 'POST', url: `${app.region.application}/apps-api/introspect`, body, ...options })
  // A dead token is no reason for the endpoint to refuse us; whatever else it says is not proof of anything.
  if (answer.status !== 200) throw refusalOf(answer, accessToken)
  const { active } = jsonOf(answer.text)
  if (typeof active !== 'boolean') throw new AppError('upstream', 'Contentstack did not say whether the authorization is active')
  return { active }
}

export interface UserAuthorization {
  authorizationUid: string
  userUid: string
}

export interface Bearer {
  accessToken: string
  organizationUid: string
}

const authorizationsUrl = (app: AppCredentials) => `${app.region.developerHub}/manifests/${encodeURIComponent(app.appUid)}/authorizations`
const bearerHeaders = ({ accessToken, organizationUid }: Bearer) => ({
  authorization: `Bearer ${accessToken}`,
  organization_uid: organizationUid
})

/** Everybody's authorizations of our app in that organization. Throws AppError unauthorized | forbidden | upstream. */
export async function listAuthorizations(app: AppCredentials, bearer: Bearer, options: WireOptions = {}): Promise<UserAuthorization[]> {
  const found: UserAuthorization[] = []
  for (let skip = 0; ; ) {
    const url = `${authorizationsUrl(app)}?skip=${skip}&limit=50`
    const answer = await exchange({ method: 'GET', url, headers: bearerHeaders(bearer), ...options })
    if (answer.status !== 200) throw refusalOf(answer, bearer.accessToken)
    const page = jsonOf(answer.text)
    const rows: unknown[] = Array.isArray(page.data) ? page.data : []
    for (const row of rows as { authorization_uid?: unknown; user?: { uid?: unknown } }[]) {
      if (typeof row.authorization_uid !== 'string') continue
      found.push({ authorizationUid: row.authorization_uid, userUid: typeof row.user?.uid === 'string' ? row.user.uid : '' })
    }
    skip += rows.length
    if (rows.length === 0 || typeof page.count !== 'number' || skip >= page.count) return found
  }
}

/** One authorization. The collection's DELETE would end everybody's and is never called. Throws as listAuthorizations. */
export async function revokeAuthorization(
  app: AppCredentials,
  bearer: Bearer,
  authorizationUid: string,
  options: WireOptions = {}
): Promise<void> {
  if (authorizationUid === '') throw new AppError('internal', 'An authorization without uid cannot be revoked')
  const url = `${authorizationsUrl(app)}/${encodeURIComponent(authorizationUid)}`
  const answer = await exchange({ method: 'DELETE', url, headers: bearerHeaders(bearer), ...options })
  if (answer.status >= 300) throw refusalOf(answer, bearer.accessToken)
}

function jsonOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {
    // Said below.
  }
  throw new AppError('upstream', 'Contentstack answered with something that is not JSON')
}
