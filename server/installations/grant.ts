// An admin's one-time authorization, from the button to the callback: ticket, state, PKCE, cookie; single use each, kept hashed. The
// callback only proves that somebody consented; what for, and for which stack, comes from our own row. What it buys is sealed and
// handed to the custody job.
//
//   started -> exchanged     the callback's checks passed; the access token is sealed, its refresh token was never read
//   exchanged -> minted      the stack's new token is current
//   exchanged | minted -> revoked          taken back, and Contentstack says inactive
//   exchanged | minted -> revoke_refused   it stays valid until valid_until, or until its person removes it
//   any -> failed            with the reason; what had been granted is taken back as well
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { appendAudit, type Actor } from '../audit/audit.ts'
import { type AppCredentials, authorizeUrl, exchangeCode, type Exchanged, grantScopes, newPkce } from '../contentstack/oauth.ts'
import type { Db } from '../database/database.ts'
import { newId } from '../database/id.ts'
import type { Row } from '../database/schema.ts'
import { AppError, isAppError } from '../errors.ts'
import { enqueue } from '../jobs/queue.ts'
import type { Log } from '../log.ts'
import type { Vault } from '../vault/vault.ts'
import { appAt, appOf, fetchOf } from './install.ts'
import { assertActive, type Installation, installationById, objectOf, organizationOf } from './installation.ts'

export type GrantRow = Row<'grant_flow'>

export interface GrantDeps {
  vault: Vault
  apps: readonly AppCredentials[]
  publicUrl: string
  log: Log
  fetch?: typeof fetch
}

export const grantCallbackPath = '/oauth/grant/callback'
export const grantJob = 'custody.grant'
/** With the queue's backoff about four minutes, while the code's access token lives an hour. */
export const grantAttempts = 8
const ticketSeconds = 60
const stateSeconds = 600

export interface GrantOptions {
  expiresInDays: number | null
  branches: string[]
  /** Mint although it would go beyond the tokens that Contentstack keeps valid. */
  overLimit: boolean
  /** Who must authorise, where it began in the CMS. */
  userUid: string | null
  /** Filled on the way: Contentstack's uid of the organization, and the row of the token being minted. */
  organizationUid: string | null
  tokenId: string | null
}

export interface GrantStart {
  installation: Installation
  initiator: Actor
  purpose: GrantRow['purpose']
  /** 1 to 365; null = never expires. */
  expiresInDays: number | null
  branches: readonly string[]
  /** Contentstack's uid of the person in front of it, where it begins in the CMS. */
  userUid?: string
  overLimit?: boolean
}

/** The ticket opens the grant's top-level page once, within a minute. Throws AppError conflict (not active), invalid. */
export async function startGrant(db: Db, deps: GrantDeps, input: GrantStart): Promise<{ grantId: string; ticket: string }> {
  const { installation, initiator, purpose } = input
  await assertActive(db, installation)
  appOf(deps.apps, installation)
  checkChoices(input)
  const ticket = randomBytes(32).toString('base64url')
  const now = Date.now()
  const options: GrantOptions = {
    expiresInDays: input.expiresInDays,
    branches: [...new Set(input.branches)],
    overLimit: input.overLimit ?? false,
    userUid: input.userUid ?? null,
    organizationUid: null,
    tokenId: null
  }
  const grantId = newId('grf')
  await db.transaction().execute(async trx => {
    await trx
      .insertInto('grant_flow')
      .values({
        id: grantId,
        organization_id: installation.organization_id,
        installation_id: installation.id,
        ticket_hash: hashOf(ticket),
        state_hash: null,
        cookie_hash: null,
        purpose,
        initiator_json: JSON.stringify(initiator),
        verifier_secret_id: null,
        options_json: JSON.stringify(options),
        status: 'started',
        user_uid: null,
        access_secret_id: null,
        valid_until: null,
        error: null,
        created_at: now,
        expires_at: now + stateSeconds * 1000,
        used_at: null,
        finished_at: null
      })
      .execute()
    await appendAudit(trx, deps.vault, {
      organizationId: installation.organization_id,
      installationId: installation.id,
      actor: initiator,
      action: 'grant.start',
      object: objectOf(installation),
      detail: { grantId, purpose, branches: options.branches, expiresInDays: options.expiresInDays }
    })
  })
  return { grantId, ticket }
}

