// Custody of management tokens: mint and forget. A person's authorization is used once, to make the stack's own credential, and is taken
// back; nothing of theirs is kept. The sequence, each step recorded before the next:
//
//   intent with a nonce name -> mint -> seal (verifying) -> verify -> switch (active; the former retires) -> drain, 2 minutes at most
//   -> delete the former and prove it dead -> revoke the grant -> Contentstack confirms it inactive -> erase its secret
//
// The job of a grant may be killed anywhere and is simply run again. States: of tokens in transitions.ts, of grants in grant.ts.
import type { AppCredentials } from '../contentstack/oauth.ts'
import { createTokenAdmin } from '../contentstack/tokens.ts'
import type { Db } from '../database/database.ts'
import { AppError, isAppError } from '../errors.ts'
import type { JobContext, JobKind, JobResult } from '../jobs/job.ts'
import { enqueue } from '../jobs/queue.ts'
import type { Log } from '../log.ts'
import type { Vault } from '../vault/vault.ts'
import { forgetAdmins } from './admins.ts'
import type { Budget } from './budget.ts'
import { endStaleGrants, grantActor, grantAttempts, grantById, grantJob, type GrantRow, optionsOf } from './grant.ts'
import { appOf, fetchOf } from './install.ts'
import { endByGrant, installationById } from './installation.ts'
import { mint } from './mint.ts'
import { retireJob } from './paste.ts'
import { drainMilliseconds, giveUpToken, type GrantWork, leaveUnfinished, listed, retireFormer, stillValid } from './retire.ts'
import { isAuthorizationShared, revokeGrant } from './revoke.ts'
import { activeToken, dropToken, tokensOf, type VerificationRow } from './token.ts'
import { current as currentStatuses, type TokenRow } from './transitions.ts'
import { prepareUninstall } from './uninstall.ts'
import { watchJobKind } from './watch.ts'

export interface CustodyDeps {
  vault: Vault
  apps: readonly AppCredentials[]
  budget: Budget
  publicUrl: string
  log: Log
  fetch?: typeof fetch
  /** How long requests already under way may go on with the former token; 60 unless set, 120 at most. */
  drainSeconds?: number
}

/** To be scheduled every few minutes. */
export const sweepJob = 'custody.sweep'

/** The jobs of this room, for the worker. */
export function installationJobs(db: Db, deps: CustodyDeps): JobKind[] {
  const grant: JobKind<GrantPayload> = {
    kind: grantJob,
    lane: 'people',
    maxAttempts: grantAttempts,
    timeoutSeconds: 180,
    run: (payload, context) => carryOut(db, deps, payload, context)
  }
  const retire: JobKind<{ installationId: string }> = {
    kind: retireJob,
    lane: 'live',
    maxAttempts: 5,
    timeoutSeconds: 60,
    run: payload => retireWithoutGrant(db, deps, payload.installationId)
  }
  const sweep: JobKind = {
    kind: sweepJob,
    lane: 'backfill',
    maxAttempts: 3,
    timeoutSeconds: 60,
    run: async () => {
      await endStaleGrants(db, deps)
    }
  }
  return [grant, retire, sweep, watchJobKind(db, deps)] as JobKind[]
}

interface GrantPayload {
  grantId: string
  /** Set on the second look at a grant whose authorization another one shared. */
  secondLook?: boolean
}

async function carryOut(db: Db, deps: CustodyDeps, payload: GrantPayload, context: JobContext): Promise<JobResult> {
  const grant = await grantById(db, payload.grantId)
  if (grant.finished_at !== null) return await endWhenCarriedOut(db, deps, grant.id)
  if (grant.status === 'started') return { cancel: 'The grant was not completed.' }
  const installation = await installationById(db, grant.installation_id)
  const app = appOf(deps.apps, installation)
  const last = context.attempt >= grantAttempts
  if (grant.error === null) {
    try {
      const seconds = await work(db, deps, grant, context)
      if (seconds > 0) return { snoozeSeconds: seconds, reason: 'requests under way may end with the former token' }
    } catch (error) {
      if (!last && isWorthRepeating(error)) throw error
      await recordFailure(db, deps, grant, error)
    }
  }
  if (!payload.secondLook && (await isAuthorizationShared(db, grant))) {
    // Same key, so it comes after the other grant, which by then has taken the authorization back for both.
    const key = `${grantJob} ${app.region.id} ${optionsOf(grant).organizationUid ?? ''} ${grant.user_uid ?? ''}`
    await enqueue(db, { kind: grantJob, lane: 'people', payload: { ...payload, secondLook: true }, key, maxAttempts: grantAttempts })
    return
  }
  await revokeGrant(db, deps, { grantId: grant.id, app, signal: context.signal, last })
  await endWhenCarriedOut(db, deps, grant.id)
}

/** The installation ends last: whatever it still held would be erased with it, the grant's own token too. */
async function endWhenCarriedOut(db: Db, deps: CustodyDeps, grantId: string): Promise<void> {
  const grant = await grantById(db, grantId)
  if (grant.purpose !== 'uninstall' || grant.status === 'failed') return
  await endByGrant(db, deps, { installationId: grant.installation_id, actor: grantActor(grant) })
}

