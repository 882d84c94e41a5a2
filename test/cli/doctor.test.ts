// `quayside doctor` beside a real server and the sandbox: every way in which settings, files and what is around them may be broken,
// each by the row that says so. None of it hangs on the kind of database. What the server tells: doctor-server.test.ts.
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import type { Check } from '../../server/http/contract/doctor.ts'
import { generateKeyRing } from '../../server/vault/cipher.ts'
import { breakableGround, command, type Env, type Ground, somePassword, wordsOf } from '../support/doctor.ts'
import { openFlow } from '../support/flow.ts'
import { databaseUrl } from '../support/postgres.setup.ts'

describe('doctor', () => {
  let ground: Ground
  const cleanups: (() => Promise<void>)[] = []

  beforeAll(async () => {
    ground = await breakableGround(await openFlow('sqlite', cleanups))
    cleanups.push(() => ground.close())
  })
  afterAll(async () => {
    for (const cleanup of cleanups.toReversed()) await cleanup()
  })

  type Broken = [what: string, change: () => Env | Promise<Env>, name: string, result: Check['result'], words: RegExp]
  const broken: Broken[] = [
    ['a key file that is not there', () => ({ QUAYSIDE_KEY_FILE: '/nowhere/key' }), 'key file', 'bad', /\/nowhere\/key.*0600/],
    ['no key file', () => ({ QUAYSIDE_KEY_FILE: '' }), 'key file', 'bad', /QUAYSIDE_KEY_FILE is not set/],
    [
      'the key itself where its file is to be named',
      async () => ({ QUAYSIDE_KEY_FILE: (await ground.text('QUAYSIDE_KEY_FILE')).trim() }),
      'key file',
      'bad',
      /holds the content.*name of a file/
    ],
    [
      'the apps themselves where their file is to be named',
      async () => ({ QUAYSIDE_APPS_FILE: await ground.text('QUAYSIDE_APPS_FILE') }),
      'apps file',
      'bad',
      /holds the content.*name of a file/
    ],
    [
      'a key that others can read, in production',
      async () => ({ QUAYSIDE_ENV: 'production', QUAYSIDE_KEY_FILE: await ground.file(generateKeyRing(), 0o644) }),
      'key file',
      'bad',
      /others can read.*chmod 600/
    ],
    [
      'secrets of apps that others can read',
      async () => ({ QUAYSIDE_APPS_FILE: await ground.file(await ground.parsed('QUAYSIDE_APPS_FILE'), 0o640) }),
      'apps file',
      'warn',
      /mode 640.*chmod 600/
    ],
    ['an unknown setting', () => ({ QUAYSIDE_PROT: '4000' }), 'settings', 'bad', /QUAYSIDE_PROT is not a setting.*correct its name/],
    [
      'a wrong setting beside it',
      () => ({ QUAYSIDE_PROT: '1', QUAYSIDE_WORKERS: 'many' }),
      'settings',
      'bad',
      /QUAYSIDE_WORKERS is "many".*jobs run at once/
    ],
    ['http in production', () => ({ QUAYSIDE_ENV: 'production' }), 'settings', 'bad', /must begin with https/],
    [
      'an organization without an app',
      () => ground.tenants({}, { organizations: [{ region: 'eu', organizationUid: 'blt9', name: 'Nowhere' }] }),
      'tenants file',
      'bad',
      /Nowhere is in region eu.*Add the app/
    ],
    [
      'no server there',
      () => ({ QUAYSIDE_PORT: new URL(ground.closed).port, QUAYSIDE_PUBLIC_URL: ground.closed }),
      'server',
      'bad',
      /No server answers at http:\/\/127.0.0.1:.*ECONNREFUSED.*Start it/
    ],
    [
      'a port that is taken',
      () => ({ QUAYSIDE_PORT: new URL(ground.flow.urls.contentManagement).port }),
      'server',
      'bad',
      /port is taken.*QUAYSIDE_PORT/
    ],
    [
      'a server on another machine',
      () => ({ QUAYSIDE_PORT: new URL(ground.closed).port }),
      'server',
      'warn',
      /Nothing listens.*another machine/
    ],
    [
      'another key ring',
      async () => ({ QUAYSIDE_KEY_FILE: await ground.file(generateKeyRing()) }),
      'server',
      'bad',
      /does not take our mark.*key file of the server/
    ],
    [
      'settings that the server has not read yet',
      () => ({ QUAYSIDE_WORKERS: '3' }),
      'server',
      'warn',
      /other settings than stand here: workers.*Start it again/
    ],
    [
      'a region whose host is down',
      () => ground.apps({ contentManagement: ground.closed }),
      'hosts sandbox',
      'bad',
      /127.0.0.1:\d+ is not reached.*ECONNREFUSED.*firewall/
    ],
    [
      'a region whose host has no name',
      () => ground.apps({ developerHub: 'http://quayside.invalid' }),
      'hosts sandbox',
      'bad',
      /quayside.invalid.*DNS.*name server/
    ],
    [
      'a region whose TLS is none',
      () => ground.apps({ application: ground.flow.urls.application.replace('http:', 'https:') }),
      'hosts sandbox',
      'bad',
      /TLS.*NODE_EXTRA_CA_CERTS/
    ],
    [
      'a region without a signing key',
      () => ground.apps({ application: ground.flow.urls.contentManagement }),
      'signing key sandbox',
      'bad',
      /signing key of region sandbox cannot be read/
    ],
    ['a clock two minutes behind', () => ground.clock(120), 'clock sandbox', 'bad', /(119|12\d) s behind|2 min behind/],
    ['a clock an hour ahead', () => ground.clock(-3600), 'clock sandbox', 'bad', /min ahead of.*NTP/],
    ['a clock half a minute ahead', () => ground.clock(-30), 'clock sandbox', 'warn', /s ahead of.*NTP/],
    ['a login that is down', () => ground.tenants({ issuer: ground.closed }), 'login sandbox', 'bad', /not reached.*ECONNREFUSED/],
    [
      'a login in a private network that is not allowed',
      () => ({ QUAYSIDE_PRIVATE_HOSTS: '' }),
      'login sandbox',
      'bad',
      /private network.*operator/
    ],
    [
      'a login that is no provider',
      () => ground.tenants({ issuer: ground.flow.urls.contentManagement }),
      'login sandbox',
      'bad',
      /describes no OpenID provider.*"issuer"/
    ],
    [
      'a login of another name',
      async () =>
        ground.tenants({
          issuer: await ground.host((_request, response) => response.end(JSON.stringify({ issuer: 'https://login.example.com' })))
        }),
      'login sandbox',
      'bad',
      /calls itself https:\/\/login.example.com.*"issuer"/
    ],
    ['groups without a role', () => ground.tenants({ groupRoles: {} }), 'login sandbox', 'warn', /No group.*groupRoles/],
    [
      'a public address that leads nowhere',
      () => ({ QUAYSIDE_PUBLIC_URL: ground.closed }),
      'public address',
      'bad',
      /not reached.*try from outside/
    ],
    [
      'a public address of something else',
      () => ({ QUAYSIDE_PUBLIC_URL: ground.flow.urls.contentManagement }),
      'public address',
      'bad',
      /no Quayside.*proxy/
    ],
    [
      'a public address that redirects',
      async () => ({
        QUAYSIDE_PUBLIC_URL: await ground.host((_request, response) => response.writeHead(301, { location: ground.flow.server.url }).end())
      }),
      'public address',
      'bad',
      /redirects.*QUAYSIDE_PUBLIC_URL/
    ],
    [
      'a proxy without a server behind it',
      async () => ({ QUAYSIDE_PUBLIC_URL: await ground.host((_request, response) => response.writeHead(502).end()) }),
      'public address',
      'bad',
      /answers 502.*proxy/
    ],
    [
      'a proxy that shuts the door of the operator',
      async () => ({
        QUAYSIDE_PUBLIC_URL: await ground.host((request, response) => {
          if (request.url === '/health/live') response.end('{"status":"live"}')
          else response.writeHead(403).end('no')
        })
      }),
      'public address',
      'skipped',
      /door is shut/
    ],
    [
      'a public address of another server',
      () => ground.anotherServer(),
      'public address',
      'bad',
      /another server.*another database.*proxy/
    ],
    [
      'a public address of a server with another key ring',
      async () => ground.anotherServer({ QUAYSIDE_KEY_FILE: await ground.file(generateKeyRing()) }),
      'public address',
      'bad',
      /another server.*mark.*proxy/
    ],
    [
      'PostgreSQL that is down',
      () => ({ QUAYSIDE_DATABASE_URL: `postgres://quay:${somePassword}@127.0.0.1:9/quayside` }),
      'database',
      'bad',
      /PostgreSQL.*ECONNREFUSED.*start PostgreSQL/
    ],
    [
      'a database that does not exist',
      () => ({ QUAYSIDE_DATABASE_URL: databaseUrl(inject('postgresUrl'), 'quayside_nowhere') }),
      'database',
      'bad',
      /3D000.*create it/
    ],
    [
      'a database without our tables',
      async () => ({ QUAYSIDE_DATABASE_URL: databaseUrl(inject('postgresUrl'), 'postgres') }),
      'database',
      'warn',
      /no tables of Quayside/
    ],
    [
      'a SQLite directory that takes no writes',
      () => ({ QUAYSIDE_DATABASE_URL: `sqlite:${command}/quayside.db` }),
      'database',
      'bad',
      /not writable \(ENOTDIR\)/
    ],
    [
      'a SQLite file that is not there',
      () => ({ QUAYSIDE_DATABASE_URL: `sqlite:${ground.folder}/nowhere.db` }),
      'database',
      'warn',
      /There is no .*when the server starts/
    ],
    ['SQLite in memory', () => ({ QUAYSIDE_DATABASE_URL: 'sqlite::memory:' }), 'database', 'warn', /everything is lost/],
    [
      'a files directory that takes no writes',
      () => ({ QUAYSIDE_FILES_DIR: `${command}/files` }),
      'files directory',
      'bad',
      /not writable/
    ],
    [
      'anchors that anybody may write',
      async () => ({ QUAYSIDE_ANCHOR_FILE: await ground.file('', 0o666) }),
      'anchor file',
      'warn',
      /may write.*chmod 600/
    ],
    [
      'a mail server that is down',
      async () => ({
        QUAYSIDE_ALERTS_FILE: await ground.file({
          smtp: { host: '127.0.0.1', port: 9, user: 'quay', password: somePassword, from: 'Quayside <quay@example.com>' }
        })
      }),
      'mail server',
      'bad',
      /127.0.0.1:9.*nobody gets e-mail.*smtp/
    ]
  ]

  it.each(broken)('finds %s', async (_what, change, name, result, words) => {
    const { code, checks, err } = await ground.doctor(await change())
    expect(wordsOf(checks, name, result), JSON.stringify(checks.filter(check => check.result !== 'ok'))).toMatch(words)
    expect(code).toBe(checks.some(check => check.result === 'bad') ? 1 : 0)
    expect(err).not.toContain('    at ')
    // One wrong thing hides no other.
    expect(checks.map(check => check.name)).toEqual(expect.arrayContaining(['settings', 'key file', 'server', 'public address']))
  })

  it('has printed no secret in any of this', async () => {
    expect(await ground.leaked()).toEqual([])
  })
})
