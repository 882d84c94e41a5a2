import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { blogApiKey, shopApiKey } from '../../sandbox/world/built-in.ts'
import { ada, dora, edda, harbourPublishing, otto, sara } from '../../sandbox/world/people.ts'
import { ask, installApp, logIn, type RegisteredApp, registerApp, startSandbox } from '../support/sandbox.ts'

let sandbox: Sandbox
let app: RegisteredApp
let asAda: Record<string, string>
let hub: string

beforeAll(async () => {
  sandbox = await startSandbox()
  hub = sandbox.urls.developerHub
})
afterAll(() => sandbox.close())

beforeEach(async () => {
  for (const uid of Object.keys(sandbox.world.installations)) delete sandbox.world.installations[uid]
  app = await registerApp(sandbox)
  asAda = await logIn(sandbox, ada)
})

interface InstallationBody {
  data: {
    uid: string
    status: string
    target: { type: string; uid: string }
    ui_location: { base_url: string; locations: { type: string; meta: { path: string; extension_uid: string }[] }[] }
    configuration: Record<string, unknown>
    server_configuration?: Record<string, unknown>
  }
}

describe('an app', () => {
  it('is made, read and changed under both names of the route, and counts its versions', async () => {
    const made = await ask<{ data: { uid: string; version: number } }>(`${hub}/apps`, {
      method: 'POST',
      headers: asAda,
      body: { name: 'Notes', target_type: 'stack' }
    })
    expect(made.status).toBe(201)
    const path = `${hub}/manifests/${made.body.data.uid}`
    const changed = await ask(path, {
      method: 'PUT',
      headers: asAda,
      body: { description: 'Keeps notes', ui_location: { base_url: 'https://notes.example', locations: [] } }
    })
    expect(changed.body['data']).toMatchObject({
      name: 'Notes',
      description: 'Keeps notes',
      version: 2,
      organization_uid: harbourPublishing
    })
    const listed = await ask<{ data: unknown[]; count: number; limit: number }>(`${hub}/manifests?search=notes&limit=500`, {
      headers: asAda
    })
    expect([listed.body.count, listed.body.limit]).toEqual([1, 50])
    expect((await ask(path, { method: 'DELETE', headers: asAda })).status).toBe(200)
    expect((await ask(path, { headers: asAda })).status).toBe(404)
  })

  it.each([
    ['a name of two characters', { name: 'ab', target_type: 'stack' }],
    ['a name of 21 characters', { name: 'a'.repeat(21), target_type: 'stack' }],
    ['no target', { name: 'Notes' }],
    ['a webhook over http to elsewhere', { name: 'Notes', target_type: 'stack', webhook: { target_url: 'http://app.example/hooks' } }],
    ['a webhook to something that is no address', { name: 'Notes', target_type: 'stack', webhook: { target_url: 'hooks' } }],
    [
      'a redirect address over http to elsewhere',
      { name: 'Notes', target_type: 'stack', oauth: { redirect_uri: 'http://app.example/cb' } }
    ],
    [
      'a scope nobody knows',
      { name: 'Notes', target_type: 'stack', oauth: { user_token_config: { enabled: true, scopes: ['cm.everything'] } } }
    ],
    [
      'an app token that would reach management tokens',
      { name: 'Notes', target_type: 'stack', oauth: { app_token_config: { enabled: true, scopes: ['cm.stack.management-tokens:write'] } } }
    ]
  ])('with %s is refused', async (_what, body) => {
    const before = Object.keys(sandbox.world.apps).length
    const answer = await ask(`${hub}/manifests`, { method: 'POST', headers: asAda, body })
    expect(answer.status).toBe(400)
    expect(Object.keys(sandbox.world.apps)).toHaveLength(before)
  })

  it('must repeat base_url when its UI locations change', async () => {
    const answer = await ask(`${hub}/manifests/${app.appUid}`, { method: 'PUT', headers: asAda, body: { ui_location: { locations: [] } } })
    expect([answer.status, answer.body['error_message']]).toEqual([400, 'ui_location.base_url is invalid'])
  })

  it('shows its client secret only in its own organization', async () => {
    const own = await ask<{ data: Record<string, unknown> }>(`${hub}/manifests/${app.appUid}/oauth`, { headers: asAda })
    expect(own.body.data).toMatchObject({ client_id: app.clientId, client_secret: app.clientSecret, app_uid: app.appUid })
    const unlisted = await registerApp(sandbox, { manifest: { visibility: 'public_unlisted' } })
    const asSara = await logIn(sandbox, sara)
    expect((await ask(`${hub}/manifests/${unlisted.appUid}`, { headers: asSara })).status).toBe(200)
    const refused = await ask(`${hub}/manifests/${unlisted.appUid}/oauth`, { headers: asSara })
    expect(refused.status).toBe(403)
    expect(JSON.stringify(refused.body)).not.toContain(unlisted.clientSecret)
  })

  it('tells which scopes there are, for which kind of token', async () => {
    const { body } = await ask<{ data: { user_token: string[]; app_token: string[] } }>(`${hub}/manifests/oauth/scopes`, { headers: asAda })
    expect(body.data.user_token).toContain('cm.stack.management-tokens:write')
    expect(body.data.app_token).not.toContain('cm.stack.management-tokens:write')
    expect(body.data.app_token).toContain('cm.entries.management:write')
  })
})

