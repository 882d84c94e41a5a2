// One message on the wire: real mail servers with and without login and TLS, a real https receiver, and what each refusal becomes.
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Message, mailOf, slackOf } from '../../server/alerts/message.ts'
import { type Smtp, sendMail, sendSlack, sendWebhook } from '../../server/alerts/send.ts'
import { AppError, isAppError } from '../../server/errors.ts'
import { createGuard } from '../../server/sync/guard.ts'
import { selfSigned, trustedCertificate } from './certificate.ts'
import { headersOf, type Hook, type Mailbox, openHook, openMailbox } from './receivers.ts'

const certificate = trustedCertificate()
const message: Message = {
  id: 'alt_01',
  type: 'token.dead',
  at: Date.UTC(2030, 0, 2, 3, 4, 5),
  installationId: 'ins_1',
  stack: { name: 'Harbour site', apiKey: 'blt1' },
  title: 'The management token of Harbour site is dead',
  text: 'Contentstack refuses it.\n\nNothing is lost: work waits.',
  links: [{ title: 'Make a new one', url: 'https://quayside.example.com/console/installations/ins_1?a=1&b=2' }]
}
const to = { address: 'ada@example.com', recipientId: 'rcp_1', why: 'You get this because of a test.', host: 'quayside.example.com' }
const never = new AbortController().signal

async function refusalOf(work: Promise<unknown>): Promise<AppError> {
  try {
    await work
  } catch (error) {
    if (isAppError(error)) return error
    throw error
  }
  throw new Error('it was sent')
}

describe('mail', () => {
  const open: Mailbox[] = []
  const mailbox = async (options: Parameters<typeof openMailbox>[0] = {}) => {
    const box = await openMailbox({ disabledCommands: ['STARTTLS'], ...options })
    open.push(box)
    return box
  }
  afterAll(() => Promise.all(open.map(box => box.close())))
  const smtp = (box: Mailbox, more: Partial<Smtp> = {}): Smtp => ({
    host: '127.0.0.1',
    port: box.port,
    secure: false,
    requireTls: false,
    from: 'Quayside <quayside@example.com>',
    ...more
  })

  it('says what happened, what to press, and why it came', async () => {
    const box = await mailbox()
    await sendMail(smtp(box), to, message, never)
    const [mail] = box.received
    expect([mail?.from, mail?.to]).toEqual(['quayside@example.com', ['ada@example.com']])
    const headers = headersOf(mail?.raw ?? '')
    expect(headers.get('subject')).toBe(message.title)
    expect(headers.get('to')).toBe('ada@example.com')
    expect(headers.get('message-id')).toBe('<alt_01.rcp_1@quayside.example.com>')
    expect(headers.get('auto-submitted')).toBe('auto-generated')
    expect(headers.get('date')).toBe('Wed, 02 Jan 2030 03:04:05 +0000')
    const body = (mail?.raw ?? '').replace(/=\r\n/g, '').replace(/=3D/g, '=')
    for (const words of [
      'Nothing is lost',
      'installations/ins_1?a=1&b=2',
      'installations/ins_1?a=1&amp;b=2',
      to.why,
      'Stack: Harbour site'
    ])
      expect(body).toContain(words)
  })

  it('has the same Message-ID each time it is sent', async () => {
    const box = await mailbox()
    await sendMail(smtp(box), to, message, never)
    await sendMail(smtp(box), to, message, never)
    expect(new Set(box.received.map(({ raw }) => headersOf(raw).get('message-id'))).size).toBe(1)
  })

  it('logs in, over TLS from the first byte or by STARTTLS', async () => {
    const users = { quay: 'mail-password' }
    const login = { user: 'quay', password: 'mail-password' }
    const upgraded = await mailbox({ ...certificate, users, disabledCommands: [] })
    const secure = await mailbox({ ...certificate, users, secure: true })
    await sendMail(smtp(upgraded, { ...login, requireTls: true }), to, message, never)
    await sendMail(smtp(secure, { ...login, secure: true }), to, message, never)
    expect([...upgraded.received, ...secure.received].map(mail => [mail.user, mail.secure])).toEqual([
      ['quay', true],
      ['quay', true]
    ])
  })

  it('sends neither message nor password where TLS is required and not offered', async () => {
    const box = await mailbox({ users: { quay: 'mail-password' }, allowInsecureAuth: true })
    const refusal = await refusalOf(sendMail(smtp(box, { user: 'quay', password: 'mail-password', requireTls: true }), to, message, never))
    expect(refusal.code).toBe('upstream')
    expect(box.received).toEqual([])
  })

  it.each([
    ['STARTTLS', { secure: false, requireTls: true }],
    ['TLS from the first byte', { secure: true, requireTls: false }]
  ])('does not trust a certificate that nobody vouches for, by %s', async (_case, how) => {
    const box = await mailbox({ ...selfSigned(), secure: how.secure, disabledCommands: [] })
    expect((await refusalOf(sendMail(smtp(box, how), to, message, never))).code).toBe('upstream')
    expect(box.received).toEqual([])
  })

  it('does not repeat the password of a login that was refused, though the server does', async () => {
    const box = await mailbox({ users: { quay: 'mail-password' }, allowInsecureAuth: true })
    const refusal = await refusalOf(sendMail(smtp(box, { user: 'quay', password: 'wrong-password' }), to, message, never))
    expect([refusal.code, refusal.message]).toEqual(['upstream', 'The mail server refused our login (EAUTH 535)'])
    expect([refusal.cause, refusal.stack?.includes('wrong-password')]).toEqual([undefined, false])
  })

  it.each([
    [550, 'invalid'],
    [553, 'invalid'],
    [450, 'upstream'],
    [421, 'upstream']
  ])('takes the server’s %i for an address as %s', async (status, code) => {
    const box = await mailbox()
    box.refusals.push(status)
    const refusal = await refusalOf(sendMail(smtp(box), to, message, never))
    expect([refusal.code, refusal.message.includes(String(status))]).toEqual([code, true])
  })

  it('gives up a server that never greets, and one that is not there', { timeout: 25_000 }, async () => {
    const silent = createServer(() => {})
    await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve))
    const { port } = silent.address() as AddressInfo
    const began = Date.now()
    expect((await refusalOf(sendMail(smtp({ port } as Mailbox), to, message, never))).code).toBe('upstream')
    expect(Date.now() - began).toBeGreaterThan(14_000)
    silent.close()
    expect((await refusalOf(sendMail(smtp({ port } as Mailbox), to, message, never))).code).toBe('upstream')
  })

  it('stops at once when it is told to', async () => {
    const silent = createServer(() => {})
    await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve))
    const stop = new AbortController()
    const sending = refusalOf(sendMail(smtp({ port: (silent.address() as AddressInfo).port } as Mailbox), to, message, stop.signal))
    const began = Date.now()
    stop.abort()
    await sending
    expect(Date.now() - began).toBeLessThan(2_000)
    silent.close()
  })

  it.each([
    ['a line end', 'Dead\r\nBcc: eve@example.com'],
    ['a bare line feed', 'Dead\nBcc: eve@example.com'],
    ['a carriage return', 'Dead\rBcc: eve@example.com'],
    ['a Unicode line separator', 'Dead\u2028Bcc: eve@example.com'],
    ['a NUL', 'Dead\0Bcc: eve@example.com'],
    ['an encoded word', 'Dead =?utf-8?Q?=0D=0ABcc:_eve@example.com?=']
  ])('a title with %s begins no header and reaches nobody else', async (_case, title) => {
    const box = await mailbox()
    await sendMail(smtp(box), to, { ...message, title }, never)
    const [mail] = box.received
    expect(mail?.to).toEqual(['ada@example.com'])
    expect(headersOf(mail?.raw ?? '').has('bcc')).toBe(false)
    expect(mailOf({ ...message, title }, '').subject).not.toMatch(/[\p{Cc}\u2028]/u)
  })

  it('shows markup of a title, a text and a link as text', () => {
    const hostile = { ...message, title: '<b>x</b>', text: '<script>"&\'', links: [{ title: '<i>', url: 'https://a.example/"><script>' }] }
    const { html } = mailOf(hostile, '<why>')
    expect(html).not.toMatch(/<script|<b>|<i>|<why>|""/)
    expect(html).toContain('href="https://a.example/&quot;&gt;&lt;script&gt;"')
  })
})

