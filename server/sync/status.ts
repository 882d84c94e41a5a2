// What an editor sees of one entry: with which systems it is in sync, since when, at which version, and what is wrong. Reads
// only; the truth it tells is links, jobs and holds as they stand.
import type { Db } from '../database/database.ts'
import type { Row } from '../database/schema.ts'
import { activeToken } from '../installations/token.ts'
import { holdOf } from '../jobs/queue.ts'
import { systemOf } from './connections.ts'
import type { LinkRow } from './links.ts'
import { recordKey } from './record-jobs.ts'
import { localesOf, type SyncRow } from './sync.ts'

export interface EntryAsked {
  installationId: string
  contentType: string
  entryUid: string
  locale: string
  branch: string
  /** The version that the editor sees; null when unknown. */
  version: number | null
}

export interface EntrySyncState {
  syncId: string
  syncName: string
  system: string
  connection: string
  direction: string
  state: 'in_sync' | 'syncing' | 'behind' | 'paused' | 'held' | 'failing' | 'never'
  version: number | null
  syncedAt: number | null
  error: string | null
  cause: string | null
  causeId: string | null
}

export interface EntryStatus {
  entryUid: string
  locale: string
  banner: string | null
  syncs: EntrySyncState[]
  uncovered: string | null
}

export async function entrySyncStatus(db: Db, asked: EntryAsked): Promise<EntryStatus> {
  const { installationId, contentType, entryUid, locale, branch } = asked
  const held = await holdOf(db, installationId)
  const token = await activeToken(db, installationId)
  const rows = await db
    .selectFrom('sync')
    .innerJoin('connection', 'connection.id', 'sync.connection_id')
    .selectAll('sync')
    .select(['connection.connector', 'connection.settings_json', 'connection.name as connection_name'])
    .where('sync.installation_id', '=', installationId)
    .where('sync.content_type', '=', contentType)
    .where('sync.branch', '=', branch)
    .orderBy('sync.id')
    .execute()
  const covering = rows.filter(sync => sync.direction === 'inbound' || localesOf(sync).length === 0 || localesOf(sync).includes(locale))
  const syncs: EntrySyncState[] = []
  for (const sync of covering) {
    const system = systemOf(sync)
    const link = await linkOf(db, sync, entryUid, locale)
    const there = link !== undefined && link.synced_at > 0 && link.status !== 'deleted'
    // Entries that no record of the source stands behind are none of an inbound sync's business.
    if (sync.direction === 'inbound' && !link) continue
    const waiting = sync.direction === 'outbound' && (await isWaiting(db, sync, entryUid))
    syncs.push({
      syncId: sync.id,
      syncName: sync.name,
      system,
      connection: sync.connection_name,
      direction: sync.direction === 'outbound' ? `Contentstack -> ${system}` : `${system} -> Contentstack`,
      state: stateOf(sync, link, { held: held !== null, waiting, there, version: asked.version }),
      version: there ? link.version : null,
      syncedAt: there ? link.synced_at : null,
      error: link?.error ?? null,
      ...(await causeOf(db, link?.cause ?? ''))
    })
  }
  return {
    entryUid,
    locale,
    banner: bannerOf(held, token !== null),
    syncs,
    uncovered: syncs.length > 0 ? null : uncoveredOf(contentType, locale, rows.length > 0)
  }
}

function stateOf(
  sync: SyncRow,
  link: LinkRow | undefined,
  known: { held: boolean; waiting: boolean; there: boolean; version: number | null }
): EntrySyncState['state'] {
  if (sync.state === 'paused') return 'paused'
  if (known.held) return 'held'
  if (link?.status === 'failed' || link?.error) return 'failing'
  if (known.waiting) return 'syncing'
  if (!known.there) return 'never'
  // An inbound sync brings what the source has; an editor's newer version is not behind anything.
  if (sync.direction === 'outbound' && known.version !== null && link !== undefined && link.version < known.version) return 'behind'
  return 'in_sync'
}

async function linkOf(db: Db, sync: SyncRow, entryUid: string, locale: string): Promise<LinkRow | undefined> {
  let query = db
    .selectFrom('link')
    .selectAll()
    .where('link_set_id', '=', sync.link_set_id)
    .where('branch', '=', sync.branch)
    .where('entry_uid', '=', entryUid)
  if (sync.direction === 'outbound') query = query.where('locale', '=', locale)
  return await query.executeTakeFirst()
}

/** A link keeps what caused its last write in our words and ids ('run run_…', 'webhook dlv_…', 'person …'); an editor reads theirs. */
async function causeOf(db: Db, kept: string): Promise<Pick<EntrySyncState, 'cause' | 'causeId'>> {
  const [kind, rest] = [kept.slice(0, kept.indexOf(' ')), kept.slice(kept.indexOf(' ') + 1)]
  switch (kind) {
    case 'webhook':
      return { cause: 'an edit in Contentstack', causeId: rest }
    case 'run': {
      const run = await db.selectFrom('run').select(['cause', 'caused_by']).where('id', '=', rest).executeTakeFirst()
      return { cause: run ? runWords(run) : 'a run', causeId: rest }
    }
    case 'person': {
      // Of somebody in the CMS we know no more than the uid.
      const uid = /^CMS user (\S+)$/.exec(rest)?.[1]
      return uid === undefined ? { cause: `Sync now by ${rest}`, causeId: null } : { cause: 'Sync now by a CMS user', causeId: uid }
    }
    default:
      return { cause: kept === '' ? null : kept, causeId: null }
  }
}

function runWords(run: Pick<Row<'run'>, 'cause' | 'caused_by'>): string {
  switch (run.cause) {
    case 'initial':
      return 'the initial run'
    case 'schedule':
      return 'a scheduled run'
    case 'reconcile':
      return 'a run that caught up'
    case 'push':
      return 'records pushed by the source'
    case 'person':
      // Editors are not shown the address of the console's people.
      return `a run started by ${run.caused_by.replace(/ <[^>]*>$/, '')}`
    default:
      return 'a run'
  }
}

/** A job of this entry waits or runs, or the sync has not listed everything yet. */
async function isWaiting(db: Db, sync: SyncRow, entryUid: string): Promise<boolean> {
  const job = await db
    .selectFrom('job')
    .select('id')
    .where('key', '=', recordKey(sync, entryUid))
    .where('state', 'in', ['ready', 'running'])
    .executeTakeFirst()
  return job !== undefined
}

function bannerOf(held: { reason: string } | null, hasToken: boolean): string | null {
  if (held) return held.reason
  return hasToken
    ? null
    : "Quayside holds no management token for this stack yet. A stack admin connects it on the app's configuration page."
}

function uncoveredOf(contentType: string, locale: string, otherLocales: boolean): string {
  return otherLocales ? `No sync carries ${contentType} in ${locale}.` : `No sync carries entries of ${contentType}.`
}
