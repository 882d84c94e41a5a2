// The ground of every flow: the demo's own stage (sandbox, app in Developer Hub, a real server process) on a database of its
// own, with a second eye on that database, and the admin's first steps taken over HTTP. Runs once per kind of database, both
// at the same time, because most of a flow is waiting for another process.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, describe } from 'vitest'
import { type CmsLogin, giveGrant, install, logIn, openApp, type StackPages } from '../../sandbox/demo/admin.ts'
import { anyPorts } from '../../sandbox/demo/options.ts'
import { createPerson } from '../../sandbox/demo/person.ts'
import { setStage, type Stage, type StageOptions } from '../../sandbox/demo/stage.ts'
import type { Stack, User } from '../../sandbox/world/model.ts'
import { ada } from '../../sandbox/world/people.ts'
import { type Database, type DialectName, openDatabase } from '../../server/database/database.ts'
import { skipReason } from './browser.ts'
import { freshPostgres, freshSqlite } from './databases.ts'

export interface Flow extends Stage {
  dialect: DialectName
  /** The server's own database, read beside it. */
  database: Database
  directory: string
  /** What the server has written down so far. */
  log(): Promise<string>
  as(user: User): Promise<CmsLogin>
}

export type OpenFlow = (sandbox?: StageOptions['sandbox']) => Promise<Flow>

/** `define` runs once per kind of database; what `open` gave is gone when its tests are done. */
export function onBothDatabases(title: string, define: (open: OpenFlow, dialect: DialectName) => void, skipped = false): void {
  describe.concurrent.each(['sqlite', 'postgres'] as const)('on %s', dialect => {
    describe.skipIf(skipped)(title, { concurrent: false }, () => {
      const cleanups: (() => Promise<void>)[] = []
      afterAll(async () => {
        for (const cleanup of cleanups.toReversed()) await cleanup()
      })
      define(sandbox => openFlow(dialect, cleanups, sandbox), dialect)
    })
  })
}

/** The same in a browser: without one, each test is reported as skipped under a name that says what to do. */
export function onBothDatabasesIn(browser: Browser | null, title: string, define: (open: OpenFlow, dialect: DialectName) => void): void {
  onBothDatabases(browser ? title : `${title} (${skipReason})`, define, browser === null)
}

/** On one database; what `cleanups` then hold is for the caller to run, last first. */
export async function openFlow(dialect: DialectName, cleanups: (() => Promise<void>)[], sandbox?: StageOptions['sandbox']): Promise<Flow> {
  const { url, cleanup } = dialect === 'sqlite' ? await freshSqlite() : await freshPostgres('template0')
  cleanups.push(cleanup)
  const directory = await mkdtemp(join(tmpdir(), 'quayside-flow-'))
  cleanups.push(() => rm(directory, { recursive: true, force: true }))
  const stage = await setStage({
    directory,
    ports: await anyPorts(),
    databaseUrl: url,
    logLevel: 'debug',
    nodeArguments: ['--import', join(import.meta.dirname, 'answers.process.ts')],
    sandbox: { limits: 'off', ...sandbox }
  })
  cleanups.push(() => stage.close())
  const database = await openDatabase(url)
  cleanups.push(() => database.close())
  return {
    ...stage,
    dialect,
    database,
    directory,
    log: () => readFile(stage.server.logFile, 'utf8'),
    as: user => logIn(createPerson(), stage.urls, user)
  }
}

export interface Connected {
  installationUid: string
  /** Ours. */
  installationId: string
  admin: CmsLogin
  /** The app's pages, open for the admin. */
  pages: StackPages
}

/** Installed by an admin of the stack, Ada unless another is named; no token yet. */
export async function installApp(flow: Flow, user: User = ada, stack: Stack = flow.stack): Promise<Connected> {
  const { urls, app } = flow
  const admin = await flow.as(user)
  const installationUid = await install(createPerson(), urls, admin, app.appUid, stack.organizationUid, stack.apiKey)
  const pages = await reopen(flow, admin, installationUid)
  return { installationUid, installationId: pages.session.installation.id, admin, pages }
}

/** Installed and granted: the token stands in custody. */
export async function connect(flow: Flow, user: User = ada, stack: Stack = flow.stack): Promise<Connected> {
  const installed = await installApp(flow, user, stack)
  await giveGrant(createPerson(), flow.urls, installed.admin, flow.app.appUid, stack.organizationUid, installed.pages)
  return { ...installed, pages: await reopen(flow, installed.admin, installed.installationUid) }
}

/** The app's pages for anybody of the stack, with a new session. */
export function reopen(flow: Flow, login: CmsLogin, installationUid: string): Promise<StackPages> {
  return openApp(createPerson(), flow.urls, flow.server.url, login, installationUid)
}

/** A route of the app's own pages that the demo's admin has no use for. Throws on a refusal. */
export async function askStack<T>(
  flow: Flow,
  { headers }: StackPages,
  path: string,
  { method = 'GET', json }: { method?: string; json?: unknown } = {}
): Promise<T> {
  const url = `${flow.server.url}/api/extension/stack${path}`
  return (await flow.person.ask<T>(url, { method, headers, ...(json === undefined ? {} : { json }) })).body
}

/** The CMA as that person, through the front door. Throws on a refusal. */
export async function cma<T = unknown>(
  flow: Pick<Flow, 'urls' | 'stack' | 'person'>,
  login: CmsLogin,
  path: string,
  { method = 'GET', json, apiKey = flow.stack.apiKey }: { method?: string; json?: unknown; apiKey?: string } = {}
): Promise<T> {
  const headers = { authtoken: login.authtoken, api_key: apiKey }
  return (
    await flow.person.ask<T>(`${flow.urls.contentManagement}/v3${path}`, { method, headers, ...(json === undefined ? {} : { json }) })
  ).body
}

/** Chooses a person at the CMS page's login, in a browser profile of their own. */
export async function enterCms(
  browser: Browser,
  flow: Flow,
  firstName: string,
  path: string
): Promise<{ context: BrowserContext; page: Page }> {
  const context = await browser.newContext({ viewport: { width: 1360, height: 900 } })
  context.setDefaultTimeout(15_000)
  const page = await context.newPage()
  await page.goto(`${flow.urls.application}${path}`)
  await page.getByRole('button', { name: new RegExp(`^${firstName} `) }).click()
  return { context, page }
}

const shots = join(import.meta.dirname, '../../.quayside/shots')

/** For people to look at; under .quayside, which git ignores. */
export async function shoot(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true })
}
