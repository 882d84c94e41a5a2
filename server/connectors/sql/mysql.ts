// MariaDB and MySQL over mysql2. Every statement is prepared on the server, so no value is ever text of a statement; the session
// speaks the quotes of the standard, refuses what does not fit instead of cutting it, and counts time in UTC. Pools are kept for a
// few seconds between calls; the address comes resolved and pinned from the engine's guard, never from DNS here.
import { createHash } from 'node:crypto'
import { connect, isIP } from 'node:net'
import mysql from 'mysql2/promise'
import type { ConnectorContext } from '../connector.ts'
import { AppError, isAppError } from '../../errors.ts'
import { BadValue, missingRelation, type Session, trouble } from './session.ts'
import type { MysqlSettings } from './settings.ts'

const idleMilliseconds = 5_000
const statementMilliseconds = 35_000
/** Seconds; the servers' own default lets a change of a table wait for a day. */
const lockSeconds = 30

/** https://mariadb.com/kb/en/sql-mode/, https://dev.mysql.com/doc/refman/8.4/en/sql-mode.html */
const sqlMode =
  'ANSI_QUOTES,STRICT_ALL_TABLES,STRICT_TRANS_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_BACKSLASH_ESCAPES'

interface Open {
  pool: mysql.Pool
  users: number
  closing: NodeJS.Timeout | undefined
}

const pools = new Map<string, Open>()
/** What a connection was told, and the largest packet it takes, in bytes. */
const greeted = new WeakMap<object, number>()

export async function withMysql<T>(settings: MysqlSettings, ctx: ConnectorContext, work: (session: Session) => Promise<T>): Promise<T> {
  ctx.signal.throwIfAborted()
  const place = `MySQL server at ${settings.host}:${settings.port}`
  if (settings.ssl === 'verify' && isIP(settings.host) !== 0)
    throw trouble('invalid', place, 'cannot be verified: a certificate stands for a name.', 'Give the host by its name.', undefined)
  const { key, open } = poolFor(settings, await ctx.resolve(settings.host), await passwordOf(ctx))
  clearTimeout(open.closing)
  open.users++
  let connection: mysql.PoolConnection | undefined
  let broken = false
  try {
    let largestPacket: number
    try {
      connection = await open.pool.getConnection()
      largestPacket = await greet(connection)
    } catch (error) {
      broken = true
      throw translate(error, place, settings)
    }
    const held = connection
    return await work({
      system: 'mysql',
      place,
      async query(sql, parameters = []) {
        ctx.signal.throwIfAborted()
        // The server would end the connection; as a bad value the batch is halved until each part fits.
        if (sizeOf(parameters) + 2 * sql.length > largestPacket)
          throw new BadValue(`It is larger than the server takes at once (max_allowed_packet: ${largestPacket} bytes).`)
        try {
          const [rows] = await held.execute({ sql, timeout: statementMilliseconds }, parameters as (string | number | null)[])
          return Array.isArray(rows) ? (rows as Record<string, unknown>[]) : []
        } catch (error) {
          const translated = translate(error, place, settings)
          broken ||= isAppError(translated, 'upstream')
          throw translated
        }
      }
    })
  } finally {
    if (broken) connection?.destroy()
    else connection?.release()
    if (--open.users === 0) open.closing = setTimeout(() => void close(key, open), idleMilliseconds).unref()
  }
}

/** Ends what is open; for a server that closes and for tests. */
export async function closeMysqlPools(): Promise<void> {
  await Promise.all([...pools].map(([key, open]) => close(key, open)))
}

