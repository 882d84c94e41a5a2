// The CMS page in a browser, as tests walk through it: a sandbox, the built page, a probe app installed in the blog.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, BrowserContext, Frame, Page } from 'playwright-core'
import { createSandbox, type Sandbox } from '../../sandbox/sandbox.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { type ProbeApp, serveProbeApp } from './probe-app.ts'

const project = join(import.meta.dirname, '../..')

export interface Stage {
  sandbox: Sandbox
  probe: ProbeApp
  app: { appUid: string; clientId: string; clientSecret: string }
  apiKey: string
  close(): Promise<void>
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

export async function openStage(): Promise<Stage> {
  // The page is built anew, so that the test looks at the source as it stands.
  if (!existsSync(join(project, 'dist/cms/index.html')) || process.env['CMS_BUILT'] !== '1') buildCms()
  const probe = await serveProbeApp()
  const sandbox = await createSandbox({
    ports: { application: 0, contentManagement: 0, developerHub: 0, identity: 0, control: 0 },
    limits: 'off',
    quiet: true
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
  return {
    sandbox,
    probe,
    app: (await created.json()) as Stage['app'],
    apiKey: blogApiKey,
    close: async () => {
      await sandbox.close()
      await probe.close()
    }
  }
}

function buildCms(): void {
  const vite = join(project, 'node_modules/vite/bin/vite.js')
  execFileSync(process.execPath, [vite, 'build', '--config', join(project, 'sandbox/cms/vite.config.ts'), '--logLevel', 'error'], {
    cwd: project
  })
}

/** A page of its own, with its own storage, logged in as that person by choosing them. */
export async function enter(browser: Browser, stage: Stage, person: string, path = '/'): Promise<Page> {
  const context: BrowserContext = await browser.newContext({ viewport: { width: 1360, height: 860 } })
  const page = await context.newPage()
  await page.goto(`${stage.sandbox.urls.application}${path}`)
  await page.click(`[data-person="${person}"]`)
  return page
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
