// How a token ends: what was current before is drained, deleted at Contentstack and proven dead while its successor lives; what could
// not be deleted is a listed orphan, which the next grant clears. Only recorded uids and nonce names are ever deleted. Repeating any
// of it is harmless. States of the rows: transitions.ts.
import type { AppCredentials } from '../contentstack/oauth.ts'
import { isPermissionRefusal } from '../contentstack/refusal.ts'
import type { ListedToken, TokenAdmin } from '../contentstack/tokens.ts'
import type { Db } from '../database/database.ts'
import { AppError, isAppError } from '../errors.ts'
import { hold } from '../jobs/queue.ts'
import type { Log } from '../log.ts'
import type { Vault } from '../vault/vault.ts'
import type { Budget } from './budget.ts'
import { grantActor, type GrantRow, optionsOf } from './grant.ts'
import type { Installation } from './installation.ts'
import { branchOf, probeToken } from './probe.ts'
import { activeToken, dropToken, tokenById, tokensOf } from './token.ts'
import { moveTokens, type TokenRow } from './transitions.ts'

export interface MintDeps {
  vault: Vault
  budget: Budget
  log: Log
  fetch?: typeof fetch
  /** How long requests already under way may go on with the former token; 60 unless set, 120 at most. */
  drainSeconds?: number
}

/** One grant being carried out. */
export interface GrantWork {
  grant: GrantRow
  installation: Installation
  app: AppCredentials
  admin: TokenAdmin
  /** 1 for the first try of the job. */
  attempt: number
  signal: AbortSignal
}

/** Tokens that we made and that nobody here holds. */
export const leftBehind = 'It may stand in Contentstack under this name. The next grant deletes it, or a person under Settings > Tokens.'
export const stillValid = 'It was pasted, so Quayside cannot delete it: do that in Contentstack under Settings > Tokens.'

export const drainMilliseconds = (deps: Pick<MintDeps, 'drainSeconds'>): number => Math.min(120, deps.drainSeconds ?? 60) * 1000

/** So long a deleted token may still be accepted before we say that it was not deleted. */
const proofMilliseconds = 120_000
const proofPauseSeconds = 3

/** Purposes delete and uninstall: nothing is current any more, and everything waits. exchanged -> minted. */
export async function giveUpToken(db: Db, deps: MintDeps, { grant, installation }: GrantWork): Promise<void> {
  await moveTokens(db, deps.vault, grantActor(grant), async (trx, { move }) => {
    const token = await activeToken(trx, installation.id)
    if (token) await move({ row: token, to: 'retiring', why: 'given up on request', detail: { grantId: grant.id } })
    await hold(trx, installation.id, 'The management token was deleted on request. A stack admin connects a new one.')
    await trx.updateTable('grant_flow').set({ status: 'minted' }).where('id', '=', grant.id).execute()
  })
}

/**
 * Deletes what was current before, once requests under way had time to end, proves it dead, and then clears every listed orphan. Returns
 * how many seconds are still to wait, 0 when done. Throws AppError upstream; what Contentstack refuses to delete stays a listed orphan.
 */
export async function retireFormer(db: Db, deps: MintDeps, work: GrantWork): Promise<number> {
  const former = await tokensOf(db, work.installation.id, ['retiring', 'dead'])
  const drainUntil =
    Math.max(0, ...former.filter(({ status }) => status === 'retiring').map(row => row.updated_at)) + drainMilliseconds(deps)
  if (former.length > 0 && Date.now() < drainUntil) return Math.max(1, Math.ceil((drainUntil - Date.now()) / 1000))
  let unproven = 0
  for (const row of former) {
    if (row.origin === 'pasted') await forget(db, deps, row, work)
    else if (!(await deleteAtContentstack(db, deps, work, row, row.token_uid))) unproven += 1
  }
  if (unproven > 0) return proofPauseSeconds
  const { settledAt } = await clearOrphans(db, deps, work)
  return Math.max(0, Math.ceil((settledAt - Date.now()) / 1000))
}

/** When a grant ends before it is through: what it leaves unfinished is listed, and never guessed at. */
export async function leaveUnfinished(db: Db, deps: MintDeps, grant: GrantRow, why: string): Promise<void> {
  const { tokenId } = optionsOf(grant)
  const actor = grantActor(grant)
  const token = tokenId === null ? null : await tokenById(db, tokenId)
  if (token?.status === 'minting' || token?.status === 'verifying')
    await dropToken(db, deps.vault, { row: token, to: 'orphaned', why, error: leftBehind, actor })
  if (token?.status === 'rejected' && token.token_uid !== null)
    await dropToken(db, deps.vault, { row: token, to: 'orphaned', why, error: `${token.error ?? ''} ${leftBehind}`.trim(), actor })
  const superseded = (await activeToken(db, grant.installation_id)) ? (['retiring', 'dead'] as const) : (['retiring'] as const)
  for (const row of await tokensOf(db, grant.installation_id, superseded)) {
    const drop =
      row.origin === 'pasted' ? ({ to: 'retired', error: stillValid } as const) : ({ to: 'orphaned', error: leftBehind } as const)
    await dropToken(db, deps.vault, { row, why, actor, ...drop })
  }
}

/**
 * Deletes or dismisses what earlier grants left behind in this stack. Returns the tokens that stand now, and until when one of ours may
 * still appear among them: a creation whose answer was lost may be on its way, or not be listed yet.
 */
