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
