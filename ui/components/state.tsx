// What state a thing is in: an icon, a word and a colour, always all three. The words for every state of the contract stand
// here on one page, so that the sidebar, the configuration page and the console say the same.
import type { EntrySyncState } from '../../server/http/contract/extension.ts'
import type { Drift, Plan, PlanItem, RunRecord } from '../../server/http/contract/plans.ts'
import type { Grant, Token, VerificationRow } from '../../server/http/contract/custody.ts'
import type { AccessKey, AlertRecipient, Connection, Delivery, Installation, Run, Sync } from '../../server/http/contract/stack.ts'
import type { WebhookHealth } from '../../server/http/contract/webhooks.ts'
import { Icon, type IconName } from './icon.tsx'

export type Tone = 'good' | 'moving' | 'wait' | 'bad' | 'quiet'
export interface Look {
  tone: Tone
  icon: IconName
  word: string
}

/** A tone with the icon that mostly goes with it. */
const tone =
  (tone: Tone, usual: IconName) =>
  (word: string, icon: IconName = usual): Look => ({ tone, icon, word })

const good = tone('good', 'checked')
const moving = tone('moving', 'turning')
const wait = tone('wait', 'behind')
const bad = tone('bad', 'failing')
const quiet = tone('quiet', 'none')

const failing = bad('Failing')
const held = wait('On hold', 'held')
const paused = quiet('Paused', 'paused')
const running = moving('Running')

/** What a write would be, in a preview. */
export const wouldBe: Record<'create' | 'update' | 'skip' | 'refuse', Look> = {
  create: good('Created'),
  update: moving('Updated', 'info'),
  skip: quiet('Left as it is'),
  refuse: bad('Refused')
}

export const entryStates: Record<EntrySyncState['state'], Look> = {
  in_sync: good('In sync'),
  syncing: moving('Syncing'),
  behind: wait('Behind'),
  paused,
  held,
  failing,
  never: quiet('Not synced yet')
}

export const syncStates: Record<Sync['state'], Look> = { active: good('Active'), running, paused, failing, held }

export const runStates: Record<Run['status'], Look> = {
  queued: quiet('Queued', 'behind'),
  running,
  success: good('Success'),
  partial: wait('Partial', 'failing'),
  failed: bad('Failed'),
  paused,
  cancelled: quiet('Cancelled')
}

export const recordStates: Record<RunRecord['outcome'], Look> = {
  created: good('Created'),
  updated: good('Updated'),
  deleted: good('Deleted'),
  failed: bad('Failed'),
  skipped: quiet('Skipped'),
  conflict: wait('Conflict', 'failing'),
  parked: wait('Waits for a person', 'held')
}

export const planStates: Record<Plan['status'], Look> = {
  making: moving('Looking'),
  ready: wait('Ready'),
  applying: moving('Applying'),
  applied: good('Applied'),
  stale: quiet('Stale'),
  discarded: quiet('Discarded'),
  failed: bad('Failed')
}

export const planSteps: Record<PlanItem['step'], Look> = {
  create: good('Create', 'check'),
  update: moving('Update', 'behind'),
  delete: bad('Delete', 'none'),
  fail: bad('Would fail')
}

export const itemStates: Record<PlanItem['state'], Look> = {
  pending: quiet('Not yet', 'behind'),
  done: good('Done'),
  skipped: quiet('Skipped'),
  failed: bad('Failed')
}

export const driftStates: Record<Drift['status'], Look> = {
  queued: quiet('Queued', 'behind'),
  running,
  done: good('Done'),
  failed: bad('Failed')
}

export const tokenStates: Record<Token['status'], Look> = {
  minting: moving('Minting'),
  verifying: moving('Verifying'),
  active: good('Active'),
  expiring: wait('Expiring'),
  retiring: moving('Retiring'),
  retired: quiet('Retired'),
  rejected: bad('Rejected'),
  dead: bad('Refused'),
  orphaned: wait('Orphaned', 'unknown')
}

export const grantStates: Record<Grant['status'], Look> = {
  started: moving('Waiting for consent', 'behind'),
  exchanged: moving('Under way'),
  minted: moving('Under way'),
  revoked: good('Given back'),
  revoke_refused: wait('Not given back', 'failing'),
  failed: bad('Failed')
}

export const checkStates: Record<VerificationRow['result'], Look> = {
  granted: good('Granted'),
  likely: good('Likely', 'check'),
  refused: bad('Refused'),
  unknown: quiet('Unknown', 'unknown')
}

export const installationStates: Record<Installation['status'], Look> = {
  unclaimed: quiet('Unclaimed', 'unknown'),
  pending: wait('Pending'),
  active: good('Active'),
  uninstalled: quiet('Uninstalled')
}

export const deliveryStates: Record<Delivery['status'], Look> = {
  received: moving('Received', 'behind'),
  dispatched: good('Dispatched'),
  ignored: quiet('Ignored')
}

export const deadJob = bad('Gave up')

export const keyStates: Record<AccessKey['status'], Look> = {
  active: good('Active'),
  expired: wait('Expired'),
  revoked: quiet('Revoked')
}

/** Secrets that are gone or known to others come before what the last check said: with them nothing is as it was. */
export function connectionLook({ secrets, error }: Pick<Connection, 'secrets' | 'error'>): Look {
  if (secrets === 'erased') return wait('Secrets needed', 'unknown')
  if (secrets === 'exposed') return wait('Secrets exposed', 'failing')
  return error ? failing : good('Reachable')
}

export function recipientLook({ sentAt, error }: Pick<AlertRecipient, 'sentAt' | 'error'>): Look {
  if (error) return failing
  return sentAt === null ? quiet('Not used yet') : good('Reached')
}

export function webhookLook({ registered, disabledAt, enabledAt, gap }: WebhookHealth): Look {
  if (!registered) return quiet('Not made yet')
  if (disabledAt !== null && (enabledAt === null || enabledAt < disabledAt)) return bad('Disabled')
  if (gap === 'failed') return failing
  return gap === 'filling' ? moving('Catching up') : good('Enabled')
}

/** What an installation may need somebody for while it is at work. */
export const needStates = {
  exposed: wait('Token exposed', 'failing'),
  expiring: wait('Token expiring'),
  unreached: bad('Alerts fail'),
  left: wait('Left behind', 'unknown')
} as const

/** An installation as a whole: what is wrong with it comes before what is right. */
export function installationLook({ status, hold, token, syncs }: Installation): Look {
  if (status !== 'active') return installationStates[status]
  if (token?.status === 'dead') return bad('Token refused')
  if (hold) return held
  if (!token) return wait('No token', 'unknown')
  if (syncs.failing > 0) return failing
  return installationStates.active
}

/** The contract's token summary leaves the status open; an unknown one is shown as it came. */
export function tokenLook({ status, exposed = false }: { status: string; exposed?: boolean }): Look {
  if (exposed && (status === 'active' || status === 'expiring')) return wait('Exposed', 'failing')
  return status in tokenStates ? tokenStates[status as Token['status']] : quiet(status, 'unknown')
}

export function runLook(status: string): Look {
  return status in runStates ? runStates[status as Run['status']] : quiet(status, 'unknown')
}

export function State({ of: { tone, icon, word }, iconOnly = false }: { of: Look; iconOnly?: boolean }) {
  return (
    <span className={`state tone-${tone}`}>
      <Icon name={icon} className={icon === 'turning' ? 'spin' : ''} />
      <span className={iconOnly ? 'only-heard' : ''}>{word}</span>
    </span>
  )
}