describe('hooks', () => {
  const secretPath = '/services/T000/B000/hook-path-secret'
  const signingSecret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
  const { fetch } = createGuard({ filesDirectory: '/nowhere', privateHosts: ['127.0.0.1'] })
  let hook: Hook
  let elsewhere: Hook
  beforeAll(async () => {
    hook = await openHook(certificate, secretPath)
    elsewhere = await openHook(certificate, '/')
  })
  beforeEach(() => {
    hook.received.length = 0
    hook.answers.length = 0
  })
  afterAll(() => Promise.all([hook.close(), elsewhere.close()]))

  it('tells Slack by text alone, so that its imitations understand it', async () => {
    await sendSlack(fetch, { url: hook.url }, message, never)
    const [{ path, headers, body } = { path: '', headers: {}, body: '{}' }] = hook.received
    expect([path, headers['content-type'], headers['webhook-signature']]).toEqual([secretPath, 'application/json', undefined])
    expect(JSON.parse(body)).toEqual({
      text: [
        '*The management token of Harbour site is dead*',
        'Contentstack refuses it.\n\nNothing is lost: work waits.',
        '<https://quayside.example.com/console/installations/ins_1?a=1&amp;b=2|Make a new one>',
        'Stack: Harbour site'
      ].join('\n')
    })
  })

  it.each([
    ['a stack that would ring everybody', { ...message, stack: { name: '<!channel>', apiKey: 'b' } }, 'Stack: &lt;!channel&gt;'],
    ['a title that would ring somebody', { ...message, title: '<@U123> & co' }, '*&lt;@U123&gt; &amp; co*'],
    [
      'a link that would show another',
      { ...message, links: [{ title: 'a|b>', url: 'https://a.example/|x>' }] },
      '<https://a.example/%7Cx&gt;|a¦b&gt;>'
    ]
  ])('Slack reads %s as text', (_case, hostile, words) => {
    expect(slackOf(hostile).text.split('\n')).toContain(words)
  })

  it('signs a webhook so that the library of Standard Webhooks verifies it', async () => {
    await sendWebhook(fetch, { url: hook.url, signingSecret }, message, never)
    const [{ headers, body } = { headers: {} as Record<string, string>, body: '' }] = hook.received
    expect(headers['webhook-id']).toBe('alt_01')
    expect(new Webhook(signingSecret).verify(body, headers as Record<string, string>)).toEqual({
      type: 'token.dead',
      timestamp: '2030-01-02T03:04:05.000Z',
      data: {
        installationId: 'ins_1',
        stack: { name: 'Harbour site', apiKey: 'blt1' },
        title: message.title,
        text: message.text,
        links: message.links
      }
    })
    const signed = headers as Record<string, string>
    const other = `whsec_${Buffer.alloc(32, 8).toString('base64')}`
    expect(() => new Webhook(other).verify(body, signed)).toThrow('No matching signature')
    expect(() => new Webhook(signingSecret).verify(body.replace('dead', 'well'), signed)).toThrow('No matching signature')
    expect(() => new Webhook(signingSecret).verify(body, { ...signed, 'webhook-id': 'alt_02' })).toThrow('No matching signature')
  })

  it.each([
    [400, 'invalid'],
    [401, 'invalid'],
    [404, 'invalid'],
    [410, 'invalid'],
    [408, 'upstream'],
    [425, 'upstream'],
    [500, 'upstream'],
    [503, 'upstream'],
    [429, 'rate_limited']
  ])('takes %i as %s, and says neither path nor what was answered', async (status, code) => {
    hook.answers.push({ status, body: `you sent ${hook.url}` })
    const refusal = await refusalOf(sendSlack(fetch, { url: hook.url }, message, never))
    expect([refusal.code, refusal.message]).toEqual([code, `${new URL(hook.url).host} answered ${status}`])
    expect(`${refusal.stack} ${refusal.remedy}`).not.toContain('hook-path-secret')
  })

  it.each([
    ['no_service', ' no_service'],
    ['invalid_token\n', ' invalid_token'],
    ['hook-path-secret', ''],
    ['no_service'.repeat(100_000), '']
  ])('repeats Slack’s own words and no others', async (body, said) => {
    hook.answers.push({ status: 404, body })
    expect((await refusalOf(sendSlack(fetch, { url: hook.url }, message, never))).message).toBe(
      `${new URL(hook.url).host} answered 404${said}`
    )
  })

  it.each([
    ['120 seconds', () => '120', 120],
    ['no time', () => '0', 0],
    ['years', () => '999999999', 3600],
    ['nothing clear', () => 'soon', undefined],
    ['a date to come', () => new Date(Date.now() + 600_000).toUTCString(), 600],
    ['a date gone by', () => new Date(Date.now() - 600_000).toUTCString(), 0]
  ])('waits as long as Retry-After asks, an hour at most: %s', async (_case, retryAfter, seconds) => {
    hook.answers.push({ status: 429, headers: { 'retry-after': retryAfter() } })
    const { retryAfterSeconds } = await refusalOf(sendSlack(fetch, { url: hook.url }, message, never))
    // A date has no parts of a second.
    expect(retryAfterSeconds === undefined ? undefined : Math.round(retryAfterSeconds / 10) * 10).toBe(seconds)
  })

  it.each([301, 302, 303, 304, 307, 308])('a %i leads nowhere, even to where it might go', async status => {
    hook.answers.push({ status, headers: { location: elsewhere.url } })
    expect((await refusalOf(sendSlack(fetch, { url: hook.url }, message, never))).code).toBe('invalid')
    expect([hook.received.length, elsewhere.received.length]).toEqual([1, 0])
  })

  it('gives up a receiver that never answers after 15 seconds', { timeout: 25_000 }, async () => {
    hook.answers.push(null)
    const refusal = await refusalOf(sendSlack(fetch, { url: hook.url }, message, never))
    expect([refusal.code, refusal.message]).toEqual(['upstream', `${new URL(hook.url).host} did not answer within 15 s`])
  })

  it('does not trust a certificate that nobody vouches for', async () => {
    const stranger = await openHook(selfSigned(), secretPath)
    const refusal = await refusalOf(sendSlack(fetch, { url: stranger.url }, message, never))
    expect([refusal.code, stranger.received.length]).toEqual(['upstream', 0])
    await stranger.close()
  })

  it('sends nothing into a private network, however the address came to be', async () => {
    const guarded = createGuard({ filesDirectory: '/nowhere', privateHosts: [] }).fetch
    expect((await refusalOf(sendSlack(guarded, { url: hook.url }, message, never))).code).toBe('forbidden')
    expect(hook.received).toEqual([])
  })
})
