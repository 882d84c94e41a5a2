// What a stack admin (in the CMS) and an operator (in the console) see and change of ONE installation. The same routes stand
// behind both doors: /api/extension/stack/… and /api/console/installations/:installationId/….
// Times are milliseconds since 1970 UTC; ids are opaque. What is asked for is strict: a misspelt `contentTypes` left out of a scope
// would otherwise mean all of them.
import * as z from 'zod/mini'

const Time = z.number()
const Maybe = z.nullable

export const Installation = z.object({
  id: z.string(),
  region: z.string(),
  /** Ours; organizationUid is Contentstack's. */
  organizationId: z.string(),
  organizationUid: z.string(),
  organizationName: z.string(),
  stackApiKey: z.string(),
  stackName: z.string(),
  installationUid: z.string(),
  status: z.enum(['unclaimed', 'pending', 'active', 'uninstalled']),
  /** null = nothing holds this installation's jobs. */
  hold: Maybe(z.object({ reason: z.string(), since: Time })),
  token: Maybe(z.object({ status: z.string(), fingerprint: Maybe(z.string()), expiresAt: Maybe(Time) })),
  syncs: z.object({ active: z.number(), paused: z.number(), failing: z.number() }),
  /** What may still stand in Contentstack and nobody here holds: names of tokens, our webhook after an uninstall. */
  left: z.array(z.string()),
  createdAt: Time
})
export type Installation = z.infer<typeof Installation>

/** GET connectors */
export const ConnectorInfo = z.object({
  id: z.string(),
  support: z.string(),
  directions: z.array(z.enum(['outbound', 'inbound'])),
  /** JSON Schema of the settings. */
  settings: z.record(z.string(), z.unknown()),
  secrets: z.array(z.string()),
  /** Those of them that come and go, as while one gives way to another. */
  passingSecrets: z.array(z.string())
})
export type ConnectorInfo = z.infer<typeof ConnectorInfo>

/**
 * GET connections, POST connections (NewConnection -> Connection, checked before it is kept), POST connections/:id/check -> Connection.
 * POST connections/:id/pause -> Sync[]: every outbound sync of the connection, all paused now.
 */
export const Connection = z.object({
  id: z.string(),
  connector: z.string(),
  name: z.string(),
  /** 'PostgreSQL', 'SQLite' */
  system: z.string(),
  settings: z.record(z.string(), z.unknown()),
  /** erased: an uninstall or a move left the connection without its secrets. exposed: the key that sealed them may be known to others. */
  secrets: z.enum(['kept', 'none', 'erased', 'exposed']),
  checkedAt: Maybe(Time),
  error: Maybe(z.string()),
  createdAt: Time
})
export type Connection = z.infer<typeof Connection>

export const NewConnection = z.strictObject({
  connector: z.string(),
  name: z.string().check(z.trim(), z.minLength(1), z.maxLength(80)),
  settings: z.record(z.string(), z.unknown()),
  secrets: z.record(z.string(), z.string())
})
export type NewConnection = z.infer<typeof NewConnection>

/** PATCH connections/:id -> Connection: all its secrets anew, checked before they are kept. */
export const ConnectionSecrets = z.strictObject({ secrets: z.record(z.string(), z.string()) })
export type ConnectionSecrets = z.infer<typeof ConnectionSecrets>

/** GET connections/:id/fields?target=table */
export const SourceField = z.object({ name: z.string(), type: z.string(), key: z.optional(z.boolean()) })
export type SourceField = z.infer<typeof SourceField>

/** GET content-types */
export const ContentType = z.object({
  uid: z.string(),
  title: z.string(),
  fields: z.array(
    z.object({
      uid: z.string(),
      title: z.string(),
      type: z.string(),
      unique: z.boolean(),
      mandatory: z.boolean(),
      localizable: z.boolean()
    })
  )
})
export type ContentType = z.infer<typeof ContentType>

