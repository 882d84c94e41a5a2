// What bad input gets: a table, a row each, against the running product. Every refusal has its status and code, names the thing
// and the remedy, leaves no row behind, and says nothing secret in its body or in the log. The rows stand in hostile/.
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../../sandbox/demo/admin.ts'
import { shopApiKey } from '../../sandbox/world/built-in.ts'
import { edda, sara } from '../../sandbox/world/people.ts'
import { connect, onBothDatabases, reopen } from '../support/flow.ts'
import { findSecrets } from '../support/secrets.ts'
import { fromOutside } from './hostile/from-outside.ts'
import { fromPeople } from './hostile/from-people.ts'
import { type Answer, consented, enter, jwt, send, type Stand, webhook } from './hostile/stand.ts'

/** Of the JSON refusal, which has a request id to find the log by; of a page for people, its words. */
function saidIn({ text }: Answer, code: string | null): { code: string | null; message: string; remedy: string } {
  if (code === null) {
    const words = text.replace(/<[^>]*>/g, ' ').replaceAll('&#39;', "'")
    return { code, message: words, remedy: words }
  }
  const { error } = JSON.parse(text) as { error: { code: string; message: string; remedy?: string; requestId: string } }
  if (!/^[\w-]{20,}$/.test(error.requestId)) throw new Error('The refusal has no request id.')
  return { code: error.code, message: error.message, remedy: error.remedy ?? '' }
}

