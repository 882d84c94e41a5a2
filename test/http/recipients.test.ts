// Who may see and change where alerts go, and read what was told: both doors, every role, the other tenant.
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { raiseAlert } from '../../server/alerts/alert.ts'
import { openReceiver, type Receiver } from '../support/receiver.ts'
import { type Asked, type House, inConsole, inFrame, openHouse } from './house.ts'

interface Recipient {
  id: string
  kind: string
  address: string
  sentAt: number | null
  error: string | null
}

const secretPath = 'T000-B000-hook-path-secret'

describe.each(['sqlite', 'postgres'] as const)('recipients of alerts on %s', dialect => {
  let house: House
  let receiver: Receiver
  let url: string
  let admin: Record<string, string>
  beforeAll(async () => {
    house = await openHouse(dialect)
    receiver = await openReceiver()
    url = `${new URL(receiver.url).origin}/${secretPath}`
    admin = await inConsole(house, { [house.harbour.organizationId]: 'admin' })
  })
  beforeEach(async () => {
    await house.db.deleteFrom('alert_recipient').execute()
    receiver.received.length = 0
    receiver.answer = 200
  })
  afterAll(async () => {
    await receiver.close()
    await house.close()
  })

  const base = (tenant = house.harbour) => `/api/console/installations/${tenant.installationId}`
  const inTheConsole = (path: string, asked: Asked = {}) => house.ask(`${base()}${path}`, { headers: admin, ...asked })
  const change = (method: string, json: unknown = {}): Asked => ({ method, json })
  const added = async (kind = 'webhook'): Promise<{ recipient: Recipient; signingSecret: string | null }> => {
    const { status, body } = await inTheConsole('/recipients', change('POST', { kind, address: url }))
    expect(status).toBe(201)
    return body as { recipient: Recipient; signingSecret: string | null }
  }

  it('an admin adds, tries, lists and removes one, and the address is never said again', async () => {
    const { recipient, signingSecret } = await added()
    expect(recipient).toMatchObject({ kind: 'webhook', address: new URL(url).origin, sentAt: null, error: null })
    expect(signingSecret).toMatch(/^whsec_/)
    const tried = await inTheConsole(`/recipients/${recipient.id}/test`, change('POST'))
    expect([tried.status, (tried.body as Recipient).error]).toEqual([200, null])
    const [{ headers, raw } = { headers: {}, raw: Buffer.alloc(0) }] = receiver.received
    new Webhook(signingSecret ?? '').verify(raw, headers as Record<string, string>)
    const listed = await inTheConsole('/recipients')
    expect((listed.body as { items: Recipient[] }).items).toEqual([{ ...recipient, sentAt: (tried.body as Recipient).sentAt }])
    const removed = await inTheConsole(`/recipients/${recipient.id}`, change('DELETE'))
    expect([removed.status, (removed.body as Recipient).id]).toEqual([200, recipient.id])
    expect(((await inTheConsole('/recipients')).body as { items: Recipient[] }).items).toEqual([])
    expect((await inTheConsole(`/recipients/${recipient.id}`, change('DELETE'))).status).toBe(404)
    for (const { text } of [tried, listed, removed]) {
      expect(text).not.toContain(secretPath)
      expect(text).not.toContain(signingSecret)
    }
    expect([house.log().includes(secretPath), house.log().includes(signingSecret ?? '?')]).toEqual([false, false])
  })

  it('an outcome that is bad is said, without the path and what was answered', async () => {
    const { recipient } = await added('slack')
    receiver.answer = 500
    const tried = await inTheConsole(`/recipients/${recipient.id}/test`, change('POST'))
    expect([tried.status, (tried.body as Recipient).error]).toEqual([200, `${new URL(url).host} answered 500.`])
  })

  it('a stack admin does the same in the frame', async () => {
    const headers = await inFrame(house, house.harbour, house.harbour.stackAdmin)
    const ask = (path: string, asked: Asked = {}) => house.ask(`/api/extension/stack${path}`, { headers, ...asked })
    const { status, body } = await ask('/recipients', change('POST', { kind: 'slack', address: url }))
    const { recipient, signingSecret } = body as { recipient: Recipient; signingSecret: string | null }
    expect([status, signingSecret]).toEqual([201, null])
    expect((await ask(`/recipients/${recipient.id}/test`, change('POST'))).status).toBe(200)
    expect((await ask('/recipients')).text).toContain(recipient.id)
    expect((await ask('/alerts')).status).toBe(200)
    expect((await ask(`/recipients/${recipient.id}`, change('DELETE'))).status).toBe(200)
  })

  const reads = ['/alerts', '/recipients']
  const changes: [method: string, path: string, json: object][] = [
    ['POST', '/recipients', { kind: 'slack', address: 'https://hooks.slack.com/x' }],
    ['POST', '/recipients/$recipient/test', {}],
    ['DELETE', '/recipients/$recipient', {}]
  ]

  it('an editor sees and changes nothing', async () => {
    const { recipient } = await added()
    const headers = await inFrame(house, house.harbour, house.harbour.editor)
    for (const path of reads) expect((await house.ask(`/api/extension/stack${path}`, { headers })).status, path).toBe(403)
    for (const [method, path, json] of changes) {
      const { status } = await house.ask(`/api/extension/stack${path.replace('$recipient', recipient.id)}`, { method, headers, json })
      expect(status, `${method} ${path}`).toBe(403)
    }
    expect([receiver.received.length, (await inTheConsole('/recipients')).text.includes(recipient.id)]).toEqual([0, true])
  })

  it.each(['auditor', 'operator'] as const)('an %s sees all and changes nothing', async role => {
    const { recipient } = await added()
    const headers = await inConsole(house, { [house.harbour.organizationId]: role })
    for (const path of reads) expect((await inTheConsole(path, { headers })).status, path).toBe(200)
    for (const [method, path, json] of changes)
      expect((await inTheConsole(path.replace('$recipient', recipient.id), { method, headers, json })).status, `${method} ${path}`).toBe(
        403
      )
    expect(receiver.received).toEqual([])
  })

  it('another tenant’s recipient is unknown, and so is another tenant’s installation', async () => {
    const { recipient } = await added()
    const headers = await inConsole(house, { [house.shore.organizationId]: 'admin' })
    for (const [method, path] of changes.filter(([, path]) => path.includes('$')))
      for (const installation of [house.harbour, house.shore]) {
        const asked = { method, headers, json: {} }
        const { status } = await house.ask(`${base(installation)}${path.replace('$recipient', recipient.id)}`, asked)
        expect(status, `${method} ${path}`).toBe(404)
      }
    for (const path of reads) expect((await house.ask(`${base()}${path}`, { headers })).status).toBe(404)
    expect((await house.ask(`${base(house.shore)}/recipients`, { headers })).text).not.toContain(recipient.id)
    expect([receiver.received.length, (await inTheConsole('/recipients')).text.includes(recipient.id)]).toEqual([0, true])
  })

  it.each([
    ['e-mail without a mail server', { kind: 'email', address: 'ada@example.com' }, 400],
    ['another kind', { kind: 'sms', address: '+41 00' }, 400],
    ['a field too many', { kind: 'slack', address: 'https://example.com/', signingSecret: 'whsec_mine' }, 400],
    ['no address', { kind: 'slack' }, 400],
    ['a list of addresses', { kind: 'slack', address: ['https://example.com/'] }, 400],
    ['2,049 characters', { kind: 'slack', address: `https://example.com/${'a'.repeat(2029)}` }, 400],
    ['a user and a password', { kind: 'webhook', address: 'https://a:b@example.com/' }, 400],
    ['a NUL', { kind: 'webhook', address: 'https://example.com/\0' }, 400],
    ['a private network', { kind: 'webhook', address: 'https://10.0.0.1/' }, 403],
    ['a cloud’s metadata', { kind: 'slack', address: 'http://169.254.169.254/latest/meta-data/' }, 403]
  ])('refuses %s and keeps nothing', async (_case, json, expected) => {
    const { status, error } = await inTheConsole('/recipients', change('POST', json))
    expect([status, error?.remedy !== undefined]).toEqual([expected, true])
    expect(((await inTheConsole('/recipients')).body as { items: Recipient[] }).items).toEqual([])
  })

  it('says of an address whose key may be known to others that it must be replaced', async () => {
    const { recipient } = await added()
    await house.db.updateTable('secret').set({ exposed_at: 1 }).where('purpose', '=', 'alert_recipient').execute()
    const { items } = (await inTheConsole('/recipients')).body as { items: Recipient[] }
    expect(items).toMatchObject([{ id: recipient.id, error: expect.stringContaining('may be known to others') as string }])
  })

  it('lists what was told, newest first, page by page, of one installation', async () => {
    const { harbour, shore } = house
    const raise = (tenant: typeof harbour, title: string) =>
      raiseAlert(house.db, {
        organizationId: tenant.organizationId,
        installationId: tenant.installationId,
        kind: 'token.expiring',
        title,
        text: 'Seven days.',
        links: [{ title: 'Rotate', url: 'https://quayside.example.com/rotate' }]
      })
    for (let n = 1; n <= 51; n++) await raise(harbour, `Reminder ${n}`)
    await raise(shore, 'Theirs')
    const page = async (before = '') =>
      (await inTheConsole(`/alerts${before}`)).body as { items: { id: string; title: string }[]; next: string | null }
    const first = await page()
    expect(first.items).toHaveLength(50)
    expect(first.items[0]).toMatchObject({
      kind: 'token.expiring',
      title: 'Reminder 51',
      text: 'Seven days.',
      links: [{ title: 'Rotate', url: 'https://quayside.example.com/rotate' }]
    })
    const second = await page(`?before=${first.next}`)
    expect([second.items.map(({ title }) => title), second.next]).toEqual([['Reminder 1'], null])
  })

  it('lets a recipient be tried ten times a minute and no oftener', async () => {
    const { recipient } = await added()
    const statuses: number[] = []
    for (let n = 0; n < 12; n++) statuses.push((await inTheConsole(`/recipients/${recipient.id}/test`, change('POST'))).status)
    expect(statuses.at(-1)).toBe(429)
    expect(receiver.received.length).toBeLessThanOrEqual(10)
  })
})
