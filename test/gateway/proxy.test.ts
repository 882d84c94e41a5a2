import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { blogApiKey, shopApiKey } from '../../sandbox/world/built-in.ts'
import type { Database } from '../../server/database/database.ts'
import { isAppError } from '../../server/errors.ts'
import { type GatewayRequest, handleGateway } from '../../server/gateway/proxy.ts'
import { createAccessKey, findAccessKey } from '../../server/identity/access-keys.ts'
import type { KeyPrincipal, KeyScope } from '../../server/identity/principal.ts'
import type { CredentialDeps } from '../../server/installations/credentials.ts'
import { listWrites } from '../../server/installations/ledger.ts'
import { type Connected, connectBlog, credentialDeps } from '../support/connected.ts'
import { forEachDatabase } from '../support/databases.ts'
import { startSandbox } from '../support/sandbox.ts'

const actor = { kind: 'admin' as const, id: 'https://idp#1', name: 'Ada Admin' }
const allScopes: KeyScope[] = [
  { module: 'entries', actions: ['read', 'write', 'publish', 'delete'] },
  { module: 'assets', actions: ['read', 'write', 'publish', 'delete'] },
  { module: 'content_types', actions: ['read'] }
]

let sandbox: Sandbox
beforeAll(async () => {
  sandbox = await startSandbox()
})
afterAll(() => sandbox.close())

