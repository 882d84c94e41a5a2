// The demo's two directions: every content type of the stack into a database, and a table of countries into entries. Creates
// them through the app's own pages and reads the outcome back from both ends, never from what it was told on the way.
import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { Sync } from '../../server/http/contract/stack.ts'
import { type StackPages, until } from './admin.ts'
import type { Person } from './person.ts'
import type { Progress } from './progress.ts'

export const destinationFile = 'website.db'
export const sourceFile = 'world.db'

export async function createDemoSyncs(pages: StackPages): Promise<{ outbound: Sync[]; inbound: Sync[] }> {
  const website = await pages.connect({
    connector: 'sql',
    name: 'Website database',
    settings: { system: 'sqlite', file: destinationFile },
    secrets: {}
  })
  const world = await pages.connect({
    connector: 'sql',
    name: 'World database',
    settings: { system: 'sqlite', file: sourceFile },
    secrets: {}
  })
  const outbound = await pages.createSyncs({ direction: 'outbound', connectionId: website.id, contentTypes: ['*'], target: '' })
  const inbound = await pages.createSyncs({
    direction: 'inbound',
    connectionId: world.id,
    contentTypes: ['country'],
    target: 'countries',
    externalIdField: 'code',
    schedule: { cron: '*/15 * * * *', timeZone: 'UTC' }
  })
  return { outbound, inbound }
}

/** What stands in the stack, as the sandbox itself counts it: control's GET /counts. */
export interface StackCounts {
  /** content type -> locale -> entries that have a version of their own in it. */
  entries: Record<string, Record<string, number>>
}

export interface Comparison {
  /** Entries in the stack, one per locale in which they have a version of their own. */
  entries: number
  rows: number
  /** Content types whose counts differ. */
  differing: string[]
  /** Entries of `country`, one locale. */
  countries: number
}

export async function compare(
  person: Person,
  control: string,
  apiKey: string,
  filesDirectory: string,
  outbound: Sync[]
): Promise<Comparison> {
  const { body } = await person.ask<StackCounts>(`${control}/counts?api_key=${apiKey}`)
  const rows = countRows(
    join(filesDirectory, destinationFile),
    outbound.map(sync => sync.target)
  )
  const differing: string[] = []
  let entries = 0
  for (const sync of outbound) {
    const expected = Object.values(body.entries[sync.contentType] ?? {}).reduce((sum, count) => sum + count, 0)
    entries += expected
    if (rows[sync.target] !== expected)
      differing.push(`${sync.contentType}: ${expected} in the stack, ${rows[sync.target]} in the database`)
  }
  const missing = Object.keys(body.entries).filter(uid => !outbound.some(sync => sync.contentType === uid))
  return {
    entries,
    rows: Object.values(rows).reduce((sum, count) => sum + count, 0),
    differing: [...differing, ...missing.map(uid => `${uid}: no sync covers it`)],
    countries: Math.max(0, ...Object.values(body.entries.country ?? {}))
  }
}

/** Until both runs are over and both ends agree. Throws Error naming what failed or still differs. */
export async function waitForSyncs(
  pages: StackPages,
  records: number,
  look: () => Promise<Comparison>,
  progress: Progress,
  seconds: number
): Promise<Comparison> {
  let last: Comparison | null = null
  try {
    return await until(
      'the syncs to be complete',
      async () => {
        const syncs = await pages.syncs()
        const failing = syncs.filter(sync => sync.state === 'failing')
        if (failing.length > 0)
          throw new Error(`Failing: ${failing.map(sync => `${sync.name} (${sync.records.failed} records)`).join(', ')}`)
        const over = syncs.filter(sync => sync.lastRun?.status === 'success').length
        last = await look()
        progress.now(
          `${last.rows} of ${last.entries} rows in the database, ${last.countries} of ${records} countries in the stack, ${over} of ${syncs.length} syncs complete`
        )
        return over === syncs.length && last.differing.length === 0 && last.countries === records ? last : null
      },
      seconds
    )
  } catch (cause) {
    const state: Comparison | null = last
    throw new Error(`${cause instanceof Error ? cause.message : String(cause)} ${state === null ? '' : JSON.stringify(state)}`, { cause })
  }
}

/** Row count per table; 0 for a table that is not there yet. */
function countRows(file: string, tables: string[]): Record<string, number> {
  const database = new Database(file, { readonly: true })
  try {
    const known = new Set(database.prepare(`select name from sqlite_master where type = 'table'`).pluck().all())
    return Object.fromEntries(
      tables.map(table => [
        table,
        known.has(table)
          ? Number(
              database
                .prepare(`select count(*) from "${table.replaceAll('"', '""')}"`)
                .pluck()
                .get()
            )
          : 0
      ])
    )
  } finally {
    database.close()
  }
}
