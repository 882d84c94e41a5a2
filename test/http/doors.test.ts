// What every door says before it says anything else: who may frame it, what its cookies are, how it refuses. In-process, on a
// public address of https as in production; Contentstack and the identity provider are not asked for anything here.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type App, createApp } from '../../server/app.ts'
import type { Config, Secrets } from '../../server/config.ts'
import { createLog } from '../../server/log.ts'
import { generateKeyRing, parseKeyRing } from '../../server/vault/cipher.ts'
import { freshSqlite } from '../support/databases.ts'

const publicUrl = 'https://quayside.example.com'
const application = 'https://eu-app.contentstack.com'

let app: App
let folder: string
let cleanup: () => Promise<void>
let issuer: { url: string; close: () => void }
const lines: string[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'quayside-doors-'))
  issuer = await startIssuer()
  const database = await freshSqlite()
  cleanup = database.cleanup
  const config: Config = {
    production: false,
    publicUrl,
    host: '127.0.0.1',
    port: 0,
    databaseUrl: database.url,
    anchorFile: join(folder, 'audit-anchors.jsonl'),
    filesDirectory: folder,
    privateHosts: ['127.0.0.1'],
    trustedProxies: ['loopback'],
    role: 'http',
    workers: 1,
    logLevel: 'debug',
    organizations: []
  }
  const region = { id: 'eu', location: 'EU', application, contentManagement: 'https://cma.invalid', developerHub: 'https://hub.invalid' }
  const secrets: Secrets = {
    keyRing: parseKeyRing(generateKeyRing()),
    apps: [{ region, appUid: 'app', clientId: 'client', clientSecret: 'client-secret-value', webhookSecret: 'lifecycle-secret-value' }],
    identityProviders: [
      {
        id: 'corporate',
        name: 'Corporate',
        issuer: issuer.url,
        clientId: 'console',
        clientSecret: 'idp-secret-value',
        tokenEndpointAuthMethod: 'client_secret_post',
        groupRoles: {}
      }
    ]
  }
  app = await createApp(config, secrets, createLog('debug', { write: line => void lines.push(line) }), { background: false })
})
afterAll(async () => {
  await app.close()
  await cleanup()
  issuer.close()
  await rm(folder, { recursive: true })
})

const ask = (path: string, init: RequestInit = {}) => fetch(`${app.url}${path}`, { redirect: 'manual', ...init })
const directive = (response: Response, name: string) =>
  (response.headers.get('content-security-policy') ?? '').split(';').find(part => part.startsWith(`${name} `))

describe('who may frame and what may run', () => {
  it.each(['/app-configuration', '/entry-sidebar', '/stack-dashboard', '/full-page'])('lets the region alone frame %s', async path => {
    const response = await ask(path)
    expect(directive(response, 'frame-ancestors')).toBe(`frame-ancestors ${application}`)
    expect(response.headers.get('x-frame-options')).toBeNull()
    expect(response.headers.get('referrer-policy')).toBe('no-referrer')
  })

  it.each(['/console/', '/console/login?provider=nobody', '/oauth/grant/grf_1', '/api/console/me', '/api/extension/stack'])(
    'lets nobody frame %s',
    async path => {
      const response = await ask(path)
      expect(directive(response, 'frame-ancestors')).toBe("frame-ancestors 'none'")
      expect(response.headers.get('x-frame-options')).toBe('DENY')
    }
  )

  it('runs no inline script and no inline style anywhere, and insists on https', async () => {
    for (const path of ['/console/', '/entry-sidebar', '/oauth/grant/start']) {
      const response = await ask(path)
      expect(directive(response, 'script-src')).toBe("script-src 'self'")
      expect(directive(response, 'style-src')).toBe("style-src 'self'")
      expect(response.headers.get('strict-transport-security')).toContain('max-age=')
      expect(response.headers.get('x-powered-by')).toBeNull()
    }
  })

  it.each(['/api/console/me', '/api/extension/stack', '/api/operator/keys', '/oauth/grant/start'])('keeps no copy of %s', async path => {
    expect((await ask(path)).headers.get('cache-control')).toBe('no-store')
  })
})

describe('the login', () => {
  it('keeps its state in a cookie that only this host can set and only https carries', async () => {
    const response = await ask('/console/login')
    expect(response.status).toBe(302)
    const [cookie = ''] = response.headers.getSetCookie()
    expect(cookie).toMatch(/^__Host-quayside-login=/)
    for (const attribute of ['HttpOnly', 'Secure', 'SameSite=Lax', 'Path=/']) expect(cookie).toContain(attribute)
    expect(response.headers.get('location')).toContain('code_challenge_method=S256')
  })

  it.each([
    ['another site', 'https://evil.example/'],
    ['another site without its scheme', '//evil.example/'],
    ['a path outside the console', '/oauth/grant/start'],
    ['a script', 'javascript:alert(1)'],
    ['a backslash', '/console/\\evil.example']
  ])('never comes back to %s', async (_case, target) => {
    const response = await ask(`/console/login?return=${encodeURIComponent(target)}`)
    const value = /__Host-quayside-login=([^;]+)/.exec(response.headers.getSetCookie()[0] ?? '')?.[1] ?? ''
    const content = Buffer.from(decodeURIComponent(value).split('.')[0] ?? '', 'base64url').toString()
    expect(JSON.parse(content)).toMatchObject({ returnTo: '/console/' })
  })

  it.each([
    ['without the cookie', ''],
    ['with a made-up cookie', '__Host-quayside-login=e30.0000'],
    [
      'with a cookie whose mark does not fit',
      `__Host-quayside-login=${Buffer.from('{"provider":"corporate"}').toString('base64url')}.${'0'.repeat(64)}`
    ]
  ])('answers a callback %s as a page, and gives no session', async (_case, cookie) => {
    const response = await ask('/console/callback/corporate?code=stolen-code&state=stolen-state', { headers: { cookie } })
    expect(response.status).toBe(401)
    expect(await response.text()).toContain('Start again from the login page')
    expect(response.headers.getSetCookie().join()).not.toContain('__Host-quayside=')
  })
})

