// The states of a management token, and the only way from one to another: conditional on the state it leaves, so that of two that
// try at once one wins, and written into the audit chain with who caused it and why. What is not in the table cannot happen.
//
//   (none)    -> minting     intended: its nonce name is recorded before Contentstack hears of it
//   (none)    -> verifying   pasted, and found good
//   minting   -> verifying   minted, its secret sealed
//   minting   -> rejected    Contentstack refused to mint it
//   minting   -> orphaned    the answer was lost, or the grant ended: it may stand there
//   verifying -> active      good for what we need
//   verifying -> rejected    not good for what we need
//   verifying -> orphaned    the grant ended before it was verified
//   active    -> expiring    it ends within thirty days; works as before
//   active | expiring -> retiring   replaced, or given up: requests under way may end with it
//   active | expiring -> dead       Contentstack refuses it, twice
//   retiring | dead   -> retired    deleted and proven dead; or pasted, which only a person can delete
//   rejected          -> retired    deleted
//   retiring | dead | rejected -> orphaned   could not be deleted then; listed until a later grant
//   active | expiring -> orphaned   the app was uninstalled: nobody here can delete it any more
//   orphaned  -> retired     deleted, or seen to be gone, by a later grant
//
// Retired, rejected and orphaned tokens carry no secret: it is erased with the step.
import { type Actor, appendAudit, type NewAuditEvent } from '../audit/audit.ts'
import type { Db } from '../database/database.ts'
import type { Row } from '../database/schema.ts'
import { AppError } from '../errors.ts'
import type { Vault } from '../vault/vault.ts'

export type TokenRow = Row<'management_token'>
export type TokenStatus = TokenRow['status']

export const leadsTo: Record<TokenStatus, readonly TokenStatus[]> = {
  minting: ['verifying', 'rejected', 'orphaned'],
  verifying: ['active', 'rejected', 'orphaned'],
  active: ['expiring', 'retiring', 'dead', 'orphaned'],
  expiring: ['retiring', 'dead', 'orphaned'],
  retiring: ['retired', 'orphaned'],
  rejected: ['retired', 'orphaned'],
  dead: ['retired', 'orphaned'],
  orphaned: ['retired'],
  retired: []
}

/** A token in one of these is the current one; an installation has at most one. */
export const current: readonly TokenStatus[] = ['active', 'expiring']

const withoutSecret: readonly TokenStatus[] = ['retired', 'rejected', 'orphaned']

const verbs = {
  minting: 'intend',
  verifying: 'mint',
  active: 'activate',
  expiring: 'expire',
  retiring: 'retire',
  retired: 'end',
  rejected: 'reject',
  dead: 'die',
  orphaned: 'orphan'
} as const satisfies Record<TokenStatus, string>

export interface Move {
  row: TokenRow
  to: TokenStatus
  /** For people, in the audit trail. */
  why: string
  changes?: Partial<
    Pick<
      TokenRow,
      | 'token_uid'
      | 'secret_id'
      | 'fingerprint'
      | 'error'
      | 'expires_at'
      | 'branches_json'
      | 'verification_json'
      | 'verified_at'
      | 'checked_at'
    >
  >
  detail?: Record<string, unknown>
}

export interface Steps {
  /** False when the row has left its state meanwhile: then nothing happened. */
  move(step: Move): Promise<boolean>
  /** How a row came to be. */
  came(row: TokenRow, why: string, detail?: Record<string, unknown>): void
}

/** What the outermost moveTokens of a transaction will append when its work is done. */
const unwritten = new WeakMap<Db, NewAuditEvent[]>()

/**
 * Runs `work` in one transaction (the given one, where it is one) and appends what it did to the audit chain last. Inside of another
 * one's work that is the other's end: the chain's lock, once taken, must not wait for a row whose holder waits for the chain.
 * Throws what `work` throws, and AppError internal for a step that the table does not have.
 */
export async function moveTokens<T>(db: Db, vault: Vault, actor: Actor, work: (trx: Db, steps: Steps) => Promise<T>): Promise<T> {
  if (!db.isTransaction) return await db.transaction().execute(async trx => await moveTokens(trx, vault, actor, work))
  const outer = unwritten.get(db)
  const events = outer ?? []
  if (!outer) unwritten.set(db, events)
  try {
    const result = await work(db, stepsOf(db, vault, actor, events))
    if (!outer) for (const event of events) await appendAudit(db, vault, event)
    return result
  } finally {
    if (!outer) unwritten.delete(db)
  }
}

function stepsOf(db: Db, vault: Vault, actor: Actor, events: NewAuditEvent[]): Steps {
  const note = (row: TokenRow, to: TokenStatus, detail: Record<string, unknown>) => {
    events.push({
      organizationId: row.organization_id,
      installationId: row.installation_id,
      actor,
      action: `token.${verbs[to]}`,
      object: { kind: 'management_token', id: row.id, name: row.name },
      detail
    })
  }
  return {
    async move({ row, to, why, changes = {}, detail = {} }) {
      if (!leadsTo[row.status].includes(to)) throw new AppError('internal', `A token that is ${row.status} cannot become ${to}`)
      const dropped = withoutSecret.includes(to)
      const { numUpdatedRows } = await db
        .updateTable('management_token')
        .set({ ...changes, ...(dropped && { secret_id: null }), status: to, updated_at: Date.now() })
        .where('id', '=', row.id)
        .where('status', '=', row.status)
        .executeTakeFirst()
      if (numUpdatedRows !== 1n) return false
      if (dropped && row.secret_id !== null) await vault.erase(db, row.secret_id)
      note(row, to, { from: row.status, to, why, ...detail })
      return true
    },
    came: (row, why, detail = {}) => note(row, row.status, { from: null, to: row.status, why, ...detail })
  }
}
