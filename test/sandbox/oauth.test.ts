import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { ada, edda, sara } from '../../sandbox/world/people.ts'
import { ask, callback, grantScopes, installCallback, logIn, type RegisteredApp, registerApp, startSandbox } from '../support/sandbox.ts'

interface Tokens {
  access_token: string
  refresh_token: string
  error?: string
  [other: string]: unknown
}

let sandbox: Sandbox
let app: RegisteredApp
let asAda: Record<string, string>

beforeAll(async () => {
  sandbox = await startSandbox()
})
afterAll(() => sandbox.close())

beforeEach(async () => {
  app = await registerApp(sandbox)
  asAda = await logIn(sandbox, ada)
  sandbox.context.plays.revocation = 'allowed'
  sandbox.context.plays.refreshRotation = 'same'
})

const consent = (body: Record<string, unknown> = {}, headers = asAda) =>
  ask<{ data: { redirect_url: string }; error_message?: string }>(`${sandbox.urls.developerHub}/manifests/${app.appUid}/authorize`, {
    method: 'POST',
    headers,
    body: { client_id: app.clientId, redirect_uri: callback, response_type: 'code', state: 'st-1', ...body }
  })

async function codeFor(body: Record<string, unknown> = {}): Promise<string> {
  const { body: answer } = await consent(body)
  return new URL(answer.data.redirect_url).searchParams.get('code')!
}

const token = (fields: Record<string, string>, url = `${sandbox.urls.application}/apps-api/token`) =>
  ask<Tokens>(url, { method: 'POST', body: new URLSearchParams(fields) })

const exchange = (code: string, fields: Record<string, string> = {}) =>
  token({
    grant_type: 'authorization_code',
    client_id: app.clientId,
    client_secret: app.clientSecret,
    redirect_uri: callback,
    code,
    ...fields
  })

async function isActive(value: string): Promise<unknown> {
  const { body } = await ask(`${sandbox.urls.application}/apps-api/introspect`, {
    method: 'POST',
    body: new URLSearchParams({ token: value })
  })
  return body['active']
}

describe('a user token', () => {
  it('is given for a code and names the person, the organization and the region', async () => {
    const { body } = await consent()
    const back = new URL(body.data.redirect_url)
    expect(`${back.origin}${back.pathname}`).toBe(callback)
    expect([back.searchParams.get('state'), back.searchParams.get('location')]).toEqual(['st-1', 'SANDBOX'])

    const answer = await exchange(back.searchParams.get('code')!)
    expect(answer.status).toBe(200)
    expect(answer.body).toMatchObject({
      token_type: 'Bearer',
      expires_in: 3600,
      location: 'SANDBOX',
      organization_uid: ada.organizationUids[0],
      authorization_type: 'user',
      user_uid: ada.uid
    })
    expect(answer.body).not.toHaveProperty('stack_api_key')
    const introspection = await ask(`${sandbox.urls.application}/apps-api/introspect`, {
      method: 'POST',
      body: new URLSearchParams({ token: answer.body.access_token })
    })
    expect(introspection.body).toEqual({ active: true, scope: grantScopes.join(' ') })
  })

  it('is given at each of the three addresses of the token endpoint', async () => {
    const { application, developerHub } = sandbox.urls
    for (const url of [`${application}/apps-api/token`, `${application}/apps-api/apps/token`, `${developerHub}/token`]) {
      const form = { grant_type: 'authorization_code', client_id: app.clientId, client_secret: app.clientSecret, redirect_uri: callback }
      expect((await token({ ...form, code: await codeFor() }, url)).status).toBe(200)
    }
  })

  it('carries the scopes that were asked for', async () => {
    const { body } = await exchange(await codeFor({ scope: grantScopes[0] }))
    expect(sandbox.world.oauthTokens[body.access_token]?.scopes).toEqual([grantScopes[0]])
  })

  it('lives for an hour', async () => {
    const { body } = await exchange(await codeFor())
    sandbox.clock.advance(3_599_000 - 1000)
    expect(await isActive(body.access_token)).toBe(true)
    sandbox.clock.advance(2000)
    expect(await isActive(body.access_token)).toBe(false)
    expect(await isActive(body.refresh_token)).toBe(true)
  })
})

