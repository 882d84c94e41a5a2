// The operator door, /api/operator/…: what the `quayside` command asks of the running server, beyond the shapes of stack.ts.
import * as z from 'zod/mini'

const Time = z.number()
const Maybe = z.nullable

/**
 * POST vault/rewrap starts the move of all secrets to a key, or finds it under way; GET vault/rewrap?job=… tells how far it is. `done` of
 * `total` secrets are wrapped by the key.
 */
export const Rewrap = z.object({
  /** null: there was nothing to do. */
  jobId: Maybe(z.number()),
  running: z.boolean(),
  keyId: z.string(),
  done: z.number(),
  total: z.number(),
  /** Why it stands still or ended early. */
  error: Maybe(z.string())
})
export type Rewrap = z.infer<typeof Rewrap>

const KeyId = z.string().check(z.regex(/^[A-Za-z0-9_-]{1,40}$/))
export const NewRewrap = z.strictObject({
  /** To this key; the first of the server's key file when left out. */
  keyId: z.optional(KeyId),
  /** What these wrapped is sealed anew and has to be replaced. */
  compromised: z.optional(z.array(KeyId))
})
export type NewRewrap = z.infer<typeof NewRewrap>

/** GET vault/keys: the key ring and what hangs on each key. */
export const KeyRingStatus = z.object({
  keys: z.array(
    z.object({
      id: z.string(),
      /** current wraps what is sealed from now on; known opens; missing is needed and not on the ring. */
      state: z.enum(['current', 'known', 'missing']),
      secrets: z.number(),
      /** A key of the ring that wraps nothing any more may be removed from the file. */
      removable: z.boolean(),
      compromised: z.boolean(),
      /** Of a missing key, the first secrets that need it. */
      rows: z.array(z.string())
    })
  ),
  /** The first key of the server's file; when another is current, "keys rotate" goes on with it. */
  inFront: z.string(),
  /** The move under way. */
  rewrap: Maybe(Rewrap),
  /** Secrets to be replaced, because a key that wrapped them was given as compromised; the first thousand. */
  exposed: z.array(z.object({ id: z.string(), purpose: z.string(), installationId: Maybe(z.string()), since: Time, remedy: z.string() }))
})
export type KeyRingStatus = z.infer<typeof KeyRingStatus>

/** GET tokens: every token that stands or may stand, with what to press; GET tokens/:installationId. */
export const CustodyLine = z.object({
  installationId: z.string(),
  stackName: z.string(),
  organizationName: z.string(),
  region: z.string(),
  status: z.enum(['pending', 'active', 'uninstalled']),
  token: Maybe(
    z.object({ id: z.string(), name: z.string(), status: z.string(), expiresAt: Maybe(Time), checkedAt: Maybe(Time), exposed: z.boolean() })
  ),
  /** Names of what may stand at Contentstack and nobody here holds. */
  orphans: z.array(z.string()),
  /** Where an admin rotates it. */
  links: z.array(z.object({ title: z.string(), url: z.string() }))
})
export type CustodyLine = z.infer<typeof CustodyLine>

/** POST tokens/:installationId/check: Contentstack asked right now. none: no token is current. */
export const TokenLook = z.object({ outcome: z.enum(['none', 'accepted', 'dead']), line: CustodyLine })
export type TokenLook = z.infer<typeof TokenLook>
