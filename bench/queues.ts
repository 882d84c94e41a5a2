// jobs-beside-…: our queue beside pg-boss and graphile-worker, on one fresh PostgreSQL that flushes every commit, in one run: the same
// payloads and concurrency, enqueued in bulk and then run by one worker until the last one's ending is written. Rounds alternate.
//
// "plain": no order. "keyed": four jobs a key, which go in their order, one at a time: our key, a pg-boss queue of the policy
// `key_strict_fifo` (singletonKey), a graphile-worker named queue. Each is measured as its documentation sets it up for throughput.
import { Logger, makeWorkerUtils, run } from 'graphile-worker'
import { PgBoss } from 'pg-boss'
import { openDatabase } from '../server/database/database.ts'
import { migrate } from '../server/database/migrate.ts'
import { enqueueMany } from '../server/jobs/queue.ts'
import { createWorker } from '../server/jobs/worker.ts'
import { silentLog } from '../server/log.ts'
import { administer, databaseUrl, startPostgres } from '../test/support/postgres.setup.ts'
import { type Case, median, type Result, result } from './result.ts'

export interface Load {
  jobs: number
  concurrency: number
  keyed: boolean
}

/** Jobs a second. */
interface Speed {
  enqueued: number
  ran: number
  /** Of all keys, how many did not see their jobs in the order enqueued. */
  outOfOrder: number
}

type Queue = (url: string, load: Load) => Promise<Speed>

interface Payload {
  n: number
  key: string
}

const perKey = 4
const payloads = ({ jobs }: Load): Payload[] => Array.from({ length: jobs }, (_, n) => ({ n, key: `key ${n % Math.ceil(jobs / perKey)}` }))

/** What every queue's job does: nothing but noting that it ran, and resolving when all have. */
function counter(load: Load) {
  const seen = new Map<string, number[]>()
  const { promise: all, resolve } = Promise.withResolvers<void>()
  let count = 0
  return {
    all,
    ran({ n, key }: Payload): void {
      const ns = seen.get(key)
      if (ns) ns.push(n)
      else seen.set(key, [n])
      count += 1
      if (count === load.jobs) resolve()
    },
    outOfOrder: () => [...seen.values()].filter(ns => ns.some((n, at) => at > 0 && n < ns[at - 1]!)).length
  }
}

async function secondsOf(act: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await act()
  return (performance.now() - start) / 1000
}

const ours: Queue = async (url, load) => {
  const database = await openDatabase(url)
  await migrate(database)
  const count = counter(load)
  const kind = {
    kind: 'nothing',
    lane: 'live' as const,
    maxAttempts: 3,
    timeoutSeconds: 60,
    run: async (payload: unknown) => count.ran(payload as Payload)
  }
  const worker = createWorker({ database, kinds: [kind], concurrency: load.concurrency, log: silentLog })
  const all = payloads(load).map(payload => ({
    kind: 'nothing',
    lane: 'live' as const,
    payload,
    key: load.keyed ? payload.key : undefined
  }))
  const enqueuing = await secondsOf(async () => await enqueueMany(database.db, all))
  const running = await secondsOf(async () => await worker.drain())
  await worker.stop()
  await database.close()
  return { enqueued: load.jobs / enqueuing, ran: load.jobs / running, outOfOrder: count.outOfOrder() }
}

