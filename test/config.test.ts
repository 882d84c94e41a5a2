import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadConfig } from '../server/config.ts'
import { isAppError } from '../server/errors.ts'
import { generateKeyRing } from '../server/vault/cipher.ts'

let folder: string
const path = (name: string) => join(folder, name)
const write = async (name: string, content: unknown, mode = 0o600) => {
  await writeFile(path(name), typeof content === 'string' ? content : JSON.stringify(content))
  await chmod(path(name), mode)
}

const app = { region: 'eu', appUid: 'app', clientId: 'client', clientSecret: 'hush-hush', webhookSecret: 'sixteen-characters' }
const sandboxHosts = {
  location: 'SANDBOX',
  application: 'http://localhost:1',
  contentManagement: 'http://localhost:2',
  developerHub: 'http://localhost:3'
}
const provider = {
  id: 'corporate',
  name: 'Corporate',
  issuer: 'https://login.example.com',
  clientId: 'c',
  clientSecret: 'hush-hush',
  groupRoles: {}
}
const tenants = { organizations: [{ region: 'eu', organizationUid: 'blt1', name: 'Harbour' }], identityProviders: [provider] }

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'quayside-config-'))
  await write('key', generateKeyRing())
  await write('open-key', generateKeyRing(), 0o644)
  await write('group-key', generateKeyRing(), 0o640)
  await write('empty-key', '# nothing yet\n')
  await write('short-key', `k:${Buffer.from('too short').toString('base64')}\n`)
  await write('sample-key', `k:${Buffer.alloc(32, 'a').toString('base64')}\n`)
  await write(
    'twice-key',
    generateKeyRing().replace(/^.*\n$/, line => line + line)
  )
  await write('apps.json', [app])
  await write('tenants.json', tenants)
})
afterAll(() => rm(folder, { recursive: true }))

const good = (): Record<string, string> => ({
  QUAYSIDE_PUBLIC_URL: 'https://quayside.example.com',
  QUAYSIDE_KEY_FILE: path('key'),
  QUAYSIDE_APPS_FILE: path('apps.json'),
  QUAYSIDE_TENANTS_FILE: path('tenants.json')
})

function refusal(environment: Record<string, string | undefined>): { message: string; remedy: string } {
  try {
    loadConfig(environment)
  } catch (error) {
    if (isAppError(error, 'invalid')) return { message: error.message, remedy: error.remedy ?? '' }
    throw error
  }
  throw new Error('the configuration was accepted')
}