/** Where to send the browser, and the value of the cookie to set there. Throws AppError forbidden for a ticket unknown, used or late. */
export async function openGrant(
  db: Db,
  deps: GrantDeps,
  input: { grantId: string; ticket: string }
): Promise<{ url: string; cookie: string }> {
  const again = 'Go back to the page where you started and start again.'
  const state = randomBytes(32).toString('base64url')
  const cookie = randomBytes(32).toString('base64url')
  const { verifier, challenge } = newPkce()
  const installation = await db.transaction().execute(async trx => {
    const grant = await trx.selectFrom('grant_flow').selectAll().where('id', '=', input.grantId).executeTakeFirst()
    if (!grant || !matches(input.ticket, grant.ticket_hash)) {
      throw new AppError('forbidden', 'This start page was opened before, or never existed', { remedy: again })
    }
    if (Date.now() > grant.created_at + ticketSeconds * 1000)
      throw new AppError('forbidden', 'This start page is too old', { remedy: again })
    const owner = { organizationId: grant.organization_id, installationId: grant.installation_id, purpose: 'pkce_verifier' }
    const verifierSecretId = await deps.vault.put(trx, owner, verifier)
    const taken = await trx
      .updateTable('grant_flow')
      .set({ ticket_hash: null, state_hash: hashOf(state), cookie_hash: hashOf(cookie), verifier_secret_id: verifierSecretId })
      .where('id', '=', grant.id)
      .where('ticket_hash', '=', grant.ticket_hash)
      .where('status', '=', 'started')
      .executeTakeFirst()
    if (taken.numUpdatedRows !== 1n) throw new AppError('forbidden', 'This start page was opened before', { remedy: again })
    return await installationById(trx, grant.installation_id)
  })
  const app = appOf(deps.apps, installation)
  return { url: authorizeUrl(app, { redirectUri: `${deps.publicUrl}${grantCallbackPath}`, scopes: grantScopes, state, challenge }), cookie }
}

export interface GrantCallback {
  /** null when `error` came instead: the person declined. */
  code: string | null
  state: string
  location: string
  /** null when the browser brought none. */
  cookie: string | null
  error?: string | null
}

/**
 * The callback. Throws AppError forbidden (forged, replayed, late, another browser, another person, declined), invalid (location, code),
 * upstream. A grant given by the wrong person is taken back by the job all the same.
 */
export async function finishGrant(db: Db, deps: GrantDeps, input: GrantCallback): Promise<{ grantId: string }> {
  const { grant, installation, app } = await checkCallback(db, deps, input)
  const claimed = await db
    .updateTable('grant_flow')
    .set({ used_at: Date.now() })
    .where('id', '=', grant.id)
    .where('used_at', 'is', null)
    .where('status', '=', 'started')
    .executeTakeFirst()
  if (claimed.numUpdatedRows !== 1n) throw usedBefore()
  let token: Exchanged
  try {
    if (!input.code)
      throw new AppError('forbidden', 'The authorization was declined in Contentstack', { remedy: 'Start again and choose Authorize.' })
    const verifier = await deps.vault.reveal(db, grant.verifier_secret_id ?? '', 'pkce_verifier')
    const redirectUri = `${deps.publicUrl}${grantCallbackPath}`
    token = await exchangeCode(app, { code: input.code, redirectUri, verifier }, fetchOf(deps))
  } catch (error) {
    const words = isAppError(error) ? error.message : 'The authorization could not be completed.'
    await db.transaction().execute(async trx => await failBeforeExchange(trx, deps, grant, words))
    throw error
  }
  const organization = await organizationOf(db, installation)
  const options = optionsOf(grant)
  const refusal = refusalFor(token, { organizationUid: organization.organization_uid, userUid: options.userUid })
  await db.transaction().execute(async trx => {
    const owner = { organizationId: grant.organization_id, installationId: installation.id, purpose: 'grant_access_token' }
    const accessSecretId = await deps.vault.put(trx, owner, token.accessToken)
    if (grant.verifier_secret_id) await deps.vault.erase(trx, grant.verifier_secret_id)
    await trx
      .updateTable('grant_flow')
      .set({
        status: 'exchanged',
        user_uid: token.userUid,
        verifier_secret_id: null,
        access_secret_id: accessSecretId,
        valid_until: Date.now() + token.expiresInSeconds * 1000,
        options_json: JSON.stringify({ ...options, organizationUid: token.organizationUid } satisfies GrantOptions),
        error: refusal
      })
      .where('id', '=', grant.id)
      .execute()
    // Not in the installation's group: a dead token holds that, and this job is what brings a living one. One person's
    // authorization is shared by all their grants in the organization, so their jobs go one at a time.
    await enqueue(trx, {
      kind: grantJob,
      lane: 'people',
      payload: { grantId: grant.id },
      maxAttempts: grantAttempts,
      key: `${grantJob} ${app.region.id} ${token.organizationUid} ${token.userUid ?? ''}`
    })
    await appendAudit(trx, deps.vault, {
      organizationId: grant.organization_id,
      installationId: grant.installation_id,
      actor: grantActor(grant),
      action: refusal ? 'grant.refuse' : 'grant.authorize',
      object: objectOf(installation),
      detail: { grantId: grant.id, userUid: token.userUid, ...(refusal && { refusal }) }
    })
  })
  if (refusal) throw new AppError('forbidden', refusal, { remedy: 'Log in to Contentstack as the person who started, and start again.' })
  return { grantId: grant.id }
}

