// When the next request may leave, where the limit is so low that every slot counts. Pure: times in, a time out.
//
// No span of a second may hold more requests than the limit, wherever it begins: that satisfies a fixed window, a sliding one and
// a bucket alike, since which of them Contentstack counts by is not established. What a quiet second has left over may be used at
// once, so that people do not wait for a clock: all of it by people, a part by live changes, nothing by the backfill, which goes
// evenly and so leaves no second without a slot for somebody more urgent.
import type { RequestLane } from '../contentstack/cma.ts'

/** Beyond it, slots are so close that leaving evenly costs nobody anything. */
export const highestWindowedLimit = 50

export interface Asked {
  now: number
  /** Nothing leaves before this. */
  notBefore: number
  limit: number
  lane: RequestLane
  /** Milliseconds: a second and what the clocks may hide of it. */
  window: number
  /** Milliseconds by which what is recent may have been counted earlier than it says. */
  slack: number
}

/** `recent`: by when earlier requests have been counted or will be, ascending; the answer belongs at its place among them. */
export function slotAt(recent: readonly number[], { now, notBefore, limit, lane, window, slack }: Asked): number {
  const full = recent.at(-limit)
  const earliest = Math.max(now, notBefore, full === undefined ? 0 : full + window)
  const within = recent.filter(time => time > earliest - window).length
  if (within < burstOf(lane, limit)) return earliest
  const step = window / limit
  // By the last few and not by the last alone: one that was late does not put off all that follow.
  const few = Math.min(5, within)
  return Math.max(earliest, (recent.at(-1) ?? 0) + step * 0.7 - slack, (recent.at(-few) ?? 0) + few * step - slack)
}

/** With its new member, and without what no window reaches any more. */
export function remember(recent: readonly number[], at: number, now: number): number[] {
  return [...recent.filter(time => time > now - longestWindow), at].sort((a, b) => a - b)
}

const longestWindow = 2_000

function burstOf(lane: RequestLane, limit: number): number {
  if (lane === 'people') return limit
  return lane === 'live' ? Math.max(1, Math.floor(limit * 0.6)) : 1
}