describe('the host', () => {
  it.each([
    ['no login', {}, 401],
    ['a wrong authtoken', { authtoken: 'blt0', organization_uid: harbourPublishing }, 401],
    ['a wrong bearer', { authorization: 'Bearer nothing', organization_uid: harbourPublishing }, 401]
  ])('answers %s with 401 and code 105', async (_what, headers, status) => {
    const answer = await ask(`${hub}/manifests`, { headers })
    expect([answer.status, answer.body['error_code']]).toEqual([status, 105])
  })

  it('wants the organization named, and only one’s own', async () => {
    expect((await ask(`${hub}/manifests`, { headers: { authtoken: asAda['authtoken']! } })).status).toBe(400)
    expect((await ask(`${hub}/manifests`, { headers: { ...asAda, organization_uid: sara.organizationUids[0]! } })).status).toBe(403)
  })

  it('lets the CMS page in from its own origin', async () => {
    const answer = await fetch(`${hub}/manifests`, {
      method: 'OPTIONS',
      headers: { origin: sandbox.urls.application, 'access-control-request-headers': 'authtoken,organization_uid' }
    })
    expect(answer.status).toBe(204)
    expect(answer.headers.get('access-control-allow-origin')).toBe(sandbox.urls.application)
    expect(answer.headers.get('access-control-allow-headers')).toContain('authtoken')
  })
})

