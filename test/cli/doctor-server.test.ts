// `quayside doctor` beside a real server and the sandbox, on both databases: a set-up that is well, what only the server can tell, and
// a world in which nobody answers.
import { createServer } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Check } from '../../server/http/contract/doctor.ts'
import { breakableGround, type Ground, listening, somePassword, wordsOf } from '../support/doctor.ts'
import { onBothDatabases } from '../support/flow.ts'

onBothDatabases('doctor', (open, dialect) => {
  let ground: Ground
  beforeAll(async () => {
    ground = await breakableGround(await open())
  })
  afterAll(() => ground.close())

  it('finds nothing wrong where all is well', async () => {
    const { code, checks, milliseconds } = await ground.doctor()
    expect(checks.filter(({ result }) => result !== 'ok')).toEqual([])
    expect(checks.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'settings',
        'key file',
        'hosts sandbox',
        'clock sandbox',
        'login sandbox',
        'server',
        'tokens',
        'content webhooks'
      ])
    )
    const detailOf = (name: string) => checks.find(check => check.name === name)?.detail
    expect(detailOf('login sandbox')).toContain(`${ground.flow.server.url}/console/callback/sandbox`)
    expect(detailOf('public address')).toContain('leads to this server')
    expect(detailOf('database')).toContain(dialect === 'sqlite' ? 'not opened' : 'PostgreSQL')
    expect(code).toBe(0)
    expect(milliseconds).toBeLessThan(10_000)
  })

  it('says the same to people, a line for each', async () => {
    const { code, out } = await ground.quayside({}, 'doctor')
    expect(code).toBe(0)
    expect(out).toMatch(/^ok {4}settings {2,}\d+ given; development/m)
    expect(out).toMatch(/^ok {4}server {2,}http/m)
    expect(out).toMatch(/\n0 bad, \d+ ok\n$/)
    const broken = await ground.quayside({ QUAYSIDE_PROT: '4000' }, 'doctor')
    expect(broken.code).toBe(1)
    expect(broken.out).toMatch(/^BAD {3}settings {2,}QUAYSIDE_PROT is not a setting of Quayside\.\n +-> Remove it/m)
    expect(broken.out).toMatch(/\n1 bad, \d+ ok\n$/)
  })

  type Troubled = [what: string, trouble: () => Promise<() => Promise<unknown>>, name: string, result: Check['result'], words: RegExp]
  const troubled: Troubled[] = [
    [
      'a webhook that Contentstack has disabled',
      async () => {
        const hook = Object.values(ground.flow.stack.webhooks).find(({ appInstallationUid }) => appInstallationUid === undefined)!
        hook.disabled = true
        return async () => (hook.disabled = false)
      },
      'webhook Blog EU',
      'bad',
      /disabled our webhook.*public address/
    ],
    [
      'work that nobody does',
      async () => {
        const behind = { ...job, key: 'behind' }
        await ground.flow.database.db
          .insertInto('job')
          .values({ ...behind, state: 'running' })
          .execute()
        await ground.flow.database.db
          .insertInto('job')
          .values({ ...behind, state: 'ready', run_at: Date.now() - 2 * 3_600_000, lease_until: null })
          .execute()
        return () => ground.flow.database.db.deleteFrom('job').where('kind', '=', job.kind).execute()
      },
      'jobs',
      'bad',
      /waiting for 2 h/
    ],
    [
      'work that was given up',
      async () => {
        await ground.flow.database.db
          .insertInto('job')
          .values({ ...job, state: 'dead', finished_at: Date.now(), error: somePassword })
          .execute()
        return () => ground.flow.database.db.deleteFrom('job').where('kind', '=', job.kind).execute()
      },
      'jobs',
      'warn',
      /1 test.nobody.*log/
    ],
    [
      'a secret whose key is gone',
      async () => {
        const { db } = ground.flow.database
        const { organization_id: organizationId } = await db.selectFrom('installation').selectAll().executeTakeFirstOrThrow()
        const row = {
          id: 'sec_test',
          organization_id: organizationId,
          installation_id: null,
          purpose: 'connection',
          envelope: 'q1.gone.x.y',
          key_id: 'gone',
          version: 1
        }
        await db
          .insertInto('secret')
          .values({ ...row, created_at: 1, erased_at: null, exposed_at: null })
          .execute()
        return () => db.deleteFrom('secret').where('id', '=', 'sec_test').execute()
      },
      'sealed secrets',
      'bad',
      /need the key gone.*back into the key file/
    ],
    [
      'a token that ends soon',
      async () => {
        const token = ground.flow.database.db.updateTable('management_token').where('status', '=', 'active')
        await token.set({ expires_at: Date.now() + 3 * 86_400_000 }).execute()
        return () => token.set({ expires_at: null }).execute()
      },
      'token Blog EU',
      'warn',
      /ends in (2|3) days.*rotates it: http/
    ],
    [
      'an organization that is not listed',
      async () => {
        const { db } = ground.flow.database
        await db.updateTable('organization').set({ status: 'unclaimed' }).execute()
        return () => db.updateTable('organization').set({ status: 'claimed' }).execute()
      },
      'organizations',
      'warn',
      /not listed.*list them/
    ],
    [
      'a webhook through which nothing comes',
      async () => {
        const { db } = ground.flow.database
        const { id, organization_id: organizationId } = await db.selectFrom('installation').selectAll().executeTakeFirstOrThrow()
        const write = {
          id: 'led_test',
          organization_id: organizationId,
          installation_id: id,
          actor_kind: 'sync',
          actor_id: 'syn_x',
          run_id: null
        } as const
        await db
          .insertInto('write_ledger')
          .values({
            ...write,
            at: Date.now() - 3_600_000,
            method: 'PUT',
            path: '/x',
            status: 200,
            content_type: 'article',
            entry_uid: 'blt1',
            locale: 'en-us',
            version: 2
          })
          .execute()
        return () => db.deleteFrom('write_ledger').where('id', '=', 'led_test').execute()
      },
      'webhook Blog EU',
      'warn',
      /nothing arrived after an entry was written.*60 min/
    ],
    [
      'a dead token',
      async () => {
        for (const token of Object.values(ground.flow.stack.managementTokens)) token.dead = true
        const { code, out } = await ground.quayside({}, 'tokens', 'check', ground.connected.installationId)
        expect([code, out]).toEqual([1, expect.stringContaining('Contentstack refuses the token of Blog EU')])
        return async () => {}
      },
      'token Blog EU',
      'bad',
      /refuses it.*has been waiting.*connects one: http/
    ]
  ]

  it.each(troubled)('is told by the server of %s', async (_what, trouble, name, result, words) => {
    const end = await trouble()
    const { checks, code } = await ground.doctor()
    await end()
    expect(wordsOf(checks, name, result), JSON.stringify(checks.filter(check => check.result !== 'ok'))).toMatch(words)
    expect(code).toBe(result === 'bad' ? 1 : 0)
  })

  it('ends within ten seconds where nobody answers, and shows meanwhile whom it waits for', async () => {
    const sockets = new Set<{ destroy(): void }>()
    const server = createServer(socket => sockets.add(socket))
    const silent = `http://127.0.0.1:${await listening(server)}`
    const said = await ground.doctor({
      ...(await ground.apps({ application: silent, contentManagement: silent, developerHub: silent })),
      ...(await ground.tenants({ issuer: silent })),
      QUAYSIDE_DATABASE_URL: `postgres://quay:${somePassword}@${new URL(silent).host}/quayside`,
      QUAYSIDE_PORT: new URL(silent).port,
      QUAYSIDE_PUBLIC_URL: silent
    })
    for (const socket of sockets) socket.destroy()
    server.close()
    // Eight seconds of its own, and what a busy machine takes to start a process.
    expect(said.milliseconds).toBeLessThan(15_000)
    expect(said.err).toMatch(/^Waiting for database, hosts sandbox, .*server.*…\n$/)
    for (const name of ['hosts sandbox', 'database', 'signing key sandbox', 'login sandbox', 'server', 'public address'])
      expect(said.checks.find(check => check.name === name)?.result, name).toBe('bad')
  })

  it('has printed no secret in any of this', async () => {
    expect(await ground.leaked()).toEqual([])
  })
})

const job = {
  kind: 'test.nobody',
  lane: 'live',
  key: null,
  group_id: '',
  unique_key: null,
  payload_json: 'null',
  state: 'ready',
  attempt: 1,
  max_attempts: 1,
  run_at: Date.now(),
  lease_token: 'test',
  lease_until: Date.now() + 3_600_000,
  error: null,
  created_at: Date.now(),
  finished_at: null
} as const
