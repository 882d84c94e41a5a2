import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isAppError } from '../../server/errors.ts'
import { readBody } from '../../server/gateway/body.ts'
import { permit, readCall } from '../../server/gateway/policy.ts'
import type { KeyScope } from '../../server/identity/principal.ts'

const uid = 'blt0123456789abcdef'
const everything: KeyScope[] = (['entries', 'assets', 'content_types'] as const).map(module => ({
  module,
  actions: ['read', 'write', 'publish', 'delete']
}))
const blogOnly: KeyScope[] = [{ module: 'entries', actions: ['read', 'write', 'publish', 'delete'], contentTypes: ['blog'] }]

function refusal(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (isAppError(error)) return error.code
    throw error
  }
  return 'passed'
}

const decide = (scopes: KeyScope[], method: string, path: string, query = '') =>
  refusal(() => permit(scopes, readCall(method, path, query)))

describe('the routes of the gateway', () => {
  it.each([
    ['GET', '/v3/content_types/blog/entries', 'entries', 'read'],
    ['GET', `/v3/content_types/blog/entries/${uid}`, 'entries', 'read'],
    ['GET', `/v3/content_types/blog/entries/${uid}/locales`, 'entries', 'read'],
    ['GET', `/v3/content_types/blog/entries/${uid}/versions`, 'entries', 'read'],
    ['GET', `/v3/content_types/blog/entries/${uid}/references`, 'entries', 'read'],
    ['POST', '/v3/content_types/blog/entries', 'entries', 'write'],
    ['PUT', `/v3/content_types/blog/entries/${uid}`, 'entries', 'write'],
    ['DELETE', `/v3/content_types/blog/entries/${uid}`, 'entries', 'delete'],
    ['POST', `/v3/content_types/blog/entries/${uid}/unlocalize`, 'entries', 'delete'],
    ['POST', `/v3/content_types/blog/entries/${uid}/publish`, 'entries', 'publish'],
    ['POST', `/v3/content_types/blog/entries/${uid}/unpublish`, 'entries', 'publish'],
    ['GET', '/v3/assets', 'assets', 'read'],
    ['GET', `/v3/assets/${uid}`, 'assets', 'read'],
    ['POST', '/v3/assets', 'assets', 'write'],
    ['PUT', `/v3/assets/${uid}`, 'assets', 'write'],
    ['DELETE', `/v3/assets/${uid}`, 'assets', 'delete'],
    ['POST', `/v3/assets/${uid}/publish`, 'assets', 'publish'],
    ['GET', '/v3/content_types', 'content_types', 'read'],
    ['GET', '/v3/content_types/blog', 'content_types', 'read'],
    ['POST', '/v3/content_types', 'content_types', 'write'],
    ['PUT', '/v3/content_types/blog', 'content_types', 'write'],
    ['DELETE', '/v3/content_types/blog', 'content_types', 'delete']
  ] as const)('%s %s asks for the right to %s / %s and nothing less', (method, path, module, action) => {
    expect(readCall(method, path, '')).toMatchObject({ method, path: path.slice(3), module, action })
    expect(decide([{ module, actions: [action] }], method, path)).toBe('passed')
    const rest: KeyScope[] = everything.map(scope => ({
      ...scope,
      actions: scope.module === module ? scope.actions.filter(other => other !== action) : scope.actions
    }))
    expect(decide(rest, method, path)).toBe('forbidden')
  })

  it.each([
    ['webhooks', 'GET', '/v3/webhooks'],
    ['a new webhook', 'POST', '/v3/webhooks'],
    ['roles, which may return secrets', 'GET', '/v3/roles'],
    ['management tokens', 'GET', '/v3/stacks/management_tokens'],
    ['the stack', 'GET', '/v3/stacks'],
    ['users', 'GET', '/v3/stacks/users'],
    ['a login', 'POST', '/v3/user-session'],
    ['extensions', 'GET', '/v3/extensions'],
    ['environments', 'GET', '/v3/environments'],
    ['releases', 'POST', `/v3/releases/${uid}/deploy`],
    ['bulk deletes', 'POST', '/v3/bulk/delete'],
    ['bulk publishing', 'POST', '/v3/bulk/publish'],
    ['the audit log', 'GET', '/v3/audit-logs'],
    ['an import of entries', 'POST', '/v3/content_types/blog/entries/import'],
    ['an import into an entry', 'POST', `/v3/content_types/blog/entries/${uid}/import`],
    ['an import of content types', 'POST', '/v3/content_types/import'],
    ['an export of a content type', 'GET', '/v3/content_types/blog/export'],
    ['a workflow stage', 'POST', `/v3/content_types/blog/entries/${uid}/workflow`],
    ['a whole folder', 'DELETE', `/v3/assets/folders/${uid}`],
    ['assets dressed as entries', 'GET', '/v3/content_types/built_io_upload/entries'],
    ['assets dressed as entries, new style', 'GET', '/v3/content_types/sys_assets/entries'],
    ['a word in place of a uid', 'PUT', '/v3/content_types/blog/entries/import'],
    ['dot segments', 'GET', '/v3/content_types/../webhooks'],
    ['dot segments at the end', 'GET', '/v3/content_types/blog/entries/..'],
    ['a single dot', 'GET', '/v3/./content_types'],
    ['encoded dot segments', 'GET', '/v3/content_types/%2e%2e/webhooks'],
    ['an encoded slash', 'GET', '/v3/content_types%2Fblog'],
    ['a twice encoded slash', 'GET', '/v3/content_types/blog%252Fentries'],
    ['a backslash', 'GET', '/v3/content_types\\blog'],
    ['an encoded backslash', 'GET', '/v3/content_types/blog%5centries'],
    ['a double slash', 'GET', '/v3//content_types'],
    ['a double slash in front', 'GET', '//v3/content_types'],
    ['a slash at the end', 'GET', '/v3/content_types/'],
    ['capitals', 'GET', '/v3/Content_Types'],
    ['a capital content type', 'GET', '/v3/content_types/Blog/entries'],
    ['another API version', 'GET', '/v2/content_types'],
    ['no API version', 'GET', '/content_types'],
    ['an absolute address', 'GET', 'https://elsewhere.example/v3/content_types'],
    ['an address with user information', 'GET', '//v3@elsewhere.example/content_types'],
    ['a path parameter', 'GET', '/v3/content_types;x=1'],
    ['a query hidden in the path', 'GET', '/v3/content_types?include[]=x'],
    ['a fragment', 'GET', '/v3/content_types#x'],
    ['a NUL byte', 'GET', '/v3/content_types/\u0000'],
    ['an encoded NUL byte', 'GET', '/v3/content_types/%00'],
    ['a line break', 'GET', '/v3/content_types\r\nx: y'],
    ['a line break at the end', 'GET', '/v3/content_types\n'],
    ['a full-width slash', 'GET', '/v3／content_types'],
    ['a very long address', 'GET', `/v3/content_types/${'a'.repeat(500)}`],
    ['HEAD', 'HEAD', '/v3/content_types'],
    ['PATCH', 'PATCH', '/v3/content_types/blog'],
    ['OPTIONS', 'OPTIONS', '/v3/content_types'],
    ['a method in small letters', 'get', '/v3/content_types'],
    ['a method that is none', 'GET /v3/webhooks\r\n', '/v3/content_types'],
    ['nothing', 'GET', ''],
    ['the root', 'GET', '/v3']
  ])('refuse %s even to a key that may do everything', (_title, method, path) => {
    expect(decide(everything, method, path)).toBe('forbidden')
  })

  it.each([
    ['an unknown parameter', 'foo=1'],
    ['a credential', 'access_token=x'],
    ['another stack', 'api_key=blt1'],
    ['a branch', 'branch=other'],
    ['a method override', '_method=DELETE'],
    ['a parameter twice', 'locale=en-us&locale=de-de'],
    ['a parameter twice, once encoded', 'locale=en-us&l%6fcale=de-de'],
    ['a parameter as a list', 'locale[]=en-us'],
    ['a parameter of Object.prototype', 'constructor=1'],
    ['__proto__', '__proto__[locale]=de-de'],
    ['broken encoding', 'locale=%E0%A4'],
    ['a locale that is none', 'locale=../../webhooks'],
    ['a limit that is no number', 'limit=1e9'],
    ['a query that is no JSON', 'query=%7B'],
    ['a query that is a list', 'query=%5B%5D'],
    ['an operator nobody knows', `query=${encodeURIComponent('{"$where":"1"}')}`],
    ['an operator under __proto__', `query=${encodeURIComponent('{"__proto__":{"$where":"1"}}')}`],
    ['a query nested without end', `query=${encodeURIComponent('{"a":'.repeat(20) + '1' + '}'.repeat(20))}`],
    ['a query without end', `query=${'x'.repeat(9_000)}`],
    ['release of everything', 'publish_with_reference=true']
  ])('refuse %s in the query', (_title, query) => {
    expect(decide(everything, 'GET', '/v3/content_types/blog/entries', query)).toBe('invalid')
  })

  it('refuses to delete a content type by force', () => {
    expect(decide(everything, 'DELETE', '/v3/content_types/blog', 'force=true')).toBe('invalid')
  })

  it('reads the parameters of a list, decoded once', () => {
    const call = readCall(
      'GET',
      '/v3/content_types/blog/entries',
      'locale=en-us&limit=10&query=%7B%22title%22%3A%7B%22%24in%22%3A%5B%22a+b%22%5D%7D%7D'
    )
    expect(call.query).toEqual([
      ['locale', 'en-us'],
      ['limit', '10'],
      ['query', '{"title":{"$in":["a b"]}}']
    ])
    expect(call.locale).toBe('en-us')
  })
})

