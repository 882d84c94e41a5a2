// One budget per organization, for every job, process and script: Contentstack limits reads, writes and bulk requests per second and
// organization (reference §8.1). One row per organization and kind says when requests leave; a process takes one slot of it at a
// time, so nobody waits behind more than that, and gives it to the first waiter of the highest lane. A low limit is kept by
// remembering the last second's requests (budget-window.ts); under a high one they leave evenly, a slice of them at a time.
import { setTimeout as wait } from 'node:timers/promises'
import { sql } from 'kysely'
import type { RateNews, RequestKind, RequestLane } from '../contentstack/cma.ts'
import { databaseNow, nowExpression } from '../database/clock.ts'
import { type Database, type Db, dialectOf } from '../database/database.ts'
import { ComeBack } from '../jobs/job.ts'
import { highestWindowedLimit, remember, slotAt } from './budget-window.ts'

export interface Budget {
  /**
   * Resolves when a request may leave. Rejects with the signal's reason; with `patienceSeconds`, when it would wait or has waited for
   * longer than that, with a ComeBack that says when to try again.
   */
  acquire(organizationId: string, kind: RequestKind, lane: RequestLane, signal?: AbortSignal, patienceSeconds?: number): Promise<void>
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
  /** As it stands in the row, where slots stand there one by one. */
  at: number | null
}

/** A request that left, by this process's monotonic clock. */
interface Departure {
  left: number
  /** Contentstack had counted it by then: when its answer came, or when it should have arrived. */
  countedBy: number
  answered: boolean
  /** Its slot as it stands in the row, until what its answer told is written there. */
  at: number | null
}

interface Gate {
  waiting: Record<RequestLane, Set<Waiter>>
  running: boolean
  limit: number
  slice: Slice | null
  /** A slot of the row that was let go: the next one takes its place. */
  unused: number | null
  /** This process's last requests, as many as a second allows: a disk that takes its time makes slots late. */
  departures: Departure[]
  /** Milliseconds that a row's slot takes to be written down, of late. */
  writing: number
  /** Milliseconds from leaving to being counted, where no answer tells. Grows when it was too little. */
  margin: number
  /** Milliseconds that an answer takes at best, of late. */
  quickest: number
  /** Answers without a refusal since the margin last changed. */
  admitted: number
  /** Refusals in a row: each doubles the pause. Those of one moment count as one. */
  refusals: number
  refusedAt: number
  /** Until when those who were sent away have been told to stay away, by its monotonic clock. */
  promised: number
  /** A pause being written down; no slice is taken before it stands. */
  blocking: Promise<void> | null
}

/** Times of the row are whole milliseconds. */
const secondMs = 1001

/** Of a loopback or a good line; the first refusals show what the way really needs. */
const leastMargin = 25
const mostMargin = 120
/** So many admitted answers later a smaller margin is tried again. */
const answersUntilTighter = 5_000

const longestAwaySeconds = 30

