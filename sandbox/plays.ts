// Where the platform reference marks a fact as not established (contentstack.md §11), the sandbox plays each answer, so that
// the product can be shown to hold under all of them. One named choice per open question; the default stands first.

export const playChoices = {
  /** §1.3: over the limit of management tokens, is creation refused at 30, or does the 11th silently expire the oldest? */
  tokenLimit: ['refuse-30', 'evict-oldest-10'],
  /** §11.2: is a management token that was deleted, revoked or has expired refused at once, or two seconds later? */
  tokenDeath: ['at-once', 'late'],
  /** §11.2: does the list of management tokens show a new one at once, or two seconds later? A deleted one is gone at once. */
  tokenListing: ['at-once', 'late'],
  /** §1.1: does that list page by skip and limit, or is it always whole? */
  tokenPaging: ['pages', 'whole'],
  /** §3.3: is `cm.stack.management-tokens:read` enough to list, or does the list want `:write` as well? */
  tokenListScope: ['read', 'write'],
  /** §11.1: may an OAuth user token mint management tokens, as the scopes say, or only an authtoken? */
  grantMints: ['accepted', 'refused'],
  /** §1.2: may a token's body leave out its expiry, or is exactly one directive required (`expires_on` or `is_never_expires`)? */
  tokenExpiry: ['optional', 'required'],
  /** §1.2: what a stack without branches says to a list of them. */
  branchlessList: ['refused', 'empty'],
  /** §1.2: what a stack without branches makes of a token's branch scope. */
  branchlessScope: ['ignored', 'refused'],
  /** Does a write without permission and with invalid data say 403 or 422? */
  writeProbe: ['permission-first', 'validation-first'],
  /** May an app revoke its own user authorization with that authorization's token? */
  revocation: ['allowed', 'refused'],
  /** Is `asc=uid` honoured in entry lists, or silently ignored (by time it always sorts)? */
  sortedPaging: ['sorted', 'unsorted'],
  /** §8.2: a publish is acknowledged at once; does it also stand at once, or two seconds later? */
  publishing: ['immediate', 'queued'],
  /** §8.2: does an entry, asked for by its uid, show what was accepted at once, or two seconds later? A deleted one stays as long. */
  entryReads: ['at-once', 'late'],
  /** §8.1: how the per-second limits count. */
  limiter: ['fixed', 'sliding', 'bucket'],
  /** §11.9: what `updated_by` names on a management token's write. */
  updatedBy: ['token-uid', 'system', 'absent'],
  /** §11.6: does a refresh return the same refresh token or a new one? */
  refreshRotation: ['same', 'rotates'],
  /** §1.6: the key in `errors` of the 105 for a bad management token. */
  expiredTokenBody: ['authorization', 'authtoken'],
  /** §11.7: does the app-token carry iss and aud? */
  appTokenClaims: ['plain', 'with-iss-aud']
} as const

/** Sandbox milliseconds, wherever an answer is that something shows later. */
export const lateMs = 2_000

export type Plays = { -readonly [Name in keyof typeof playChoices]: (typeof playChoices)[Name][number] }

/** Throws RangeError, naming the play and its choices, for an unknown name or answer. */
export function createPlays(chosen: Partial<Plays> = {}): Plays {
  const plays = Object.fromEntries(Object.entries(playChoices).map(([name, choices]) => [name, choices[0]])) as Plays
  setPlays(plays, chosen)
  return plays
}

/** Changes `plays` in place: the rooms hold the object, not a copy. Throws as createPlays; nothing is changed then. */
export function setPlays(plays: Plays, chosen: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(chosen)) {
    const choices: readonly string[] | undefined = playChoices[name as keyof Plays]
    if (!choices) throw new RangeError(`unknown play "${name}", known are ${Object.keys(playChoices).join(', ')}`)
    if (typeof value !== 'string' || !choices.includes(value)) throw new RangeError(`play "${name}" is one of ${choices.join(', ')}`)
  }
  Object.assign(plays, chosen)
}
