// From a delivery to the work it causes: entry changes wake the syncs that care, lifecycle events move installations. A webhook is a
// hint (engine.md §3): nothing of its body but names and uids is used, and the sync reads the current state itself.
import type { Database, Db } from '../database/database.ts'
import { AppError, isAppError } from '../errors.ts'
import { activateInstallation, type Installation, installationById, rememberPending, uninstall } from '../installations/installation.ts'
import { findWrite } from '../installations/ledger.ts'
import type { JobKind } from '../jobs/job.ts'
import { assetsUid } from '../sync/assets-out.ts'
import { type ChangedRecord, syncJobsForRecords } from '../sync/record-jobs.ts'
import type { Vault } from '../vault/vault.ts'
import { type DeliveryRow, settleDelivery, undispatched } from './delivery.ts'
import { type DispatchJob, dispatchKind } from './inbox.ts'
import { type ContentNotice, readContentNotice, readLifecycleNotice } from './notice.ts'

export interface DispatchDeps {
  database: Pick<Database, 'db'>
  vault: Vault
}

/** Concise payloads name no branch; our webhook listens to this one (register.ts). */
export const webhookBranch = 'main'

/** A lifecycle event that disagrees with what we know may meet a row in the making; after this many tries it is taken at its word. */
const conflictAttempts = 3

export function dispatchJob(deps: DispatchDeps): JobKind<DispatchJob> {
  return {
    kind: dispatchKind,
    lane: 'live',
    maxAttempts: 12,
    timeoutSeconds: 60,
    async run({ deliveryIds, region }, { attempt, log }) {
      const { db } = deps.database
      const deliveries = await undispatched(db, deliveryIds)
      if (deliveries.length === 0) return { cancel: 'the delivery has been dispatched' }
      const content = deliveries.filter(({ module }) => module !== 'app_installation')
      // Looked at again inside: another job of the same deliveries may have been first.
      const contentIds = content.map(({ id }) => id)
      if (content.length > 0) await db.transaction().execute(async trx => await dispatchContent(trx, await undispatched(trx, contentIds)))
      for (const delivery of deliveries) {
        if (delivery.module === 'app_installation') await dispatchLifecycle(db, deps, delivery, { region: region ?? '', attempt })
      }
      log.debug({ deliveryIds }, 'webhooks dispatched')
    }
  }
}

/** Jobs of the syncs and the deliveries' outcomes commit together: a crash between leaves neither. */
async function dispatchContent(trx: Db, deliveries: readonly DeliveryRow[]): Promise<void> {
  const heard: { delivery: DeliveryRow; record: ChangedRecord; own: string | null }[] = []
  for (const delivery of deliveries) {
    const installation = await installationById(trx, delivery.installation_id)
    const notice = readContentNotice(Buffer.from(delivery.body))
    const ignored = whyIgnored(installation, delivery, notice)
    if (ignored !== null) {
      await settleDelivery(trx, delivery.id, { status: 'ignored', note: ignored })
      continue
    }
    const { contentType, locale } = delivery.module === 'asset' ? assetNotice(installation, delivery, notice) : notice
    const entryUid = notice.objectUid ?? ''
    const own = await ownWrite(trx, installation, { ...notice, entryUid })
    const branch = notice.branch ?? webhookBranch
    heard.push({
      delivery,
      own,
      // Locale null = gone in all locales.
      record: { installationId: installation.id, contentType: contentType ?? '', entryUid, locale, branch, cause: `webhook ${delivery.id}` }
    })
  }
  const woken = await syncJobsForRecords(
    trx,
    heard.map(({ record }) => record)
  )
  for (const [index, { delivery, own }] of heard.entries()) {
    const count = woken[index] ?? 0
    const note = count === 0 ? 'no active sync carries this content type' : `woke ${count} ${count === 1 ? 'sync' : 'syncs'}`
    await settleDelivery(trx, delivery.id, {
      status: count === 0 ? 'ignored' : 'dispatched',
      note: own === null ? note : `${note}; ${own}`
    })
  }
}

/** Assets have no locale but that of a publishing; a change of one concerns all its rows, as the master's does. */
function assetNotice(
  installation: Installation,
  delivery: DeliveryRow,
  notice: ContentNotice
): { contentType: string; locale: string | null } {
  const gone = delivery.event === 'delete'
  return { contentType: assetsUid, locale: gone ? null : (notice.locale ?? (installation.master_locale || null)) }
}

function whyIgnored(installation: Installation, delivery: DeliveryRow, notice: ContentNotice): string | null {
  if (installation.status !== 'active') return 'the app is no longer installed'
  if (delivery.module === 'asset') return notice.objectUid === null ? 'names no asset' : null
  if (delivery.module !== 'entry') return `no sync carries changes of kind "${delivery.module}" yet`
  return notice.objectUid === null || notice.contentType === null ? 'names no entry' : null
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
