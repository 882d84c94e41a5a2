// How a worker learns that there is something to do before its next poll: by a bell within the process, and on PostgreSQL by
// NOTIFY across processes. A hint only; polling finds what a lost hint would have told.
import { type RawBuilder, sql } from 'kysely'
import pg from 'pg'
import type { Database, Db } from '../database/database.ts'
import type { Log } from '../log.ts'

type Bell = () => void

// A database and its transactions share one dialect adapter, which makes it the one thing that says "same database".
const bells = new WeakMap<object, Set<Bell>>()

/** Calls `bell` whenever this process enqueues or releases on that database; returns how to stop. */
export function listen(db: Db, bell: Bell): () => void {
  const adapter = db.getExecutor().adapter
  const set = bells.get(adapter) ?? new Set()
  bells.set(adapter, set.add(bell))
  return () => void set.delete(bell)
}

/** Inside a transaction too: SQLite's one connection makes the worker wait for the commit, PostgreSQL sends NOTIFY at commit. */
export function ring(db: Db): void {
  for (const bell of bells.get(db.getExecutor().adapter) ?? []) bell()
}

const channel = 'quayside_job'

/** To be selected in the transaction that enqueues; PostgreSQL folds equal notifications of one transaction into one. */
export const notifyExpression: RawBuilder<unknown> = sql`pg_notify(${sql.lit(channel)}, '')`

/** PostgreSQL only: calls `bell` on every notification, over a connection of its own that is made again when it breaks. */
export function listenToPostgres(database: Database, bell: Bell, log: Log): { close(): Promise<void> } {
  let closed = false
  let client: pg.Client | null = null
  let again: NodeJS.Timeout | undefined

  const reconnect = (cause: unknown) => {
    client?.end().catch(() => {})
    client = null
    if (closed || again) return
    log.warn({ error: cause }, 'the job notifications broke off; polling until they are back')
    again = setTimeout(() => {
      again = undefined
      void connect()
    }, 2_000)
  }
  const connect = async () => {
    const mine = new pg.Client({ connectionString: database.url, application_name: 'quayside jobs', keepAlive: true })
    client = mine
    mine.on('notification', bell)
    mine.on('error', cause => mine === client && reconnect(cause))
    try {
      await mine.connect()
      await mine.query(`listen ${channel}`)
      bell()
    } catch (cause) {
      reconnect(cause)
    }
  }
  const connected = connect()
  return {
    async close() {
      closed = true
      clearTimeout(again)
      await connected
      await client?.end().catch(() => {})
    }
  }
}
