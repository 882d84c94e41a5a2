// One message to an endpoint, and what its answer means. A redirect is an answer like another: following it would carry the body and
// its signature to a place that nobody entered. Of what comes back only a short excerpt is ever kept, without our secrets.
//
//   2xx                    taken
//   410                    gone: it wants nothing more, for good
//   408 425 429 5xx, none  wait: not now; with Retry-After, not before
//   all others             refused: this message will not be taken however often it is sent
import type { ConnectorContext } from '../connector.ts'
import { isAppError } from '../../errors.ts'
import type { Message, Signing } from './message.ts'

export type Answer =
  | { kind: 'taken' }
  | { kind: 'refused'; says: string; status: number }
  | { kind: 'gone'; says: string }
  | { kind: 'wait'; says: string; code: 'rate_limited' | 'upstream'; retryAfterSeconds?: number }

/** 15 to 30 s is what the specification recommends. */
const answerMilliseconds = 15_000
const largestBodyBytes = 1024 * 1024
const excerptBytes = 1024
const excerptCharacters = 160
/** However long a receiver asks us to wait. */
const longestWaitSeconds = 24 * 3600

/** Throws AppError forbidden for an address inside, and the signal's reason when it was aborted. */
export async function post(url: string, signing: Signing, message: Message, ctx: ConnectorContext): Promise<Answer> {
  ctx.signal.throwIfAborted()
  const { host } = new URL(url)
  const bytes = Buffer.byteLength(message.body)
  if (bytes > largestBodyBytes)
    return { kind: 'refused', says: `The message is ${bytes} bytes long; at most ${largestBodyBytes} are sent.`, status: 413 }
  const deadline = AbortSignal.timeout(answerMilliseconds)
  try {
    const response = await ctx.fetch(url, {
      method: 'POST',
      body: message.body,
      headers: signing.headers(message),
      redirect: 'manual',
      signal: AbortSignal.any([ctx.signal, deadline])
    })
    if (response.ok) {
      await response.body?.cancel()
      return { kind: 'taken' }
    }
    return judged(host, response, await excerpt(response, signing.secrets))
  } catch (error) {
    ctx.signal.throwIfAborted()
    if (deadline.aborted)
      return { kind: 'wait', says: `${host} does not answer within ${answerMilliseconds / 1000} seconds.`, code: 'upstream' }
    const refusal = error instanceof Error && isAppError(error.cause) ? error.cause : error
    if (isAppError(refusal)) {
      if (refusal.code !== 'upstream') throw refusal
      return { kind: 'wait', says: refusal.message, code: 'upstream' }
    }
    return { kind: 'wait', says: `${host} cannot be reached (${reasonOf(error)}).`, code: 'upstream' }
  }
}

function judged(host: string, response: Response, said: string): Answer {
  const { status } = response
  const says = `${host} answers ${status}${said === '' ? '' : `: "${said}"`}.`
  if (status === 410) return { kind: 'gone', says }
  if (status >= 300 && status < 400)
    return {
      kind: 'refused',
      says: `${host} answers ${status}, a redirect, which is not followed: enter the address that it leads to.`,
      status
    }
  if (status >= 500 || status === 429 || status === 408 || status === 425) {
    const retryAfterSeconds = secondsUntil(response.headers.get('retry-after'))
    const code = status === 429 ? 'rate_limited' : 'upstream'
    return { kind: 'wait', says, code, ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }) }
  }
  return { kind: 'refused', says, status }
}

/** Retry-After: seconds or a date (RFC 9110 §10.2.3). */
function secondsUntil(header: string | null): number | undefined {
  if (header === null) return undefined
  const seconds = /^\s*\d+\s*$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000
  return Number.isNaN(seconds) ? undefined : Math.min(longestWaitSeconds, Math.max(0, Math.ceil(seconds)))
}

async function excerpt(response: Response, secrets: readonly string[]): Promise<string> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length >= excerptBytes) break
  }
  for (const secret of secrets) text = text.replaceAll(secret, '…').replaceAll(secret.replace(/^whsec_/, ''), '…')
  // Control and format characters would reach a page or a terminal.
  return text
    .replaceAll(/[\s\p{C}]+/gu, ' ')
    .trim()
    .slice(0, excerptCharacters)
    .toWellFormed()
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  return typeof code === 'string' ? code : 'no answer'
}
