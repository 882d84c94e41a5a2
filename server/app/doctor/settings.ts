// The settings that a server started with, as keyed hashes: the command compares them with those it finds now without either side
// showing one. The hash is keyed by a key of the ring, so that a short value cannot be guessed from it. The ring itself is left
// aside: a running server reads it again by itself.
import { createHmac, randomUUID } from 'node:crypto'
import { resolve } from 'node:path'
import type { Config, Secrets } from '../../config.ts'
import type { RingKey } from '../../vault/cipher.ts'

/** What stays the same for as long as this process lives. */
export interface Started {
  instance: string
  at: number
  role: string
  settings: Hashed
}

export interface Hashed {
  /** The ring's key that they are keyed by. */
  keyId: string
  /** Setting -> hash. */
  hashes: Record<string, string>
}

export function startedWith(config: Config, secrets: Secrets): Started {
  return { instance: randomUUID(), at: Date.now(), role: config.role, settings: hashesOf(config, secrets, secrets.keyRing.current) }
}

/** Names of what both sides read and differ in; null when we lack the key that they are hashed by. */
export function differences(config: Partial<Config>, secrets: Partial<Secrets>, { keyId, hashes: theirs }: Hashed): string[] | null {
  const key = secrets.keyRing?.keys.get(keyId)
  if (!key) return null
  const ours = hashesOf(config, secrets, key).hashes
  return Object.keys(ours).filter(name => ours[name] !== theirs[name])
}

function hashesOf({ databaseUrl, ...config }: Partial<Config>, secrets: Partial<Secrets>, key: RingKey): Hashed {
  const { apps, identityProviders, alerts } = secrets
  const values = { ...config, apps, identityProviders, alerts, ...(databaseUrl !== undefined && { databaseUrl: whole(databaseUrl) }) }
  const hashes = Object.entries(values)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [
      name,
      createHmac('sha256', key.bytes)
        .update(JSON.stringify(['quayside setting', name, value]))
        .digest('hex')
    ])
  return { keyId: key.id, hashes: Object.fromEntries(hashes) as Record<string, string> }
}

/** A relative path is another file in another directory. */
function whole(databaseUrl: string): string {
  return databaseUrl.startsWith('sqlite:') ? `sqlite:${resolve(databaseUrl.slice('sqlite:'.length))}` : databaseUrl
}
