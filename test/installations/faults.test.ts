// The fault table: every request that a mint, a rotation, a removal and an uninstall make of Contentstack, hit by every kind of trouble.
// Afterwards one token is current and works (or none, where it was to go), whatever else stands there is listed, and nothing is left in
// the middle. The cases are made from recorded requests: a new one brings its own. What survives kill -9: killed.test.ts.
import { describe, expect, it } from 'vitest'
import { custodyCases } from '../support/custody-cases.ts'
import { troubles, whole } from '../support/fault-table.ts'

const { cases, run } = await custodyCases(troubles)

it('has a case for each request and trouble', () => {
  expect(cases.length).toBeGreaterThan(300)
})

describe('whatever happens on the way', { concurrent: true }, () => {
  it.each(cases)('$name', async one => {
    expect(await run('sqlite', one)).toMatchObject({ ...whole, orphans: 0 })
  })
})