/** Between the requests of one kind under a high limit, milliseconds. */
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
        unused: null,
        departures: [],
        writing: 0,
        margin: leastMargin,
        quickest: Number.MAX_SAFE_INTEGER,
        admitted: 0,
        refusals: 0,
        refusedAt: 0,
        promised: 0,
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
        const left = gate.slice && gate.slice.slots > 0 ? gate.slice : null
        const usable = left && performance.now() <= left.end
        if (left && !usable) gate.unused = left.at
        const slice = usable ? left : await take(database.db, gate, organizationId, kind)
        gate.slice = slice
        const ahead = Math.max(slice.start, freeAt(gate)) - performance.now()
        if (ahead > 0) await wait(Math.ceil(ahead))
        // While it was waited for, a refusal may have thrown the slice away, somebody may have given up, or this process may have been
        // held up for so long that the slot would now stand too close to the next one.
        if (gate.slice !== slice || performance.now() > slice.end) continue
        const next = firstOf(gate)
        if (!next) continue
        slice.slots -= 1
        if (isWindowed(gate.limit)) {
          const left = performance.now()
          const departure = { left, countedBy: left + gate.margin, answered: false, at: slice.at }
          gate.departures = [...gate.departures, departure].slice(-gate.limit)
        }
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
    acquire(organizationId, kind, lane, signal, patienceSeconds = Infinity) {
      return new Promise<void>((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason as Error)
        const gate = gateOf(organizationId, kind)
        const expected = expectedSeconds(gate, lane)
        if (expected > patienceSeconds) return reject(comeBack(gate, expected))
        const giveUp = (): void => {
          if (gate.waiting[lane].delete(waiter)) waiter.reject(signal?.reason)
        }
        // Others share the slots, and a refusal puts all of them off: what was expected may turn out to be wrong.
        const impatient = (): void => {
          if (gate.waiting[lane].delete(waiter)) waiter.reject(comeBack(gate, Math.max(patienceSeconds, expectedSeconds(gate, lane))))
        }
        const timer = Number.isFinite(patienceSeconds) ? setTimeout(impatient, patienceSeconds * 1000) : undefined
        const done = (): void => {
          clearTimeout(timer)
          signal?.removeEventListener('abort', giveUp)
        }
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
      if (status > 0) noteAnswer(gate)
      const told = limit !== null && limit >= 1 ? Math.min(limit, maxLimit) : null
      if (status === 429) {
        // The slots are shared with integrations that are none of ours; no Retry-After is documented.
        if (performance.now() - gate.refusedAt > 500) {
          gate.refusals += 1
          gate.margin = Math.min(mostMargin, gate.margin * 2)
        }
        gate.admitted = 0
        gate.refusedAt = performance.now()
        gate.slice = null
        const pause = Math.min(1000 * 2 ** (gate.refusals - 1), 16_000)
        gate.blocking = block(database.db, organizationId, kind, told ?? gate.limit, pause).catch(() => {})
      } else if (status > 0 && status < 500) {
        gate.refusals = 0
        gate.admitted += 1
        if (gate.admitted % answersUntilTighter === 0) gate.margin = Math.max(leastMargin, gate.margin - leastMargin)
      }
      if (told !== null && told !== gate.limit) {
        gate.limit = told
        gate.slice = null
        void setLimit(database.db, organizationId, kind, told).catch(() => {})
      }
    }
  }
}

/** Until somebody who asks now has its turn, as far as this process knows. */
function expectedSeconds(gate: Gate, lane: RequestLane): number {
  const before = lanes.slice(0, lanes.indexOf(lane) + 1).reduce((sum, each) => sum + gate.waiting[each].size, 0)
  const untilSlot = Math.max(0, (gate.slice?.slots ? gate.slice.start : 0) - performance.now())
  return untilSlot / 1000 + before / gate.limit
}

/**
 * Whoever is sent away is told a time behind those sent away before, so that they come back at the pace of the slots and not all at once;
 * at most half a minute, since slots may be free sooner than it looks, and a person may wait behind the same key.
 */
