// Flow F, a script on an access key: it reaches what its key was made for and nothing else, each of its writes is on record, and it
// goes on when the person who made the key leaves. The scripts are those of examples/, run as anybody would run them.
import { beforeAll, describe, expect, it } from 'vitest'
import { adaLeaves, type Cast, grantOf, runScripts } from '../../sandbox/demo/story.ts'
import { shopApiKey } from '../../sandbox/world/built-in.ts'
import { otto } from '../../sandbox/world/people.ts'
import type { CreatedKey } from '../../server/http/contract/stack.ts'
import { askStack, type Connected, connect, type Flow, onBothDatabases, reopen } from '../support/flow.ts'
import { findSecrets } from '../support/secrets.ts'

onBothDatabases('F. script and gateway', open => {
  let flow: Flow
  let connected: Connected
  let created: CreatedKey
  let cast: Cast
  const uidOf = (contentType: string) => Object.keys(flow.stack.entries['main']![contentType]!)[0]!

  beforeAll(async () => {
    flow = await open()
    connected = await connect(flow)
    created = await connected.pages.createKey({
      name: 'nightly update',
      scopes: [{ module: 'entries', actions: ['read', 'write'], contentTypes: ['product'] }],
      expiresInDays: 30
    })
    const { person, urls, server, stack } = flow
    cast = { person, urls, server: server.url, apiKey: stack.apiKey, contentType: 'product', ada: connected.admin, accessKey: created.key }
  })

  async function gateway(
    method: string,
    path: string,
    { key = created.key, json, apiKey = flow.stack.apiKey }: { key?: string; json?: unknown; apiKey?: string } = {}
  ) {
    const response = await fetch(`${flow.server.url}/gateway${path}`, {
      method,
      headers: { authorization: key, api_key: apiKey, ...(json === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(json === undefined ? {} : { body: JSON.stringify(json) })
    })
    const text = await response.text()
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: (text === '' ? null : JSON.parse(text)) as Record<string, unknown>
    }
  }

  it('runs the script of examples/ as it runs on an authtoken, and writes on the stack’s own token', async () => {
    const before = flow.stack.writes.length
    const { authtoken, key } = await runScripts(cast)
    expect([authtoken.status, key.status]).toEqual([200, 200])
    expect(key.line.replace(/^.*marked/, '')).toBe(authtoken.line.replace(/^.*marked/, ''))
    expect(flow.stack.writes.slice(before).map(({ by }) => by.kind)).toEqual([
      ...Array<string>(3).fill('authtoken'),
      ...Array<string>(3).fill('management_token')
    ])
  })

  it('keeps on record which key wrote which version of which entry', async () => {
    const rows = await flow.database.db.selectFrom('write_ledger').selectAll().where('actor_kind', '=', 'key').orderBy('id').execute()
    expect(rows).toHaveLength(3)
    for (const row of rows) {
      expect(row).toMatchObject({ actor_id: created.accessKey.id, method: 'PUT', status: 200, content_type: 'product' })
      const { versions } = flow.stack.entries['main']!['product']![row.entry_uid!]!.locales['en-us']!
      expect(row.version).toBe(versions.at(-1)!.version)
    }
    const listed = (await connected.pages.keys()).find(({ id }) => id === created.accessKey.id)
    expect(listed?.lastUsedAt).toEqual(expect.any(Number))
  })

  describe('what the key was not made for', () => {
    it.each<[string, string, (flow: Flow) => string, RegExp]>([
      ['another content type', 'GET', () => '/v3/content_types/article/entries', /may not read entries of "article"/],
      ['publishing', 'POST', () => `/v3/content_types/product/entries/${uidOf('product')}/publish`, /may not publish/],
      ['deleting', 'DELETE', () => `/v3/content_types/product/entries/${uidOf('product')}`, /may not delete/],
      ['assets', 'GET', () => '/v3/assets', /may not read assets/],
      ['all content types', 'GET', () => '/v3/content_types', /may not read content_types/],
      ['webhooks', 'GET', () => '/v3/webhooks', /does not pass GET \/webhooks/],
      ['making a webhook', 'POST', () => '/v3/webhooks', /does not pass POST \/webhooks/],
      ['management tokens', 'GET', () => '/v3/stacks/management_tokens', /does not pass/],
      ['roles', 'GET', () => '/v3/roles', /does not pass/],
      ['people', 'GET', () => '/v3/user', /does not pass/],
      ['the stack', 'GET', () => '/v3/stacks', /does not pass/],
      ['bulk publishing', 'POST', () => '/v3/bulk/publish', /does not pass/],
      ['a hidden way out', 'GET', () => '/v3/content_types/product%2F..%2F..%2Froles/entries', /not plainly written/],
      ['references resolved along', 'GET', () => '/v3/content_types/product/entries?include[]=anything', /include/]
    ])('%s is refused in the CMA’s dialect and never reaches Contentstack', async (_name, method, path, words) => {
      const before = { writes: flow.stack.writes.length, ledger: await ledger() }
      const { status, body } = await gateway(
        method,
        path(flow),
        method === 'POST' ? { json: { entry: { environments: ['production'], locales: ['en-us'] } } } : {}
      )
      expect([400, 403]).toContain(status)
      expect(body).toMatchObject({ error_message: expect.stringMatching(words), error_code: expect.any(Number) })
      expect({ writes: flow.stack.writes.length, ledger: await ledger() }).toEqual(before)
    })

    it('another stack is refused even when it is named in the header', async () => {
      const { status, body } = await gateway('GET', '/v3/content_types/product/entries', { apiKey: shopApiKey })
      expect(status).toBe(403)
      expect(body['error_message']).toMatch(/stack/)
    })

    it.each([
      ['no key', ''],
      ['an unknown key', `qsk_${'A'.repeat(49)}`],
      ['an authtoken', 'blt0123456789abcdef']
    ])('%s is 401 with what to send instead', async (_name, key) => {
      const { status, body } = await gateway('GET', '/v3/content_types/product/entries', { key })
      expect(status).toBe(401)
      expect(body).toMatchObject({ error_code: 105, error_message: expect.stringContaining('access key') })
    })

    const ledger = async () => (await flow.database.db.selectFrom('write_ledger').select('id').execute()).length
  })

  it('hands the CMA’s own refusals through, and never the management token', async () => {
    const { status, body, text, headers } = await gateway('PUT', `/v3/content_types/product/entries/${uidOf('product')}`, {
      json: { entry: { sku: '' } }
    })
    expect([status, body['error_code']]).toEqual([422, 119])
    const [token] = Object.values(flow.stack.managementTokens)
    expect(text + JSON.stringify([...headers])).not.toContain(token!.secret)
  })

  it('goes on when Ada leaves: her script is refused, her grant is gone, the key’s script is not', async () => {
    await adaLeaves(cast)
    const { authtoken, key } = await runScripts(cast)
    expect([authtoken.status, key.status]).toEqual([401, 200])
    expect(await grantOf(cast)).toBe('revoked')
    expect(flow.stack.writes.at(-1)!.by).toMatchObject({ kind: 'management_token', name: expect.stringMatching(/^Quayside /) })
  })

  it('is over the moment the key is revoked, by another admin', async () => {
    const pages = await reopen(flow, await flow.as(otto), connected.installationUid)
    await askStack(flow, pages, `/keys/${created.accessKey.id}`, { method: 'DELETE', json: {} })
    const { status, body } = await gateway('GET', '/v3/content_types/product/entries')
    expect([status, body['error_code']]).toEqual([401, 105])
    expect((await runScripts(cast)).key.status).toBe(401)
    const events = await flow.database.db
      .selectFrom('audit_event')
      .select(['action', 'actor_id'])
      .where('object_id', '=', created.accessKey.id)
      .orderBy('seq')
      .execute()
    expect(events).toHaveLength(2)
    expect(events.at(-1)!.actor_id).toBe(otto.uid)
  })

  it('is nowhere on our disk in clear', async () => {
    expect(await findSecrets(flow, new Map([[created.key, 'access key']]))).toEqual([])
  })
})
