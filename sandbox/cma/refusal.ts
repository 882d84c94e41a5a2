// How the CMA says no: status, `error_code`, message and the `errors` map (contentstack.md §1.6, §8.1, with the trust each fact
// has there). Handlers throw a Refusal; cma.ts writes it. Facts tagged [MEM] or [?] in the reference are marked so here.

export type FieldErrors = Record<string, string[]>

export class Refusal extends Error {
  readonly status: number
  readonly code: number
  readonly errors: FieldErrors

  constructor(status: number, code: number, message: string, errors: FieldErrors = {}) {
    super(message)
    this.status = status
    this.code = code
    this.errors = errors
  }
}

/** §1.6: 401/105. Which key names a bad management token is [MEM]; the play decides. */
export function notLoggedIn(key: string): Refusal {
  return new Refusal(401, 105, "You're not allowed in here unless you're logged in.", { [key]: ['is not valid.'] })
}

/** §1.6: 412/109; also what a right key gets on the wrong region's host. */
export function noStack(): Refusal {
  return new Refusal(412, 109, "We can't find that Stack. Please try again.", { api_key: ['is not valid.'] })
}

/** §1.6: 162; 403 rather than 401 is [?]. */
export function insufficientPermissions(errors: FieldErrors = {}): Refusal {
  return new Refusal(403, 162, 'Access denied. You have insufficient permissions to perform this operation.', errors)
}

/** §1.6: 401/161, the refusal of an environment or branch that a client must not take for an expired token; text [MEM]. */
export function scopeDenied(what: string): Refusal {
  return new Refusal(401, 161, `Access denied. You have insufficient permissions to perform operation on this ${what}.`, {
    [what]: ['is not valid.']
  })
}

/** §8.1: 422/141, never 404. */
export function noSuchObject(key = 'uid'): Refusal {
  return new Refusal(422, 141, "The requested object doesn't exist.", { [key]: ['is not valid.'] })
}

/** §8.1: 422/118. */
export function noSuchContentType(uid: string): Refusal {
  return new Refusal(422, 118, `The Content Type '${uid}' was not found. Please try again.`, { uid: ['is not valid.'] })
}

/** §8.1: 422/119, keys are field uids. */
export function invalidData(message: string, errors: FieldErrors): Refusal {
  return new Refusal(422, 119, message, errors)
}

/** §8.1: 429; the text is [MEM], and there is no Retry-After. */
export function rateLimited(): Refusal {
  return new Refusal(429, 429, 'Rate limit exceeded. Please try again later.')
}

export function noSuchEndpoint(): Refusal {
  return new Refusal(404, 404, 'The requested URL was not found on this server.')
}