async function checkCallback(
  db: Db,
  deps: GrantDeps,
  input: GrantCallback
): Promise<{ grant: GrantRow; installation: Installation; app: AppCredentials }> {
  const again = { remedy: "Start again from the app's page." }
  const grant = await db.selectFrom('grant_flow').selectAll().where('state_hash', '=', hashOf(input.state)).executeTakeFirst()
  if (!grant) throw new AppError('forbidden', 'This callback belongs to no authorization that was started here', again)
  if (grant.used_at !== null) throw usedBefore()
  if (!input.cookie || !matches(input.cookie, grant.cookie_hash)) {
    throw new AppError('forbidden', 'This authorization was started in another browser', again)
  }
  if (Date.now() > grant.expires_at || grant.status !== 'started')
    throw new AppError('forbidden', 'This authorization took longer than ten minutes', again)
  const installation = await installationById(db, grant.installation_id)
  const app = appOf(deps.apps, installation)
  // A declined authorization need not name its region.
  if ((input.code || input.location !== '') && appAt(deps.apps, input.location).region.id !== app.region.id) {
    throw new AppError(
      'forbidden',
      `The authorization came back from region ${input.location}, but the stack is in ${app.region.location}`,
      again
    )
  }
  await assertActive(db, installation)
  return { grant, installation, app }
}

/** Why what was exchanged must not be used, or null. */
function refusalFor(token: Exchanged, expected: { organizationUid: string; userUid: string | null }): string | null {
  if (token.authorizationType !== 'user') return "Contentstack gave the app's own authorization instead of a person's"
  if (token.organizationUid !== expected.organizationUid)
    return 'The authorization was given for another organization than the one of this stack'
  if (expected.userUid !== null && token.userUid !== expected.userUid)
    return 'The authorization was given by another person than the one who started it'
  return null
}

async function failBeforeExchange(trx: Db, deps: GrantDeps, grant: GrantRow, words: string): Promise<void> {
  if (grant.verifier_secret_id) await deps.vault.erase(trx, grant.verifier_secret_id)
  const changes = { status: 'failed', error: words, verifier_secret_id: null, finished_at: Date.now() } as const
  await trx.updateTable('grant_flow').set(changes).where('id', '=', grant.id).execute()
  await appendAudit(trx, deps.vault, {
    organizationId: grant.organization_id,
    installationId: grant.installation_id,
    actor: grantActor(grant),
    action: 'grant.fail',
    object: { kind: 'grant', id: grant.id, name: grant.purpose },
    detail: { error: words }
  })
}

/**
 * Ends grants that nobody completed, and erases what must not outlive its time. Returns how many it touched. A callback that was cut
 * off between Contentstack's answer and our commit leaves an authorization that we cannot take back: it says so.
 */
export async function endStaleGrants(db: Db, deps: Pick<GrantDeps, 'vault'>, now: number = Date.now()): Promise<number> {
  const stale = await db
    .selectFrom('grant_flow')
    .selectAll()
    .where('finished_at', 'is', null)
    .where('status', '=', 'started')
    .where('expires_at', '<', now - 60_000)
    .execute()
  for (const grant of stale) {
    const words =
      grant.used_at === null
        ? 'It was not completed within ten minutes.'
        : "It was interrupted while being completed. Should the app stand under Authorized Apps in the person's Contentstack profile, remove it there."
    await db.transaction().execute(async trx => {
      if (grant.verifier_secret_id) await deps.vault.erase(trx, grant.verifier_secret_id)
      await trx
        .updateTable('grant_flow')
        .set({ status: 'failed', error: words, verifier_secret_id: null, ticket_hash: null, finished_at: now })
        .where('id', '=', grant.id)
        .where('status', '=', 'started')
        .execute()
    })
  }
  return stale.length
}

export async function grantById(db: Db, id: string): Promise<GrantRow> {
  const row = await db.selectFrom('grant_flow').selectAll().where('id', '=', id).executeTakeFirst()
  if (!row) throw new AppError('not_found', `There is no grant ${id}`)
  return row
}

export const optionsOf = (grant: GrantRow): GrantOptions => JSON.parse(grant.options_json) as GrantOptions

/** The person who began it, acting through their grant. */
export function grantActor(grant: GrantRow): Actor {
  const { name } = JSON.parse(grant.initiator_json) as Actor
  return { kind: 'grant', id: grant.id, name }
}

function checkChoices({ expiresInDays, branches, purpose }: GrantStart): void {
  if (expiresInDays !== null && !(Number.isInteger(expiresInDays) && expiresInDays >= 1 && expiresInDays <= 365)) {
    throw new AppError('invalid', 'A token expires after 1 to 365 days, or never', { fields: { expiresInDays: ['is not valid'] } })
  }
  if ((purpose === 'mint' || purpose === 'rotate') && branches.some(branch => !/^[a-z0-9_]{1,15}$/.test(branch))) {
    throw new AppError('invalid', 'Name branches by their uid: small letters, digits and _, at most 15', {
      fields: { branches: ['is not valid'] }
    })
  }
}

const usedBefore = (): AppError =>
  new AppError('forbidden', 'This authorization was used already', {
    remedy: "Look at the app's page: it may be done. Otherwise start again."
  })

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex')

function matches(text: string, hash: string | null): boolean {
  return hash !== null && timingSafeEqual(Buffer.from(hashOf(text)), Buffer.from(hash))
}