describe('a code', () => {
  it('works once', async () => {
    const code = await codeFor()
    expect((await exchange(code)).status).toBe(200)
    const again = await exchange(code)
    expect([again.status, again.body.error]).toEqual([400, 'invalid_grant'])
  })

  it('dies after 60 seconds', async () => {
    const [early, late] = [await codeFor(), await codeFor()]
    sandbox.clock.advance(58_000)
    expect((await exchange(early)).status).toBe(200)
    sandbox.clock.advance(3000)
    expect((await exchange(late)).body.error).toBe('invalid_grant')
  })

  it.each([
    ['another client secret', { client_secret: 'wrong' }, 401, 'invalid_client'],
    ['an unknown client', { client_id: 'nobody' }, 401, 'invalid_client'],
    ['no client secret where there was no PKCE', { client_secret: '' }, 401, 'invalid_client'],
    ['another redirect address', { redirect_uri: installCallback }, 400, 'invalid_grant'],
    ['a verifier where there was no challenge', { code_verifier: 'x'.repeat(43) }, 400, 'invalid_grant'],
    ['a code that was never issued', { code: '__proto__' }, 400, 'invalid_grant'],
    ['another kind of grant', { grant_type: 'password' }, 400, 'unsupported_grant_type']
  ])('is refused with %s', async (_what, fields, status, error) => {
    const answer = await exchange(await codeFor(), fields)
    expect([answer.status, answer.body.error]).toEqual([status, error])
    expect(answer.body).not.toHaveProperty('access_token')
  })

  it('of one app is refused to another', async () => {
    const code = await codeFor()
    const other = await registerApp(sandbox)
    const answer = await exchange(code, { client_id: other.clientId, client_secret: other.clientSecret })
    expect(answer.body.error).toBe('invalid_grant')
  })
})

describe('PKCE', () => {
  const verifier = randomBytes(32).toString('base64url')
  const s256 = createHash('sha256').update(verifier).digest('base64url')

  it.each([
    ['S256', s256],
    ['plain', verifier],
    [undefined, verifier]
  ])('with method %s needs the verifier and no secret', async (method, challenge) => {
    const asked = { code_challenge: challenge, ...(method && { code_challenge_method: method }) }
    const code = await codeFor(asked)
    expect((await exchange(code, { client_secret: '', code_verifier: verifier })).status).toBe(200)
  })

  it.each([
    ['a wrong verifier', 'y'.repeat(43)],
    ['no verifier', ''],
    ['the challenge itself', s256]
  ])('refuses %s, also with the secret', async (_what, given) => {
    const code = await codeFor({ code_challenge: s256, code_challenge_method: 'S256' })
    expect((await exchange(code, given === '' ? {} : { code_verifier: given })).body.error).toBe('invalid_grant')
  })

  it('leaves the secret out of a refresh exactly when it was left out of the exchange', async () => {
    const challenge = { code_challenge: s256, code_challenge_method: 'S256' }
    const bare = (await exchange(await codeFor(challenge), { client_secret: '', code_verifier: verifier })).body
    const full = (await exchange(await codeFor(challenge), { code_verifier: verifier })).body
    const refresh = (refreshToken: string, secret: string) =>
      token({
        grant_type: 'refresh_token',
        client_id: app.clientId,
        client_secret: secret,
        redirect_uri: callback,
        refresh_token: refreshToken
      })
    expect((await refresh(bare.refresh_token, '')).status).toBe(200)
    expect((await refresh(bare.refresh_token, app.clientSecret)).status).toBe(401)
    expect((await refresh(full.refresh_token, app.clientSecret)).status).toBe(200)
    expect((await refresh(full.refresh_token, '')).status).toBe(401)
  })
})

