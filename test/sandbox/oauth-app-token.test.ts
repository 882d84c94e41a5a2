import { createPublicKey } from 'node:crypto'
import { jwtVerify } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { ada, comeBack, edda, leave, sara } from '../../sandbox/world/people.ts'
import { ask, callback, installApp, installCallback, logIn, type RegisteredApp, registerApp, startSandbox } from '../support/sandbox.ts'

let sandbox: Sandbox
let app: RegisteredApp
let asAda: Record<string, string>

beforeAll(async () => {
  sandbox = await startSandbox()
})
afterAll(() => sandbox.close())

beforeEach(async () => {
  for (const uid of Object.keys(sandbox.world.installations)) delete sandbox.world.installations[uid]
  app = await registerApp(sandbox)
  asAda = await logIn(sandbox, ada)
})

async function userCode(): Promise<string> {
  const { body } = await ask<{ data: { redirect_url: string } }>(`${sandbox.urls.developerHub}/manifests/${app.appUid}/authorize`, {
    method: 'POST',
    headers: asAda,
    body: { client_id: app.clientId, redirect_uri: callback, response_type: 'code' }
  })
  return new URL(body.data.redirect_url).searchParams.get('code')!
}

const exchange = (code: string, redirectUri: string) =>
  ask<{ access_token: string; refresh_token: string }>(`${sandbox.urls.application}/apps-api/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: app.clientId,
      client_secret: app.clientSecret,
      redirect_uri: redirectUri,
      code
    })
  })

async function isActive(value: string): Promise<unknown> {
  const { body } = await ask(`${sandbox.urls.application}/apps-api/introspect`, {
    method: 'POST',
    body: new URLSearchParams({ token: value })
  })
  return body['active']
}

describe('an app token', () => {
  const installCode = (installationUid: string, headers = asAda) =>
    ask<{ redirect_url: string }>(`${sandbox.urls.application}/apps-api/install-code`, {
      method: 'POST',
      headers,
      body: { app_uid: app.appUid, installation_uid: installationUid }
    })

  it('comes from an install, whose callback is the first redirect address and has no state', async () => {
    const installation = await installApp(sandbox, asAda, app.appUid, blogApiKey)
    const { body } = await installCode(installation)
    const back = new URL(body.redirect_url)
    expect(`${back.origin}${back.pathname}`).toBe(installCallback)
    expect([...back.searchParams.keys()].sort()).toEqual(['code', 'installation_uid', 'location'])
    expect(back.searchParams.get('installation_uid')).toBe(installation)

    const tokens = await exchange(back.searchParams.get('code')!, installCallback)
    expect(tokens.body).toMatchObject({ authorization_type: 'app', stack_api_key: blogApiKey, location: 'SANDBOX' })
    expect(tokens.body).not.toHaveProperty('user_uid')
  })

  it('survives the person who installed, and dies with the installation', async () => {
    const installation = await installApp(sandbox, asAda, app.appUid, blogApiKey)
    const code = new URL((await installCode(installation)).body.redirect_url).searchParams.get('code')!
    const tokens = (await exchange(code, installCallback)).body
    const hers = (await exchange(await userCode(), callback)).body
    leave(sandbox.context, ada.uid)
    expect([await isActive(tokens.access_token), await isActive(hers.access_token), await isActive(hers.refresh_token)]).toEqual([
      true,
      false,
      false
    ])

    comeBack(sandbox.context, ada.uid)
    asAda = await logIn(sandbox, ada)
    await ask(`${sandbox.urls.developerHub}/installations/${installation}`, { method: 'DELETE', headers: asAda })
    expect(await isActive(tokens.access_token)).toBe(false)
  })

  it('is not to be had by an editor', async () => {
    const installation = await installApp(sandbox, asAda, app.appUid, blogApiKey)
    expect((await installCode(installation, await logIn(sandbox, edda))).status).toBe(403)
  })
})

describe('the signed app-token of a UI location', () => {
  const mint = (installationUid: string, headers: Record<string, string>) =>
    ask<{ token: string }>(`${sandbox.urls.application}/apps-api/app-token`, {
      method: 'POST',
      headers,
      body: { installation_uid: installationUid }
    })

  it('verifies with the region’s public key, names person and place, and lives five minutes', async () => {
    const installation = await installApp(sandbox, asAda, app.appUid, blogApiKey)
    const { body } = await mint(installation, await logIn(sandbox, edda))
    const keys = await ask<{ 'signing-key': string }>(`${sandbox.urls.application}/.well-known/public-keys.json`)
    expect(keys.body['signing-key']).toMatch(/^-----BEGIN RSA PUBLIC KEY-----\n/)
    const at = new Date(sandbox.clock.now())
    const { payload, protectedHeader } = await jwtVerify(body.token, createPublicKey(keys.body['signing-key']), {
      algorithms: ['RS256'],
      currentDate: at
    })
    expect(protectedHeader.alg).toBe('RS256')
    expect(payload).toEqual({
      app_uid: app.appUid,
      installation_uid: installation,
      organization_uid: ada.organizationUids[0],
      user_uid: edda.uid,
      stack_api_key: blogApiKey,
      iat: expect.any(Number),
      exp: payload.iat! + 300
    })
  })

  it('carries issuer and audience, where the platform is played so', async () => {
    const installation = await installApp(sandbox, asAda, app.appUid, blogApiKey)
    sandbox.context.plays.appTokenClaims = 'with-iss-aud'
    const { body } = await mint(installation, asAda)
    sandbox.context.plays.appTokenClaims = 'plain'
    expect(JSON.parse(Buffer.from(body.token.split('.')[1]!, 'base64url').toString())).toMatchObject({
      iss: sandbox.urls.application,
      aud: app.appUid
    })
  })

  it('is not given to people outside the stack, nor without a login', async () => {
    const installation = await installApp(sandbox, asAda, app.appUid, blogApiKey)
    expect((await mint(installation, await logIn(sandbox, sara))).status).toBe(404)
    expect((await mint(installation, {})).status).toBe(401)
  })
})

describe('minting a management token', () => {
  const mint = (accessToken: string, name: string) =>
    ask<{ token?: { token: string }; error_code?: number }>(`${sandbox.urls.contentManagement}/v3/stacks/management_tokens`, {
      method: 'POST',
      headers: { authorization: `Bearer ${accessToken}`, api_key: blogApiKey, organization_uid: ada.organizationUids[0]! },
      body: {
        token: {
          name,
          scope: [
            { module: 'content_type', acl: { read: true, write: true } },
            { module: 'branch', branches: ['main'], acl: { read: true } }
          ],
          expires_on: '2099-01-01'
        }
      }
    })

  it('is what a user token with the scope is for, while its authorization stands', async () => {
    const { access_token: grant } = (await exchange(await userCode(), callback)).body
    const minted = await mint(grant, 'Quayside first')
    expect(minted.body.token?.token).toMatch(/^cs/)
    const headers = { authorization: `Bearer ${grant}`, organization_uid: ada.organizationUids[0]! }
    await ask(`${sandbox.urls.developerHub}/manifests/${app.appUid}/authorizations`, { method: 'DELETE', headers })
    const refused = await mint(grant, 'Quayside second')
    expect([refused.status, refused.body.error_code]).toEqual([401, 105])
  })

  it('is not to be had with an app token', async () => {
    const installation = await installApp(sandbox, asAda, app.appUid, blogApiKey)
    const { body } = await ask<{ redirect_url: string }>(`${sandbox.urls.application}/apps-api/install-code`, {
      method: 'POST',
      headers: asAda,
      body: { app_uid: app.appUid, installation_uid: installation }
    })
    const { access_token: appToken } = (await exchange(new URL(body.redirect_url).searchParams.get('code')!, installCallback)).body
    const refused = await mint(appToken, 'Quayside third')
    expect([401, 403]).toContain(refused.status)
    expect(refused.body).not.toHaveProperty('token')
  })
})
