// CI's share of the model test: twenty seeds, both directions in each, on both databases by turns. `npm run chaos` plays more.
import { expect, inject, it } from 'vitest'
import { play } from './play.ts'
import { scenarioOf } from './steps.ts'

const seeds = Array.from({ length: 20 }, (_, index) => ({ seed: index + 1 }))

it.each(seeds)('seed $seed ends with both sides equal (again: npm run chaos -- --replay $seed)', { timeout: 120_000 }, async ({ seed }) => {
  expect(await play(scenarioOf(seed), { postgresUrl: inject('postgresUrl'), postgresTemplate: inject('postgresTemplate') })).toEqual([])
})
