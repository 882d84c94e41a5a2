// Through an admin's grant: count, intend, mint, seal, verify, switch; then drain and delete what was current before. Every step may be
// the last one before a crash, and running the whole again finishes it: the intent's nonce name tells our tokens at Contentstack from
// everybody else's, and a token whose secret was lost on the way is deleted, never guessed at. Only recorded uids and nonce names are
// ever deleted. States of the rows: token.ts.
import { randomBytes } from 'node:crypto'
import { appendAudit } from '../audit/audit.ts'
import { isOutcomeUnknown } from '../contentstack/cma.ts'
import type { AppCredentials } from '../contentstack/oauth.ts'
import { isPermissionRefusal } from '../contentstack/refusal.ts'
import type { ListedToken, TokenAdmin } from '../contentstack/tokens.ts'
import type { Db } from '../database/database.ts'
import { AppError, isAppError } from '../errors.ts'
import { hold } from '../jobs/queue.ts'
import type { Log } from '../log.ts'
import type { Vault } from '../vault/vault.ts'
import type { Budget } from './budget.ts'
import { grantActor, type GrantOptions, type GrantRow, optionsOf } from './grant.ts'
import type { Installation } from './installation.ts'
import { activeToken, dropToken, insertToken, moveToken, switchTo, type TokenRow, tokenById, tokensOf } from './token.ts'
import { verifyToken } from './verify.ts'

