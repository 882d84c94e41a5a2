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
import { readContentNotice, readLifecycleNotice } from './notice.ts'

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
  webhook: ReceivedWebhook & { installationId: string },
  now = Date.now()
): Promise<Receipt> {
  const { db } = database
  const { secret, signature } = presented(webhook)
  const installation = /^ins_[a-z0-9]{10,40}$/.test(webhook.installationId) ? await listening(db, webhook.installationId) : null
  if (!installation || !same(secret, await secretHash(db, deps.vault, installation.webhook_secret_id))) throw strange()
  const body = await covered(appOf(deps.apps, installation).region, deps, webhook.rawBody, signature)
  const notice = readContentNotice(body)
  if (notice.apiKey !== installation.stack_api_key) throw strange()
  assertTimely(notice.triggeredAt, now)
  const delivery = {
    ...notice,
    organizationId: installation.organization_id,
    installationId: installation.id,
    door: `content ${installation.id}`,
    body,
    receivedAt: now
  }
  return await keepDelivery(database, { delivery, group: installation.id })
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

/** Hashes of header secrets by secret id: a secret never changes under its id, and an erased one is no longer asked for. */
const hashes = new Map<string, Buffer>()
const mostHashes = 2_000

async function secretHash(db: Db, vault: Vault, secretId: string | null): Promise<Buffer> {
  if (secretId === null) throw strange()
  const known = hashes.get(secretId)
  if (known) return known
  const hash = hashOf(await vault.reveal(db, secretId, secretPurpose))
  if (hashes.size >= mostHashes) hashes.clear()
  hashes.set(secretId, hash)
  return hash
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
