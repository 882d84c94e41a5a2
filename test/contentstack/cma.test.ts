import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { isOutcomeUnknown, kindOf, type RateNews } from '../../server/contentstack/cma.ts'
import { cmaErrorOf, isPermissionRefusal, isTokenRefusal } from '../../server/contentstack/refusal.ts'
import type { AppError } from '../../server/errors.ts'
import { cmaOn, makeToken } from '../support/contentstack.ts'
import { startSandbox } from '../support/sandbox.ts'

let sandbox: Sandbox
let secret: string

beforeAll(async () => {
  sandbox = await startSandbox()
  secret = (await makeToken(sandbox)).secret
})
afterAll(() => sandbox.close())
beforeEach(() => sandbox.context.faults.clear())

const create = { method: 'POST', path: '/content_types/country/entries', json: { entry: { title: 'Atlantis', code: 'ATL' } } } as const
const countriesMade = () =>
  sandbox.world.stacks[blogApiKey]!.writes.filter(write => write.action === 'create' && write.contentType === 'country').length

async function closedAddress(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return `http://127.0.0.1:${port}`
}

const errorOf = async (promise: Promise<unknown>): Promise<AppError> => {
  try {
    await promise
  } catch (error) {
    return error as AppError
  }
  throw new Error('expected a refusal')
}

describe('a request that fails', () => {
  it.each(['429', '500', '503', 'reset-before', 'truncate'] as const)('is repeated by itself when it only reads (%s)', async kind => {
    sandbox.context.faults.add({ kind, host: 'contentManagement', times: 1 })
    const body = await cmaOn(sandbox, secret).request<{ locales: unknown[] }>({ method: 'GET', path: '/locales' })
    expect(body.locales).toHaveLength(3)
  })

  it.each(['500', 'reset-before', 'reset-after', 'truncate'] as const)(
    'is not repeated when it creates and its outcome is unknown (%s)',
    async kind => {
      const before = countriesMade()
      sandbox.context.faults.add({ kind, host: 'contentManagement', method: 'POST', times: 1 })
      const error = await errorOf(cmaOn(sandbox, secret).request({ ...create, json: { entry: { title: kind, code: `X-${kind}` } } }))
      expect(error.code).toBe('upstream')
      expect(isOutcomeUnknown(error)).toBe(true)
      expect(countriesMade() - before).toBe(kind === 'reset-after' || kind === 'truncate' ? 1 : 0)
    }
  )

  it('is repeated when it creates but was refused for the rate, since nothing happened', async () => {
    const before = countriesMade()
    sandbox.context.faults.add({ kind: '429', host: 'contentManagement', method: 'POST', times: 2 })
    await cmaOn(sandbox, secret).request(create)
    expect(countriesMade() - before).toBe(1)
  })

  it('is repeated when no connection could be made at all, and then says that the host cannot be reached', async () => {
    const region = { id: 'x', location: 'X', application: '', contentManagement: await closedAddress(), developerHub: '' }
    const error = await errorOf(cmaOn(sandbox, secret, { region }).request(create))
    expect(error.code).toBe('upstream')
    expect(isOutcomeUnknown(error)).toBe(false)
    expect(error.message).toContain(new URL(region.contentManagement).host)
  })

  it('ends with the reason of whoever gave up', async () => {
    const reason = new Error('the run was cancelled')
    await expect(cmaOn(sandbox, secret).request({ method: 'GET', path: '/locales', signal: AbortSignal.abort(reason) })).rejects.toBe(
      reason
    )
  })

  it('times out instead of hanging', async () => {
    sandbox.context.faults.add({ kind: 'slow', host: 'contentManagement', delayMs: 1500, times: 1 })
    const error = await errorOf(
      cmaOn(sandbox, secret, { timeoutSeconds: 0.05 }).request({ ...create, json: { entry: { title: 'slow', code: 'slow' } } })
    )
    expect(error.message).toContain('did not answer in time')
    expect(isOutcomeUnknown(error)).toBe(true)
  })
})