describe('an installation', () => {
  const install = (headers: Record<string, string>, target: string, appUid = app.appUid) =>
    ask(`${hub}/manifests/${appUid}/install`, { method: 'POST', headers, body: { target_type: 'stack', target_uid: target } })

  it('answers where the configuration page is', async () => {
    const answer = await install(asAda, blogApiKey)
    expect(answer.status).toBe(200)
    const data = answer.body['data'] as Record<string, string>
    expect(data).toMatchObject({ status: 'installed', redirect_to: 'config' })
    expect(data['redirect_uri']).toBe(`${sandbox.urls.application}/installed-apps/${data['installation_uid']}/stacks/${blogApiKey}/config`)
  })

  it('exists once per stack', async () => {
    await install(asAda, blogApiKey)
    const again = await install(asAda, blogApiKey)
    expect([again.status, again.body['error_message']]).toEqual([400, 'Installation for app is already done'])
    expect(Object.values(sandbox.world.installations)).toHaveLength(1)
  })

  it.each([
    ['a developer', dora, blogApiKey, 403],
    ['an editor', edda, blogApiKey, 403],
    ['somebody of another organization, whose private app it is not', sara, shopApiKey, 404],
    ['an admin, into a stack of another organization', ada, shopApiKey, 404],
    ['an admin, into a stack that does not exist', ada, 'constructor', 404]
  ])('is refused to %s', async (_what, person, target, status) => {
    expect((await install(await logIn(sandbox, person), target)).status).toBe(status)
    expect(Object.values(sandbox.world.installations)).toEqual([])
  })

  it('of an unlisted app is possible in another organization, and stays unseen by the first', async () => {
    const unlisted = await registerApp(sandbox, { manifest: { visibility: 'public_unlisted' } })
    const uid = await installApp(sandbox, await logIn(sandbox, sara), unlisted.appUid, shopApiKey)
    expect((await ask(`${hub}/installations/${uid}`, { headers: asAda })).status).toBe(404)
    const listed = await ask<{ data: unknown[] }>(`${hub}/installations`, { headers: asAda })
    expect(listed.body.data).toEqual([])
  })

  it('keeps the addresses of its UI locations until it is uninstalled', async () => {
    const uid = await installApp(sandbox, asAda, app.appUid, blogApiKey)
    const read = async (installation: string) =>
      (await ask<InstallationBody>(`${hub}/installations/${installation}`, { headers: asAda })).body.data
    const first = await read(uid)
    expect(first.ui_location.locations[0]?.meta[0]?.extension_uid).toMatch(/^blt[0-9a-f]{16}$/)
    const moved = {
      base_url: 'https://moved.example',
      locations: [
        { type: 'cs.cm.stack.sidebar', meta: [{ path: '/sidebar' }] },
        { type: 'cs.cm.stack.config', meta: [{ path: '/config' }] }
      ]
    }
    await ask(`${hub}/manifests/${app.appUid}`, { method: 'PUT', headers: asAda, body: { ui_location: moved } })
    expect(await read(uid)).toMatchObject({ ui_location: first.ui_location })

    await ask(`${hub}/manifests/${app.appUid}/reinstall`, {
      method: 'PUT',
      headers: asAda,
      body: { target_type: 'stack', target_uid: blogApiKey }
    })
    const upgraded = await read(uid)
    expect(upgraded.ui_location.base_url).toBe(first.ui_location.base_url)
    expect(upgraded.ui_location.locations.map(it => it.type)).toEqual(['cs.cm.stack.sidebar', 'cs.cm.stack.config'])
    expect(upgraded.ui_location.locations[0]).toEqual(first.ui_location.locations[0])

    expect((await ask(`${hub}/installations/${uid}`, { method: 'DELETE', headers: asAda })).body).toEqual({})
    const fresh = await read(await installApp(sandbox, asAda, app.appUid, blogApiKey))
    expect(fresh.ui_location.base_url).toBe('https://moved.example')
    expect(fresh.configuration).toEqual({})
  })

  it('shows its configuration to the stack, its server configuration to admins only', async () => {
    const uid = await installApp(sandbox, asAda, app.appUid, blogApiKey)
    const put = (name: string, body: unknown, headers: Record<string, string>) =>
      ask(`${hub}/installations/${uid}/${name}`, { method: 'PUT', headers, body })
    expect((await put('configuration', { colour: 'teal' }, asAda)).status).toBe(200)
    expect((await put('server-configuration', { url: 'https://in.example' }, asAda)).status).toBe(200)
    const asEdda = await logIn(sandbox, edda)
    expect((await ask(`${hub}/installations/${uid}/configuration`, { headers: asEdda })).body).toEqual({ data: { colour: 'teal' } })
    expect((await ask(`${hub}/installations/${uid}/server-configuration`, { headers: asEdda })).status).toBe(403)
    expect((await put('configuration', { colour: 'red' }, asEdda)).status).toBe(403)
    const seen = await ask<InstallationBody>(`${hub}/installations/${uid}`, { headers: asEdda })
    expect(seen.body.data).not.toHaveProperty('server_configuration')
    const admin = await ask<InstallationBody>(`${hub}/installations/${uid}`, { headers: await logIn(sandbox, otto) })
    expect(admin.body.data).toMatchObject({ configuration: { colour: 'teal' }, server_configuration: { url: 'https://in.example' } })
  })

  it('is found by app and by stack', async () => {
    const uid = await installApp(sandbox, asAda, app.appUid, blogApiKey)
    const other = await registerApp(sandbox)
    await installApp(sandbox, asAda, other.appUid, blogApiKey)
    const list = async (query: string) =>
      (await ask<{ data: { uid: string }[] }>(`${hub}/installations?${query}`, { headers: asAda })).body.data.map(it => it.uid)
    expect(await list(`app_uids=${app.appUid}`)).toEqual([uid])
    expect(await list(`target_uids=${blogApiKey}`)).toHaveLength(2)
    expect(await list('target_uids=elsewhere')).toEqual([])
    expect((await ask<{ count: number }>(`${hub}/manifests/${app.appUid}/installations`, { headers: asAda })).body.count).toBe(1)
  })
})
