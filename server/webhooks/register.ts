// Our content webhook in a stack: made or mended with the management token whenever one becomes current, and on a schedule, since
// Contentstack disables a webhook after ten failures (contentstack.md §7.5). Its header carries a secret of this installation alone,
// sealed before Contentstack learns it, so that the first delivery can already be checked.
import { randomBytes } from 'node:crypto'
import { appendAudit } from '../audit/audit.ts'
import type { NewWebhook, StackClient, Webhook } from '../contentstack/stack.ts'
import type { Database, Db } from '../database/database.ts'
import { type CredentialDeps, stackFor } from '../installations/credentials.ts'
import { type Installation, installationById, objectOf, webhookName } from '../installations/installation.ts'
import type { JobKind } from '../jobs/job.ts'
import { startRun } from '../sync/runs.ts'
import { mainBranch } from './notice.ts'
import { secretHeader, secretPurpose } from './receive.ts'

export interface RegisterDeps extends CredentialDeps {
  database: Pick<Database, 'db'>
  /** Origin without a trailing slash. */
  publicUrl: string
}

export const registerKind = 'webhooks.register'

/** https://www.contentstack.com/docs/developers/set-up-webhooks/webhook-events (contentstack.md §7.2). */
export const contentChannels = [
  'content_types.entries.create',
  'content_types.entries.update',
  'content_types.entries.delete',
  'content_types.entries.environments.publish.success',
  'content_types.entries.environments.unpublish.success',
  'assets.create',
  'assets.update',
  'assets.delete',
  'assets.environments.publish.success',
  'assets.environments.unpublish.success'
]

/** Payload { installationId }. Repeating it is harmless: what stands already is written once more as it must be. */
export function registerJob(deps: RegisterDeps): JobKind<{ installationId: string }> {
  return {
    kind: registerKind,
    lane: 'live',
    maxAttempts: 10,
    timeoutSeconds: 120,
    async run({ installationId }, { signal, log }) {
      const { db } = deps.database
      const installation = await installationById(db, installationId)
      if (installation.status !== 'active') return { cancel: `the installation is ${installation.status}` }
      const secret = await ensureSecret(db, deps, installation.id)
      const stack = await stackFor(db, deps, installationId, { lane: 'live', actor: { kind: 'system', id: 'webhooks' }, signal })
      const { webhook, was } = await ensureWebhook(stack, installation, wantedWebhook(deps, installation, secret))
      await remember(db, deps, installation, webhook.uid, was)
      log.info({ installationId, webhookUid: webhook.uid, was }, 'content webhook registered')
    }
  }
}

function wantedWebhook(deps: RegisterDeps, installation: Installation, secret: string): NewWebhook {
  return {
    name: webhookName(installation),
    destinations: [
      { target_url: `${deps.publicUrl}/webhooks/content/${installation.id}`, custom_header: [{ header_name: secretHeader, value: secret }] }
    ],
    channels: contentChannels,
    branches: [mainBranch],
    retry_policy: 'automatic',
    disabled: false,
    concise_payload: true
  }
}

/** Committed before the request to Contentstack: a repeat after a crash reuses the same secret. */
async function ensureSecret(db: Db, deps: RegisterDeps, installationId: string): Promise<string> {
  return await db.transaction().execute(async trx => {
    const { webhook_secret_id: known, organization_id: organizationId } = await installationById(trx, installationId)
    if (known !== null) return await deps.vault.reveal(trx, known, secretPurpose)
    const secret = randomBytes(32).toString('base64url')
    const id = await deps.vault.put(trx, { organizationId, installationId, purpose: secretPurpose }, secret)
    // Two workers at once: whoever comes second finds the first one's id, and its own secret is erased unused.
    const set = await trx
      .updateTable('installation')
      .set({ webhook_secret_id: id, updated_at: Date.now() })
      .where('id', '=', installationId)
      .where('webhook_secret_id', 'is', null)
      .executeTakeFirst()
    if (set.numUpdatedRows === 1n) return secret
    await deps.vault.erase(trx, id)
    const { webhook_secret_id: theirs } = await installationById(trx, installationId)
    return await deps.vault.reveal(trx, theirs ?? '', secretPurpose)
  })
}

type Before = 'absent' | 'standing' | 'disabled'

/** Found by the uid we remember, or by our address when its creation's answer was lost. Others of ours are removed. */
async function ensureWebhook(
  stack: StackClient,
  installation: Installation,
  wanted: NewWebhook
): Promise<{ webhook: Webhook; was: Before }> {
  const target = wanted.destinations[0]?.target_url
  const all = await stack.webhooks()
  const ours = all.filter(
    webhook => webhook.uid === installation.webhook_uid || webhook.destinations.some(({ target_url }) => target_url === target)
  )
  const standing = ours.find(webhook => webhook.uid === installation.webhook_uid) ?? ours[0]
  for (const extra of ours) if (extra.uid !== standing?.uid) await stack.deleteWebhook(extra.uid)
  if (!standing) return { webhook: await stack.createWebhook(wanted), was: 'absent' }
  // Written even where it looks right: whether a listed header shows its value is not established.
  return { webhook: await stack.updateWebhook(standing.uid, wanted), was: standing.disabled ? 'disabled' : 'standing' }
}

async function remember(db: Db, deps: RegisterDeps, installation: Installation, webhookUid: string, was: Before): Promise<void> {
  if (was === 'standing' && installation.webhook_uid === webhookUid) return
  const deaf = was === 'disabled' || (was === 'absent' && installation.webhook_uid !== null)
  await db.transaction().execute(async trx => {
    await trx
      .updateTable('installation')
      .set({ webhook_uid: webhookUid, updated_at: Date.now() })
      .where('id', '=', installation.id)
      .execute()
    const runs = deaf ? await catchUp(trx, installation) : 0
    await appendAudit(trx, deps.vault, {
      organizationId: installation.organization_id,
      installationId: installation.id,
      actor: { kind: 'system', id: 'webhooks', name: 'Webhook registration' },
      action: was === 'disabled' ? 'webhook.enable' : 'webhook.register',
      object: objectOf(installation),
      detail: { webhookUid, was, catchUpRuns: runs }
    })
  })
}

/** Contentstack replays nothing of what a disabled or deleted webhook missed (contentstack.md §7.5), so each sync looks for itself. */
async function catchUp(trx: Db, installation: Installation): Promise<number> {
  const syncs = await trx
    .selectFrom('sync')
    .selectAll()
    .where('installation_id', '=', installation.id)
    .where('direction', '=', 'outbound')
    .where('state', '=', 'active')
    .execute()
  for (const sync of syncs) await startRun(trx, { sync, cause: 'reconcile', causedBy: 'webhook that was disabled or deleted' })
  return syncs.length
}
