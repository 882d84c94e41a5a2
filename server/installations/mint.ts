// Through an admin's grant: count, intend, mint, seal, verify, switch; what was current before goes afterwards (retire.ts). Every step
// may be the last one before a crash, and running the whole again finishes it: the intent's nonce name tells our tokens at Contentstack
// from everybody else's, and a token whose secret was lost on the way is deleted, never guessed at. States of the rows: transitions.ts.
import { randomBytes } from 'node:crypto'
import { isOutcomeUnknown } from '../contentstack/cma.ts'
import type { ListedToken } from '../contentstack/tokens.ts'
import type { Db } from '../database/database.ts'
import { AppError, isAppError } from '../errors.ts'
import { grantActor, type GrantOptions, type GrantRow, optionsOf } from './grant.ts'
import { asAdminsWords, clearOrphans, deleteAtContentstack, type GrantWork, leftBehind, listed, type MintDeps } from './retire.ts'
import { dropToken, insertToken, switchTo, tokenById } from './token.ts'
import { moveTokens, type TokenRow } from './transitions.ts'
import { verifyToken } from './verify.ts'

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

async function intend(db: Db, deps: MintDeps, work: GrantWork): Promise<TokenRow> {
  const { grant, installation } = work
  const options = optionsOf(grant)
  const { standing } = await clearOrphans(db, deps, work)
  const valid = standing.filter(({ expires_on: expires }) => !expires || Date.parse(expires) > Date.now())
  if (valid.length >= safeTokenLimit && !options.overLimit) {
    throw new AppError('conflict', `This stack has ${valid.length} valid management tokens: ${namesOf(valid)}`, {
      remedy: `Contentstack may expire the oldest one without a word when there are more than ${safeTokenLimit}. Delete one that nobody uses under Settings > Tokens, or start again and choose to go beyond.`
    })
  }
  const expiresOn = expiryDate(options.expiresInDays)
  return await moveTokens(db, deps.vault, grantActor(grant), async (trx, { came }) => {
    const token = await insertToken(trx, installation, {
      name: `Quayside ${randomBytes(6).toString('hex')}`,
      origin: 'minted',
      status: 'minting',
      branches: options.branches,
      expiresAt: expiresOn === null ? null : Date.parse(`${expiresOn}T00:00:00.000Z`)
    })
    await setTokenId(trx, grant, options, token.id)
    came(token, 'intended', { grantId: grant.id, validTokens: valid.length, branches: options.branches, expiresOn })
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
      const actor = grantActor(grant)
      await dropToken(db, deps.vault, { row: token, to: 'rejected', why: 'Contentstack refused to mint it', error: error.message, actor })
    }
    throw mintWords(error)
  })
  await moveTokens(db, deps.vault, grantActor(grant), async (trx, { move }) => {
    const owner = { organizationId: installation.organization_id, installationId: installation.id, purpose: 'management_token' }
    const secretId = await deps.vault.put(trx, owner, made.secret)
    const fingerprint = deps.vault.fingerprint(made.secret)
    const changes = { token_uid: made.token.uid, secret_id: secretId, fingerprint }
    const detail = { grantId: grant.id, tokenUid: made.token.uid, fingerprint }
    // Whoever else took the row on has left it to the next grant: this secret must not stay behind.
    if (!(await move({ row: token, to: 'verifying', why: 'minted', changes, detail }))) {
      throw new AppError('conflict', `The token ${token.name} was given up meanwhile`)
    }
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
    const { message } = verified.refusal
    await dropToken(db, deps.vault, { row: token, to: 'rejected', why: message, error: message, actor: grantActor(grant) })
    await deleteAtContentstack(db, deps, work, { ...token, status: 'rejected', secret_id: null, error: message }, token.token_uid)
    throw new AppError('conflict', `The new token is no good: ${verified.refusal.message}`, { remedy: verified.refusal.remedy })
  }
  await db.transaction().execute(async trx => {
    await trx.updateTable('grant_flow').set({ status: 'minted' }).where('id', '=', grant.id).execute()
    await switchTo(trx, deps.vault, { installation, token, verified, actor: grantActor(grant) })
  })
}

/** The answer to the creation never reached us. If the token stands, nobody knows its secret: it goes. */
async function settleLost(db: Db, deps: MintDeps, work: GrantWork, token: TokenRow): Promise<void> {
  const actor = grantActor(work.grant)
  await dropToken(db, deps.vault, { row: token, to: 'orphaned', why: 'the answer to its creation was lost', error: leftBehind, actor })
  const found = (await listed(work)).find(({ name }) => name === token.name)
  // Not listed may also mean not yet: the orphan stays recorded and is looked for again before the grant ends.
  if (found) await deleteAtContentstack(db, deps, work, { ...token, status: 'orphaned', secret_id: null }, found.uid)
}

/** The list was shown to this authorization a moment ago: what is refused now is the making, or what it asks for. */
function mintWords(error: unknown): unknown {
  const paste = 'Make a management token in Contentstack under Settings > Tokens and paste it here.'
  if (isAppError(error, 'unauthorized')) {
    return new AppError('unauthorized', 'Contentstack does not let an app make a management token here', { cause: error, remedy: paste })
  }
  const fields = isAppError(error, 'invalid') ? Object.entries(error.fields ?? {}) : []
  const said = fields.map(([field, texts]) => `${field} ${texts.join(', ')}`).join('; ')
  if (!isAppError(error) || said === '') return asAdminsWords(error)
  const branches = fields.some(([field]) => field.startsWith('scope.branch'))
  return new AppError('invalid', `${error.message} (${said})`, {
    cause: error,
    remedy: branches ? 'Name branches that this stack has; where it has none, leave them empty.' : paste
  })
}

/** A token dies at midnight UTC of its date: the date after the last full day asked for. */
function expiryDate(days: number | null): string | null {
  return days === null ? null : new Date(Date.now() + (days + 1) * 86_400_000).toISOString().slice(0, 10)
}

function namesOf(tokens: ListedToken[]): string {
  return tokens.map(({ name }) => `"${name.slice(0, 60)}"`).join(', ')
}
