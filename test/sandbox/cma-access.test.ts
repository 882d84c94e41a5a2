import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { blogApiKey, shopApiKey } from '../../sandbox/world/built-in.ts'
import { entryUid } from '../../sandbox/world/built-in-entries.ts'
import type { OAuthToken } from '../../sandbox/world/model.ts'
import { ada, comeBack, dora, edda, harbourPublishing, leave, otto, sara } from '../../sandbox/world/people.ts'
import { branchScope, startCma, type CmaHost } from '../support/cma-host.ts'

let cma: CmaHost
beforeEach(async () => {
  cma = await startCma()
})
afterEach(() => cma.close())

const products = '/content_types/product/entries'
const tokens = '/stacks/management_tokens'
const tokenBody = (name: string, more: Record<string, unknown> = {}) => ({
  token: {
    name,
    scope: [{ module: 'content_type', acl: { read: true, write: true } }, branchScope('main')],
    expires_on: '2099-01-01',
    ...more
  }
})

function oauthUser(userUid: string, scopes: string[], more: Partial<OAuthToken> = {}): Record<string, string> {
  const { world } = cma.context
  world.authorizations['auth1'] = {
    uid: 'auth1',
    appUid: 'app1',
    userUid,
    organizationUid: harbourPublishing,
    scopes,
    createdAt: '',
    revokedAt: null
  }
  const expiresAt = new Date(cma.context.clock.now() + 3_600_000).toISOString()
  const common = { type: 'access', kind: 'user', appUid: 'app1', organizationUid: harbourPublishing, revokedAt: null } as const
  world.oauthTokens['access1'] = { ...common, userUid, authorizationUid: 'auth1', scopes, expiresAt, ...more }
  return { authorization: 'Bearer access1', organization_uid: harbourPublishing }
}

function oauthApp(scopes: string[], target = cma.stack.apiKey): Record<string, string> {
  const { world } = cma.context
  const at = cma.context.clock.iso()
  world.installations['inst1'] = {
    uid: 'inst1',
    appUid: 'app1',
    organizationUid: harbourPublishing,
    target: { type: 'stack', uid: target },
    status: 'installed',
    createdBy: ada.uid,
    updatedBy: ada.uid,
    createdAt: at,
    updatedAt: at,
    uiLocation: {},
    configuration: {},
    serverConfiguration: {}
  }
  const expiresAt = new Date(cma.context.clock.now() + 3_600_000).toISOString()
  const common = { type: 'access', kind: 'app', appUid: 'app1', organizationUid: harbourPublishing, revokedAt: null } as const
  world.oauthTokens['access2'] = { ...common, installationUid: 'inst1', scopes, expiresAt }
  return { authorization: 'Bearer access2' }
}

async function outcome(method: string, path: string, credential: Record<string, string>, body?: unknown): Promise<[number, number | null]> {
  const reply = await cma.call(method, path, credential, body)
  return [reply.status, reply.body?.error_code ?? null]
}