forEachDatabase(open => {
  let database: Database
  let deps: CredentialDeps
  let blog: Connected
  let principal: KeyPrincipal

  async function keyFor(connected: Connected, scopes: KeyScope[]): Promise<KeyPrincipal> {
    const { id: installationId, organization_id: organizationId } = connected.installation
    const input = { organizationId, installationId, name: 'nightly', owner: 'Ada', scopes, expiresInDays: null, actor }
    const { key } = await createAccessKey(database.db, deps, input)
    return (await findAccessKey(database.db, key)) as KeyPrincipal
  }

  beforeAll(async () => {
    database = await open()
    deps = await credentialDeps(sandbox, database)
    blog = await connectBlog(sandbox, database, deps)
    principal = await keyFor(blog, allScopes)
  })

  async function ask(method: string, target: string, body?: unknown, changes: Partial<GatewayRequest> = {}) {
    const [path = '', query = ''] = target.split('?')
    const json = body === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(body))
    const headers = body === undefined ? {} : { 'content-type': 'application/json' }
    const request: GatewayRequest = { method, path, query, headers, body: json, ...changes }
    const response = await handleGateway(database.db, deps, principal, request)
    const text = await new Response(response.body as BodyInit | null).text()
    return { status: response.status, headers: response.headers, text, json: JSON.parse(text) as Record<string, Record<string, unknown>> }
  }
  const refusal = async (promise: Promise<unknown>): Promise<string> => {
    try {
      await promise
      return 'passed'
    } catch (error) {
      if (isAppError(error)) return error.code
      throw error
    }
  }
  const countryFields = (code: string) => ({ title: `Land ${code}`, code })
  const ledger = () => listWrites(database.db, { organizationIds: [blog.installation.organization_id], limit: 100 })

  describe('the gateway', () => {
    it('answers as Contentstack answers, with its limits in the headers and nothing of the token', async () => {
      const { status, headers, json, text } = await ask('GET', '/v3/content_types/country/entries?include_count=true&limit=1')
      expect(status).toBe(200)
      expect(json).toHaveProperty('count')
      expect(headers['content-type']).toContain('application/json')
      expect(headers).toHaveProperty('x-ratelimit-limit')
      expect(
        Object.keys(headers).every(name => ['cache-control', 'content-type', 'x-ratelimit-limit', 'x-ratelimit-remaining'].includes(name))
      ).toBe(true)
      expect(text).not.toContain(blog.managementToken)
    })

    it('attributes each accepted write to the key, with the version that Contentstack returned', async () => {
      const code = `G${blog.installation.id.slice(-6)}`
      const created = await ask('POST', '/v3/content_types/country/entries?locale=en-us', { entry: countryFields(code) })
      expect(created.status).toBe(201)
      const uid = created.json.entry?.uid as string
      const updated = await ask('PUT', `/v3/content_types/country/entries/${uid}?locale=en-us`, { entry: { title: `Changed ${code}` } })
      expect(updated.json.entry).toMatchObject({ _version: 2, title: `Changed ${code}` })
      const published = await ask('POST', `/v3/content_types/country/entries/${uid}/publish`, {
        entry: { environments: ['development'], locales: ['en-us'] },
        locale: 'en-us',
        version: 2
      })
      expect(published.status).toBe(200)
      const deleted = await ask('DELETE', `/v3/content_types/country/entries/${uid}?delete_all_localized=true`)
      expect(deleted.status).toBe(200)
      const rows = (await ledger()).filter(row => row.entry_uid === uid).toReversed()
      expect(rows.map(({ method, version, locale }) => [method, version, locale])).toEqual([
        ['POST', 1, 'en-us'],
        ['PUT', 2, 'en-us'],
        ['POST', null, 'en-us'],
        ['DELETE', null, null]
      ])
      for (const row of rows) {
        expect(row).toMatchObject({
          actor_kind: 'key',
          actor_id: principal.keyId,
          content_type: 'country',
          installation_id: blog.installation.id
        })
      }
    })

    it('keeps no record of what Contentstack refused, and hands its refusal on', async () => {
      const before = await ledger()
      const { status, json } = await ask('POST', '/v3/content_types/country/entries', { entry: {} })
      expect(status).toBe(422)
      expect(json).toMatchObject({ error_code: 119 })
      expect(await ledger()).toEqual(before)
    })

    it('passes a missing entry on as Contentstack says it', async () => {
      const { status, json } = await ask('GET', '/v3/content_types/country/entries/blt0000000000000000')
      expect([status, json.error_code]).toEqual([422, 141])
    })

    it('uploads an asset', async () => {
      const form = new FormData()
      form.append('asset[upload]', new Blob(['<svg xmlns="http://www.w3.org/2000/svg"/>'], { type: 'image/svg+xml' }), 'dot.svg')
      const encoded = new Request('http://local', { method: 'POST', body: form })
      const { status, json } = await ask('POST', '/v3/assets', undefined, {
        headers: { 'content-type': encoded.headers.get('content-type') ?? '' },
        body: Buffer.from(await encoded.arrayBuffer())
      })
      expect(status).toBe(201)
      expect(json.asset).toMatchObject({ filename: 'dot.svg' })
    })

    it('takes the api_key of its own stack and of no other', async () => {
      expect((await ask('GET', '/v3/assets', undefined, { headers: { api_key: blogApiKey } })).status).toBe(200)
      expect(await refusal(ask('GET', '/v3/assets', undefined, { headers: { api_key: shopApiKey } }))).toBe('forbidden')
    })

    it.each<[string, Record<string, string | string[]>, string]>([
      ['an authtoken', { authtoken: 'blt1234567890' }, 'invalid'],
      ['a delivery token', { access_token: 'cs123' }, 'invalid'],
      ['two api keys', { api_key: [blogApiKey, shopApiKey] }, 'invalid'],
      ['a branch that is none', { branch: '../x' }, 'invalid']
    ])('refuses %s in the headers', async (_title, headers, code) => {
      expect(await refusal(ask('GET', '/v3/assets', undefined, { headers }))).toBe(code)
    })

    it('sends none of the headers that a script made up', async () => {
      const { status } = await ask('GET', '/v3/assets', undefined, {
        headers: {
          'x-http-method-override': 'DELETE',
          host: 'elsewhere.example',
          organization_uid: 'blt1',
          cookie: 'a=b',
          'content-length': '5'
        }
      })
      expect(status).toBe(200)
    })

    it('stays within the branch of the token', async () => {
      expect((await ask('GET', '/v3/content_types', undefined, { headers: { branch: 'redesign' } })).status).toBeGreaterThanOrEqual(400)
    })

    it('refuses what the key has no scope for before anything is asked of Contentstack', async () => {
      const whole = principal
      principal = await keyFor(blog, [{ module: 'entries', actions: ['read'], contentTypes: ['country'] }])
      const writes = sandbox.world.stacks[blogApiKey]?.writes.length
      expect(await refusal(ask('POST', '/v3/content_types/country/entries', { entry: countryFields('NO') }))).toBe('forbidden')
      expect(await refusal(ask('GET', '/v3/content_types/country/entries?include[]=x'))).toBe('forbidden')
      expect((await ask('GET', '/v3/content_types/country/entries')).status).toBe(200)
      expect(sandbox.world.stacks[blogApiKey]?.writes.length).toBe(writes)
      principal = whole
    })

    const uid = 'blt0000000000000000'
    const readOnly: KeyScope[] = [{ module: 'entries', actions: ['read'] }]
    const countryOnly: KeyScope[] = [{ module: 'entries', actions: ['read', 'write', 'publish'], contentTypes: ['country'] }]
    it.each<[string, KeyScope[], string, string, unknown, string]>([
      ['no right to publish, and a bad body', readOnly, 'POST', `country/entries/${uid}/publish`, { rules: 1 }, 'forbidden'],
      ['no right to publish, and no body', readOnly, 'POST', `country/entries/${uid}/publish`, undefined, 'forbidden'],
      ['no right to write, and a bad body', readOnly, 'POST', 'country/entries', { asset: {} }, 'forbidden'],
      ['no right to delete, and a body where none belongs', readOnly, 'DELETE', `country/entries/${uid}`, {}, 'forbidden'],
      ['no right to this content type, and a bad body', countryOnly, 'POST', 'author/entries', { asset: {} }, 'forbidden'],
      [
        'a body that reaches further than the key',
        countryOnly,
        'POST',
        `country/entries/${uid}/publish`,
        { entry: { environments: ['development'], locales: ['en-us'] }, publish_with_reference: true },
        'forbidden'
      ],
      ['the right, and a bad body', countryOnly, 'POST', `country/entries/${uid}/publish`, { rules: 1 }, 'invalid'],
      ['the right, and the body of another module', countryOnly, 'POST', 'country/entries', { asset: {} }, 'invalid']
    ])('judges the scope before the shape of the body: %s', async (_title, scopes, method, path, body, code) => {
      const whole = principal
      principal = await keyFor(blog, scopes)
      try {
        expect(await refusal(ask(method, `/v3/content_types/${path}`, body))).toBe(code)
      } finally {
        principal = whole
      }
    })

    it('does not let a dead management token look like a bad access key', async () => {
      const dying = await connectBlog(sandbox, database, deps)
      const whole = principal
      principal = await keyFor(dying, allScopes)
      const stack = sandbox.world.stacks[blogApiKey]
      if (stack) delete stack.managementTokens[dying.tokenUid]
      const error: unknown = await ask('GET', '/v3/assets').catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code: 'upstream', message: expect.stringContaining('Your access key is fine') as string })
      expect(await refusal(ask('GET', '/v3/assets'))).toBe('upstream')
      principal = whole
      expect((await ask('GET', '/v3/assets')).status).toBe(200)
    })
  })
})
