// The webhook door's checks, cheapest first, and the one transaction that must be over before a 2xx: { delivery; job }. A stranger
// costs at most one look at an installation and leaves no row. The regional key signs for every app of the region, so a signature
// alone proves little: our own secret header, the installation and its stack must agree as well (security.md, Webhooks).
// Refusals are `forbidden` (403), never `unauthorized`: ten 401 in a row and Contentstack disables the webhook (contentstack.md §7.5).
import { createHash, timingSafeEqual } from 'node:crypto'
import type { AppCredentials } from '../contentstack/oauth.ts'
import type { Region } from '../contentstack/regions.ts'
import { verifyWebhook, withPublicKey } from '../contentstack/signatures.ts'
import type { Database, Db } from '../database/database.ts'
import { AppError } from '../errors.ts'
import { appOf } from '../installations/install.ts'
import { findInstallation } from '../installations/installation.ts'
import type { Vault } from '../vault/vault.ts'
import { notYetKnown } from './delivery.ts'
import { keepDelivery, type Receipt } from './inbox.ts'
import { mainBranch, readContentNotice, readLifecycleNotice } from './notice.ts'

export interface ReceiveDeps {
  apps: readonly AppCredentials[]
  vault: Vault
  fetch?: typeof fetch
}

export interface ReceivedWebhook {
  /** As the bytes came: no parser may have touched them. */
  rawBody: Buffer
  /** Names in small letters. */
  headers: Record<string, string | string[] | undefined>
}

export const secretHeader = 'x-quayside-secret'
export const signatureHeader = 'x-contentstack-request-signature'
export const secretPurpose = 'webhook_header'

export const largestWebhookBytes = 2 * 1024 * 1024
/** Contentstack's automatic retries end after about 13 minutes, presumably with the first body; replays within are found by dedupe. */
const oldestMs = 45 * 60_000
const furthestAheadMs = 5 * 60_000

/** AppError forbidden, invalid (a genuine webhook that says nothing we can read), upstream (the region's key cannot be read). */
export async function receiveContent(
  database: Pick<Database, 'db'>,
  deps: ReceiveDeps,
  webhook: ReceivedWebhook & { installationId: string; branch?: string },
  now = Date.now()
): Promise<Receipt> {
  const { secret, signature } = presented(webhook)
  if (webhook.branch !== undefined && !/^[\w-]{1,100}$/.test(webhook.branch)) throw strange()
  const listener = /^ins_[a-z0-9]{10,40}$/.test(webhook.installationId) ? await listenerFor(database.db, deps, webhook, secret) : null
  if (!listener) throw strange()
  const body = await covered(appOf(deps.apps, listener).region, deps, webhook.rawBody, signature)
  const notice = readContentNotice(body)
  if (notice.apiKey !== listener.stack_api_key) throw strange()
  assertTimely(notice.triggeredAt, now)
  const branch = notice.branch ?? webhook.branch ?? mainBranch
  const delivery = {
    ...notice,
    organizationId: listener.organization_id,
    installationId: listener.id,
    branch,
    // Concise payloads of two branches may be equal to the byte.
    door: `content ${listener.id}${branch === mainBranch ? '' : ` ${branch}`}`,
    body,
    receivedAt: now
  }
  return await keepDelivery(database, {
    delivery,
    group: listener.id,
    async allowed(trx) {
      const standing = await listening(trx, listener.id)
      // Ended, or its secret replaced, since we learned of it.
      if (standing?.webhook_secret_id !== listener.webhook_secret_id) throw strange()
    }
  })
}

