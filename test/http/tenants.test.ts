// The wall between two tenants, from behind both doors: whatever names something of the other's is answered as if there were no such
// thing, in the same words, and changes nothing over there.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { appTokenOf, type Asked, type House, inConsole, inFrame, openHouse, type Tenant } from './house.ts'

type Door = 'console' | 'frame'

/** Below one installation. `$sync` and its like stand for an id of the other tenant's. */
const routes: [method: string, path: string, json?: object][] = [
  ['GET', '/syncs/$sync'],
  ['PATCH', '/syncs/$sync', { state: 'paused' }],
  ['PATCH', '/syncs/$sync/mapping', { mapping: [{ from: 'title', to: 'title' }] }],
  ['POST', '/syncs/$sync/run', {}],
  ['POST', '/syncs/$sync/push-door', {}],
  ['GET', '/runs/$run'],
  ['GET', '/runs/$run/failures'],
  ['POST', '/runs/$run/cancel', {}],
  ['GET', '/runs/$run/records'],
  ['POST', '/syncs/$sync/plan', {}],
  ['GET', '/syncs/$sync/plans'],
  ['GET', '/plans/$plan'],
  ['GET', '/plans/$plan/items'],
  ['POST', '/plans/$plan/apply', {}],
  ['POST', '/plans/$plan/apply', { allowDeletes: 1 }],
  ['POST', '/plans/$plan/discard', {}],
  ['GET', '/syncs/$sync/drift'],
  ['GET', '/syncs/$sync/drift/rhythm'],
  ['POST', '/syncs/$sync/drift', { repair: true }],
  ['PATCH', '/syncs/$sync/drift', { schedule: { cron: '0 3 * * *', timeZone: 'UTC', repair: true } }],
  ['POST', '/connections/$connection/check', {}],
  ['POST', '/connections/$connection/pause', {}],
  ['PATCH', '/connections/$connection', { secrets: { password: 'x' } }],
  ['POST', '/adopt', { from: '$installation' }],
  ['GET', '/connections/$connection/fields?target=article'],
  ['POST', '/syncs', { direction: 'outbound', connectionId: '$connection', contentTypes: ['article'], target: '' }],
  ['POST', '/syncs/preview', { direction: 'outbound', connectionId: '$connection', contentType: 'article', target: '' }],
  ['DELETE', '/keys/$key', {}]
]

/** Of an installation that is the other tenant's; only the console can name one. */
const wholeInstallation: [method: string, path: string, json?: object][] = [
  ['GET', ''],
  ['GET', '/token'],
  ['POST', '/grants', { purpose: 'mint', expiresInDays: null, branches: ['main'] }],
  ['POST', '/tokens/paste', { token: 'abcdefghijklmnop' }],
  ['GET', '/connectors'],
  ['GET', '/connections'],
  ['POST', '/connections', { connector: 'sql', name: 'x', settings: { system: 'sqlite', file: 'x.db' }, secrets: {} }],
  ['GET', '/predecessors'],
  ['GET', '/content-types'],
  ['GET', '/syncs'],
  ['GET', '/runs'],
  ['GET', '/jobs'],
  ['POST', '/jobs/1/retry', {}],
  ['GET', '/webhooks'],
  ['GET', '/records'],
  ['GET', '/deliveries'],
  ['GET', '/keys'],
  ['POST', '/keys', { name: 'x', scopes: [{ module: 'entries', actions: ['read'] }], expiresInDays: 1 }],
  ...routes
]

