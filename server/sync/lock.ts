// An installation that must stay as it is until a transaction ends: what is written for it then cannot outlive its uninstall, and
// two that write the same go one after the other.
import { type Db, dialectOf } from '../database/database.ts'
import type { Installation } from '../installations/installation.ts'
import { AppError } from '../errors.ts'

/** As it stands once whoever changes it is done. SQLite has one writer; PostgreSQL locks the row. AppError not_found. */
export async function lockInstallation(trx: Db, id: string): Promise<Installation> {
  const row = await trx
    .selectFrom('installation')
    .selectAll()
    .where('id', '=', id)
    .$if(dialectOf(trx) === 'postgres', query => query.forUpdate())
    .executeTakeFirst()
  if (!row) throw new AppError('not_found', `There is no installation ${id}`)
  return row
}
