// A management token that a person made in Contentstack and pasted here. What looks like another kind of credential is refused by its
// shape, before anything is sent anywhere; what is left goes only as `authorization`, only to this stack in this region, and is kept
// only when it proved itself, and where that is asked, that its bearer is an Owner or Admin.
import type { Actor } from '../audit/audit.ts'
import type { AppCredentials } from '../contentstack/oauth.ts'
import type { Db } from '../database/database.ts'
import { AppError } from '../errors.ts'
import { enqueue } from '../jobs/queue.ts'
import type { Log } from '../log.ts'
import type { Vault } from '../vault/vault.ts'
import { forgetAdmins } from './admins.ts'
import type { Budget } from './budget.ts'
import { appOf } from './install.ts'
import { assertActive, type Installation } from './installation.ts'
import { drainMilliseconds } from './retire.ts'
import { activeToken, insertToken, switchTo, tokenById } from './token.ts'
import { moveTokens, type TokenRow } from './transitions.ts'
import { verifyToken } from './verify.ts'

export interface PasteDeps {
  vault: Vault
  apps: readonly AppCredentials[]
  budget: Budget
  log: Log
  fetch?: typeof fetch
  drainSeconds?: number
}

export interface PasteInput {
  installation: Installation
  token: string
  actor: Actor
  /** Contentstack's uid of the person in front of it, when they are not proven Owner or Admin otherwise. */
  userUid?: string
  signal?: AbortSignal
}

export const retireJob = 'custody.retire'

/** The row, active. Throws AppError invalid (shape, or not good enough), forbidden (not an admin), conflict, upstream. */
export async function pasteToken(db: Db, deps: PasteDeps, input: PasteInput): Promise<TokenRow> {
  const { installation, actor, userUid } = input
  await assertActive(db, installation)
  const secret = input.token.trim()
  const wrong = wrongKind(secret, installation.stack_api_key)
  if (wrong) throw new AppError('invalid', wrong.message, { remedy: wrong.remedy, fields: { token: [wrong.message] } })
  const app = appOf(deps.apps, installation)
  const verified = await verifyToken(deps, {
    app,
    installation,
    token: secret,
    branches: [],
    scope: null,
    ...(input.signal && { signal: input.signal })
  })
  if (verified.refusal) {
    const { message, remedy } = verified.refusal
    throw new AppError('invalid', message, { remedy, fields: { token: [message] } })
  }
  if (userUid !== undefined && !verified.admins?.has(userUid)) {
    throw new AppError('forbidden', 'Only Owner and Admin of this stack may connect it', { remedy: 'Ask one of them.' })
  }
  const fingerprint = deps.vault.fingerprint(secret)
  const id = await moveTokens(db, deps.vault, actor, async (trx, { came }) => {
    const current = await activeToken(trx, installation.id)
    if (current && current.fingerprint === fingerprint) return current.id
    const owner = { organizationId: installation.organization_id, installationId: installation.id, purpose: 'management_token' }
    const secretId = await deps.vault.put(trx, owner, secret)
    const token = await insertToken(trx, installation, {
      name: `Pasted by ${actor.name}`,
      origin: 'pasted',
      status: 'verifying',
      branches: verified.branches,
      expiresAt: null,
      secretId,
      fingerprint
    })
    came(token, 'pasted', { fingerprint })
    const former = await switchTo(trx, deps.vault, { installation, token, verified, actor })
    if (former.length > 0) {
      const runAt = Date.now() + drainMilliseconds(deps)
      await enqueue(trx, { kind: retireJob, lane: 'live', payload: { installationId: installation.id }, runAt })
    }
    return token.id
  })
  forgetAdmins(installation.id)
  return await tokenById(db, id)
}

/** Why a text is surely no management token; null when it may be one. Never sends it, never repeats it in its words. Pure. */
export function wrongKind(text: string, stackApiKey: string): { message: string; remedy: string } | null {
  const make =
    'Make a management token in Contentstack under Settings > Tokens > Management Tokens, with read and write permission, and paste that.'
  if (text === stackApiKey) return { message: 'This is the API key of the stack, not a management token', remedy: make }
  if (/blt[0-9a-f]{6,}/i.test(text)) {
    return {
      message: 'This looks like an authtoken, the credential of a person',
      remedy: `It was sent nowhere and is not kept. Quayside works without anybody's own credential, so that nothing stops when somebody leaves. ${make}`
    }
  }
  if (/^bearer\b/i.test(text)) return { message: 'This is an OAuth token, which ends within the hour', remedy: make }
  if (/^ey[\w-]+\.[\w-]+\.[\w-]*$/.test(text)) return { message: 'This is a signed web token (JWT), not a management token', remedy: make }
  if (text.startsWith('qsk_')) return { message: 'This is an access key of Quayside itself', remedy: make }
  if (/^(authtoken|authorization|api_key|access_token)\s*[:=]/i.test(text))
    return { message: 'Paste the token alone, without the name of its header', remedy: make }
  if (!/^[\x21-\x7e]{8,256}$/.test(text))
    return { message: 'This is not a management token: those are one word of letters and digits', remedy: make }
  return null
}
