import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { ada, dora, harbourPublishing, otto } from '../../sandbox/world/people.ts'
import {
  type AppCredentials,
  authorizeUrl,
  challengeOf,
  exchangeCode,
  type Exchanged,
  grantScopes,
  introspect,
  listAuthorizations,
  newPkce,
  revokeAuthorization
} from '../../server/contentstack/oauth.ts'
import { createTokenAdmin, type TokenAdmin } from '../../server/contentstack/tokens.ts'
import { silentLog } from '../../server/log.ts'
import type { User } from '../../sandbox/world/model.ts'
import { credentialsOf, regionOf } from '../support/contentstack.ts'
import { ask, callback, installApp, installCallback, logIn, registerApp, startSandbox } from '../support/sandbox.ts'

let sandbox: Sandbox
let app: AppCredentials

beforeAll(async () => {
  sandbox = await startSandbox()
})
afterAll(() => sandbox.close())
beforeEach(async () => {
  app = credentialsOf(sandbox, await registerApp(sandbox))
  sandbox.context.plays.revocation = 'allowed'
})

/** Consents as the consent page does, from the very address that the browser would be sent to. */
async function consent(person: User, url: string): Promise<URL> {
  const asked = Object.fromEntries(new URL(url).searchParams)
  const { body } = await ask<{ data: { redirect_url: string } }>(`${sandbox.urls.developerHub}/manifests/${app.appUid}/authorize`, {
    method: 'POST',
    headers: await logIn(sandbox, person),
    body: asked
  })
  return new URL(body.data.redirect_url)
}

async function authorise(person: User): Promise<Exchanged> {
  const { verifier, challenge } = newPkce()
  const back = await consent(person, authorizeUrl(app, { redirectUri: callback, scopes: grantScopes, state: 'state', challenge }))
  return await exchangeCode(app, { code: back.searchParams.get('code')!, redirectUri: callback, verifier })
}

const bearerOf = ({ accessToken, organizationUid }: Exchanged) => ({ accessToken, organizationUid })

describe('an authorization', () => {
  it("is asked for at the region's own application host with state, PKCE and only the token scopes", () => {
    const url = new URL(authorizeUrl(app, { redirectUri: callback, scopes: grantScopes, state: 's', challenge: challengeOf('v') }))
    expect(`${url.origin}${url.pathname}`).toBe(`${sandbox.urls.application}/apps/${app.appUid}/authorize`)
    expect(Object.fromEntries(url.searchParams)).toEqual({
      response_type: 'code',
      client_id: app.clientId,
      redirect_uri: callback,
      scope: 'cm.stack.management-tokens:read cm.stack.management-tokens:write',
      state: 's',
      code_challenge: challengeOf('v'),
      code_challenge_method: 'S256'
    })
    expect(url.search).not.toContain(app.clientSecret)
  })

  it('becomes a token that names person and organization, without its refresh token', async () => {
    const token = await authorise(ada)
    expect(token).toEqual({
      accessToken: expect.any(String),
      organizationUid: harbourPublishing,
      stackApiKey: null,
      userUid: ada.uid,
      authorizationType: 'user',
      expiresInSeconds: 3600
    })
    expect(await introspect(app, token.accessToken)).toEqual({ active: true })
  })

  it('is found by its person and taken back alone', async () => {
    const [adas, ottos] = [await authorise(ada), await authorise(otto)]
    const listed = await listAuthorizations(app, bearerOf(adas))
    expect(listed.map(({ userUid }) => userUid).sort()).toEqual([ada.uid, otto.uid].sort())
    const own = listed.find(({ userUid }) => userUid === ada.uid)!
    await revokeAuthorization(app, bearerOf(adas), own.authorizationUid)
    expect(await introspect(app, adas.accessToken)).toEqual({ active: false })
    expect(await introspect(app, ottos.accessToken)).toEqual({ active: true })
  })

  it('says forbidden where Contentstack refuses to take it back', async () => {
    sandbox.context.plays.revocation = 'refused'
    const token = await authorise(ada)
    const [own] = await listAuthorizations(app, bearerOf(token))
    await expect(revokeAuthorization(app, bearerOf(token), own!.authorizationUid)).rejects.toMatchObject({ code: 'forbidden' })
  })

  it("never sends a delete without a uid, which would end everybody's", async () => {
    await expect(revokeAuthorization(app, { accessToken: 'x', organizationUid: 'y' }, '')).rejects.toMatchObject({ code: 'internal' })
  })
})