/** Either `from` or `expression`. */
export const MappingRow = z.strictObject({
  /** A field's path (outbound), a column's name (inbound). */
  from: z.optional(z.string().check(z.minLength(1))),
  /** JSONata over the record: an entry's fields outbound, its columns inbound. */
  expression: z.optional(z.string().check(z.minLength(1), z.maxLength(4_000))),
  to: z.string().check(z.minLength(1)),
  /** Taken where the record gives nothing. */
  default: z.optional(z.union([z.string().check(z.maxLength(4_000)), z.number(), z.boolean()])),
  required: z.optional(z.boolean()),
  /** Of the column that an outbound expression fills; text when absent. */
  type: z.optional(z.enum(['text', 'integer', 'number', 'boolean', 'datetime', 'json']))
})
export type MappingRow = z.infer<typeof MappingRow>

/** What an inbound sync does beside writing entries. */
export const InboundOptions = z.strictObject({
  /** Of the entry of a record that the source has no more: left, unpublished everywhere, or deleted. Absent: keep. */
  onDisappearance: z.optional(z.enum(['keep', 'unpublish', 'delete'])),
  /** Names of environments in which every written version is published. Absent: entries stay drafts. */
  publish: z.optional(
    z.strictObject({ environments: z.array(z.string().check(z.minLength(1), z.maxLength(200))).check(z.minLength(1), z.maxLength(10)) })
  ),
  /** What columns of reference fields hold: uids of entries (when absent), or the external ids of records of other inbound syncs. */
  references: z.optional(z.enum(['uid', 'externalId'])),
  /** The column that holds each row's locale: one row for each locale of a record. Absent: every row is of the master locale. */
  localeColumn: z.optional(z.string().check(z.minLength(1), z.maxLength(300)))
})
export type InboundOptions = z.infer<typeof InboundOptions>

export const Sync = z.object({
  id: z.string(),
  installationId: z.string(),
  name: z.string(),
  direction: z.enum(['outbound', 'inbound']),
  connectionId: z.string(),
  connectionName: z.string(),
  system: z.string(),
  contentType: z.string(),
  target: z.string(),
  branch: z.string(),
  locales: z.array(z.string()),
  mapping: z.array(MappingRow),
  externalIdField: Maybe(z.string()),
  /** Of an outbound sync; see NewSync. null for an inbound one. */
  outbound: Maybe(
    z.object({
      source: z.enum(['draft', 'published']),
      environment: Maybe(z.string()),
      filter: Maybe(z.record(z.string(), z.unknown())),
      embed: z.number(),
      richText: z.enum(['html', 'text'])
    })
  ),
  /** null: outbound. */
  inbound: Maybe(InboundOptions),
  schedule: Maybe(z.object({ cron: z.string(), timeZone: z.string(), nextAt: Time })),
  /** running: a run is under way. failing: active, but its last run or some records failed. held: its installation's jobs are on hold. */
  state: z.enum(['active', 'running', 'paused', 'failing', 'held']),
  pausedReason: Maybe(z.string()),
  records: z.object({ synced: z.number(), failed: z.number() }),
  lastRun: Maybe(z.object({ id: z.string(), status: z.string(), finishedAt: Maybe(Time) })),
  createdAt: Time
})
export type Sync = z.infer<typeof Sync>

/**
 * POST syncs (NewSync -> Sync[]). contentTypes ['*'] makes one outbound sync per content type of the stack; each begins with its initial run.
 * Without a mapping an outbound sync carries every field, one column each; an inbound one maps columns to fields of the same name.
 */
export const NewSync = z.strictObject({
  direction: z.enum(['outbound', 'inbound']),
  connectionId: z.string(),
  contentTypes: z.array(z.string()).check(z.minLength(1)),
  /** Inbound: the table read from. Outbound: a prefix of the table names, '' = the content type's uid. */
  target: z.string(),
  branch: z.optional(z.string()),
  locales: z.optional(z.array(z.string())),
  mapping: z.optional(z.array(MappingRow).check(z.maxLength(500))),
  /** Inbound only: the unique field that holds the record's key. */
  externalIdField: z.optional(z.string()),
  /** Outbound: what is carried. 'published' needs `environment`, by name. Default 'draft', the newest version. */
  source: z.optional(z.enum(['draft', 'published'])),
  environment: z.optional(z.string()),
  /** Outbound, of content types that are named: a query as the Content Management API takes it; asked of the newest versions. */
  filter: z.optional(z.record(z.string(), z.unknown())),
  /** Outbound: references with what they point at, so many levels deep. Without it, uid and content type. */
  references: z.optional(z.strictObject({ embed: z.literal([1, 2, 3]) })),
  /** Outbound: how JSON rich text reads. Default 'html'. */
  richText: z.optional(z.enum(['html', 'text'])),
  inbound: z.optional(InboundOptions),
  schedule: z.optional(z.strictObject({ cron: z.string(), timeZone: z.string() }))
})
export type NewSync = z.infer<typeof NewSync>

