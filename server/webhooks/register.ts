// Our content webhooks in a stack, one for each branch that a sync reads: made or mended with the management token whenever one becomes current, and on a schedule, since
// Contentstack disables a webhook after ten failures (contentstack.md §7.5). Its header carries a secret of this installation alone,
// sealed before Contentstack learns it, so that the first delivery can already be checked.
import { randomBytes } from 'node:crypto'
import { appendAudit } from '../audit/audit.ts'
import type { NewWebhook, StackClient, Webhook } from '../contentstack/stack.ts'
import type { Database, Db } from '../database/database.ts'
import { type CredentialDeps, stackFor } from '../installations/credentials.ts'
import { type Installation, installationById, objectOf, webhookName } from '../installations/installation.ts'
import type { JobKind } from '../jobs/job.ts'
import { compareExecutions, type ContentWebhookRow, lookForThemselves } from './health.ts'
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
  'assets.environments.unpublish.success',
  // A mapping may no longer fit what they describe.
  'content_types.update',
  'content_types.delete',
  'global_fields.update',
  'global_fields.delete'
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
      const there = await stack.webhooks()
      const wanted = await wantedBranches(db, installationId)
      const known = await knownWebhooks(db, installation)
      for (const branch of wanted) {
        const row = known.get(branch) ?? null
        const { webhook, was } = await ensureWebhook(
          db,
          stack,
          { installation, row, there },
          wantedWebhook(deps, installation, branch, secret)
        )
        const standing = await remember(db, deps, installation, { branch, row, webhook, was })
        const missed = await compareExecutions(deps.database, stack, installation, standing)
        log.info({ installationId, branch, webhookUid: webhook.uid, was, missed }, 'content webhook registered')
      }
      for (const row of known.values()) if (!wanted.includes(row.branch)) await letGo(db, stack, row)
    }
  }
}

/** One webhook covers one branch (reference §7.1): `main`, which every stack has, and those that an active sync reads. */
async function wantedBranches(db: Db, installationId: string): Promise<string[]> {
  const syncs = await db
    .selectFrom('sync')
    .select('branch')
    .distinct()
    .where('installation_id', '=', installationId)
    .where('direction', '=', 'outbound')
    .where('state', '=', 'active')
    .orderBy('branch')
    .execute()
  return [...new Set([mainBranch, ...syncs.map(({ branch }) => branch)])]
}

async function knownWebhooks(db: Db, installation: Installation): Promise<Map<string, ContentWebhookRow>> {
  const rows = await db.selectFrom('content_webhook').selectAll().where('installation_id', '=', installation.id).execute()
  return new Map(rows.map(row => [row.branch, row]))
}

function targetOf(deps: RegisterDeps, installation: Installation, branch: string): string {
  const target = `${deps.publicUrl}/webhooks/content/${installation.id}`
  // Concise payloads name no branch, so the address does.
  return branch === mainBranch ? target : `${target}/${branch}`
}

