// What a stack admin and an operator see and do about the management token of ONE installation; the same routes behind both doors.
// Times are milliseconds since 1970 UTC. The token itself is never part of any answer.
import * as z from 'zod/mini'

const Time = z.number()
const Maybe = z.nullable

export const VerificationRow = z.object({
  /** 'stack', 'alive', 'read', 'branch main', 'write' */
  check: z.string(),
  result: z.enum(['granted', 'likely', 'refused', 'unknown']),
  detail: z.string()
})
export type VerificationRow = z.infer<typeof VerificationRow>

/** The token itself is never part of any answer. */
export const Token = z.object({
  id: z.string(),
  name: z.string(),
  origin: z.enum(['minted', 'pasted']),
  status: z.enum(['minting', 'verifying', 'active', 'expiring', 'retiring', 'retired', 'rejected', 'dead', 'orphaned']),
  fingerprint: Maybe(z.string()),
  branches: z.array(z.string()),
  expiresAt: Maybe(Time),
  verification: z.array(VerificationRow),
  verifiedAt: Maybe(Time),
  /** When the watch last saw Contentstack accept it. */
  checkedAt: Maybe(Time),
  /** Why it should be replaced although it works: a key that sealed it may be known to others. */
  exposed: z.boolean(),
  error: Maybe(z.string()),
  createdAt: Time
})
export type Token = z.infer<typeof Token>

export const Grant = z.object({
  id: z.string(),
  purpose: z.enum(['mint', 'rotate', 'delete', 'uninstall']),
  status: z.enum(['started', 'exchanged', 'minted', 'revoked', 'revoke_refused', 'failed']),
  /** When revoking was refused: until when the grant stays valid. */
  validUntil: Maybe(Time),
  error: Maybe(z.string()),
  createdAt: Time,
  finishedAt: Maybe(Time)
})
export type Grant = z.infer<typeof Grant>

/** GET token. Orphaned tokens stand in `history`: what may still be at Contentstack and nobody here holds. */
export const Custody = z.object({ current: Maybe(Token), history: z.array(Token), grant: Maybe(Grant) })
export type Custody = z.infer<typeof Custody>

/**
 * POST grants -> GrantStart. The page opens `url` top-level; it is good once, for a minute. `delete` gives the token up and keeps the
 * installation; `uninstall` ends the installation as well: its tokens are deleted at Contentstack and proven dead first.
 */
export const NewGrant = z.strictObject({
  purpose: z.enum(['mint', 'rotate', 'delete', 'uninstall']),
  expiresInDays: z.nullable(z.number().check(z.int(), z.minimum(1), z.maximum(365))),
  /** Empty for a stack without branches, and for delete and uninstall. */
  branches: z.array(z.string()),
  /** Mint although Contentstack may then expire the stack's oldest token without a word. */
  overLimit: z.optional(z.boolean())
})
export type NewGrant = z.infer<typeof NewGrant>
export const GrantStart = z.object({ grantId: z.string(), url: z.string() })
export type GrantStart = z.infer<typeof GrantStart>

/** POST tokens/paste -> Token */
export const PasteToken = z.strictObject({ token: z.string().check(z.trim(), z.minLength(1), z.maxLength(512)) })
export type PasteToken = z.infer<typeof PasteToken>
