import { inspect } from 'node:util'
import { Webhook } from 'standardwebhooks'
import { afterEach, expect, it } from 'vitest'
import type { Change, ConnectorContext, Outcome } from '../../../server/connectors/connector.ts'
import { webhookConnector, WebhookSettings } from '../../../server/connectors/webhook/webhook.ts'
import { AppError } from '../../../server/errors.ts'
import { createGuard } from '../../../server/sync/guard.ts'
import { type Bench, change, connectorBattery, destination } from '../battery.ts'
import { type Endpoint, openEndpoint } from './endpoint.ts'

const endpoints: Endpoint[] = []
afterEach(async () => {
  for (const endpoint of endpoints.splice(0)) await endpoint.close()
})

const secretOf = (letter: string): string => `whsec_${Buffer.from(letter.repeat(32)).toString('base64')}`
const [secret, former] = [secretOf('n'), secretOf('f')]

async function open(): Promise<Endpoint> {
  const endpoint = await openEndpoint(secret)
  endpoints.push(endpoint)
  return endpoint
}

function contextOf(secrets: Record<string, string> = { signingSecret: secret }, signal = new AbortController().signal): ConnectorContext {
  const guard = createGuard({ filesDirectory: '/nowhere', privateHosts: ['127.0.0.1'] })
  return {
    fetch: guard.fetch,
    resolve: guard.resolve,
    file: guard.file,
    signal,
    secret: name => (secrets[name] === undefined ? Promise.reject(new AppError('not_found', name)) : Promise.resolve(secrets[name]))
  }
}

async function push(endpoint: Endpoint, changes: Change[], ctx = contextOf()): Promise<Outcome[]> {
  return (await webhookConnector.push?.(destination, changes, { url: endpoint.url }, ctx)) ?? []
}

connectorBattery(
  'Webhook',
  async (): Promise<Bench> => {
    const endpoint = await open()
    return {
      connector: webhookConnector,
      settings: { url: endpoint.url },
      unreachable: { url: 'http://127.0.0.1:1/hook' },
      ctx: contextOf(),
      poison: { amount: 'not a number' },
      secrets: [secret, secret.slice(6), 'in-the-address'],
      rows: () => Promise.resolve(endpoint.records),
      seed: () => Promise.reject(new Error('nothing can be read from a webhook')),
      throttle(seconds, after) {
        let met = 0
        endpoint.answer = (_request, response) => {
          if (met++ < after) return false
          response.writeHead(429, { 'retry-after': String(seconds) }).end()
          return true
        }
      }
    }
  },
  {
    pull: 'a webhook is written to only',
    list: 'a webhook is written to only',
    order: 'what a receiver held before is not known to us'
  }
)

it('sends a record and its end, each under an id that a repeat bears again', async () => {
  const endpoint = await open()
  const written = change('blt1:en-us', 7, { parts: '{"a":[1]}' })
  await push(endpoint, [written])
  await push(endpoint, [written])
  await push(endpoint, [{ key: 'blt1:en-us', values: null, order: 8 }])
  const [first, again, gone] = endpoint.received
  expect(JSON.parse(first?.body ?? '')).toEqual({
    type: 'record.written',
    timestamp: expect.stringMatching(/^\d{4}-.*Z$/),
    data: { target: 'article', key: 'blt1:en-us', order: 7, fields: { ...written.values, parts: { a: [1] } } }
  })
  expect(JSON.parse(gone?.body ?? '')).toMatchObject({ type: 'record.deleted', data: { key: 'blt1:en-us', order: 8 } })
  expect([again?.id, gone?.id]).toEqual([first?.id, expect.not.stringContaining(first?.id ?? '')])
  expect(first?.id).toMatch(/^msg_[\w-]{32}$/)
})

it.each([
  ['the new one', secret],
  ['the former one', former]
])('lets a receiver that knows only %s verify while a secret gives way to another', async (_, known) => {
  const endpoint = await open()
  const headers: Record<string, string>[] = []
  endpoint.answer = request => {
    headers.push(request.headers as Record<string, string>)
    return false
  }
  await push(endpoint, [change('a', 1)], contextOf({ signingSecret: secret, formerSigningSecret: former }))
  const [sent] = endpoint.received
  expect(sent?.signatures).toHaveLength(2)
  expect(new Webhook(known).verify(sent?.body ?? '', headers[0] ?? {})).toMatchObject({ type: 'record.written' })
  expect(() => new Webhook(secretOf('x')).verify(sent?.body ?? '', headers[0] ?? {})).toThrow(/signature/)
})

/** A date that is told as it is answered. */
const inAMinute = () => new Date(Date.now() + 60_000).toUTCString()
it.each<[string, number, Record<string, string | (() => string)>, object]>([
  ['429 with seconds', 429, { 'retry-after': '12' }, { code: 'rate_limited', retryAfterSeconds: 12 }],
  ['429 with a date', 429, { 'retry-after': inAMinute }, { code: 'rate_limited', retryAfterSeconds: expect.closeTo(60, -1) }],
  ['429 with a date that is over', 429, { 'retry-after': 'Thu, 01 Jan 1970 00:00:00 GMT' }, { code: 'rate_limited', retryAfterSeconds: 0 }],
  ['429 without a word', 429, {}, { code: 'rate_limited', retryAfterSeconds: undefined }],
  ['503 with seconds', 503, { 'retry-after': '5' }, { code: 'upstream', retryAfterSeconds: 5 }],
  ['503 with more than a day', 503, { 'retry-after': '99999999' }, { code: 'upstream', retryAfterSeconds: 86_400 }],
  ['503 with nonsense', 503, { 'retry-after': 'soon' }, { code: 'upstream', retryAfterSeconds: undefined }],
  ['500', 500, {}, { code: 'upstream', pauses: false }],
  ['410', 410, {}, { code: 'forbidden', pauses: true }]
])('takes %s as the endpoint’s own trouble, when nothing came through', async (_, status, headers, trouble) => {
  const endpoint = await open()
  endpoint.answer = (_request, response) => {
    const told = Object.entries(headers).map(([name, value]) => [name, typeof value === 'string' ? value : value()] as const)
    return Boolean(response.writeHead(status, Object.fromEntries(told)).end('no'))
  }
  await expect(push(endpoint, [change('a', 1), change('b', 1)])).rejects.toMatchObject(trouble)
})

