// Login of the console by the operator's identity provider: authorization code with PKCE, state and nonce. It knows no table
// and no cookie: the door keeps `Flow` sealed in a short cookie, roles.ts turns the granted organizations into ours.
import * as client from 'openid-client'
import { AppError } from '../errors.ts'
import type { AdminRole } from './principal.ts'

export interface OidcSettings {
  issuer: string
  clientId: string
  clientSecret: string
  /** Several providers do not decode the percent-encoded form that `client_secret_basic` asks for; post is the safe default. */
  tokenEndpointAuthMethod: 'client_secret_post' | 'client_secret_basic'
  redirectUri: string
  /** Group in the ID token -> role and the organizations it holds in. Who has none of these groups is a stranger. */
  groupRoles: Record<string, RoleGrant>
  /** Development only: a provider on plain http. */
  allowInsecure?: boolean | undefined
  fetch?: typeof fetch | undefined
}

export interface RoleGrant {
  role: AdminRole
  organizations: { region: string; organizationUid: string }[] | '*'
}

/** One login under way. Secret: whoever has it and the code can finish the login. Ten minutes are plenty. */
export interface Flow {
  state: string
  nonce: string
  verifier: string
}

export interface Person {
  /** A person is (issuer, subject); e-mail and name are for showing. */
  issuer: string
  subject: string
  name: string
  email: string
  grants: RoleGrant[]
}

export interface Oidc {
  begin(): Promise<{ url: string; flow: Flow }>
  finish(currentUrl: string | URL, flow: Flow): Promise<Person>
}

const discoveryTimeoutSeconds = 10
const scopes = 'openid profile email groups'

/**
 * `begin` and `finish` throw AppError upstream when the provider cannot be reached or answers nonsense; `finish` also unauthorized
 * (the answer does not belong to this login, or the person cancelled) and forbidden (a person without a mapped group).
 */
export function createOidc(settings: OidcSettings): Oidc {
  const discovered = lazily(() => discover(settings))
  return {
    async begin() {
      const configuration = await discovered()
      const flow: Flow = { state: client.randomState(), nonce: client.randomNonce(), verifier: client.randomPKCECodeVerifier() }
      const url = client.buildAuthorizationUrl(configuration, {
        redirect_uri: settings.redirectUri,
        scope: scopes,
        response_type: 'code',
        state: flow.state,
        nonce: flow.nonce,
        code_challenge: await client.calculatePKCECodeChallenge(flow.verifier),
        code_challenge_method: 'S256'
      })
      return { url: url.href, flow }
    },
    async finish(currentUrl, flow) {
      const configuration = await discovered()
      const claims = await exchange(configuration, answerAt(settings.redirectUri, currentUrl), flow)
      return personFrom(claims, settings.groupRoles)
    }
  }
}

/** Discovery waits for the first login, so that a provider that is down does not keep the server from starting; a failure is not kept. */
function lazily(discovery: () => Promise<client.Configuration>): () => Promise<client.Configuration> {
  let found: Promise<client.Configuration> | null = null
  return () => {
    found ??= discovery().catch((cause: unknown) => {
      found = null
      throw new AppError('upstream', 'The identity provider cannot be reached.', {
        cause,
        remedy: 'Try again in a moment; if it stays, tell the operator.'
      })
    })
    return found
  }
}

function discover(settings: OidcSettings): Promise<client.Configuration> {
  const authentication =
    settings.tokenEndpointAuthMethod === 'client_secret_basic'
      ? client.ClientSecretBasic(settings.clientSecret)
      : client.ClientSecretPost(settings.clientSecret)
  return client.discovery(new URL(settings.issuer), settings.clientId, {}, authentication, {
    timeout: discoveryTimeoutSeconds,
    ...(settings.fetch ? { [client.customFetch]: settings.fetch as client.CustomFetch } : {}),
    execute: settings.allowInsecure ? [client.allowInsecureRequests] : []
  })
}

/** Only the query counts: behind a proxy, the address that a request seems to have come to is not ours to trust. */
function answerAt(redirectUri: string, currentUrl: string | URL): URL {
  const answer = new URL(redirectUri)
  answer.search = new URL(currentUrl, redirectUri).search
  return answer
}

async function exchange(configuration: client.Configuration, answer: URL, flow: Flow): Promise<client.IDToken> {
  try {
    const tokens = await client.authorizationCodeGrant(configuration, answer, {
      expectedState: flow.state,
      expectedNonce: flow.nonce,
      pkceCodeVerifier: flow.verifier,
      idTokenExpected: true
    })
    const claims = tokens.claims()
    if (claims) return claims
    throw new AppError('upstream', 'The identity provider sent no ID token.', {
      remedy: 'Ask the operator to check the client at the provider.'
    })
  } catch (cause) {
    throw refusalOf(cause)
  }
}

const again = 'Start again from the login page.'

function refusalOf(cause: unknown): AppError {
  if (cause instanceof AppError) return cause
  if (cause instanceof client.AuthorizationResponseError) {
    const cancelled = cause.error === 'access_denied'
    return new AppError('unauthorized', cancelled ? 'The login was cancelled.' : 'The identity provider refused the login.', {
      cause,
      remedy: again
    })
  }
  if (cause instanceof client.ResponseBodyError) {
    // invalid_grant: the code was used, is too old, or belongs to another login. The rest is our own configuration.
    return cause.error === 'invalid_grant'
      ? new AppError('unauthorized', 'This login is over: it was used before, or took too long.', { cause, remedy: again })
      : new AppError('upstream', 'The identity provider refused our client.', {
          cause,
          remedy: 'Ask the operator to check client id and secret.'
        })
  }
  const code: unknown = cause instanceof Error && 'code' in cause ? cause.code : undefined
  return typeof code === 'string' &&
    (code.startsWith('OAUTH_TIMEOUT') || code.startsWith('OAUTH_HTTP') || code === 'OAUTH_RESPONSE_IS_NOT_CONFORM')
    ? new AppError('upstream', 'The identity provider did not answer as it should.', { cause, remedy: again })
    : new AppError('unauthorized', 'This login does not belong to this browser.', { cause, remedy: again })
}

function personFrom(claims: client.IDToken, groupRoles: Record<string, RoleGrant>): Person {
  const groups = Array.isArray(claims.groups) ? claims.groups.filter(group => typeof group === 'string') : []
  const grants = groups.flatMap(group => (Object.hasOwn(groupRoles, group) ? [groupRoles[group] as RoleGrant] : []))
  const email = textOf(claims.email)
  const name = textOf(claims.name) || email || claims.sub
  if (grants.length === 0) {
    throw new AppError('forbidden', `${name} is known to the identity provider, but not to Quayside.`, {
      remedy: 'Ask the operator to put you into a group that Quayside knows.'
    })
  }
  return { issuer: claims.iss, subject: claims.sub, name, email, grants }
}

function textOf(claim: unknown): string {
  return typeof claim === 'string' ? claim.slice(0, 200) : ''
}
