// What a refused token means. Only a 401 with code 105 on the current token, confirmed by a health request of our own, is a death:
// scripts can provoke other 401s, and a token that was replaced while a request was under way is no news. A death holds the
// installation's jobs, so that they wait instead of failing, and says so to people.
import type { AppCredentials } from '../contentstack/oauth.ts'
import { createCma } from '../contentstack/cma.ts'
import { isTokenRefusal } from '../contentstack/refusal.ts'
import { createStack } from '../contentstack/stack.ts'
import { appendAudit } from '../audit/audit.ts'
import type { Db } from '../database/database.ts'
import { hold } from '../jobs/queue.ts'
import type { Log } from '../log.ts'
import type { Vault } from '../vault/vault.ts'
import type { Budget } from './budget.ts'
import { appOf, fetchOf } from './install.ts'
import { installationById } from './installation.ts'
import { activeToken, moveToken } from './token.ts'

export interface RefusedDeps {
  vault: Vault
  apps: readonly AppCredentials[]
  budget: Budget
  log: Log
  fetch?: typeof fetch
}

export const deadTokenReason =
  'Contentstack no longer accepts the management token of this stack (expired, revoked or deleted). A stack admin connects it anew; everything that waits goes on then.'

/** 'repeat': another token is current by now. 'refused': the refusal stands; the token may have been found dead. */
export async function tokenRefused(
  db: Db,
  deps: RefusedDeps,
  input: { installationId: string; tokenId: string }
): Promise<'repeat' | 'refused'> {
  const current = await activeToken(db, input.installationId)
  if (!current?.secret_id) return 'refused'
  if (current.id !== input.tokenId) return 'repeat'
  const installation = await installationById(db, input.installationId)
  const value = await deps.vault.reveal(db, current.secret_id, 'management_token')
  const cma = createCma({
    region: appOf(deps.apps, installation).region,
    apiKey: installation.stack_api_key,
    credential: () => Promise.resolve({ header: 'authorization', value }),
    acquire: (kind, lane, signal) => deps.budget.acquire(installation.organization_id, kind, lane, signal),
    learn: (kind, news) => deps.budget.learn(installation.organization_id, kind, news),
    log: deps.log,
    ...fetchOf(deps)
  })
  try {
    await createStack(cma, { lane: 'people' }).health()
    return 'refused'
  } catch (error) {
    if (!isTokenRefusal(error)) return 'refused'
  }
  await db.transaction().execute(async trx => {
    const still = await activeToken(trx, input.installationId)
    if (still?.id !== current.id) return
    await moveToken(trx, still, 'dead', { error: 'Contentstack refuses it (401, code 105), confirmed by a request of our own.' })
    await hold(trx, installation.id, deadTokenReason)
    await appendAudit(trx, deps.vault, {
      organizationId: installation.organization_id,
      installationId: installation.id,
      actor: { kind: 'system', id: 'custody', name: 'Token custody' },
      action: 'token.die',
      object: { kind: 'management_token', id: still.id, name: still.name },
      detail: { fingerprint: still.fingerprint, expiresAt: still.expires_at }
    })
  })
  deps.log.warn({ installationId: installation.id, tokenId: current.id }, 'the management token is dead; the installation is on hold')
  return (await activeToken(db, input.installationId)) ? 'repeat' : 'refused'
}
