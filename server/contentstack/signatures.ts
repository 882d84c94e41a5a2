// Is this really from Contentstack? One RSA key per region signs the webhooks and the app-tokens of every app there, so a good
// signature is not an identity: callers check the rest (security.md). The key comes as PKCS#1 PEM, not as JWKS (reference §6, §7.4).
import { constants, createPublicKey, type KeyObject, verify } from 'node:crypto'
import { errors, jwtVerify } from 'jose'
import { AppError } from '../errors.ts'
import type { Region } from './regions.ts'
import { exchange } from './wire.ts'

/** Between two fetches that a failed verification asked for: a stranger's bad signatures must not make us hammer the region. */
const refreshSeconds = 60

const known = new Map<string, { key: KeyObject; fetchedAt: number }>()

/** Cached per region. `refresh` fetches anew unless that was done within the last minute. Throws AppError upstream. */
export async function publicKeyOf(region: Region, options: { refresh?: boolean; fetch?: typeof fetch } = {}): Promise<KeyObject> {
  const url = `${region.application}/.well-known/public-keys.json`
  const cached = known.get(url)
  if (cached && !(options.refresh && Date.now() - cached.fetchedAt >= refreshSeconds * 1000)) return cached.key
  const answer = await exchange({ method: 'GET', url, timeoutSeconds: 10, ...(options.fetch && { fetch: options.fetch }) })
  const key = answer.status === 200 ? parseKey(answer.text) : null
  if (!key) throw new AppError('upstream', `The signing key of region ${region.id} cannot be read from ${region.application}`)
  known.set(url, { key, fetchedAt: Date.now() })
  return key
}

/** Runs `check` with the region's key, and once more with a fresh key when it came back null. */
export async function withPublicKey<T>(
  region: Region,
  check: (key: KeyObject) => T | null | Promise<T | null>,
  options: { fetch?: typeof fetch } = {}
): Promise<T | null> {
  const key = await publicKeyOf(region, options)
  const first = await check(key)
  if (first !== null) return first
  const fresh = await publicKeyOf(region, { ...options, refresh: true })
  return fresh === key ? null : check(fresh)
}

function parseKey(text: string): KeyObject | null {
  try {
    const pem: unknown = (JSON.parse(text) as { 'signing-key'?: unknown })['signing-key']
    const key = typeof pem === 'string' ? createPublicKey(pem) : null
    return key?.asymmetricKeyType === 'rsa' ? key : null
  } catch {
    return null
  }
}

/**
 * The exact bytes that the signature covers, or null. RSA-PSS, SHA-256, salt of 32 bytes. Whether the raw body or its re-serialised
 * JSON is signed differs between Contentstack's own pages, so both are tried, raw first; process only what is returned.
 */
export function verifyWebhook(raw: Buffer, header: string | undefined, key: KeyObject): Buffer | null {
  const encoded = /^v1=([A-Za-z0-9+/]{2,684}={0,2})$/.exec(header?.split(',')[0]?.trim() ?? '')?.[1]
  if (encoded === undefined) return null
  const signature = Buffer.from(encoded, 'base64')
  const covers = (bytes: Buffer): boolean =>
    verify('sha256', bytes, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }, signature)
  if (covers(raw)) return raw
  const again = reserialised(raw)
  return again && covers(again) ? again : null
}

function reserialised(raw: Buffer): Buffer | null {
  try {
    return Buffer.from(JSON.stringify(JSON.parse(raw.toString('utf8'))))
  } catch {
    return null
  }
}

export interface AppTokenClaims {
  appUid: string
  installationUid: string
  organizationUid: string
  userUid: string
  /** Absent for apps of an organization. */
  stackApiKey: string | null
  /** Milliseconds. */
  expiresAt: number
}

/** RS256 pinned, exp required. Throws AppError unauthorized. The claims say nothing of roles or of the region. */
export async function verifyAppToken(token: string, key: KeyObject, now: number = Date.now()): Promise<AppTokenClaims> {
  try {
    const { payload } = await jwtVerify(token, key, {
      algorithms: ['RS256'],
      requiredClaims: ['exp'],
      clockTolerance: 5,
      currentDate: new Date(now)
    })
    const text = (name: string): string => {
      const value = payload[name]
      if (typeof value !== 'string' || value === '') throw new AppError('unauthorized', `The app-token names no ${name}`)
      return value
    }
    return {
      appUid: text('app_uid'),
      installationUid: text('installation_uid'),
      organizationUid: text('organization_uid'),
      userUid: text('user_uid'),
      stackApiKey: typeof payload.stack_api_key === 'string' ? payload.stack_api_key : null,
      expiresAt: (payload.exp ?? 0) * 1000
    }
  } catch (cause) {
    if (cause instanceof AppError) throw cause
    const expired = cause instanceof errors.JWTExpired
    throw new AppError(
      'unauthorized',
      expired ? 'The app-token has expired' : 'The app-token is not signed by Contentstack for this region',
      {
        cause,
        remedy: 'Reload the page in Contentstack.'
      }
    )
  }
}
