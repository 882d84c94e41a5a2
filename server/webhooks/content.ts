// From deliveries of content to the jobs of the syncs that care. A webhook is a hint (engine.md §3): nothing of its body but names,
// uids and the version is used, and the sync reads the current state itself. Knows no door and no job of its own.
import type { Db } from '../database/database.ts'
import { type Installation, installationById } from '../installations/installation.ts'
import { findWrites } from '../installations/ledger.ts'
import { assetsUid } from '../sync/assets-out.ts'
import { lookAtFit } from '../sync/broken.ts'
import { type ChangedRecord, syncJobsForRecords } from '../sync/record-jobs.ts'
import { type DeliveryRow, settleDeliveries } from './delivery.ts'
import { type ContentNotice, mainBranch, readContentNotice } from './notice.ts'

export type Received = Pick<DeliveryRow, 'id' | 'installation_id' | 'module' | 'body' | 'branch'>

/**
 * Jobs of the syncs and the deliveries' outcomes commit together, in the caller's transaction: a crash between leaves neither. False,
 * with nothing written, when it would be more than `mostJobs`.
 */
export async function dispatchContent(trx: Db, deliveries: readonly Received[], mostJobs = Number.POSITIVE_INFINITY): Promise<boolean> {
  const installations = new Map<string, Installation>()
  const outcomes: { id: string; status: 'dispatched' | 'ignored'; note: string }[] = []
  const schemas: { delivery: Received; notice: ContentNotice; branch: string }[] = []
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
    const branch = notice.branch ?? delivery.branch ?? mainBranch
    if (describesSchema(delivery.module)) {
      schemas.push({ delivery, notice, branch })
      continue
    }
    const { objectUid, version } = notice
    const { contentType, locale } = delivery.module === 'asset' ? assetNotice(installation, notice) : notice
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
    heard.map(({ record }) => record),
    mostJobs
  )
  if (woken === null) return false
  for (const [index, { id }] of heard.entries()) {
    const count = woken[index] ?? 0
    const note = count === 0 ? 'no active sync carries this content type' : `woke ${count} ${count === 1 ? 'sync' : 'syncs'}`
    outcomes.push({ id, status: count === 0 ? 'ignored' : 'dispatched', note: `${note}${own.get(id) ?? ''}` })
  }
  for (const { delivery, notice, branch } of schemas) {
    outcomes.push({ id: delivery.id, ...(await dispatchSchema(trx, delivery, notice, branch)) })
  }
  await settleDeliveries(trx, outcomes)
  return true
}

/** Assets have no locale but that of a publishing; a change of one concerns all its rows, as the master's does. */
function assetNotice(installation: Installation, notice: ContentNotice): { contentType: string; locale: string | null } {
  const gone = notice.event === 'delete'
  return { contentType: assetsUid, locale: gone ? null : (notice.locale ?? (installation.master_locale || null)) }
}

function whyIgnored(installation: Installation, delivery: Received, notice: ContentNotice): string | null {
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
  delivery: Received,
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
