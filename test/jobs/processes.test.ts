// Four real worker processes on one PostgreSQL: one is killed behind a write that it did not live to report, one is frozen before a
// write until another has taken its jobs over, and then thawed. Nothing is lost, nothing done twice, and every key keeps its order.
import { type ChildProcess, fork } from 'node:child_process'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { afterEach, expect, test } from 'vitest'
import { type Database, openDatabase } from '../../server/database/database.ts'
import type { NewJob } from '../../server/jobs/job.ts'
import { enqueueMany } from '../../server/jobs/queue.ts'
import { freshPostgres } from '../support/databases.ts'
import type { WorkerWord, WriteJob } from '../support/worker.process.ts'

const processes: ChildProcess[] = []
const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const child of processes.splice(0)) child.kill('SIGKILL')
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

const program = fileURLToPath(new URL('../support/worker.process.ts', import.meta.url))
const leaseSeconds = 2
const keys = 150
const perKey = 20

/** Where the two that are stopped stand: in the middle of their keys, so that there is order before and behind them. */
const frozenAt = { key: 'key 7', n: 9 }
const killedAt = { key: 'key 99', n: 12 }

function jobs(): NewJob[] {
  const all: NewJob[] = []
  for (let n = 1; n <= perKey; n++) {
    for (let k = 0; k < keys; k++) {
      const key = `key ${k}`
      const is = (at: typeof frozenAt) => at.key === key && at.n === n
      const stop = is(frozenAt) ? 'before' : is(killedAt) ? 'behind' : null
      const trouble = stop ? null : (k + n) % 47 === 0 ? 'fail' : (k + n) % 31 === 0 ? 'snooze' : null
      all.push({ kind: 'write', lane: 'live', key, group: `ins_${k % 7}`, payload: { key, n, trouble, stop } satisfies WriteJob })
    }
  }
  return all
}

test('four processes, one killed and one frozen past its lease and thawed: nothing lost, nothing twice, every key in order', async () => {
  const { database, client, url } = await prepared()
  await enqueueMany(database.db, jobs())
  const words: WorkerWord[] = []
  const { promise: thawed, resolve: isThawed } = Promise.withResolvers<void>()
  const { promise: killed, resolve: isKilled } = Promise.withResolvers<void>()
  for (let n = 0; n < 4; n++) {
    const child = fork(program, [url, String(leaseSeconds)], { execArgv: [] })
    processes.push(child)
    child.on('message', (word: WorkerWord) => {
      words.push(word)
      if (word.word !== 'stands') return
      if (word.stop === 'behind') {
        child.kill('SIGKILL')
        isKilled()
        return
      }
      child.kill('SIGSTOP')
      // It will read this when it is thawed, and then go on to write.
      child.send('go on')
      void until(async () => (await lastOf(client, frozenAt.key)) >= frozenAt.n).then(() => {
        child.kill('SIGCONT')
        isThawed()
      })
    })
  }
  await Promise.all([thawed, killed])
  await until(async () => {
    const { rows } = await client.query<{ count: string }>(`select count(*) from job where state in ('ready', 'running')`)
    return rows[0]!.count === '0'
  })
  await until(async () => words.some(({ word }) => word === 'overtaken'))

  const { rows: written } = await client.query<{ key: string; ns: number[]; fences: string[] }>(
    'select key, array_agg(n order by id) as ns from written group by key'
  )
  const inOrder = Array.from({ length: perKey }, (_, n) => n + 1)
  expect(written).toHaveLength(keys)
  expect(written.filter(({ ns }) => ns.join() !== inOrder.join())).toEqual([])

  const { rows: refused } = await client.query('select key, n, fence::int from refused where key = $1 and n = $2', [
    frozenAt.key,
    frozenAt.n
  ])
  expect(refused).toEqual([{ ...frozenAt, fence: 1 }])
  const { rows: overtaken } = await client.query<{ id: number; state: string }>('select id::int, state from job where overtaken > 0')
  const reported = words.flatMap(word => (word.word === 'overtaken' ? [word.jobId] : []))
  expect(overtaken.map(({ id }) => id).toSorted((a, b) => a - b)).toEqual([...new Set(reported)].toSorted((a, b) => a - b))
  const { rows: frozen } = await client.query<{ id: number }>(
    `select id::int from job where payload_json::jsonb ->> 'stop' = 'before' and state = 'done' and overtaken = 1 and attempt = 2`
  )
  expect(overtaken).toContainEqual({ id: frozen[0]?.id, state: 'done' })
}, 40_000)

async function prepared(): Promise<{ database: Database; client: pg.Client; url: string }> {
  const { url, cleanup } = await freshPostgres()
  cleanups.push(cleanup)
  const database = await openDatabase(url)
  cleanups.push(() => database.close())
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  cleanups.push(() => client.end())
  await client.query(`
    create table target (key text primary key, last int not null, job_id bigint not null, fence bigint not null);
    create table written (id serial, key text not null, n int not null, job_id bigint not null, fence bigint not null);
    create table refused (key text not null, n int not null, job_id bigint not null, fence bigint not null);
    insert into target select 'key ' || k, 0, 0, 0 from generate_series(0, ${keys - 1}) as k`)
  return { database, client, url }
}

async function lastOf(client: pg.Client, key: string): Promise<number> {
  const { rows } = await client.query<{ last: number }>('select last from target where key = $1', [key])
  return rows[0]!.last
}

/** The processes are others, so they can only be looked at. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await pause(50)
}
