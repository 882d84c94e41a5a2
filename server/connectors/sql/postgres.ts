// PostgreSQL over pg. Pools are kept for a few seconds between calls, one per address and credential, because opening a
// connection costs more than a batch. The address comes resolved and pinned from the engine's guard, never from DNS here.
import { createHash } from 'node:crypto'
import pg from 'pg'
import type { ConnectorContext } from '../connector.ts'
import { AppError, isAppError } from '../../errors.ts'
import { BadValue, missingRelation, type Session, trouble } from './session.ts'
import type { PostgresSettings } from './settings.ts'

/** A name in quotes may hold a question mark of its own. */
const quotedOrMark = /"(?:[^"]|"")*"|\?/g

const pools = new Map<string, pg.Pool>()

export async function withPostgres<T>(
  settings: PostgresSettings,
  ctx: ConnectorContext,
  work: (session: Session) => Promise<T>
): Promise<T> {
  ctx.signal.throwIfAborted()
  const place = `PostgreSQL at ${settings.host}:${settings.port}`
  const pool = poolFor(settings, await ctx.resolve(settings.host), await passwordOf(ctx))
  let client: pg.PoolClient
  try {
    client = await pool.connect()
  } catch (error) {
    throw translate(error, place, settings)
  }
  let broken = false
  try {
    return await work({
      system: 'postgres',
      place,
      async query(sql, parameters = []) {
        ctx.signal.throwIfAborted()
        try {
          let position = 0
          const { rows } = await client.query<Record<string, unknown>>(
            sql.replace(quotedOrMark, found => (found === '?' ? `$${++position}` : found)),
            [...parameters]
          )
          return rows
        } catch (error) {
          const translated = translate(error, place, settings)
          broken ||= isAppError(translated, 'upstream')
          throw translated
        }
      }
    })
  } finally {
    client.release(broken)
  }
}

/** Ends what is open; for a server that closes and for tests. */
export async function closePools(): Promise<void> {
  const open = [...pools.values()]
  pools.clear()
  await Promise.all(open.map(pool => pool.end()))
}

async function passwordOf(ctx: ConnectorContext): Promise<string | undefined> {
  try {
    return await ctx.secret('password')
  } catch (error) {
    // A database may trust us without one; if not, it says so itself.
    if (isAppError(error, 'not_found')) return undefined
    throw error
  }
}

function poolFor(settings: PostgresSettings, address: string, password: string | undefined): pg.Pool {
  const key = createHash('sha256')
    .update(JSON.stringify([settings, address, password]))
    .digest('hex')
  const open = pools.get(key)
  if (open) return open
  const pool = new pg.Pool({
    host: address,
    port: settings.port,
    database: settings.database,
    user: settings.user,
    password: password ?? '',
    ssl: settings.ssl === 'off' ? false : { servername: settings.host, rejectUnauthorized: settings.ssl === 'verify' },
    max: 4,
    idleTimeoutMillis: 5_000,
    connectionTimeoutMillis: 10_000,
    statement_timeout: 30_000,
    query_timeout: 35_000,
    allowExitOnIdle: true,
    application_name: 'quayside',
    options: '-c TimeZone=UTC',
    // Text as it comes: pull and list convert by the column's type, without losing microseconds or large integers.
    types: { getTypeParser: () => (value: string) => value }
  })
  // An idle connection that the server closes must not end the process; the next use opens another.
  pool.on('error', () => {})
  pool.on('remove', () => {
    if (pool.totalCount === 0) pools.delete(key)
  })
  pools.set(key, pool)
  return pool
}

/** Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html */
function translate(error: unknown, place: string, settings: PostgresSettings): Error {
  if (error instanceof AppError) return error
  if (!(error instanceof Error)) return trouble('upstream', place, 'failed.', 'Try again.', error)
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (code === '28P01' || code === '28000') {
    return trouble(
      'unauthorized',
      place,
      `refuses user ${settings.user}.`,
      "Check user and password, and that the server's pg_hba.conf lets this address in.",
      error
    )
  }
  if (code === '3D000') return trouble('invalid', place, `has no database ${settings.database}.`, 'Create it, or correct the name.', error)
  if (code === '3F000')
    return trouble('invalid', place, `refuses: ${error.message}.`, 'Create the schema, or name a table without one.', error)
  if (code === '42501')
    return trouble(
      'forbidden',
      place,
      `refuses: ${error.message}.`,
      `Grant user ${settings.user} the right on this schema or table.`,
      error
    )
  if (code === '42P01' || code === '42703') return missingRelation(place, error)
  if (/^(22|23|0A|54)/.test(code) || ['42701', '42804', '42846', '42P07'].includes(code))
    return new BadValue(error.message, { cause: error })
  if (code === 'ECONNREFUSED')
    return trouble(
      'upstream',
      place,
      'does not answer: connection refused.',
      'Check host and port, and that the database is running.',
      error
    )
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return trouble('upstream', place, 'cannot be found.', 'Check the host name.', error)
  if (/timeout|timed out/i.test(error.message) || code === 'ETIMEDOUT') {
    return trouble(
      'upstream',
      place,
      'does not answer in time.',
      'Check host and port, and that a firewall lets this server through.',
      error
    )
  }
  if (/does not support SSL/.test(error.message))
    return trouble('invalid', place, 'does not speak TLS.', 'Set TLS to off, or switch it on at the server.', error)
  return trouble('upstream', place, `failed: ${error.message}`, 'Check that the database is running and reachable.', error)
}
