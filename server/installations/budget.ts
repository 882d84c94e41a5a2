// One budget per organization, for every job, process and script: Contentstack limits reads, writes and bulk requests per second and
// organization (reference §8.1). Whether it counts by fixed window, sliding window or bucket is not established, so requests leave
// evenly spaced, a tenth slower than allowed: then no second, however it is cut and with 100 ms of jitter on the way, holds more than
// the limit. One row per organization and kind says when the next request may leave; a process takes one slice of it at a time, so
// nobody waits behind more than a slice, and gives each slot to the first waiter of the highest lane.
import { setTimeout as wait } from 'node:timers/promises'
import { sql } from 'kysely'
import type { RateNews, RequestKind, RequestLane } from '../contentstack/cma.ts'
import { nowExpression } from '../database/clock.ts'
import type { Database, Db } from '../database/database.ts'

export interface Budget {
  /** Resolves when a request may leave. Rejects with the signal's reason. */
  acquire(organizationId: string, kind: RequestKind, lane: RequestLane, signal?: AbortSignal): Promise<void>
  /** What a response's headers and status told. Never throws. */
  learn(organizationId: string, kind: RequestKind, news: RateNews): void
}

/** https://www.contentstack.com/docs/developers/apis/content-management-api#rate-limiting: per second, until a header says otherwise. */
const defaultLimits: Record<RequestKind, number> = { read: 10, write: 10, bulk: 1 }
const lanes: readonly RequestLane[] = ['people', 'live', 'backfill']
/** Beyond this a header is taken for "no limit". */
const maxLimit = 100_000

interface Waiter {
  resolve(): void
  reject(reason: unknown): void
}

interface Slice {
  /** By this process's monotonic clock, milliseconds. */
  start: number
  end: number
  slots: number
}

interface Gate {
  waiting: Record<RequestLane, Set<Waiter>>
  running: boolean
  limit: number
  slice: Slice | null
  /** Refusals in a row: each doubles the pause. Those of one moment count as one. */
  refusals: number
  refusedAt: number
  /** A pause being written down; no slice is taken before it stands. */
  blocking: Promise<void> | null
}

/** Between the requests of one kind, milliseconds. */
const spacing = (limit: number): number => 1100 / limit

/** A fiftieth of a second's slots at once, so that a high limit does not cost a statement per request. */
const sliceOf = (limit: number): number => Math.max(1, Math.floor(limit / 50))

export function createBudget(database: Database): Budget {
  const gates = new Map<string, Gate>()

  const gateOf = (organizationId: string, kind: RequestKind): Gate => {
    const name = `${kind} ${organizationId}`
    let gate = gates.get(name)
    if (!gate) {
      gate = {
        waiting: { people: new Set(), live: new Set(), backfill: new Set() },
        running: false,
        limit: defaultLimits[kind],
        slice: null,
        refusals: 0,
        refusedAt: 0,
        blocking: null
      }
      gates.set(name, gate)
    }
    return gate
  }

  /** Hands out slots as long as somebody waits. */
  async function serve(gate: Gate, organizationId: string, kind: RequestKind): Promise<void> {
    if (gate.running) return
    gate.running = true
    try {
      while (lanes.some(lane => gate.waiting[lane].size > 0)) {
        await gate.blocking
        const slice =
          gate.slice && gate.slice.slots > 0 && performance.now() <= gate.slice.end
            ? gate.slice
            : await takeSlice(database.db, gate, organizationId, kind)
        gate.slice = slice
        const ahead = slice.start - performance.now()
        if (ahead > 0) await wait(Math.ceil(ahead))
        // While it was waited for, a refusal may have thrown the slice away, somebody may have given up, or this process may have been
        // held up for so long that the slot would now stand too close to the next one.
        if (gate.slice !== slice || performance.now() > slice.end) continue
        const next = firstOf(gate)
        if (!next) continue
        slice.slots -= 1
        next.resolve()
      }
    } catch (error) {
      for (const lane of lanes) for (const waiter of gate.waiting[lane]) waiter.reject(error)
      for (const lane of lanes) gate.waiting[lane].clear()
    } finally {
      gate.running = false
    }
  }

  return {
    acquire(organizationId, kind, lane, signal) {
      return new Promise<void>((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason as Error)
        const gate = gateOf(organizationId, kind)
        const giveUp = (): void => {
          if (gate.waiting[lane].delete(waiter)) reject(signal?.reason as Error)
        }
        const done = (): void => signal?.removeEventListener('abort', giveUp)
        const waiter: Waiter = {
          resolve: () => (done(), resolve()),
          reject: reason => (done(), reject(reason))
        }
        signal?.addEventListener('abort', giveUp, { once: true })
        gate.waiting[lane].add(waiter)
        void serve(gate, organizationId, kind)
      })
    },

    learn(organizationId, kind, { limit, status }) {
      const gate = gateOf(organizationId, kind)
      const told = limit !== null && limit >= 1 ? Math.min(limit, maxLimit) : null
      if (status === 429) {
        // The slots are shared with integrations that are none of ours; no Retry-After is documented.
        if (performance.now() - gate.refusedAt > 500) gate.refusals += 1
        gate.refusedAt = performance.now()
        gate.slice = null
        const pause = Math.min(1000 * 2 ** (gate.refusals - 1), 16_000)
        gate.blocking = block(database.db, organizationId, kind, told ?? gate.limit, pause).catch(() => {})
      } else if (status > 0 && status < 500) gate.refusals = 0
      if (told !== null && told !== gate.limit) {
        gate.limit = told
        gate.slice = null
        void setLimit(database.db, organizationId, kind, told).catch(() => {})
      }
    }
  }
}

