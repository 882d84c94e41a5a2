// Sealing, pure: AES-256-GCM with a fresh data key per value, the data key wrapped by a key of the ring. The envelope names the
// key that wrapped it, so that a ring may hold several; who and what the value belongs to is bound as associated data, so that
// an envelope moved to another row does not open. Knows no table and no file.
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { AppError } from '../errors.ts'

export interface KeyRing {
  /** Wraps what is sealed from now on. */
  current: RingKey
  /** All keys by id, the current one among them. */
  keys: ReadonlyMap<string, RingKey>
  /** The last line of the file: the first key this deployment ever had. Marks (MACs) hang on it, and outlive rotation. */
  first: RingKey
}

export interface RingKey {
  id: string
  bytes: Buffer
}

const version = 'q1'
const ivBytes = 12
const tagBytes = 16
const keyBytes = 32

/** `version.keyId.wrappedKey.sealed`, each sealed part being iv, tag and ciphertext in base64url. `aad` must be the same to open. */
export function seal(ring: KeyRing, plaintext: string, aad: string): string {
  const dataKey = randomBytes(keyBytes)
  const wrapped = encrypt(ring.current.bytes, dataKey, wrapAad(ring.current.id, aad))
  const sealed = encrypt(dataKey, Buffer.from(plaintext, 'utf8'), aad)
  return [version, ring.current.id, wrapped.toString('base64url'), sealed.toString('base64url')].join('.')
}

/** Throws AppError internal: the key is not on the ring, or the envelope was changed, cut or moved. */
export function open(ring: KeyRing, envelope: string, aad: string): string {
  const [wrapped, sealed, key] = parts(ring, envelope)
  return decrypt(decrypt(key.bytes, wrapped, wrapAad(key.id, aad)), sealed, aad).toString('utf8')
}

/** The same value under the ring's current key: the data key is wrapped anew, the ciphertext stays. Throws like `open`. */
export function rewrap(ring: KeyRing, envelope: string, aad: string): string {
  const [wrapped, sealed, key] = parts(ring, envelope)
  const dataKey = decrypt(key.bytes, wrapped, wrapAad(key.id, aad))
  const rewrapped = encrypt(ring.current.bytes, dataKey, wrapAad(ring.current.id, aad))
  return [version, ring.current.id, rewrapped.toString('base64url'), sealed.toString('base64url')].join('.')
}

/** One `id:base64-of-32-bytes` a line, the current key first; blank lines and # comments are skipped. Throws AppError invalid. */
export function parseKeyRing(text: string): KeyRing {
  const lines = text.split(/\r?\n/).map((line, index) => ({ line: line.trim(), number: index + 1 }))
  const parsed = lines.filter(({ line }) => line !== '' && !line.startsWith('#')).map(({ line, number }) => parseKey(line, number))
  const [current] = parsed
  const first = parsed.at(-1)
  if (!current || !first) throw refuseRing('holds no key')
  const keys = new Map<string, RingKey>()
  for (const key of parsed) {
    if (keys.has(key.id)) throw refuseRing(`names the key "${key.id}" twice`)
    keys.set(key.id, key)
  }
  return { current, keys, first }
}

/** A ring of one key, in the form that `parseKeyRing` reads. */
export function generateKeyRing(): string {
  return `k${new Date().toISOString().slice(0, 10).replaceAll('-', '')}-${randomBytes(2).toString('hex')}:${randomBytes(keyBytes).toString('base64')}\n`
}

function parseKey(line: string, number: number): RingKey {
  const [, id, encoded] = /^([A-Za-z0-9_-]{1,40}):([A-Za-z0-9+/]+={0,2})$/.exec(line) ?? []
  if (!id || !encoded) throw refuseRing(`line ${number} is not id:base64`)
  const bytes = Buffer.from(encoded, 'base64')
  if (bytes.length !== keyBytes) throw refuseRing(`the key "${id}" has ${bytes.length} bytes; it must have ${keyBytes}`)
  if (isSample(bytes)) throw refuseRing(`the key "${id}" is a sample or a pattern, not a random key`)
  return { id, bytes }
}

/** A random key of 32 bytes has about 30 different ones; fewer than 12 happens to nobody. Text was typed, not drawn. */
function isSample(bytes: Buffer): boolean {
  return new Set(bytes).size < 12 || bytes.every(byte => byte >= 0x20 && byte < 0x7f)
}

function refuseRing(problem: string): AppError {
  return new AppError('invalid', `The key ring is not usable: it ${problem}.`, { remedy: 'Make a new one with: npx quayside keys new' })
}

function parts(ring: KeyRing, envelope: string): [wrapped: Buffer, sealed: Buffer, key: RingKey] {
  const [found, keyId, wrapped, sealed, ...rest] = envelope.split('.')
  if (found !== version || !keyId || !wrapped || !sealed || rest.length > 0) throw new AppError('internal', 'A sealed value is damaged.')
  const key = ring.keys.get(keyId)
  if (!key) {
    throw new AppError('internal', `A sealed value needs the key "${keyId}", which is not on the key ring.`, {
      remedy: 'Put that key back into the file of QUAYSIDE_KEY_FILE.'
    })
  }
  return [Buffer.from(wrapped, 'base64url'), Buffer.from(sealed, 'base64url'), key]
}

function wrapAad(keyId: string, aad: string): string {
  return createHash('sha256').update(`wrap\0${keyId}\0${aad}`).digest('hex')
}

function encrypt(key: Buffer, plaintext: Buffer, aad: string): Buffer {
  const iv = randomBytes(ivBytes)
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(aad, 'utf8'))
  const body = Buffer.concat([cipher.update(plaintext), cipher.final()])
  return Buffer.concat([iv, cipher.getAuthTag(), body])
}

function decrypt(key: Buffer, sealed: Buffer, aad: string): Buffer {
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, ivBytes), { authTagLength: tagBytes })
    decipher.setAAD(Buffer.from(aad, 'utf8')).setAuthTag(sealed.subarray(ivBytes, ivBytes + tagBytes))
    return Buffer.concat([decipher.update(sealed.subarray(ivBytes + tagBytes)), decipher.final()])
  } catch (cause) {
    throw new AppError('internal', 'A sealed value does not open: it was changed, cut or moved.', { cause })
  }
}
