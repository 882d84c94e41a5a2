// What one turn of inbound work holds in its hands, and how it goes through many records at once. Shared by the files that
// write, publish, resolve and remove; it decides nothing about a record.
import { setTimeout as wait } from 'node:timers/promises'
import type { Field, SourceRecord } from '../connectors/connector.ts'
import type { ContentType, Entry, StackClient } from '../contentstack/stack.ts'
import type { Row } from '../database/schema.ts'
import type { AppError } from '../errors.ts'
import type { OpenConnection } from './connections.ts'
import type { Expressions } from './expressions.ts'
import type { LinkRow } from './links.ts'
import type { Mapping } from './mapping.ts'
import type { RunRow } from './runs.ts'
import type { InboundOptions, SyncRow } from './sync.ts'

/** One inbound sync, opened for work. */
export interface Inbound {
  sync: SyncRow
  mapping: Mapping[]
  contentType: ContentType
  connection: OpenConnection
  expressions: Expressions
  stack: StackClient
  /** The stack's master locale: what an external system brings is written there. */
  locale: string
  signal: AbortSignal
  /** Longest that a write may still be under way after its process died: only then is an absent entry really absent. */
  settleSeconds: number
  /** The last try of the job: a record that Contentstack answers with errors of its own then stands aside. */
  lastTry: boolean
  /** The guard's. */
  fetch: typeof fetch
  /** A plan is carried out: only what it holds is written. */
  plan?: Chooser
}

/** Of a plan that is carried out: what of a page it holds. */
export interface Chooser {
  /** The checkpoint that the plan was read from, as JSON. */
  from: string | null
  /** Of these, all of one locale, the ones that the plan holds and that have not moved, with the entries as they stand now by key. */
  choose<T extends Item>(todo: readonly T[]): Promise<{ todo: T[]; entries: Map<string, Entry> }>
}

export interface Work extends Inbound {
  options: InboundOptions
  /** What the source is asked for. */
  columns: Field[]
  run: RunRow
  /** Codes of those in which records may come. */
  locales: string[]
  /** Addresses and content hashes of files -> uids of assets, as far as this turn has come across them. */
  files: Map<string, Promise<string>>
}

/** One record on its way to one entry. */
export interface Item {
  record: SourceRecord
  /** External id. */
  key: string
  locale: string
  hash: string
  link: LinkRow | undefined
  /** Of what is written in this locale. */
  mapping: Mapping[]
  /** The entry that this record localizes, '' = it is not there yet; null for a record of the master locale. */
  masterUid: string | null
}

/** 'slice': time ran out, there is more to do. */
export type Turn = 'done' | 'slice' | { needsPerson: string }

/** Records written at once: enough to use ten writes a second at usual latencies. */
const concurrency = 4

/** A process may have died with a write on its way: until that has surely landed or not, an absent entry proves nothing. */
export async function settled(work: Work, intents: readonly Row<'intent'>[]): Promise<void> {
  const youngest = Math.max(0, ...intents.map(intent => intent.created_at))
  const rest = youngest + work.settleSeconds * 1000 - Date.now()
  if (rest > 0) await wait(rest, undefined, { signal: work.signal })
}

/** False when time ran out before all were done. The first error stops the rest and is thrown once those under way are done. */
export async function eachAtOnce<T>(
  items: readonly T[],
  until: number,
  signal: AbortSignal,
  run: (item: T) => Promise<void>
): Promise<boolean> {
  let next = 0
  let error: unknown
  const worker = async (): Promise<void> => {
    while (next < items.length && error === undefined && Date.now() <= until) {
      signal.throwIfAborted()
      const item = items[next++] as T
      try {
        await run(item)
      } catch (refusal) {
        error ??= refusal
      }
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  if (error !== undefined) throw error
  return next >= items.length
}

/** The CMS's own words, field by field. */
export function refusalWords(error: AppError): string {
  const fields = Object.entries(error.fields ?? {}).map(([field, says]) => `${field} ${says.join(' ')}`)
  return fields.length > 0 ? `${error.message} (${fields.join('; ')})` : error.message
}
