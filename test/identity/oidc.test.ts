import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createSandbox, type Sandbox } from '../../sandbox/sandbox.ts'
import { isAppError } from '../../server/errors.ts'
import { createOidc, type Flow, type OidcSettings } from '../../server/identity/oidc.ts'

const ports = { application: 0, contentManagement: 0, developerHub: 0, identity: 0, control: 0 }
const redirectUri = 'http://127.0.0.1:4999/login/callback'

let sandbox: Sandbox
let settings: OidcSettings

beforeAll(async () => {
  sandbox = await createSandbox({ ports })
  settings = {
    issuer: sandbox.urls.identity,
    clientId: 'quayside-console',
    clientSecret: 'a secret with % and + and : in it',
    tokenEndpointAuthMethod: 'client_secret_post',
    redirectUri,
    groupRoles: {
      'quayside-admins': { role: 'admin', organizations: '*' },
      'quayside-auditors': { role: 'auditor', organizations: [{ region: 'sandbox', organizationUid: 'blt1' }] }
    },
    allowInsecure: true
  }
  sandbox.registerIdentityClient({ clientId: settings.clientId, clientSecret: settings.clientSecret, redirectUris: [redirectUri] })
})

afterAll(() => sandbox.close())

/** Goes through the provider's pages as a browser would, choosing a person; returns the address it is sent back to. */
async function logIn(url: string, email: string): Promise<string> {
  const cookies = new Map<string, string>()
  const step = async (target: string, init: { method?: string; body?: URLSearchParams } = {}) => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(target, { ...init, redirect: 'manual', headers: { cookie } })
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';')
      cookies.set(pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1))
    }
    await response.arrayBuffer()
    return new URL(response.headers.get('location') ?? target, target).href
  }
  let at = await step(url)
  for (let hops = 0; hops < 10 && !at.startsWith(redirectUri); hops += 1) {
    const body = new URLSearchParams({ email })
    at = at.includes('/interaction/') ? await step(`${at}/login`, { method: 'POST', body }) : await step(at)
  }
  return at
}

async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'passed'
  } catch (error) {
    if (isAppError(error)) return error.code
    throw error
  }
}

describe('login by OIDC', () => {
  it.each(['client_secret_post', 'client_secret_basic'] as const)('knows the person and what their groups grant (%s)', async method => {
    // The provider decodes the percent-encoded basic form; a secret without special characters does on every provider.
    const clientSecret = method === 'client_secret_basic' ? 'plainsecret' : settings.clientSecret
    const clientId = `console-${method}`
    sandbox.registerIdentityClient({ clientId, clientSecret, redirectUris: [redirectUri], tokenEndpointAuthMethod: method })
    const oidc = createOidc({ ...settings, clientId, clientSecret, tokenEndpointAuthMethod: method })
    const { url, flow } = await oidc.begin()
    expect(await oidc.finish(await logIn(url, 'admin@quay.example'), flow)).toEqual({
      issuer: sandbox.urls.identity,
      subject: 'quay-0001',
      name: 'Anke Admin',
      email: 'admin@quay.example',
      grants: [{ role: 'admin', organizations: '*' }]
    })
  })

  it('asks with PKCE, state and nonce, none of them twice', async () => {
    const oidc = createOidc(settings)
    const [first, second] = [await oidc.begin(), await oidc.begin()]
    const query = new URL(first.url).searchParams
    expect(query.get('code_challenge_method')).toBe('S256')
    expect(query.get('state')).toBe(first.flow.state)
    expect(query.get('nonce')).toBe(first.flow.nonce)
    expect(first.url).not.toContain(first.flow.verifier)
    for (const name of ['state', 'nonce', 'verifier'] as const) expect(first.flow[name]).not.toBe(second.flow[name])
  })

  it.each(['stranger@quay.example', 'operator@quay.example', 'admin@secondshore.example'])(
    'turns %s away, who is in no mapped group',
    async email => {
      const oidc = createOidc(settings)
      const { url, flow } = await oidc.begin()
      await expect(oidc.finish(await logIn(url, email), flow)).rejects.toMatchObject({
        code: 'forbidden',
        message: expect.stringContaining('not to Quayside') as string,
        remedy: expect.stringContaining('operator') as string
      })
    }
  )

  it('takes a cancelled login as cancelled', async () => {
    const oidc = createOidc(settings)
    const { url, flow } = await oidc.begin()
    await expect(oidc.finish(await logIn(url, ''), flow)).rejects.toMatchObject({
      code: 'unauthorized',
      message: 'The login was cancelled.'
    })
  })

  it('reads only the query of the address it came back to', async () => {
    const oidc = createOidc(settings)
    const { url, flow } = await oidc.begin()
    const back = new URL(await logIn(url, 'admin@quay.example'))
    expect(await oidc.finish(`http://elsewhere.example/other${back.search}`, flow)).toMatchObject({ subject: 'quay-0001' })
  })

  it.each<[string, (back: URL, flow: Flow) => Flow]>([
    ['the state of another login', (_back, flow) => ({ ...flow, state: 'x'.repeat(43) })],
    ['a missing state', (back, flow) => (back.searchParams.delete('state'), flow)],
    ['a state twice', (back, flow) => (back.searchParams.append('state', flow.state), flow)],
    ['the verifier of another login', (_back, flow) => ({ ...flow, verifier: 'v'.repeat(43) })],
    ['the nonce of another login', (_back, flow) => ({ ...flow, nonce: 'n'.repeat(43) })],
    ['a made-up code', (back, flow) => (back.searchParams.set('code', 'made-up'), flow)],
    ['no code', (back, flow) => (back.searchParams.delete('code'), flow)],
    ['another issuer', (back, flow) => (back.searchParams.set('iss', 'https://evil.example'), flow)],
    [
      'an error the provider never sent',
      (back, flow) => (back.searchParams.set('error', 'access_denied'), back.searchParams.set('state', 'x'), flow)
    ]
  ])('refuses %s', async (_title, change) => {
    const oidc = createOidc(settings)
    const { url, flow } = await oidc.begin()
    const back = new URL(await logIn(url, 'admin@quay.example'))
    const changed = change(back, flow)
    expect(await refusal(oidc.finish(back, changed))).toBe('unauthorized')
  })

  it('refuses the same answer twice', async () => {
    const oidc = createOidc(settings)
    const { url, flow } = await oidc.begin()
    const back = await logIn(url, 'admin@quay.example')
    await oidc.finish(back, flow)
    expect(await refusal(oidc.finish(back, flow))).toBe('unauthorized')
  })

  it('says that our client is refused, without its secret', async () => {
    const oidc = createOidc({ ...settings, clientSecret: 'wrong-secret-0123456789' })
    const { url, flow } = await oidc.begin()
    const back = await logIn(url, 'admin@quay.example')
    const error: unknown = await oidc.finish(back, flow).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'upstream' })
    expect(String(error)).not.toContain('wrong-secret')
  })

  it('begins again by itself once a provider that was down is back', async () => {
    let down = true
    const oidc = createOidc({ ...settings, fetch: (input, init) => (down ? Promise.reject(new Error('down')) : fetch(input, init)) })
    expect(await refusal(oidc.begin())).toBe('upstream')
    down = false
    expect((await oidc.begin()).url).toContain(sandbox.urls.identity)
  })

  it('refuses a provider on plain http unless that is allowed', async () => {
    expect(await refusal(createOidc({ ...settings, allowInsecure: false }).begin())).toBe('upstream')
  })
})