it.each([301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 413, 422])(
  'takes %i as the end of that record, without asking elsewhere',
  async status => {
    const endpoint = await open()
    const elsewhere = await open()
    endpoint.answer = (_request, response, body) =>
      body.includes('"bad"') && Boolean(response.writeHead(status, { location: elsewhere.url }).end('why not'))
    const outcomes = await push(endpoint, [change('good', 1), change('bad', 1)])
    expect(outcomes).toMatchObject([
      { status: 'written' },
      { key: 'bad', status: 'invalid', error: expect.stringContaining(String(status)) }
    ])
    expect(elsewhere.received).toEqual([])
  }
)

it('tries no more of a batch at an endpoint that is gone, and pauses what goes there', async () => {
  const endpoint = await open()
  endpoint.answer = (_request, response) => Boolean(response.writeHead(410).end())
  const batch = Array.from({ length: 200 }, (_, index) => change(`k${index}`, 1))
  await expect(push(endpoint, batch)).rejects.toMatchObject({
    pauses: true,
    message: expect.stringContaining('410'),
    remedy: expect.stringMatching(/resume/)
  })
  expect(endpoint.received.length).toBeLessThan(10)
})

it('lets one record that breaks the receiver not stop the others, and nothing of it overtake', async () => {
  const endpoint = await open()
  endpoint.answer = (_request, response, body) => body.includes('Title of bad') && Boolean(response.writeHead(500).end())
  const outcomes = await push(endpoint, [change('bad', 1), ...['a', 'b', 'c', 'd', 'e'].map(key => change(key, 1)), change('bad', 2)])
  expect(outcomes.map(({ status }) => status)).toEqual(['failed', 'written', 'written', 'written', 'written', 'written', 'failed'])
  expect(outcomes[6]?.retryAfterSeconds).toBe(30)
  expect(endpoint.received.filter(({ body }) => body.includes('Title of bad'))).toHaveLength(1)
})

it('keeps of an answer a short excerpt, without secrets, control characters or an endless body', async () => {
  const endpoint = await open()
  endpoint.answer = (_request, response) => {
    response.writeHead(422)
    response.write(`expected \u001b[31m${secret} or ${secret.slice(6)} \u202e\n\n`)
    const more = setInterval(() => response.write('x'.repeat(10_000)), 1)
    response.on('close', () => clearInterval(more))
    return true
  }
  const [outcome] = await push(endpoint, [change('a', 1)])
  expect(outcome?.error).toMatch(/422: "expected \[31m… or … x+"\.$/)
  expect(outcome?.error?.length).toBeLessThan(220)
})

it('sends no message of more than a mebibyte', async () => {
  const endpoint = await open()
  const outcomes = await push(endpoint, [change('a', 1, { title: 'x'.repeat(2 ** 20) }), change('b', 1)])
  expect(outcomes).toMatchObject([{ status: 'invalid', error: expect.stringContaining('1048576') }, { status: 'written' }])
  expect(endpoint.received).toHaveLength(1)
})

it('gives up waiting for an answer when the work is stopped', async () => {
  const endpoint = await open()
  const stop = new AbortController()
  endpoint.answer = () => {
    stop.abort()
    return true
  }
  await expect(push(endpoint, [change('a', 1)], contextOf({ signingSecret: secret }, stop.signal))).rejects.toMatchObject({
    name: 'AbortError'
  })
})

it.each<[string, Record<string, string>, string, RegExp]>([
  ['no secret', {}, 'invalid', /whsec_/],
  ['a secret that is too short', { signingSecret: 'whsec_c2hvcnQ=' }, 'invalid', /whsec_/],
  ['a secret that is no base64', { signingSecret: 'correct horse battery staple, and more' }, 'invalid', /whsec_/],
  ['a former secret that is no key', { signingSecret: secret, formerSigningSecret: 'not-a-key-of-any-kind' }, 'invalid', /whsec_/],
  ['a secret that the receiver does not know', { signingSecret: former }, 'unauthorized', /secret/]
])('refuses to begin with %s', async (_, secrets, code, remedy) => {
  const endpoint = await open()
  const error = await webhookConnector.check({ url: endpoint.url }, contextOf(secrets)).catch((error: unknown) => error)
  expect(error).toMatchObject({ code, remedy: expect.stringMatching(remedy) })
  for (const given of Object.values(secrets)) expect(inspect(error, { depth: 8 })).not.toContain(given)
})

it('reaches no address inside', async () => {
  const ctx = { ...contextOf(), fetch: createGuard({ filesDirectory: '/nowhere', privateHosts: [] }).fetch }
  const endpoint = await open()
  await expect(push(endpoint, [change('a', 1)], ctx)).rejects.toMatchObject({ code: 'forbidden' })
  expect(endpoint.received).toEqual([])
})

it.each([
  '',
  'hooks.example',
  'ftp://hooks.example/',
  'https://user:pass@hooks.example/',
  'https://hooks.example/#part',
  'javascript:alert(1)'
])('takes no %j for an address', url => {
  expect(WebhookSettings.safeParse({ url }).success).toBe(false)
})
