// The cases of the fault table for one test file, made from the recorded requests, and the stages they run on: a stage serves one case
// after the other, and comes back only from a case that held.
import { afterAll, expect } from 'vitest'
import { openDatabase } from '../../server/database/database.ts'
import { migrate } from '../../server/database/migrate.ts'
import { freshPostgres, freshSqlite } from './databases.ts'
import {
  begin,
  type Call,
  give,
  openStage,
  recordCalls,
  type Stage,
  type Standing,
  standingOf,
  takeWith,
  type Travel,
  travels,
  type Trouble,
  whole
} from './fault-table.ts'

const fresh = { sqlite: freshSqlite, postgres: freshPostgres }
type Dialect = keyof typeof fresh

interface Case {
  /** 'rotate, call 7 DELETE contentManagement /v3/stacks/management_tokens/{uid}, kill after' */
  name: string
  travel: Travel
  call: Call
  trouble: Trouble
}

export interface Cases {
  cases: Case[]
  /** What stands in the end; throws as expect() does where something did not hold on the way. */
  run(dialect: Dialect, one: Case): Promise<Standing>
}

/** To be awaited at the top of the file. */
export async function custodyCases(given: readonly Trouble[]): Promise<Cases> {
  const cleanups: (() => Promise<void>)[] = []
  afterAll(async () => {
    await Promise.all(cleanups.map(cleanup => cleanup()))
  })
  const free: Record<Dialect, Stage[]> = { sqlite: [], postgres: [] }

  async function newStage(dialect: Dialect): Promise<Stage> {
    const { url, cleanup } = await fresh[dialect]()
    const database = await openDatabase(url)
    await migrate(database)
    const stage = await openStage(database, url)
    cleanups.push(async () => {
      await stage.sandbox.close()
      await database.close()
      await cleanup()
    })
    return stage
  }

  const first = await newStage('sqlite')
  const cases: Case[] = []
  for (const travel of travels) {
    await begin(first, travel)
    for (const [index, call] of (await recordCalls(first, travel)).entries()) {
      const { method, host, path } = call
      for (const trouble of given) {
        cases.push({ name: `${travel.name}, call ${index + 1} ${method} ${host} ${path}, ${trouble}`, travel, call, trouble })
      }
    }
  }
  free.sqlite.push(first)

  return {
    cases,
    async run(dialect, one) {
      const stage = free[dialect].pop() ?? (await newStage(dialect))
      const standing = await runOn(stage, one)
      free[dialect].push(stage)
      return standing
    }
  }
}

async function runOn(stage: Stage, { travel, call, trouble }: Case): Promise<Standing> {
  const { purpose, before, after } = travel
  await begin(stage, travel)
  const grant = await takeWith(trouble, stage, travel, call)
  const first = await standingOf(stage)
  expect(first).toMatchObject({ ...whole, working: first.current })
  if (before === 1 && after === 1) expect(first.current).toBe(1)
  if (grant.status === 'failed') await give(stage, purpose)
  const second = await standingOf(stage)
  expect(second).toMatchObject({ ...whole, current: after, working: after })
  if (second.orphans === 0) return second
  await give(stage, after === 1 ? 'rotate' : 'mint')
  const third = await standingOf(stage)
  expect(third).toEqual({ ...whole, orphans: 0, current: 1, working: 1 })
  return third
}
