// What stands between a request and its handler: the limits of an organization, the CMS page's origin, and troubles on demand.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startCma, type CmaHost } from '../support/cma-host.ts'

let cma: CmaHost
beforeEach(async () => {
  cma = await startCma()
})
afterEach(() => cma.close())

const products = '/content_types/product/entries'

async function outcome(method: string, path: string, credential: Record<string, string>, body?: unknown): Promise<[number, number | null]> {
  const reply = await cma.call(method, path, credential, body)
  return [reply.status, reply.body?.error_code ?? null]
}

describe('limits', () => {
  it.each(['fixed', 'sliding', 'bucket'] as const)(
    'admit 10 reads a second by a %s window, over all stacks of the organization',
    async limiter => {
      Object.assign(cma.context.limits, { off: false })
      cma.context.plays.limiter = limiter
      cma.context.clock.setSpeed(0.000_001)
      const token = cma.token()
      const replies = []
      for (let number = 0; number < 11; number += 1) replies.push(await cma.call('GET', '/locales', token))
      expect(replies.map(reply => reply.status)).toEqual([...Array.from({ length: 10 }, () => 200), 429])
      expect(replies[0]?.headers.get('x-ratelimit-limit')).toBe('10')
      expect(replies.map(reply => reply.headers.get('x-ratelimit-remaining'))).toEqual([
        '9',
        '8',
        '7',
        '6',
        '5',
        '4',
        '3',
        '2',
        '1',
        '0',
        '0'
      ])
      expect(replies[10]?.body.error_code).toBe(429)
      expect(replies[10]?.headers.has('retry-after')).toBe(false)
      expect(await outcome('POST', products, token, { entry: { title: 'W', sku: 'W' } })).toEqual([201, null])
      cma.context.clock.advance(1000)
      expect(await outcome('GET', '/locales', token)).toEqual([200, null])
    }
  )

  it('admit one bulk request a second', async () => {
    Object.assign(cma.context.limits, { off: false })
    cma.context.clock.setSpeed(0.000_001)
    const token = cma.token()
    const bulk = { entries: [], environments: ['production'], locales: ['en-us'] }
    expect(await outcome('POST', '/bulk/publish', token, bulk)).toEqual([200, null])
    expect(await outcome('POST', '/bulk/publish', token, bulk)).toEqual([429, 429])
  })
})

it('lets the CMS page call across origins, and nobody else', async () => {
  const preflight = (origin: string) =>
    fetch(`${cma.url}/v3/locales`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'GET', 'access-control-request-headers': 'api_key, authtoken' }
    })
  const own = await preflight('http://localhost:4100')
  expect(own.headers.get('access-control-allow-origin')).toBe('http://localhost:4100')
  expect(own.headers.get('access-control-allow-headers')).toBe('api_key, authtoken')
  expect((await preflight('https://evil.example')).headers.has('access-control-allow-origin')).toBe(false)
})

describe('troubles on demand', () => {
  it.each([
    ['429', 429],
    ['500', 500],
    ['503', 503]
  ] as const)('%s hits as often as asked', async (kind, status) => {
    cma.context.faults.add({ kind, times: 2, host: 'contentManagement', method: 'GET', pathPattern: 'locales' })
    const token = cma.token()
    const statuses = []
    for (let number = 0; number < 3; number += 1)
      statuses.push((await fetch(`${cma.url}/v3/locales`, { headers: { api_key: cma.stack.apiKey, ...token } })).status)
    expect(statuses).toEqual([status, status, 200])
  })

  it('a reset after the handler leaves the write standing, a reset before does not', async () => {
    const token = cma.token()
    cma.context.faults.add({ kind: 'reset-after', method: 'POST' })
    await expect(cma.call('POST', products, token, { entry: { title: 'Lost answer', sku: 'LA' } })).rejects.toThrow('fetch failed')
    cma.context.faults.add({ kind: 'reset-before', method: 'POST' })
    await expect(cma.call('POST', products, token, { entry: { title: 'Never came', sku: 'NC' } })).rejects.toThrow('fetch failed')
    expect(cma.stack.writes.map(write => write.action)).toEqual(['create'])
  })

  it('a truncated answer cannot be read to its end', async () => {
    cma.context.faults.add({ kind: 'truncate' })
    const error = await cma.call('GET', products, cma.token()).catch((cause: unknown) => cause)
    expect(error).toBeInstanceOf(Error)
  })

  it.each([
    [{ kind: 'earthquake' }, 'unknown fault'],
    [{ kind: 'slow', times: 0 }, '"times"'],
    [{ kind: 'slow', pathPattern: '(' }, 'regular expression']
  ])('a rule that makes no sense is refused: %j', (rule, message) => {
    expect(() => cma.context.faults.add(rule as Parameters<typeof cma.context.faults.add>[0])).toThrow(message)
  })
})
