// outbound-initial-N: the first run of an outbound sync over N entries, limits off, into SQLite. Beside it the bare limit of this
// machine: a loop that reads the same pages by plain fetch and inserts the same values, one transaction a page, and keeps nothing
// else: no links, no claims, no checkpoint, nothing to resume from.
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { articleType } from './articles.ts'
import { type Ground, openGround, runOf } from './ground.ts'
import { type Case, median, result } from './result.ts'

const rounds = 3

const requestsPerSecond = 10
const entriesPerRequest = 100

/** With limits on: how much of what ten reads a second could bring arrives. */
export function outboundLimited(entries: number): Case {
  return {
    name: `outbound-limited-${entries}`,
    about: `first run of an outbound sync over ${entries} entries, ten reads a second`,
    async run({ profileDirectory }) {
      const ground = await openGround({ entries, limits: 'on', profileDirectory })
      try {
        const perSecond = await initialRun(ground, entries, 'limited_')
        const beside = { name: 'ten reads a second of 100 entries', value: requestsPerSecond * entriesPerRequest }
        return [result(this.name, perSecond, 'entries/s', beside, await ground.peakRssMiB())]
      } finally {
        await ground.close()
      }
    }
  }
}

export function outboundInitial(entries: number): Case {
  return {
    name: `outbound-initial-${entries}`,
    about: `first run of an outbound sync over ${entries} entries, limits off`,
    async run({ profileDirectory }) {
      const ground = await openGround({ entries, limits: 'off', profileDirectory })
      try {
        const ours: number[] = []
        const bare: number[] = []
        for (let round = 0; round < rounds; round++) {
          ours.push(await initialRun(ground, entries, `round_${round}_`))
          bare.push(await plainLoop(ground, entries, join(ground.filesDirectory, `plain-${round}.db`)))
        }
        const beside = { name: 'plain fetch loop, one transaction a page, in the same run', value: median(bare) }
        return [result(this.name, median(ours), 'entries/s', beside, await ground.peakRssMiB())]
      } finally {
        await ground.close()
      }
    }
  }
}

/** Entries a second from the run's creation to its end, after the rows were counted. */
async function initialRun(ground: Ground, entries: number, prefix: string): Promise<number> {
  const { pages, connectionId, stack, filesDirectory } = ground
  const locales = [stack.masterLocale]
  const [sync] = await pages.createSyncs({ direction: 'outbound', connectionId, contentTypes: [articleType], target: prefix, locales })
  if (!sync) throw new Error('No sync was made.')
  const run = await runOf(ground, sync, 120 + entries / 200)
  const rows = countRows(join(filesDirectory, 'bench.db'), sync.target)
  if (rows !== entries) throw new Error(`${rows} rows stand in ${sync.target}, not ${entries}.`)
  return (entries / ((run.finishedAt ?? Number.NaN) - run.createdAt)) * 1000
}

interface Page {
  entries: Record<string, unknown>[]
  count: number
}

async function plainLoop(ground: Ground, entries: number, file: string): Promise<number> {
  const { urls, stack, ada } = ground
  const headers = { authtoken: ada.authtoken, api_key: stack.apiKey }
  const database = new Database(file)
  database.pragma('journal_mode = WAL')
  // As the connector sets it for a destination.
  database.pragma('synchronous = NORMAL')
  const columns = [
    'title',
    'url',
    'teaser',
    'body',
    'keywords',
    'reading_minutes',
    'featured',
    'first_published',
    'section',
    'related',
    'seo'
  ]
  database.exec(
    `create table entry (_key text primary key, entry_uid text, locale text, version integer, updated_at text, ${columns.join(' text, ')} text)`
  )
  const insert = database.prepare(`insert into entry values (${Array.from({ length: columns.length + 5 }, () => '?').join(', ')})`)
  const startedAt = performance.now()
  let after: unknown = null
  for (;;) {
    const query = new URLSearchParams({ locale: stack.masterLocale, asc: 'uid', limit: '100', include_count: 'true' })
    if (after !== null) query.set('query', JSON.stringify({ uid: { $gt: after } }))
    const response = await fetch(`${urls.contentManagement}/v3/content_types/${articleType}/entries?${query}`, { headers })
    const page = (await response.json()) as Page
    database.transaction(() => {
      for (const entry of page.entries) {
        const values = columns.map(column => plainValue(entry[column]))
        insert.run(
          `${String(entry['uid'])}:${stack.masterLocale}`,
          entry['uid'],
          entry['locale'],
          entry['_version'],
          entry['updated_at'],
          ...values
        )
      }
    })()
    after = page.entries.at(-1)?.['uid']
    if (page.entries.length >= page.count) break
  }
  const seconds = (performance.now() - startedAt) / 1000
  database.close()
  const rows = countRows(file, 'entry')
  if (rows !== entries) throw new Error(`The plain loop inserted ${rows} rows, not ${entries}.`)
  return entries / seconds
}

function plainValue(value: unknown): string | number | null {
  if (value === undefined || value === null) return null
  return typeof value === 'string' || typeof value === 'number' ? value : JSON.stringify(value)
}

function countRows(file: string, table: string): number {
  const database = new Database(file, { readonly: true })
  try {
    return Number(
      database
        .prepare(`select count(*) from "${table.replaceAll('"', '""')}"`)
        .pluck()
        .get()
    )
  } finally {
    database.close()
  }
}