describe('a code', () => {
  it.each([
    ['an unknown code', { code: 'nonsense' }],
    ['another verifier', { verifier: 'x'.repeat(43) }],
    ['another redirect address', { redirectUri: 'http://127.0.0.1:9/elsewhere' }]
  ])('with %s is refused without a token', async (_name, wrong) => {
    const { verifier, challenge } = newPkce()
    const back = await consent(ada, authorizeUrl(app, { redirectUri: callback, scopes: grantScopes, state: 's', challenge }))
    const good = { code: back.searchParams.get('code')!, redirectUri: callback, verifier }
    await expect(exchangeCode(app, { ...good, ...wrong })).rejects.toMatchObject({
      code: 'invalid',
      remedy: expect.stringContaining('60 seconds')
    })
  })

  it('works once', async () => {
    const { verifier, challenge } = newPkce()
    const back = await consent(ada, authorizeUrl(app, { redirectUri: callback, scopes: grantScopes, state: 's', challenge }))
    const input = { code: back.searchParams.get('code')!, redirectUri: callback, verifier }
    await exchangeCode(app, input)
    await expect(exchangeCode(app, input)).rejects.toMatchObject({ code: 'invalid' })
  })

  it('older than a minute is refused', async () => {
    const { verifier, challenge } = newPkce()
    const back = await consent(ada, authorizeUrl(app, { redirectUri: callback, scopes: grantScopes, state: 's', challenge }))
    sandbox.clock.advance(61_000)
    await expect(exchangeCode(app, { code: back.searchParams.get('code')!, redirectUri: callback, verifier })).rejects.toMatchObject({
      code: 'invalid'
    })
  })

  it("of an install gives the app's own token, with the stack", async () => {
    const asAda = await logIn(sandbox, ada)
    const installationUid = await installApp(sandbox, asAda, app.appUid, blogApiKey)
    const { body } = await ask<{ redirect_url: string }>(`${sandbox.urls.application}/apps-api/install-code`, {
      method: 'POST',
      headers: asAda,
      body: { app_uid: app.appUid, installation_uid: installationUid }
    })
    const code = new URL(body.redirect_url).searchParams.get('code')!
    expect(await exchangeCode(app, { code, redirectUri: installCallback })).toMatchObject({
      authorizationType: 'app',
      stackApiKey: blogApiKey
    })
  })
})

describe('the management tokens of a stack, through a grant', () => {
  const adminFor = (token: Exchanged, apiKey = blogApiKey): TokenAdmin =>
    createTokenAdmin({
      region: regionOf(sandbox),
      apiKey,
      organizationUid: token.organizationUid,
      userAccessToken: token.accessToken,
      acquire: () => Promise.resolve(),
      learn() {},
      log: silentLog
    })

  it('are made with read and write on the branches asked for, listed without secret, and deleted', async () => {
    const admin = adminFor(await authorise(ada))
    const { token, secret } = await admin.createToken({ name: 'Made', description: 'd', branches: ['main'], expiresOn: '2030-01-01' })
    expect(secret).not.toBe('')
    const listed = (await admin.listTokens()).find(({ uid }) => uid === token.uid)!
    expect(listed.scope).toEqual(
      expect.arrayContaining([expect.objectContaining({ module: 'content_type', acl: { read: true, write: true } })])
    )
    expect(JSON.stringify(listed)).not.toContain(secret)
    expect([await admin.deleteToken(token.uid), await admin.deleteToken(token.uid)]).toEqual([true, false])
  })

  it('are out of reach for a developer', async () => {
    const admin = adminFor(await authorise(dora))
    await expect(admin.listTokens()).rejects.toMatchObject({ code: 'forbidden' })
    await expect(admin.createToken({ name: 'No', description: '', branches: ['main'], expiresOn: null })).rejects.toMatchObject({
      code: 'forbidden'
    })
  })
})