/** POST syncs/preview (SyncPreview -> Preview): what a sync would make of a few real records. Nothing is written anywhere. */
export const SyncPreview = z.strictObject({
  direction: z.enum(['outbound', 'inbound']),
  connectionId: z.string(),
  contentType: z.string(),
  target: z.string(),
  branch: z.optional(z.string()),
  /** The master locale when absent. */
  locale: z.optional(z.string()),
  mapping: z.optional(z.array(MappingRow).check(z.maxLength(500))),
  externalIdField: z.optional(z.string()),
  /** An existing sync: what it has carried already counts. */
  syncId: z.optional(z.string()),
  records: z.optional(z.number().check(z.int(), z.minimum(1), z.maximum(10)))
})
export type SyncPreview = z.infer<typeof SyncPreview>
export const Preview = z.object({
  records: z.array(
    z.object({
      key: z.string(),
      /** refuse: a row gave no value, so nothing of the record would be written. */
      would: z.enum(['create', 'update', 'skip', 'refuse']),
      rows: z.array(z.object({ to: z.string(), value: Maybe(z.string()), error: Maybe(z.string()) }))
    })
  )
})
export type Preview = z.infer<typeof Preview>

/** PATCH syncs/:id/mapping -> Sync: of a paused sync. Resuming it carries every record by the new mapping. */
export const SyncMapping = z.strictObject({ mapping: z.array(MappingRow).check(z.minLength(1), z.maxLength(500)) })
export type SyncMapping = z.infer<typeof SyncMapping>

/** PATCH syncs/:id -> Sync */
export const SyncChange = z.strictObject({ state: z.enum(['active', 'paused']) })
export type SyncChange = z.infer<typeof SyncChange>

/**
 * POST syncs/:id/push-door -> PushDoor: opens it, or gives it another secret. Messages are signed by https://www.standardwebhooks.com;
 * the secret is shown this once.
 */
export const PushDoor = z.object({ url: z.string(), signingSecret: z.string() })
export type PushDoor = z.infer<typeof PushDoor>

/** GET runs?sync=&before=, GET runs/:id, POST syncs/:id/run -> Run, POST runs/:id/cancel -> Run */
export const Run = z.object({
  id: z.string(),
  syncId: z.string(),
  syncName: z.string(),
  installationId: z.string(),
  stackName: z.string(),
  cause: z.enum(['initial', 'schedule', 'person', 'reconcile', 'push']),
  causedBy: z.string(),
  status: z.enum(['queued', 'running', 'success', 'partial', 'failed', 'paused', 'cancelled']),
  total: Maybe(z.number()),
  read: z.number(),
  written: z.number(),
  skipped: z.number(),
  failed: z.number(),
  deleted: z.number(),
  error: Maybe(z.string()),
  createdAt: Time,
  startedAt: Maybe(Time),
  finishedAt: Maybe(Time),
  /** The plan that it carries out. */
  planId: Maybe(z.string()),
  /** Records a minute of late; null while too little is known. */
  perMinute: Maybe(z.number()),
  /** Records left to look at, as far as the total is known, and the seconds they will take at this pace. */
  remaining: Maybe(z.number()),
  secondsLeft: Maybe(z.number())
})
export type Run = z.infer<typeof Run>

/** GET runs/:id/failures: records that stand aside. */
export const FailedRecord = z.object({ key: z.string(), entryUid: z.string(), locale: z.string(), error: z.string(), at: Time })
export type FailedRecord = z.infer<typeof FailedRecord>

/** GET deliveries?before= */
export const Delivery = z.object({
  id: z.string(),
  installationId: z.string(),
  stackName: z.string(),
  module: z.string(),
  event: z.string(),
  objectUid: Maybe(z.string()),
  contentType: Maybe(z.string()),
  locale: Maybe(z.string()),
  status: z.enum(['received', 'dispatched', 'ignored']),
  note: z.string(),
  receivedAt: Time,
  dispatchedAt: Maybe(Time)
})
export type Delivery = z.infer<typeof Delivery>

