// The fault table of custody: what a travel asks of Contentstack is recorded once, each of those requests is then hit by each kind of
// trouble, and what must stand on both sides afterwards is looked up here. Jobs of custody run in this process, or in one to be killed.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, vi } from 'vitest'
import type { Fault, HttpFaultKind, SandboxHost } from '../../sandbox/faults.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { ada, harbourPublishing } from '../../sandbox/world/people.ts'
import { verifyAudit } from '../../server/audit/audit.ts'
import { isAppError } from '../../server/errors.ts'
import { installationJobs } from '../../server/installations/custody.ts'
import { endStaleGrants, finishGrant, grantById, type GrantRow } from '../../server/installations/grant.ts'
import { activateInstallation, installationById } from '../../server/installations/installation.ts'
import type { JobKind } from '../../server/jobs/job.ts'
import { createWorker } from '../../server/jobs/worker.ts'
import { silentLog } from '../../server/log.ts'
import { generateKeyRing, parseKeyRing } from '../../server/vault/cipher.ts'
import { openVault } from '../../server/vault/vault.ts'
import { registerJob } from '../../server/webhooks/register.ts'
import type { CustodyTask } from './custody.process.ts'
import type { TestDatabase } from './databases.ts'
import { type Installed, installedOn, publicUrl, quickSandbox, tokensAt } from './installed.ts'
import { ask, installApp, logIn } from './sandbox.ts'

type Purpose = GrantRow['purpose']

/** `before`, `after`: how many tokens of ours stand at its beginning and at its end. */
export interface Travel {
  name: string
  purpose: Purpose
  before: 0 | 1
  after: 0 | 1
}

export const travels: readonly Travel[] = [
  { name: 'mint', purpose: 'mint', before: 0, after: 1 },
  { name: 'rotate', purpose: 'rotate', before: 1, after: 1 },
  { name: 'give up', purpose: 'delete', before: 1, after: 0 },
  { name: 'uninstall', purpose: 'uninstall', before: 1, after: 0 }
]

/** One request of a travel. `nth`: how many like it came before. */
export interface Call {
  host: SandboxHost
  method: string
  /** Uids as {uid}, without query. */
  path: string
  nth: number
}

const kinds = {
  'reset before': 'reset-before',
  'reset after': 'reset-after',
  '429': '429',
  '500': '500',
  '401': '401',
  'too slow and done in the middle of the next try': 'stall',
  'too slow and done when all is over': 'stall',
  'answered too slowly': 'slow-answer',
  'kill before': 'hold',
  'kill after': 'hold-answer'
} as const satisfies Record<string, HttpFaultKind>

export type Trouble = keyof typeof kinds
export const kills = ['kill before', 'kill after'] as const satisfies Trouble[]
export const troubles = (Object.keys(kinds) as Trouble[]).filter(trouble => !(kills as Trouble[]).includes(trouble))

/** Events for other rooms, which hear of them in their own tests. */
const foreign = ['installation.active', 'installation.token', 'installation.uninstalled', 'alerts.send']

export interface Stage extends Omit<Installed, 'grant'> {
  databaseUrl: string
  keyRing: string
}

export async function openStage(database: TestDatabase, databaseUrl: string): Promise<Stage> {
  const keyRing = generateKeyRing()
  const sandbox = await quickSandbox()
  const here = await installedOn(database, sandbox, { vault: await openVault(database.db, { ring: parseKeyRing(keyRing) }) })
  const { db, deps } = here
  const deaf = foreign.map((kind): JobKind => ({ kind, lane: 'live', maxAttempts: 5, timeoutSeconds: 1, run: () => Promise.resolve() }))
  return {
    ...here,
    databaseUrl,
    keyRing,
    async drain() {
      const worker = createWorker({ database, kinds: [...installationJobs(db, deps), ...deaf], concurrency: 1, log: silentLog })
      await worker.drain({ until: Date.now() + 3_600_000 })
    }
  }
}

/** Brings the stage to where the travel begins. */
export async function begin(stage: Stage, { purpose, before }: Travel): Promise<void> {
  if ((await installationById(stage.db, stage.installation.id)).status !== 'active') await installAgain(stage)
  if (tokensAt(stage.sandbox).length !== before) await give(stage, before === 0 ? 'delete' : 'mint')
  expect(tokensAt(stage.sandbox)).toHaveLength(before)
  if (purpose !== 'uninstall') return
  // There is a webhook to be removed then.
  const { run } = registerJob({ ...stage.deps, database: stage.database })
  await run(
    { installationId: stage.installation.id },
    { jobId: 0, attempt: 1, fence: 1, signal: new AbortController().signal, log: silentLog }
  )
}