describe('configuration', () => {
  it('takes production as the default, with secrets apart from the config', () => {
    const { config, secrets } = loadConfig(good())
    expect(config).toMatchObject({
      production: true,
      publicUrl: 'https://quayside.example.com',
      host: '127.0.0.1',
      port: 4000,
      role: 'all',
      workers: 8,
      logLevel: 'info'
    })
    expect(secrets.apps[0]?.region.contentManagement).toBe('https://eu-api.contentstack.com')
    expect(secrets.identityProviders[0]?.tokenEndpointAuthMethod).toBe('client_secret_post')
    expect(JSON.stringify(config)).not.toContain('hush-hush')
  })

  it('reads the key file again when asked, as strictly as at the start', async () => {
    await write('moving-key', generateKeyRing())
    const { secrets } = loadConfig({ ...good(), QUAYSIDE_KEY_FILE: path('moving-key') })
    const text = generateKeyRing()
    await write('moving-key', text)
    expect(`${secrets.reloadKeyRing?.().current.id}:`).toBe(text.slice(0, text.indexOf(':') + 1))
    await write('moving-key', text, 0o644)
    expect(() => secrets.reloadKeyRing?.()).toThrow('which others can read')
    await write('moving-key', 'k:AAAA')
    expect(() => secrets.reloadKeyRing?.()).toThrow('it must have 32')
    await rm(path('moving-key'))
    expect(() => secrets.reloadKeyRing?.()).toThrow(path('moving-key'))
  })

  it.each([
    ['a missing public URL', { QUAYSIDE_PUBLIC_URL: undefined }, 'QUAYSIDE_PUBLIC_URL is not set'],
    ['plain http in production', { QUAYSIDE_PUBLIC_URL: 'http://quayside.example.com' }, 'in production it must begin with https://'],
    ['a public URL with a path', { QUAYSIDE_PUBLIC_URL: 'https://example.com/quayside' }, 'it must be an origin'],
    ['a missing key', { QUAYSIDE_KEY_FILE: undefined }, 'QUAYSIDE_KEY_FILE is not set'],
    ['a key file that is not there', { QUAYSIDE_KEY_FILE: '/nowhere/key' }, 'QUAYSIDE_KEY_FILE points to /nowhere/key'],
    ['a key that others can read', { QUAYSIDE_KEY_FILE: 'open-key' }, 'which others can read; run chmod 600'],
    ['a key that a group can read', { QUAYSIDE_KEY_FILE: 'group-key' }, 'which others can read; run chmod 600'],
    ['a key file without a key', { QUAYSIDE_KEY_FILE: 'empty-key' }, 'holds no key'],
    ['a short key', { QUAYSIDE_KEY_FILE: 'short-key' }, 'it must have 32'],
    ['a sample key', { QUAYSIDE_KEY_FILE: 'sample-key' }, 'a sample or a pattern'],
    ['a key named twice', { QUAYSIDE_KEY_FILE: 'twice-key' }, 'twice'],
    ['an unknown setting', { QUAYSIDE_PROT: '4000' }, 'QUAYSIDE_PROT is not a setting of Quayside'],
    ['an unknown value of a setting', { QUAYSIDE_ROLE: 'boss' }, 'QUAYSIDE_ROLE is "boss"; it must be one of all, http, worker'],
    ['a proxy that is no address', { QUAYSIDE_TRUSTED_PROXIES: '10.0.0.0/8, proxy' }, 'names "proxy"'],
    ['a network that is none', { QUAYSIDE_TRUSTED_PROXIES: '10.0.0.0/99' }, 'names "10.0.0.0/99"'],
    ['a port that is no port', { QUAYSIDE_PORT: '70000' }, 'QUAYSIDE_PORT is "70000"'],
    ['a port that is no number', { QUAYSIDE_PORT: '4000x' }, 'QUAYSIDE_PORT is "4000x"'],
    ['another kind of database', { QUAYSIDE_DATABASE_URL: 'mysql://root@localhost' }, 'must be sqlite:PATH or postgres://'],
    ['roles apart on SQLite', { QUAYSIDE_ROLE: 'worker' }, 'SQLite serves one process'],
    ['an apps file that is no JSON', { QUAYSIDE_APPS_FILE: 'key' }, 'which is not a readable JSON file']
  ])('refuses %s, naming it and the remedy', (_case, change, words) => {
    const inFolder = Object.fromEntries(
      Object.entries(change).map(([name, value]) => [
        name,
        /^[a-z-]+$/.test(value ?? '') && name.endsWith('_FILE') ? path(value as string) : value
      ])
    )
    const { message, remedy } = refusal({ ...good(), ...inFolder })
    expect(message).toContain(words)
    expect(remedy).not.toBe('')
  })

  it.each([
    ['an unknown region', [{ ...app, region: 'mars' }], 'unknown region "mars"'],
    ['hosts for a real region', [{ ...app, hosts: sandboxHosts }], 'which are fixed'],
    ['the sandbox in production', [{ ...app, region: 'sandbox', hosts: sandboxHosts }], 'production only real ones'],
    ['a misspelt entry', [{ ...app, clientSercet: 'x' }], 'wrong'],
    ['a webhook secret that can be guessed', [{ ...app, webhookSecret: 'short' }], 'webhookSecret']
  ])('refuses %s in the apps file', async (_case, apps, words) => {
    await write('wrong-apps.json', apps)
    const { message } = refusal({ ...good(), QUAYSIDE_APPS_FILE: path('wrong-apps.json') })
    expect(message).toContain('QUAYSIDE_APPS_FILE')
    expect(message).toContain(words)
    expect(message).not.toContain('hush-hush')
  })

  it('never lets the sandbox stand beside a real region, not even in development', async () => {
    await write('mixed-apps.json', [app, { ...app, region: 'sandbox', hosts: sandboxHosts }])
    const { message } = refusal({ ...good(), QUAYSIDE_ENV: 'development', QUAYSIDE_APPS_FILE: path('mixed-apps.json') })
    expect(message).toContain('either the sandbox or real regions')
  })
})
