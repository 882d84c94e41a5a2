// The webhook door before any signature is looked at: what a stranger's bytes cost, and what they learn.
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type House, openHouse } from './house.ts'

describe.each(['sqlite', 'postgres'] as const)('the webhook door on %s', dialect => {
  let house: House
  beforeAll(async () => {
    house = await openHouse(dialect)
  })
  afterAll(() => house.close())

  const claims = { 'x-quayside-secret': 'a-secret-that-is-none', 'x-contentstack-request-signature': `v1=${'A'.repeat(344)}` }
  const deliveries = async () => (await house.db.selectFrom('delivery').select('id').execute()).length

  it.each<[string, string, Record<string, string>, string | Uint8Array<ArrayBuffer>, number]>([
    ['nothing', '/webhooks/content/$', {}, '{}', 403],
    ['a signature alone', '/webhooks/content/$', { 'x-contentstack-request-signature': 'v1=AAAA' }, '{}', 403],
    ['a secret alone', '/webhooks/content/$', { 'x-quayside-secret': 'x' }, '{}', 403],
    ['both, made up', '/webhooks/content/$', claims, '{}', 403],
    ['both, made up, for nobody', '/webhooks/content/ins_nobody', claims, '{}', 403],
    ['both, made up, for an installation that cannot be', '/webhooks/content/..%2f..%2f', claims, '{}', 403],
    ['a NUL in the address', '/webhooks/content/ins_%00', claims, '{}', 400],
    ['both, made up, for a region that is not served', '/webhooks/lifecycle/mars', claims, '{}', 403],
    ['no body', '/webhooks/content/$', claims, '', 400],
    ['a secret of a kilobyte', '/webhooks/content/$', { ...claims, 'x-quayside-secret': 'x'.repeat(1024) }, '{}', 403],
    ['three megabytes', '/webhooks/content/$', claims, 'x'.repeat(3 * 1024 * 1024), 400],
    [
      'fifty megabytes in fifty kilobytes',
      '/webhooks/content/$',
      { ...claims, 'content-encoding': 'gzip' },
      new Uint8Array(gzipSync(Buffer.alloc(50_000_000))),
      400
    ],
    ['an encoding that is none', '/webhooks/content/$', { ...claims, 'content-encoding': 'rot13' }, '{}', 400]
  ])('answers %s without a row, and never 401', async (_case, path, headers, body, status) => {
    const before = await deliveries()
    const answer = await fetch(`${house.app.url}${path.replace('$', house.harbour.installationId)}`, { method: 'POST', headers, body })
    expect(answer.status).toBe(status)
    expect(await answer.text()).not.toContain('a-secret-that-is-none')
    expect(await deliveries()).toBe(before)
  })

  it('tells a stranger nothing apart: known or unknown, secret or signature', async () => {
    const say = async (path: string, headers: Record<string, string>) =>
      (await house.ask(path, { method: 'POST', headers, json: {} })).error?.message
    const said = [
      await say(`/webhooks/content/${house.harbour.installationId}`, {}),
      await say(`/webhooks/content/${house.harbour.installationId}`, claims),
      await say('/webhooks/content/ins_00000000000000000000000000', claims),
      await say('/webhooks/lifecycle/sandbox', claims),
      await say('/webhooks/lifecycle/sandbox', {}),
      await say('/webhooks/lifecycle/mars', {})
    ]
    expect(new Set(said)).toEqual(new Set(['This webhook is not from Contentstack for this installation.']))
  })

  it('answers who does not even claim to be Contentstack before a byte of the body came', async () => {
    const { hostname, port } = new URL(house.app.url)
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(port), hostname, () => {
        socket.write(`POST /webhooks/content/ins_x HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n`)
      })
      socket.once('data', data => {
        resolve(data.toString())
        socket.destroy()
      })
      socket.once('error', reject)
    })
    expect(answer).toMatch(/^HTTP\/1\.1 403 /)
  })
})
