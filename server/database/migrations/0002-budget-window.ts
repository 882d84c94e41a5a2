// The budget remembers when the last second's requests leave: what a quiet second has left over may be used at once.
import { sql } from 'kysely'
import type { Migration } from './migration.ts'

export const budgetWindow: Migration = {
  name: '0002-budget-window',
  async up(db) {
    await sql.raw(`alter table budget add column recent_json text not null default '[]'`).execute(db)
  }
}