describe('who is asking', () => {
  it('is told so when nobody is', async () => {
    const reply = await cma.call('GET', products)
    expect(reply.status).toBe(401)
    expect(reply.body).toEqual({
      error_message: "You're not allowed in here unless you're logged in.",
      error_code: 105,
      errors: { authtoken: ['is not valid.'] }
    })
  })

  it('needs a stack that exists', async () => {
    expect(await outcome('GET', products, { ...cma.token(), api_key: 'blt0' })).toEqual([412, 109])
  })

  it('does not take a management token with Bearer, of another stack, or as an authtoken', async () => {
    const { authorization } = cma.token()
    expect(await outcome('GET', products, { authorization: `Bearer ${authorization}` })).toEqual([401, 105])
    expect(await outcome('GET', products, { authorization: authorization ?? '', api_key: shopApiKey })).toEqual([401, 105])
    expect(await outcome('GET', products, { authtoken: authorization ?? '' })).toEqual([401, 105])
  })

  it('names the key that the play chooses for a dead management token', async () => {
    expect((await cma.call('GET', products, { authorization: 'csnone' })).body.errors).toEqual({ authorization: ['is not valid.'] })
    cma.context.plays.expiredTokenBody = 'authtoken'
    expect((await cma.call('GET', products, { authorization: 'csnone' })).body.errors).toEqual({ authtoken: ['is not valid.'] })
  })

  it('lets a token die at midnight UTC of its date', async () => {
    const tomorrow = new Date(cma.context.clock.now() + 86_400_000).toISOString()
    const token = cma.token({ expiresOn: tomorrow })
    expect(await outcome('GET', products, token)).toEqual([200, null])
    cma.context.clock.advance(Date.parse(`${tomorrow.slice(0, 10)}T00:00:00.000Z`) - cma.context.clock.now())
    expect(await outcome('GET', products, token)).toEqual([401, 105])
  })

  it('gives a person an authtoken for e-mail and password, and silently drops the 1st at the 21st', async () => {
    const login = () => cma.call('POST', '/user-session', {}, { user: { email: ada.email, password: ada.password } })
    const first = (await login()).body
    expect(first).toMatchObject({ notice: 'Login Successful.', user: { uid: ada.uid, authtoken: expect.stringMatching(/^blt/u) } })
    expect(await outcome('GET', products, { authtoken: first.user.authtoken })).toEqual([200, null])
    for (let number = 0; number < 20; number += 1) {
      cma.context.clock.advance(1)
      await login()
    }
    expect(await outcome('GET', products, { authtoken: first.user.authtoken })).toEqual([401, 105])
    expect((await cma.call('POST', '/user-session', {}, { user: { email: ada.email, password: 'wrong' } })).status).toBe(422)
  })

  it('logs out', async () => {
    const person = cma.as(ada.uid)
    expect(await outcome('DELETE', '/user-session', person)).toEqual([200, null])
    expect(await outcome('GET', '/user', person)).toEqual([401, 105])
  })
})

describe('when Ada leaves', () => {
  it('her authtoken and her authorization die; the stack’s token and the app’s go on', async () => {
    const authtoken = cma.as(ada.uid)
    const user = oauthUser(ada.uid, ['cm.entries.management:read'])
    const app = oauthApp(['cm.entries.management:read'])
    const token = cma.token()
    leave(cma.context, ada.uid)
    expect(await outcome('GET', products, authtoken)).toEqual([401, 105])
    expect(await outcome('GET', products, user)).toEqual([401, 105])
    expect(cma.context.world.authorizations['auth1']?.revokedAt).not.toBeNull()
    expect(await outcome('GET', products, app)).toEqual([200, null])
    expect(await outcome('GET', products, token)).toEqual([200, null])
    expect((await cma.call('POST', '/user-session', {}, { user: { email: ada.email, password: ada.password } })).status).toBe(422)
    comeBack(cma.context, ada.uid)
    expect(await outcome('GET', products, authtoken)).toEqual([401, 105])
    expect(await outcome('GET', products, cma.as(ada.uid))).toEqual([200, null])
  })
})

