// The extension door, /api/extension/…: what an editor's frame may ask. The session travels as `Authorization: Bearer`, lives
// in memory only, and begins with POST session. A 403 with code forbidden on stack/… means: proven editor, not proven admin.
import * as z from 'zod/mini'
import { Installation } from './stack.ts'

/** POST session -> Session; POST session/renew -> Session */
export const NewSession = z.strictObject({ appToken: z.string().check(z.minLength(1), z.maxLength(4096)) })
export type NewSession = z.infer<typeof NewSession>

export const Session = z.object({
  session: z.string(),
  idleExpiresAt: z.number(),
  absoluteExpiresAt: z.number(),
  userUid: z.string(),
  /** Proven Owner or Admin of the stack; null = cannot be known yet, because no token stands. */
  stackAdmin: z.nullable(z.boolean()),
  installation: Installation
})
export type Session = z.infer<typeof Session>

export const EntrySyncState = z.object({
  syncId: z.string(),
  syncName: z.string(),
  /** 'PostgreSQL' */
  system: z.string(),
  /** The connection's name: 'Website database' */
  connection: z.string(),
  /** 'Contentstack -> PostgreSQL' */
  direction: z.string(),
  state: z.enum(['in_sync', 'syncing', 'behind', 'paused', 'held', 'failing', 'never']),
  /** Version last carried, and since when. */
  version: z.nullable(z.number()),
  syncedAt: z.nullable(z.number()),
  error: z.nullable(z.string()),
  /** What caused the last change, in words, and the id behind it, if there is one: 'an edit in Contentstack', 'dlv_…' */
  cause: z.nullable(z.string()),
  causeId: z.nullable(z.string())
})
export type EntrySyncState = z.infer<typeof EntrySyncState>

/** GET entries/:contentType/:entryUid/status?locale=&branch=&version= (the version the editor sees, to tell `behind`) */
export const EntryStatus = z.object({
  entryUid: z.string(),
  locale: z.string(),
  /** Concerns every entry: dead token, no token, hold. */
  banner: z.nullable(z.string()),
  syncs: z.array(EntrySyncState),
  /** When no sync covers this entry: why. */
  uncovered: z.nullable(z.string())
})
export type EntryStatus = z.infer<typeof EntryStatus>

/** POST entries/:contentType/:entryUid/sync {locale, branch} -> {queued} */
export const SyncNow = z.strictObject({ locale: z.string().check(z.minLength(1)), branch: z.string().check(z.minLength(1)) })
export type SyncNow = z.infer<typeof SyncNow>
export const SyncQueued = z.object({ queued: z.number() })
export type SyncQueued = z.infer<typeof SyncQueued>
