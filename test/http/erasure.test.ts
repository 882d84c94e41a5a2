// Erasing an organization from the console: who may, what they are told before, and what is left of them afterwards.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ErasurePreview, ErasureReceipt } from '../../server/http/contract/console.ts'
import type { AdminRole } from '../../server/identity/principal.ts'
import { type House, inConsole, inFrame, openHouse } from './house.ts'

describe.each(['sqlite', 'postgres'] as const)('erasing by the console on %s', dialect => {
  let house: House
  beforeEach(async () => {
    house = await openHouse(dialect)
  })
  afterEach(() => house.close())

  const route = (organizationId: string) => `/api/console/organizations/${organizationId}/erase`
  const name = 'Harbour Publishing'
  const rowsOf = async (organizationId: string) => {
    const tables = [
      'connection',
      'sync',
      'run',
      'delivery',
      'access_key',
      'audit_event',
      'management_token',
      'secret',
      'installation'
    ] as const
    const rows = []
    for (const table of tables) {
      rows.push(
        await house.db
          .selectFrom(table as 'sync')
          .selectAll()
          .where('organization_id', '=', organizationId)
          .orderBy('id')
          .execute()
      )
    }
    return JSON.stringify(rows)
  }

  it.each<[string, AdminRole | null, number]>([
    ['an auditor', 'auditor', 403],
    ['an operator', 'operator', 403],
    ['an admin of another organization', null, 404]
  ])('%s may neither look nor erase', async (_who, role, status) => {
    const { organizationId } = house.harbour
    const headers = await inConsole(house, role ? { [organizationId]: role } : { [house.shore.organizationId]: 'admin' })
    const before = await rowsOf(organizationId)
    expect((await house.ask(route(organizationId), { headers })).status).toBe(status)
    expect((await house.ask(route(organizationId), { method: 'POST', headers, json: { name, leaveTokens: true } })).status).toBe(status)
    expect(await rowsOf(organizationId)).toBe(before)
  })

  it('a stack admin has no way to it, nor has anybody without a session or from another page', async () => {
    const { organizationId } = house.harbour
    const before = await rowsOf(organizationId)
    const frame = await inFrame(house, house.harbour, house.harbour.stackAdmin)
    const json = { name, leaveTokens: true }
    expect((await house.ask('/api/extension/stack/erase', { method: 'POST', headers: frame, json })).status).toBe(404)
    expect((await house.ask(route(organizationId), { method: 'POST', headers: frame, json })).status).toBe(401)
    const console = await inConsole(house, { [organizationId]: 'admin' })
    expect(
      (await house.ask(route(organizationId), { method: 'POST', headers: { ...console, origin: 'https://evil.example' }, json })).status
    ).toBe(403)
    expect(await rowsOf(organizationId)).toBe(before)
  })

  it.each<[string, object, number]>([
    ['another name', { name: 'harbour publishing', leaveTokens: true }, 400],
    ['no name', { leaveTokens: true }, 400],
    ['a misspelt field', { name, leaveToken: true }, 400],
    ['the name, while a token is in custody', { name }, 409]
  ])('does nothing with %s', async (_case, json, status) => {
    const { organizationId } = house.harbour
    const headers = await inConsole(house, { [organizationId]: 'admin' })
    const before = await rowsOf(organizationId)
    const answer = await house.ask(route(organizationId), { method: 'POST', headers, json })
    expect(answer.status).toBe(status)
    expect(answer.error?.remedy ?? '').not.toBe('')
    expect(await rowsOf(organizationId)).toBe(before)
  })

  it('tells an admin what would go, does it, and lets them go', async () => {
    const { organizationId, organizationUid, managementToken, key } = house.harbour
    const headers = await inConsole(house, { [organizationId]: 'admin' })
    const shore = await rowsOf(house.shore.organizationId)
    const preview = (await house.ask(route(organizationId), { headers })).body as ErasurePreview
    expect(preview).toMatchObject({
      organization: { id: organizationId, name, organizationUid },
      tokens: [{ name: 'Test', status: 'active' }],
      refusal: { remedy: expect.stringContaining('Uninstall') },
      begun: false
    })
    expect(preview.rows).toMatchObject({ installation: 1, sync: 1, access_key: 1 })
    const { status, body, text } = await house.ask(route(organizationId), { method: 'POST', headers, json: { name, leaveTokens: true } })
    expect(status).toBe(200)
    const receipt = body as ErasureReceipt
    expect(receipt).toMatchObject({ by: { name: 'Person <person@example.com>' }, tokensLeft: [{ name: 'Test' }], rows: { sync: 1 } })
    expect(text).not.toContain(managementToken)
    expect((await house.ask('/api/console/me', { headers })).status).toBe(401)
    expect((await house.ask('/gateway/v3/content_types/article/entries', { headers: { authorization: key } })).status).toBe(401)
    expect(await rowsOf(house.shore.organizationId)).toBe(shore)
    expect(await rowsOf(organizationId)).not.toContain('person@example.com')
    expect(house.log()).not.toContain(managementToken)
  })
})
