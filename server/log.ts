// Structured log lines. Redaction is by construction: everything that is written passes one walk, which knows secrets by the name
// they stand under, by their own shape, and by what carries them. Of an error only name, code, message, stack and causes are
// written, because a library's error may carry the whole request (openid-client, pg and undici all attach what they were given).
import { type DestinationStream, pino } from 'pino'

export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  /** A log whose lines all carry `fields`: deliveryId, runId, jobId, installationId. */
  child(fields: Record<string, string | number>): Log
}

/** `destination` is stdout unless a test wants to read the lines. */
export function createLog(level: string, destination?: DestinationStream): Log {
  const clean = (fields: object) => cleanFields(fields, 0)
  const options = {
    level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }), log: clean, bindings: clean },
    hooks: {
      logMethod(this: pino.Logger, given: Parameters<pino.LogFn>, method: pino.LogFn) {
        const [fields, message] = given as unknown as [object, string]
        method.call(this, fields, cleanText(message))
      }
    }
  }
  return destination ? pino(options, destination) : pino(options)
}

export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLog
}

const redacted = '[redacted]'
const withheld = '[withheld]'
const deepest = 6
const mostItems = 50

/** Of a name without case, hyphens and underscores: access_token, appToken, x-quayside-secret, set-cookie. */
const secretName =
  /(?:token|secret|password|passphrase|cookie|authorization|verifier|plaintext|ticket|mark|accesskey|privatekey)$|^(?:code|pwd)$/

function cleanFields(fields: object, depth: number): Record<string, unknown> {
  const cleaned: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(fields)) {
    const plain = name.toLowerCase().replace(/[-_]/g, '')
    if (value === undefined || value === null) cleaned[name] = value
    else if (secretName.test(plain)) cleaned[name] = redacted
    else if (plain === 'cause') cleaned[name] = cleanCause(value, depth + 1)
    else cleaned[name] = plain.endsWith('uid') && typeof value === 'string' ? value : cleanValue(value, depth + 1)
  }
  return cleaned
}

function cleanValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return cleanText(value)
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'function' || typeof value === 'symbol') return withheld
  if (typeof value !== 'object' || value === null) return value
  if (depth > deepest) return withheld
  if (value instanceof Error) return cleanError(value, depth)
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'no date' : value.toISOString()
  if (value instanceof URL) return cleanText(value.href)
  if (Array.isArray(value)) return value.slice(0, mostItems).map(item => cleanValue(item, depth + 1))
  // Headers, Response, Buffer, URLSearchParams, a client of a library: what these hold is not ours to write down.
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null ? cleanFields(value, depth) : withheld
}

/** Words that a library uses for what went wrong, never a text of its peer's: `invalid_client`, `ECONNREFUSED`, `23505`. */
const errorWord = /^\w{1,60}$/

function cleanError(error: Error, depth: number): Record<string, unknown> {
  const { code, error: word, status } = error as { code?: unknown; error?: unknown; status?: unknown }
  const inner = error instanceof AggregateError ? error.errors.slice(0, 5) : []
  return {
    name: error.name,
    message: cleanText(error.message),
    ...(typeof code === 'string' && errorWord.test(code) ? { kind: code } : {}),
    ...(typeof word === 'string' && errorWord.test(word) ? { word } : {}),
    ...(typeof status === 'number' ? { status } : {}),
    stack: cleanText(error.stack ?? ''),
    ...(error.cause === undefined ? {} : { cause: cleanCause(error.cause, depth + 1) }),
    ...(inner.length === 0 ? {} : { errors: inner.map((one: unknown) => cleanCause(one, depth + 1)) })
  }
}

/** What is no error may be a body, a request or its parameters: only whether something was there is written. */
function cleanCause(cause: unknown, depth: number): unknown {
  return cause instanceof Error && depth <= deepest ? cleanError(cause, depth) : withheld
}

const named =
  'code|state|ticket|token|app-token|access_token|refresh_token|id_token|client_secret|code_verifier|password|authtoken|authorization'
const shapes: [RegExp, string][] = [
  // V8 quotes a piece of whatever could not be parsed; undici a header, PostgreSQL a value, that could not be taken.
  [/(?:\.\.\.)?"[^]*?"?(?:\.\.\.)? is not valid JSON/g, `${withheld} is not valid JSON`],
  [/"[^]*?" is an invalid header/g, `${withheld} is an invalid header`],
  [/(invalid input (?:syntax|value) for [^:\n]*: )"[^\n]*"/g, `$1${withheld}`],
  [/\b([a-z][a-z0-9+.-]{1,20}:\/\/)[^\s/@]+@/gi, `$1${redacted}@`],
  [/\b(Bearer|Basic)\s+[\w.~+/=-]{6,}/gi, `$1 ${redacted}`],
  [new RegExp(`\\b(${named})(["']?\\s*(?:=|:\\s*["'])\\s*["']?)[^\\s&"',;)]+`, 'gi'), `$1$2${redacted}`],
  [/\bey[\w-]{8,}\.[\w-]+\.[\w-]*/g, redacted],
  [/\bqsk_[\w-]{20,}/g, redacted],
  // A management token; contentstack.md §1.
  [/\bcs[0-9a-f]{20,}\b/g, redacted]
]

function cleanText(text: string): string {
  let cleaned = text
  for (const [shape, instead] of shapes) cleaned = cleaned.replace(shape, instead)
  return cleaned
}
