// The console door, /api/console/…: people who logged in by OIDC. The session is a cookie; every change carries
// `content-type: application/json` and comes from our own origin. Lists span all organizations of the person:
// GET installations, syncs, runs, deliveries, keys, audit, each with ?installation=&before=. One installation's routes: stack.ts.
import * as z from 'zod/mini'

/** GET me. 401 with code unauthorized = go to /login. */
export const Me = z.object({
  name: z.string(),
  email: z.string(),
  organizations: z.array(z.object({ id: z.string(), name: z.string(), role: z.enum(['admin', 'operator', 'auditor']) }))
})
export type Me = z.infer<typeof Me>

/** GET audit?before= */
export const AuditEvent = z.object({
  id: z.string(),
  seq: z.number(),
  at: z.number(),
  organizationName: z.string(),
  actor: z.object({ kind: z.string(), id: z.string(), name: z.string() }),
  action: z.string(),
  object: z.object({ kind: z.string(), id: z.string(), name: z.string() }),
  detail: z.record(z.string(), z.unknown())
})
export type AuditEvent = z.infer<typeof AuditEvent>

const LeftToken = z.strictObject({ name: z.string(), stackName: z.string(), status: z.string() })

/** GET organizations/:organizationId/erase: what would go, by table, and the tokens that stand at Contentstack. */
export const ErasurePreview = z.object({
  organization: z.object({ id: z.string(), region: z.string(), organizationUid: z.string(), name: z.string() }),
  rows: z.record(z.string(), z.number()),
  tokens: z.array(LeftToken),
  /** Why it would be refused unless `leaveTokens`; null = it would not. */
  refusal: z.nullable(z.object({ message: z.string(), remedy: z.string() })),
  /** Begun before and not done. */
  begun: z.boolean()
})
export type ErasurePreview = z.infer<typeof ErasurePreview>

/** POST organizations/:organizationId/erase -> ErasureReceipt, when all of it is done. `name` exactly as the organization is called. */
export const EraseOrganization = z.strictObject({ name: z.string(), leaveTokens: z.optional(z.boolean()) })
export type EraseOrganization = z.infer<typeof EraseOrganization>

const Head = z.strictObject({ seq: z.number(), mac: z.string() })

/** To be kept by whoever asked for it: nothing here can tell it again. */
export const ErasureReceipt = z.strictObject({
  receipt: z.literal('quayside erasure'),
  organization: z.strictObject({ id: z.string(), region: z.string(), organizationUid: z.string(), name: z.string() }),
  startedAt: z.number(),
  at: z.number(),
  by: z.strictObject({ kind: z.string(), id: z.string(), name: z.string() }),
  /** Rows erased by table; of audit_event, events whose subjects were. */
  rows: z.record(z.string(), z.number()),
  /** What still stands at Contentstack and must be deleted there. */
  tokensLeft: z.array(LeftToken),
  /** Of the organization's audit chain; `after` is the event of this erasing. */
  head: z.strictObject({ before: Head, after: Head }),
  /** The server's, over all of the above. */
  mark: z.string()
})
export type ErasureReceipt = z.infer<typeof ErasureReceipt>
