// From a delivery to the work it causes: entry changes wake the syncs that care, lifecycle events move installations. A webhook is a
// hint (engine.md §3): nothing of its body but names and uids is used, and the sync reads the current state itself.
import type { Database, Db } from '../database/database.ts'
import { AppError, isAppError } from '../errors.ts'
import { activateInstallation, type Installation, installationById, rememberPending, uninstall } from '../installations/installation.ts'
import { findWrites } from '../installations/ledger.ts'
import type { JobKind } from '../jobs/job.ts'
import { assetsUid } from '../sync/assets-out.ts'
import { lookAtFit } from '../sync/broken.ts'
import { type ChangedRecord, syncJobsForRecords } from '../sync/record-jobs.ts'
import type { Vault } from '../vault/vault.ts'
import { type DeliveryRow, noteDeliveries, settleDeliveries, settleDelivery, undispatched } from './delivery.ts'
import { type DispatchJob, dispatchKind } from './inbox.ts'
import { type ContentNotice, readContentNotice, readLifecycleNotice } from './notice.ts'
import { mainBranch } from './receive.ts'

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
        region === undefined ? await dispatchContent(db, deliveryIds) : await dispatchEvents(db, deps, deliveryIds, { region, attempt })
      if (count === 0) return { cancel: 'the delivery has been dispatched' }
      log.debug({ deliveryIds }, 'webhooks dispatched')
    },
    gaveUp: (trx, { deliveryIds }, why) => noteDeliveries(trx, deliveryIds, `not dispatched: ${why}`)
  }
}

/** Jobs of the syncs and the deliveries' outcomes commit together: a crash between leaves neither. Returns how many were waiting. */
async function dispatchContent(db: Db, deliveryIds: readonly string[]): Promise<number> {
  return await db.transaction().execute(async trx => {
    const deliveries = await undispatched(trx, deliveryIds)
    const installations = new Map<string, Installation>()
    const outcomes: { id: string; status: 'dispatched' | 'ignored'; note: string }[] = []
    const heard: { id: string; record: ChangedRecord; version: number | null }[] = []
    for (const delivery of deliveries) {
      const installation = installations.get(delivery.installation_id) ?? (await installationById(trx, delivery.installation_id))
      installations.set(installation.id, installation)
      const notice = readContentNotice(Buffer.from(delivery.body))
      const ignored = whyIgnored(installation, delivery, notice)
      if (ignored !== null) {
        outcomes.push({ id: delivery.id, status: 'ignored', note: ignored })
        continue
      }
      const { objectUid, version } = notice
      const { contentType, locale } = delivery.module === 'asset' ? assetNotice(installation, delivery, notice) : notice
      const branch = notice.branch ?? delivery.branch ?? mainBranch
      if (describesSchema(delivery.module)) {
        outcomes.push({ id: delivery.id, ...(await dispatchSchema(trx, delivery, notice, branch)) })
        continue
      }
      const record = {
        installationId: installation.id,
        contentType: contentType ?? '',
        entryUid: objectUid ?? '',
        // null = gone in all locales.
        locale,
        branch,
        cause: `webhook ${delivery.id}`
      }
      heard.push({ id: delivery.id, record, version })
    }
    const own = await ownWrites(trx, heard)
    const woken = await syncJobsForRecords(
      trx,
      heard.map(({ record }) => record)
    )
    for (const [index, { id }] of heard.entries()) {
      const count = woken[index] ?? 0
      const note = count === 0 ? 'no active sync carries this content type' : `woke ${count} ${count === 1 ? 'sync' : 'syncs'}`
      outcomes.push({ id, status: count === 0 ? 'ignored' : 'dispatched', note: `${note}${own.get(id) ?? ''}` })
    }
    await settleDeliveries(trx, outcomes)
    return deliveries.length
  })
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
  if (describesSchema(delivery.module)) return notice.objectUid === null ? `names no ${delivery.module}` : null
  if (delivery.module === 'asset') return notice.objectUid === null ? 'names no asset' : null
  if (delivery.module !== 'entry') return `no sync carries changes of kind "${delivery.module}" yet`
  return notice.objectUid === null || notice.contentType === null ? 'names no entry' : null
}

const describesSchema = (module: string): boolean => module === 'content_type' || module === 'global_field'

/** The syncs that it may concern look at it themselves; which content types hold a global field is not told. */
async function dispatchSchema(
  trx: Db,
  delivery: DeliveryRow,
  notice: ContentNotice,
  branch: string
): Promise<{ status: 'dispatched' | 'ignored'; note: string }> {
  const contentType = delivery.module === 'content_type' ? notice.objectUid : null
  const count = await lookAtFit(trx, { installationId: delivery.installation_id, contentType, branch })
  if (count === 0) return { status: 'ignored', note: 'no active sync carries this content type' }
  return { status: 'dispatched', note: `${count} ${count === 1 ? 'mapping is' : 'mappings are'} looked at` }
}

/** Our own write coming back still wakes the other syncs; whoever wrote finds nothing changed and stops there. By delivery. */
async function ownWrites(
  trx: Db,
  heard: readonly { id: string; record: ChangedRecord; version: number | null }[]
): Promise<Map<string, string>> {
  const asked = heard.flatMap(({ id, record: { installationId, entryUid, locale }, version }) =>
    locale === null || version === null ? [] : [{ id, installationId, entryUid, locale, version }]
  )
  const writes = await findWrites(trx, asked)
  const notes = asked.map(({ id }, index): [string, string] => {
    const write = writes[index]
    return [id, write ? `; our own write (${write.actor_kind} ${write.actor_id})` : '']
  })
  return new Map(notes)
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
