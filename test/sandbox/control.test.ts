import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Counts } from '../../sandbox/control/counts.ts'
import type { WorldSummary } from '../../sandbox/control/summary.ts'
import { PortTaken } from '../../sandbox/listen.ts'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { ada } from '../../sandbox/world/people.ts'
import { ask, logIn, registerApp, startSandbox } from '../support/sandbox.ts'

let sandbox: Sandbox
let control: string

beforeAll(async () => {
  sandbox = await startSandbox()
  control = sandbox.urls.control
})
afterAll(() => sandbox.close())

const post = (path: string, body: unknown = {}) => ask(`${control}${path}`, { method: 'POST', body })

describe('the control host', () => {
  it('shows who and what there is', async () => {
    const app = await registerApp(sandbox)
    const { body } = await ask<WorldSummary>(`${control}/world`)
    expect(body.urls).toEqual(sandbox.urls)
    expect(body.people.find(it => it.uid === ada.uid)).toMatchObject({ email: ada.email, password: ada.password, active: true })
    expect(body.stacks.find(it => it.apiKey === blogApiKey)).toMatchObject({
      name: 'Blog EU',
      masterLocale: 'en-us',
      locales: ['en-us', 'de-de', 'fr-fr']
    })
    expect(body.apps).toContainEqual(expect.objectContaining({ uid: app.appUid, clientId: app.clientId, clientSecret: app.clientSecret }))
  })

  it('counts what stands in a stack', async () => {
    const { body } = await ask<Counts>(`${control}/counts?api_key=${blogApiKey}`)
    const types = sandbox.world.stacks[blogApiKey]!.entries['main']!
    expect(body.totalEntries).toBe(Object.values(types).reduce((sum, entries) => sum + Object.keys(entries).length, 0))
    expect(body.entries['country']).toEqual({})
    expect(body.totalVersions).toBeGreaterThan(body.totalEntries)
    expect((await ask(`${control}/counts?api_key=__proto__`)).status).toBe(404)
  })

  it('moves time', async () => {
    const before = sandbox.clock.now()
    expect((await post('/clock', { advanceMs: 3_600_000 })).status).toBe(200)
    expect(sandbox.clock.now() - before).toBeGreaterThanOrEqual(3_600_000)
    expect((await post('/clock', { speed: 10 })).body).toMatchObject({ speed: 10 })
    expect((await post('/clock', { speed: 1 })).status).toBe(200)
  })

  it.each([
    ['/clock', { advanceMs: -1 }],
    ['/clock', { speed: 0 }],
    ['/clock', { advanceMs: '5' }],
    ['/plays', { limiter: 'magic' }],
    ['/plays', { nonsense: 'yes' }],
    ['/faults', { kind: 'earthquake' }],
    ['/faults', { kind: 'slow', pathPattern: '(' }],
    ['/limits', { read: 'many' }],
    ['/people/nobody/leave', {}],
    ['/identity-clients', { clientId: 'x' }],
    ['/apps', {}]
  ])('refuses %s with %j and says what is wrong', async (path, body) => {
    const answer = await post(path, body)
    expect(answer.status).toBe(400)
    expect(answer.body['error_message']).toEqual(expect.stringMatching(/\w+/))
    expect(answer.body).not.toHaveProperty('stack')
  })

  it('plays another answer to an open question', async () => {
    expect((await post('/plays', { revocation: 'refused' })).body['plays']).toMatchObject({ revocation: 'refused' })
    expect(sandbox.context.plays.revocation).toBe('refused')
    await post('/plays', { revocation: 'allowed' })
  })

  it.each(['application', 'developerHub', 'identity'] as const)('makes trouble on the %s host, as often as asked', async host => {
    await post('/faults', { kind: '503', host, times: 2 })
    const statuses: number[] = []
    for (let count = 0; count < 3; count += 1) statuses.push((await fetch(`${sandbox.urls[host]}/.well-known/openid-configuration`)).status)
    expect(statuses.slice(0, 2)).toEqual([503, 503])
    await ask(`${control}/faults`, { method: 'DELETE' })
    expect((await ask<{ faults: unknown[] }>(`${control}/faults`)).body.faults).toEqual([])
  })

  it('lets a person leave and return: what was theirs is refused, and a new login needed', async () => {
    const asAda = await logIn(sandbox, ada)
    const hub = `${sandbox.urls.developerHub}/manifests`
    expect((await ask(hub, { headers: asAda })).status).toBe(200)
    expect((await post(`/people/${ada.uid}/leave`)).body).toEqual({ active: false })
    expect((await ask(hub, { headers: asAda })).status).toBe(401)
    await expect(logIn(sandbox, ada)).rejects.toThrow('could not log in')
    await post(`/people/${ada.uid}/return`)
    expect((await ask(hub, { headers: asAda })).status).toBe(401)
    expect((await ask(hub, { headers: await logIn(sandbox, ada) })).status).toBe(200)
  })

  it.each([
    ['a name that was pointed at this machine', { host: 'evil.example' }],
    ['a page of another origin', { origin: 'https://evil.example' }],
    ['a page without an origin', { origin: 'null' }]
  ])('refuses %s', async (_what, headers) => {
    const { port } = new URL(control)
    const status = await new Promise<number>((resolve, reject) => {
      request({ host: '127.0.0.1', port, path: '/world', headers }, response => {
        response.resume()
        resolve(response.statusCode ?? 0)
      })
        .on('error', reject)
        .end()
    })
    expect(status).toBe(403)
  })
})

describe('the hosts', () => {
  it.each(['127.0.0.1', '::1'])('listen on %s under the same port', async address => {
    for (const url of Object.values(sandbox.urls) as string[]) {
      const port = Number(new URL(url).port)
      await new Promise<void>((resolve, reject) => {
        const socket = connect(port, address, () => {
          socket.destroy()
          resolve()
        })
        socket.on('error', reject)
      })
    }
    expect(new Set(Object.values(sandbox.urls)).size).toBe(5)
  })

  it('name the port that is taken, whose it was to be, and what to set; and leave nothing open', async () => {
    const squatter = createServer()
    await new Promise<void>(resolve => squatter.listen(0, '127.0.0.1', resolve))
    const { port } = squatter.address() as AddressInfo
    const failure = await startSandbox({ ports: { identity: port } }).catch((error: unknown) => error)
    squatter.close()
    expect(failure).toBeInstanceOf(PortTaken)
    expect(failure).toMatchObject({ host: 'identity', port })
    expect((failure as Error).message).toContain('--port N or SANDBOX_PORT=N')
  })
})

describe('a kept world', () => {
  it('goes on where it ended: logins, apps and keys', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'sandbox-'))
    const snapshotFile = join(directory, 'deeper', 'world.json')
    try {
      const first = await startSandbox({ snapshotFile })
      const app = await registerApp(first)
      const asAda = await logIn(first, ada)
      const { publicPem } = first.world.signing
      await first.close()
      const second = await startSandbox({ snapshotFile })
      try {
        expect(second.world.signing.publicPem).toBe(publicPem)
        expect((await ask(`${second.urls.developerHub}/manifests/${app.appUid}`, { headers: asAda })).status).toBe(200)
      } finally {
        await second.close()
      }
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })
})