/** Returns the seconds to wait before going on, 0 when everything but the revocation is done. */
async function work(db: Db, deps: CustodyDeps, grant: GrantRow, context: JobContext): Promise<number> {
  const installation = await installationById(db, grant.installation_id)
  if (installation.status !== 'active') throw new AppError('conflict', 'The app was uninstalled meanwhile')
  const app = appOf(deps.apps, installation)
  const accessToken = await deps.vault.reveal(db, grant.access_secret_id ?? '', 'grant_access_token')
  const admin = createTokenAdmin({
    region: app.region,
    apiKey: installation.stack_api_key,
    organizationUid: optionsOf(grant).organizationUid ?? '',
    userAccessToken: accessToken,
    acquire: (kind, lane, signal) => deps.budget.acquire(installation.organization_id, kind, lane, signal),
    learn: (kind, news) => deps.budget.learn(installation.organization_id, kind, news),
    signal: context.signal,
    log: deps.log,
    ...fetchOf(deps)
  })
  const grantWork: GrantWork = { grant, installation, app, admin, attempt: context.attempt, signal: context.signal }
  if (grant.status === 'exchanged') {
    if (grant.purpose === 'mint' || grant.purpose === 'rotate') await mint(db, deps, grantWork)
    else {
      // While no token stands anybody in the frame may begin a grant: only an Owner or Admin is shown this list.
      await listed(grantWork)
      if (grant.purpose === 'uninstall') await prepareUninstall(db, deps, grantWork)
      await giveUpToken(db, deps, grantWork)
    }
    forgetAdmins(installation.id)
  }
  return await retireFormer(db, deps, grantWork)
}

async function recordFailure(db: Db, deps: CustodyDeps, grant: GrantRow, error: unknown): Promise<void> {
  const words =
    isAppError(error) && error.code !== 'internal'
      ? [error.message, error.remedy].filter(text => text !== undefined).join('. ')
      : unforeseen
  deps.log.warn({ grantId: grant.id, error }, 'a grant could not be carried out')
  await leaveUnfinished(db, deps, await grantById(db, grant.id), words)
  // What was minted is current and stays so; only cleaning up behind it failed.
  await db.updateTable('grant_flow').set({ error: words }).where('id', '=', grant.id).where('status', '=', 'exchanged').execute()
}

const unforeseen = 'Something unforeseen happened; the log of the server has it'

function isWorthRepeating(error: unknown): boolean {
  return !isAppError(error) || error.code === 'upstream' || error.code === 'rate_limited' || error.code === 'internal'
}

/** After a paste: the former token is forgotten; one of ours is listed as an orphan, since only a grant may delete it. */
async function retireWithoutGrant(db: Db, deps: CustodyDeps, installationId: string): Promise<JobResult> {
  if (!(await activeToken(db, installationId))) return
  for (const row of await tokensOf(db, installationId, ['retiring', 'dead'])) {
    const left = row.updated_at + drainMilliseconds(deps) - Date.now()
    if (row.status === 'retiring' && left > 0)
      return { snoozeSeconds: Math.ceil(left / 1000), reason: 'requests under way may end with the former token' }
    const drop = row.origin === 'pasted' ? ({ to: 'retired', error: stillValid } as const) : ({ to: 'orphaned', error: replaced } as const)
    await dropToken(db, deps.vault, { row, why: 'replaced by a pasted token', actor: custodian, ...drop })
  }
}

const custodian = { kind: 'system', id: 'custody', name: 'Token custody' } as const
const replaced = 'Replaced by a pasted token. The next grant deletes it, or a person under Settings > Tokens in Contentstack.'

export interface TokenView {
  id: string
  name: string
  origin: TokenRow['origin']
  status: TokenRow['status']
  fingerprint: string | null
  branches: string[]
  expiresAt: number | null
  verification: VerificationRow[]
  verifiedAt: number | null
  checkedAt: number | null
  exposed: boolean
  error: string | null
  createdAt: number
}

export interface GrantView {
  id: string
  purpose: GrantRow['purpose']
  status: GrantRow['status']
  /** When revoking was refused: until when the grant stays valid. */
  validUntil: number | null
  error: string | null
  createdAt: number
  finishedAt: number | null
}

/** What people may see: the current token (or the dead one that awaits its successor), the others, the latest grant. No secret. */
export async function custodyOf(
  db: Db,
  deps: Pick<CustodyDeps, 'vault'>,
  installationId: string
): Promise<{ current: TokenView | null; history: TokenView[]; grant: GrantView | null }> {
  const tokens = await tokensOf(db, installationId)
  const current = tokens.find(({ status }) => currentStatuses.includes(status)) ?? tokens.find(({ status }) => status === 'dead') ?? null
  const grant = await db
    .selectFrom('grant_flow')
    .selectAll()
    .where('installation_id', '=', installationId)
    .orderBy('id', 'desc')
    .executeTakeFirst()
  return {
    current: current && (await tokenView(db, deps.vault, current)),
    history: await Promise.all(tokens.filter(({ id }) => id !== current?.id).map(row => tokenView(db, deps.vault, row))),
    grant: grant ? grantView(grant) : null
  }
}

export async function tokenView(db: Db, vault: Pick<Vault, 'statesOf'>, row: TokenRow): Promise<TokenView> {
  const states = await vault.statesOf(db, row.secret_id === null ? [] : [row.secret_id])
  return {
    id: row.id,
    name: row.name,
    origin: row.origin,
    status: row.status,
    fingerprint: row.fingerprint,
    branches: JSON.parse(row.branches_json) as string[],
    expiresAt: row.expires_at,
    verification: JSON.parse(row.verification_json) as VerificationRow[],
    verifiedAt: row.verified_at,
    checkedAt: row.checked_at,
    exposed: [...states.values()].includes('exposed'),
    error: row.error,
    createdAt: row.created_at
  }
}

export function grantView(row: GrantRow): GrantView {
  return {
    id: row.id,
    purpose: row.purpose,
    status: row.status,
    validUntil: row.finished_at === null ? null : row.valid_until,
    error: row.error,
    createdAt: row.created_at,
    finishedAt: row.finished_at
  }
}
