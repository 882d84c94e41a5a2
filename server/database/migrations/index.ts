// Every migration, in order, by name: a list that people read and merge, not what happens to lie in a folder.
import type { Migration } from './migration.ts'
import { firstTables } from './0001-first-tables.ts'
import { custodyLife } from './0002-custody-life.ts'

export const migrations: Migration[] = [firstTables, custodyLife]