export const KeyScope = z.strictObject({
  module: z.enum(['entries', 'assets', 'content_types']),
  actions: z.array(z.enum(['read', 'write', 'publish', 'delete'])).check(z.minLength(1)),
  /** Only these content types; absent = all. */
  contentTypes: z.optional(z.array(z.string()))
})
export type KeyScope = z.infer<typeof KeyScope>

/** GET keys, DELETE keys/:id -> AccessKey (revoked) */
export const AccessKey = z.object({
  id: z.string(),
  installationId: z.string(),
  stackName: z.string(),
  name: z.string(),
  fingerprint: z.string(),
  owner: z.string(),
  scopes: z.array(KeyScope),
  status: z.enum(['active', 'expired', 'revoked']),
  expiresAt: Maybe(Time),
  lastUsedAt: Maybe(Time),
  createdAt: Time
})
export type AccessKey = z.infer<typeof AccessKey>

/** POST keys -> CreatedKey: the only time the key is shown. */
export const NewKey = z.strictObject({
  name: z.string().check(z.trim(), z.minLength(1), z.maxLength(80)),
  scopes: z.array(KeyScope).check(z.minLength(1)),
  expiresInDays: z.nullable(z.number().check(z.int(), z.minimum(1), z.maximum(3650)))
})
export type NewKey = z.infer<typeof NewKey>
export const CreatedKey = z.object({ accessKey: AccessKey, key: z.string(), gatewayUrl: z.string() })
export type CreatedKey = z.infer<typeof CreatedKey>

/** GET alerts?before=: what the admins of this installation were told. */
export const Alert = z.object({
  id: z.string(),
  kind: z.string(),
  title: z.string(),
  text: z.string(),
  links: z.array(z.object({ title: z.string(), url: z.string() })),
  at: Time
})
export type Alert = z.infer<typeof Alert>

/** GET recipients, POST recipients/:id/test -> AlertRecipient, DELETE recipients/:id -> AlertRecipient */
export const AlertRecipient = z.object({
  id: z.string(),
  kind: z.enum(['email', 'slack', 'webhook']),
  /** The e-mail address; of a URL scheme and host alone, since its path is often the secret. */
  address: z.string(),
  createdBy: z.string(),
  createdAt: Time,
  /** Of the last alert: when it went out, or why it did not. */
  sentAt: Maybe(Time),
  error: Maybe(z.string())
})
export type AlertRecipient = z.infer<typeof AlertRecipient>

/** POST recipients -> CreatedAlertRecipient. `address` is an e-mail address or an https URL. */
export const NewAlertRecipient = z.strictObject({
  kind: z.enum(['email', 'slack', 'webhook']),
  address: z.string().check(z.trim(), z.minLength(3), z.maxLength(2048))
})
export type NewAlertRecipient = z.infer<typeof NewAlertRecipient>
/** The signing secret of a webhook is shown this once: https://www.standardwebhooks.com */
export const CreatedAlertRecipient = z.object({ recipient: AlertRecipient, signingSecret: Maybe(z.string()) })
export type CreatedAlertRecipient = z.infer<typeof CreatedAlertRecipient>

/** GET predecessors: ended installations of the same stack whose syncs and links nobody has taken over. POST adopt {from} -> Adopted */
export const Predecessor = z.object({
  id: z.string(),
  installedAt: Time,
  endedAt: Time,
  connections: z.number(),
  syncs: z.number(),
  links: z.number()
})
export type Predecessor = z.infer<typeof Predecessor>
export const Adopt = z.strictObject({ from: z.string() })
export type Adopt = z.infer<typeof Adopt>
/** Syncs come paused; a connection whose secrets were erased needs them again. */
export const Adopted = z.object({ connections: z.number(), syncs: z.number(), links: z.number() })
export type Adopted = z.infer<typeof Adopted>

/** Every list: newest first; `next` is the value for ?before=, null at the end. */
export function listOf<T extends z.ZodMiniType>(item: T) {
  return z.object({ items: z.array(item), next: z.nullable(z.string()) })
}
export interface List<T> {
  items: T[]
  next: string | null
}
