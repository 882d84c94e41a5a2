// One of several worker processes on a PostgreSQL, to be killed or frozen in the middle of a job. What its jobs write stands in tables
// of the test: `target` plays another system that knows fencing tokens, `written` and `refused` keep what it took and what it did not.
//
// A job marked `stop` says at its first attempt that it stands before or behind its write, and goes on when it is told.
import { once } from 'node:events'
import pg from 'pg'
import { openDatabase } from '../../server/database/database.ts'
import type { JobContext, JobKind, JobResult } from '../../server/jobs/job.ts'
import { createWorker } from '../../server/jobs/worker.ts'
import { silentLog } from '../../server/log.ts'

export interface WriteJob {
  key: string
  /** The how-manieth change of its key, from 1. */
  n: number
  trouble: 'fail' | 'snooze' | null
  stop: 'before' | 'behind' | null
}

export type WorkerWord = { word: 'stands'; stop: 'before' | 'behind' } | { word: 'overtaken'; jobId: number; fence: number }

const [databaseUrl = '', leaseSeconds = ''] = process.argv.slice(2)
const database = await openDatabase(databaseUrl)
const pool = new pg.Pool({ connectionString: databaseUrl })

async function write({ key, n, trouble, stop }: WriteJob, { jobId, attempt, fence }: JobContext): Promise<JobResult> {
  if (trouble === 'snooze' && fence === 1) return { snoozeSeconds: 0, reason: 'not yet' }
  if (trouble === 'fail' && attempt === 1) throw new Error('the first attempt fails')
  const { rows: before } = await pool.query<{ last: number }>('select last from target where key = $1', [key])
  // An earlier attempt wrote it and did not live to say so.
  if (before[0]!.last >= n) return
  if (attempt === 1 && stop === 'before') await stand(stop)
  // One statement: the target takes it or refuses it, and keeps which.
  await pool.query(
    `with target_row as (select job_id, fence, last from target where key = $1 for update),
      took as (
        update target set last = $2, job_id = $3, fence = $4
        from target_row
        where key = $1 and target_row.last < $2 and (target_row.job_id, target_row.fence) < ($3, $4)
        returning key
      ),
      kept as (insert into written (key, n, job_id, fence) select key, $2, $3, $4 from took)
    insert into refused (key, n, job_id, fence)
      select $1, $2, $3, $4 from target_row where (target_row.job_id, target_row.fence) > ($3, $4)`,
    [key, n, jobId, fence]
  )
  if (attempt === 1 && stop === 'behind') await stand(stop)
}

async function stand(stop: 'before' | 'behind'): Promise<void> {
  say({ word: 'stands', stop })
  await once(process, 'message')
}

function say(word: WorkerWord): void {
  process.send?.(word)
}

const kind: JobKind<WriteJob> = { kind: 'write', lane: 'live', maxAttempts: 20, timeoutSeconds: 60, run: write }
const worker = createWorker({
  database,
  kinds: [kind],
  concurrency: 6,
  leaseSeconds: Number(leaseSeconds),
  log: silentLog,
  onOvertaken: async job => say({ word: 'overtaken', jobId: job.id, fence: job.claims })
})
worker.start()
process.once('disconnect', () => {
  void (async () => {
    await worker.stop()
    await pool.end()
    await database.close()
  })()
})
