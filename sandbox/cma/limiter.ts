// Requests per second and organization: reads, writes and bulk counted apart (contentstack.md §8.1). How the platform's windows
// run is not established, so all three ways are played. Counts nothing but time stamps; knows no route.
import type { SandboxContext } from '../context.ts'

export type Lane = 'read' | 'write' | 'bulk'

export interface Verdict {
  admitted: boolean
  limit: number
  remaining: number
}

export type Limiter = (organization: string, lane: Lane) => Verdict

/** Said while the limits are off: a client that paces itself by the header must not go on at the old one. */
const unlimited = 1_000_000

interface Counted {
  /** `fixed`: start of the window and its count. */
  windowStart: number
  count: number
  /** `sliding`: when the last second's requests came. */
  times: number[]
  /** `bucket`: what is left, as of `filledAt`. */
  tokens: number
  filledAt: number
}

export function createLimiter(context: Pick<SandboxContext, 'clock' | 'plays' | 'limits'>): Limiter {
  const counters = new Map<string, Counted>()

  return (organization, lane) => {
    if (context.limits.off) return { admitted: true, limit: unlimited, remaining: unlimited }
    const limit = context.limits[lane]
    const now = context.clock.now()
    const id = `${organization}/${lane}`
    const known = counters.get(id)
    const counted = known ?? { windowStart: now, count: 0, times: [], tokens: limit, filledAt: now }
    if (!known) counters.set(id, counted)
    switch (context.plays.limiter) {
      case 'fixed': {
        if (now - counted.windowStart >= 1000) Object.assign(counted, { windowStart: now - (now % 1000), count: 0 })
        const admitted = counted.count < limit
        if (admitted) counted.count += 1
        return { admitted, limit, remaining: limit - counted.count }
      }
      case 'sliding': {
        counted.times = counted.times.filter(time => now - time < 1000)
        const admitted = counted.times.length < limit
        if (admitted) counted.times.push(now)
        return { admitted, limit, remaining: limit - counted.times.length }
      }
      case 'bucket': {
        counted.tokens = Math.min(limit, counted.tokens + ((now - counted.filledAt) / 1000) * limit)
        counted.filledAt = now
        const admitted = counted.tokens >= 1
        if (admitted) counted.tokens -= 1
        return { admitted, limit, remaining: Math.floor(counted.tokens) }
      }
      default:
        return context.plays.limiter satisfies never
    }
  }
}
