// Our app installed in the sandbox's blog, on one database: what stands before a token is in custody. Ends of the travel that belong to
// other rooms (the doors' redirects, the consent page) are gone by hand here.
import type { Sandbox, SandboxOptions } from '../../sandbox/sandbox.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import type { User } from '../../sandbox/world/model.ts'
import { ada, harbourPublishing } from '../../sandbox/world/people.ts'
import type { Actor } from '../../server/audit/audit.ts'
import type { AppCredentials } from '../../server/contentstack/oauth.ts'
import type { Database, Db } from '../../server/database/database.ts'
import { createBudget } from '../../server/installations/budget.ts'
import { type CustodyDeps, installationJobs } from '../../server/installations/custody.ts'
import { finishGrant, type GrantDeps, type GrantStart, openGrant, startGrant } from '../../server/installations/grant.ts'
import { activateInstallation, claimOrganizations, type Installation } from '../../server/installations/installation.ts'
import { createWorker } from '../../server/jobs/worker.ts'
import { silentLog } from '../../server/log.ts'
import { credentialsOf } from './contentstack.ts'
import { ask, installApp, logIn, registerApp, startSandbox } from './sandbox.ts'
import { testVault } from './vault.ts'

export const publicUrl = 'http://127.0.0.1:9'
export const adaAsActor: Actor = { kind: 'extension', id: ada.uid, name: 'Ada Admin' }

export interface Installed {
  sandbox: Sandbox
  database: Database
  db: Db
  app: AppCredentials
  deps: CustodyDeps & GrantDeps
  installation: Installation
  /** Runs the jobs of installations/ until nothing is left to do; what waits for later is taken as due. */
  drain(options?: { onlyDue: boolean }): Promise<void>
  /** From the button to the callback, as that person consents. Returns what the callback's request carries. */
  authorise(
    person?: User,
    start?: Partial<GrantStart>
  ): Promise<{ grantId: string; code: string; state: string; location: string; cookie: string }>
  /** authorise, the callback, and the jobs after it. */
  grant(person?: User, start?: Partial<GrantStart>): Promise<string>
}

/** A sandbox whose limits do not slow the tests down, and say so in their headers. */
export const quickSandbox = (options: SandboxOptions = {}): Promise<Sandbox> =>
  startSandbox({ limits: { read: 100_000, write: 100_000, bulk: 100_000 }, ...options })

export async function installedOn(database: Database, sandbox: Sandbox, overrides: Partial<CustodyDeps> = {}): Promise<Installed> {
  const { db } = database
  const redirects = [`${publicUrl}/oauth/install/callback`, `${publicUrl}/oauth/grant/callback`]
  const app = credentialsOf(sandbox, await registerApp(sandbox, { oauth: { redirect_uris: redirects } }))
  const installationUid = await installApp(sandbox, await logIn(sandbox, ada), app.appUid, blogApiKey)
  const deps = {
    vault: overrides.vault ?? (await testVault(db)),
    apps: [app],
    publicUrl,
    budget: createBudget(database),
    log: silentLog,
    drainSeconds: 0,
    ...overrides
  }
  await claimOrganizations(db, [{ region: 'sandbox', organizationUid: harbourPublishing, name: 'Harbour Publishing' }])
  const installation = await activateInstallation(db, deps, {
    region: 'sandbox',
    appUid: app.appUid,
    installationUid,
    organizationUid: harbourPublishing,
    stackApiKey: blogApiKey,
    via: 'lifecycle'
  })

  const authorise: Installed['authorise'] = async (person = ada, start = {}) => {
    const { grantId, ticket } = await startGrant(db, deps, {
      installation,
      initiator: adaAsActor,
      purpose: 'mint',
      expiresInDays: null,
      branches: ['main'],
      ...start
    })
    const { url, cookie } = await openGrant(db, deps, { grantId, ticket })
    const back = await consentTo(sandbox, app, person, url)
    return { grantId, cookie, code: back.get('code') ?? '', state: back.get('state') ?? '', location: back.get('location') ?? '' }
  }
  const drain: Installed['drain'] = async ({ onlyDue } = { onlyDue: false }) => {
    const worker = createWorker({ database, kinds: installationJobs(db, deps), concurrency: 1, log: silentLog })
    await worker.drain(onlyDue ? {} : { until: Date.now() + 3_600_000 })
  }
  return {
    sandbox,
    database,
    db,
    app,
    deps,
    installation,
    drain,
    authorise,
    async grant(person, start) {
      const { grantId, ...callback } = await authorise(person, start)
      await finishGrant(db, deps, callback)
      await drain()
      return grantId
    }
  }
}

/** What the consent page does when the person clicks Authorize; returns the callback's parameters. */
export async function consentTo(sandbox: Sandbox, app: AppCredentials, person: User, url: string): Promise<URLSearchParams> {
  const { status, body } = await ask<{ data: { redirect_url: string } }>(`${sandbox.urls.developerHub}/manifests/${app.appUid}/authorize`, {
    method: 'POST',
    headers: await logIn(sandbox, person),
    body: Object.fromEntries(new URL(url).searchParams)
  })
  if (status !== 200) throw new Error(`consent was refused: ${JSON.stringify(body)}`)
  return new URL(body.data.redirect_url).searchParams
}

/** The stack's tokens as Contentstack has them now. */
export const tokensAt = (sandbox: Sandbox, apiKey = blogApiKey) => Object.values(sandbox.world.stacks[apiKey]!.managementTokens)
