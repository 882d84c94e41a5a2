// Sealing, pure: AES-256-GCM with a fresh data key per value, the data key wrapped by a key of the ring. The envelope names the
// key that wrapped it, so that a ring may hold several; who and what the value belongs to is bound as associated data, so that
// an envelope moved to another row does not open. Knows no table and no file.
import { createCipheriv, createDecipheriv, createHash, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { AppError } from '../errors.ts'

export interface KeyRing {
  /** The first line: the key that is to wrap what is sealed. */
  current: RingKey
  /** All keys by id, the current one among them. */
  keys: ReadonlyMap<string, RingKey>
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
export function seal(key: RingKey, plaintext: string, aad: string): string {
  const dataKey = randomBytes(keyBytes)
  const wrapped = encrypt(key.bytes, dataKey, wrapAad(key.id, aad))
  const sealed = encrypt(dataKey, Buffer.from(plaintext, 'utf8'), aad)
  return [version, key.id, wrapped.toString('base64url'), sealed.toString('base64url')].join('.')
}

/** `keyOf` finds a key by its id, or throws. Throws AppError internal: the envelope was changed, cut or moved. */
export function open(keyOf: (id: string) => RingKey, envelope: string, aad: string): string {
  const { keyId, wrapped, sealed } = parts(envelope)
  return decrypt(decrypt(keyOf(keyId).bytes, wrapped, wrapAad(keyId, aad)), sealed, aad).toString('utf8')
}

/** The same value under another key: the data key is wrapped anew, the ciphertext stays. Throws like `open`. */
export function rewrap(keyOf: (id: string) => RingKey, to: RingKey, envelope: string, aad: string): string {
  const { keyId, wrapped, sealed } = parts(envelope)
  const dataKey = decrypt(keyOf(keyId).bytes, wrapped, wrapAad(keyId, aad))
  const rewrapped = encrypt(to.bytes, dataKey, wrapAad(to.id, aad))
  return [version, to.id, rewrapped.toString('base64url'), sealed.toString('base64url')].join('.')
}

/** A mark that whoever holds the key can make and check without a database, hex. Under another label it is another mark. */
export function ringMark(key: RingKey, label: string, text: string): string {
  const markKey = Buffer.from(hkdfSync('sha256', key.bytes, '', `quayside ${label}`, keyBytes))
  return createHmac('sha256', markKey).update(text).digest('hex')
}

/** One `id:base64-of-32-bytes` a line, the current key first; blank lines and # comments are skipped. Throws AppError invalid. */
export function parseKeyRing(text: string): KeyRing {
  const lines = text.split(/\r?\n/).map((line, index) => ({ line: line.trim(), number: index + 1 }))
  const parsed = lines.filter(({ line }) => line !== '' && !line.startsWith('#')).map(({ line, number }) => parseKey(line, number))
  const [current] = parsed
  if (!current) throw refuseRing('holds no key')
  const keys = new Map<string, RingKey>()
  for (const key of parsed) {
    if (keys.has(key.id)) throw refuseRing(`names the key "${key.id}" twice`)
    keys.set(key.id, key)
  }
  return { current, keys }
}

/** A key ring where the name of its file should stand: refusals show names, and must not show this. */
export function isKeyRingText(text: string): boolean {
  return /\n|^[\w-]{1,40}:[A-Za-z0-9+/]{43}=/.test(text)
}

/** A ring of one key, in the form that `parseKeyRing` reads. */
export function generateKeyRing(): string {
  return `k${new Date().toISOString().slice(0, 10).replaceAll('-', '')}-${randomBytes(3).toString('hex')}:${randomBytes(keyBytes).toString('base64')}\n`
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

function parts(envelope: string): { keyId: string; wrapped: Buffer; sealed: Buffer } {
  const [found, keyId, wrapped, sealed, ...rest] = envelope.split('.')
  if (found !== version || !keyId || !wrapped || !sealed || rest.length > 0) throw damaged()
  return { keyId, wrapped: bytesOf(wrapped, ivBytes + tagBytes + keyBytes), sealed: bytesOf(sealed) }
}

/** Only what we would have written: Node also reads other alphabets, and bits that no byte has. */
function bytesOf(text: string, length?: number): Buffer {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.toString('base64url') !== text || bytes.length < ivBytes + tagBytes) throw damaged()
  if (length !== undefined && bytes.length !== length) throw damaged()
  return bytes
}

function damaged(): AppError {
  return new AppError('internal', 'A sealed value is damaged.')
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
