// The pages between Contentstack and us: a grant holds together by one browser's cookie, and nobody's waiting locks anybody out.
// The consented way and its forgeries are in flows/a and flows/h.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type House, inFrame, openHouse } from './house.ts'

describe.each(['sqlite', 'postgres'] as const)('the pages of OAuth on %s', dialect => {
  let house: House
  let admin: Record<string, string>
  beforeAll(async () => {
    house = await openHouse(dialect)
    admin = await inFrame(house, house.harbour, house.harbour.stackAdmin)
  })
  afterAll(() => house.close())

  async function begin() {
    const { body } = await house.ask('/api/extension/stack/grants', {
      method: 'POST',
      headers: admin,
      json: { purpose: 'mint', expiresInDays: null, branches: ['main'] }
    })
    const { grantId, url } = body as { grantId: string; url: string }
    return { grantId, start: url.replace(/^https:\/\/[^/]+/, '') }
  }

  async function open() {
    const { grantId, start } = await begin()
    const answer = await house.ask(start)
    const [cookie = ''] = answer.headers.getSetCookie()
    const to = new URL(answer.headers.get('location') ?? '')
    return { grantId, start, answer, cookie, held: cookie.split(';', 1)[0] ?? '', to, state: to.searchParams.get('state') ?? '' }
  }
  const statusOf = async (id: string) =>
    (await house.db.selectFrom('grant_flow').select(['status', 'error']).where('id', '=', id).executeTakeFirstOrThrow()) as {
      status: string
      error: string | null
    }

  it('begins in one browser, once, with a cookie that only this host can set and only https carries', async () => {
    const { start, answer, cookie, to } = await open()
    expect(answer.status).toBe(302)
    expect(cookie).toMatch(/^__Host-quayside-grant=[\w-]{43};/)
    for (const attribute of ['HttpOnly', 'Secure', 'SameSite=Lax', 'Path=/', 'Max-Age=600']) expect(cookie).toContain(attribute)
    expect(to.origin).toBe(new URL(house.sandbox.urls.application).origin)
    expect(to.searchParams.get('code_challenge_method')).toBe('S256')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.headers.get('referrer-policy')).toBe('no-referrer')
    const again = await house.ask(start)
    expect([again.status, again.headers.getSetCookie()]).toEqual([403, []])
  })

  it('shows a grant to its browser, and to any other the words for one that never was', async () => {
    const { grantId, held } = await open()
    const other = await open()
    expect((await house.ask(`/oauth/grant/${grantId}`, { headers: { cookie: held } })).text).toContain('Minting the token')
    const foreign = await house.ask(`/oauth/grant/${grantId}`, { headers: { cookie: other.held } })
    const unknown = await house.ask('/oauth/grant/grf_none', { headers: { cookie: other.held } })
    expect([foreign.status, unknown.status]).toEqual([404, 404])
    expect(foreign.text.replaceAll(grantId, 'grf_none')).toBe(unknown.text)
    expect((await house.ask(`/oauth/grant/${grantId}`)).status).toBe(403)
  })

  it('ends at once when it is declined in the browser that began it, and in no other', async () => {
    const { grantId, held, state } = await open()
    const other = await open()
    const declined = `/oauth/grant/callback?error=access_denied&state=${state}`
    expect((await house.ask(declined)).status).toBe(403)
    expect((await house.ask(declined, { headers: { cookie: other.held } })).status).toBe(403)
    expect((await statusOf(grantId)).status).toBe('started')
    const { status, text } = await house.ask(declined, { headers: { cookie: held } })
    expect([status, text]).toEqual([403, expect.stringContaining('declined')])
    expect(await statusOf(grantId)).toMatchObject({ status: 'failed', error: expect.stringContaining('declined') as string })
    expect((await statusOf(other.grantId)).status).toBe('started')
  })

  it.each([
    ['a ticket that is none', '/oauth/grant/start?grant=$&ticket=AAAA'],
    ['no ticket', '/oauth/grant/start?grant=$'],
    ['two tickets', '/oauth/grant/start?grant=$&ticket=a&ticket=b'],
    ['a NUL for a grant', '/oauth/grant/start?grant=%00&ticket=a'],
    ['a grant of every object', '/oauth/grant/start?grant=__proto__&ticket=a'],
    ['a callback without anything', '/oauth/grant/callback'],
    ['a callback with two states', '/oauth/grant/callback?code=a&state=b&state=c&location=EU'],
    ['an error with two texts', '/oauth/grant/callback?error=a&error=b'],
    ['an install callback without anything', '/oauth/install/callback'],
    ['an install callback with two codes', '/oauth/install/callback?code=a&code=b&location=SANDBOX'],
    ['a location that is a script', `/oauth/install/callback?code=a&location=${encodeURIComponent('<script>alert(1)</script>')}`],
    ['a NUL for an installation', '/oauth/install/callback?code=a&location=SANDBOX&installation_uid=%00']
  ])('says what is wrong with %s on a page, without a cookie', async (_case, path) => {
    const { grantId } = await begin()
    const { status, text, headers } = await house.ask(path.replace('$', grantId))
    expect([400, 403]).toContain(status)
    expect(headers.get('content-type')).toContain('text/html')
    expect(headers.getSetCookie()).toEqual([])
    expect(text).not.toContain('<script')
    expect((await statusOf(grantId)).status).toBe('started')
  })

  it('every refusal leaves a line for whoever reads the log, without what was in the address', async () => {
    await house.ask('/oauth/grant/callback?code=hidden-code&state=hidden-state&location=EU', {
      headers: { cookie: '__Host-quayside-grant=hidden-cookie' }
    })
    const line = house
      .log()
      .split('\n')
      .findLast(text => text.includes('"refused"'))
    expect(JSON.parse(line ?? '')).toMatchObject({
      path: '/oauth/grant/callback',
      status: 403,
      reason: expect.any(String) as string,
      address: '127.0.0.1'
    })
    expect(house.log()).not.toContain('hidden-')
  })

  it('a page that asks again each second for two minutes runs into no limit', async () => {
    const { grantId, held } = await open()
    const statuses = new Set<number>()
    for (let count = 0; count < 120; count += 1)
      statuses.add((await house.ask(`/oauth/grant/${grantId}`, { headers: { cookie: held } })).status)
    expect(statuses).toEqual(new Set([200]))
  })

  it('a stranger’s install callbacks reach a limit, and leave the grants of others alone', async () => {
    const statuses: number[] = []
    for (let count = 0; count < 70; count += 1) statuses.push((await house.ask('/oauth/install/callback?location=MOON&code=a')).status)
    expect(new Set(statuses)).toEqual(new Set([400, 429]))
    expect((await open()).answer.status).toBe(302)
  })
})
