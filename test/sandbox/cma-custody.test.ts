// What is not established about management tokens, each answer played: who may list and mint, what a list shows, when a dead token
// is refused, and a stack without branches.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Plays } from '../../sandbox/plays.ts'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { ada, harbourPublishing } from '../../sandbox/world/people.ts'
import { makeToken } from '../support/contentstack.ts'
import { ask, logIn, startSandbox } from '../support/sandbox.ts'

let sandbox: Sandbox
let asAda: Record<string, string>
beforeEach(async () => {
  sandbox = await startSandbox({ world: world => (world.stacks[blogApiKey]!.branchless = branchless) })
  asAda = { ...(await logIn(sandbox, ada)), api_key: blogApiKey }
})
afterEach(() => sandbox.close())
let branchless = false

const play = (plays: Partial<Plays>) => Object.assign(sandbox.context.plays, plays)
const cma = (path: string, headers: Record<string, string>, method = 'GET', body?: unknown) =>
  ask<Record<string, unknown> & { tokens?: { name: string }[] }>(`${sandbox.urls.contentManagement}/v3${path}`, {
    method,
    headers: { api_key: blogApiKey, ...headers },
    ...(body !== undefined && { body })
  })
const listed = async (query = '') => (await cma(`/stacks/management_tokens${query}`, asAda)).body.tokens!.map(({ name }) => name)
const accepted = async (secret: string) => (await cma('/environments?limit=1', { authorization: secret })).status === 200
const content = { module: 'content_type', acl: { read: true, write: true } }
const main = { module: 'branch', branches: ['main'], acl: { read: true } }
const mint = (token: Record<string, unknown>, headers = asAda) =>
  cma('/stacks/management_tokens', headers, 'POST', { token: { name: 'New', scope: [content, main], ...token } })

/** A user token with those scopes, put into the world by hand. */
function bearer(...scopes: string[]): Record<string, string> {
  const { world } = sandbox
  const common = { appUid: 'app', userUid: ada.uid, organizationUid: harbourPublishing, scopes, revokedAt: null }
  world.authorizations['auth'] = { uid: 'auth', createdAt: '2024-05-01T00:00:00.000Z', ...common }
  world.oauthTokens['oauth'] = { type: 'access', kind: 'user', authorizationUid: 'auth', expiresAt: '2999-01-01T00:00:00.000Z', ...common }
  return { authorization: 'Bearer oauth' }
}

describe('a token that ends', () => {
  const ends = {
    deleted: (uid: string) => cma(`/stacks/management_tokens/${uid}`, asAda, 'DELETE'),
    revoked: (uid: string) => ask(`${sandbox.urls.control}/tokens/${uid}/revoke`, { method: 'POST' })
  }

  it.each(['deleted', 'revoked'] as const)('is refused at once when %s, or two seconds later, as played', async how => {
    const [now, later] = [await makeToken(sandbox), await makeToken(sandbox)]
    await ends[how](now.uid)
    expect(await accepted(now.secret)).toBe(false)
    play({ tokenDeath: 'late' })
    await ends[how](later.uid)
    expect(await accepted(later.secret)).toBe(true)
    sandbox.clock.advance(2_000)
    expect(await accepted(later.secret)).toBe(false)
  })

  it('outlives its expiry by the same two seconds', async () => {
    play({ tokenDeath: 'late' })
    const midnight = Math.ceil(sandbox.clock.now() / 86_400_000) * 86_400_000
    const { secret } = await makeToken(sandbox, { expiresOn: new Date(midnight).toISOString().slice(0, 10) })
    sandbox.clock.advance(midnight - sandbox.clock.now() + 500)
    expect(await accepted(secret)).toBe(true)
    sandbox.clock.advance(2_000)
    expect(await accepted(secret)).toBe(false)
  })

  it('still writes in those two seconds, and the write names it', async () => {
    play({ tokenDeath: 'late' })
    const { uid, secret } = await makeToken(sandbox, { name: 'Late' })
    await ends.deleted(uid)
    const path = '/content_types/author/entries'
    expect((await cma(path, { authorization: secret }, 'POST', { entry: { title: 'By a dead one' } })).status).toBe(201)
    expect(sandbox.world.stacks[blogApiKey]!.writes.at(-1)!.by).toMatchObject({ uid, name: 'Late' })
  })
})

