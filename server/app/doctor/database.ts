// PostgreSQL as this machine reaches it, and what stands in any database: its clock, its tables, its speed. Used from both sides: by
// the command on a connection of its own, by the server on the one it works with.
import { sql } from 'kysely'
import { databaseNow } from '../../database/clock.ts'
import { type Database, openDatabase } from '../../database/database.ts'
import { migrations } from '../../database/migrations/index.ts'
import type { Check } from '../../http/contract/doctor.ts'
import { isAppError } from '../../errors.ts'
import { bad, codeOf, few, ok, type Probe, warn } from './check.ts'
import { clockCheck } from './hosts.ts'

/** As PostgreSQL and the system name it: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const remedies: Record<string, string> = {
  ECONNREFUSED: 'Nothing listens there: start PostgreSQL, or correct host and port in QUAYSIDE_DATABASE_URL.',
  ENOTFOUND: 'The host has no such name: correct it in QUAYSIDE_DATABASE_URL.',
  '28P01': 'Correct user or password in QUAYSIDE_DATABASE_URL.',
  '28000': 'This user may not log in from here: see pg_hba.conf.',
  '3D000': 'There is no such database: create it, or correct its name in QUAYSIDE_DATABASE_URL.',
  '53300': 'It has no connection left: raise max_connections, or close what does not need one.'
}

export function postgresProbe(url: string): Probe {
  return {
    name: 'database',
    lateRemedy: 'PostgreSQL did not take the connection: check host, port and firewall.',
    async run() {
      const database = await openDatabase(url).catch((error: unknown) => error)
      if (!isDatabase(database)) {
        const code = codeOf(database)
        const words = isAppError(database) ? database.message : 'PostgreSQL cannot be reached.'
        const known = code === null ? undefined : remedies[code]
        return [bad('database', code === null ? words : `${words.slice(0, -1)} (${code}).`, known ?? 'Check QUAYSIDE_DATABASE_URL.')]
      }
      try {
        return await databaseChecks(database, 'database')
      } finally {
        await database.close()
      }
    }
  }
}

function isDatabase(value: unknown): value is Database {
  return typeof value === 'object' && value !== null && 'dialect' in value
}

const slowMs = 250

/** Rejects when the database does not answer. */
export async function databaseChecks(database: Database, name: string): Promise<Check[]> {
  const { db, dialect } = database
  const sentAt = performance.now()
  const before = Date.now()
  const now = await databaseNow(db)
  if (dialect === 'sqlite') await sql`select 1`.execute(db)
  const milliseconds = Math.round(performance.now() - sentAt)
  const product = dialect === 'sqlite' ? 'SQLite' : `PostgreSQL ${await postgresVersion(database)}`
  const words = `${product} answers in ${milliseconds} ms`
  const rows = [
    milliseconds > slowMs
      ? warn(name, `${words}, which is slow.`, 'Every webhook waits for it: bring it nearer, or look at its load.')
      : ok(name, words),
    ...(await tables(database, name))
  ]
  return dialect === 'sqlite' ? rows : [...rows, clockCheck(name, before + milliseconds / 2 - now)]
}

async function postgresVersion({ db }: Database): Promise<string> {
  const { rows } = await sql<{ server_version: string }>`show server_version`.execute(db)
  return rows[0]?.server_version.split(' ')[0] ?? ''
}

/** Only what is wrong is a row: a server that runs has brought its database up to date. */
async function tables({ db }: Database, name: string): Promise<Check[]> {
  const standing = await db.introspection.getTables()
  if (!standing.some(table => table.name === 'migration'))
    return [
      warn(
        name,
        'It holds no tables of Quayside yet.',
        'They are made when the server starts. If it runs, QUAYSIDE_DATABASE_URL names another database.'
      )
    ]
  const { rows } = await sql<{ name: string }>`select name from migration`.execute(db)
  const applied = new Set(rows.map(row => row.name))
  const missing = migrations.filter(migration => !applied.has(migration.name)).map(migration => migration.name)
  const unknown = [...applied].filter(one => !migrations.some(migration => migration.name === one))
  return [
    ...(missing.length === 0
      ? []
      : [
          warn(
            name,
            `Its tables are those of an older release: ${few(missing)}.`,
            'They are brought up to date when a server of this release starts.'
          )
        ]),
    ...(unknown.length === 0
      ? []
      : [
          warn(
            name,
            `Its tables are those of a newer release: ${few(unknown)}.`,
            'Bring this installation to the same release as the others.'
          )
        ])
  ]
}
