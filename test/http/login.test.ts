// The way into the console at a real identity provider: what a callback must bring, and what is left of the session before.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import type { IdentityProvider } from '../../server/config.ts'
import { type Answer, type House, openHouse, publicUrl } from './house.ts'

const groupRoles = { 'quayside-admins': { role: 'admin', organizations: '*' } } as const

function twoProviders(sandbox: Sandbox): IdentityProvider[] {
  return ['corporate', 'partner'].map(id => {
    const client = { clientId: `console-${id}`, clientSecret: `secret-of-${id}` }
    sandbox.registerIdentityClient({ ...client, redirectUris: [`${publicUrl}/console/callback/${id}`] })
    return { id, name: id, issuer: sandbox.urls.identity, tokenEndpointAuthMethod: 'client_secret_post', groupRoles, ...client }
  })
}

describe.each(['sqlite', 'postgres'] as const)('the login on %s', dialect => {
  let house: House
  beforeAll(async () => {
    house = await openHouse(dialect, twoProviders)
  })
  afterAll(() => house.close())

  /** A browser: its cookies, those of the provider and ours apart by name. */
  function browser() {
    const cookies = new Map<string, string>()
    const send = async (url: string, init: RequestInit = {}): Promise<Response> => {
      const headers = { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') }
      const response = await fetch(url.replace(publicUrl, house.app.url), { ...init, headers, redirect: 'manual' })
      for (const line of response.headers.getSetCookie()) {
        const [pair = ''] = line.split(';')
        const name = pair.slice(0, pair.indexOf('='))
        if (pair.endsWith('=')) cookies.delete(name)
        else cookies.set(name, pair.slice(name.length + 1))
      }
      return response
    }
    const held = () => ({ cookie: `__Host-quayside=${cookies.get('__Host-quayside') ?? ''}` })
    return {
      cookies,
      send,
      held,
      me: async (headers = held()) => (await house.ask('/api/console/me', { headers })).status,
      /** From our login page to the provider's answer: the address it sends the browser back to. */
      async goThrough(email: string, { provider = 'corporate', back = '' } = {}): Promise<string> {
        const begun = await send(`${publicUrl}/console/login?provider=${provider}&return=${encodeURIComponent(back)}`)
        let at = begun.headers.get('location') ?? ''
        for (let hops = 0; hops < 10 && !at.startsWith(publicUrl); hops += 1) {
          const chooses = at.includes('/interaction/')
          const answer = await send(chooses ? `${at}/login` : at, chooses ? { method: 'POST', body: new URLSearchParams({ email }) } : {})
          at = new URL(answer.headers.get('location') ?? at, at).href
        }
        return at
      }
    }
  }
  const sessions = async () => (await house.db.selectFrom('session').select('id_hash').execute()).length

  it('opens a session for a person of a known group, and leads back to the console', async () => {
    const person = browser()
    const response = await person.send(await person.goThrough('admin@quay.example', { back: '/console/runs?status=failed' }))
    expect([response.status, response.headers.get('location')]).toEqual([302, '/console/runs?status=failed'])
    const cookie = response.headers.getSetCookie().find(line => line.startsWith('__Host-quayside=')) ?? ''
    for (const attribute of ['HttpOnly', 'Secure', 'SameSite=Lax', 'Path=/', 'Max-Age=28800']) expect(cookie).toContain(attribute)
    expect(person.cookies.has('__Host-quayside-login')).toBe(false)
    expect(await person.me()).toBe(200)
  })

  it('ends the session that the same browser had before', async () => {
    const person = browser()
    await person.send(await person.goThrough('admin@quay.example'))
    const before = person.held()
    await person.send(await person.goThrough('admin@quay.example'))
    expect([await person.me(before), await person.me()]).toEqual([401, 200])
  })

  it.each<[string, (back: string, person: ReturnType<typeof browser>) => Promise<Response>]>([
    ['in another browser', back => browser().send(back)],
    [
      'in another browser with a login of its own',
      async back => {
        const other = browser()
        await other.send(`${publicUrl}/console/login?provider=corporate`)
        return await other.send(back)
      }
    ],
    ['at the other provider’s address', (back, person) => person.send(back.replace('/callback/corporate', '/callback/partner'))],
    ['with another state', (back, person) => person.send(back.replace(/state=[^&]*/, 'state=other'))],
    ['with another code', (back, person) => person.send(back.replace(/code=[^&]*/, 'code=other'))],
    ['of another issuer', (back, person) => person.send(back.replace(/iss=[^&]*/, `iss=${encodeURIComponent('https://evil.example')}`))],
    [
      'a second time',
      async (back, person) => {
        const flow = person.cookies.get('__Host-quayside-login') ?? ''
        await person.send(back)
        person.cookies.clear()
        person.cookies.set('__Host-quayside-login', flow)
        return await person.send(back)
      }
    ]
  ])('gives no session to a callback %s', async (_case, spoilt) => {
    const person = browser()
    const back = await person.goThrough('admin@quay.example')
    const response = await spoilt(back, person)
    expect(response.status).toBe(401)
    expect(response.headers.getSetCookie().join()).not.toContain('__Host-quayside=')
    const text = await response.text()
    expect(text).toContain('Not logged in')
    const code = new URL(back).searchParams.get('code') ?? ''
    expect(text + house.log()).not.toContain(code)
  })

  it('turns a stranger away in words, without a session, and leaves a line in the log', async () => {
    const person = browser()
    const back = await person.goThrough('stranger@quay.example')
    const before = await sessions()
    const response = await person.send(back)
    expect([response.status, await response.text()]).toEqual([403, expect.stringContaining('not to Quayside')])
    expect(await sessions()).toBe(before)
    const line =
      house
        .log()
        .split('\n')
        .findLast(text => text.includes('"refused"')) ?? '{}'
    expect(JSON.parse(line)).toMatchObject({ path: '/console/callback/corporate', status: 403 })
  })

  it.each([
    ['a path that climbs', '/console/../oauth/grant/start'],
    ['a path that climbs in disguise', '/console/%2e%2e/oauth'],
    ['an empty segment', '/console//evil.example'],
    ['a line break', '/console/\r\nset-cookie: a=b']
  ])('leads to the console’s first page, not to %s', async (_case, back) => {
    const person = browser()
    const response = await person.send(await person.goThrough('admin@quay.example', { back }))
    expect([response.status, response.headers.get('location')]).toEqual([302, '/console/'])
  })

  it('lets a person choose between providers, and names one that is none', async () => {
    const page: Answer = await house.ask('/console/login')
    expect([page.status, page.text]).toEqual([200, expect.stringContaining('/console/login?provider=partner')])
    expect((await house.ask('/console/login?provider=__proto__')).status).toBe(404)
  })
})
