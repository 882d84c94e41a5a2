// One PostgreSQL for a test run: TEST_POSTGRES_URL where it is given, otherwise a real server from npm on a free port, started
// here and gone afterwards. It makes a migrated template once; each test database is a copy of it (databases.ts).
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import type { TestProject } from 'vitest/node'
import { openDatabase } from '../../server/database/database.ts'
import { migrate } from '../../server/database/migrate.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** URL of the server's maintenance database; its user may create databases. */
    postgresUrl: string
    /** Name of the migrated database to copy from. */
    postgresTemplate: string
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env.TEST_POSTGRES_URL
  const server = given ? { url: given, stop: async () => {} } : await startPostgres()
  const template = `quayside_template_${process.pid}`
  await administer(server.url, `create database ${template}`)
  const database = await openDatabase(databaseUrl(server.url, template))
  await migrate(database)
  await database.close()
  project.provide('postgresUrl', server.url)
  project.provide('postgresTemplate', template)
  return async () => {
    await administer(server.url, `drop database if exists ${template} with (force)`)
    await server.stop()
  }
}

/** A fresh PostgreSQL server. `flags` default to what is fast and loses nothing that a test would miss. */
export async function startPostgres(flags: string[] = fastFlags): Promise<{ url: string; stop: () => Promise<void> }> {
  const child = fork(keeper, flags, { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const gone = new Promise<never>((_resolve, reject) => child.once('exit', code => reject(new Error(`PostgreSQL ended with ${code}`))))
  gone.catch(() => {})
  const ready = new Promise<string>(resolve => child.once('message', (url: string) => resolve(url)))
  const url = await Promise.race([ready, gone])
  return {
    url,
    stop: async () => {
      child.disconnect()
      await gone.catch(() => {})
    }
  }
}

/**
 * The server's keeper is a process of its own: the package that starts PostgreSQL takes over the exit of the process it lives in,
 * and would turn a failed test run into exit code 0.
 */
const keeper = fileURLToPath(new URL('postgres.process.ts', import.meta.url))

const fastFlags = ['-c', 'fsync=off', '-c', 'synchronous_commit=off', '-c', 'full_page_writes=off', '-c', 'max_connections=300']

/** One statement on the server's maintenance database. */
export async function administer(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

export function databaseUrl(serverUrl: string, name: string): string {
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  return url.href
}
