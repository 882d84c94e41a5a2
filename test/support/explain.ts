// The plan by which a database would run the statements that `act` sends: for tests that hold a query to its indexes.
import { sql } from 'kysely'
import type { Db, DialectName } from '../../server/database/database.ts'

/** Runs `act`, then explains each statement it sent with the values it sent; the plans as one text. */
export async function explain(db: Db, dialect: DialectName, act: () => Promise<void>): Promise<string> {
  const executor = db.getExecutor()
  const sent: { text: string; parameters: readonly unknown[] }[] = []
  const original = executor.executeQuery.bind(executor)
  executor.executeQuery = async (query, options) => {
    sent.push({ text: query.sql, parameters: query.parameters })
    return await original(query, options)
  }
  try {
    await act()
  } finally {
    executor.executeQuery = original
  }
  const prefix = dialect === 'sqlite' ? 'explain query plan' : 'explain'
  const plans: string[] = []
  for (const { text, parameters } of sent) {
    const { rows } = await original<Record<string, unknown>>({ ...sql.raw(`${prefix} ${text}`).compile(db), parameters })
    plans.push(rows.map(row => String(row.detail ?? row['QUERY PLAN'])).join('\n'))
  }
  return plans.join('\n\n')
}
