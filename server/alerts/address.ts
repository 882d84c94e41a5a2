// Where an alert may go, judged before it is kept: one plain e-mail address, or one https URL. Pure. Strict on purpose: what a mail
// header, a URL parser and a person could each read differently is refused, not repaired.
import { z } from 'zod'
import { AppError } from '../errors.ts'

/** Slack's own and its imitations take the same body; a webhook is signed by https://www.standardwebhooks.com. */
export type RecipientKind = 'email' | 'slack' | 'webhook'

/** ASCII, unquoted, a domain with a dot. RFC 5321 §4.5.3.1: 64 octets before the @, 254 in all. */
const Email = z.email().max(254)
const mostBeforeTheAt = 64
const longestUrl = 2048

/** The address as given. AppError invalid: not exactly one ASCII address without a name. */
export function parseEmail(text: string): string {
  if (!Email.safeParse(text).success || text.indexOf('@') > mostBeforeTheAt)
    throw refuse('is not one e-mail address', 'Give one plain address, such as team@example.com, without a name around it.')
  return text
}

/**
 * AppError invalid. `httpAllowed`: in development, where a receiver may stand beside the sandbox. What host it names is the outgoing
 * guard's to judge.
 */
export function parseUrl(text: string, { httpAllowed }: { httpAllowed: boolean }): URL {
  const remedy = 'Give the whole address as the receiving side shows it: https://…'
  if (text.length > longestUrl) throw refuse(`is longer than ${longestUrl} characters`, remedy)
  // A URL parser drops tabs and line ends, and reads a backslash as a slash.
  if (!/^[\x21-\x7e]+$/.test(text) || text.includes('\\'))
    throw refuse('holds a character that an address cannot have', 'Write it in ASCII, percent-encoded where needed.')
  const scheme = /^(https?):\/\/[^/]/i.exec(text)?.[1]?.toLowerCase()
  const url = scheme !== undefined && URL.canParse(text) ? new URL(text) : null
  if (url === null) throw refuse('is not an https address', remedy)
  if (scheme !== 'https' && !httpAllowed) throw refuse('must begin with https://', remedy)
  // An empty user as well, which no parsed URL shows.
  if (/^[^:]+:\/\/[^/?#]*@/.test(text))
    throw refuse('carries a user or password', 'Give an address without them: what it carries would stand in logs along the way.')
  return url
}

/** All that is shown of a URL, since its path is often the secret. */
export function shownUrl(url: URL): string {
  return url.origin
}

function refuse(problem: string, remedy: string): AppError {
  return new AppError('invalid', `The address ${problem}.`, { remedy, fields: { address: [problem] } })
}
