// The door for pushed records over HTTP: opened by an admin, used by a program, and what a stranger's bytes cost.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Webhook } from 'standardwebhooks'
import { type House, inConsole, openHouse } from './house.ts'

describe.each(['sqlite', 'postgres'] as const)('the door for pushed records on %s', dialect => {
  let house: House
  let path: string
  let secret: string
  beforeAll(async () => {
    house = await openHouse(dialect)
    const { installationId, organizationId, syncId } = house.harbour
    const mapping = [{ from: 'code', to: 'code', type: 'text', required: true }]
    await house.db
      .updateTable('sync')
      .set({
        direction: 'inbound',
        mapping_json: JSON.stringify(mapping),
        options_json: JSON.stringify({ table: 'land', key: 'code', externalIdField: 'code' })
      })
      .where('id', '=', syncId)
      .execute()
    const headers = await inConsole(house, { [organizationId]: 'admin' })
    const opened = await house.ask(`/api/console/installations/${installationId}/syncs/${syncId}/push-door`, {
      method: 'POST',
      json: {},
      headers
    })
    if (opened.status !== 201) throw new Error(`the door was not opened: ${opened.status}`)
    const { url, signingSecret } = opened.body as { url: string; signingSecret: string }
    path = new URL(url).pathname
    secret = signingSecret
  })
  afterAll(() => house.close())

  const signed = (body: string, id: string): Record<string, string> => {
    const at = new Date()
    return {
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': new Webhook(secret).sign(id, at, body)
    }
  }
  const batches = async (): Promise<number> => (await house.db.selectFrom('pushed_batch').select('id').execute()).length
  const send = (body: string, headers: Record<string, string>, to = path) =>
    fetch(`${house.app.url}${to}`, { method: 'POST', body, headers })

  it('takes what is signed and has it on disk, and never shows or logs its secret again', async () => {
    const body = JSON.stringify({ records: [{ key: 'FRA', values: { code: 'FRA' } }] })
    const answer = await send(body, signed(body, 'msg_1'))
    expect(answer.status).toBe(202)
    expect(await answer.json()).toMatchObject({ accepted: true, duplicate: false })
    expect(await batches()).toBe(1)
    expect(await (await send(body, signed(body, 'msg_1'))).json()).toMatchObject({ duplicate: true })
    expect(await batches()).toBe(1)
    expect(house.log()).not.toContain(secret)
  })

  it('answers a stranger without a row', async () => {
    const body = JSON.stringify({ deleted: ['A'] })
    const other = { ...signed(body, 'msg_2'), 'webhook-signature': 'v1,AAAA' }
    const large = 'x'.repeat(2 * 1024 * 1024)
    const before = await batches()
    const said = [
      (await send(body, {})).status,
      (await send(body, other)).status,
      (await send(body, signed(body, 'msg_3'), '/hooks/in/syn_00000000000000000000000000')).status,
      (await send(body, signed(body, 'msg_4'), '/hooks/in/%00')).status,
      (await send(large, signed(large, 'msg_5'))).status,
      (await send('{}', signed('{}', 'msg_6'))).status
    ]
    expect(said).toEqual([403, 403, 403, 400, 400, 400])
    expect(await batches()).toBe(before)
  })
})
