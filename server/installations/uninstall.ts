// What an uninstall from our side does before the token is given up: nothing new begins, and our content webhook goes, as long as the
// token can still remove it. What it cannot remove is told (installation.ts, leftStanding); it does not hold up the rest.
import { appendAudit } from '../audit/audit.ts'
import type { Db } from '../database/database.ts'
import { isAppError } from '../errors.ts'
import { hold } from '../jobs/queue.ts'
import { type CredentialDeps, stackFor } from './credentials.ts'
import { grantActor, grantAttempts } from './grant.ts'
import { type Installation, objectOf } from './installation.ts'
import type { GrantWork } from './retire.ts'

/** Throws AppError upstream | rate_limited while it is worth another try. */
export async function prepareUninstall(db: Db, deps: CredentialDeps, work: GrantWork): Promise<void> {
  const { installation, attempt, signal } = work
  await hold(db, installation.id, 'Quayside is being uninstalled from this stack.')
  const others = await db.selectFrom('content_webhook').select('webhook_uid').where('installation_id', '=', installation.id).execute()
  const uids = new Set([installation.webhook_uid, ...others.map(({ webhook_uid }) => webhook_uid)].filter(uid => uid !== null))
  if (uids.size === 0) return
  try {
    const stack = await stackFor(db, deps, installation.id, { lane: 'people', actor: { kind: 'system', id: 'custody' }, signal })
    for (const uid of uids) await stack.deleteWebhook(uid)
  } catch (error) {
    const passing = isAppError(error, 'upstream') || isAppError(error, 'rate_limited')
    if (passing && attempt < webhookAttempts) throw error
    deps.log.warn({ installationId: installation.id, error }, 'the content webhook could not be removed')
    return
  }
  await forgetWebhook(db, deps, installation, work)
}

/** Then the webhook is left, and the tokens, which matter more, still have tries. */
const webhookAttempts = grantAttempts - 4

async function forgetWebhook(db: Db, deps: CredentialDeps, installation: Installation, { grant }: GrantWork): Promise<void> {
  await db.transaction().execute(async trx => {
    await trx.updateTable('installation').set({ webhook_uid: null, updated_at: Date.now() }).where('id', '=', installation.id).execute()
    await trx.deleteFrom('content_webhook').where('installation_id', '=', installation.id).execute()
    await appendAudit(trx, deps.vault, {
      organizationId: installation.organization_id,
      installationId: installation.id,
      actor: grantActor(grant),
      action: 'webhook.remove',
      object: objectOf(installation),
      detail: { webhookUid: installation.webhook_uid, grantId: grant.id }
    })
  })
}
