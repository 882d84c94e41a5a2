// What state a thing is in: an icon, a word and a colour, always all three. The words for every state of the contract stand
// here on one page, so that the sidebar, the configuration page and the console say the same.
import type { EntrySyncState } from '../../server/http/contract/extension.ts'
import type { AccessKey, Delivery, Installation, Run, Sync, Token, VerificationRow } from '../../server/http/contract/stack.ts'
import { Icon, type IconName } from './icon.tsx'

export type Tone = 'good' | 'moving' | 'wait' | 'bad' | 'quiet'
export interface Look {
  tone: Tone
  icon: IconName
  word: string
}

const look = (tone: Tone, icon: IconName, word: string): Look => ({ tone, icon, word })

export const entryStates: Record<EntrySyncState['state'], Look> = {
  in_sync: look('good', 'checked', 'In sync'),
  syncing: look('moving', 'turning', 'Syncing'),
  behind: look('wait', 'behind', 'Behind'),
  paused: look('quiet', 'paused', 'Paused'),
  held: look('wait', 'held', 'On hold'),
  failing: look('bad', 'failing', 'Failing'),
  never: look('quiet', 'none', 'Not synced yet')
}

export const syncStates: Record<Sync['state'], Look> = {
  active: look('good', 'checked', 'Active'),
  running: look('moving', 'turning', 'Running'),
  paused: look('quiet', 'paused', 'Paused'),
  failing: look('bad', 'failing', 'Failing'),
  held: look('wait', 'held', 'On hold')
}

export const runStates: Record<Run['status'], Look> = {
  queued: look('quiet', 'behind', 'Queued'),
  running: look('moving', 'turning', 'Running'),
  success: look('good', 'checked', 'Success'),
  partial: look('wait', 'failing', 'Partial'),
  failed: look('bad', 'failing', 'Failed'),
  paused: look('quiet', 'paused', 'Paused'),
  cancelled: look('quiet', 'none', 'Cancelled')
}

export const tokenStates: Record<Token['status'], Look> = {
  minting: look('moving', 'turning', 'Minting'),
  verifying: look('moving', 'turning', 'Verifying'),
  active: look('good', 'checked', 'Active'),
  expiring: look('wait', 'behind', 'Expiring'),
  retiring: look('moving', 'turning', 'Retiring'),
  retired: look('quiet', 'none', 'Retired'),
  rejected: look('bad', 'failing', 'Rejected'),
  dead: look('bad', 'failing', 'Refused'),
  orphaned: look('wait', 'unknown', 'Orphaned')
}

export const checkStates: Record<VerificationRow['result'], Look> = {
  granted: look('good', 'checked', 'Granted'),
  likely: look('good', 'check', 'Likely'),
  refused: look('bad', 'failing', 'Refused'),
  unknown: look('quiet', 'unknown', 'Unknown')
}

export const installationStates: Record<Installation['status'], Look> = {
  unclaimed: look('quiet', 'unknown', 'Unclaimed'),
  pending: look('wait', 'behind', 'Pending'),
  active: look('good', 'checked', 'Active'),
  uninstalled: look('quiet', 'none', 'Uninstalled')
}

export const deliveryStates: Record<Delivery['status'], Look> = {
  received: look('moving', 'behind', 'Received'),
  dispatched: look('good', 'checked', 'Dispatched'),
  ignored: look('quiet', 'none', 'Ignored')
}

export const keyStates: Record<AccessKey['status'], Look> = {
  active: look('good', 'checked', 'Active'),
  expired: look('wait', 'behind', 'Expired'),
  revoked: look('quiet', 'none', 'Revoked')
}

/** An installation as a whole: what is wrong with it comes before what is right. */
export function installationLook({ status, hold, token, syncs }: Installation): Look {
  if (status !== 'active') return installationStates[status]
  if (hold) return look('wait', 'held', 'On hold')
  if (!token) return look('wait', 'unknown', 'No token')
  if (token.status === 'dead') return look('bad', 'failing', 'Token refused')
  if (syncs.failing > 0) return look('bad', 'failing', 'Failing')
  return installationStates.active
}

/** The contract's token summary leaves the status open; an unknown one is shown as it came. */
export function tokenLook(status: string): Look {
  return status in tokenStates ? tokenStates[status as Token['status']] : look('quiet', 'unknown', status)
}

export function runLook(status: string): Look {
  return status in runStates ? runStates[status as Run['status']] : look('quiet', 'unknown', status)
}

export function State({ of: { tone, icon, word }, iconOnly = false }: { of: Look; iconOnly?: boolean }) {
  return (
    <span className={`state tone-${tone}`}>
      <Icon name={icon} className={icon === 'turning' ? 'spin' : ''} />
      <span className={iconOnly ? 'only-heard' : ''}>{word}</span>
    </span>
  )
}
