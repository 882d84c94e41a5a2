// Pages out of a table, as a keyset: by key alone (every pull reads the whole table), or by a cursor column that grows with
// every change. A cursor pull begins with the rows at its cursor again and, but for SQLite, with those of the minute
// before, because elsewhere a transaction may commit later than its timestamp says.
import type { ConnectorContext, FieldValues, Page, Shape } from '../connector.ts'
import { AppError } from '../../errors.ts'
import { columnNames, quote, tableName } from './names.ts'
import { type Column, placeMark, placeOf, valueOf } from './places.ts'
import type { Session, System } from './session.ts'
import { columnsOf } from './table.ts'
import { fingerprint, fromColumn } from './values.ts'

const pageSize = 500
const lookbackSeconds = 60

/** Where a page ended, as the database said it (PostgreSQL: always text), so that nothing is lost to a JavaScript Date. */
export interface SqlCheckpoint {
  key: Place | null
  cursor: Place | null
}
type Place = string | number

type WithSession = <T>(work: (session: Session) => Promise<T>) => Promise<T>

/** AppError invalid for a table or column that is not there. */
export async function* pullPages(
  open: WithSession,
  source: Shape,
  since: SqlCheckpoint | null,
  ctx: ConnectorContext
): AsyncIterable<Page<SqlCheckpoint>> {
  const columns = await open(session => columnsOf(session, source.target))
  const wanted = [...new Set([source.key, ...source.fields.map(field => field.name)])].map(name => column(columns, name, source.target))
  const key = column(columns, source.key, source.target)
  const cursor = source.cursor === undefined ? null : column(columns, source.cursor, source.target)
  let reached = since
  let after = since && cursor ? await open(session => Promise.resolve(back(since, cursor, session))) : since
  for (;;) {
    ctx.signal.throwIfAborted()
    const rows = await open(session => readPage(session, source.target, wanted, key, cursor, after))
    const last = rows.at(-1)
    if (last) after = reached = { key: place(last['_key']), cursor: cursor ? place(last['_cursor']) : null }
    const complete = rows.length < pageSize
    yield {
      records: rows.map(row => ({ key: String(row['_key']), values: valuesOf(row, wanted) })),
      checkpoint: reached ?? { key: null, cursor: null },
      ...(complete && cursor === null ? { snapshotComplete: true } : {})
    }
    if (complete) return
  }
}

/** Every row of a destination with the fingerprint that push reported for it. */
export async function* listRows(
  open: WithSession,
  shape: Shape,
  ctx: ConnectorContext
): AsyncIterable<{ key: string; fingerprint: string }> {
  let after: SqlCheckpoint | null = null
  for (;;) {
    ctx.signal.throwIfAborted()
    const position: SqlCheckpoint | null = after
    const { rows, stored }: OwnPage = await open(session => readOwn(session, shape, position))
    for (const row of rows) {
      const values = valuesOf(row, stored)
      const named = Object.fromEntries(shape.fields.map((field, index) => [field.name, values[stored[index]?.name ?? ''] ?? null]))
      yield { key: String(row['_key']), fingerprint: fingerprint(shape.fields, named) }
    }
    if (rows.length < pageSize) return
    after = { key: place(rows.at(-1)?.['_key']), cursor: null }
  }
}

interface OwnPage {
  rows: Record<string, unknown>[]
  /** The shape's fields under the names of their columns. */
  stored: Column[]
}

/** A page of a table that we made ourselves. */
async function readOwn(session: Session, shape: Shape, after: SqlCheckpoint | null): Promise<OwnPage> {
  const names = columnNames([shape.key, ...shape.fields.map(field => field.name)], session.system)
  const stored = shape.fields.map(field => ({ ...field, name: names.get(field.name) ?? field.name, declared: '' }))
  const key: Column = { name: names.get(shape.key) ?? shape.key, type: 'text', declared: '' }
  return { rows: await readPage(session, shape.target, stored, key, null, after), stored }
}

async function readPage(
  session: Session,
  target: string,
  columns: Column[],
  key: Column,
  cursor: Column | null,
  after: SqlCheckpoint | null
): Promise<Record<string, unknown>[]> {
  const { system } = session
  const selected = columns.map((column, index) => `${valueOf(column, system)} as ${quote(`_${index}`)}`)
  const selection = [`${placeOf(key, system)} as "_key"`, ...(cursor ? [`${placeOf(cursor, system)} as "_cursor"`] : []), ...selected].join(
    ', '
  )
  const keyset = [...(cursor ? [quote(cursor.name)] : []), quote(key.name)]
  const conditions = keyset.map(name => `${name} is not null`)
  const parameters: Place[] = []
  if (after !== null && after.key === null && cursor && after.cursor !== null) {
    conditions.push(`${quote(cursor.name)} >= ${placeMark(cursor, system)}`)
    parameters.push(after.cursor)
  } else if (after !== null && after.key !== null) {
    conditions.push(cursor ? beyond(cursor, key, system) : `${quote(key.name)} > ${placeMark(key, system)}`)
    if (cursor) parameters.push(after.cursor ?? '', ...(system === 'mysql' ? [after.cursor ?? ''] : []))
    parameters.push(after.key)
  }
  return session.query(
    `select ${selection} from ${tableName(target, system)} where ${conditions.join(' and ')} order by ${keyset.join(', ')} limit ${pageSize}`,
    parameters
  )
}

function valuesOf(row: Record<string, unknown>, columns: Column[]): FieldValues {
  return Object.fromEntries(columns.map((field, index) => [field.name, fromColumn(row[`_${index}`], field.type)]))
}

/** Parameters: cursor and key; on MySQL, which uses no index for a comparison of rows, the cursor twice. */
function beyond(cursor: Column, key: Column, system: System): string {
  const [c, k] = [quote(cursor.name), quote(key.name)]
  if (system !== 'mysql') return `(${c}, ${k}) > (?, ?)`
  const mark = placeMark(cursor, system)
  return `${c} >= ${mark} and (${c} > ${mark} or ${k} > ${placeMark(key, system)})`
}

function back(since: SqlCheckpoint, cursor: Column, { system }: Session): SqlCheckpoint {
  if (cursor.type !== 'datetime' || system === 'sqlite') return { key: null, cursor: since.cursor }
  // MySQL's text names no zone, and goes back without one: what it counts in does not matter here.
  const at = Date.parse(system === 'mysql' ? `${String(since.cursor).replace(' ', 'T')}Z` : String(since.cursor))
  if (Number.isNaN(at)) return { key: null, cursor: since.cursor }
  const before = new Date(at - lookbackSeconds * 1000).toISOString()
  return { key: null, cursor: system === 'mysql' ? before.slice(0, -1).replace('T', ' ') : before }
}

function place(value: unknown): Place {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
  return typeof value === 'number' ? value : String(value)
}

function column(columns: Column[], name: string, target: string): Column {
  const found = columns.find(candidate => candidate.name === name)
  if (found) return found
  throw new AppError('invalid', `Table ${target} has no column ${name}.`, {
    remedy: `Its columns: ${columns.map(candidate => candidate.name).join(', ')}.`
  })
}