describe('what each may do', () => {
  const create = (n: string) => ({ entry: { title: n, sku: n } })

  it.each([
    ['an owner', otto.uid, 201, 201, 201],
    ['an admin', ada.uid, 201, 201, 201],
    ['a developer', dora.uid, 201, 201, 403],
    ['an editor', edda.uid, 201, 403, 403],
    ['another tenant’s admin', sara.uid, 403, 403, 403]
  ])('%s: entries, content types, tokens', async (_who, uid, entries, types, managementTokens) => {
    const person = cma.as(uid)
    const type = {
      content_type: {
        uid: 'note',
        title: 'Note',
        schema: [{ uid: 'title', data_type: 'text', display_name: 'Title', mandatory: true, unique: true }]
      }
    }
    expect((await cma.call('POST', products, person, create('N'))).status).toBe(entries)
    expect((await cma.call('POST', '/content_types', person, type)).status).toBe(types)
    expect((await cma.call('POST', tokens, person, tokenBody('T'))).status).toBe(managementTokens)
  })

  it.each([
    ['reading tokens', 'GET', tokens],
    ['creating tokens', 'POST', tokens],
    ['reading the stack', 'GET', '/stacks'],
    ['creating branches', 'POST', '/stacks/branches'],
    ['reading the user', 'GET', '/user']
  ])('a management token cannot reach: %s', async (_what, method, path) => {
    const [status] = await outcome(method, path, cma.token(), method === 'POST' ? {} : undefined)
    expect([401, 412]).toContain(status)
  })

  it.each([
    '/content_types',
    '/global_fields',
    '/locales',
    '/environments',
    '/stacks/branches',
    '/webhooks',
    '/roles',
    '/assets',
    '/taxonomies',
    '/extensions',
    '/releases',
    '/workflows',
    '/labels'
  ])('a management token reads %s', async path => {
    expect(await outcome('GET', path, cma.token())).toEqual([200, null])
  })

  it('a read-only token reads and writes nothing', async () => {
    const token = cma.token({ scope: [{ module: 'content_type', acl: { read: true, write: false } }, branchScope('main')] })
    expect(await outcome('GET', products, token)).toEqual([200, null])
    expect(await outcome('POST', products, token, create('N'))).toEqual([403, 162])
    expect(await outcome('DELETE', `${products}/${entryUid('product', 'Rope')}`, token)).toEqual([403, 162])
    expect(cma.stack.writes).toEqual([])
  })

  it('an invalid write without permission says 403 or 422, as the play has it', async () => {
    const token = cma.token({ scope: [{ module: 'content_type', acl: { read: true, write: false } }, branchScope('main')] })
    expect(await outcome('POST', products, token, { entry: {} })).toEqual([403, 162])
    cma.context.plays.writeProbe = 'validation-first'
    expect(await outcome('POST', products, token, { entry: {} })).toEqual([422, 119])
    expect(await outcome('POST', products, token, create('N'))).toEqual([403, 162])
  })

  it('a token stays within its branches', async () => {
    const token = cma.token()
    expect(await outcome('GET', '/content_types', { ...token, branch: 'main' })).toEqual([200, null])
    expect(await outcome('GET', '/content_types', { ...token, branch: 'redesign' })).toEqual([401, 161])
    expect(await outcome('GET', '/content_types', { ...token, branch: 'nowhere' })).toEqual([422, 901])
    expect(
      await outcome('GET', '/content_types', {
        ...cma.token({ scope: [{ module: '$all', acl: { read: true } }, branchScope('redesign')] }),
        branch: 'redesign'
      })
    ).toEqual([200, null])
  })

  it('an OAuth user token needs the scope and the role', async () => {
    expect(await outcome('POST', tokens, oauthUser(ada.uid, ['cm.stack.management-tokens:write']), tokenBody('By grant'))).toEqual([
      201,
      null
    ])
    expect(await outcome('GET', tokens, oauthUser(ada.uid, ['cm.stack.management-tokens:write']))).toEqual([403, 162])
    expect(await outcome('GET', products, oauthUser(ada.uid, ['cm.stack.management-tokens:write']))).toEqual([403, 162])
    expect(await outcome('POST', tokens, oauthUser(dora.uid, ['cm.stack.management-tokens:write']), tokenBody('Not hers'))).toEqual([
      403, 162
    ])
    expect(await outcome('GET', '/user', oauthUser(ada.uid, ['user:read']))).toEqual([200, null])
    expect((await cma.call('GET', '/stacks', oauthUser(ada.uid, ['cm.stacks.management:read']))).body.stack.owner_uid).toBe(otto.uid)
  })

  it('an OAuth token ends with its hour, its authorization or its kind', async () => {
    const scopes = ['cm.entries.management:read']
    const user = oauthUser(ada.uid, scopes)
    cma.context.clock.advance(3_600_000)
    expect(await outcome('GET', products, user)).toEqual([401, 105])
    expect(await outcome('GET', products, oauthUser(ada.uid, scopes, { type: 'refresh' }))).toEqual([401, 105])
    const authorization = cma.context.world.authorizations['auth1']
    const fresh = oauthUser(ada.uid, scopes)
    expect(await outcome('GET', products, fresh)).toEqual([200, null])
    Object.assign(cma.context.world.authorizations['auth1'] ?? {}, { ...authorization, revokedAt: cma.context.clock.iso() })
    expect(await outcome('GET', products, fresh)).toEqual([401, 105])
  })

  it('an app token works in its own stack, never on tokens, and publishes only with that scope', async () => {
    const app = oauthApp(['cm.entries.management:read', 'cm.stack.management-tokens:write'])
    expect(await outcome('GET', products, app)).toEqual([200, null])
    expect(await outcome('POST', tokens, app, tokenBody('App'))).toEqual([403, 162])
    expect(
      await outcome('POST', `${products}/${entryUid('product', 'Rope')}/publish`, app, { entry: { environments: ['production'] } })
    ).toEqual([403, 162])
    expect(await outcome('GET', products, { ...oauthApp(['cm.entries.management:read'], shopApiKey) })).toEqual([401, 105])
  })

  it('shows in each role the stack it belongs to, its name included', async () => {
    const { roles } = (await cma.call('GET', '/roles', cma.token())).body
    const names = roles.map(({ stack }: { stack: { name: string; api_key: string } }) => [stack.name, stack.api_key])
    expect(names).toEqual(Array.from({ length: 4 }, () => ['Blog EU', blogApiKey]))
  })

  it('names the roles with their people, without those who left', async () => {
    const roles = async () =>
      (await cma.call('GET', '/roles', cma.token())).body.roles.map((role: { name: string; users: string[] }) => [role.name, role.users])
    expect(await roles()).toEqual([
      ['Owner', [otto.uid]],
      ['Admin', [ada.uid]],
      ['Developer', [dora.uid]],
      ['Content Manager', [edda.uid]]
    ])
    leave(cma.context, ada.uid)
    expect((await roles())[1]).toEqual(['Admin', []])
    expect(await outcome('GET', '/roles', cma.as(edda.uid))).toEqual([403, 162])
  })

  it('lists a person’s own stacks only', async () => {
    const reply = await fetch(`${cma.url}/v3/stacks`, { headers: cma.as(ada.uid) })
    const { stacks } = (await reply.json()) as { stacks: { api_key: string }[] }
    expect(stacks.map(stack => stack.api_key)).toEqual([cma.stack.apiKey])
  })
})

