// The door of scripts: who is turned away, in whose words, and what guessing costs. What a key may reach is in test/gateway.
import { connect } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Asked, type House, inConsole, inFrame, openHouse } from './house.ts'

const entries = '/gateway/v3/content_types/article/entries'

describe.each(['sqlite', 'postgres'] as const)('the gateway on %s', dialect => {
  let house: House
  beforeAll(async () => {
    house = await openHouse(dialect)
  })
  afterAll(() => house.close())
  afterEach(() => house.sandbox.context.faults.clear())

  const withKey = (path: string, { headers, ...asked }: Asked = {}) =>
    house.ask(path, { ...asked, headers: { authorization: house.harbour.key, ...headers } })

  it('takes a key as the CMA takes a token, or after Bearer, and passes Contentstack’s answer', async () => {
    for (const authorization of [house.harbour.key, `Bearer ${house.harbour.key}`]) {
      const { status, headers, text } = await withKey(entries, { headers: { authorization } })
      expect([status, text]).toEqual([200, expect.stringContaining('"entries"')])
      expect(headers.get('cache-control')).toBe('no-store')
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.getSetCookie()).toEqual([])
      expect([...headers.values()].join()).not.toContain(house.harbour.managementToken)
    }
  })

  it.each<[string, (house: House) => Promise<Record<string, string>> | Record<string, string>]>([
    ['nothing', () => ({})],
    ['an authtoken', () => ({ authtoken: 'blt0123456789abcdef' })],
    ['the management token itself', ({ harbour }) => ({ authorization: harbour.managementToken })],
    ['a key with one letter changed', ({ harbour }) => ({ authorization: harbour.key.replace(/.$/, last => (last === 'A' ? 'B' : 'A')) })],
    ['a key and more', ({ harbour }) => ({ authorization: `${harbour.key}x` })],
    ['a key in the query', () => ({})],
    ['a key in a cookie', ({ harbour }) => ({ cookie: `authorization=${harbour.key}` })],
    ['a frame’s session', house => inFrame(house, house.harbour, house.harbour.stackAdmin)],
    ['a console session', house => inConsole(house, { [house.harbour.organizationId]: 'admin' })],
    ['an endless word', () => ({ authorization: `qsk_${'A'.repeat(8000)}` })]
  ])('answers %s with 401 and 105, as the CMA would, and points to the access key', async (_case, headersOf) => {
    const { status, body, text } = await house.ask(`${entries}?authorization=${house.harbour.key}`, { headers: await headersOf(house) })
    expect(status).toBe(401)
    expect(body).toMatchObject({ error_code: 105, error_message: expect.stringContaining('access key') as string, errors: {} })
    expect(text).not.toContain(house.harbour.key)
  })

  it.each<[string, (house: House) => Promise<unknown>]>([
    ['revoked', ({ db, harbour }) => db.updateTable('access_key').set({ revoked_at: 1 }).where('id', '=', harbour.keyId).execute()],
    [
      'expired',
      ({ db, harbour }) =>
        db
          .updateTable('access_key')
          .set({ expires_at: Date.now() - 1 })
          .where('id', '=', harbour.keyId)
          .execute()
    ],
    [
      'of a stack that the app left',
      ({ db, harbour }) => db.updateTable('installation').set({ status: 'uninstalled' }).where('id', '=', harbour.installationId).execute()
    ],
    [
      'of an organization that is not served',
      ({ db, harbour }) => db.updateTable('organization').set({ status: 'unclaimed' }).where('id', '=', harbour.organizationId).execute()
    ]
  ])('a key %s is none at once', async (_case, spoil) => {
    await spoil(house)
    expect((await withKey(entries)).status).toBe(401)
    const { db, harbour } = house
    await db.updateTable('access_key').set({ revoked_at: null, expires_at: null }).where('id', '=', harbour.keyId).execute()
    await db.updateTable('installation').set({ status: 'active' }).where('id', '=', harbour.installationId).execute()
    await db.updateTable('organization').set({ status: 'claimed' }).where('id', '=', harbour.organizationId).execute()
    expect((await withKey(entries)).status).toBe(200)
  })

  it.each<[string, string, string, Asked]>([
    ['a write with a reading key', 'POST', entries, { json: { entry: { title: 'x' } } }],
    ['another module', 'GET', '/gateway/v3/webhooks', {}],
    ['the doors behind it', 'GET', '/gateway/../api/operator/keys', {}],
    ['a dot segment', 'GET', '/gateway/v3/content_types/%2e%2e/webhooks', {}],
    ['a slash in disguise', 'GET', '/gateway/v3/content_types%2farticle/entries', {}],
    ['a method of its own', 'PATCH', entries, { json: {} }],
    ['no path at all', 'GET', '/gateway', {}]
  ])('refuses %s without asking Contentstack', async (_case, method, path, asked) => {
    const { status, text } = await withKey(path, { ...asked, method })
    expect([401, 403]).toContain(status)
    expect(text).not.toMatch(/\.ts:\d+|node_modules/)
  })

  it('says that its own token is dead in the CMA’s dialect, and not that the key is', async () => {
    const { installationId } = house.shore
    await house.db.updateTable('management_token').set({ status: 'dead' }).where('installation_id', '=', installationId).execute()
    const { status, body } = await house.ask('/gateway/v3/content_types/product/entries', { headers: { authorization: house.shore.key } })
    expect(status).toBe(502)
    expect(body).toMatchObject({ error_message: expect.stringContaining('Your access key is fine') as string })
  })

  it('an answer that breaks off ends its connection, is noted in the log, and goes no other way', async () => {
    house.sandbox.context.faults.add({ kind: 'truncate', host: 'contentManagement', times: 1 })
    await expect(withKey(entries)).rejects.toThrow()
    await expect.poll(() => house.log().includes('the answer broke off')).toBe(true)
    expect((await withKey(entries)).status).toBe(200)
  })

  it('outlives a script that hangs up', async () => {
    house.sandbox.context.faults.add({ kind: 'slow', host: 'contentManagement', times: 1, delayMs: 300 })
    const { hostname, port } = new URL(house.app.url)
    await new Promise<void>(resolve => {
      const socket = connect(Number(port), hostname, () => {
        socket.write(`GET ${entries} HTTP/1.1\r\nhost: x\r\nauthorization: ${house.harbour.key}\r\n\r\n`, () => socket.destroy())
      })
      socket.once('close', () => resolve())
    })
    expect((await withKey(entries)).status).toBe(200)
  })

  it('lets a guesser run into a limit, whatever they claim to be forwarded for, while a key that stands goes on passing', async () => {
    // What a proxy appends is last; what came before it is the client's own word.
    const from = (claimed: string) => ({ 'x-forwarded-for': `${claimed}, 203.0.113.77` })
    const guess = (claimed: string) => house.ask(entries, { headers: { authorization: `qsk_${'A'.repeat(49)}`, ...from(claimed) } })
    const statuses: number[] = []
    for (let count = 0; count < 125; count += 1) statuses.push((await guess(`198.51.100.${count}`)).status)
    expect(statuses.slice(0, 120).every(status => status === 401)).toBe(true)
    expect(statuses.at(-1)).toBe(429)
    const limited = await guess('198.51.100.1')
    expect(limited.body).toMatchObject({ error_code: 429 })
    expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(0)
    expect((await withKey(entries, { headers: from('198.51.100.1') })).status).toBe(200)
  })
})
