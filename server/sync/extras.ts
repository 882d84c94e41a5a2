// Rows at the destination that no living link stands behind, removed by a person's word: each under a claim, so that a live job
// that is just writing the same key is not undone, and only while the stack really has no such entry.
import { databaseNow } from '../database/clock.ts'
import type { Db } from '../database/database.ts'
import type { StackClient } from '../contentstack/stack.ts'
import type { Outbound } from './carry.ts'
import { claimLinks, findLinks, releaseClaim, settleLinks } from './links.ts'
import { type ItemRow, type PlanRow, type Settled, settleItems, tellSkipped } from './plans.ts'
import { recordOutcomes } from './run-log.ts'
import { advanceRun, noCounters, type RunRow } from './runs.ts'
import { readCurrent } from './source.ts'

/** Throws what connector and stack throw; claims are given back first. */
export async function removeExtras(
  db: Db,
  outbound: Outbound,
  stack: StackClient,
  run: RunRow,
  plan: PlanRow,
  locale: string,
  items: readonly ItemRow[]
): Promise<void> {
  const { sync } = outbound
  const settled: Settled[] = []
  const going: ItemRow[] = []
  for (const item of items) {
    const record = item.entry_uid === '' ? null : await readCurrent(db, outbound, stack, item.entry_uid, locale)
    if (record && record.hash !== null)
      settled.push({ key: item.external_id, state: 'skipped', why: 'The entry is there; a run links it.' })
    else going.push(item)
  }
  const claim = await claimLinks(
    db,
    sync,
    run.id,
    going.map(item => ({ locale, external_id: item.external_id, entry_uid: item.entry_uid }))
  )
  try {
    const links = await findLinks(db, sync, locale, [...claim.orders.keys()])
    const changes = []
    for (const item of going) {
      const order = claim.orders.get(item.external_id)
      if (order === undefined || links.get(item.external_id)?.status !== 'deleted')
        settled.push({ key: item.external_id, state: 'skipped', why: 'A record stands behind it by now.' })
      else changes.push({ key: item.external_id, values: null, order })
    }
    const outcomes = changes.length > 0 ? await outbound.connection.push(outbound.shape, changes, outbound.signal) : []
    const writtenAt = await databaseNow(db)
    for (const [index, { key }] of changes.entries()) {
      const outcome = outcomes[index]
      const gone = outcome?.status === 'deleted' || outcome?.status === 'unchanged'
      settled.push(gone ? { key, state: 'done' } : { key, state: 'failed', why: outcome?.error ?? 'The destination did not remove it.' })
    }
    const done = new Set(settled.filter(({ state }) => state === 'done').map(({ key }) => key))
    const failed = settled.filter(({ state }) => state === 'failed')
    const left = settled.filter(({ state }) => state === 'skipped')
    await db.transaction().execute(async trx => {
      await settleLinks(
        trx,
        sync,
        claim.token,
        going
          .filter(item => done.has(item.external_id))
          .map(item => ({
            locale,
            external_id: item.external_id,
            entry_uid: item.entry_uid,
            source_hash: '',
            destination_fingerprint: '',
            hash_version: 0,
            version: 0,
            status: 'deleted',
            error: null,
            cause: `run ${run.id}`,
            last_run_id: run.id,
            synced_at: writtenAt
          }))
      )
      await settleItems(trx, plan.id, settled)
      await recordOutcomes(
        trx,
        sync,
        { runId: run.id, cause: `run ${run.id}`, approved: true },
        items
          .filter(item => !left.some(({ key }) => key === item.external_id))
          .map(item => ({
            key: item.external_id,
            entryUid: item.entry_uid,
            locale,
            outcome: done.has(item.external_id) ? 'deleted' : 'failed',
            why: failed.find(({ key }) => key === item.external_id)?.why ?? null
          }))
      )
      await tellSkipped(trx, sync, run, items, left)
      await advanceRun(trx, run, {
        ...noCounters(),
        read: items.length,
        deleted: done.size,
        failed: failed.length,
        skipped: left.length
      })
    })
  } finally {
    await releaseClaim(db, sync, claim.token)
  }
}