async function installAgain(stage: Stage): Promise<void> {
  const { sandbox, db, deps, app } = stage
  const headers = await logIn(sandbox, ada)
  const { installation_uid: uid } = await installationById(db, stage.installation.id)
  await ask(`${sandbox.urls.developerHub}/installations/${uid}`, { method: 'DELETE', headers })
  stage.installation = await activateInstallation(db, deps, {
    region: 'sandbox',
    appUid: app.appUid,
    installationUid: await installApp(sandbox, headers, app.appUid, blogApiKey),
    organizationUid: harbourPublishing,
    stackApiKey: blogApiKey,
    via: 'lifecycle'
  })
}

/** A grant with nothing in its way. */
export async function give(stage: Stage, purpose: Purpose): Promise<void> {
  if ((await installationById(stage.db, stage.installation.id)).status !== 'active') await installAgain(stage)
  await finishGrant(stage.db, stage.deps, (await authorised(stage, purpose)).callback)
  await toTheEnd(stage)
}

/** What the travel asks of Contentstack when nothing is in its way, in order. */
export async function recordCalls(stage: Stage, { purpose }: Travel): Promise<Call[]> {
  const calls: Call[] = []
  const hosts = Object.entries(stage.sandbox.urls) as [SandboxHost, string][]
  const { callback } = await authorised(stage, purpose)
  stage.deps.fetch = async (input, init) => {
    const { origin, pathname } = new URL(input as string)
    const [host] = hosts.find(([, address]) => address === origin)!
    const call = { host, method: init?.method ?? 'GET', path: pathname.replaceAll(/[a-z_]*[0-9a-f]{8,}/g, '{uid}') }
    const like = calls.filter(({ method, path }) => method === call.method && path === call.path)
    calls.push({ ...call, nth: like.length })
    return await fetch(input, init)
  }
  await finishGrant(stage.db, stage.deps, callback)
  await toTheEnd(stage)
  delete stage.deps.fetch
  return calls
}

/** Takes the travel with that trouble at that request, to the end. Returns the grant as it ended. */
export async function takeWith(trouble: Trouble, stage: Stage, { purpose }: Travel, call: Call): Promise<GrantRow> {
  const { sandbox, db, deps } = stage
  const { grantId, callback } = await authorised(stage, purpose)
  const { host, method, nth } = call
  const pathPattern = `^${call.path.replaceAll('.', '\\.').replaceAll('{uid}', '[^/?]+')}(\\?|$)`
  const fault = sandbox.context.faults.add({ kind: kinds[trouble], host, method, pathPattern, skip: nth, delayMs: 100 })
  try {
    if (trouble === 'kill before' || trouble === 'kill after') await killedAt(stage, callback, fault)
    else {
      if (trouble === 'answered too slowly' || trouble === 'too slow and done when all is over') deps.fetch = impatient(fault)
      if (trouble === 'too slow and done in the middle of the next try') {
        deps.fetch = impatient(fault, () => actNow(stage, fault))
        // Long enough that a late creation is waited for.
        deps.drainSeconds = 0.2
      }
      await finishGrant(db, deps, callback).catch((error: unknown) => {
        if (!isAppError(error)) throw error
      })
    }
    await toTheEnd(stage)
    expect(fault.hits, 'requests that met the trouble').toBe(1)
    await actNow(stage, fault)
  } finally {
    sandbox.context.faults.clear()
    delete deps.fetch
    deps.drainSeconds = 0
  }
  return await grantById(db, grantId)
}

async function authorised({ authorise, installation }: Stage, purpose: Purpose) {
  const { grantId, ...callback } = await authorise(ada, { installation, purpose, expiresInDays: 90 })
  return { grantId, callback }
}

/** Everything that waits, as if half an hour had passed: jobs whose process died, retries, snoozes, grants nobody completed. */
async function toTheEnd({ db, deps, drain }: Stage): Promise<void> {
  await db.updateTable('job').set({ lease_until: 0 }).where('state', '=', 'running').execute()
  await drain()
  await endStaleGrants(db, deps, Date.now() + 1_800_000)
}

async function actNow({ sandbox }: Stage, fault: Fault): Promise<void> {
  sandbox.context.faults.remove(fault.id)
  await vi.waitFor(() => expect(fault.waiting).toBe(0), { interval: 5, timeout: 10_000 })
  // Behind it in line.
  await ask(`${sandbox.urls.contentManagement}/v3/user`)
}

/** Requests as a client sends them whose patience ends once the trouble has begun. `inTheMiddle`: before the third request after it. */
function impatient(fault: Fault, inTheMiddle: () => Promise<void> = () => Promise.resolve()): typeof fetch {
  let since = 0
  return async (input, init = {}) => {
    if (fault.hits > 0) {
      since += 1
      if (since === 3) await inTheMiddle()
      return await fetch(input, init)
    }
    const patience = new AbortController()
    const signals = [patience.signal, ...(init.signal ? [init.signal] : [])]
    const answer = fetch(input, { ...init, signal: AbortSignal.any(signals) })
    const begun = () => fault.hits > 0 && (fault.kind !== 'stall' || fault.waiting > 0)
    for (let open = true; open && !begun(); ) open = await Promise.race([answer.then(closed, closed), wait(2, true)])
    if (begun()) patience.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError'))
    return await answer
  }
}

