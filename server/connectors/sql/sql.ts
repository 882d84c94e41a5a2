// SQL databases as a destination and as a source: SQLite in a file, PostgreSQL, MariaDB and MySQL over the network, one connector. It makes one
// table per sync with one column per field, and reads any table or view that has a key.
import type { Connector, ConnectorContext } from '../connector.ts'
import { closeMysqlPools, withMysql } from './mysql.ts'
import { closePools, withPostgres } from './postgres.ts'
import { listRows, pullPages, type SqlCheckpoint } from './pull.ts'
import { pushBatch } from './push.ts'
import type { Session } from './session.ts'
import { SqlSettings } from './settings.ts'
import { withSqlite } from './sqlite.ts'
import { fieldsOf, prepareTable } from './table.ts'

const titles = { sqlite: 'SQLite', postgres: 'PostgreSQL', mysql: 'MariaDB or MySQL' } as const

export const sqlConnector: Connector<SqlSettings, SqlCheckpoint> = {
  id: 'sql',
  title: settings => titles[settings.system],
  support: 'real system in CI',
  settings: SqlSettings,
  secrets: ['password'],
  check: (settings, ctx) =>
    use(settings, ctx, true, async session => void (await session.query('select count(*) as n from (select 1) as one'))),
  fields: (target, settings, ctx) => use(settings, ctx, false, session => fieldsOf(session, target)),
  prepare: (shape, settings, ctx) => use(settings, ctx, true, session => prepareTable(session, shape)),
  push: (shape, changes, settings, ctx) => use(settings, ctx, false, session => pushBatch(session, shape, changes, ctx)),
  pull: (source, since, settings, ctx) => pullPages(work => use(settings, ctx, false, work), source, since, ctx),
  list: (shape, settings, ctx) => listRows(work => use(settings, ctx, false, work), shape, ctx),
  close: async () => void (await Promise.all([closePools(), closeMysqlPools()]))
}

function use<T>(settings: SqlSettings, ctx: ConnectorContext, create: boolean, work: (session: Session) => Promise<T>): Promise<T> {
  switch (settings.system) {
    case 'sqlite':
      return withSqlite(settings, ctx, create, work)
    case 'postgres':
      return withPostgres(settings, ctx, work)
    case 'mysql':
      return withMysql(settings, ctx, work)
  }
}
