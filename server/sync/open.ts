// A sync opened for work: its connection, its content type as it is now, its table. Content types change rarely and mappings name
// their fields, so they are remembered for a minute; whether a mapping still fits is asked anew when a run begins.
import type { ContentType, Entry, StackClient } from '../contentstack/stack.ts'
import type { Db } from '../database/database.ts'
import { installationById } from '../installations/installation.ts'
import { contentTypeNow, pauseIfBroken } from './broken.ts'
import type { Outbound } from './carry.ts'
import { getConnection, openConnection } from './connections.ts'
import type { Expressions } from './expressions.ts'
import type { Inbound } from './inbound-work.ts'
import { outboundShape } from './outward.ts'
import { mappingOf, outboundOptions, type SyncDeps, type SyncRow } from './sync.ts'

export interface OpenDeps extends SyncDeps {
  expressions: Expressions
  /** See Inbound. Default 30 s, the CMA client's time-out. */
  settleSeconds?: number
}

/** What a process remembers between jobs. */
export interface Memory {
  schemas: Schemas
  /** Tables that this process has prepared: sync id and revision. */
  tables: Set<string>
}

interface Schemas {
  /** Up to a minute old. null: there is none of that name. */
  get(sync: SyncRow, stack: StackClient, uid: string): Promise<ContentType | null>
  fresh(sync: SyncRow, stack: StackClient, uid: string): Promise<ContentType | null>
}

export interface Opening {
  sync: SyncRow
  stack: StackClient
  contentType: ContentType
  signal: AbortSignal
}

const schemaSeconds = 60

export const createMemory = (): Memory => ({ schemas: createSchemas(), tables: new Set() })

/** The content type as it is now. null: the mapping no longer fits it, and the sync is paused. */
export async function fitting(db: Db, deps: OpenDeps, memory: Memory, sync: SyncRow, stack: StackClient): Promise<ContentType | null> {
  const contentType = await memory.schemas.fresh(sync, stack, sync.content_type)
  return (await pauseIfBroken(db, deps, sync, contentType)) ? null : contentType
}

/** For one record. A row goes, or a column is emptied, only by what the content type is now. null as fitting. */
export async function fittingFor(
  db: Db,
  deps: OpenDeps,
  memory: Memory,
  { sync, stack, entry }: { sync: SyncRow; stack: StackClient; entry: Entry | null }
): Promise<ContentType | null> {
  const known = await memory.schemas.get(sync, stack, sync.content_type)
  return known && entry && !mayBeOlder(known, entry, sync) ? known : await fitting(db, deps, memory, sync, stack)
}

/** A field that the remembered schema has and the entry lacks: removed since, or the entry is older than the field. */
function mayBeOlder(contentType: ContentType, entry: Entry, sync: SyncRow): boolean {
  const named = mappingOf(sync).flatMap(row => (row.from === undefined ? (row.reads ?? []) : [row.from.split('.', 1)[0] ?? '']))
  return named.some(uid => !Object.hasOwn(entry, uid) && contentType.schema.some(field => field.uid === uid))
}

/** `touch` 'as it is': the destination is not asked to make or grow its table. */
export async function openOutbound(
  db: Db,
  deps: OpenDeps,
  memory: Memory,
  { sync, stack, contentType, signal }: Opening,
  touch: 'prepared' | 'as it is' = 'prepared'
): Promise<Outbound> {
  const mapping = mappingOf(sync)
  const options = outboundOptions(sync)
  const shape = outboundShape(options.table, mapping)
  const opened = openConnection(db, deps, await getConnection(db, { installationId: sync.installation_id, id: sync.connection_id }))
  const prepared = `${sync.id}:${sync.revision}`
  if (touch === 'prepared' && !memory.tables.has(prepared)) {
    await opened.prepare(shape, signal)
    memory.tables.add(prepared)
  }
  return {
    sync,
    mapping,
    options,
    shape,
    contentType,
    schemaOf: uid => memory.schemas.get(sync, stack, uid),
    connection: {
      ...opened,
      async push(...given) {
        try {
          return await opened.push(...given)
        } catch (error) {
          // The table may have been dropped under us: the next try makes it again.
          memory.tables.delete(prepared)
          throw error
        }
      }
    },
    expressions: deps.expressions,
    signal
  }
}

/** `lastTry`: see Inbound. */
export async function openInbound(
  db: Db,
  deps: OpenDeps,
  { sync, stack, contentType, signal }: Opening,
  lastTry: boolean
): Promise<Inbound> {
  const installation = await installationById(db, sync.installation_id)
  const connection = openConnection(db, deps, await getConnection(db, { installationId: sync.installation_id, id: sync.connection_id }))
  return {
    sync,
    mapping: mappingOf(sync),
    contentType,
    connection,
    expressions: deps.expressions,
    stack,
    locale: installation.master_locale || (await masterLocale(stack)),
    signal,
    settleSeconds: deps.settleSeconds ?? 30,
    lastTry,
    fetch: deps.guard.fetch
  }
}

async function masterLocale(stack: StackClient): Promise<string> {
  const locales = await stack.locales()
  return locales.find(locale => locale.fallback_locale === null)?.code ?? locales[0]?.code ?? 'en-us'
}

function createSchemas(): Schemas {
  const known = new Map<string, { until: number; contentType: Promise<ContentType | null> }>()
  const keyOf = (sync: SyncRow, uid: string): string => `${sync.installation_id}:${sync.branch}:${uid}`
  const fresh: Schemas['fresh'] = async (sync, stack, uid) => {
    const key = keyOf(sync, uid)
    const contentType = contentTypeNow(stack, uid)
    known.set(key, { until: Date.now() + schemaSeconds * 1000, contentType })
    try {
      return await contentType
    } catch (error) {
      known.delete(key)
      throw error
    }
  }
  return {
    fresh,
    async get(sync, stack, uid) {
      const have = known.get(keyOf(sync, uid))
      return have && have.until > Date.now() ? await have.contentType : await fresh(sync, stack, uid)
    }
  }
}
