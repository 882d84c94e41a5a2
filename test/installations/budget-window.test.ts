import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createLimiter } from '../../sandbox/cma/limiter.ts'
import { createLimits, type SandboxContext } from '../../sandbox/context.ts'
import { createPlays } from '../../sandbox/plays.ts'
import type { RequestLane } from '../../server/contentstack/cma.ts'
import { remember, slotAt } from '../../server/installations/budget-window.ts'

const window = 1015

/** Times at which the asked leave, in the order asked; each is asked `after` ms after the one before. */
function leaving(asked: readonly { after: number; lane: RequestLane }[], limit: number): number[] {
  let recent: number[] = []
  let now = 10_000
  return asked.map(({ after, lane }) => {
    now += after
    const at = slotAt(recent, { now, notBefore: 0, limit, lane, window, slack: 0 })
    recent = remember(recent, at, now)
    return at
  })
}

const anybody = fc.record({
  after: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2_500 })),
  lane: fc.constantFrom('people' as const, 'live', 'backfill')
})
const asTo = (lane: RequestLane, count: number, after = 0) => Array.from({ length: count }, () => ({ after, lane }))

describe('the window of a second', () => {
  it('holds no more than the limit, whoever asks when and whichever way is counted', () => {
    fc.assert(
      fc.property(fc.array(anybody, { maxLength: 80 }), fc.constantFrom(1, 2, 5, 10, 50), (asked, limit) => {
        const times = leaving(asked, limit).toSorted((a, b) => a - b)
        for (const limiter of ['fixed', 'sliding', 'bucket'] as const) {
          let now = 0
          const context = {
            clock: { now: () => now },
            plays: createPlays({ limiter }),
            limits: createLimits({ read: limit })
          } as SandboxContext
          const admits = createLimiter(context)
          const refused = times.filter(time => {
            now = time
            return !admits('org_1', 'read').admitted
          })
          expect({ limiter, refused }).toEqual({ limiter, refused: [] })
        }
      }),
      { numRuns: 300 }
    )
  })

  it('lets people use at once what a quiet second has left', () => {
    expect(leaving(asTo('people', 11), 10)).toEqual([...Array.from({ length: 10 }, () => 10_000), 11_015])
  })

  it('keeps room for people when many changes come at once', () => {
    const times = leaving([...asTo('live', 8), ...asTo('people', 1)], 10)
    expect(times.filter(time => time === 10_000)).toHaveLength(6 + 1)
    expect(times.at(-1)).toBe(10_000)
  })

  it('sends the backfill evenly, at the full rate', () => {
    const times = leaving(asTo('backfill', 30), 10)
    expect(times).toEqual(Array.from({ length: 30 }, (_, index) => 10_000 + index * (window / 10)))
  })

  it.each([0, 15, 25, 50])('sends the backfill at the rate that the answers show, however late they may be: %d ms', delay => {
    let recent: number[] = []
    let at = 10_000
    const times = Array.from({ length: 40 }, () => {
      at = slotAt(recent, { now: at, notBefore: 0, limit: 10, lane: 'backfill', window, slack: 50 })
      recent = remember(recent, at + delay, at)
      return at
    })
    // Ten of them in a second and what an answer takes, as evenly as that allows.
    expect((times[39]! - times[9]!) / 30).toBeLessThanOrEqual((window + delay) / 10 + 0.01)
    for (const [index, time] of times.slice(10).entries()) expect(time - (times[index]! + delay)).toBeGreaterThanOrEqual(window)
  })

  it('makes a change wait for one slot of a backfill that uses them all', () => {
    const times = leaving([...asTo('backfill', 20, 101.5), ...asTo('live', 1, 1)], 10)
    expect(times.at(-1)! - times.at(-2)!).toBeLessThanOrEqual(102)
  })
})
