// drift-N: N links compared with a destination that lists N generated keys in an order of its own, one missing, one stale, one extra.
// In the bench's own process, so the memory is the bench's; the database is SQLite in a file. Beside it the same comparison with both
// sides held in memory, which is what staging spares.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDatabase } from '../server/database/database.ts'
import type { Db } from '../server/database/database.ts'
import { migrate } from '../server/database/migrate.ts'
import { compare, driftsOf, type Side, startDrift } from '../server/sync/drift.ts'
import { blankLink } from '../server/sync/links.ts'
import type { SyncRow } from '../server/sync/sync.ts'
import { insertInstallation, insertOrganization } from '../test/support/rows.ts'
import { type Case, result } from './result.ts'

const keysAtOnce = 2_000
const linksAtOnce = 500

export function drift(records: number): Case {
  return {
    name: `drift-${records}`,
    about: `${records} links compared with what a destination lists`,
    async run() {
      const folder = await mkdtemp(join(tmpdir(), 'quayside-bench-'))
      const database = await openDatabase(`sqlite:${join(folder, 'drift.db')}`)
      try {
        await migrate(database)
        return await measure(this.name, database.db, records)
      } finally {
        await database.close()
        await rm(folder, { recursive: true, force: true })
      }
    }
  }
}

async function measure(name: string, db: Db, records: number) {
  const sync = await plantSync(db)
  // A prime step visits every key once, in no order that an index would like.
  const key = (n: number): string => `blt${String((n * 7919) % records).padStart(16, '0')}:en-us`
  for (let from = 0; from < records; from += linksAtOnce * 20)
    await plantLinks(db, sync, key, from, Math.min(records, from + linksAtOnce * 20))
  const before = process.memoryUsage.rss()
  let peak = before
  const side: Side = {
    async *list() {
      yield [{ key: 'extra', fingerprint: 'f' }]
      for (let from = 1; from < records; from += keysAtOnce) {
        peak = Math.max(peak, process.memoryUsage.rss())
        yield Array.from({ length: Math.min(keysAtOnce, records - from) }, (_, n) => ({
          key: key(from + n),
          fingerprint: from + n === 1 ? 'other' : 'f'
        }))
      }
    },
    keyOf: link => link.external_id,
    fingerprintOf(link) {
      peak = Math.max(peak, process.memoryUsage.rss())
      return link.destination_fingerprint
    },
    confirm: links => Promise.resolve(links)
  }
  const row = await db.transaction().execute(trx => startDrift(trx, sync, { cause: 'bench', repair: false }))
  const startedAt = performance.now()
  await compare(db, sync, side, row, new AbortController().signal)
  const seconds = (performance.now() - startedAt) / 1000
  const [found] = await driftsOf(db, sync)
  if (found?.missing !== 1 || found.stale !== 1 || found.extra !== 1 || found.listed !== records)
    throw new Error('The drift is not the one made.')
  const beside = { name: 'both sides in memory', value: records / (await inMemory(db, sync, side)) }
  return [
    result(name, records / seconds, 'records/s', beside, toMiB(peak)),
    result(`${name}-rss`, toMiB(peak), 'MiB', { name: 'before it', value: toMiB(before) }, toMiB(peak))
  ]
}

async function inMemory(db: Db, sync: SyncRow, side: Side): Promise<number> {
  const startedAt = performance.now()
  const there = new Map<string, string>()
  for await (const keys of side.list()) for (const { key, fingerprint } of keys) there.set(key, fingerprint)
  const links = await db
    .selectFrom('link')
    .select(['external_id', 'destination_fingerprint'])
    .where('link_set_id', '=', sync.link_set_id)
    .execute()
  const wrong = links.filter(link => there.get(link.external_id) !== link.destination_fingerprint)
  if (wrong.length !== 2) throw new Error('The comparison in memory found something else.')
  return (performance.now() - startedAt) / 1000
}

async function plantSync(db: Db): Promise<SyncRow> {
  const organization = await insertOrganization(db, {})
  const installation = await insertInstallation(db, { organization_id: organization.id })
  const own = { organization_id: organization.id, installation_id: installation.id, created_at: 1, updated_at: 1 }
  const empty = { settings_json: '{}', secrets_json: '{}', checked_at: null, error: null }
  await db
    .insertInto('connection')
    .values({ ...own, ...empty, id: 'con_bench', connector: 'sql', name: 'Bench' })
    .execute()
  const sync: SyncRow = {
    ...own,
    id: 'syn_bench',
    connection_id: 'con_bench',
    link_set_id: 'lks_bench',
    name: 'Bench',
    direction: 'outbound',
    content_type: 'article',
    branch: 'main',
    locales_json: '[]',
    mapping_json: '[]',
    options_json: '{"table":"article"}',
    state: 'active',
    paused_reason: null,
    revision: 1
  }
  await db.insertInto('sync').values(sync).execute()
  return sync
}

async function plantLinks(db: Db, sync: SyncRow, key: (n: number) => string, from: number, to: number): Promise<void> {
  await db.transaction().execute(async trx => {
    for (let at = from; at < to; at += linksAtOnce) {
      const links = Array.from({ length: Math.min(linksAtOnce, to - at) }, (_, n) => ({
        ...blankLink(sync, { locale: 'en-us', external_id: key(at + n), entry_uid: key(at + n).slice(0, 19) }, 1),
        status: 'synced' as const,
        synced_at: 1,
        destination_fingerprint: 'f'
      }))
      await trx.insertInto('link').values(links).execute()
    }
  })
}

const toMiB = (bytes: number): number => Math.round(bytes / 2 ** 20)
