// Structured log lines. Redaction is by construction: names that carry secrets are censored wherever they stand in an
// object, and errors are cut down to name, code, message and stack before they are written, because a library's error
// may carry the whole request (openid-client, pg and undici all attach what they were given).
import { type DestinationStream, pino } from 'pino'

export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  /** A log whose lines all carry `fields`: deliveryId, runId, jobId, installationId. */
  child(fields: Record<string, string | number>): Log
}

const secretNames = [
  'authorization',
  'authtoken',
  'access_token',
  'refresh_token',
  'client_secret',
  'token',
  'secret',
  'password',
  'cookie',
  'set-cookie',
  'code',
  'code_verifier',
  'verifier',
  'app-token',
  'appToken',
  'accessToken',
  'refreshToken',
  'clientSecret',
  'plaintext'
]

const redactPaths = secretNames.flatMap(name => [`["${name}"]`, `*["${name}"]`, `*.*["${name}"]`])

/** `destination` is stdout unless a test wants to read the lines. */
export function createLog(level: string, destination?: DestinationStream): Log {
  const options = {
    level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: redactPaths, censor: '[redacted]' },
    serializers: { error: describeError, cause: describeError }
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

function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const code: unknown = 'code' in error ? error.code : undefined
  return {
    name: error.name,
    message: error.message,
    ...(typeof code === 'string' ? { kind: code } : {}),
    stack: error.stack,
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) })
  }
}
