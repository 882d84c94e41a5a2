// jobs-DATABASE: jobs.ts as a case, with the ten jobs at a time that a small server runs. The queue is measured in the bench's own
// process, so the memory is the bench's.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '../test/support/postgres.setup.ts'
import { measureJobs } from './jobs.ts'
import type { Case } from './result.ts'

const jobs = 20_000
const concurrency = 10

export const queueOnSqlite: Case = {
  name: 'jobs-sqlite',
  about: `${jobs} jobs that do nothing, in order by key, on SQLite`,
  async run() {
    const folder = await mkdtemp(join(tmpdir(), 'quayside-bench-'))
    try {
      return [await measureJobs(`sqlite:${join(folder, 'jobs.db')}`, 'sqlite', jobs, concurrency)]
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
}

export const queueOnPostgres: Case = {
  name: 'jobs-postgres',
  about: 'the same on a fresh PostgreSQL that flushes every commit',
  async run() {
    const server = await startPostgres([])
    try {
      return [await measureJobs(server.url, 'postgres', jobs, concurrency)]
    } finally {
      await server.stop()
    }
  }
}
