// What the databases have in common as the connector uses them: run a statement, read rows. Errors come out of here as
// AppError (the connection is at fault) or BadValue (this very record is), which is what decides between retry and stand aside.
import { AppError, type ErrorCode } from '../../errors.ts'

export type System = 'sqlite' | 'postgres' | 'mysql'

export interface Session {
  readonly system: System
  /** As people know it: 'PostgreSQL at db.example', 'SQLite file blog.db'. */
  readonly place: string
  /** `?` stands for each parameter, in order, on every system. Throws AppError upstream | forbidden | invalid, or BadValue. */
  query(sql: string, parameters?: readonly unknown[]): Promise<Record<string, unknown>[]>
}

/** The database refused the values, not the connection. */
export class BadValue extends Error {
  override readonly name = 'BadValue'
}

/** The table or a column is not there (any more). */
export const missingRelation = (place: string, cause: Error): AppError =>
  new AppError('upstream', `${place}: ${cause.message}`, {
    cause,
    remedy: 'The table was changed from outside. Run the sync again: it puts missing tables and columns back.'
  })

export function trouble(code: ErrorCode, place: string, what: string, remedy: string, cause: unknown): AppError {
  return new AppError(code, `${place} ${what}`, { cause, remedy })
}