describe.each(['sqlite', 'postgres'] as const)('two tenants on %s', dialect => {
  let house: House
  let console: Record<string, string>
  let frame: Record<string, string>
  let before: string
  beforeAll(async () => {
    house = await openHouse(dialect)
    console = await inConsole(house, { [house.harbour.organizationId]: 'admin' })
    frame = await inFrame(house, house.harbour, house.harbour.stackAdmin)
    before = await everythingOf(house.shore)
  })
  afterAll(() => house.close())

  async function everythingOf({ organizationId }: Tenant): Promise<string> {
    const tables = [
      'connection',
      'sync',
      'run',
      'plan',
      'run_record',
      'drift',
      'delivery',
      'access_key',
      'audit_event',
      'management_token',
      'grant_flow',
      'secret'
    ] as const
    const rows: unknown[] = []
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

  const filled = (text: string, { installationId, syncId, runId, planId, connectionId, keyId }: Tenant) =>
    text
      .replace('$installation', installationId)
      .replace('$sync', syncId)
      .replace('$run', runId)
      .replace('$plan', planId)
      .replace('$connection', connectionId)
      .replace('$key', keyId)

  function askAs(door: Door, path: string, asked: Asked) {
    const base = door === 'console' ? `/api/console/installations/${house.harbour.installationId}` : '/api/extension/stack'
    return house.ask(`${base}${path}`, { ...asked, headers: door === 'console' ? console : frame })
  }

  const bothDoors = (['console', 'frame'] as const).flatMap(door =>
    routes.map(([method, path, json]) => [door, method, path, json] as const)
  )

  it.each(bothDoors)('by the %s, %s %s is answered like an id that never was', async (door, method, path, json) => {
    const asked = (tenant: Tenant) =>
      askAs(door, filled(path, tenant), {
        method,
        ...(json === undefined ? {} : { json: JSON.parse(filled(JSON.stringify(json), tenant)) as object })
      })
    const theirs = await asked(house.shore)
    const nobody = 'x_00000000000000000000000000'
    const nobodys = await asked({
      ...house.shore,
      installationId: nobody,
      syncId: nobody,
      runId: nobody,
      planId: nobody,
      connectionId: nobody,
      keyId: nobody
    })
    expect([theirs.status, theirs.error?.code]).toEqual([404, 'not_found'])
    const { installationId, syncId, runId, planId, connectionId, keyId } = house.shore
    let words = theirs.error?.message ?? ''
    for (const id of [installationId, syncId, runId, planId, connectionId, keyId]) words = words.replace(id, nobody)
    expect([nobodys.status, nobodys.error?.message]).toEqual([404, words])
  })

  it.each(wholeInstallation)('the other’s installation is unknown to %s %s in the console', async (method, path, json) => {
    const { status, error } = await house.ask(`/api/console/installations/${house.shore.installationId}${filled(path, house.shore)}`, {
      method,
      headers: console,
      ...(method === 'GET' ? {} : { json: json ?? {} })
    })
    expect([status, error?.message]).toEqual([404, `There is no installation ${house.shore.installationId}`])
  })

  const lists = ['installations', 'syncs', 'runs', 'deliveries', 'keys', 'audit']

  it.each(lists)('the list of %s holds one’s own and nothing else, whatever is asked for', async list => {
    const { harbour, shore } = house
    const items = async (query: string) => {
      const { status, body } = await house.ask(`/api/console/${list}${query}`, { headers: console })
      expect(status).toBe(200)
      return (body as { items: { id: string }[] }).items.map(({ id }) => id)
    }
    const own = await items('')
    expect(own.length).toBeGreaterThan(0)
    for (const id of idsOf(shore)) expect(own).not.toContain(id)
    expect(await items(`?installation=${shore.installationId}`)).toEqual([])
    expect(await items(`?installation=${harbour.installationId}`)).toEqual(own)
    // A cursor is a place in the order, not a way in: the other's last id may cut one's own list, and never shows theirs.
    for (const id of idsOf(shore)) for (const found of await items(`?before=${id}`)) expect(own).toContain(found)
  })

  it('runs of the other’s sync are none', async () => {
    expect((await house.ask(`/api/console/runs?sync=${house.shore.syncId}`, { headers: console })).body).toEqual({ items: [], next: null })
    expect((await askAs('frame', `/runs?sync=${house.shore.syncId}`, {})).body).toEqual({ items: [], next: null })
  })

  it.each(['/runs', '/deliveries', '/keys'])('a cursor of the other’s shows nothing of theirs under %s in the frame', async path => {
    for (const id of idsOf(house.shore)) {
      const { body } = await askAs('frame', `${path}?before=${id}`, {})
      for (const { installationId } of (body as { items: { installationId: string }[] }).items)
        expect(installationId).toBe(house.harbour.installationId)
    }
  })

  it('a key of one stack cannot name the other', async () => {
    const { status, text } = await house.ask('/gateway/v3/content_types/article/entries', {
      headers: { authorization: house.harbour.key, api_key: house.shore.stackApiKey }
    })
    expect([status, text]).toEqual([403, expect.stringContaining('another stack')])
  })

  it('an app-token of one installation with the other’s stack or organization opens nothing', async () => {
    for (const change of [{ stack_api_key: house.shore.stackApiKey }, { organization_uid: house.shore.organizationUid }]) {
      const { status } = await house.ask('/api/extension/session', {
        method: 'POST',
        headers: { origin: console['origin'] ?? '' },
        json: { appToken: appTokenOf(house, house.harbour, change) }
      })
      expect(status).toBe(401)
    }
  })

  it('who has a role in both sees both, and only what each role allows', async () => {
    const both = await inConsole(house, { [house.harbour.organizationId]: 'admin', [house.shore.organizationId]: 'auditor' })
    const { body } = await house.ask('/api/console/installations', { headers: both })
    expect((body as { items: { id: string }[] }).items.map(({ id }) => id).toSorted()).toEqual(
      [house.harbour.installationId, house.shore.installationId].toSorted()
    )
    const { status } = await house.ask(`/api/console/installations/${house.shore.installationId}/syncs/${house.shore.syncId}`, {
      method: 'PATCH',
      headers: both,
      json: { state: 'paused' }
    })
    expect(status).toBe(403)
  })

  it('after all of that, the other tenant has what it had', async () => {
    expect(await everythingOf(house.shore)).toBe(before)
  })

  function idsOf({ installationId, syncId, runId, planId, deliveryId, keyId, auditId, connectionId }: Tenant): string[] {
    return [installationId, syncId, runId, planId, deliveryId, keyId, auditId, connectionId]
  }
})
