// Pages out of a table, as a keyset: by key alone (every pull reads the whole table), or by a cursor column that grows with
// every change. A cursor pull begins with the rows at its cursor again and, on PostgreSQL, with those of the minute before,
// because there a transaction may commit later than its timestamp says.
import type { ConnectorContext, Field, FieldValues, Page, Shape } from '../connector.ts'
import { AppError } from '../../errors.ts'
import { columnNames, quote, tableName } from './names.ts'
import type { Session } from './session.ts'
import { fieldsOf } from './table.ts'
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
  const columns = await open(session => fieldsOf(session, source.target))
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
  const names = columnNames([shape.key, ...shape.fields.map(field => field.name)])
  const stored = shape.fields.map(field => ({ ...field, name: names.get(field.name) ?? field.name }))
  const key: Field = { name: names.get(shape.key) ?? shape.key, type: 'text' }
  let after: SqlCheckpoint | null = null
  for (;;) {
    ctx.signal.throwIfAborted()
    const position: SqlCheckpoint | null = after
    const rows: Record<string, unknown>[] = await open(session => readPage(session, shape.target, stored, key, null, position))
    for (const row of rows) {
      const values = valuesOf(row, stored)
      const named = Object.fromEntries(shape.fields.map((field, index) => [field.name, values[stored[index]?.name ?? ''] ?? null]))
      yield { key: String(row['_key']), fingerprint: fingerprint(shape.fields, named) }
    }
    if (rows.length < pageSize) return
    after = { key: place(rows.at(-1)?.['_key']), cursor: null }
  }
}

async function readPage(
  session: Session,
  target: string,
  columns: Field[],
  key: Field,
  cursor: Field | null,
  after: SqlCheckpoint | null
): Promise<Record<string, unknown>[]> {
  const text = (field: Field): string => (session.system === 'postgres' ? `${quote(field.name)}::text` : quote(field.name))
  const selected = columns.map(
    (field, index) =>
      `${session.system === 'postgres' && field.type === 'datetime' ? isoText(field) : text(field)} as ${quote(`_${index}`)}`
  )
  const selection = [`${text(key)} as "_key"`, ...(cursor ? [`${text(cursor)} as "_cursor"`] : []), ...selected].join(', ')
  const keyset = [...(cursor ? [quote(cursor.name)] : []), quote(key.name)]
  const conditions = keyset.map(name => `${name} is not null`)
  const parameters: Place[] = []
  if (after !== null && after.key === null && cursor && after.cursor !== null) {
    conditions.push(`${quote(cursor.name)} >= ?`)
    parameters.push(after.cursor)
  } else if (after !== null && after.key !== null) {
    conditions.push(cursor ? `(${keyset.join(', ')}) > (?, ?)` : `${quote(key.name)} > ?`)
    parameters.push(...(cursor ? [after.cursor ?? '', after.key] : [after.key]))
  }
  return session.query(
    `select ${selection} from ${tableName(target, session.system)} where ${conditions.join(' and ')} order by ${keyset.join(', ')} limit ${pageSize}`,
    parameters
  )
}

function valuesOf(row: Record<string, unknown>, columns: Field[]): FieldValues {
  return Object.fromEntries(columns.map((field, index) => [field.name, fromColumn(row[`_${index}`], field.type)]))
}

function isoText(field: Field): string {
  return `to_char(${quote(field.name)}::timestamptz at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`
}

function back(since: SqlCheckpoint, cursor: Field, session: Session): SqlCheckpoint {
  const at = cursor.type === 'datetime' && session.system === 'postgres' ? Date.parse(String(since.cursor)) : Number.NaN
  return { key: null, cursor: Number.isNaN(at) ? since.cursor : new Date(at - lookbackSeconds * 1000).toISOString() }
}

function place(value: unknown): Place {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
  return typeof value === 'number' ? value : String(value)
}

function column(columns: Field[], name: string, target: string): Field {
  const found = columns.find(candidate => candidate.name === name)
  if (found) return found
  throw new AppError('invalid', `Table ${target} has no column ${name}.`, {
    remedy: `Its columns: ${columns.map(candidate => candidate.name).join(', ')}.`
  })
}
