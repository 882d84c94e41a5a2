// The `quayside` command as an operator types it: a process of its own, beside a running server.
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type App, createApp } from '../../server/app.ts'
import type { Config } from '../../server/config.ts'
import { openDatabase } from '../../server/database/database.ts'
import { silentLog } from '../../server/log.ts'
import { generateKeyRing, parseKeyRing } from '../../server/vault/cipher.ts'
import { freshPostgres, freshSqlite } from '../support/databases.ts'
import { insertInstallation } from '../support/rows.ts'

const command = fileURLToPath(new URL('../../server/quayside.cjs', import.meta.url))

function quayside(env: Record<string, string>, ...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [command, ...args], { env: { PATH: process.env.PATH ?? '', ...env } })
    let out = ''
    let err = ''
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
    child.once('error', reject)
    child.once('exit', code => resolve({ code, out, err }))
  })
}

it('does not repeat a key that stands where the name of its file should', async () => {
  const key = generateKeyRing().trim()
  const { code, out, err } = await quayside({ QUAYSIDE_PUBLIC_URL: 'http://127.0.0.1:9', QUAYSIDE_KEY_FILE: key }, 'installations')
  expect([code, out]).toEqual([1, ''])
  expect(err).toContain('holds the key itself')
  expect(err).not.toContain(key.split(':')[1])
})

it('prints a key ring that the server takes, another one each time', async () => {
  const first = await quayside({}, 'keys', 'new')
  const second = await quayside({}, 'keys', 'new')
  expect(first.code).toBe(0)
  expect(parseKeyRing(first.out).current.bytes).toHaveLength(32)
  expect(second.out).not.toBe(first.out)
})

it.each([
  ['an unknown command', 2, ['install']],
  ['no settings', 1, ['installations']]
])('says what is wrong with %s and exits with %i', async (_case, code, args) => {
  const answer = await quayside({}, ...args)
  expect(answer.code).toBe(code)
  expect(answer.out + answer.err).toMatch(/Usage|QUAYSIDE_PUBLIC_URL is not set/)
  expect(answer.err).not.toContain('    at ')
})

describe.each([
  ['sqlite', freshSqlite],
  ['postgres', () => freshPostgres()]
] as const)('beside a server on %s', (_dialect, fresh) => {
  let folder: string
  let app: App
  let env: Record<string, string>
  let installationId: string
  let cleanup: () => Promise<void>

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'quayside-cli-'))
    const ring = generateKeyRing()
    await writeFile(join(folder, 'key'), ring, { mode: 0o600 })
    await writeFile(join(folder, 'other-key'), generateKeyRing(), { mode: 0o600 })
    const database = await fresh()
    cleanup = database.cleanup
    const config: Config = {
      production: false,
      publicUrl: 'http://127.0.0.1:1',
      host: '127.0.0.1',
      port: 0,
      databaseUrl: database.url,
      anchorFile: join(folder, 'audit-anchors.jsonl'),
      filesDirectory: folder,
      privateHosts: [],
      trustedProxies: [],
      role: 'http',
      workers: 1,
      logLevel: 'silent',
      organizations: [{ region: 'sandbox', organizationUid: 'blt1', name: 'Harbour' }]
    }
    app = await createApp(config, { keyRing: parseKeyRing(ring), apps: [], identityProviders: [] }, silentLog, { background: false })
    env = { QUAYSIDE_PUBLIC_URL: app.url, QUAYSIDE_KEY_FILE: join(folder, 'key') }
    const opened = await openDatabase(database.url)
    const { id } = await opened.db.selectFrom('organization').select('id').executeTakeFirstOrThrow()
    installationId = (await insertInstallation(opened.db, { organization_id: id, stack_name: 'Blog EU' })).id
    await opened.close()
  })
  afterAll(async () => {
    await app.close()
    await cleanup()
    await rm(folder, { recursive: true })
  })

  it('lists installations, makes a key that is shown once, lists it without the key, and revokes it', async () => {
    const installations = await quayside(env, 'installations', '--json')
    expect(JSON.parse(installations.out)).toMatchObject([{ id: installationId, stackName: 'Blog EU', status: 'active', token: null }])

    const created = await quayside(
      env,
      'access-keys',
      'create',
      installationId,
      'nightly',
      '--scope',
      'entries:read,write@article',
      '--days',
      '7'
    )
    expect(created.err).toContain('shown this once')
    expect(created.out).toMatch(/^qsk_[\w-]{49}\n$/)

    const listed = await quayside(env, 'access-keys', 'list', '--json')
    const [key] = JSON.parse(listed.out) as { id: string }[]
    expect(key).toMatchObject({
      name: 'nightly',
      status: 'active',
      scopes: [{ module: 'entries', actions: ['read', 'write'], contentTypes: ['article'] }]
    })
    expect(listed.out).not.toContain(created.out.trim())

    const revoked = await quayside(env, 'access-keys', 'revoke', key?.id ?? '')
    expect(revoked).toMatchObject({ code: 0, out: `${key?.id} (nightly) is revoked\n` })
  })

  it.each([
    ['another key ring', { QUAYSIDE_KEY_FILE: 'other-key' }, ['installations'], 'not marked with the key ring'],
    ['no server there', { QUAYSIDE_PUBLIC_URL: 'http://127.0.0.1:9' }, ['installations'], 'No server answers at http://127.0.0.1:9'],
    ['a scope that is none', {}, ['access-keys', 'create', 'x', 'name', '--scope', 'everything'], '"everything" is not a scope'],
    ['no scope at all', {}, ['access-keys', 'create', 'x', 'name'], 'scopes'],
    [
      'an unknown installation',
      {},
      ['access-keys', 'create', 'ins_nobody', 'name', '--scope', 'entries:read'],
      'There is no installation ins_nobody'
    ],
    ['an unknown key', {}, ['access-keys', 'revoke', 'key_nobody'], 'There is no such access key']
  ])('refuses %s with words and exit code 1', async (_case, change: Record<string, string>, args, words) => {
    const keyFile = change.QUAYSIDE_KEY_FILE
    const answer = await quayside(
      { ...env, ...change, ...(keyFile === undefined ? {} : { QUAYSIDE_KEY_FILE: join(folder, keyFile) }) },
      ...args
    )
    expect(answer.code).toBe(1)
    expect(answer.err).toContain(words)
    expect(answer.err).not.toContain('    at ')
    expect(answer.out).toBe('')
  })
})