export interface MintDeps {
  vault: Vault
  budget: Budget
  log: Log
  fetch?: typeof fetch
  /** How long requests already under way may go on with the former token; 60 unless set. */
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

/**
 * Contentstack's own pages say 10 valid tokens, the next one silently expiring the oldest, and 30 with a refusal (reference §1.3). So at
 * the lower figure nothing is minted unasked: it might kill a token that something else lives on.
 */
export const safeTokenLimit = 10

/** A token may be refused for a moment after it was made; more often than this it is no moment. */
const freshTokenAttempts = 3

/**
 * exchanged -> minted. Throws AppError forbidden | unauthorized | conflict | invalid when this grant cannot do it, upstream when it may
 * be tried again.
 */
export async function mint(db: Db, deps: MintDeps, work: GrantWork): Promise<void> {
  const { tokenId } = optionsOf(work.grant)
  let token = tokenId === null ? null : await tokenById(db, tokenId)
  if (token?.status === 'minting') {
    await settleLost(db, deps, work, token)
    token = null
  }
  token ??= await create(db, deps, work, await intend(db, deps, work))
  if (token.status === 'verifying') return await verifyAndSwitch(db, deps, work, token)
  throw new AppError('conflict', token.error ?? `The new token is already ${token.status}`)
}

/** Purpose delete: nothing is current any more, and everything waits. exchanged -> minted. */
export async function giveUpToken(db: Db, deps: MintDeps, work: GrantWork): Promise<void> {
  await db.transaction().execute(async trx => {
    const current = await activeToken(trx, work.installation.id)
    if (current) await moveToken(trx, current, 'retiring')
    await hold(trx, work.installation.id, 'The management token was deleted on request. A stack admin connects a new one.')
    await trx.updateTable('grant_flow').set({ status: 'minted' }).where('id', '=', work.grant.id).execute()
  })
}

/**
 * Deletes what was current before, once requests under way had time to end, and then every listed orphan. Returns how many seconds are
 * still to wait, 0 when done. Throws AppError upstream; what Contentstack refuses to delete stays a listed orphan.
 */
export async function retireFormer(db: Db, deps: MintDeps, work: GrantWork): Promise<number> {
  const former = await tokensOf(db, work.installation.id, ['retiring', 'dead'])
  const drainUntil =
    Math.max(0, ...former.filter(({ status }) => status === 'retiring').map(row => row.updated_at)) + drainMilliseconds(deps)
  if (former.length > 0 && Date.now() < drainUntil) return Math.max(1, Math.ceil((drainUntil - Date.now()) / 1000))
  for (const row of former) {
    if (row.origin === 'pasted') await dropToken(db, deps.vault, row, 'retired', stillValid)
    else await deleteAtContentstack(db, deps, work, row, row.token_uid)
  }
  await clearOrphans(db, deps, work)
  return 0
}

export const stillValid = 'It was pasted, so Quayside cannot delete it: do that in Contentstack under Settings > Tokens.'
export const drainMilliseconds = (deps: Pick<MintDeps, 'drainSeconds'>): number => Math.min(120, deps.drainSeconds ?? 60) * 1000

/** When a grant ends without its token having become current. */
export async function abandonToken(db: Db, deps: MintDeps, grant: GrantRow): Promise<void> {
  const { tokenId } = optionsOf(grant)
  const token = tokenId === null ? null : await tokenById(db, tokenId)
  if (token?.status === 'minting' || token?.status === 'verifying') await dropToken(db, deps.vault, token, 'orphaned', leftBehind)
}

const leftBehind = 'It may stand in Contentstack under this name. The next grant deletes it, or a person under Settings > Tokens.'

async function intend(db: Db, deps: MintDeps, work: GrantWork): Promise<TokenRow> {
  const { grant, installation } = work
  const options = optionsOf(grant)
  const listed = await clearOrphans(db, deps, work)
  const valid = listed.filter(({ expires_on: expires }) => !expires || Date.parse(expires) > Date.now())
  if (valid.length >= safeTokenLimit && !options.overLimit) {
    throw new AppError('conflict', `This stack has ${valid.length} valid management tokens: ${namesOf(valid)}`, {
      remedy: `Contentstack may expire the oldest one without a word when there are more than ${safeTokenLimit}. Delete one that nobody uses under Settings > Tokens, or start again and choose to go beyond.`
    })
  }
  const expiresOn = expiryDate(options.expiresInDays)
  return await db.transaction().execute(async trx => {
    const token = await insertToken(trx, installation, {
      name: `Quayside ${randomBytes(6).toString('hex')}`,
      origin: 'minted',
      status: 'minting',
      branches: options.branches,
      expiresAt: expiresOn === null ? null : Date.parse(`${expiresOn}T00:00:00.000Z`)
    })
    await setTokenId(trx, grant, options, token.id)
    await appendAudit(trx, deps.vault, {
      organizationId: grant.organization_id,
      installationId: grant.installation_id,
      actor: grantActor(grant),
      action: 'token.intend',
      object: { kind: 'management_token', id: token.id, name: token.name },
      detail: { grantId: grant.id, validTokens: valid.length, branches: options.branches, expiresOn }
    })
    return token
  })
}

async function setTokenId(trx: Db, grant: GrantRow, options: GrantOptions, tokenId: string): Promise<void> {
  await trx
    .updateTable('grant_flow')
    .set({ options_json: JSON.stringify({ ...options, tokenId } satisfies GrantOptions) })
    .where('id', '=', grant.id)
    .execute()
}

/** minting -> verifying: the secret is sealed in the transaction that records the uid. */
async function create(db: Db, deps: MintDeps, work: GrantWork, token: TokenRow): Promise<TokenRow> {
  const { installation, grant } = work
  const branches = JSON.parse(token.branches_json) as string[]
  const expiresOn = token.expires_at === null ? null : new Date(token.expires_at).toISOString().slice(0, 10)
  const description = 'Made by Quayside for its syncs. Quayside rotates and deletes it; do not use it elsewhere.'
  const made = await work.admin.createToken({ name: token.name, description, branches, expiresOn }).catch(async (error: unknown) => {
    if (isAppError(error) && !isOutcomeUnknown(error) && error.code !== 'upstream' && error.code !== 'rate_limited') {
      await dropToken(db, deps.vault, token, 'rejected', error.message)
    }
    throw asAdminsWords(error)
  })
  await db.transaction().execute(async trx => {
    const owner = { organizationId: installation.organization_id, installationId: installation.id, purpose: 'management_token' }
    const secretId = await deps.vault.put(trx, owner, made.secret)
    await moveToken(trx, token, 'verifying', {
      token_uid: made.token.uid,
      secret_id: secretId,
      fingerprint: deps.vault.fingerprint(made.secret)
    })
    await appendAudit(trx, deps.vault, {
      organizationId: installation.organization_id,
      installationId: installation.id,
      actor: grantActor(grant),
      action: 'token.mint',
      object: { kind: 'management_token', id: token.id, name: token.name },
      detail: { grantId: grant.id, tokenUid: made.token.uid, fingerprint: deps.vault.fingerprint(made.secret) }
    })
  })
  return await tokenById(db, token.id)
}

/** verifying -> active, or -> rejected and deleted. */
async function verifyAndSwitch(db: Db, deps: MintDeps, work: GrantWork, token: TokenRow): Promise<void> {
  const { grant, installation, app, signal } = work
  const secret = await deps.vault.reveal(db, token.secret_id ?? '', 'management_token')
  const scope = (await work.admin.listTokens()).find(({ uid }) => uid === token.token_uid)?.scope ?? null
  const branches = JSON.parse(token.branches_json) as string[]
  const verified = await verifyToken(deps, { app, installation, token: secret, branches, scope, signal })
  if (verified.refusal) {
    if (verified.refusal.tokenRefused && work.attempt < freshTokenAttempts) {
      throw new AppError('upstream', 'Contentstack does not accept the new token yet')
    }
    await db
      .updateTable('management_token')
      .set({ verification_json: JSON.stringify(verified.rows) })
      .where('id', '=', token.id)
      .execute()
    await dropToken(db, deps.vault, token, 'rejected', verified.refusal.message)
    await deleteAtContentstack(db, deps, work, { ...token, status: 'rejected', secret_id: null }, token.token_uid)
    throw new AppError('conflict', `The new token is no good: ${verified.refusal.message}`, { remedy: verified.refusal.remedy })
  }
  await db.transaction().execute(async trx => {
    await trx.updateTable('grant_flow').set({ status: 'minted' }).where('id', '=', grant.id).execute()
    await switchTo(trx, deps.vault, { installation, token, verified, actor: grantActor(grant) })
  })
}

/** The answer to the creation never reached us. If the token stands, nobody knows its secret: it goes. */
async function settleLost(db: Db, deps: MintDeps, work: GrantWork, token: TokenRow): Promise<void> {
  await dropToken(db, deps.vault, token, 'orphaned', leftBehind)
  const found = (await listed(work)).find(({ name }) => name === token.name)
  // Not listed may also mean not yet: the orphan stays recorded and is looked for again before the grant ends.
  if (found) await deleteAtContentstack(db, deps, work, { ...token, status: 'orphaned', secret_id: null }, found.uid)
}

/** Deletes or dismisses what earlier grants left behind in this stack; returns the tokens that stand now. */
async function clearOrphans(db: Db, deps: MintDeps, work: GrantWork): Promise<ListedToken[]> {
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
  for (const row of rows) {
    const found = standing.find(({ uid, name }) => uid === row.token_uid || name === row.name)
    if (!found) await dropToken(db, deps.vault, row, 'retired', 'It does not stand in Contentstack.')
    else if (await deleteAtContentstack(db, deps, work, row, found.uid)) gone.add(found.uid)
  }
  return standing.filter(({ uid }) => !gone.has(uid))
}

async function deleteAtContentstack(db: Db, deps: MintDeps, work: GrantWork, row: TokenRow, uid: string | null): Promise<boolean> {
  try {
    if (uid !== null) await work.admin.deleteToken(uid)
  } catch (error) {
    if (!isAppError(error) || error.code === 'upstream' || error.code === 'rate_limited') throw error
    await dropToken(db, deps.vault, row, 'orphaned', `${leftBehind} ${error.message}`)
    return false
  }
  await dropToken(db, deps.vault, row, 'retired', row.status === 'rejected' ? row.error : null)
  await db.transaction().execute(async trx => {
    await appendAudit(trx, deps.vault, {
      organizationId: work.installation.organization_id,
      installationId: work.installation.id,
      actor: grantActor(work.grant),
      action: 'token.delete',
      object: { kind: 'management_token', id: row.id, name: row.name },
      detail: { grantId: work.grant.id, tokenUid: uid }
    })
  })
  return true
}

async function listed(work: GrantWork): Promise<ListedToken[]> {
  return await work.admin.listTokens().catch((error: unknown) => {
    throw asAdminsWords(error)
  })
}

function asAdminsWords(error: unknown): unknown {
  if (isPermissionRefusal(error)) {
    return new AppError('forbidden', 'The person who authorised is neither Owner nor Admin of this stack', {
      cause: error,
      remedy: 'Only Owner and Admin may make management tokens: ask one of them to connect the stack.'
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

/** A token dies at midnight UTC of its date: the date after the last full day asked for. */
function expiryDate(days: number | null): string | null {
  return days === null ? null : new Date(Date.now() + (days + 1) * 86_400_000).toISOString().slice(0, 10)
}

function namesOf(tokens: ListedToken[]): string {
  return tokens.map(({ name }) => `"${name.slice(0, 60)}"`).join(', ')
}
