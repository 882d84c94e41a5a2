// Tables as the connector finds and makes them: what columns a source has, and a destination created or grown to its shape.
// It never drops or retypes a column, and never writes into a table that it did not make.
import type { Field, Shape } from '../connector.ts'
import { AppError } from '../../errors.ts'
import { BadValue, type Session } from './session.ts'
import { columnNames, orderColumn, quote, tableName } from './names.ts'
import { columnTypes, fieldType } from './values.ts'

/** AppError invalid when there is no such table. */
export async function fieldsOf(session: Session, target: string): Promise<Field[]> {
  const columns = await columnsOf(session, target)
  if (columns.length === 0) {
    throw new AppError('invalid', `${session.place} has no table ${target}.`, {
      remedy: 'Check the name of the table; on PostgreSQL it may be schema.table.'
    })
  }
  return columns
}

/** Idempotent. AppError conflict for a table that is somebody else's. */
export async function prepareTable(session: Session, shape: Shape): Promise<void> {
  const types = columnTypes[session.system]
  const names = columnNames([shape.key, ...shape.fields.map(field => field.name)])
  const nameOf = (field: string): string => quote(names.get(field) ?? field)
  const table = tableName(shape.target, session.system)
  const columns = shape.fields.map(field => `${nameOf(field.name)} ${types[field.type]}`)
  const create = `create table if not exists ${table} (${[`${nameOf(shape.key)} text primary key not null`, `${quote(orderColumn)} ${types.integer} not null default 0`, ...columns].join(', ')})`
  try {
    await session.query(create)
  } catch (error) {
    // Two sessions creating one table at once: PostgreSQL lets the second trip over the first's catalogue row.
    if (!(error instanceof BadValue)) throw error
    await session.query(create)
  }
  // SQLite folds the case of column names, PostgreSQL does not once they are quoted.
  const folded = (name: string): string => (session.system === 'sqlite' ? name.toLowerCase() : name)
  const present = new Set((await columnsOf(session, shape.target)).map(column => folded(column.name)))
  if (!present.has(orderColumn) || !present.has(folded(names.get(shape.key) ?? shape.key))) {
    throw new AppError('conflict', `${session.place} already has a table ${shape.target} that Quayside did not make.`, {
      remedy: 'Choose another name or prefix for the tables of this sync, or rename that table.'
    })
  }
  for (const field of shape.fields) {
    if (present.has(folded(names.get(field.name) ?? field.name))) continue
    await session.query(
      `alter table ${table} add column ${session.system === 'postgres' ? 'if not exists ' : ''}${nameOf(field.name)} ${types[field.type]}`
    )
  }
}

async function columnsOf(session: Session, target: string): Promise<Field[]> {
  if (session.system === 'sqlite') {
    const rows = await session.query('select name, type, pk from pragma_table_info(?)', [target])
    return rows.map(row => ({
      name: String(row['name']),
      type: fieldType(String(row['type'])),
      ...(Number(row['pk']) > 0 ? { key: true } : {})
    }))
  }
  const rows = await session.query(
    `select a.attname as name, format_type(a.atttypid, null) as type, (i.indrelid is not null)::text as pk
     from pg_attribute a left join pg_index i on i.indrelid = a.attrelid and i.indisprimary and a.attnum = any(i.indkey)
     where a.attrelid = to_regclass(?) and a.attnum > 0 and not a.attisdropped order by a.attnum`,
    [tableName(target, 'postgres')]
  )
  return rows.map(row => ({
    name: String(row['name']),
    type: fieldType(String(row['type'])),
    ...(row['pk'] === 'true' ? { key: true } : {})
  }))
}