function wantedWebhook(deps: RegisterDeps, installation: Installation, branch: string, secret: string): NewWebhook {
  return {
    name: branch === mainBranch ? webhookName(installation) : `${webhookName(installation)} (${branch})`,
    destinations: [{ target_url: targetOf(deps, installation, branch), custom_header: [{ header_name: secretHeader, value: secret }] }],
    channels: contentChannels,
    branches: [branch],
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

interface Found {
  installation: Installation
  row: ContentWebhookRow | null
  there: readonly Webhook[]
}

/** What we were told when it was registered, by this version or by one that knew one branch. */
const uidOf = ({ installation, row }: Pick<Found, 'installation' | 'row'>, branch: string): string | null =>
  row?.webhook_uid ?? (branch === mainBranch ? installation.webhook_uid : null)

/** Found by the uid we remember, or by our address when its creation's answer was lost. Others of ours are removed. */
async function ensureWebhook(db: Db, stack: StackClient, found: Found, wanted: NewWebhook): Promise<{ webhook: Webhook; was: Before }> {
  const target = wanted.destinations[0]?.target_url
  const [branch = mainBranch] = wanted.branches ?? []
  const known = uidOf(found, branch)
  const ours = found.there.filter(webhook => webhook.uid === known || webhook.destinations.some(({ target_url }) => target_url === target))
  const standing = ours.find(webhook => webhook.uid === known) ?? ours[0]
  for (const extra of ours) if (extra.uid !== standing?.uid) await stack.deleteWebhook(extra.uid)
  if (!standing) return { webhook: await stack.createWebhook(wanted), was: 'absent' }
  if (standing.disabled) await noteDisabled(db, found.installation, branch, standing)
  // Written even where it looks right: whether a listed header shows its value is not established.
  return { webhook: await stack.updateWebhook(standing.uid, wanted), was: standing.disabled ? 'disabled' : 'standing' }
}

/** Before it is mended, which may fail. The CMS touched it last when it disabled it; where it does not say, now is what we know. */
async function noteDisabled(db: Db, installation: Installation, branch: string, webhook: Webhook): Promise<void> {
  const since = Date.parse(webhook.updated_at ?? '')
  const disabled_at = Number.isNaN(since) ? Date.now() : since
  await db
    .insertInto('content_webhook')
    .values({ ...newRow(installation, branch), webhook_uid: webhook.uid, disabled_at })
    .onConflict(conflict => conflict.columns(['installation_id', 'branch']).doUpdateSet({ disabled_at, enabled_at: null }))
    .execute()
}

const newRow = ({ id, organization_id }: Installation, branch: string): ContentWebhookRow => ({
  installation_id: id,
  organization_id,
  branch,
  webhook_uid: null,
  compared_until: null,
  missed: 0,
  missed_at: null,
  disabled_at: null,
  enabled_at: null,
  gap_runs_json: '[]'
})

interface Registered {
  branch: string
  row: ContentWebhookRow | null
  webhook: Webhook
  was: Before
}

async function remember(db: Db, deps: RegisterDeps, installation: Installation, registered: Registered): Promise<ContentWebhookRow> {
  const { branch, row, webhook, was } = registered
  if (row && was === 'standing' && row.webhook_uid === webhook.uid) return row
  const known = uidOf({ installation, row }, branch)
  // A branch's syncs may have begun to read before its webhook stood.
  const deaf = was === 'disabled' || (was === 'absent' && (known !== null || branch !== mainBranch))
  return await db.transaction().execute(async trx => {
    if (branch === mainBranch) {
      await trx
        .updateTable('installation')
        .set({ webhook_uid: webhook.uid, updated_at: Date.now() })
        .where('id', '=', installation.id)
        .execute()
    }
    const runs = deaf ? await lookForThemselves(trx, installation, branch, 'webhook that was disabled or deleted') : []
    const changes = {
      webhook_uid: webhook.uid,
      ...(was === 'absent' && known !== null ? { disabled_at: row?.compared_until ?? Date.now() } : {}),
      ...(deaf ? { enabled_at: Date.now(), gap_runs_json: JSON.stringify(runs) } : {})
    }
    const kept = await trx
      .insertInto('content_webhook')
      .values({ ...newRow(installation, branch), ...changes })
      .onConflict(conflict => conflict.columns(['installation_id', 'branch']).doUpdateSet(changes))
      .returningAll()
      .executeTakeFirstOrThrow()
    if (was === 'standing' && known === webhook.uid) return kept
    await appendAudit(trx, deps.vault, {
      organizationId: installation.organization_id,
      installationId: installation.id,
      actor: { kind: 'system', id: 'webhooks', name: 'Webhook registration' },
      action: was === 'disabled' ? 'webhook.enable' : 'webhook.register',
      object: objectOf(installation),
      detail: { webhookUid: webhook.uid, branch, was, catchUpRuns: runs.length }
    })
    return kept
  })
}

/** No sync reads that branch any more. */
async function letGo(db: Db, stack: StackClient, row: ContentWebhookRow): Promise<void> {
  if (row.webhook_uid !== null) await stack.deleteWebhook(row.webhook_uid)
  await db.deleteFrom('content_webhook').where('installation_id', '=', row.installation_id).where('branch', '=', row.branch).execute()
}