/** `region` is the id in the door's address. AppError as receiveContent. */
export async function receiveLifecycle(
  database: Pick<Database, 'db'>,
  deps: ReceiveDeps,
  webhook: ReceivedWebhook & { region: string },
  now = Date.now()
): Promise<Receipt> {
  const { db } = database
  const { secret, signature } = presented(webhook)
  const apps = deps.apps.filter(app => app.region.id === webhook.region && same(secret, hashOf(app.webhookSecret)))
  const [first] = apps
  if (!first) throw strange()
  const body = await covered(first.region, deps, webhook.rawBody, signature)
  const notice = readLifecycleNotice(body)
  if (!apps.some(app => app.appUid === notice.appUid)) throw strange()
  assertTimely(notice.triggeredAt, now)
  const known = await findInstallation(db, { region: webhook.region, installationUid: notice.installationUid })
  const delivery = {
    organizationId: known?.organization_id ?? notYetKnown,
    installationId: known?.id ?? notYetKnown,
    door: `lifecycle ${webhook.region}`,
    module: 'app_installation',
    event: notice.event,
    objectUid: notice.installationUid,
    contentType: null,
    locale: null,
    branch: null,
    version: null,
    triggeredAt: notice.triggeredAt,
    body,
    receivedAt: now
  }
  // Not in the installation's group: a held installation must still hear that it was uninstalled.
  return await keepDelivery(database, { delivery, region: webhook.region, key: `lifecycle ${webhook.region} ${notice.installationUid}` })
}

/** Nothing is looked up for a request that does not even carry both. */
function presented({ rawBody, headers }: ReceivedWebhook): { secret: Buffer; signature: string } {
  const secret = headers[secretHeader]
  const signature = headers[signatureHeader]
  if (typeof secret !== 'string' || secret === '' || secret.length > 256 || typeof signature !== 'string' || signature.length > 2048)
    throw strange()
  if (rawBody.length === 0 || rawBody.length > largestWebhookBytes) throw new AppError('invalid', 'The webhook is empty or too large.')
  return { secret: hashOf(secret), signature }
}

async function listening(db: Db, installationId: string) {
  return await db
    .selectFrom('installation')
    .innerJoin('organization', 'organization.id', 'installation.organization_id')
    .select(['installation.id', 'installation.organization_id', 'installation.region', 'stack_api_key', 'webhook_secret_id'])
    .where('installation.id', '=', installationId)
    .where('installation.status', '=', 'active')
    .where('organization.status', '=', 'claimed')
    .executeTakeFirst()
}

type Listener = NonNullable<Awaited<ReturnType<typeof listening>>> & { secretHash: Buffer }

/** What is known of who listens, so that a storm does not ask for it with each webhook; judged anew in the transaction that keeps one. */
const listeners = new WeakMap<Db, Map<string, Listener>>()
const mostListeners = 2_000

/** null when nobody listens there, or not with this secret. */
async function listenerFor(
  db: Db,
  deps: ReceiveDeps,
  { installationId }: { installationId: string },
  secret: Buffer
): Promise<Listener | null> {
  const known = listeners.get(db) ?? new Map<string, Listener>()
  listeners.set(db, known)
  const remembered = known.get(installationId)
  if (remembered && same(secret, remembered.secretHash)) return remembered
  const row = await listening(db, installationId)
  if (!row || row.webhook_secret_id === null) return null
  const secretHash = hashOf(await deps.vault.reveal(db, row.webhook_secret_id, secretPurpose))
  if (!same(secret, secretHash)) return null
  if (known.size >= mostListeners) known.clear()
  const listener = { ...row, secretHash }
  known.set(installationId, listener)
  return listener
}

async function covered(region: Region, deps: ReceiveDeps, rawBody: Buffer, signature: string): Promise<Buffer> {
  const body = await withPublicKey(region, key => verifyWebhook(rawBody, signature, key), deps.fetch ? { fetch: deps.fetch } : {})
  if (!body) throw strange()
  return body
}

function assertTimely(triggeredAt: number, now: number): void {
  if (now - triggeredAt > oldestMs) {
    throw new AppError('forbidden', 'This webhook is too old to be taken.', { remedy: 'To carry an entry over once more, use "Sync now".' })
  }
  if (triggeredAt - now > furthestAheadMs) {
    throw new AppError('forbidden', 'This webhook comes from the future.', { remedy: "Check this server's clock." })
  }
}

function same(presented: Buffer, expected: Buffer): boolean {
  return presented.length === expected.length && timingSafeEqual(presented, expected)
}

function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** One refusal for every reason, so that nobody learns which installation ids exist or which check failed. */
function strange(): AppError {
  return new AppError('forbidden', 'This webhook is not from Contentstack for this installation.')
}
