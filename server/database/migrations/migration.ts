// The shape of one step of the data model. Names sort and never change once released.
import type { Db, DialectName } from '../database.ts'

export interface Migration {
  name: string
  /** Runs in the transaction of migrate(). */
  up(db: Db, dialect: DialectName): Promise<void>
}