describe('the list of tokens', () => {
  it('shows a new one at once, or two seconds later, as played', async () => {
    play({ tokenListing: 'late' })
    await makeToken(sandbox, { name: 'New' })
    expect(await listed()).toEqual([])
    sandbox.clock.advance(2_000)
    expect(await listed()).toEqual(['New'])
    await cma(`/stacks/management_tokens/${Object.keys(sandbox.world.stacks[blogApiKey]!.managementTokens)[0]}`, asAda, 'DELETE')
    expect(await listed()).toEqual([])
  })

  it('pages, or is always whole, as played', async () => {
    for (const name of ['one', 'two', 'three']) await makeToken(sandbox, { name })
    expect(await listed('?skip=1&limit=1')).toEqual(['two'])
    play({ tokenPaging: 'whole' })
    expect(await listed('?skip=1&limit=1')).toEqual(['one', 'two', 'three'])
  })

  it('is for the read scope, or wants the write scope as well, as played', async () => {
    const reads = bearer('cm.stack.management-tokens:read')
    expect((await cma('/stacks/management_tokens', reads)).status).toBe(200)
    play({ tokenListScope: 'write' })
    expect((await cma('/stacks/management_tokens', reads)).status).toBe(403)
    const both = bearer('cm.stack.management-tokens:read', 'cm.stack.management-tokens:write')
    expect((await cma('/stacks/management_tokens', both)).status).toBe(200)
  })
})

describe('minting', () => {
  it('is for a user token as for an authtoken, or for an authtoken only, as played', async () => {
    const grant = bearer('cm.stack.management-tokens:read', 'cm.stack.management-tokens:write')
    expect((await mint({ name: 'By grant' }, grant)).status).toBe(201)
    play({ grantMints: 'refused' })
    expect((await mint({ name: 'By grant again' }, grant)).body).toMatchObject({ error_code: 105 })
    expect((await mint({ name: 'By authtoken' })).status).toBe(201)
    expect(await listed()).toEqual(['By grant', 'By authtoken'])
  })

  it.each([
    [{}, 422],
    [{ expires_on: '2999-01-01', is_never_expires: true }, 422],
    [{ expires_on: '2999-01-01' }, 201],
    [{ is_never_expires: true }, 201]
  ])('with %j is answered %i where one expiry directive is required', async (body, status) => {
    play({ tokenExpiry: 'required' })
    expect((await mint(body)).status).toBe(status)
  })
})

describe('a stack without branches', () => {
  beforeEach(() => {
    branchless = true
    sandbox.world.stacks[blogApiKey]!.branchless = true
  })
  afterEach(() => {
    branchless = false
  })

  it('asks for no branch scope, and its tokens reach everything', async () => {
    const { status, body } = await mint({ scope: [content] })
    expect(status).toBe(201)
    expect(await accepted((body['token'] as { token: string }).token)).toBe(true)
  })

  it('ignores a branch scope, or refuses it, as played', async () => {
    expect((await mint({ name: 'ignored' })).status).toBe(201)
    play({ branchlessScope: 'refused' })
    expect((await mint({ name: 'refused' })).body).toMatchObject({ errors: { 'scope.branch_or_alias': expect.any(Array) } })
  })

  it('refuses to list branches, or has none, as played, and says so of itself', async () => {
    expect((await cma('/stacks/branches', asAda)).status).toBe(403)
    play({ branchlessList: 'empty' })
    expect((await cma('/stacks/branches', asAda)).body).toEqual({ branches: [] })
    expect((await cma('/stacks', asAda)).body).toMatchObject({ stack: { settings: { branches: false } } })
  })

  it('does not look at the branch header', async () => {
    expect((await cma('/content_types', { ...asAda, branch: 'redesign' })).body).toEqual((await cma('/content_types', asAda)).body)
  })
})