describe('consent', () => {
  it.each([
    ['a redirect address with one more character', { redirect_uri: `${callback}/` }, 400],
    ['a redirect address with a query', { redirect_uri: `${callback}?a=1` }, 400],
    ['a redirect address in other letters', { redirect_uri: callback.replace('grant', 'Grant') }, 400],
    ['no redirect address', { redirect_uri: undefined }, 400],
    ['another client', { client_id: 'nobody' }, 400],
    ['another response type', { response_type: 'token' }, 400],
    ['a scope beyond the app', { scope: `${grantScopes[0]} user:read` }, 400],
    ['an unknown challenge method', { code_challenge: 'x'.repeat(43), code_challenge_method: 'S512' }, 400],
    ['a challenge that is too short', { code_challenge: 'short', code_challenge_method: 'plain' }, 400]
  ])('refuses %s and leaves no authorization', async (_what, body, status) => {
    const answer = await consent(body)
    expect(answer.status).toBe(status)
    expect(Object.values(sandbox.world.authorizations).filter(it => it.appUid === app.appUid)).toEqual([])
  })

  it('is given with an authtoken only, never with the app’s own user token', async () => {
    const { body } = await exchange(await codeFor())
    const answer = await consent({}, { authorization: `Bearer ${body.access_token}`, organization_uid: ada.organizationUids[0]! })
    expect(answer.status).toBe(401)
  })

  it('to a private app is not possible in another organization', async () => {
    expect((await consent({}, await logIn(sandbox, sara))).status).toBe(404)
    const hers = { ...(await logIn(sandbox, sara)), organization_uid: ada.organizationUids[0]! }
    expect((await consent({}, hers)).status).toBe(403)
  })

  it('given twice makes one authorization', async () => {
    await codeFor({ scope: grantScopes[0] })
    await codeFor({ scope: grantScopes[1] })
    const mine = Object.values(sandbox.world.authorizations).filter(it => it.appUid === app.appUid)
    expect(mine.map(it => it.scopes)).toEqual([grantScopes])
  })
})

describe('a refresh', () => {
  const refresh = (refreshToken: string) =>
    token({
      grant_type: 'refresh_token',
      client_id: app.clientId,
      client_secret: app.clientSecret,
      redirect_uri: callback,
      refresh_token: refreshToken
    })

  it('returns the same refresh token, where the platform is played so', async () => {
    const first = (await exchange(await codeFor())).body
    const second = (await refresh(first.refresh_token)).body
    expect(second.refresh_token).toBe(first.refresh_token)
    expect(second.access_token).not.toBe(first.access_token)
  })

  it('replaces the refresh token, where the platform is played so', async () => {
    sandbox.context.plays.refreshRotation = 'rotates'
    const first = (await exchange(await codeFor())).body
    const second = (await refresh(first.refresh_token)).body
    expect(second.refresh_token).not.toBe(first.refresh_token)
    expect((await refresh(first.refresh_token)).body.error).toBe('invalid_grant')
    expect((await refresh(second.refresh_token)).status).toBe(200)
  })

  it('does not take an access token', async () => {
    const first = (await exchange(await codeFor())).body
    expect((await refresh(first.access_token)).body.error).toBe('invalid_grant')
  })
})

describe('revoking', () => {
  const authorizations = () => `${sandbox.urls.developerHub}/manifests/${app.appUid}/authorizations`
  const bearer = (tokens: Tokens) => ({ authorization: `Bearer ${tokens.access_token}`, organization_uid: ada.organizationUids[0]! })
  interface Listed {
    data: { authorization_uid: string; user: { uid: string } }[]
  }

  it('one authorization kills its tokens and nobody else’s', async () => {
    const hers = (await exchange(await codeFor())).body
    asAda = await logIn(sandbox, edda)
    const eddas = (await exchange(await codeFor())).body
    const listed = await ask<Listed>(authorizations(), { headers: bearer(hers) })
    const own = listed.body.data.find(it => it.user.uid === ada.uid)!
    expect(listed.body.data).toHaveLength(2)

    const done = await ask(`${authorizations()}/${own.authorization_uid}`, { method: 'DELETE', headers: bearer(hers) })
    expect(done.status).toBe(200)
    expect([await isActive(hers.access_token), await isActive(hers.refresh_token), await isActive(eddas.access_token)]).toEqual([
      false,
      false,
      true
    ])
    expect((await ask(authorizations(), { headers: bearer(hers) })).status).toBe(401)
    expect((await ask<Listed>(authorizations(), { headers: bearer(eddas) })).body.data).toHaveLength(1)
  })

  it('the collection ends everybody’s', async () => {
    const hers = (await exchange(await codeFor())).body
    const waiting = await codeFor()
    expect((await ask(authorizations(), { method: 'DELETE', headers: asAda })).status).toBe(200)
    expect(await isActive(hers.access_token)).toBe(false)
    expect((await exchange(waiting)).body.error).toBe('invalid_grant')
  })

  it('is refused, where the platform is played so', async () => {
    sandbox.context.plays.revocation = 'refused'
    const hers = (await exchange(await codeFor())).body
    expect((await ask(authorizations(), { method: 'DELETE', headers: bearer(hers) })).status).toBe(403)
    expect(await isActive(hers.access_token)).toBe(true)
  })
})