const closed = () => false

async function killedAt(stage: Stage, callback: CustodyTask['callback'], fault: Fault): Promise<void> {
  const { sandbox, app, databaseUrl, keyRing } = stage
  const child = fork(join(import.meta.dirname, 'custody.process.ts'), {
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    // Halves the time that a process takes to stand.
    env: { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'quayside-compile-cache') }
  })
  const gone = once(child, 'exit')
  child.send({ databaseUrl, keyRing, app, publicUrl, callback } satisfies CustodyTask)
  await Promise.race([sandbox.context.faults.untilHit(fault.id), gone])
  child.kill('SIGKILL')
  const [, signal] = (await gone) as [number | null, string | null]
  expect(signal, 'the process was killed in the middle').toBe('SIGKILL')
  await vi.waitFor(() => expect(fault.waiting).toBe(0), { interval: 5, timeout: 10_000 })
  sandbox.context.faults.clear()
}

/** What stands on both sides, in the words of a test's failure. */
export interface Standing {
  /** Ours that Contentstack has and our rows neither use nor list; webhooks of ours that nobody was told of. */
  unlisted: string[]
  /** Rows, grants, secrets and jobs that were left in the middle. */
  halves: string[]
  /** Tokens that our rows list as left behind. */
  orphans: number
  /** Current tokens in our rows, and of them those that Contentstack accepts. */
  current: number
  working: number
  audit: boolean
}

export const whole = { unlisted: [], halves: [], audit: true }

const settled = ['active', 'expiring', 'dead', 'retired', 'rejected', 'orphaned']

export async function standingOf({ sandbox, db, deps, installation }: Stage): Promise<Standing> {
  const rows = await db.selectFrom('management_token').selectAll().execute()
  const current = rows.filter(({ status }) => status === 'active' || status === 'expiring')
  const orphans = rows.filter(({ status }) => status === 'orphaned')
  const grants = await db.selectFrom('grant_flow').select(['status', 'finished_at', 'access_secret_id', 'verifier_secret_id']).execute()
  const jobs = await db.selectFrom('job').select(['kind', 'state', 'error']).where('state', 'in', ['dead', 'running']).execute()
  const installed = await db.selectFrom('installation').selectAll().where('status', '=', 'active').execute()
  const told = JSON.stringify(await db.selectFrom('alert').select('text').where('kind', '=', 'installation.left').execute())
  const secrets = await db
    .selectFrom('secret')
    .select(['id', 'purpose'])
    .where('erased_at', 'is', null)
    .where('purpose', '!=', 'mac_key')
    .execute()
  const inUse = [...current.map(row => row.secret_id), ...installed.map(row => row.webhook_secret_id)]
  const webhooks = Object.values(sandbox.world.stacks[blogApiKey]!.webhooks).filter(({ name }) => name.startsWith('Quayside ins_'))
  let working = 0
  for (const row of current) {
    const authorization = await deps.vault.reveal(db, row.secret_id ?? '', 'management_token')
    const { status } = await ask(`${sandbox.urls.contentManagement}/v3/environments`, { headers: { api_key: blogApiKey, authorization } })
    if (status === 200) working += 1
  }
  return {
    unlisted: [
      ...tokensAt(sandbox)
        .filter(token => ![...current, ...orphans].some(row => row.token_uid === token.uid || row.name === token.name))
        .map(({ name }) => name),
      ...webhooks
        .filter(({ uid, name }) => !installed.some(row => row.webhook_uid === uid) && !told.includes(name))
        .map(({ name }) => `webhook ${name}`)
    ],
    halves: [
      ...rows.filter(({ status }) => !settled.includes(status)).map(({ status }) => `a token that is ${status}`),
      ...grants.filter(({ finished_at: at }) => at === null).map(({ status }) => `a grant that is ${status}`),
      ...grants.filter(grant => grant.access_secret_id ?? grant.verifier_secret_id).map(({ status }) => `a ${status} grant with a secret`),
      ...secrets.filter(({ id }) => !inUse.includes(id)).map(({ purpose }) => `a secret of nobody: ${purpose}`),
      ...jobs.map(({ kind, state, error }) => `a job that is ${state}: ${kind} (${error})`)
    ],
    orphans: orphans.length,
    current: current.length,
    working,
    audit: (await verifyAudit(db, deps.vault, installation.organization_id)).ok
  }
}
