// How the doctor asks a host whether it is there: one GET, nothing sent along, any status an answer. Says in words why there was
// none, and how far the host's clock is from ours.
import { isAppError } from '../../errors.ts'
import { codeOf } from './check.ts'

export interface Answered {
  status: number
  headers: Headers
  /** At most 256 kB; '' where it was not asked for. */
  text: string
  milliseconds: number
  /** Ours minus theirs, in milliseconds; null without a Date header. */
  clockAhead: number | null
}

export interface NotReached {
  why: string
  remedy: string
}

/** Less than a probe has, so that its row can name the host. */
const longestMs = 4_500

/** Never rejects for a host that cannot be reached; redirections are an answer, not followed. */
export async function reach(
  url: string,
  { signal, fetch: ask = fetch, body = false }: { signal: AbortSignal; fetch?: typeof fetch; body?: boolean }
): Promise<Answered | NotReached> {
  const sentAt = Date.now()
  try {
    const response = await ask(url, { redirect: 'manual', signal: AbortSignal.any([signal, AbortSignal.timeout(longestMs)]) })
    const milliseconds = Date.now() - sentAt
    const theirs = Date.parse(response.headers.get('date') ?? '')
    // The header has whole seconds, cut off.
    const clockAhead = Number.isNaN(theirs) ? null : sentAt + milliseconds / 2 - (theirs + 500)
    const text = body ? (await response.text()).slice(0, 262_144) : ''
    if (!body) await response.body?.cancel()
    return { status: response.status, headers: response.headers, text, milliseconds, clockAhead }
  } catch (error) {
    return whyNot(error)
  }
}

export const isReached = (outcome: Answered | NotReached): outcome is Answered => 'status' in outcome

/** https://nodejs.org/api/errors.html#common-system-errors and https://nodejs.org/api/tls.html#x509-certificate-error-codes */
function whyNot(error: unknown): NotReached {
  if (isAppError(error)) return { why: error.message, remedy: error.remedy ?? '' }
  const code = codeOf(error)
  if (code === null) {
    const late = error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError')
    return { why: late ? 'it did not answer in time' : 'the connection failed', remedy: network }
  }
  if (['ENOTFOUND', 'EAI_AGAIN', 'EAI_NODATA'].includes(code))
    return { why: `its name cannot be found (DNS: ${code})`, remedy: 'Check the name, and the name server that this machine uses.' }
  if (code === 'ECONNREFUSED') return { why: 'nothing listens there (ECONNREFUSED)', remedy: network }
  if (/CERT|TLS|SSL|EPROTO|UNABLE_TO/.test(code)) {
    return {
      why: `its TLS is not accepted (${code})`,
      remedy:
        'Check the clock of this machine and the certificate. Where a proxy of yours opens TLS, name its authority in NODE_EXTRA_CA_CERTS, for the server too.'
    }
  }
  return { why: `the connection failed (${code})`, remedy: network }
}

const network = 'Check the firewall and the outgoing connections of this machine.'
