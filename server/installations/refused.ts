// What a refused token means. Only a 401 with code 105 on the current token, confirmed by a health request of our own, is a death:
// scripts can provoke other 401s, and a token that was replaced while a request was under way is no news. A death holds the
// installation's jobs, so that they wait instead of failing, and says so to people.
import type { AppCredentials } from '../contentstack/oauth.ts'
import { raiseAlert } from '../alerts/alert.ts'
import type { Db } from '../database/database.ts'
import { hold } from '../jobs/queue.ts'
import type { Log } from '../log.ts'
import type { Vault } from '../vault/vault.ts'
import type { Budget } from './budget.ts'
import { appOf, custodyLinks } from './install.ts'
import { type Installation, installationById, objectOf } from './installation.ts'
import { branchOf, probeToken } from './probe.ts'
import { activeToken } from './token.ts'
import { moveTokens, type TokenRow } from './transitions.ts'

export interface RefusedDeps {
  vault: Vault
  apps: readonly AppCredentials[]
  budget: Budget
  publicUrl: string
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
  const token = await deps.vault.reveal(db, current.secret_id, 'management_token')
  const app = appOf(deps.apps, installation)
  try {
    if ((await probeToken(deps, { app, installation, token, branch: branchOf(current) })) === 'accepted') return 'refused'
  } catch {
    // Contentstack does not say now; whoever was refused asks again.
    return 'refused'
  }
  const died = await buryToken(db, deps, installation, current)
  if (died)
    deps.log.warn({ installationId: installation.id, tokenId: current.id }, 'the management token is dead; the installation is on hold')
  return (await activeToken(db, input.installationId)) ? 'repeat' : 'refused'
}

const watcher = { kind: 'system', id: 'custody', name: 'Token custody' } as const

/** Token, hold, alert and audit in one transaction. False when the token was no longer current. */
async function buryToken(db: Db, deps: RefusedDeps, installation: Installation, row: TokenRow): Promise<boolean> {
  const expired = row.expires_at !== null && row.expires_at <= Date.now()
  const error = expired
    ? `It expired on ${new Date(row.expires_at ?? 0).toISOString().slice(0, 10)}.`
    : 'Contentstack refuses it (401, code 105), confirmed by a request of our own.'
  const detail = { fingerprint: row.fingerprint, expiresAt: row.expires_at }
  return await moveTokens(db, deps.vault, watcher, async (trx, { move }) => {
    if (!(await move({ row, to: 'dead', why: error, changes: { error }, detail }))) return false
    await hold(trx, installation.id, deadTokenReason)
    const { name } = objectOf(installation)
    await raiseAlert(trx, {
      organizationId: installation.organization_id,
      installationId: installation.id,
      kind: 'token.dead',
      title: `Contentstack refuses the management token of ${name}`,
      text: `${error} The syncs of this stack are on hold; nothing is lost. They go on as soon as an Owner or Admin of the stack connects it anew.`,
      links: custodyLinks(deps, installation)
    })
    return true
  })
}