describe('management tokens', () => {
  it('show their secret once and work at once', async () => {
    const admin = cma.as(ada.uid)
    const made = await cma.call('POST', tokens, admin, tokenBody('Quayside'))
    expect(made.body.notice).toBe('Management Token created successfully.')
    const { uid, token } = made.body.token
    expect(await outcome('GET', '/environments?limit=1', { authorization: token })).toEqual([200, null])
    for (const reply of [
      await cma.call('GET', tokens, admin),
      await cma.call('GET', `${tokens}/${uid}`, admin),
      await cma.call('PUT', `${tokens}/${uid}`, admin, { token: { description: 'x' } })
    ]) {
      expect(reply.status).toBe(200)
      expect(JSON.stringify(reply.body)).not.toContain(token)
    }
    expect((await cma.call('DELETE', `${tokens}/${uid}`, admin)).body.notice).toBe('Management Token deleted successfully.')
    expect(await outcome('GET', products, { authorization: token })).toEqual([401, 105])
  })

  it.each([
    ['no name', { name: '' }, 'name'],
    ['no scope', { scope: [] }, 'scope'],
    ['no branch', { scope: [{ module: 'content_type', acl: { read: true } }] }, 'scope.branch_or_alias'],
    ['a wildcard branch', { scope: [branchScope('*')] }, 'scope.branch_or_alias'],
    ['a module nobody has', { scope: [{ module: 'moon', acl: {} }, branchScope('main')] }, 'scope'],
    ['an expiry that is no date', { expires_on: 'never' }, 'expires_on']
  ])('are refused with %s', async (_what, more, field) => {
    const reply = await cma.call('POST', tokens, cma.as(ada.uid), tokenBody('T', more))
    expect(reply.status).toBe(422)
    expect(Object.keys(reply.body.errors)).toEqual([field])
  })

  it('are refused at 30, or silently push out the oldest at 10', async () => {
    for (let number = 0; number < 30; number += 1) cma.token()
    expect(await outcome('POST', tokens, cma.as(ada.uid), tokenBody('31st'))).toEqual([422, 119])
    cma.stack.managementTokens = {}
    cma.context.plays.tokenLimit = 'evict-oldest-10'
    const oldest = cma.token()
    for (let number = 0; number < 9; number += 1) {
      cma.context.clock.advance(1)
      cma.token()
    }
    expect(await outcome('GET', products, oldest)).toEqual([200, null])
    expect(await outcome('POST', tokens, cma.as(ada.uid), tokenBody('11th'))).toEqual([201, null])
    expect(await outcome('GET', products, oldest)).toEqual([401, 105])
  })

  it('leave behind as author what the play chooses', async () => {
    const token = cma.token()
    const author = async (title: string) =>
      (await cma.call('POST', products, token, { entry: { title, sku: title } })).body.entry.updated_by
    expect(await author('a')).toBe('cstoken1')
    cma.context.plays.updatedBy = 'system'
    expect(await author('b')).toBe('system')
    cma.context.plays.updatedBy = 'absent'
    expect(await author('c')).toBeUndefined()
  })
})
