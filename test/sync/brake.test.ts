import fc from 'fast-check'
import { expect, it } from 'vitest'
import { allowance, brake } from '../../server/sync/brake.ts'
import { deletesAllowed } from '../../server/sync/plan.ts'

it.each([
  ['lets a few go', { linked: 10, recent: 0, wanted: 10 }, /^$/],
  ['lets a fifth of many go', { linked: 1000, recent: 0, wanted: 200 }, /^$/],
  ['stops what is more than a fifth', { linked: 1000, recent: 0, wanted: 201 }, /201 of 1000/],
  ['counts what went within a day', { linked: 900, recent: 100, wanted: 101 }, /after 100 within a day/],
  ['lets go what is left of the day', { linked: 900, recent: 100, wanted: 100 }, /^$/],
  ['never believes an empty listing', { linked: 1, recent: 0, wanted: 1, listed: 0 }, /empty listing is not believed/],
  ['has nothing to ask when nothing goes', { linked: 5, recent: 99, wanted: 0, listed: 0 }, /^$/]
] as const)('%s', (_, deletes, expected) => {
  expect(brake(deletes) ?? '').toMatch(expected)
})

it('lets no more go in many steps than in one, whatever the steps', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 5_000 }), fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 60 }), (linked, steps) => {
      let [left, gone] = [linked, 0]
      for (const step of steps) {
        const wanted = Math.min(step, left)
        if (brake({ linked: left, recent: gone, wanted }) !== null) continue
        left -= wanted
        gone += wanted
      }
      expect(gone).toBeLessThanOrEqual(deletesAllowed(linked))
    })
  )
})

it('never lets less go for more records, nor a negative number', () => {
  fc.assert(
    fc.property(fc.nat(100_000), fc.nat(10_000), fc.nat(10_000), (linked, more, recent) => {
      expect(allowance({ linked: linked + more, recent })).toBeGreaterThanOrEqual(allowance({ linked, recent }))
      expect(allowance({ linked, recent })).toBeGreaterThanOrEqual(0)
    })
  )
})
