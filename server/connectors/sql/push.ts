// Batches into a table. Each change has its own outcome: a batch that the database refuses is halved until the refused record
// stands alone. `_order` keeps a late, older write from going over a newer one; a deleted row leaves no order behind.
import type { Change, ConnectorContext, Outcome, Shape } from '../connector.ts'
import { columnNames, orderColumn, quote, tableName } from './names.ts'
import { BadValue, type Session } from './session.ts'
import { fingerprint, toColumn } from './values.ts'

/** Keeps one statement under 20 ms and under the parameter limits (32,766 on SQLite, 65,535 elsewhere). */
const rowsPerStatement = 200
const parametersPerStatement = 20_000

type Upsert = Change & { values: NonNullable<Change['values']> }

export async function pushBatch(session: Session, shape: Shape, changes: Change[], ctx: ConnectorContext): Promise<Outcome[]> {
  const outcomes = new Map<Change, Outcome>()
  for (const wave of waves(changes)) {
    ctx.signal.throwIfAborted()
    const deletes = wave.filter(change => change.values === null)
    const upserts = wave.filter((change): change is Upsert => change.values !== null)
    const size = Math.max(1, Math.min(rowsPerStatement, Math.floor(parametersPerStatement / (shape.fields.length + 2))))
    for (const part of inParts(deletes, size)) await settle(part, outcomes, batch => deleteRows(session, shape, batch))
    for (const part of inParts(upserts, size)) await settle(part, outcomes, batch => upsertRows(session, shape, batch))
  }
  return changes.map(
    change => outcomes.get(change) ?? { key: change.key, status: 'failed', error: 'The database gave no answer for this record.' }
  )
}

/** Each wave has a key at most once: one statement cannot touch a row twice. */
function waves(changes: Change[]): Change[][] {
  const result: Change[][] = []
  const depth = new Map<string, number>()
  for (const change of changes) {
    const wave = depth.get(change.key) ?? 0
    depth.set(change.key, wave + 1)
    ;(result[wave] ??= []).push(change)
  }
  return result
}

async function settle<T extends Change>(
  batch: T[],
  outcomes: Map<Change, Outcome>,
  run: (batch: T[]) => Promise<Outcome[]>
): Promise<void> {
  if (batch.length === 0) return
  try {
    const done = await run(batch)
    for (const [index, change] of batch.entries()) outcomes.set(change, done[index] as Outcome)
  } catch (error) {
    if (!(error instanceof BadValue)) throw error
    if (batch.length === 1) {
      outcomes.set(batch[0] as T, { key: (batch[0] as T).key, status: 'invalid', error: error.message })
      return
    }
    const middle = Math.ceil(batch.length / 2)
    await settle(batch.slice(0, middle), outcomes, run)
    await settle(batch.slice(middle), outcomes, run)
  }
}

async function upsertRows(session: Session, shape: Shape, changes: Upsert[]): Promise<Outcome[]> {
  const fields = shape.fields.filter(field => field.name !== shape.key)
  const names = columnNames([shape.key, ...shape.fields.map(field => field.name)], session.system)
  const nameOf = (field: string): string => quote(names.get(field) ?? field)
  const key = nameOf(shape.key)
  const order = quote(orderColumn)
  const columns = [key, order, ...fields.map(field => nameOf(field.name))]
  const row = `(${columns.map(() => '?').join(', ')})`
  // In key order, so that two batches at work on the same rows cannot deadlock.
  const sorted = [...changes].sort((a, b) => (a.key < b.key ? -1 : 1))
  const table = tableName(shape.target, session.system)
  const values = `(${columns.join(', ')}) values ${sorted.map(() => row).join(', ')}`
  const parameters = sorted.flatMap(change => [
    change.key,
    change.order,
    ...fields.map(field => toColumn(change.values[field.name], field.type, session.system))
  ])
  const written =
    session.system === 'mysql'
      ? await upsertMysql(session, { table, key, columns, values }, parameters, sorted)
      : await session.query(
          `insert into ${table} as held ${values}
     on conflict (${key}) do update set ${columns
       .slice(1)
       .map(column => `${column} = excluded.${column}`)
       .join(', ')}
     where held.${order} <= excluded.${order} returning ${key} as "key"`,
          parameters
        )
  const keys = new Set(written.map(({ key }) => key))
  return changes.map(change =>
    keys.has(change.key)
      ? { key: change.key, status: 'written', fingerprint: fingerprint(shape.fields, change.values) }
      : { key: change.key, status: 'stale' }
  )
}

/**
 * MySQL says neither which rows it took nor which key they met. Assignments go from left to right, so the order comes last; a row
 * met by another unique index would be overwritten in the place of ours, and takes a NULL that its column refuses.
 */
async function upsertMysql(
  session: Session,
  { table, key, columns, values }: { table: string; key: string; columns: string[]; values: string },
  parameters: unknown[],
  changes: Upsert[]
): Promise<Record<string, unknown>[]> {
  const order = quote(orderColumn)
  const newer = `values(${order}) >= ${order}`
  await session.query(
    `insert into ${table} ${values} on duplicate key update ${columns
      .slice(2)
      .map(column => `${column} = if(${newer}, values(${column}), ${column}), `)
      .join('')}${order} = if(${key} = values(${key}), greatest(${order}, values(${order})), null)`,
    parameters
  )
  const orders = new Map(changes.map(change => [change.key, change.order]))
  const held = await session.query(
    `select ${key} as "key", ${order} as "order" from ${table} where ${key} in (${changes.map(() => '?').join(', ')})`,
    [...orders.keys()]
  )
  return held.filter(row => Number(row['order']) === orders.get(String(row['key'])))
}

async function deleteRows(session: Session, shape: Shape, changes: Change[]): Promise<Outcome[]> {
  const key = quote(columnNames([shape.key, ...shape.fields.map(field => field.name)], session.system).get(shape.key) ?? shape.key)
  const table = tableName(shape.target, session.system)
  const order = quote(orderColumn)
  const condition = changes.map(() => `(${key} = ? and ${order} <= ?)`).join(' or ')
  await session.query(
    `delete from ${table} where ${condition}`,
    changes.flatMap(change => [change.key, change.order])
  )
  const left = await session.query(
    `select ${key} as "key" from ${table} where ${key} in (${changes.map(() => '?').join(', ')})`,
    changes.map(change => change.key)
  )
  const kept = new Set(left.map(({ key }) => key))
  return changes.map(change => ({ key: change.key, status: kept.has(change.key) ? 'stale' : 'deleted' }))
}

function inParts<T>(items: T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) => items.slice(index * size, (index + 1) * size))
}