describe('a key limited to some content types', () => {
  it.each([
    ['GET', '/v3/content_types/blog/entries', 'locale=en-us'],
    ['PUT', `/v3/content_types/blog/entries/${uid}`, ''],
    ['POST', `/v3/content_types/blog/entries/${uid}/publish`, '']
  ])('passes for %s %s', (method, path, query) => {
    expect(decide(blogOnly, method, path, query)).toBe('passed')
  })

  it.each([
    ['another content type', 'GET', '/v3/content_types/author/entries', ''],
    ['a content type with a similar name', 'GET', '/v3/content_types/blog_private/entries', ''],
    ['entries resolved along', 'GET', '/v3/content_types/blog/entries', 'include[]=author'],
    ['entries resolved along, encoded', 'GET', '/v3/content_types/blog/entries', 'include%5B%5D=author'],
    ['a join', 'GET', '/v3/content_types/blog/entries', `query=${encodeURIComponent('{"author":{"$in_query":{"name":"x"}}}')}`],
    [
      'a join within a list',
      'GET',
      '/v3/content_types/blog/entries',
      `query=${encodeURIComponent('{"$or":[{"author":{"$nin_query":{}}}]}')}`
    ],
    ['referring entries', 'GET', `/v3/content_types/blog/entries/${uid}/references`, '']
  ])('is refused for %s', (_title, method, path, query) => {
    expect(decide(blogOnly, method, path, query)).toBe('forbidden')
    expect(decide(everything, method, path, query)).toBe('passed')
  })

  it('is refused for assets and for a new content type, which no list of content types covers', () => {
    const scopes: KeyScope[] = everything.map(scope => ({ ...scope, contentTypes: ['blog'] }))
    expect(decide(scopes, 'GET', '/v3/assets')).toBe('forbidden')
    expect(decide(scopes, 'POST', '/v3/content_types')).toBe('forbidden')
    expect(decide(scopes, 'GET', '/v3/content_types')).toBe('forbidden')
    expect(decide(scopes, 'GET', '/v3/content_types/blog')).toBe('passed')
  })
})