onBothDatabases('H. what bad input gets', open => {
  let stand: Stand

  beforeAll(async () => {
    const flow = await open()
    const connected = await connect(flow)
    const other = await connect(flow, sara, flow.sandbox.world.stacks[shopApiKey])
    await other.pages.connect({ connector: 'sql', name: 'Theirs', settings: { system: 'sqlite', file: 'theirs.db' }, secrets: {} })
    const { id } = await connected.pages.connect({
      connector: 'sql',
      name: 'World',
      settings: { system: 'sqlite', file: 'world.db' },
      secrets: {}
    })
    const [sync] = await connected.pages.createSyncs({ direction: 'outbound', connectionId: id, contentTypes: ['author'], target: '' })
    const editor = (await reopen(flow, await flow.as(edda), connected.installationUid)).headers
    stand = {
      flow,
      connected,
      other,
      editor,
      connectionId: id,
      sync: sync!,
      presented: new Map([[connected.pages.session.session, 'session']])
    }
    await until(
      'our webhook',
      async () => (Object.values(flow.stack.webhooks).some(({ name }) => name.startsWith('Quayside ins_')) ? true : null),
      10
    )
    await until(
      'quiet',
      async () =>
        (
          await flow.database.db
            .selectFrom('job')
            .select('id')
            .where('state', 'in', ['ready', 'running'])
            .where('group_id', '!=', '')
            .execute()
        ).length === 0
          ? true
          : null,
      20
    )
  })

  /** How many rows each table has. That an app-token was offered is counted on purpose; the clock's own jobs are nobody's effect. */
  async function rows(): Promise<Record<string, number>> {
    const { db } = stand.flow.database
    const counts: Record<string, number> = {}
    for (const { name } of await db.introspection.getTables()) {
      if (name === 'app_token_use') continue
      const query = db.selectFrom(name as 'job').select(eb => eb.fn.countAll().as('count'))
      const { count } = await (name === 'job' ? query.where('kind', 'not like', '%sweep%') : query).executeTakeFirstOrThrow()
      counts[name] = Number(count)
    }
    return counts
  }

  function assertQuietAbout(text: string): void {
    expect(text).not.toMatch(/\bat .{0,80}\.(ts|js):\d+|node_modules|SQLITE_|ECONN\w+: |\/server\//)
    for (const [secret, what] of stand.presented) expect(text.includes(secret), `the answer repeats the ${what}`).toBe(false)
  }

  it.each(Object.entries({ ...fromOutside, ...fromPeople }))('%s', async (_name, { send, status, code, names, remedy }) => {
    const before = await rows()
    const writes = stand.flow.stack.writes.filter(({ module }) => module !== 'management_token').length
    const answer = await send(stand)
    expect([answer.status, answer.text]).toEqual([status, expect.any(String)])
    assertQuietAbout(answer.text)
    const said = saidIn(answer, code)
    expect(said.code).toBe(code)
    expect(said.message).toMatch(names)
    expect(said.remedy).toMatch(remedy ?? /^/)
    expect(await rows()).toEqual(before)
    expect(stand.flow.stack.writes.filter(({ module }) => module !== 'management_token')).toHaveLength(writes)
  })

  it('a webhook sent again is taken once', async () => {
    const body = {
      triggered_at: new Date().toISOString(),
      data: { entry: { uid: 'blt2222222222222222', locale: 'en-us' }, content_type: { uid: 'article' } }
    }
    expect((await webhook(stand, { body })).status).toBe(202)
    const before = (await rows())['delivery']
    expect((await webhook(stand, { body })).status).toBe(202)
    expect((await rows())['delivery']).toBe(before)
  })

  it('an app-token opens ten frames within its minute and no eleventh', async () => {
    const token = jwt(stand, { iat: Math.floor(Date.now() / 1000) - 1 })
    const answers: number[] = []
    for (let times = 0; times < 11; times += 1) answers.push((await enter(stand, token)).status)
    expect(answers).toEqual([...Array<number>(10).fill(200), 401])
  })

  it('an OAuth callback is good once, in the browser that began it, and for its region', async () => {
    const { person, back } = await consented(stand)
    for (const value of [back.searchParams.get('code')!, back.searchParams.get('state')!]) stand.presented.set(value, 'code or state')
    const elsewhere = await send(back.href, 'GET', {})
    expect([elsewhere.status, elsewhere.text]).toEqual([403, expect.stringMatching(/another browser/)])
    const moon = new URL(back)
    moon.searchParams.set('location', 'MOON')
    const wrong = await person.ask<string>(moon.href, { allow: [400] })
    expect([wrong.status, wrong.body]).toEqual([400, expect.stringMatching(/MOON/)])
    const right = await person.ask(back.href, { allow: [400, 403] })
    expect([right.status, right.location]).toEqual([302, expect.stringMatching(/\/oauth\/grant\/grf_/)])
    const replayed = await person.ask<string>(back.href, { allow: [403] })
    expect([replayed.status, replayed.body]).toEqual([403, expect.stringMatching(/used already/)])
    for (const { text } of [elsewhere, { text: wrong.body }, { text: replayed.body }]) assertQuietAbout(text)
  })

  it('nothing that was presented is on our disk or in our log, and the log holds no query with a code', async () => {
    expect(stand.presented.size).toBeGreaterThan(10)
    expect(await findSecrets(stand.flow, stand.presented)).toEqual([])
    expect(await stand.flow.log()).not.toMatch(/[?&](code|state|ticket|app-token)=/)
  })
})

describe('H. a server that is not set up', () => {
  const main = fileURLToPath(new URL('../../server/main.ts', import.meta.url))
  const start = (environment: Record<string, string>) =>
    new Promise<{ code: number; output: string }>(resolve => {
      execFile(
        process.execPath,
        [main],
        { env: { PATH: process.env['PATH'] ?? '', ...environment }, timeout: 20_000 },
        (error, stdout, stderr) => {
          resolve({ code: typeof error?.code === 'number' ? error.code : 0, output: `${stdout}${stderr}` })
        }
      )
    })
  const production = { QUAYSIDE_PUBLIC_URL: 'https://quayside.example.com' }
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'quayside-hostile-'))
    await writeFile(join(folder, 'tenants.json'), JSON.stringify({ organizations: [], identityProviders: [] }))
    const app = { region: 'eu', appUid: 'a', clientId: 'c', clientSecret: 's', webhookSecret: 'sixteen-characters' }
    await writeFile(join(folder, 'apps.json'), JSON.stringify([app]))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it.each<[string, Record<string, string>, RegExp]>([
    ['has no key', production, /QUAYSIDE_KEY_FILE is not set\.[\s\S]*mode 0600/],
    ['has a key file that is not there', { ...production, QUAYSIDE_KEY_FILE: '/nowhere/key' }, /QUAYSIDE_KEY_FILE[\s\S]*cannot be read/],
    ['has no public address', {}, /QUAYSIDE_PUBLIC_URL is not set/],
    ['is public over http', { QUAYSIDE_PUBLIC_URL: 'http://quayside.example.com' }, /QUAYSIDE_PUBLIC_URL[\s\S]*https:\/\//],
    ['knows no such role', { ...production, QUAYSIDE_ROLE: 'captain' }, /QUAYSIDE_ROLE is "captain"[\s\S]*all, http, worker/],
    ['knows no such setting', { ...production, QUAYSIDE_PROT: '4000' }, /QUAYSIDE_PROT is not a setting[\s\S]*QUAYSIDE_PORT/],
    ['has a port that is none', { ...production, QUAYSIDE_PORT: 'eighty' }, /QUAYSIDE_PORT is "eighty"/]
  ])('does not start when it %s, and says what to do', async (_name, environment, words) => {
    const files = { QUAYSIDE_TENANTS_FILE: join(folder, 'tenants.json'), QUAYSIDE_APPS_FILE: join(folder, 'apps.json') }
    const { code, output } = await start({ ...files, ...environment })
    expect(code).toBe(1)
    expect(output).toMatch(words)
    expect(output).not.toMatch(/\bat .*\.ts:\d+/)
  })
})