function comeBack(gate: Gate, expected: number): ComeBack {
  const now = performance.now()
  gate.promised = Math.max(now + expected * 1000, gate.promised + 1000 / gate.limit)
  const seconds = Math.min((gate.promised - now) / 1000, longestAwaySeconds * (1 - Math.random() / 4))
  return new ComeBack(seconds, "the organization's requests to Contentstack are all in use")
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

const isWindowed = (limit: number): boolean => limit <= highestWindowedLimit

/** The row speaks for all processes, as exactly as their disks are quick; what left from here is known exactly. */
function freeAt({ limit, departures }: Gate): number {
  const full = isWindowed(limit) ? departures.at(-limit) : undefined
  return full === undefined ? 0 : full.countedBy + secondMs
}

/**
 * What was answered has been counted before: the next second begins no later than there. Answers name no request; taking each for the
 * oldest one's errs by as much as they overtake each other.
 */
function noteAnswer(gate: Gate): void {
  const oldest = gate.departures.find(({ answered }) => !answered)
  if (!oldest) return
  const took = performance.now() - oldest.left
  gate.quickest = Math.min(took, gate.quickest + (took - gate.quickest) / 50)
  oldest.answered = true
  // Of a long way most is the same each time and moves nothing closer together; what was longer than usual may have.
  oldest.countedBy = oldest.left + Math.max(Math.min(took, gate.margin), Math.min(took - gate.quickest, mostMargin))
}

async function take(db: Db, gate: Gate, organizationId: string, kind: RequestKind): Promise<Slice> {
  return isWindowed(gate.limit) ? await takeSlot(db, gate, organizationId, kind) : await takeSlice(db, gate, organizationId, kind)
}

/** Writes down the next slot for the most urgent of who waits. */
async function takeSlot(db: Db, gate: Gate, organizationId: string, kind: RequestKind): Promise<Slice> {
  const begunAt = performance.now()
  const found = await db.transaction().execute(async trx => {
    await trx
      .insertInto('budget')
      .values({ organization_id: organizationId, kind, next_at: 0, limit_per_second: gate.limit, blocked_until: 0 })
      .onConflict(conflict => conflict.columns(['organization_id', 'kind']).doNothing())
      .execute()
    const ofRow = trx.selectFrom('budget').selectAll().where('organization_id', '=', organizationId).where('kind', '=', kind)
    const row = await (dialectOf(trx) === 'postgres' ? ofRow.forUpdate() : ofRow).executeTakeFirstOrThrow()
    const now = await databaseNow(trx)
    const here = performance.now()
    const toRow = (time: number) => Math.ceil(now + (time - here))
    const recent = corrected(without(JSON.parse(row.recent_json) as number[], gate.unused), gate.departures, toRow)
    const at = slotAt(recent, {
      // Slots are written down for when they can be used: once they are on disk.
      now: now + gate.writing,
      notBefore: Math.max(row.blocked_until, row.next_at),
      limit: row.limit_per_second,
      lane: lanes.find(lane => gate.waiting[lane].size > 0) ?? 'backfill',
      window: secondMs,
      slack: gate.margin
    })
    // As long as nothing more is known, it counts as one that came as late as may be.
    const counted = at + gate.margin
    await trx
      .updateTable('budget')
      .set({ recent_json: JSON.stringify(remember(recent, counted, now)) })
      .where('organization_id', '=', organizationId)
      .where('kind', '=', kind)
      .execute()
    return { limit: row.limit_per_second, start: here + at - now, at: counted }
  })
  gate.unused = null
  const took = performance.now() - begunAt
  gate.writing = Math.min(100, Math.ceil(took > gate.writing ? took : gate.writing * 0.7))
  if (found.limit !== gate.limit) {
    gate.limit = found.limit
    if (!isWindowed(found.limit)) return await takeSlice(db, gate, organizationId, kind)
  }
  // Used much later it would stand too close to other processes' next ones.
  return { start: found.start, end: Math.max(found.start, performance.now()) + gate.margin, slots: 1, at: found.at }
}

/** The row's slots of requests that have left, moved to when they are surely counted, for the other processes to know. */
function corrected(times: number[], departures: readonly Departure[], toRow: (time: number) => number): number[] {
  const moved = [...times]
  for (const departure of departures) {
    const index = departure.at === null ? -1 : moved.indexOf(departure.at)
    const countedBy = toRow(departure.countedBy)
    if (index >= 0) moved[index] = countedBy
    departure.at = departure.answered || index < 0 ? null : countedBy
  }
  return moved.sort((a, b) => a - b)
}

function without(times: number[], unused: number | null): number[] {
  const index = unused === null ? -1 : times.indexOf(unused)
  return index < 0 ? times : times.toSpliced(index, 1)
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
    if (row.limit_per_second < slots * 50) return await take(db, gate, organizationId, kind)
  }
  const start = performance.now() + (row.next_at - length - row.now)
  // A single slot used late would stand too close to the next one.
  return { start, end: start + (slots === 1 ? Math.min(length, 50) : length), slots, at: null }
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