describe('the policy, whatever is asked', () => {
  const segment = fc.constantFrom(
    'v3',
    'content_types',
    'blog',
    'entries',
    'assets',
    uid,
    'webhooks',
    'stacks',
    '..',
    '.',
    '',
    '%2e%2e',
    'publish',
    'roles',
    'a.b'
  )
  const anyPath = fc.oneof(
    fc.array(segment, { maxLength: 8 }).map(parts => `/${parts.join('/')}`),
    fc.string()
  )
  const anyMethod = fc.oneof(fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD'), fc.string())
  const anyQuery = fc.oneof(fc.constantFrom('', 'locale=en-us', 'include[]=author', 'limit=5'), fc.string())
  const actionLists = fc.subarray(['read', 'write', 'publish', 'delete'])
  const anyScopes: fc.Arbitrary<KeyScope[]> = fc.array(
    fc.record(
      {
        module: fc.constantFrom('entries', 'assets', 'content_types' as const),
        actions: actionLists.map(list => [...list]),
        contentTypes: fc.subarray(['blog', 'author'])
      },
      { requiredKeys: ['module', 'actions'] }
    )
  ) as fc.Arbitrary<KeyScope[]>

  it('refuses with AppError or passes exactly what a scope names, and never throws anything else', () => {
    fc.assert(
      fc.property(anyMethod, anyPath, anyQuery, anyScopes, (method, path, query, scopes) => {
        const verdict = decide(scopes, method, path, query)
        expect(['passed', 'forbidden', 'invalid']).toContain(verdict)
        if (verdict !== 'passed') return
        const call = readCall(method, path, query)
        expect(call.path).toMatch(/^\/(content_types|assets)(\/[A-Za-z0-9_]+)*$/)
        expect(scopes.some(scope => scope.module === call.module && scope.actions.includes(call.action))).toBe(true)
      }),
      { numRuns: 2_000 }
    )
  })

  it('lets nothing pass without a scope', () => {
    fc.assert(
      fc.property(anyMethod, anyPath, anyQuery, (method, path, query) => {
        expect(decide([], method, path, query)).not.toBe('passed')
      })
    )
  })

  it('passes no less when a limit to content types is lifted', () => {
    fc.assert(
      fc.property(anyMethod, anyPath, anyQuery, anyScopes, (method, path, query, scopes) => {
        if (decide(scopes, method, path, query) !== 'passed') return
        expect(
          decide(
            scopes.map(({ module, actions }) => ({ module, actions })),
            method,
            path,
            query
          )
        ).toBe('passed')
      }),
      { numRuns: 1_000 }
    )
  })
})

describe('the body of a gateway request', () => {
  const publish = readCall('POST', `/v3/content_types/blog/entries/${uid}/publish`, '')
  const create = readCall('POST', '/v3/content_types/blog/entries', '')
  const json = (value: unknown) => Buffer.from(JSON.stringify(value))
  const good = { entry: { environments: ['development'], locales: ['en-us'] }, locale: 'en-us', version: 1 }

  it('of publishing is written anew from what was read', () => {
    const twice = Buffer.from(`{"entry":{"environments":["x"],"locales":[]},"publish_with_reference":true,"publish_with_reference":false}`)
    const { call, body } = readBody(publish, 'application/json', twice)
    expect(call.reach).toEqual([])
    expect(body?.bytes.toString()).toBe('{"entry":{"environments":["x"],"locales":[]},"publish_with_reference":false}')
  })

  it('that publishes references along needs rights on all entries', () => {
    const { call } = readBody(publish, 'application/json', json({ ...good, publish_with_reference: true }))
    expect(refusal(() => permit(blogOnly, call))).toBe('forbidden')
    expect(refusal(() => permit(everything, call))).toBe('passed')
  })

  it('of a new entry goes on byte for byte', () => {
    const bytes = Buffer.from('{ "entry": { "price": 1.10 } }')
    expect(readBody(create, 'application/json; charset=utf-8', bytes).body?.bytes).toBe(bytes)
  })

  it.each([
    ['no body', create, 'application/json', Buffer.alloc(0)],
    ['a body that is no JSON', create, 'application/json', Buffer.from('entry=1')],
    ['a form', create, 'application/x-www-form-urlencoded', json({ entry: {} })],
    ['another charset', create, 'application/json; charset=utf-16', json({ entry: {} })],
    ['a list', create, 'application/json', json([{ entry: {} }])],
    ['null', create, 'application/json', json(null)],
    ['a second name', create, 'application/json', json({ entry: {}, release: {} })],
    ['the body of another module', create, 'application/json', json({ asset: {} })],
    ['a body with GET', readCall('GET', '/v3/assets', ''), 'application/json', json({})],
    ['an asset without a form', readCall('POST', '/v3/assets', ''), 'application/json', json({ asset: {} })],
    ['a body beyond the limit', create, 'application/json', Buffer.alloc(5 * 1024 * 1024 + 1, 32)],
    ['a publish of unknown names', publish, 'application/json', json({ ...good, rules: { approvals: true } })],
    ['a publish with __proto__', publish, 'application/json', Buffer.from('{"entry":{"locales":[]},"__proto__":{}}')],
    ['a publish without its entry', publish, 'application/json', json({ locale: 'en-us' })],
    ['a publish of variants', publish, 'application/json', json({ ...good, entry: { ...good.entry, variants: [] } })],
    ['a publish to a version that is no number', publish, 'application/json', json({ ...good, version: '1' })]
  ])('is refused: %s', (_title, call, contentType, bytes) => {
    expect(refusal(() => readBody(call, contentType, bytes))).toBe('invalid')
  })
})
