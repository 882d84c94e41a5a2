// From deliveries of content to the jobs of the syncs that care. A webhook is a hint (engine.md §3): nothing of its body but names,
// uids and the version is used, and the sync reads the current state itself. Knows no door and no job of its own.
import type { Db } from '../database/database.ts'
import { type Installation, installationById } from '../installations/installation.ts'
import { findWrites } from '../installations/ledger.ts'
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
    const { contentType, objectUid, locale, version } = notice
    const branch = notice.branch ?? delivery.branch ?? mainBranch
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
  await settleDeliveries(trx, outcomes)
  return true
}

function whyIgnored(installation: Installation, delivery: Received, notice: ContentNotice): string | null {
  if (installation.status !== 'active') return 'the app is no longer installed'
  if (delivery.module !== 'entry') return `no sync carries changes of kind "${delivery.module}" yet`
  return notice.objectUid === null || notice.contentType === null ? 'names no entry' : null
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
