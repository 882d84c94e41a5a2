// Tables as the connector finds and makes them: what columns a source has, and a destination created or grown to its shape.
// It never drops or retypes a column, and never writes into a table that it did not make.
import type { Field, Shape } from '../connector.ts'
import { AppError } from '../../errors.ts'
import { BadValue, type Session } from './session.ts'
import { columnNames, orderColumn, quote, tableName, tableParts } from './names.ts'
import type { Column } from './places.ts'
import { columnTypes, fieldType } from './values.ts'

/** AppError invalid when there is no such table. */
export async function fieldsOf(session: Session, target: string): Promise<Field[]> {
  return (await columnsOf(session, target)).map(({ name, type, key }) => ({ name, type, ...(key ? { key } : {}) }))
}

/** AppError invalid when there is no such table. */
export async function columnsOf(session: Session, target: string): Promise<Column[]> {
  const columns = await readColumns(session, target)
  if (columns.length > 0) return columns
  throw new AppError('invalid', `${session.place} has no table ${target}.`, {
    remedy: 'Check the name of the table; it may be schema.table on PostgreSQL, database.table on MySQL.'
  })
}

/** Idempotent. AppError conflict for a table that is somebody else's, invalid for one that the database cannot make. */
export async function prepareTable(session: Session, shape: Shape): Promise<void> {
  try {
    await makeTable(session, shape)
  } catch (error) {
    if (!(error instanceof BadValue)) throw error
    throw new AppError('invalid', `${session.place} cannot make the table ${shape.target}: ${error.message}`, {
      cause: error,
      remedy: 'Map fewer or other fields, or choose another name for the table.'
    })
  }
}

async function makeTable(session: Session, shape: Shape): Promise<void> {
  const { system } = session
  const types = columnTypes[system]
  const names = columnNames([shape.key, ...shape.fields.map(field => field.name)], system)
  const nameOf = (field: string): string => quote(names.get(field) ?? field)
  const table = tableName(shape.target, system)
  const columns = shape.fields.map(field => `${nameOf(field.name)} ${types[field.type]}`)
  const keyType = system === 'mysql' ? await mysqlKeyType(session) : 'text'
  const create = `create table if not exists ${table} (${[`${nameOf(shape.key)} ${keyType} primary key not null`, `${quote(orderColumn)} ${types.integer} not null default 0`, ...columns].join(', ')})${system === 'mysql' ? ' engine = InnoDB default character set utf8mb4' : ''}`
  try {
    await session.query(create)
  } catch (error) {
    // Two sessions creating one table at once: PostgreSQL lets the second trip over the first's catalogue row.
    if (!(error instanceof BadValue)) throw error
    await session.query(create)
  }
  // SQLite and MySQL fold the case of column names, PostgreSQL does not once they are quoted.
  const folded = (name: string): string => (system === 'postgres' ? name : name.toLowerCase())
  const read = async (): Promise<Set<string>> => new Set((await readColumns(session, shape.target)).map(column => folded(column.name)))
  const present = await read()
  if (!present.has(orderColumn) || !present.has(folded(names.get(shape.key) ?? shape.key))) {
    throw new AppError('conflict', `${session.place} already has a table ${shape.target} that Quayside did not make.`, {
      remedy: 'Choose another name or prefix for the tables of this sync, or rename that table.'
    })
  }
  for (const field of shape.fields) {
    const name = folded(names.get(field.name) ?? field.name)
    if (present.has(name)) continue
    try {
      await session.query(`alter table ${table} add column ${nameOf(field.name)} ${types[field.type]}`)
    } catch (error) {
      // Another session may have added it meanwhile.
      if (!(error instanceof BadValue) || !(await read()).has(name)) throw error
    }
  }
}

/**
 * Bytes decide which keys are one, spaces at the end included; 3,072 bytes is what an index takes.
 * https://dev.mysql.com/doc/refman/8.4/en/innodb-limits.html
 */
async function mysqlKeyType(session: Session): Promise<string> {
  const [known] = await session.query(
    `select collation_name as "name" from information_schema.collations
     where collation_name in ('utf8mb4_nopad_bin', 'utf8mb4_0900_bin') order by collation_name desc limit 1`
  )
  return `varchar(768) character set utf8mb4 collate ${known ? String(known['name']) : 'utf8mb4_bin'}`
}

async function readColumns(session: Session, target: string): Promise<Column[]> {
  if (session.system === 'mysql') {
    const [schema, table] = [null, ...tableParts(target, 'mysql')].slice(-2)
    const rows = await session.query(
      `select column_name as "name", column_type as "type", column_key as "key" from information_schema.columns
       where table_schema = coalesce(?, database()) and table_name = ? order by ordinal_position`,
      [schema, table]
    )
    return rows.map(row => column(row['name'], row['type'], row['key'] === 'PRI'))
  }
  if (session.system === 'sqlite') {
    const rows = await session.query('select name, type, pk from pragma_table_info(?)', [target])
    return rows.map(row => column(row['name'], row['type'], Number(row['pk']) > 0))
  }
  const rows = await session.query(
    `select a.attname as name, format_type(a.atttypid, null) as type, (i.indrelid is not null)::text as pk
     from pg_attribute a left join pg_index i on i.indrelid = a.attrelid and i.indisprimary and a.attnum = any(i.indkey)
     where a.attrelid = to_regclass(?) and a.attnum > 0 and not a.attisdropped order by a.attnum`,
    [tableName(target, 'postgres')]
  )
  return rows.map(row => column(row['name'], row['type'], row['pk'] === 'true'))
}

function column(name: unknown, type: unknown, key: boolean): Column {
  const declared = String(type)
  return { name: String(name), type: fieldType(declared), ...(key ? { key: true } : {}), declared }
}
