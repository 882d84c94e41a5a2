// `quayside tokens` beside a real server: the list, the links of a rotation, and a look that Contentstack answers.
import { spawn } from 'node:child_process'
import { chmod, chown, copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, it } from 'vitest'
import type { CustodyLine, TokenLook } from '../../server/http/contract/operator.ts'
import { type Connected, connect, type Flow, onBothDatabases } from '../support/flow.ts'
import { secretsOfWorld } from '../support/secrets.ts'

const command = fileURLToPath(new URL('../../server/quayside.cjs', import.meta.url))

onBothDatabases('tokens', open => {
  let flow: Flow
  let connected: Connected
  let printed = ''

  beforeAll(async () => {
    flow = await open()
    connected = await connect(flow)
  })

  const tokens = (...args: string[]) => tokensAs({}, ...args)
  function tokensAs(
    { env = {}, uid }: { env?: Record<string, string>; uid?: number },
    ...args: string[]
  ): Promise<{ code: number | null; out: string; err: string }> {
    return new Promise((resolve, reject) => {
      const options = { env: { ...flow.server.environment, ...env }, ...(uid === undefined ? {} : { uid }) }
      const child = spawn(process.execPath, [command, 'tokens', ...args], options)
      let [out, err] = ['', '']
      child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
      child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
      child.once('error', reject)
      child.once('close', code => {
        printed += out + err
        resolve({ code, out, err })
      })
    })
  }
  const links = () => [
    `${flow.urls.application}/installed-apps/${connected.installationUid}/stacks/${flow.stack.apiKey}/config`,
    `${flow.server.url}/console/installations/${connected.installationId}?rotate`
  ]

  it('lists what is in custody, in words and for programs', async () => {
    const { code, out } = await tokens()
    expect(code).toBe(0)
    const [head = '', line = ''] = out.split('\n')
    expect(head).toMatch(/^installation +stack +organization +region +token +ends +checked +exposed +orphans$/)
    expect(line).toMatch(
      new RegExp(`^${connected.installationId}  Blog EU +Harbour Publishing +sandbox +active +in (89|90) d +(now|\\d+ s ago) +0$`)
    )
    const listed = await tokens('list', '--json')
    const [one, ...more] = JSON.parse(listed.out) as CustodyLine[]
    expect(more).toEqual([])
    expect(one).toMatchObject({
      installationId: connected.installationId,
      status: 'active',
      token: { status: 'active', exposed: false },
      orphans: []
    })
    expect(one?.token?.expiresAt).toBeGreaterThan(Date.now())
  })

  it('prints where a person rotates, since a grant takes a person', async () => {
    const { code, out } = await tokens('rotate', connected.installationId)
    expect(code).toBe(0)
    expect(out).toContain('takes the grant of an Owner or Admin of the stack')
    for (const link of links()) expect(out).toContain(link)
    const { links: listed } = JSON.parse((await tokens('rotate', connected.installationId, '--json')).out) as CustodyLine
    expect(listed.map(({ url }) => url)).toEqual(links())
  })

  it.each([['rotate'], ['check']])('refuses to %s what is not installed', async verb => {
    const answer = await tokens(verb, 'ins_nobody')
    expect(answer).toMatchObject({ code: 1, out: '', err: expect.stringContaining('There is no installation ins_nobody') as string })
    expect(answer.err).not.toContain('    at ')
  })

  it.skipIf(process.getuid?.() !== 0)(
    'works for an account without a name, as containers have them (only root may give itself one)',
    async () => {
      const folder = await mkdtemp(join(tmpdir(), 'quayside-nameless-'))
      await chmod(folder, 0o711)
      const key = join(folder, 'key')
      await copyFile(flow.server.environment.QUAYSIDE_KEY_FILE ?? '', key)
      await chown(key, 54_321, 54_321)
      const { code, err } = await tokensAs({ env: { QUAYSIDE_KEY_FILE: key }, uid: 54_321 }, 'list')
      await rm(folder, { recursive: true })
      expect({ code, err }).toEqual({ code: 0, err: '' })
    }
  )

  it('asks Contentstack right now', async () => {
    const before = Date.now()
    const look = JSON.parse((await tokens('check', connected.installationId, '--json')).out) as TokenLook
    expect(look.outcome).toBe('accepted')
    expect(look.line.token?.checkedAt).toBeGreaterThanOrEqual(before)
    expect((await tokens('check', connected.installationId)).out).toMatch(
      /^Contentstack accepts the token of Blog EU \(active\); it ends in (89|90) d\n$/
    )
  })

  it('lists what may be left behind', async () => {
    const { db } = flow.database
    const token = await db.selectFrom('management_token').selectAll().executeTakeFirstOrThrow()
    const orphan = { ...token, id: 'tok_orphan', name: 'Quayside lost', status: 'orphaned', secret_id: null } as const
    await db.insertInto('management_token').values(orphan).execute()
    const [line] = JSON.parse((await tokens('--json')).out) as CustodyLine[]
    expect(line).toMatchObject({ token: { status: 'active' }, orphans: ['Quayside lost'] })
    await db.deleteFrom('management_token').where('id', '=', 'tok_orphan').execute()
  })

  it('finds out that a token is dead, and says what to press', async () => {
    for (const token of Object.values(flow.stack.managementTokens)) token.dead = true
    const { code, out } = await tokens('check', connected.installationId)
    expect(code).toBe(1)
    expect(out).toContain('Contentstack refuses the token of Blog EU: its work waits.')
    for (const link of links()) expect(out).toContain(link)
    expect(await flow.database.db.selectFrom('job_hold').selectAll().execute()).toMatchObject([{ group_id: connected.installationId }])
    expect((await tokens()).out).toMatch(/ dead +in (89|90) d /)
    expect(await tokens('check', connected.installationId)).toMatchObject({
      code: 1,
      out: expect.stringContaining('has no current token') as string
    })
  })

  it('has printed no secret', () => {
    const secrets = secretsOfWorld(flow)
    expect(secrets.size).toBeGreaterThan(1)
    expect([...secrets].filter(([secret]) => printed.includes(secret)).map(([, what]) => what)).toEqual([])
  })
})
