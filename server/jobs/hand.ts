// What one worker has in hand: the jobs it holds leases of, and how many more it may take. Pure counting; claims and runs nothing.
//
//   ahead ──a slot is free──> running ──work is over──> settling ──its ending is written──> (gone)
//
// A slot is free as soon as the work is over: the ending is written while the next job runs, which its lease still covers. Where jobs
// take so little that a claim would cost more than they do, some are taken ahead, no more than would begin within `aheadMs`; one slow
// job ends that at once, so that what is taken ahead never waits long, and a hold or a more urgent job waits for it no longer than that.
import type { ClaimedJob } from './claim.ts'
import type { Lane } from './job.ts'

export interface Held {
  job: ClaimedJob
  controller: AbortController
  stage: 'ahead' | 'running' | 'settling'
  /** performance.now() when it began. */
  begunAt: number
  over: Promise<void>
}

export interface Hand {
  held: Set<Held>
  /** How many jobs of the lane may be claimed now, and of each group; `limit` 0 = none, or so few that it is not worth a claim. */
  room(lane: Lane): { limit: number; groupLimit: number; busyHere: Record<string, number> }
  mayBegin(held: Held): boolean
  /** Milliseconds that a run took. */
  took(milliseconds: number): void
}

const aheadMs = 50
const mostAhead = 20

export function createHand(concurrency: number, wantedGroupLimit: number | undefined): Hand {
  const held = new Set<Held>()
  /** Up at once, down slowly. */
  let usualMs = Infinity

  const beside = (lane: Lane, ...stages: Held['stage'][]): Held[] =>
    [...held].filter(({ job, stage }) => stages.includes(stage) && (job.lane === 'local') === (lane === 'local'))

  function timesAhead(): number {
    const now = performance.now()
    let longest = usualMs
    for (const { stage, begunAt } of held) if (stage === 'running') longest = Math.max(longest, now - begunAt)
    return Math.max(1, Math.min(mostAhead, Math.floor(aheadMs / Math.max(longest, 0.1))))
  }

  return {
    held,
    room(lane) {
      const mine = beside(lane, 'ahead', 'running')
      const times = timesAhead()
      const most = laneLimit(lane, concurrency) * times
      const free = most - mine.length
      // Half of it at once, where a claim is what costs; and no more endings than a commit or two can write.
      const limit = (times > 1 && free < most / 2) || held.size > concurrency * mostAhead * 2 ? 0 : Math.max(0, free)
      return { limit, groupLimit: groupLimitOf(lane, concurrency, wantedGroupLimit) * times, busyHere: countGroups(mine) }
    },
    mayBegin({ job }) {
      const running = beside(job.lane, 'running')
      if (running.length >= laneLimit(job.lane, concurrency)) return false
      if (job.group_id === '') return true
      const ofGroup = running.filter(other => other.job.group_id === job.group_id).length
      return ofGroup < groupLimitOf(job.lane, concurrency, wantedGroupLimit)
    },
    took(milliseconds) {
      usualMs = usualMs === Infinity || milliseconds > usualMs ? milliseconds : usualMs * 0.9 + milliseconds * 0.1
    }
  }
}

/**
 * A lane may begin a job while fewer than this run in all: an eighth is kept for people alone, a third from the backfill. What is
 * local has a quarter as many slots on top, and leaves the others theirs.
 */
function laneLimit(lane: Lane, concurrency: number): number {
  if (lane === 'local') return Math.ceil(concurrency / 4)
  const kept = { people: 0, live: concurrency / 8, backfill: concurrency / 3 }[lane]
  return Math.max(1, concurrency - Math.ceil(kept))
}

/** One slot of a lane that has several is always left to other groups, and a quarter where nobody waits for it. */
function groupLimitOf(lane: Lane, concurrency: number, wanted: number | undefined): number {
  const slots = laneLimit(lane, concurrency)
  const most = Math.max(1, slots - 1)
  if (lane === 'people' || lane === 'local') return most
  return Math.min(most, wanted ?? Math.max(1, Math.ceil(slots * 0.75)))
}

function countGroups(entries: readonly Held[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { job } of entries) counts[job.group_id] = (counts[job.group_id] ?? 0) + 1
  return counts
}