const pgBoss: Queue = async (url, load) => {
  const boss = new PgBoss({ connectionString: url, max: 10, supervise: false, schedule: false })
  boss.on('error', error => console.error(error))
  await boss.start()
  await boss.createQueue('nothing', load.keyed ? { policy: 'key_strict_fifo' } : {})
  const count = counter(load)
  const all = payloads(load)
  const enqueuing = await secondsOf(async () => {
    for (let start = 0; start < all.length; start += 500) {
      const slice = all.slice(start, start + 500)
      await boss.insert(
        'nothing',
        slice.map(data => ({ data, ...(load.keyed && { singletonKey: data.key }) }))
      )
    }
  })
  // Its workers poll, at best twice a second; fetch and complete, which they are made of, are asked without a pause here.
  const running = await secondsOf(async () => {
    for (let left = load.jobs; left > 0; ) {
      const jobs = await boss.fetch<Payload>('nothing', { batchSize: load.concurrency })
      for (const { data } of jobs) count.ran(data)
      await boss.complete(
        'nothing',
        jobs.map(({ id }) => id)
      )
      left -= jobs.length
    }
  })
  await boss.stop({ graceful: true, close: true })
  return { enqueued: load.jobs / enqueuing, ran: load.jobs / running, outOfOrder: count.outOfOrder() }
}

const graphile: (localQueue: boolean) => Queue = localQueue => async (url, load) => {
  const utils = await makeWorkerUtils({ connectionString: url, logger: new Logger(() => () => {}) })
  await utils.migrate()
  const count = counter(load)
  const all = payloads(load)
  const enqueuing = await secondsOf(async () => {
    for (let start = 0; start < all.length; start += 500) {
      const slice = all.slice(start, start + 500)
      await utils.addJobs(slice.map(payload => ({ identifier: 'nothing', payload, ...(load.keyed && { queueName: payload.key }) })))
    }
  })
  const running = await secondsOf(async () => {
    const runner = await run({
      connectionString: url,
      concurrency: load.concurrency,
      noHandleSignals: true,
      logger: new Logger(() => () => {}),
      taskList: { nothing: payload => count.ran(payload as Payload) },
      ...(localQueue && { preset: { worker: { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } } })
    })
    await count.all
    await runner.stop()
  })
  await utils.release()
  return { enqueued: load.jobs / enqueuing, ran: load.jobs / running, outOfOrder: count.outOfOrder() }
}

const rounds = 3

/** Jobs a second of ours beside each of the others'; the median of rounds, each queue in a fresh database of one server. */
export async function measureBeside(load: Load, others: Record<string, Queue>): Promise<Result[]> {
  const server = await startPostgres([])
  try {
    const queues: Record<string, Queue> = { quayside: ours, ...others }
    const speeds: Record<string, Speed[]> = {}
    for (let round = 0; round < rounds; round += 1) {
      for (const [name, queue] of Object.entries(queues)) {
        const database = `bench_${name.replaceAll('-', '_')}_${round}`
        await administer(server.url, `create database ${database}`)
        ;(speeds[name] ??= []).push(await queue(databaseUrl(server.url, database), load))
      }
    }
    const of = (name: string, what: keyof Speed) => median(speeds[name]!.map(speed => speed[what]))
    const rss = Math.round(process.memoryUsage.rss() / 2 ** 20)
    return Object.keys(others).flatMap(name => {
      const shape = load.keyed ? 'keyed' : 'plain'
      const disorder = load.keyed && of(name, 'outOfOrder') > 0 ? ` (${of(name, 'outOfOrder')} keys out of order)` : ''
      return [
        result(`jobs-${shape}-run`, of('quayside', 'ran'), 'jobs/s', { name: `${name}${disorder}`, value: of(name, 'ran') }, rss),
        result(`jobs-${shape}-enqueue`, of('quayside', 'enqueued'), 'jobs/s', { name, value: of(name, 'enqueued') }, rss)
      ]
    })
  } finally {
    await server.stop()
  }
}

const jobs = 10_000
const concurrency = 10

export const queuesBeside: Case[] = [false, true].map(keyed => ({
  name: `jobs-${keyed ? 'keyed' : 'plain'}`,
  about: `${jobs} jobs on PostgreSQL, ${keyed ? 'four to a key and in its order' : 'in no order'}, beside pg-boss and graphile-worker`,
  run: () =>
    measureBeside({ jobs, concurrency, keyed }, { 'pg-boss': pgBoss, graphile: graphile(false), 'graphile-localqueue': graphile(true) })
}))
