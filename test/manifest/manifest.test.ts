import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { clickPath } from '../../manifest/clickpath.ts'
import { renderManifest, uiLocations } from '../../manifest/manifest.ts'
import { locationPaths } from '../../ui/locations/paths.ts'

const secret = 'a-secret-of-sufficient-length'
const input = { publicUrl: 'https://quayside.example.com', region: 'eu', webhookSecret: secret }
const main = fileURLToPath(new URL('../../manifest/main.ts', import.meta.url))
const run = promisify(execFile)

describe('the manifest', () => {
  it('names every page of ours under one signed origin', () => {
    const { ui_location } = renderManifest(input)
    expect(ui_location.base_url).toBe('https://quayside.example.com')
    expect(ui_location.signed).toBe(true)
    expect(ui_location.locations.map(({ type, meta }) => [type, meta[0]?.path, meta[0]?.signed])).toEqual([
      ['cs.cm.stack.config', '/app-configuration', true],
      ['cs.cm.stack.sidebar', '/entry-sidebar', true],
      ['cs.cm.stack.dashboard', '/stack-dashboard', true],
      ['cs.cm.stack.full_page', '/full-page', true]
    ])
  })

  it('has a page for each location it names, and no page that it does not name', () => {
    expect(Object.fromEntries(uiLocations.map(({ type, path }) => [type, path]))).toEqual(locationPaths)
  })

  it('asks a person for the management-token scopes only', () => {
    expect(renderManifest(input).oauth.user_token_config).toEqual({
      enabled: true,
      scopes: ['cm.stack.management-tokens:read', 'cm.stack.management-tokens:write'],
      allow_pkce: true
    })
  })

  it('returns installs to the first redirect address and grants to one of their own', () => {
    expect(renderManifest(input).oauth.redirect_uris).toEqual([
      'https://quayside.example.com/oauth/install/callback',
      'https://quayside.example.com/oauth/grant/callback'
    ])
  })

  it('sends lifecycle events of its region to its own address with our header', () => {
    const { webhook } = renderManifest(input)
    expect(webhook.target_url).toBe('https://quayside.example.com/webhooks/lifecycle/eu')
    expect(webhook.custom_headers).toEqual([{ header_name: 'x-quayside-secret', value: secret }])
    expect(webhook.channels).toHaveLength(4)
  })

  it('takes a loopback address for the sandbox', () => {
    expect(renderManifest({ ...input, publicUrl: 'http://127.0.0.1:4000/' }).ui_location.base_url).toBe('http://127.0.0.1:4000')
  })

  it.each([
    ['no address at all', { publicUrl: 'quayside' }, /not an address/],
    ['plain http on a public host', { publicUrl: 'http://quayside.example.com' }, /not https/],
    ['a script address', { publicUrl: 'javascript:alert(1)' }, /not https/],
    ['a path', { publicUrl: 'https://example.com/quayside' }, /more than an origin/],
    ['a query', { publicUrl: 'https://example.com/?a=1' }, /more than an origin/],
    ['credentials', { publicUrl: 'https://ada:word@example.com' }, /user name or password/],
    ['a region with a slash', { region: '../eu' }, /The region is/],
    ['a short webhook secret', { webhookSecret: 'short' }, /shorter than 16/]
  ])('refuses %s by name', (_title, change, message) => {
    expect(() => renderManifest({ ...input, ...change })).toThrow(message)
  })
})

describe('the click path', () => {
  const text = clickPath(renderManifest(input), 'https://eu-app.contentstack.com').join('\n')

  it('warns that iframe addresses freeze at install', () => {
    expect(text).toMatch(/freeze at install/)
  })

  it('asks for no authtoken and does not print the webhook secret', () => {
    expect(text).not.toMatch(/authtoken/i)
    expect(text).not.toContain(secret)
  })
})

describe('npm run manifest', () => {
  it('prints nothing but JSON to stdout and the click path to stderr', async () => {
    const { stdout, stderr } = await run(process.execPath, [main, '--url', input.publicUrl, '--region', 'eu', '--webhook-secret', secret])
    expect(JSON.parse(stdout)).toEqual(renderManifest(input))
    expect(stderr).toContain('Developer Hub')
  })

  it.each([
    ['without an address', [], /Say where the server will stand/],
    ['for an unknown region', ['--url', input.publicUrl, '--region', 'mars'], /"mars" is not a region/],
    ['with an unknown flag', ['--authtoken', 'x'], /Unknown option/]
  ])('ends with status 1 and the reason %s', async (_title, args, message) => {
    const failure = await run(process.execPath, [main, ...args]).then(
      () => null,
      (error: { code: number; stderr: string }) => error
    )
    expect(failure?.code).toBe(1)
    expect(failure?.stderr).toMatch(message)
  })
})
