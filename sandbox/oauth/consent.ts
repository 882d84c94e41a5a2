// What stands behind the consent page: judges an authorization request of the logged-in person and answers the address to go
// back to, with a code in it. Redirect addresses are compared letter by letter; scopes must be a subset of the app's.
// Fact: reference §3.1 (POST {DEVHUB}/manifests/{app_uid}/authorize). The order of the checks is not established.
import type { SandboxContext } from '../context.ts'
import type { App, Organization, User } from '../world/model.ts'
import { authorizeApp } from './authorizations.ts'
import { redirectWithCode } from './codes.ts'
import { hubRefusal } from './refusal.ts'
import { parseScopes } from './scopes.ts'

export interface ConsentRequest {
  client_id?: unknown
  redirect_uri?: unknown
  response_type?: unknown
  scope?: unknown
  state?: unknown
  code_challenge?: unknown
  code_challenge_method?: unknown
}

/** The callback address with `code`, `location` and the caller's `state`. Throws Refusal 400 or 403. */
export function consent(context: SandboxContext, app: App, user: User, organization: Organization, request: ConsentRequest): string {
  const { oauth } = app
  if (!oauth.userTokenConfig.enabled)
    throw hubRefusal(400, 'User tokens are not enabled for this app.', { user_token_config: ['is not enabled.'] })
  if (request.client_id !== oauth.clientId) throw hubRefusal(400, 'client_id is not valid.', { client_id: ['is not valid.'] })
  if (request.response_type !== 'code') throw hubRefusal(400, 'response_type must be code.', { response_type: ['is not valid.'] })
  const redirectUri = request.redirect_uri
  if (typeof redirectUri !== 'string' || !oauth.redirectUris.includes(redirectUri)) {
    throw hubRefusal(400, 'redirect_uri is not one of the redirect addresses of this app.', { redirect_uri: ['is not valid.'] })
  }
  const scopes =
    typeof request.scope === 'string' && request.scope.trim() !== '' ? parseScopes(request.scope) : oauth.userTokenConfig.scopes
  const beyond = scopes.filter(scope => !oauth.userTokenConfig.scopes.includes(scope))
  if (beyond.length > 0) throw hubRefusal(400, `The app is not configured for: ${beyond.join(' ')}`, { scope: ['is not valid.'] })
  const challenge = pkceOf(app, request)
  const authorization = authorizeApp(context, { appUid: app.uid, userUid: user.uid, organizationUid: organization.uid, scopes })
  return redirectWithCode(
    context,
    {
      appUid: app.uid,
      redirectUri,
      kind: 'user',
      userUid: user.uid,
      organizationUid: organization.uid,
      scopes,
      authorizationUid: authorization.uid,
      ...challenge
    },
    { state: typeof request.state === 'string' ? request.state : undefined }
  )
}

function pkceOf(app: App, request: ConsentRequest): { codeChallenge?: string; codeChallengeMethod?: 'S256' | 'plain' } {
  const challenge = request.code_challenge
  if (challenge === undefined || challenge === null || challenge === '') return {}
  if (!app.oauth.userTokenConfig.allowPkce)
    throw hubRefusal(400, 'PKCE is not allowed for this app.', { code_challenge: ['is not allowed.'] })
  // RFC 7636 §4.2 and §4.3: 43 to 128 characters of the unreserved set; the method is plain when it is not named.
  if (typeof challenge !== 'string' || !/^[A-Za-z0-9\-._~]{43,128}$/.test(challenge)) {
    throw hubRefusal(400, 'code_challenge is not valid.', { code_challenge: ['is not valid.'] })
  }
  const method = request.code_challenge_method ?? 'plain'
  if (method !== 'S256' && method !== 'plain')
    throw hubRefusal(400, 'code_challenge_method must be S256 or plain.', { code_challenge_method: ['is not valid.'] })
  return { codeChallenge: challenge, codeChallengeMethod: method }
}
