// The watch over tokens: once an hour each, at a minute of its own so that a thousand do not ask at once, Contentstack is asked whether
// it still accepts the current one; and whoever must act before it ends is reminded in time. A refusal becomes a death only in
// refused.ts. A reminder goes out once for each day of the table, and after a pause only the most urgent one.
import { createHash } from 'node:crypto'
import { raiseAlert } from '../alerts/alert.ts'
import type { Db } from '../database/database.ts'
import type { JobKind } from '../jobs/job.ts'
import type { NewSchedule } from '../jobs/scheduler.ts'
import { appOf, custodyLinks } from './install.ts'
import { type Installation, installationById, objectOf, organizationOf } from './installation.ts'
import { branchOf, probeToken } from './probe.ts'
import { type RefusedDeps, tokenRefused } from './refused.ts'
import { activeToken } from './token.ts'
import { moveTokens, type TokenRow } from './transitions.ts'

export const watchKind = 'custody.watch'

/** Days before the end; the first one makes a token `expiring`. */
export const reminderDays = [30, 14, 7, 1] as const
const dayMs = 86_400_000

export interface TokenCheck {
  /** none: no current token. dead: found so now, or by somebody else meanwhile. */
  outcome: 'none' | 'accepted' | 'dead'
  token: TokenRow | null
}

/** The schedule of one installation's watch. Not in its group: a held installation is watched as well. */
export function watchOf({ id, organization_id: organizationId }: Pick<Installation, 'id' | 'organization_id'>): NewSchedule {
  const minute = createHash('sha256').update(id).digest().readUInt32BE() % 60
  const job = { kind: watchKind, lane: 'live', payload: { installationId: id } } as const
  return { id: watchId(id), organizationId, cron: `${minute} * * * *`, timeZone: 'UTC', job }
}

export const watchId = (installationId: string): string => `${watchKind} ${installationId}`

export function watchJobKind(db: Db, deps: RefusedDeps): JobKind<{ installationId: string }> {
  return {
    kind: watchKind,
    lane: 'live',
    maxAttempts: 5,
    timeoutSeconds: 60,
    async run({ installationId }) {
      const installation = await installationById(db, installationId)
      if (installation.status !== 'active') return { cancel: `the installation is ${installation.status}` }
      if ((await organizationOf(db, installation)).status !== 'claimed') return { cancel: 'its organization is not served' }
      const { outcome } = await checkToken(db, deps, installationId)
      if (outcome === 'none') return { cancel: 'no token is in custody' }
    }
  }
}

/** Asks Contentstack now, and reminds where it is time. Throws AppError upstream | rate_limited when Contentstack does not say. */
export async function checkToken(db: Db, deps: RefusedDeps, installationId: string, now: number = Date.now()): Promise<TokenCheck> {
  const installation = await installationById(db, installationId)
  const token = await activeToken(db, installationId)
  if (!token?.secret_id) return { outcome: 'none', token: null }
  const secret = await deps.vault.reveal(db, token.secret_id, 'management_token')
  const answer = await probeToken(deps, { app: appOf(deps.apps, installation), installation, token: secret, branch: branchOf(token) })
  if (answer === 'refused') await tokenRefused(db, deps, { installationId, tokenId: token.id })
  else await db.updateTable('management_token').set({ checked_at: now }).where('id', '=', token.id).execute()
  const standing = await activeToken(db, installationId)
  if (!standing) return { outcome: 'dead', token: null }
  await remind(db, deps, installation, standing, now)
  return { outcome: 'accepted', token: await activeToken(db, installationId) }
}

const watcher = { kind: 'system', id: 'custody', name: 'Token custody' } as const

async function remind(db: Db, deps: RefusedDeps, installation: Installation, token: TokenRow, now: number): Promise<void> {
  if (token.expires_at === null) return
  const days = (token.expires_at - now) / dayMs
  const lifetime = (token.expires_at - token.created_at) / dayMs
  // Nobody is reminded of what they have only just chosen.
  const due = reminderDays.findLast(day => days <= day && day < lifetime - 1)
  if (days > reminderDays[0]) return
  const isNew = due !== undefined && (token.reminded_days === null || due < token.reminded_days)
  if (token.status === 'expiring' && !isNew) return
  await moveTokens(db, deps.vault, watcher, async (trx, { move }) => {
    if (token.status === 'active') {
      const why = `it ends on ${dateOf(token.expires_at)}`
      if (!(await move({ row: token, to: 'expiring', why, detail: { expiresAt: token.expires_at } }))) return
    }
    if (!isNew) return
    // Two watches at once: whoever writes the day down sends it.
    const { numUpdatedRows } = await trx
      .updateTable('management_token')
      .set({ reminded_days: due })
      .where('id', '=', token.id)
      .where(eb => eb.or([eb('reminded_days', 'is', null), eb('reminded_days', '>', due)]))
      .executeTakeFirst()
    if (numUpdatedRows !== 1n) return
    const { name } = objectOf(installation)
    await raiseAlert(trx, {
      organizationId: installation.organization_id,
      installationId: installation.id,
      kind: 'token.expiring',
      title: `The management token of ${name} ends ${inDays(days)}`,
      text: `It ends on ${dateOf(token.expires_at)} at midnight UTC. From then on the syncs of this stack wait; nothing is lost. An Owner or Admin of the stack rotates it with one click.`,
      links: custodyLinks(deps, installation)
    })
  })
}

const dateOf = (at: number | null): string => new Date(at ?? 0).toISOString().slice(0, 10)

function inDays(days: number): string {
  const whole = Math.max(0, Math.floor(days))
  return whole === 0 ? 'within a day' : whole === 1 ? 'in one day' : `in ${whole} days`
}