function firstOf(gate: Gate): Waiter | null {
  for (const lane of lanes) {
    for (const waiter of gate.waiting[lane]) {
      gate.waiting[lane].delete(waiter)
      return waiter
    }
  }
  return null
}

/** Moves the row on by one slice and says, in this process's time, when that slice lies. */
async function takeSlice(db: Db, gate: Gate, organizationId: string, kind: RequestKind): Promise<Slice> {
  const slots = sliceOf(gate.limit)
  const length = Math.ceil(slots * spacing(gate.limit))
  const now = nowExpression(db)
  const row = await db
    .insertInto('budget')
    .values({ organization_id: organizationId, kind, next_at: sql`${now} + ${length}`, limit_per_second: gate.limit, blocked_until: 0 })
    .onConflict(conflict =>
      conflict.columns(['organization_id', 'kind']).doUpdateSet({
        next_at: sql`case when budget.next_at > ${now} and budget.next_at > budget.blocked_until then budget.next_at
          when budget.blocked_until > ${now} then budget.blocked_until else ${now} end + ${length}`
      })
    )
    .returning(['next_at', 'limit_per_second', sql<number>`${now}`.as('now')])
    .executeTakeFirstOrThrow()
  // Another process may have learned of another limit. The slice in hand is spaced by what we believed; a lower one must not be.
  if (row.limit_per_second !== gate.limit) {
    gate.limit = row.limit_per_second
    if (row.limit_per_second < slots * 50) return await takeSlice(db, gate, organizationId, kind)
  }
  const start = performance.now() + (row.next_at - length - row.now)
  // A single slot used late would stand too close to the next one.
  return { start, end: start + (slots === 1 ? Math.min(length, 50) : length), slots }
}

async function block(db: Db, organizationId: string, kind: RequestKind, limit: number, milliseconds: number): Promise<void> {
  const until = sql<number>`${nowExpression(db)} + ${milliseconds}`
  await db
    .insertInto('budget')
    .values({ organization_id: organizationId, kind, next_at: until, limit_per_second: limit, blocked_until: until })
    .onConflict(conflict => conflict.columns(['organization_id', 'kind']).doUpdateSet({ blocked_until: until }))
    .execute()
}

async function setLimit(db: Db, organizationId: string, kind: RequestKind, limit: number): Promise<void> {
  await db
    .insertInto('budget')
    .values({ organization_id: organizationId, kind, next_at: nowExpression(db), limit_per_second: limit, blocked_until: 0 })
    .onConflict(conflict => conflict.columns(['organization_id', 'kind']).doUpdateSet({ limit_per_second: limit }))
    .execute()
}
