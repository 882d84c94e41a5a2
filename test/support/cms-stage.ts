// The CMS page in a browser, as tests walk through it: a sandbox, the built page, a probe app installed in the blog.
import { execFile } from 'node:child_process'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type ContentstackAppSDK from '@contentstack/app-sdk'
import type { Browser, Frame, Page } from 'playwright-core'
import { createSandbox, type Sandbox } from '../../sandbox/sandbox.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import type { Stack } from '../../sandbox/world/model.ts'
import { ada } from '../../sandbox/world/people.ts'
import { whileHolding } from './lock.ts'
import { type ProbeApp, serveProbeApp } from './probe-app.ts'

const project = join(import.meta.dirname, '../..')

export interface Stage {
  sandbox: Sandbox
  probe: ProbeApp
  app: { appUid: string; clientId: string; clientSecret: string }
  apiKey: string
  /** The stack behind the wire. */
  stack: Stack
  /** Logs that person in by choosing them, on a page and with storage of its own, and goes to `path`. */
  as(person: string, path?: string): Promise<Page>
  /** The CMA as Ada. */
  cma<T = Record<string, never>>(path: string, init?: { method: string; body: unknown }): Promise<T>
  /** Ada installs the probe through the install page; binds the article's custom field to it. */
  install(): Promise<{ installationUid: string; extensionUid: (location: string) => string }>
  closePages(): Promise<void>
  close(): Promise<void>
}

/** What is left in the frame by probe.ts. */
export interface InFrame {
  sdk: Awaited<ReturnType<typeof ContentstackAppSDK.default.init>>
  heard: { event: string; data: Record<string, unknown>; resolved?: unknown }[]
}

const locations = [
  { type: 'cs.cm.stack.config', meta: [{ path: '/config', signed: true, enabled: true }] },
  { type: 'cs.cm.stack.sidebar', meta: [{ name: 'Probe sidebar', path: '/sidebar', signed: true, enabled: true }] },
  { type: 'cs.cm.stack.custom_field', meta: [{ name: 'Probe field', path: '/field', signed: true, enabled: true, data_type: 'json' }] },
  {
    type: 'cs.cm.stack.dashboard',
    meta: [{ name: 'Probe widget', path: '/dashboard', signed: true, enabled: true, default_width: 'full' }]
  },
  { type: 'cs.cm.stack.asset_sidebar', meta: [{ name: 'Probe asset', path: '/asset', signed: true, enabled: true }] },
  { type: 'cs.cm.stack.full_page', meta: [{ name: 'Probe page', path: '/page', signed: true, enabled: true }] }
]

export async function openStage(browser: Browser): Promise<Stage> {
  await ensureBuilt()
  const probe = await serveProbeApp()
  const sandbox = await createSandbox({
    ports: { application: 0, contentManagement: 0, developerHub: 0, identity: 0, control: 0 },
    limits: 'off'
  })
  const created = await fetch(`${sandbox.urls.control}/apps`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      manifest: { name: 'Probe', target_type: 'stack', ui_location: { signed: true, base_url: probe.url, locations } },
      oauth: {
        redirect_uri: `${probe.url}/callback`,
        user_token_config: { enabled: true, scopes: ['user:read', 'cm.stack.management-tokens:write'], allow_pkce: true },
        app_token_config: { enabled: true, scopes: ['cm.entries.management:read'] }
      }
    })
  })
  if (!created.ok) throw new Error(`the app could not be registered: ${created.status} ${await created.text()}`)
  const { urls, world } = sandbox
  const apiKey = blogApiKey
  const stack = world.stacks[apiKey]!
  const app = (await created.json()) as Stage['app']
  const pages: Page[] = []
  let authtoken: string | undefined

  async function as(person: string, path = '/'): Promise<Page> {
    const context = await browser.newContext({ viewport: { width: 1360, height: 860 } })
    const page = await context.newPage()
    pages.push(page)
    await page.goto(`${urls.application}${path}`)
    await page.click(`[data-person="${person}"]`)
    return page
  }

  async function cma<T>(path: string, init?: { method: string; body: unknown }): Promise<T> {
    const call = async (to: string, method: string, body: unknown, headers: Record<string, string>) => {
      const sent = {
        method,
        headers: { 'content-type': 'application/json', ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) })
      }
      return (await fetch(`${urls.contentManagement}/v3${to}`, sent)).json()
    }
    const { email, password } = ada
    authtoken ??= ((await call('/user-session', 'POST', { user: { email, password } }, {})) as { user: { authtoken: string } }).user
      .authtoken
    return (await call(path, init?.method ?? 'GET', init?.body, { authtoken, api_key: apiKey })) as T
  }

  async function install(): ReturnType<Stage['install']> {
    const page = await as('Ada', `/apps/${app.appUid}/install`)
    await page.click(`text=${stack.name}`)
    await page.click('button.primary')
    await page.waitForURL(`${probe.url}/callback*`)
    await page.context().close()
    const installation = Object.values(world.installations)[0]!
    const placed = installation.uiLocation as { locations: { type: string; meta: { extension_uid: string }[] }[] }
    const extensionUid = (location: string) => placed.locations.find(({ type }) => type === location)!.meta[0]!.extension_uid
    const accent = stack.contentTypes['main']!['article']!.schema.find(({ uid }) => uid === 'accent')!
    accent['extension_uid'] = extensionUid('cs.cm.stack.custom_field')
    return { installationUid: installation.uid, extensionUid }
  }

  return {
    sandbox,
    probe,
    app,
    apiKey,
    stack,
    as,
    cma,
    install,
    closePages: async () => {
      for (const page of pages.splice(0)) await page.context().close()
    },
    close: async () => {
      await sandbox.close()
      await probe.close()
    }
  }
}

/**
 * Builds the page when its sources are newer than what stands in dist/cms. One process at a time: another test file may be
 * serving the files that a build would empty.
 */
function ensureBuilt(): Promise<void> {
  return whileHolding(join(project, 'node_modules/.cms-build.lock'), async () => {
    const built = await stat(join(project, 'dist/cms/index.html')).catch(() => null)
    if (built !== null && built.mtimeMs > (await newest(join(project, 'sandbox/cms')))) return
    const vite = join(project, 'node_modules/vite/bin/vite.js')
    const config = join(project, 'sandbox/cms/vite.config.ts')
    await promisify(execFile)(process.execPath, [vite, 'build', '--config', config, '--logLevel', 'error'], { cwd: project })
  })
}

async function newest(directory: string): Promise<number> {
  const files = await readdir(directory, { recursive: true })
  const stats = await Promise.all(files.map(file => stat(join(directory, file))))
  return Math.max(...stats.map(({ mtimeMs }) => mtimeMs))
}

/** The frame of a UI location, once the SDK inside it is initialised; its `sdk` and `heard` are globals there. */
export async function probeFrame(page: Page, location: string): Promise<Frame> {
  const element = await page.waitForSelector(`iframe[data-location="${location}"]`)
  await page.waitForFunction(found => (found as HTMLIFrameElement).src.startsWith('http'), element)
  const frame = await element.contentFrame()
  if (!frame) throw new Error(`${location} has no frame`)
  await frame.waitForFunction(() => !['waiting', undefined].includes(document.querySelector('#place')?.textContent ?? undefined))
  return frame
}
