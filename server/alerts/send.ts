// One message to one address, once: by SMTP, by a Slack-compatible webhook, or by a signed one. How it went is told by the code of
// what is thrown: invalid, forbidden and not_found will be the same next time; upstream and rate_limited may pass. What a receiver
// answers is not shown, and nothing that is thrown carries an address beyond its host.
import { createTransport } from 'nodemailer'
import { Webhook } from 'standardwebhooks'
import { AppError, type ErrorCode, isAppError } from '../errors.ts'
import { type Message, mailOf, slackOf, webhookOf } from './message.ts'
import type { Sealed } from './recipients.ts'

/** The operator's mail server. */
export interface Smtp {
  host: string
  port: number
  /** TLS from the first byte, as on port 465. */
  secure: boolean
  /** Nothing is sent, no password either, before STARTTLS went well. */
  requireTls: boolean
  user?: string | undefined
  password?: string | undefined
  /** 'Quayside <quayside@example.com>' */
  from: string
}

const timeoutSeconds = 15
/** Whoever asks for more is asked again after this. */
const longestRetrySeconds = 60 * 60

/** `host` and `recipientId` make the Message-ID, by which a mailbox knows a repeat. */
export async function sendMail(
  smtp: Smtp | null,
  to: { address: string; recipientId: string; why: string; host: string },
  message: Message,
  signal: AbortSignal
): Promise<void> {
  if (smtp === null)
    throw new AppError('invalid', 'This Quayside cannot send e-mail', {
      remedy: 'Its operator can name a mail server in QUAYSIDE_ALERTS_FILE'
    })
  const timeoutMs = timeoutSeconds * 1000
  const transport = createTransport({
    host: smtp.host,
    port: smtp.port,
    secure: smtp.secure,
    requireTLS: smtp.requireTls,
    ...(smtp.user === undefined ? {} : { auth: { user: smtp.user, pass: smtp.password ?? '' } }),
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    dnsTimeout: timeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true
  })
  try {
    await transport.sendMail({
      ...mailOf(message, to.why),
      from: smtp.from,
      // An object is not parsed: no comma, quote or comment in it can become another address.
      to: { name: '', address: to.address },
      messageId: `<${message.id}.${to.recipientId.replace(/[^\w-]/g, '-')}@${to.host}>`,
      date: new Date(message.at),
      // https://www.rfc-editor.org/rfc/rfc3834: no out-of-office answers.
      headers: { 'Auto-Submitted': 'auto-generated' },
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
    })
  } catch (error) {
    throw mailRefusal(error)
  } finally {
    transport.close()
  }
}

function mailRefusal(error: unknown): AppError {
  const { code, permanent, responseCode } = error as { code?: unknown; permanent?: unknown; responseCode?: unknown }
  const said = [code, responseCode].filter(word => typeof word === 'number' || (typeof word === 'string' && /^\w{1,30}$/.test(word)))
  const words = said.length === 0 ? '' : ` (${said.join(' ')})`
  // A server may repeat what it was given to log in with.
  if (code === 'EAUTH' || code === 'ENOAUTH')
    return new AppError('upstream', `The mail server refused our login${words}`, {
      remedy: 'The operator must correct QUAYSIDE_ALERTS_FILE'
    })
  if (permanent === true && (code === 'EENVELOPE' || code === 'EMESSAGE'))
    return new AppError('invalid', `The mail server refused the message${words}`, { cause: error, remedy: 'Check the address' })
  if (code === 'ETLS')
    return new AppError('upstream', `No trusted TLS with the mail server${words}`, {
      cause: error,
      remedy: 'The operator must mend its certificate or QUAYSIDE_ALERTS_FILE'
    })
  return new AppError('upstream', `The mail server could not be reached or did not take the message${words}`, { cause: error })
}

export async function sendSlack(fetch: typeof globalThis.fetch, { url }: Sealed, message: Message, signal: AbortSignal): Promise<void> {
  await post(fetch, url, {}, slackOf(message), signal)
}

export async function sendWebhook(
  fetch: typeof globalThis.fetch,
  { url, signingSecret }: Sealed,
  message: Message,
  signal: AbortSignal,
  now = new Date()
): Promise<void> {
  if (signingSecret === undefined) throw new AppError('invalid', 'The recipient has no signing secret')
  const body = webhookOf(message)
  const headers = {
    'webhook-id': message.id,
    'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
    'webhook-signature': new Webhook(signingSecret).sign(message.id, now, JSON.stringify(body))
  }
  await post(fetch, url, headers, body, signal)
}

/** https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks#handling_errors: the words that may be repeated. */
const slackWords = new Set([
  'action_prohibited',
  'channel_is_archived',
  'channel_not_found',
  'invalid_payload',
  'invalid_token',
  'no_active_hooks',
  'no_service',
  'no_service_id',
  'no_team',
  'no_text',
  'posting_to_general_channel_denied',
  'team_disabled',
  'too_many_attachments',
  'user_not_found'
])

async function post(
  fetch: typeof globalThis.fetch,
  url: string,
  headers: Record<string, string>,
  body: object,
  signal: AbortSignal
): Promise<void> {
  const { host } = new URL(url)
  const timeout = AbortSignal.timeout(timeoutSeconds * 1000)
  let response: Response
  try {
    response = await fetch(url, {
      method: 'POST',
      redirect: 'manual',
      headers: { 'content-type': 'application/json', 'user-agent': 'Quayside', ...headers },
      body: JSON.stringify(body),
      signal: AbortSignal.any([signal, timeout])
    })
  } catch (error) {
    // The guard's own word, which stands inside fetch's where a name resolved to something else the second time.
    const inner = error instanceof Error ? error.cause : undefined
    for (const refusal of [error, inner]) if (isAppError(refusal)) throw refusal
    throw new AppError('upstream', timeout.aborted ? `${host} did not answer within ${timeoutSeconds} s` : `${host} could not be reached`, {
      cause: error
    })
  }
  const word = response.ok ? '' : await wordOf(response)
  await response.body?.cancel().catch(() => {})
  if (!response.ok) throw httpRefusal(host, response, word)
}

function httpRefusal(host: string, { status, headers }: Response, word: string): AppError {
  const said = `${host} answered ${status}${status >= 300 && status < 400 ? ', a redirect, which is not followed' : word}`
  if (status === 429) {
    const retryAfterSeconds = retryAfter(headers.get('retry-after'))
    return new AppError('rate_limited', said, retryAfterSeconds === null ? {} : { retryAfterSeconds })
  }
  const code: ErrorCode = status >= 500 || status === 408 || status === 425 ? 'upstream' : 'invalid'
  return new AppError(code, said, code === 'invalid' ? { remedy: 'Check the address at the receiving side, or remove it' } : {})
}

/** Seconds, or a date: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after. Null when it says nothing. */
function retryAfter(text: string | null, now = Date.now()): number | null {
  const given = text?.trim() ?? ''
  const seconds = /^\d{1,10}$/.test(given) ? Number(given) : (Date.parse(given) - now) / 1000
  return Number.isNaN(seconds) ? null : Math.min(Math.max(0, seconds), longestRetrySeconds)
}

/** One of Slack's own words, with a space before it; anything else may be long, slow or a secret. */
async function wordOf(response: Response): Promise<string> {
  const reader = response.body?.getReader()
  if (reader === undefined) return ''
  try {
    const { value } = await reader.read()
    const text = new TextDecoder().decode(value?.subarray(0, 60) ?? new Uint8Array()).trim()
    return slackWords.has(text) ? ` ${text}` : ''
  } catch {
    return ''
  } finally {
    reader.releaseLock()
  }
}
