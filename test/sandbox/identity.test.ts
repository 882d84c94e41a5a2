import {
  allowInsecureRequests,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  calculatePKCECodeChallenge,
  ClientSecretPost,
  type Configuration,
  discovery,
  fetchUserInfo,
  randomPKCECodeVerifier,
  randomState
} from 'openid-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { directory } from '../../sandbox/identity/people.ts'
import { ask, startSandbox } from '../support/sandbox.ts'

const redirectUri = 'http://127.0.0.1:9/auth/callback'
let sandbox: Sandbox
let client: Configuration

beforeAll(async () => {
  sandbox = await startSandbox({ identityClient: { clientId: 'quayside', clientSecret: 'console-secret', redirectUris: [redirectUri] } })
  client = await connect('quayside', 'console-secret')
})
afterAll(() => sandbox.close())

const connect = (id: string, secret: string) =>
  discovery(new URL(sandbox.urls.identity), id, undefined, ClientSecretPost(secret), { execute: [allowInsecureRequests] })

/** A browser's walk: keeps cookies, follows redirects up to the callback, fills in the one form. */
async function walk(start: URL, email: string): Promise<URL> {
  const cookies = new Map<string, string>()
  let next: { url: URL; form?: URLSearchParams } = { url: start }
  for (let step = 0; step < 10; step += 1) {
    const response = await fetch(next.url, {
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(next.form && { method: 'POST', body: next.form })
    })
    for (const cookie of response.headers.getSetCookie()) {
      const [pair] = cookie.split(';')
      const at = pair!.indexOf('=')
      cookies.set(pair!.slice(0, at), pair!.slice(at + 1))
    }
    const location = response.headers.get('location')
    if (location) {
      next = { url: new URL(location, next.url) }
      if (next.url.href.startsWith(redirectUri)) return next.url
      continue
    }
    const page = await response.text()
    const action = /<form method="post" action="([^"]+)"/.exec(page)?.[1]
    if (!action) throw new Error(`no form at ${next.url.pathname}: ${response.status} ${page.slice(page.indexOf('<main>'))}`)
    expect(page).toContain(directory[0]!.email)
    next = { url: new URL(action, next.url), form: new URLSearchParams({ email }) }
  }
  throw new Error('the login did not come to an end')
}

async function logInAs(email: string, configuration = client) {
  const verifier = randomPKCECodeVerifier()
  const state = randomState()
  const start = buildAuthorizationUrl(configuration, {
    redirect_uri: redirectUri,
    scope: 'openid email profile',
    code_challenge: await calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state
  })
  const back = await walk(start, email)
  return authorizationCodeGrant(configuration, back, { pkceCodeVerifier: verifier, expectedState: state })
}

describe('the identity provider', () => {
  it.each(directory.map(person => [person.email, person.groups] as const))(
    'tells the groups of %s in the ID token',
    async (email, groups) => {
      const tokens = await logInAs(email)
      const claims = tokens.claims()!
      expect(claims).toMatchObject({ iss: sandbox.urls.identity, aud: 'quayside', email, email_verified: true, groups: [...groups] })
      expect(await fetchUserInfo(client, tokens.access_token, claims.sub)).toMatchObject({ email })
    }
  )

  it('lets nobody in who chose nobody', async () => {
    await expect(logInAs('')).rejects.toMatchObject({ error: 'access_denied' })
    await expect(logInAs('mallory@elsewhere.example')).rejects.toMatchObject({ error: 'access_denied' })
  })

  it('refuses a client secret that is wrong', async () => {
    await expect(logInAs(directory[0]!.email, await connect('quayside', 'guess'))).rejects.toMatchObject({ error: 'invalid_client' })
  })

  it.each([
    ['without PKCE', {}],
    [
      'to an address that is not registered',
      { redirect_uri: 'http://127.0.0.1:9/elsewhere', code_challenge: 'x'.repeat(43), code_challenge_method: 'S256' }
    ],
    ['with plain PKCE', { code_challenge: 'x'.repeat(43), code_challenge_method: 'plain' }]
  ])('refuses a login %s', async (_what, fields) => {
    const start = buildAuthorizationUrl(client, {
      redirect_uri: redirectUri,
      scope: 'openid',
      state: 's',
      ...(fields as Record<string, string>)
    })
    const response = await fetch(start, { redirect: 'manual' })
    const location = response.headers.get('location') ?? ''
    expect(location === '' ? response.status : new URL(location).searchParams.get('error')).toBe(location === '' ? 400 : 'invalid_request')
  })

  it('takes a client that registers while it runs', async () => {
    const made = await ask(`${sandbox.urls.control}/identity-clients`, {
      method: 'POST',
      body: { clientId: 'late', clientSecret: 'late-secret', redirectUris: [redirectUri] }
    })
    expect(made.status).toBe(201)
    const tokens = await logInAs(directory[0]!.email, await connect('late', 'late-secret'))
    expect(tokens.claims()).toMatchObject({ aud: 'late', groups: ['quayside-admins'] })
  })

  it('says what to do at a login it no longer knows, and echoes nothing', async () => {
    const response = await fetch(`${sandbox.urls.identity}/interaction/%3Cscript%3E`)
    const page = await response.text()
    expect(response.status).toBe(400)
    expect(page).toContain('log in again')
    expect(page).not.toContain('<script')
  })
})
