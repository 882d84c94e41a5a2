// The ground of every test that looks at a page: the pages built as they are shipped, one Chromium, and the stage's door swept clean
// before each test. A page that throws or breaks its own policy fails its test, whatever it shows.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, BrowserContextOptions, Frame, Page } from 'playwright-core'
import { build } from 'vite'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished } from 'vitest'
import { findChromium, launchBrowser, skipReason } from '../support/browser.ts'
import { type Asked, type Door, inSync, installation, openStage, session, type Stage } from './stage.ts'

export interface Pages {
  /** Addresses, and the door whose answers a test sets. */
  stage: Pick<Stage, 'app' | 'cms' | 'door' | 'asked'>
  open(url: string, options?: BrowserContextOptions): Promise<Page>
  inFrame(path: string, options?: { width?: number; query?: string }): Promise<{ page: Page; app: Frame }>
  asked(method: string, path: string): Asked[]
}

const chromium = await findChromium()
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

export function onStage(title: string, define: (pages: Pages) => void): void {
  describe.skipIf(chromium === null)(chromium === null ? `${title} (${skipReason})` : title, () => {
    let browser: Browser
    let stage: Stage
    let folder: string
    const complaints: string[] = []

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'quayside-ui-'))
      const root = fileURLToPath(new URL('../../', import.meta.url))
      await build({
        configFile: join(root, 'vite.config.ts'),
        root: join(root, 'ui'),
        logLevel: 'silent',
        build: { outDir: folder, emptyOutDir: true, sourcemap: false }
      })
      browser = (await launchBrowser()) as Browser
      stage = await openStage(folder)
    })

    afterAll(async () => {
      await browser?.close()
      await stage?.close()
      await rm(folder, { recursive: true, force: true })
    })

    beforeEach(() => {
      for (const key of Object.keys(stage.door)) delete stage.door[key]
      stage.asked.length = 0
      complaints.length = 0
      Object.assign(stage.door, usualDoor)
    })

    afterEach(() => {
      if (complaints.length > 0) throw new Error(complaints.join('\n'))
    })

    async function open(url: string, options: BrowserContextOptions = {}): Promise<Page> {
      const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options })
      onTestFinished(() => context.close())
      context.setDefaultTimeout(10_000)
      const page = await context.newPage()
      page.on('pageerror', error => complaints.push(error.message))
      page.on('console', message => {
        if (message.type() === 'error' && !/the server responded with a status of/.test(message.text())) complaints.push(message.text())
      })
      await page.goto(url)
      return page
    }

    define({
      // Opened before the first test and not before: a test reads it when it runs.
      get stage() {
        return stage
      },
      open,
      async inFrame(path, { width = 360, query = '' } = {}) {
        const page = await open(`${stage.cms}/?path=${path}${query}`, { viewport: { width, height: 800 } })
        await expect.poll(() => page.frames().length, patience).toBe(2)
        return { page, app: page.frames()[1] as Frame }
      },
      asked: (method, path) => stage.asked.filter(call => call.method === method && call.path === path)
    })
  })
}

/** For what is asked again until it holds: a busy machine may take its time. */
export const patience = { timeout: 10_000 }

export async function seriousFindings(where: Frame): Promise<string[]> {
  await where.evaluate(axe)
  return await where.evaluate(async () => {
    const { axe } = globalThis as unknown as {
      axe: { run(): Promise<{ violations: { id: string; impact: string; nodes: { html: string }[] }[] }> }
    }
    const { violations } = await axe.run()
    return violations
      .filter(each => each.impact === 'serious' || each.impact === 'critical')
      .map(each => `${each.id}: ${each.nodes[0]?.html}`)
  })
}

export const status = 'GET /api/extension/entries/article/blt5/status'

const usualDoor: Door = {
  'POST /api/extension/session': session(),
  'POST /api/extension/session/renew': session(),
  'GET /api/extension/stack': installation,
  [status]: { entryUid: 'blt5', locale: 'en-us', banner: null, uncovered: null, syncs: [inSync] },
  'GET /api/console/me': { name: 'Otto', email: 'o@x', organizations: [{ id: 'org_1', name: 'Harbour Publishing', role: 'admin' }] },
  'GET /api/console/installations': { items: [installation], next: null }
}
