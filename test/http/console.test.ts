// The door of the console: what each role may do, what a session rests on, and what bad input gets. The login itself is in
// doors.test.ts and flows/d, the wall between tenants in tenants.test.ts.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AdminRole } from '../../server/identity/principal.ts'
import { type House, inConsole, openHouse, publicUrl } from './house.ts'

describe.each(['sqlite', 'postgres'] as const)('the console’s door on %s', dialect => {
  let house: House
  let as: Record<AdminRole | 'nobody', Record<string, string>>
  beforeAll(async () => {
    house = await openHouse(dialect)
    const { organizationId } = house.harbour
    as = {
      admin: await inConsole(house, { [organizationId]: 'admin' }),
      operator: await inConsole(house, { [organizationId]: 'operator' }),
      auditor: await inConsole(house, { [organizationId]: 'auditor' }),
      nobody: await inConsole(house, {})
    }
  })
  afterAll(() => house.close())

  const everyone: AdminRole[] = ['auditor', 'operator', 'admin']
  const runners: AdminRole[] = ['operator', 'admin']
  const admins: AdminRole[] = ['admin']
  /** Who is let through to the use case, be its answer 2xx or a refusal of what was asked for. */
  const routes: [method: string, path: string, may: AdminRole[], json?: object][] = [
    ['GET', '', everyone],
    ['GET', '/token', admins],
    ['POST', '/grants', admins, { purpose: 'mint', expiresInDays: null, branches: ['no such branch'] }],
    ['POST', '/tokens/paste', admins, { token: 'Bearer x' }],
    ['GET', '/connectors', everyone],
    ['GET', '/connections', everyone],
    ['POST', '/connections', admins, { connector: 'none', name: 'x', settings: {}, secrets: {} }],
    ['POST', '/connections/con_none/check', admins, {}],
    ['POST', '/connections/con_none/pause', runners, {}],
    ['GET', '/connections/con_none/fields?target=x', everyone],
    ['GET', '/content-types', everyone],
    ['GET', '/syncs', everyone],
    ['POST', '/syncs', admins, { direction: 'outbound', connectionId: 'con_none', contentTypes: ['*'], target: '' }],
    ['POST', '/syncs/preview', admins, { direction: 'outbound', connectionId: 'con_none', contentType: 'article', target: '' }],
    ['GET', '/syncs/$sync', everyone],
    ['PATCH', '/syncs/$sync', runners, { state: 'active' }],
    ['PATCH', '/syncs/syn_none/mapping', admins, { mapping: [{ from: 'title', to: 'title' }] }],
    ['POST', '/syncs/syn_none/run', runners, {}],
    ['GET', '/runs', everyone],
    ['GET', '/runs/$run', everyone],
    ['GET', '/runs/$run/failures', everyone],
    ['POST', '/runs/run_none/cancel', runners, {}],
    ['GET', '/jobs', everyone],
    ['POST', '/jobs/1/retry', runners, {}],
    ['POST', '/jobs/1/discard', runners, {}],
    ['GET', '/webhooks', everyone],
    ['GET', '/records?q=x', everyone],
    ['GET', '/runs/$run/records?outcome=failed', everyone],
    ['GET', '/syncs/$sync/plans', everyone],
    ['POST', '/syncs/syn_none/plan', runners, {}],
    ['GET', '/plans/$plan', everyone],
    ['GET', '/plans/$plan/items?step=delete', everyone],
    ['POST', '/plans/pln_none/apply', runners, {}],
    // What is lost is an admin's to decide.
    ['POST', '/plans/pln_none/apply', admins, { allowDeletes: 1 }],
    ['POST', '/plans/pln_none/discard', runners, {}],
    ['GET', '/syncs/$sync/drift', everyone],
    ['GET', '/syncs/$sync/drift/rhythm', everyone],
    ['POST', '/syncs/syn_none/drift', runners, { repair: true }],
    ['PATCH', '/syncs/syn_none/drift', runners, { schedule: null }],
    ['GET', '/deliveries', everyone],
    ['GET', '/keys', everyone],
    ['POST', '/keys', admins, { name: 'x', scopes: [{ module: 'assets', actions: ['read'], contentTypes: ['a'] }], expiresInDays: 1 }],
    ['DELETE', '/keys/key_none', admins, {}]
  ]
  const cases = routes.flatMap(([method, path, may, json]) => everyone.map(role => [role, method, path, may.includes(role), json] as const))

  it.each(cases)('judges an %s at %s %s: %s', async (role, method, path, may, json) => {
    const { installationId, syncId, runId, planId } = house.harbour
    const { status, error } = await house.ask(
      `/api/console/installations/${installationId}${path.replace('$sync', syncId).replace('$run', runId).replace('$plan', planId)}`,
      { method, headers: as[role], ...(json === undefined ? {} : { json }) }
    )
    const reached = [200, 400, 404].includes(status)
    expect(reached ? 'let through' : [status, error?.message]).toEqual(may ? 'let through' : [403, 'Your role does not allow this.'])
  })

  it.each(['installations', 'syncs', 'runs', 'jobs', 'deliveries', 'keys', 'audit'])('shows nobody’s %s to who has no role', async list => {
    expect((await house.ask(`/api/console/${list}`, { headers: as.nobody })).status).toBe(403)
  })

  it.each([
    ['a filter that is not known', '/runs?organization=x', 'There is no filter'],
    ['a filter of every object', '/runs?__proto__=x', 'There is no filter'],
    ['a filter given twice', '/runs?status=failed&status=success', 'more than once'],
    ['a filter given as a list', '/runs?status[]=failed', 'There is no filter'],
    ['a NUL in a filter', '/runs?status=%00', 'NUL'],
    ['a NUL in a cursor', '/audit?before=%00', 'NUL'],
    ['a NUL in an id', '/installations/%00/syncs', 'NUL']
  ])('refuses %s', async (_case, path, says) => {
    const { status, error } = await house.ask(`/api/console${path}`, { headers: as.admin })
    expect([status, error?.message]).toEqual([400, expect.stringContaining(says)])
  })

  it.each([
    ['a quotation mark in a cursor', `/audit?before=${encodeURIComponent("' or 1=1 --")}`],
    ['a cursor before everything', '/audit?before=!'],
    ['a status that is none', '/runs?status=asleep']
  ])('finds nothing by %s', async (_case, path) => {
    const { status, body } = await house.ask(`/api/console${path}`, { headers: as.admin })
    expect([status, body]).toEqual([200, { items: [], next: null }])
  })

  describe('a session', () => {
    const me = async (headers: Record<string, string>) => (await house.ask('/api/console/me', { headers })).status
    const token = (headers: Record<string, string>) => /=(.*)$/.exec(headers['cookie'] ?? '')?.[1] ?? ''

    it('counts by its own name alone, wherever it stands among others', async () => {
      expect(await me({ cookie: `a=b; __Host-quayside=${token(as.admin)}; c=d` })).toBe(200)
      expect(await me({ cookie: `quayside=${token(as.admin)}` })).toBe(401)
      expect(await me({ cookie: `x__Host-quayside=${token(as.admin)}` })).toBe(401)
      expect(await me({ cookie: `__Host-quayside-login=${token(as.admin)}` })).toBe(401)
      expect(await me({ authorization: `Bearer ${token(as.admin)}` })).toBe(401)
    })

    it.each(['idle_expires_at', 'absolute_expires_at'] as const)('is over at its %s', async column => {
      const headers = await inConsole(house, { [house.harbour.organizationId]: 'admin' })
      expect(await me(headers)).toBe(200)
      const { id_hash: newest } = await house.db
        .selectFrom('session')
        .select('id_hash')
        .orderBy('created_at', 'desc')
        .limit(1)
        .executeTakeFirstOrThrow()
      await house.db
        .updateTable('session')
        .set({ [column]: Date.now() - 1 })
        .where('id_hash', '=', newest)
        .execute()
      expect(await me(headers)).toBe(401)
    })

    it('ends when the operator maps groups to roles anew', async () => {
      const before = await inConsole(house, { [house.harbour.organizationId]: 'admin' }, '[["corporate","https://id.example",{}]]')
      expect(await me(before)).toBe(401)
      // Not even with the mark of a session that stands.
      const [, mark] = token(as.admin).split('.')
      expect(await me({ cookie: `__Host-quayside=${token(before).split('.', 1)[0]}.${mark}` })).toBe(401)
    })

    it('is gone from the server once its person logged out', async () => {
      const headers = await inConsole(house, { [house.harbour.organizationId]: 'admin' })
      const answer = await house.ask('/api/console/logout', { method: 'POST', headers, json: {} })
      expect([answer.status, answer.headers.getSetCookie()]).toEqual([
        200,
        [expect.stringMatching(/^__Host-quayside=; Path=\/; Expires=Thu, 01 Jan 1970 .*; HttpOnly; Secure; SameSite=Lax$/)]
      ])
      expect(await me(headers)).toBe(401)
    })

    it('loses an organization that is no longer served, and the rest stands', async () => {
      const { harbour, shore } = house
      const headers = await inConsole(house, { [harbour.organizationId]: 'admin', [shore.organizationId]: 'admin' })
      await house.db.updateTable('organization').set({ status: 'unclaimed' }).where('id', '=', shore.organizationId).execute()
      const { body } = await house.ask('/api/console/me', { headers })
      expect(body).toMatchObject({ organizations: [{ id: harbour.organizationId }] })
      expect((await house.ask(`/api/console/installations/${shore.installationId}`, { headers })).status).toBe(404)
      await house.db.updateTable('organization').set({ status: 'claimed' }).where('id', '=', shore.organizationId).execute()
    })
  })

  it.each<[string, string, Record<string, string>]>([
    ['of another site', 'POST', { origin: 'https://evil.example' }],
    ['of a page of ours over http', 'POST', { origin: publicUrl.replace('https', 'http') }],
    ['of a page of ours on another port', 'POST', { origin: `${publicUrl}:8443` }],
    ['without an origin', 'DELETE', { origin: '' }],
    ['of a form', 'PATCH', { 'content-type': 'text/plain' }],
    ['by a method that is asked about first', 'PUT', { origin: 'https://evil.example' }]
  ])('refuses a change %s', async (_case, method, headers) => {
    const { status, error } = await house.ask('/api/console/logout', { method, headers: { ...as.admin, ...headers }, json: {} })
    expect([status, error?.code]).toEqual([403, 'forbidden'])
    expect((await house.ask('/api/console/me', { headers: as.admin })).status).toBe(200)
  })
})
