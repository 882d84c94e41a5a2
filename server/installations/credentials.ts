// stackFor(): a ready client of one stack, composed of the token in custody, the organization's budget and the write ledger. The token
// is in clear only for the request that carries it. A 401 is looked into here: a superseded token is replaced in place, a dead one
// puts the installation on hold.
import { createCma } from '../contentstack/cma.ts'
import type { RequestLane } from '../contentstack/cma.ts'
import type { AppCredentials } from '../contentstack/oauth.ts'
import { createStack, type StackClient } from '../contentstack/stack.ts'
import type { Db } from '../database/database.ts'
import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Vault } from '../vault/vault.ts'
import type { Budget } from './budget.ts'
import { appOf, fetchOf } from './install.ts'
import { assertActive, type Installation, installationById } from './installation.ts'
import { recordWrite, touchedBy, type WriteActor } from './ledger.ts'
import { tokenRefused } from './refused.ts'
import { activeToken } from './token.ts'

export interface CredentialDeps {
  vault: Vault
  apps: readonly AppCredentials[]
  budget: Budget
  /** For the links of an alert. */
  publicUrl: string
  log: Log
  fetch?: typeof fetch
}

export interface StackUse {
  lane: RequestLane
  /** Whose writes these are. */
  actor: WriteActor
  signal?: AbortSignal
  branch?: string
  /** A read that would wait for longer throws a ComeBack instead, for jobs of which many wait; a write, once decided on, waits. */
  patienceSeconds?: number
}

/**
 * Throws AppError not_found (no such installation), conflict (not active), unauthorized (no token in custody); each call of the client
 * throws unauthorized as well once the token is dead, the installation being on hold then.
 */
export async function stackFor(db: Db, deps: CredentialDeps, installationId: string, use: StackUse): Promise<StackClient> {
  const installation = await installationById(db, installationId)
  await assertActive(db, installation)
  await currentToken(db, installation)
  const organizationId = installation.organization_id
  const cma = createCma({
    region: appOf(deps.apps, installation).region,
    apiKey: installation.stack_api_key,
    async credential() {
      const token = await currentToken(db, installation)
      return { header: 'authorization', value: await deps.vault.reveal(db, token.secretId, 'management_token'), id: token.id }
    },
    acquire: (kind, lane, signal) =>
      deps.budget.acquire(organizationId, kind, lane, signal, kind === 'read' ? use.patienceSeconds : undefined),
    learn: (kind, news) => deps.budget.learn(organizationId, kind, news),
    onRefused: credential => tokenRefused(db, deps, { installationId, tokenId: credential.id ?? '' }),
    onWritten: async write => {
      const { method, path, status } = write
      await recordWrite(db, { organizationId, installationId, actor: use.actor, method, path, status, ...touchedBy(write) })
    },
    log: deps.log,
    ...fetchOf(deps)
  })
  const { lane, signal, branch } = use
  return createStack(cma, { lane, ...(signal && { signal }), ...(branch !== undefined && { branch }) })
}

async function currentToken(db: Db, installation: Installation): Promise<{ id: string; secretId: string }> {
  const token = await activeToken(db, installation.id)
  if (token?.secret_id) return { id: token.id, secretId: token.secret_id }
  throw new AppError(
    'unauthorized',
    `Quayside holds no working management token for ${installation.stack_name || installation.stack_api_key}`,
    {
      remedy: "An admin of the stack connects it on the app's configuration page in Contentstack."
    }
  )
}
