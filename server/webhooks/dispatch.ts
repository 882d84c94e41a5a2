// The job of deliveries that were not handed on as they came (inbox.ts): lifecycle events, which move installations, and content
// that caused more work than an acknowledgement may wait for.
import type { Database, Db } from '../database/database.ts'
import { AppError, isAppError } from '../errors.ts'
import { activateInstallation, type Installation, rememberPending, uninstall } from '../installations/installation.ts'
import type { JobKind } from '../jobs/job.ts'
import type { Vault } from '../vault/vault.ts'
import { dispatchContent } from './content.ts'
import { type DeliveryRow, noteDeliveries, settleDelivery, undispatched } from './delivery.ts'
import { type DispatchJob, dispatchKind } from './inbox.ts'
import { readLifecycleNotice } from './notice.ts'

export interface DispatchDeps {
  database: Pick<Database, 'db'>
  vault: Vault
}

/** A lifecycle event that disagrees with what we know may meet a row in the making; after this many tries it is taken at its word. */
const conflictAttempts = 3

export function dispatchJob(deps: DispatchDeps): JobKind<DispatchJob> {
  return {
    kind: dispatchKind,
    lane: 'local',
    maxAttempts: 12,
    timeoutSeconds: 60,
    async run({ deliveryIds, region }, { attempt, log }) {
      const { db } = deps.database
      // Content comes without a region; all of one job is of one kind.
      const count =
        region === undefined ? await dispatchWaiting(db, deliveryIds) : await dispatchEvents(db, deps, deliveryIds, { region, attempt })
      if (count === 0) return { cancel: 'the delivery has been dispatched' }
      log.debug({ deliveryIds }, 'webhooks dispatched')
    },
    gaveUp: (trx, { deliveryIds }, why) => noteDeliveries(trx, deliveryIds, `not dispatched: ${why}`)
  }
}

/** Returns how many were waiting. */
async function dispatchWaiting(db: Db, deliveryIds: readonly string[]): Promise<number> {
  return await db.transaction().execute(async trx => {
    const deliveries = await undispatched(trx, deliveryIds)
    await dispatchContent(trx, deliveries)
    return deliveries.length
  })
}

async function dispatchEvents(
  db: Db,
  deps: DispatchDeps,
  deliveryIds: readonly string[],
  how: { region: string; attempt: number }
): Promise<number> {
  const deliveries = await undispatched(db, deliveryIds)
  for (const delivery of deliveries) await dispatchLifecycle(db, deps, delivery, how)
  return deliveries.length
}

/** Each step commits by itself and may be repeated: an installation moves on only once. */
async function dispatchLifecycle(
  db: Db,
  deps: DispatchDeps,
  delivery: DeliveryRow,
  { region, attempt }: { region: string; attempt: number }
): Promise<void> {
  try {
    const { installation, note } = await applyLifecycle(db, deps, delivery, region)
    await settleDelivery(db, delivery.id, { status: 'dispatched', note, installation })
  } catch (error) {
    if (!isAppError(error, 'conflict') || attempt < conflictAttempts) throw error
    await settleDelivery(db, delivery.id, { status: 'ignored', note: error.message })
  }
}

async function applyLifecycle(
  db: Db,
  deps: DispatchDeps,
  delivery: DeliveryRow,
  region: string
): Promise<{ installation: Installation; note: string }> {
  const { event, ...facts } = { ...readLifecycleNotice(Buffer.from(delivery.body)), region }
  if (event !== 'uninstall') {
    const installation = await activateInstallation(db, { vault: deps.vault }, { ...facts, via: 'lifecycle' })
    return { installation, note: `the installation is ${installation.status}` }
  }
  // An uninstall may overtake its install; the row left behind keeps the late install from reviving what has ended.
  await rememberPending(db, facts)
  const installation = await uninstall(db, { vault: deps.vault }, facts)
  if (!installation) throw new AppError('internal', `installation ${facts.installationUid} is gone`)
  return { installation, note: 'the installation is uninstalled' }
}
