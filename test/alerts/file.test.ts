// The operator's file of mail server and standing recipients: what it may say, and who may read it.
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { loadConfig, type Secrets } from '../../server/config.ts'
import { isAppError } from '../../server/errors.ts'
import { generateKeyRing } from '../../server/vault/cipher.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'quayside-alerts-file-'))
  await write('key', generateKeyRing())
  await write('apps.json', [{ region: 'eu', appUid: 'a', clientId: 'c', clientSecret: 's', webhookSecret: 'sixteen-characters' }])
  await write('tenants.json', { organizations: [], identityProviders: [] })
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function write(name: string, content: unknown, mode = 0o600): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
  await chmod(path, mode)
  return path
}

function load(alerts: string | undefined, env = 'production'): Secrets['alerts'] {
  return loadConfig({
    QUAYSIDE_ENV: env,
    QUAYSIDE_PUBLIC_URL: 'https://quayside.example.com',
    QUAYSIDE_KEY_FILE: join(folder, 'key'),
    QUAYSIDE_APPS_FILE: join(folder, 'apps.json'),
    QUAYSIDE_TENANTS_FILE: join(folder, 'tenants.json'),
    QUAYSIDE_ALERTS_FILE: alerts
  }).secrets.alerts
}

const smtp = { host: 'smtp.example.com', port: 587, user: 'quay', password: 'mail-password', from: 'Quayside <quayside@example.com>' }
const slack = 'https://hooks.slack.com/services/T000/B000/hook-path-secret'

it('may be left out', () => {
  expect(load(undefined)).toBeUndefined()
})

it('names a mail server and who is told of every installation', async () => {
  const recipients = [
    { kind: 'email', address: 'ops@example.com' },
    { kind: 'slack', address: slack }
  ]
  expect(load(await write('alerts.json', { smtp, recipients }))).toEqual({
    smtp: { ...smtp, secure: false, requireTls: true },
    recipients
  })
  expect(load(await write('alerts.json', {}))).toEqual({ recipients: [] })
})

it.each([
  ['another host', {}, true],
  ['another host that speaks TLS from the first byte', { secure: true, port: 465 }, false],
  ['this machine', { host: 'localhost' }, false],
  ['this machine by address', { host: '127.0.0.1' }, false],
  ['this machine by IPv6', { host: '::1' }, false],
  ['a host called like this machine', { host: 'localhost.example.com' }, true],
  ['another host, as the operator says', { requireTls: false }, false]
])('asks for STARTTLS at %s: %o', async (_case, change, required) => {
  expect(load(await write('alerts.json', { smtp: { ...smtp, ...change } }))?.smtp?.requireTls).toBe(required)
})

it.each([
  ['no JSON', 'smtp: x', 'is not a readable JSON file'],
  ['an unknown field', { smtp: { ...smtp, hots: 'x' } }, 'smtp is wrong'],
  ['no sender', { smtp: { ...smtp, from: undefined } }, 'smtp.from is wrong'],
  ['a sender with another header', { smtp: { ...smtp, from: 'Quayside\r\nBcc: e@e.example <q@example.com>' } }, 'smtp.from is wrong'],
  ['two senders', { smtp: { ...smtp, from: 'a@example.com, b@example.com' } }, 'smtp.from is wrong'],
  ['a sender without an address', { smtp: { ...smtp, from: 'Quayside' } }, 'smtp.from is wrong'],
  ['a port that is none', { smtp: { ...smtp, port: 0 } }, 'smtp.port is wrong'],
  ['a URL for a host', { smtp: { ...smtp, host: 'smtp://example.com' } }, 'smtp.host is wrong'],
  ['a user without a password', { smtp: { ...smtp, password: undefined } }, 'user and password go together'],
  [
    'a recipient by e-mail and no mail server',
    { recipients: [{ kind: 'email', address: 'a@example.com' }] },
    'e-mail recipients need "smtp"'
  ],
  [
    'a recipient that is no address',
    { smtp, recipients: [{ kind: 'email', address: 'a@example.com, b@example.com' }] },
    'recipients.0.address'
  ],
  ['a kind that has no secret', { recipients: [{ kind: 'webhook', address: slack }] }, 'recipients.0.kind is wrong'],
  [
    'a URL with a password',
    { recipients: [{ kind: 'slack', address: 'https://a:hook-path-secret@example.com/' }] },
    'must not carry a user'
  ],
  ['a URL without a scheme', { recipients: [{ kind: 'slack', address: 'example.com/hook-path-secret' }] }, 'recipients.0.address is wrong'],
  ['plain http', { recipients: [{ kind: 'slack', address: 'http://example.com/hook-path-secret' }] }, 'must begin with https://'],
  ['21 recipients', { recipients: Array.from({ length: 21 }, () => ({ kind: 'slack', address: slack })) }, 'recipients is wrong']
])('refuses %s, and repeats no secret', async (_case, content, words) => {
  const path = await write('alerts.json', content)
  let refusal: unknown
  try {
    load(path)
  } catch (error) {
    refusal = error
  }
  if (!isAppError(refusal, 'invalid')) throw refusal ?? new Error('it was taken')
  expect(refusal.message).toContain('QUAYSIDE_ALERTS_FILE')
  expect(refusal.message).toContain(words)
  expect(`${refusal.stack} ${refusal.remedy}`).not.toMatch(/hook-path-secret|mail-password/)
})

it('may not be read by others in production, and takes plain http in development alone', async () => {
  const path = await write('alerts.json', { recipients: [{ kind: 'slack', address: 'http://127.0.0.1:9/hook' }] }, 0o644)
  expect(() => load(path)).toThrow(`QUAYSIDE_ALERTS_FILE points to ${path}, which others can read; run chmod 600`)
  expect(load(path, 'development')?.recipients).toHaveLength(1)
})

it('must be there when it is named', () => {
  expect(() => load(join(folder, 'nowhere.json'))).toThrow('nowhere.json, which cannot be read.')
})
