// The file of `quayside installations export`, one JSON value a line: the head, then connections, syncs and links in that order, then
// the counts, so that a file that was cut shows. No secret and no id of one stands in it. Its lines are judged by the command, which
// reads the whole file first, and again by the operator door, which believes no file.
import * as z from 'zod/mini'
import { InboundOptions } from './stack.ts'

const Maybe = z.nullable
const text = (longest: number) => z.string().check(z.maxLength(longest))
const Name = z.string().check(z.minLength(1), z.maxLength(300))
/** As Contentstack makes them; they become steps of an address. */
const Uid = z.string().check(z.regex(/^[\w-]{1,200}$/))
/** Also what JavaScript's dates reach, in milliseconds: a counter may still grow from it. */
const Count = z.number().check(z.int(), z.minimum(0), z.maximum(8_640_000_000_000_000))
const idOf = (prefixes: string) => z.string().check(z.regex(new RegExp(`^(?:${prefixes})_[0-9a-z]{26,32}$`)))
const ConnectionId = idOf('con')
const SyncId = idOf('syn')

export const ExportHead = z.strictObject({
  format: z.literal('quayside-export'),
  version: z.literal(1),
  region: Name,
  organizationUid: Name,
  stackApiKey: Name,
  appUid: Name,
  exportedAt: Count
})
export type ExportHead = z.infer<typeof ExportHead>

const ConnectionLine = z.strictObject({
  kind: z.literal('connection'),
  id: ConnectionId,
  connector: Name,
  name: z.string().check(z.trim(), z.minLength(1), z.maxLength(80)),
  settings: z.record(z.string(), z.unknown()),
  secretNames: z.array(Name)
})

const anySync = {
  id: SyncId,
  connectionId: ConnectionId,
  linkSetId: idOf('lks|lki'),
  name: Name,
  contentType: Uid,
  branch: Uid,
  locales: z.array(Uid),
  mapping: z.array(
    z.strictObject({
      from: z.optional(Name),
      expression: z.optional(text(4_000)),
      to: Name,
      default: z.optional(z.union([text(4_000), z.number(), z.boolean()])),
      type: z.enum(['text', 'integer', 'number', 'boolean', 'datetime', 'json']),
      required: z.boolean(),
      kind: z.optional(text(100)),
      reads: z.optional(z.array(Name))
    })
  ),
  revision: Count,
  schedule: Maybe(z.strictObject({ cron: text(200), timeZone: text(100) }))
}
const OutboundLine = z.strictObject({
  kind: z.literal('outbound'),
  ...anySync,
  options: z.strictObject({
    table: Name,
    source: z.enum(['draft', 'published']),
    environment: z.optional(z.strictObject({ uid: Uid, name: text(200) })),
    filter: z.optional(z.record(z.string(), z.unknown())),
    references: z.optional(z.strictObject({ embed: z.literal([1, 2, 3]) })),
    richText: z.optional(z.enum(['html', 'text']))
  })
})
const InboundLine = z.strictObject({
  kind: z.literal('inbound'),
  ...anySync,
  options: z.strictObject({ table: Name, key: Name, externalIdField: Uid, cursorColumn: Maybe(Name), ...InboundOptions.shape })
})

const LinkLine = z.strictObject({
  kind: z.literal('link'),
  syncId: SyncId,
  locale: Uid,
  externalId: text(10_000),
  /** Empty for a record that never became an entry. */
  entryUid: z.string().check(z.regex(/^[\w-]{0,200}$/)),
  sourceHash: text(200),
  stackHash: text(200),
  destinationFingerprint: text(1_000),
  hashVersion: Count,
  syncRevision: Count,
  order: Count,
  version: Count,
  status: z.enum(['synced', 'failed', 'deleted']),
  error: Maybe(text(20_000)),
  cause: text(1_000),
  syncedAt: Count,
  updatedAt: Count
})

export const ExportLine = z.discriminatedUnion('kind', [ConnectionLine, OutboundLine, InboundLine, LinkLine])
export type ExportLine = z.infer<typeof ExportLine>

const counts = { connections: Count, syncs: Count, links: Count }
export const ExportEnd = z.strictObject({ kind: z.literal('end'), ...counts })
export type ExportEnd = z.infer<typeof ExportEnd>

/** GET installations/:id/export?after= */
export interface ExportPage {
  lines: ExportLine[]
  next: string | null
}

/** POST installations/:id/import -> ImportAnswer */
export const ImportBatch = z.strictObject({ head: ExportHead, lines: z.array(ExportLine).check(z.minLength(1), z.maxLength(1_000)) })
export type ImportBatch = z.infer<typeof ImportBatch>
export interface ImportAnswer {
  /** Lines that were not there yet. */
  added: number
}

/** POST installations/:id/import/end */
export const ImportEnd = z.strictObject({ head: ExportHead, counts: z.strictObject(counts) })
export type ImportEnd = z.infer<typeof ImportEnd>

/** POST installations/:id/adopt {from}: it stops after some seconds; ask again until it is finished. */
export interface AdoptAnswer {
  finished: boolean
  connections: number
  syncs: number
  links: number
}
