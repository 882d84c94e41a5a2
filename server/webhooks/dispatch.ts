// From a delivery to the work it causes: entry changes wake the syncs that care, lifecycle events move installations. A webhook is a
// hint (engine.md §3): nothing of its body but names and uids is used, and the sync reads the current state itself.
import type { Database, Db } from '../database/database.ts'
import { AppError, isAppError } from '../errors.ts'
import { activateInstallation, type Installation, installationById, rememberPending, uninstall } from '../installations/installation.ts'
import { findWrite } from '../installations/ledger.ts'
import type { JobKind } from '../jobs/job.ts'
import { syncJobsForRecord } from '../sync/record-jobs.ts'
import type { Vault } from '../vault/vault.ts'
import { type DeliveryRow, deliveryById, settleDelivery } from './delivery.ts'
import { readContentNotice, readLifecycleNotice } from './notice.ts'
import { dispatchKind } from './receive.ts'

export interface DispatchDeps {
  database: Pick<Database, 'db'>
  vault: Vault
}

/** Concise payloads name no branch; our webhook listens to this one (register.ts). */
export const webhookBranch = 'main'

/** A lifecycle event that disagrees with what we know may meet a row in the making; after this many tries it is taken at its word. */
const conflictAttempts = 3

export function dispatchJob(deps: DispatchDeps): JobKind<{ deliveryId: string; region?: string }> {
  return {
    kind: dispatchKind,
    lane: 'live',
    maxAttempts: 12,
    timeoutSeconds: 60,
    async run({ deliveryId, region }, { attempt, log }) {
      const { db } = deps.database
      const delivery = await deliveryById(db, deliveryId)
      if (!delivery || delivery.status !== 'received') return { cancel: 'the delivery has been dispatched' }
      if (delivery.module === 'app_installation') await dispatchLifecycle(db, deps, delivery, { region: region ?? '', attempt })
      else await db.transaction().execute(trx => dispatchContent(trx, delivery))
      log.debug({ deliveryId, module: delivery.module, event: delivery.event }, 'webhook dispatched')
    }
  }
}

/** Jobs of the syncs and the delivery's outcome commit together: a crash between leaves neither. */
async function dispatchContent(trx: Db, delivery: DeliveryRow): Promise<void> {
  const installation = await installationById(trx, delivery.installation_id)
  const ignore = (note: string) => settleDelivery(trx, delivery.id, { status: 'ignored', note })
  if (installation.status !== 'active') return await ignore('the app is no longer installed')
  if (delivery.module !== 'entry') return await ignore(`no sync carries changes of kind "${delivery.module}" yet`)
  const notice = readContentNotice(Buffer.from(delivery.body))
  if (notice.objectUid === null || notice.contentType === null) return await ignore('names no entry')
  const woken = await syncJobsForRecord(trx, {
    installationId: installation.id,
    contentType: notice.contentType,
    entryUid: notice.objectUid,
    // null = gone in all locales.
    locale: notice.locale,
    branch: notice.branch ?? webhookBranch,
    cause: `webhook ${delivery.id}`
  })
  const own = await ownWrite(trx, installation, { ...notice, entryUid: notice.objectUid })
  const note = woken === 0 ? 'no active sync carries this content type' : `woke ${woken} ${woken === 1 ? 'sync' : 'syncs'}`
  await settleDelivery(trx, delivery.id, { status: woken === 0 ? 'ignored' : 'dispatched', note: own === null ? note : `${note}; ${own}` })
}

/** Our own write coming back still wakes the other syncs; whoever wrote finds nothing changed and stops there. */
async function ownWrite(
  trx: Db,
  installation: Installation,
  { entryUid, locale, version }: { entryUid: string; locale: string | null; version: number | null }
): Promise<string | null> {
  if (locale === null || version === null) return null
  const write = await findWrite(trx, { entryUid, locale, version, installationId: installation.id })
  return write ? `our own write (${write.actor_kind} ${write.actor_id})` : null
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
