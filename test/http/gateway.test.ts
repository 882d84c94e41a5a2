// The door of scripts: who is turned away, in whose words, and what guessing costs.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type House, openHouse } from './house.ts'

describe.each(['sqlite', 'postgres'] as const)('the gateway on %s', dialect => {
  let house: House
  beforeAll(async () => {
    house = await openHouse(dialect)
  })
  afterAll(() => house.close())

  it('lets a guesser run into a limit, while a key that stands goes on passing from the same address', async () => {
    const guess = () => house.ask('/gateway/v3/content_types', { headers: { authorization: `qsk_${'A'.repeat(49)}` } })
    const statuses: number[] = []
    for (let count = 0; count < 125; count += 1) statuses.push((await guess()).status)
    expect(statuses.slice(0, 100).every(status => status === 401)).toBe(true)
    expect(statuses.at(-1)).toBe(429)
    const right = await house.ask('/gateway/v3/content_types/article/entries', { headers: { authorization: house.harbour.key } })
    expect([right.status, right.text]).toEqual([200, expect.stringContaining('entries')])
  })
})