describe('refusals', () => {
  const json = { 'content-type': 'application/json' }
  it.each([
    ['no session', '/api/console/me', {}, 401, 'You are not logged in'],
    ['a made-up session', '/api/console/me', { headers: { cookie: `__Host-quayside=${'A'.repeat(43)}` } }, 401, 'You are not logged in'],
    [
      'a change from another origin',
      '/api/console/logout',
      { method: 'POST', headers: { ...json, origin: 'https://evil.example' }, body: '{}' },
      403,
      'not asked for by a page of Quayside'
    ],
    [
      'a change without an origin',
      '/api/console/logout',
      { method: 'POST', headers: json, body: '{}' },
      403,
      'not asked for by a page of Quayside'
    ],
    [
      'a form instead of JSON',
      '/api/console/logout',
      { method: 'POST', headers: { 'content-type': 'text/plain', origin: publicUrl }, body: '{}' },
      403,
      'not asked for by a page of Quayside'
    ],
    [
      'broken JSON',
      '/api/extension/session',
      { method: 'POST', headers: { ...json, origin: publicUrl }, body: '{' },
      400,
      'could not be read'
    ],
    [
      'a body that is too large',
      '/api/extension/session',
      { method: 'POST', headers: { ...json, origin: publicUrl }, body: JSON.stringify({ appToken: 'a'.repeat(300_000) }) },
      400,
      'too large'
    ],
    [
      'a field of the wrong kind',
      '/api/extension/session',
      { method: 'POST', headers: { ...json, origin: publicUrl }, body: '{"appToken":7}' },
      400,
      'appToken'
    ],
    [
      'no app-token at all',
      '/api/extension/session',
      { method: 'POST', headers: { ...json, origin: publicUrl }, body: '{"__proto__":{"appToken":"x"}}' },
      400,
      'appToken'
    ],
    [
      'something that is no app-token',
      '/api/extension/session',
      { method: 'POST', headers: { ...json, origin: publicUrl }, body: '{"appToken":"abc"}' },
      401,
      'no app-token'
    ],
    ['a frame without a session', '/api/extension/stack', {}, 401, 'This session is over'],
    ['a command without a mark', '/api/operator/keys', {}, 401, 'not marked with the key ring'],
    ['an unknown route', '/api/console/../../etc/passwd', {}, 404, 'There is no GET'],
    ['a webhook of nobody', '/webhooks/content/ins_nobody', { method: 'POST', body: '{}' }, 403, ''],
    ['a lifecycle event of an unknown region', '/webhooks/lifecycle/mars', { method: 'POST', body: '{}' }, 403, '']
  ])('says %s in words, with a request id and nothing of our inside', async (_case, path, init: RequestInit, status, words) => {
    const response = await ask(path, init)
    const text = await response.text()
    expect([response.status, text]).toEqual([status, expect.stringContaining(words)])
    expect(JSON.parse(text)).toMatchObject({ error: { requestId: response.headers.get('x-request-id') } })
    expect(text).not.toMatch(/\bat \/|node_modules|\.ts:\d+|Error:/)
  })

  it('speaks the CMA dialect to scripts', async () => {
    const response = await ask('/gateway/v3/content_types', { headers: { authorization: 'blt0123456789abcdef' } })
    expect(response.status).toBe(401)
    expect(await response.json()).toMatchObject({ error_code: 105, error_message: expect.stringContaining('access key') })
  })

  it('limits each person behind a trusted proxy apart, not the proxy', async () => {
    const from = (address: string) => ask('/console/login?provider=nobody', { headers: { 'x-forwarded-for': address } })
    const statuses: number[] = []
    for (let count = 0; count < 125; count += 1) statuses.push((await from('203.0.113.7')).status)
    expect(statuses.slice(0, 110).every(status => status === 404)).toBe(true)
    expect(statuses.at(-1)).toBe(429)
    expect((await from('203.0.113.8')).status).toBe(404)
  })

  it('writes paths into the log, never what came behind them', async () => {
    await ask('/oauth/grant/callback?code=very-secret-code&state=very-secret-state&location=EU')
    await ask('/entry-sidebar?app-token=very-secret-token')
    const log = lines.join('\n')
    expect(log).toContain('/oauth/grant/callback')
    expect(log).not.toMatch(/very-secret|client-secret-value|lifecycle-secret-value|idp-secret-value|stolen-/)
  })
})

/** Just enough of an identity provider to begin a login at. */
async function startIssuer(): Promise<{ url: string; close: () => void }> {
  const server = createServer((_request, response) => {
    const { port } = server.address() as AddressInfo
    const url = `http://127.0.0.1:${port}`
    response.setHeader('content-type', 'application/json')
    response.end(
      JSON.stringify({
        issuer: url,
        authorization_endpoint: `${url}/auth`,
        token_endpoint: `${url}/token`,
        jwks_uri: `${url}/jwks`,
        response_types_supported: ['code']
      })
    )
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() }
}
