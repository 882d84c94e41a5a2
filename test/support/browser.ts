// One way to a real Chromium for every test that looks at a page: CHROMIUM_PATH, an installed Chrome or Chromium, else the
// binary inside the npm package @sparticuz/chromium (Linux x64). Where there is none it says which tests are skipped and why;
// it never downloads anything and never asks a system package manager.
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'
import { whileHolding } from './lock.ts'

const installedNames = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome']
const macApplications = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium'
]

/** How Chromium starts everywhere: quiet, offline of its own services, headless. As root it needs --no-sandbox. */
export const launchFlags = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage'
]

/**
 * A running headless Chromium, or null (and one printed line naming the remedy) where no binary can be had. The caller closes it.
 * With CI=true it throws instead: there a skip would pass for a success.
 */
export async function launchBrowser(): Promise<Browser | null> {
  const executablePath = await findChromium()
  if (executablePath === null) {
    if (process.env['CI'] === 'true') throw new Error(`The browser tests cannot run: ${skipReason}`)
    console.log(`SKIPPED browser tests: ${skipReason}`)
    return null
  }
  const root = process.getuid?.() === 0
  return await chromium.launch({ executablePath, headless: true, args: root ? [...launchFlags, '--no-sandbox'] : launchFlags })
}

export const skipReason =
  'no Chromium found. Set CHROMIUM_PATH to a Chrome or Chromium binary, or install one; on Linux x64 `npm ci` brings @sparticuz/chromium.'

/** The path of a Chromium binary, or null. Throws when CHROMIUM_PATH names a file that is not there: a wish is not a fallback. */
export async function findChromium(environment: NodeJS.ProcessEnv = process.env): Promise<string | null> {
  const wished = environment['CHROMIUM_PATH']
  if (wished) {
    if (!existsSync(wished)) throw new Error(`CHROMIUM_PATH is "${wished}", but there is no such file`)
    return wished
  }
  const folders = (environment['PATH'] ?? '').split(delimiter).filter(Boolean)
  const installed = [...folders.flatMap(folder => installedNames.map(name => join(folder, name))), ...macApplications].find(existsSync)
  if (installed) return installed
  if (process.platform !== 'linux' || process.arch !== 'x64') return null
  try {
    const { default: packaged } = await import('@sparticuz/chromium')
    // It unpacks into the temporary directory at first use; a second process would start a half-written binary.
    return await whileHolding(join(tmpdir(), 'quayside-chromium.lock'), () => packaged.executablePath())
  } catch {
    return null
  }
}