async function close(key: string, open: Open): Promise<void> {
  clearTimeout(open.closing)
  pools.delete(key)
  await open.pool.end()
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

function poolFor(settings: MysqlSettings, address: string, password: string | undefined): { key: string; open: Open } {
  const key = createHash('sha256')
    .update(JSON.stringify([settings, address, password]))
    .digest('hex')
  const known = pools.get(key)
  if (known) return { key, open: known }
  const pool = mysql.createPool({
    // The name is for TLS; the socket goes to the pinned address.
    host: settings.host,
    stream: () => connect({ host: address, port: settings.port, noDelay: true, keepAlive: true }),
    database: settings.database,
    user: settings.user,
    password: password ?? '',
    ...(settings.ssl === 'off'
      ? {}
      : { ssl: { rejectUnauthorized: settings.ssl === 'verify', verifyIdentity: settings.ssl === 'verify' } }),
    charset: 'UTF8MB4_GENERAL_CI',
    // Times, large numbers and JSON as text: nothing is lost to a JavaScript Date or number.
    dateStrings: true,
    supportBigNumbers: true,
    jsonStrings: true,
    connectionLimit: 4,
    maxIdle: 3,
    idleTimeout: idleMilliseconds,
    connectTimeout: 10_000,
    maxPreparedStatements: 40,
    // A server must not ask for our files (LOAD DATA LOCAL).
    flags: ['-LOCAL_FILES']
  })
  const open: Open = { pool, users: 0, closing: undefined }
  pools.set(key, open)
  return { key, open }
}

/** Once per connection. Returns the largest packet in bytes. */
async function greet(connection: mysql.PoolConnection): Promise<number> {
  const known = greeted.get(connection.connection)
  if (known !== undefined) return known
  await connection.execute({
    sql: `set session sql_mode = '${sqlMode}', time_zone = '+00:00', lock_wait_timeout = ${lockSeconds}, innodb_lock_wait_timeout = ${lockSeconds}`,
    timeout: statementMilliseconds
  })
  const [rows] = await connection.execute<mysql.RowDataPacket[]>('select @@max_allowed_packet as largest')
  const largest = Number(rows[0]?.['largest'])
  greeted.set(connection.connection, largest)
  return largest
}

function sizeOf(parameters: readonly unknown[]): number {
  return parameters.reduce<number>((sum, value) => sum + 12 + (typeof value === 'string' ? Buffer.byteLength(value) : 0), 0)
}

/** Of single records: https://mariadb.com/kb/en/mariadb-error-code-reference/. 1048 is what upsert provokes on another's row. */
const badValues = new Set([
  1048, 1050, 1059, 1060, 1062, 1071, 1074, 1103, 1117, 1118, 1153, 1166, 1264, 1265, 1292, 1300, 1364, 1366, 1406, 1451, 1452, 1644, 1690,
  3140, 3141, 3819, 4025
])

function translate(error: unknown, place: string, settings: MysqlSettings): Error {
  if (error instanceof AppError) return error
  if (!(error instanceof Error)) return trouble('upstream', place, 'failed.', 'Try again.', error)
  const number = 'errno' in error && typeof error.errno === 'number' ? error.errno : 0
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const state = 'sqlState' in error && typeof error.sqlState === 'string' ? error.sqlState : ''
  if ([1045, 1130, 1698, 1862, 3118].includes(number))
    return trouble(
      'unauthorized',
      place,
      `refuses user ${settings.user}.`,
      'Check user and password, and that the account may come from the address of this server.',
      error
    )
  if (number === 1049) return trouble('invalid', place, `has no database ${settings.database}.`, 'Create it, or correct the name.', error)
  if ([1044, 1142, 1143, 1227, 1370].includes(number))
    return trouble(
      'forbidden',
      place,
      `refuses: ${error.message}.`,
      `Grant user ${settings.user} the right on this database or table.`,
      error
    )
  if (number === 1054 || number === 1146) return missingRelation(place, error)
  if (number === 1048 && /'_order'/.test(error.message))
    return new BadValue('Another row already holds a value that a unique index of the table allows once.', { cause: error })
  if (badValues.has(number) || /^2[23]/.test(state)) return new BadValue(error.message, { cause: error })
  if (code === 'HANDSHAKE_NO_SSL_SUPPORT')
    return trouble('invalid', place, 'does not speak TLS.', 'Set TLS to off, or switch it on at the server.', error)
  if (code === 'ECONNREFUSED')
    return trouble(
      'upstream',
      place,
      'does not answer: connection refused.',
      'Check host and port, and that the database is running.',
      error
    )
  if (code === 'ETIMEDOUT' || code === 'PROTOCOL_SEQUENCE_TIMEOUT')
    return trouble(
      'upstream',
      place,
      'does not answer in time.',
      'Check host and port, and that a firewall lets this server through.',
      error
    )
  return trouble('upstream', place, `failed: ${error.message}`, 'Check that the database is running and reachable.', error)
}