describe('a refusal', () => {
  it.each([
    ['a token that Contentstack does not know', { secret: 'cs00000000' }, { method: 'GET', path: '/locales' }, 'unauthorized', 105],
    ['a stack that does not exist here', { apiKey: 'blt404' }, { method: 'GET', path: '/locales' }, 'not_found', 109],
    ['an entry that is not there', {}, { method: 'GET', path: '/content_types/country/entries/blt404' }, 'not_found', 141],
    ['a content type that is not there', {}, { method: 'GET', path: '/content_types/nothing' }, 'not_found', 118],
    ['an entry without its title', {}, { method: 'POST', path: '/content_types/country/entries', json: { entry: {} } }, 'invalid', 119]
  ] as const)(
    'of %s says so by code',
    async (_name, { secret: other, apiKey }: { secret?: string; apiKey?: string }, request, code, errorCode) => {
      const error = await errorOf(cmaOn(sandbox, other ?? secret, { ...(apiKey && { apiKey }) }).request(request))
      expect(error.code).toBe(code)
      expect(cmaErrorOf(error)?.errorCode).toBe(errorCode)
    }
  )

  it('names the fields that Contentstack named', async () => {
    const error = await errorOf(cmaOn(sandbox, secret).request({ ...create, json: { entry: { code: 'NO-TITLE' } } }))
    expect(error.fields).toHaveProperty('title')
  })

  it('tells a dead token from a permission that is missing', async () => {
    const readOnly = await makeToken(sandbox, { write: false })
    const forbidden = await errorOf(cmaOn(sandbox, readOnly.secret).request(create))
    const dead = await errorOf(cmaOn(sandbox, 'cs123456789').request(create))
    expect([isTokenRefusal(forbidden), isPermissionRefusal(forbidden)]).toEqual([false, true])
    expect([isTokenRefusal(dead), isPermissionRefusal(dead)]).toEqual([true, false])
  })

  it('never repeats the credential, whatever the host answers', async () => {
    const echo: typeof fetch = () =>
      Promise.resolve(Response.json({ error_message: `what is ${secret}?`, errors: { token: [secret] } }, { status: 400 }))
    const error = await errorOf(cmaOn(sandbox, secret, { fetch: echo }).request(create))
    expect(JSON.stringify([error.message, error.fields])).not.toContain(secret)
  })

  it('is what a redirect becomes, so that the credential is not carried elsewhere', async () => {
    let hops = 0
    const redirecting: typeof fetch = (_url, init) => {
      hops += 1
      expect(init?.redirect).toBe('manual')
      return Promise.resolve(new Response(null, { status: 302, headers: { location: 'https://elsewhere.example' } }))
    }
    const error = await errorOf(cmaOn(sandbox, secret, { fetch: redirecting }).request(create))
    expect([error.code, hops]).toEqual(['upstream', 1])
  })
})

describe('a replaced credential', () => {
  it('is asked for anew and the request repeated, once', async () => {
    const asked: string[] = []
    const cma = cmaOn(sandbox, secret, {
      credential: () =>
        Promise.resolve({ header: 'authorization', value: asked.length === 0 ? 'cs-superseded' : secret, id: String(asked.length) }),
      onRefused: credential => {
        asked.push(credential.id ?? '')
        return Promise.resolve('repeat')
      }
    })
    expect(await cma.request({ method: 'GET', path: '/locales' })).toHaveProperty('locales')
    expect(asked).toEqual(['0'])
  })

  it('that is refused as well ends the request', async () => {
    let refusals = 0
    const onRefused = (): Promise<'repeat'> => {
      refusals += 1
      return Promise.resolve('repeat')
    }
    const error = await errorOf(cmaOn(sandbox, 'cs-bad-token', { onRefused }).request({ method: 'GET', path: '/locales' }))
    expect([error.code, refusals]).toEqual(['unauthorized', 1])
  })
})

describe('what surrounds a request', () => {
  it('takes a slot of its kind and lane, and hands on what the headers tell', async () => {
    const slots: string[] = []
    const news: RateNews[] = []
    const cma = cmaOn(sandbox, secret, {
      acquire: (kind, lane) => {
        slots.push(`${kind} ${lane}`)
        return Promise.resolve()
      },
      learn: (_kind, told) => news.push(told)
    })
    await cma.request({ method: 'GET', path: '/locales', lane: 'people' })
    await cma.request({ ...create, json: { entry: { title: 'Slots', code: 'SLOTS' } }, lane: 'backfill' })
    expect(slots).toEqual(['read people', 'write backfill'])
    expect(news[0]).toMatchObject({ status: 200, limit: expect.any(Number), remaining: expect.any(Number) })
  })

  it('reports each accepted write with what Contentstack answered, and no read', async () => {
    const written: unknown[] = []
    const onWritten = (write: unknown): Promise<void> => {
      written.push(write)
      return Promise.resolve()
    }
    const cma = cmaOn(sandbox, secret, { onWritten })
    await cma.request({ method: 'GET', path: '/locales' })
    await errorOf(cma.request({ ...create, json: { entry: {} } }))
    await cma.request({ ...create, json: { entry: { title: 'Ledger', code: 'LEDGER' } } })
    expect(written).toHaveLength(1)
    expect(written[0]).toMatchObject({ method: 'POST', path: create.path, body: { entry: { _version: 1 } } })
  })

  it.each([
    ['GET', '/content_types', 'read'],
    ['HEAD', '/content_types', 'read'],
    ['PUT', '/content_types/x', 'write'],
    ['POST', '/bulk/publish', 'bulk']
  ] as const)('counts %s %s as a %s', (method, path, kind) => {
    expect(kindOf(method, path)).toBe(kind)
  })
})

describe('a raw request', () => {
  it("hands on Contentstack's own answer, whatever its status", async () => {
    const response = await cmaOn(sandbox, secret).raw({
      method: 'GET',
      target: '/content_types/country/entries/blt404',
      kind: 'read',
      lane: 'live'
    })
    expect(response.status).toBe(422)
    expect(await response.json()).toMatchObject({ error_code: 141 })
  })

  it('keeps a 401 readable after having looked into it', async () => {
    const response = await cmaOn(sandbox, 'cs-dead', { onRefused: () => Promise.resolve('refused') }).raw({
      method: 'GET',
      target: '/locales',
      kind: 'read',
      lane: 'live'
    })
    expect(response.status).toBe(401)
    expect(await response.json()).toMatchObject({ error_code: 105 })
  })
})
