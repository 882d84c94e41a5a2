// CI's share of the deaths: ten, in both directions, on both databases. `npm run chaos -- --kills 200` for more.
import { expect, inject, it } from 'vitest'
import { playKills } from './kills.ts'

it.concurrent.each(['sqlite', 'postgres'] as const)(
  'five deaths of the real server on %s lose nothing and write nothing twice',
  { timeout: 180_000 },
  async dialect => {
    const { problems, writes } = await playKills({ dialect, kills: 5, seed: 1 }, { postgresUrl: inject('postgresUrl') })
    expect(problems).toEqual([])
    expect(writes).toBeGreaterThan(0)
  }
)
