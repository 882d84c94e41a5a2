// What a log line never holds, whatever it is handed: the errors below are the libraries' own, made by the wrongs that make them in
// life, with a secret wherever they carry what they were given.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Sqlite from 'better-sqlite3'
import { sql } from 'kysely'
import * as oidc from 'openid-client'
import { fetch as undiciFetch } from 'undici'
import { describe, expect, it } from 'vitest'
import { openDatabase } from '../server/database/database.ts'
import { AppError } from '../server/errors.ts'
import { createLog } from '../server/log.ts'
import { freshPostgres } from './support/databases.ts'

const secret = 'Tr0ub4dor-and-3'
const managementToken = 'cs9f8e7d6c5b4a39281706f5e4d3'
const accessKey = `qsk_${'k'.repeat(49)}`
const jwt = `eyJhbGciOiJSUzI1NiJ9.${'p'.repeat(40)}.${'s'.repeat(40)}`

function written(fields: object, message = 'refused'): string {
  const lines: string[] = []
  createLog('debug', { write: line => void lines.push(line) })
    .child({ runId: 'run_1' })
    .error(fields, message)
  expect(lines).toHaveLength(1)
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 'error', runId: 'run_1' })
  return lines[0] ?? ''
}

async function thrownBy(act: () => unknown): Promise<Error> {
  try {
    await act()
  } catch (error) {
    if (error instanceof Error) return error
  }
  throw new Error('nothing was thrown')
}

