// The operator door, /api/operator/…: what the `quayside` command asks of the running server, beyond the shapes of stack.ts.
import * as z from 'zod/mini'

const Time = z.number()
const Maybe = z.nullable

/** GET keys-of-the-vault: the key ring and what hangs on each key. */
export const KeyRingStatus = z.object({
  keys: z.array(
    z.object({
      id: z.string(),
      /** current wraps what is sealed from now on; known opens; missing is needed and not on the ring. */
      state: z.enum(['current', 'known', 'missing']),
      secrets: z.number(),
      /** A key of the ring that wraps nothing any more may be removed from the file. */
      removable: z.boolean()
    })
  ),
  /** Secrets to be replaced, because a key that wrapped them was given as compromised. */
  exposed: z.array(z.object({ id: z.string(), purpose: z.string(), installationId: Maybe(z.string()), since: Time, remedy: z.string() }))
})
export type KeyRingStatus = z.infer<typeof KeyRingStatus>

/** POST rewrap {compromised} starts it or finds it under way; GET rewrap tells how far it is. */
export const Rewrap = z.object({
  running: z.boolean(),
  currentKeyId: z.string(),
  done: z.number(),
  total: z.number(),
  error: Maybe(z.string())
})
export type Rewrap = z.infer<typeof Rewrap>
export const NewRewrap = z.strictObject({ compromised: z.optional(z.array(z.string())) })
export type NewRewrap = z.infer<typeof NewRewrap>

/** GET tokens: every token that stands or may stand, with what to press. */
export const CustodyLine = z.object({
  installationId: z.string(),
  stackName: z.string(),
  organizationName: z.string(),
  region: z.string(),
  token: Maybe(
    z.object({ id: z.string(), name: z.string(), status: z.string(), expiresAt: Maybe(Time), checkedAt: Maybe(Time), exposed: z.boolean() })
  ),
  /** Names of what may stand at Contentstack and nobody here holds. */
  orphans: z.array(z.string()),
  /** Where an admin rotates it. */
  links: z.array(z.object({ title: z.string(), url: z.string() }))
})
export type CustodyLine = z.infer<typeof CustodyLine>
