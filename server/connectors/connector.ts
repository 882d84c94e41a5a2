// THE port: code that speaks to one kind of external system. A connector reads pages and writes batches; the engine owns the
// loop, the commit, the retry and the mapping. It imports nothing of ours but `errors`, so it cannot reach a token, a table
// or the CMA. Adding one: CONTRIBUTING.md.
import type { z } from 'zod'

export type Scalar = string | number | boolean | null
/** What travels: column or field name -> value. Structured values travel as JSON text. */
export type FieldValues = Record<string, Scalar>

export type FieldType = 'text' | 'integer' | 'number' | 'boolean' | 'datetime' | 'json'

export interface Field {
  name: string
  type: FieldType
  /** Part of the record's identity at the source. */
  key?: boolean
}

/** A table, index or collection as the engine wants it. `key` names the column that holds `Change.key`. */
export interface Shape {
  target: string
  key: string
  fields: Field[]
  /** When pulling: the column that grows with every change. Absent = every pull reads the whole source, by key. */
  cursor?: string
}

export interface SourceRecord {
  /** Stable and unique within the source. */
  key: string
  values: FieldValues
}

export interface Page<Checkpoint> {
  records: SourceRecord[]
  /** Keys that the source reports as gone. */
  deleted?: string[]
  /** Covers this page and all before it. */
  checkpoint: Checkpoint
  /** True on the last page of a complete listing: only then may disappearance be inferred. */
  snapshotComplete?: boolean
}

export interface Change {
  key: string
  /** null = delete. */
  values: FieldValues | null
  /** Grows per key; a connector that can refuses a lower one. */
  order: number
}

/** One per change, in the order of the changes. */
export interface Outcome {
  key: string
  status: 'written' | 'unchanged' | 'deleted' | 'stale' | 'invalid' | 'failed'
  /** What `list` would report for this record now. */
  fingerprint?: string
  error?: string
  retryAfterSeconds?: number
}

/** Everything a connector may touch of the world. */
export interface ConnectorContext {
  /** Guarded: private addresses refused unless the operator allows them; redirects followed under the same guard, or given as they are with `redirect: 'manual'`. */
  fetch: typeof fetch
  /** Host name -> address to connect to, through the same guard. Throws AppError forbidden. */
  resolve(host: string): Promise<string>
  /** Absolute path of a file target under the operator's directory. Throws AppError forbidden for anything outside it. */
  file(relativePath: string): string
  /** The connection's secret in clear, for this use only. Throws AppError not_found. */
  secret(name: string): Promise<string>
  signal: AbortSignal
}

export interface Connector<Settings = unknown, Checkpoint = unknown> {
  /** Stable, stored with each connection. */
  readonly id: string
  /** As people know the system: 'PostgreSQL', 'SQLite'. Depends on the settings where one connector speaks to several. */
  title(settings: Settings): string
  readonly support: 'real system in CI' | "vendor's client against a contract double" | 'recipe, unverified live'
  /** Also renders the form. Secrets are not part of it: they are named in `secrets`. */
  readonly settings: z.ZodType<Settings>
  /** Names of the secrets that a connection may carry; whether one is needed is for `check` to find out. */
  readonly secrets: readonly string[]
  /** Those of them that come and go, as while one gives way to another: a connection without them lacks nothing. */
  readonly passingSecrets?: readonly string[]
  /** AppError unauthorized | upstream | invalid, with a remedy. */
  check(settings: Settings, ctx: ConnectorContext): Promise<void>
  /** What can be mapped. */
  fields?(target: string, settings: Settings, ctx: ConnectorContext): Promise<Field[]>
  /** Oldest change first; `since` null = from the beginning. */
  pull?(source: Shape, since: Checkpoint | null, settings: Settings, ctx: ConnectorContext): AsyncIterable<Page<Checkpoint>>
  /** Create or evolve the table, index or bucket. Idempotent; never drops a column. */
  prepare?(shape: Shape, settings: Settings, ctx: ConnectorContext): Promise<void>
  /** A batch is never all-or-nothing by accident: each change has its own outcome. An AppError with `pauses` pauses the syncs that write here. */
  push?(shape: Shape, changes: Change[], settings: Settings, ctx: ConnectorContext): Promise<Outcome[]>
  /** For drift; any order. */
  list?(shape: Shape, settings: Settings, ctx: ConnectorContext): AsyncIterable<{ key: string; fingerprint?: string }>
  /** Ends what it keeps open between calls. */
  close?(): Promise<void>
}
