// The fault table's last two columns: the process that carries a grant out is killed (SIGKILL) before Contentstack
// acted on a request, or after it acted and before it answered. Another process finishes. On PostgreSQL the rotation alone, whose requests
// are nearly all that there are: a process for each case is what this costs.
import { describe, expect, it } from 'vitest'
import { custodyCases } from '../support/custody-cases.ts'
import { kills, whole } from '../support/fault-table.ts'

const { cases, run } = await custodyCases(kills)

it('has a case for each request, before and after', () => {
  expect(cases.length).toBeGreaterThan(80)
})

describe('killed, on sqlite', { concurrent: true }, () => {
  it.each(cases)('$name', async one => {
    expect(await run('sqlite', one)).toMatchObject({ ...whole, orphans: 0 })
  })
})

describe('killed, on postgres', { concurrent: true }, () => {
  it.each(cases.filter(({ travel }) => travel.name === 'rotate'))('$name', async one => {
    expect(await run('postgres', one)).toMatchObject({ ...whole, orphans: 0 })
  })
})