/** A peer that answers every request with this. */
async function against<T>(status: number, type: string, body: string, act: (url: string) => Promise<T>): Promise<T> {
  const server = createServer((request, response) => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const discovery = JSON.stringify({
      issuer: url,
      token_endpoint: `${url}/token`,
      authorization_endpoint: `${url}/auth`,
      jwks_uri: `${url}/jwks`
    })
    const asked = request.url?.startsWith('/.well-known') ?? false
    response.writeHead(asked ? 200 : status, { 'content-type': asked ? 'application/json' : type }).end(asked ? discovery : body)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  try {
    return await act(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  } finally {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  }
}

const login = (url: string) =>
  thrownBy(async () => {
    const configuration = await oidc.discovery(new URL(url), 'console', {}, oidc.ClientSecretPost(secret), {
      execute: [oidc.allowInsecureRequests]
    })
    const answer = new URL(`https://quayside.example/callback?code=${secret}&state=${secret}`)
    await oidc.authorizationCodeGrant(configuration, answer, { expectedState: secret, pkceCodeVerifier: secret, expectedNonce: secret })
  })

const libraries: Record<string, () => Promise<Error>> = {
  'openid-client, refused by a provider that repeats what it was sent': () =>
    against(400, 'application/json', JSON.stringify({ error: 'invalid_client', error_description: `client_secret=${secret}` }), login),
  'openid-client, given tokens that do not fit': () =>
    against(200, 'application/json', JSON.stringify({ access_token: secret, token_type: 'bearer', id_token: secret }), login),
  'openid-client, given no JSON': () => against(200, 'application/json', `{"access_token":"${secret}`, login),
  'openid-client, given a page': () => against(500, 'text/html', `<p>${secret}</p>`, login),
  'openid-client, with another state': () =>
    against(200, 'application/json', '{}', async url => {
      const configuration = await oidc.discovery(new URL(url), 'console', {}, oidc.ClientSecretPost(secret), {
        execute: [oidc.allowInsecureRequests]
      })
      return await thrownBy(() =>
        oidc.authorizationCodeGrant(configuration, new URL(`https://quayside.example/callback?code=${secret}&state=${secret}`), {
          expectedState: 'other'
        })
      )
    }),
  'undici, with a header that cannot be': () =>
    thrownBy(() => undiciFetch('http://127.0.0.1:9/', { headers: { authorization: `${secret}\nx` } })),
  'undici, with nobody there': () => thrownBy(() => undiciFetch(`http://127.0.0.1:9/token?code=${secret}`)),
  'undici, with an address that is none': () => thrownBy(() => undiciFetch(`http://user:${secret}@/`)),
  'fetch, with a credential in the address': () => thrownBy(() => fetch(`https://user:${secret}@example.com/`)),
  'JSON that begins with it': () => thrownBy(() => JSON.parse(secret)),
  'JSON that holds it': () => thrownBy(() => JSON.parse(`{"a":1,"access":"${secret}" no`)),
  'JSON that is short': () => thrownBy(() => JSON.parse(`[${secret.slice(0, 4)}]`)),
  'better-sqlite3, with a value that is not unique': () =>
    thrownBy(() => {
      const db = new Sqlite(':memory:')
      db.exec('create table t (a text unique)')
      const insert = db.prepare('insert into t values (?)')
      insert.run(secret)
      insert.run(secret)
    }),
  'better-sqlite3, with a value that cannot be bound': () =>
    thrownBy(() => new Sqlite(':memory:').prepare('select ?').get({ password: secret }))
}

describe('a log line holds no secret of an error', () => {
  it.each(Object.entries(libraries))('of %s', async (_case, make) => {
    const error = await make()
    for (const thrown of [
      error,
      new AppError('upstream', 'It did not answer.', { cause: error }),
      new AppError('upstream', 'Outer.', { cause: new AppError('internal', 'Inner.', { cause: new Error('middle', { cause: error }) }) }),
      new AggregateError([error], 'several')
    ]) {
      const line = written({ error: thrown, deep: { in: [{ the: { fields: thrown } }] } })
      expect(line).not.toContain(secret)
      expect(line).not.toContain(secret.slice(0, 4))
      expect(line).toContain(error.name)
    }
  })

  it.each(['sqlite', 'postgres'] as const)('of Kysely on %s, whose statements carry values', async dialect => {
    const fresh = dialect === 'sqlite' ? { url: 'sqlite::memory:', cleanup: async () => {} } : await freshPostgres()
    const { db, close } = await openDatabase(fresh.url)
    await sql`create table kept (a text primary key)`.execute(db)
    await sql`insert into kept values (${secret})`.execute(db)
    const errors = [
      await thrownBy(() => sql`insert into kept values (${secret})`.execute(db)),
      await thrownBy(() => sql`select cast(${secret} as ${sql.raw(dialect === 'postgres' ? 'integer' : 'nothing_like_it(')})`.execute(db))
    ]
    await close()
    await fresh.cleanup()
    for (const error of errors) expect(written({ error: new AppError('internal', 'x', { cause: error }) })).not.toContain(secret)
  })

  it('of a cause that is no error: a body, a request, a text', () => {
    for (const cause of [
      { body: { access_token: secret } },
      new URLSearchParams({ code: secret }),
      secret,
      [secret],
      new Headers({ a: secret })
    ]) {
      expect(written({ error: new AppError('upstream', 'x', { cause }), cause })).not.toContain(secret)
    }
  })

  it('though an error is its own cause', () => {
    const error = new Error('round')
    error.cause = error
    expect(written({ error }).length).toBeLessThan(20_000)
  })
})

describe('a log line holds no secret', () => {
  it.each([
    'authorization',
    'Authorization',
    'authtoken',
    'access_token',
    'accessToken',
    'refresh_token',
    'id_token',
    'client_secret',
    'clientSecret',
    'webhookSecret',
    'x-quayside-secret',
    'x-quayside-mark',
    'managementToken',
    'app-token',
    'appToken',
    'password',
    'cookie',
    'set-cookie',
    'code',
    'code_verifier',
    'verifier',
    'ticket',
    'plaintext'
  ])('under the name %s, however deep', name => {
    expect(written({ [name]: secret, a: { b: { c: { [name]: secret, d: [{ [name]: { inner: secret } }] } } } })).not.toContain(secret)
  })

  it.each([
    ['a database address', `cannot open postgres://quayside:${secret}@db.example/quayside`, secret],
    ['a query', `GET /oauth/grant/callback?location=EU&code=${secret}&state=${secret}`, secret],
    ['a form', `grant_type=authorization_code&client_secret=${secret}`, secret],
    ['JSON in words', `the answer was {"access_token": "${secret}", "x": 1}`, secret],
    ['a header in words', `sent authorization: Bearer ${secret}`, secret],
    ['an app-token', `the frame came with ${jwt}`, jwt],
    ['an access key', `the script sent ${accessKey}`, accessKey],
    ['a management token', `the CMA refused ${managementToken}`, managementToken]
  ])('in %s, be it field, message or stack', (_case, text, hidden) => {
    for (const line of [written({ path: text }), written({ list: [text] }), written({ error: new Error(text) }), written({}, text)]) {
      expect(line).not.toContain(hidden)
    }
  })

  it('of whatever object it cannot look into', () => {
    class Client {
      held = secret
    }
    const line = written({
      a: new Client(),
      b: Buffer.from(secret),
      c: new Map([['k', secret]]),
      d: () => secret,
      e: Symbol(secret),
      f: 10n
    })
    expect(line).not.toContain(secret)
    expect(line).not.toContain(Buffer.from(secret).toJSON().data.join(','))
  })
})

it('leaves in a log line what finds the trouble', () => {
  const cause = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:5432'), { code: 'ECONNREFUSED' })
  const line = written({
    requestId: 'abc',
    path: '/api/console/runs/run_01',
    status: 502,
    entryUid: 'cs0123456789abcdef0123456789',
    mac: 'a'.repeat(64),
    jobIds: [1, 2],
    error: new AppError('upstream', 'PostgreSQL at db:5432 does not answer.', { cause })
  })
  expect(JSON.parse(line)).toMatchObject({
    requestId: 'abc',
    path: '/api/console/runs/run_01',
    status: 502,
    entryUid: 'cs0123456789abcdef0123456789',
    mac: 'a'.repeat(64),
    jobIds: [1, 2],
    error: {
      name: 'AppError',
      kind: 'upstream',
      message: 'PostgreSQL at db:5432 does not answer.',
      cause: { kind: 'ECONNREFUSED', message: 'connect ECONNREFUSED 127.0.0.1:5432' }
    }
  })
  expect(line).toMatch(/log\.test\.ts:\d+/)
})
