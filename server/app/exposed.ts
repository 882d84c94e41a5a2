// What follows for those whose secrets a compromised key has wrapped: each installation's admins are told once, with what to press, and
// what we gave ourselves we make anew. Everything else only its owner can replace.
import { randomBytes } from 'node:crypto'
import { raiseAlert } from '../alerts/alert.ts'
import { recipientPurpose } from '../alerts/recipients.ts'
import { type Actor, appendAudit } from '../audit/audit.ts'
import type { Db } from '../database/database.ts'
import { custodyLinks } from '../installations/install.ts'
import { type Installation, installationById, objectOf } from '../installations/installation.ts'
import type { JobKind } from '../jobs/job.ts'
import { enqueue } from '../jobs/queue.ts'
import { exposedSecrets } from '../vault/status.ts'
import { secretPurpose } from '../webhooks/receive.ts'
import { registerKind } from '../webhooks/register.ts'
import type { Deps } from './deps.ts'

export type VaultDeps = Pick<Deps, 'db' | 'vault' | 'apps' | 'publicUrl' | 'log'>

const renewKind = 'vault.renew-webhook'

const remedies: Record<string, string> = {
  management_token: 'Rotate the management token.',
  connection: 'Give the connection new credentials, after changing them in its system.',
  [recipientPurpose]: 'Change the address or signing secret of the recipient, and enter it again.',
  [secretPurpose]: 'Made anew by Quayside as soon as the token works; nothing to do.',
  grant_access_token: 'Ends by itself within the hour.',
  pkce_verifier: 'Ends by itself within minutes.'
}

export function remedyOf(purpose: string): string {
  return remedies[purpose] ?? 'Replace what it opens.'
}

/** One alert for each installation, its webhook's secret made anew, one audit event. Repeating it tells nobody twice. */
export async function tellExposed(
  deps: VaultDeps,
  { compromised, actor }: { compromised: readonly string[]; actor: Actor },
  signal: AbortSignal
): Promise<void> {
  for (const [installationId, found] of await exposedByInstallation(deps.db)) {
    signal.throwIfAborted()
    await deps.db.transaction().execute(async trx => {
      const told = await trx
        .selectFrom('alert')
        .select('created_at')
        .where('installation_id', '=', installationId)
        .where('kind', '=', 'token.exposed')
        .orderBy('id', 'desc')
        .executeTakeFirst()
      if (told && told.created_at >= found.newest) return
      const installation = await installationById(trx, installationId)
      await raiseAlert(trx, alertOf(deps, installation, compromised, found.purposes))
      await enqueue(trx, { kind: renewKind, lane: 'live', payload: { installationId, actor }, group: installationId })
      await appendAudit(trx, deps.vault, {
        organizationId: installation.organization_id,
        installationId,
        actor,
        action: 'vault.compromise',
        object: objectOf(installation),
        detail: { keys: compromised, secrets: Object.fromEntries(found.purposes) }
      })
    })
  }
}

interface Exposed {
  purposes: Map<string, number>
  newest: number
}

async function exposedByInstallation(db: Db): Promise<Map<string, Exposed>> {
  const all = new Map<string, Exposed>()
  for (let after: string | undefined = ''; after !== undefined; ) {
    const rows = await exposedSecrets(db, { after, limit: 500 })
    for (const { installation_id: id, purpose, exposed_at: at } of rows) {
      if (id === null) continue
      const found = all.get(id) ?? { purposes: new Map<string, number>(), newest: 0 }
      found.purposes.set(purpose, (found.purposes.get(purpose) ?? 0) + 1)
      found.newest = Math.max(found.newest, at)
      all.set(id, found)
    }
    after = rows.at(-1)?.id
  }
  return all
}

function alertOf(deps: VaultDeps, installation: Installation, compromised: readonly string[], purposes: Map<string, number>) {
  const keys = compromised.map(id => `"${id}"`).join(', ')
  const todo = [...purposes].map(([purpose, count]) => `- ${count} x ${purpose}: ${remedyOf(purpose)}`)
  return {
    organizationId: installation.organization_id,
    installationId: installation.id,
    kind: 'token.exposed' as const,
    title: `Secrets of ${objectOf(installation).name} may be known to others`,
    text: `The operator of this server has given the key ${keys} as compromised. It sealed secrets of this installation:\n${todo.join('\n')}`,
    // A region that is not configured any more has no page to open.
    links: deps.apps.some(({ region }) => region.id === installation.region) ? custodyLinks(deps, installation) : []
  }
}

/**
 * Payload { installationId, actor }, in the installation's own group: while its token is dead nobody could tell Contentstack the new
 * secret. What Contentstack sends under the old one until then is refused, and sent again by it (contentstack.md §7.5).
 */
export function renewJob({ db, vault }: VaultDeps): JobKind<{ installationId: string; actor: Actor }> {
  return {
    kind: renewKind,
    lane: 'live',
    maxAttempts: 10,
    timeoutSeconds: 60,
    async run({ installationId, actor }) {
      return await db.transaction().execute(async trx => {
        const installation = await installationById(trx, installationId)
        const { webhook_secret_id: old, organization_id: organizationId, status } = installation
        if (status !== 'active' || old === null) return { cancel: 'it has no webhook of ours' }
        if ((await vault.statesOf(trx, [old])).get(old) !== 'exposed') return { cancel: 'its secret was replaced already' }
        const secret = randomBytes(32).toString('base64url')
        const id = await vault.put(trx, { organizationId, installationId, purpose: secretPurpose }, secret)
        await trx
          .updateTable('installation')
          .set({ webhook_secret_id: id, updated_at: Date.now() })
          .where('id', '=', installationId)
          .execute()
        await vault.erase(trx, old)
        const uniqueKey = `${registerKind} ${installationId}`
        await enqueue(trx, { kind: registerKind, lane: 'live', payload: { installationId }, group: installationId, uniqueKey })
        await appendAudit(trx, vault, {
          organizationId,
          installationId,
          actor,
          action: 'webhook.renew',
          object: objectOf(installation),
          detail: { why: 'exposed' }
        })
      })
    }
  }
}
