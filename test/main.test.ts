// The process itself when it cannot begin: it ends, says why, and shows nothing of what it was trusted with.
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { generateKeyRing } from '../server/vault/cipher.ts'

const main = fileURLToPath(new URL('../server/main.ts', import.meta.url))
const password = 'Tr0ub4dor-and-3'
const ring = generateKeyRing()
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'quayside-main-'))
  await writeFile(join(folder, 'key'), ring, { mode: 0o600 })
  await writeFile(join(folder, 'garbage.db'), 'this is no database '.repeat(500))
  await writeFile(join(folder, 'tenants.json'), JSON.stringify({ organizations: [], identityProviders: [] }))
  const app = { region: 'eu', appUid: 'a', clientId: 'c', clientSecret: password, webhookSecret: `webhook-${password}` }
  await writeFile(join(folder, 'apps.json'), JSON.stringify([app]))
  await writeFile(join(folder, 'broken.json'), `[{"clientSecret":"${password}",`)
})
afterAll(() => rm(folder, { recursive: true }))

it.each<[string, Record<string, string>]>([
  ['a database that nobody answers for', { QUAYSIDE_DATABASE_URL: `postgres://quayside:${password}@127.0.0.1:9/quayside` }],
  ['a database address that is none', { QUAYSIDE_DATABASE_URL: `postgres://quayside:${password}@@:/` }],
  ['a file that is no database', { QUAYSIDE_DATABASE_URL: 'sqlite:FOLDER/garbage.db' }],
  ['a database where a directory is', { QUAYSIDE_DATABASE_URL: 'sqlite:FOLDER' }],
  [
    'a file of anchors where none can be',
    { QUAYSIDE_DATABASE_URL: 'sqlite:FOLDER/own.db', QUAYSIDE_ANCHOR_FILE: 'FOLDER/garbage.db/anchors.jsonl' }
  ],
  ['a settings file that breaks off', { QUAYSIDE_APPS_FILE: 'FOLDER/broken.json' }],
  ['a public address with a password', { QUAYSIDE_PUBLIC_URL: `https://x:${password}@quayside.example.com` }]
])('ends with %s, and shows no secret of its settings', async (_case, change) => {
  const settings = {
    QUAYSIDE_PUBLIC_URL: 'https://quayside.example.com',
    QUAYSIDE_KEY_FILE: 'FOLDER/key',
    QUAYSIDE_APPS_FILE: 'FOLDER/apps.json',
    QUAYSIDE_TENANTS_FILE: 'FOLDER/tenants.json',
    QUAYSIDE_ANCHOR_FILE: 'FOLDER/audit-anchors.jsonl',
    QUAYSIDE_FILES_DIR: 'FOLDER/files',
    QUAYSIDE_PORT: '0',
    QUAYSIDE_LOG_LEVEL: 'silent',
    ...change
  }
  const env = Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, value.replace('FOLDER', folder)]))
  const { code, output } = await new Promise<{ code: unknown; output: string }>(resolve => {
    execFile(process.execPath, [main], { env: { PATH: process.env['PATH'] ?? '', ...env }, timeout: 20_000 }, (error, out, err) =>
      resolve({ code: error?.code, output: `${out}${err}` })
    )
  })
  expect(code).toBe(1)
  expect(output.trim()).not.toBe('')
  expect(output).not.toContain(password)
  expect(output).not.toContain(ring.split(':')[1]?.slice(0, 12))
})
