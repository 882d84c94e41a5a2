// Writes deliveries down, many in one commit: what arrives while a commit is under way goes with the next one. A commit costs a
// flush of the disk, so without this a storm of webhooks is acknowledged no faster than the disk turns. Each caller still learns
// the fate of its own delivery, and only once it is on disk. Content is handed on in the same commit where that is little work, and
// otherwise by a job. Knows what makes a delivery durable, nothing of how it was checked.
import { setImmediate } from 'node:timers/promises'
import type { Db } from '../database/database.ts'
import { type AppError, isAppError } from '../errors.ts'
import type { NewJob } from '../jobs/job.ts'
import { enqueueMany } from '../jobs/queue.ts'
import { dispatchContent, type Received } from './content.ts'
import { type NewDelivery, recordDeliveries } from './delivery.ts'

/** Both outcomes are a 2xx: a duplicate is on disk already. */
export type Receipt = { duplicate: false; deliveryId: string } | { duplicate: true; deliveryId: null }

export const dispatchKind = 'webhooks.dispatch'

export interface DispatchJob {
  deliveryIds: string[]
  /** Of lifecycle events: the id in the door's address. */
  region?: string
}

export interface Incoming {
  delivery: NewDelivery
  region?: string
  /** Of content. What commits together is handed on together, by one job of the group where it takes one. */
  group?: string
  /** With a key: a job of its own, in order. */
  key?: string
  /** Asked once for all of a group in the transaction that keeps them; its AppError refuses them and takes no others along. */
  allowed?(trx: Db): Promise<void>
}

interface Waiting extends Incoming {
  resolve(receipt: Receipt): void
  reject(reason: unknown): void
}

/** Keeps a commit short, for whoever else wants to write. */
const mostAtOnce = 64

/** Their rows take about 10 ms to write. */
const mostJobsAtOnce = 200

interface Inbox {
  waiting: Waiting[]
  writing: boolean
}

const inboxes = new WeakMap<object, Inbox>()

/** Resolves when delivery and job are on disk. Rejects as the database does: then nothing of this delivery is. */
export async function keepDelivery(database: { db: Db }, incoming: Incoming): Promise<Receipt> {
  const inbox = inboxes.get(database.db) ?? { waiting: [], writing: false }
  inboxes.set(database.db, inbox)
  return await new Promise<Receipt>((resolve, reject) => {
    inbox.waiting.push({ ...incoming, resolve, reject })
    if (!inbox.writing) void empty(database.db, inbox)
  })
}

async function empty(db: Db, inbox: Inbox): Promise<void> {
  inbox.writing = true
  while (inbox.waiting.length > 0) {
    // What came in together is checked within one turn of the event loop.
    await setImmediate()
    await keep(db, inbox.waiting.splice(0, mostAtOnce), { once: true })
  }
  inbox.writing = false
}

async function keep(db: Db, batch: readonly Waiting[], at: { once: boolean }): Promise<void> {
  try {
    const { refused, kept, ids } = await db.transaction().execute(async trx => {
      const refused = await refusals(trx, batch)
      const kept = batch.filter(one => !refused.has(one))
      const ids = await recordDeliveries(
        trx,
        kept.map(({ delivery }) => delivery)
      )
      if (!at.once || !(await handOn(trx, kept, ids))) await enqueueMany(trx, jobsOf(kept, ids))
      return { refused, kept, ids }
    })
    for (const [one, error] of refused) one.reject(error)
    for (const [index, { resolve }] of kept.entries()) {
      const deliveryId = ids[index] ?? null
      resolve(deliveryId === null ? { duplicate: true, deliveryId } : { duplicate: false, deliveryId })
    }
  } catch (error) {
    // Whatever handing on has met, it must not keep a delivery from the disk; nor must one that the database refuses take others along.
    if (at.once) await keep(db, batch, { once: false })
    else if (batch.length > 1) for (const one of batch) await keep(db, [one], { once: false })
    else batch[0]?.reject(error)
  }
}

/** False, with nothing done, where it is more than an acknowledgement may wait for, or not content alone. */
async function handOn(trx: Db, kept: readonly Waiting[], ids: readonly (string | null)[]): Promise<boolean> {
  if (kept.some(({ group }) => group === undefined)) return false
  const received = kept.flatMap(({ delivery }, index): Received[] => {
    const id = ids[index]
    if (!id) return []
    const { installationId, module, body, branch } = delivery
    return [{ id, installation_id: installationId, module, body: body.toString('utf8'), branch }]
  })
  return await dispatchContent(trx, received, mostJobsAtOnce)
}

async function refusals(trx: Db, batch: readonly Waiting[]): Promise<Map<Waiting, AppError>> {
  const found = new Map<Waiting, AppError>()
  for (const group of Map.groupBy(batch, one => one.group).values()) {
    try {
      await group[0]?.allowed?.(trx)
    } catch (error) {
      if (!isAppError(error)) throw error
      for (const one of group) found.set(one, error)
    }
  }
  return found
}

function jobsOf(batch: readonly Incoming[], ids: readonly (string | null)[]): NewJob[] {
  const jobs: NewJob[] = []
  const byGroup = new Map<string, DispatchJob>()
  for (const [index, { region, group, key }] of batch.entries()) {
    const id = ids[index]
    if (!id) continue
    const together = key === undefined && group !== undefined ? byGroup.get(group) : undefined
    if (together) {
      together.deliveryIds.push(id)
      continue
    }
    const payload: DispatchJob = { deliveryIds: [id], ...(region === undefined ? {} : { region }) }
    if (key === undefined && group !== undefined) byGroup.set(group, payload)
    jobs.push({ kind: dispatchKind, lane: 'local', payload, group, key })
  }
  return jobs
}