export async function clearOrphans(db: Db, deps: MintDeps, work: GrantWork): Promise<{ standing: ListedToken[]; settledAt: number }> {
  const { installation } = work
  const rows = await db
    .selectFrom('management_token')
    .selectAll()
    .where('origin', '=', 'minted')
    .where('installation_id', 'in', query =>
      query
        .selectFrom('installation')
        .select('id')
        .where('organization_id', '=', installation.organization_id)
        .where('stack_api_key', '=', installation.stack_api_key)
    )
    .where('status', '=', 'orphaned')
    .execute()
  const standing = await listed(work)
  const gone = new Set<string>()
  let settledAt = 0
  for (const row of rows) {
    const found = standing.find(({ uid, name }) => uid === row.token_uid || name === row.name)
    if (found) {
      if (await deleteAtContentstack(db, deps, work, row, found.uid)) gone.add(found.uid)
    } else if (Date.now() < row.updated_at + drainMilliseconds(deps)) {
      settledAt = Math.max(settledAt, row.updated_at + drainMilliseconds(deps))
    } else {
      const drop = { row, to: 'retired', why: 'it does not stand in Contentstack', error: null, actor: grantActor(work.grant) } as const
      await dropToken(db, deps.vault, drop)
    }
  }
  return { standing: standing.filter(({ uid }) => !gone.has(uid)), settledAt }
}

/**
 * False when it is not over yet: Contentstack will not delete it (listed as an orphan then), or still accepts what it says is deleted.
 * Throws AppError upstream | rate_limited.
 */
export async function deleteAtContentstack(db: Db, deps: MintDeps, work: GrantWork, row: TokenRow, uid: string | null): Promise<boolean> {
  const actor = grantActor(work.grant)
  try {
    if (uid !== null) await work.admin.deleteToken(uid)
  } catch (error) {
    if (!isAppError(error) || error.code === 'upstream' || error.code === 'rate_limited') throw error
    const why = 'Contentstack did not let it be deleted'
    if (row.status !== 'orphaned')
      await dropToken(db, deps.vault, { row, to: 'orphaned', why, error: `${leftBehind} ${error.message}`, actor })
    // Whoever waits for the proof has nothing to wait for.
    return row.status !== 'orphaned'
  }
  const proof = await prove(db, deps, work, row)
  if (proof === 'accepted') {
    if (Date.now() < proofUntil(deps, work, row)) return false
    const why = 'Contentstack says that it is deleted, and still accepts it'
    await dropToken(db, deps.vault, { row, to: 'orphaned', why, error: `${why}. ${leftBehind}`, actor })
    return true
  }
  await dropToken(db, deps.vault, {
    row,
    to: 'retired',
    why: 'deleted at Contentstack',
    error: row.status === 'rejected' ? row.error : null,
    actor,
    detail: { grantId: work.grant.id, tokenUid: uid, proof }
  })
  return true
}

type Proof = 'dead' | 'accepted' | 'no secret to prove it with'

/**
 * Dead is what Contentstack refuses twice while it accepts the successor in between: a refusal alone may be any trouble of theirs.
 * Throws AppError upstream when the successor is refused as well.
 */
async function prove(db: Db, deps: MintDeps, work: GrantWork, row: TokenRow): Promise<Proof> {
  if (row.secret_id === null) return 'no secret to prove it with'
  const token = await deps.vault.reveal(db, row.secret_id, 'management_token')
  const asked = { app: work.app, installation: work.installation, signal: work.signal }
  const refusedOnce = async () => (await probeToken(deps, { ...asked, token, branch: branchOf(row) })) === 'refused'
  if (!(await refusedOnce())) return 'accepted'
  const successor = await activeToken(db, work.installation.id)
  if (successor?.secret_id) {
    const living = await deps.vault.reveal(db, successor.secret_id, 'management_token')
    if ((await probeToken(deps, { ...asked, token: living, branch: branchOf(successor) })) === 'refused') {
      throw new AppError('upstream', 'Contentstack refuses the new token as well as the deleted one')
    }
  }
  return (await refusedOnce()) ? 'dead' : 'accepted'
}

function proofUntil(deps: MintDeps, { grant }: GrantWork, row: TokenRow): number {
  return Math.max(row.updated_at + drainMilliseconds(deps), grant.used_at ?? 0) + proofMilliseconds
}

async function forget(db: Db, deps: MintDeps, row: TokenRow, { grant }: GrantWork): Promise<void> {
  await dropToken(db, deps.vault, { row, to: 'retired', why: 'forgotten: it was pasted', error: stillValid, actor: grantActor(grant) })
}

/** Throws in the words of an admin who may not, or whose authorization is over. */
export async function listed(work: GrantWork): Promise<ListedToken[]> {
  return await work.admin.listTokens().catch((error: unknown) => {
    throw asAdminsWords(error)
  })
}

export function asAdminsWords(error: unknown): unknown {
  if (isPermissionRefusal(error)) {
    return new AppError('forbidden', 'The person who authorised is neither Owner nor Admin of this stack', {
      cause: error,
      remedy:
        'Only Owner and Admin may make management tokens: ask one of them to connect the stack. If you are one, the organization may not allow it to apps: paste a token instead.'
    })
  }
  if (isAppError(error, 'unauthorized')) {
    return new AppError('unauthorized', 'Contentstack does not accept the authorization (any more)', {
      cause: error,
      remedy: 'Start again.'
    })
  }
  return error
}
