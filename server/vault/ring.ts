// The key ring in this process's memory, and how it learns what has come into the file since: a key that is asked for and not there
// makes it read the file again before it refuses. Knows no table.
import { AppError } from '../errors.ts'
import type { KeyRing, RingKey } from './cipher.ts'

export interface Ring {
  now(): KeyRing
  /** Throws AppError internal: it is not on the ring, nor in the file, which is read again at most once a second for one id. */
  key(id: string): RingKey
  /** Reads the file again; true when it held other keys. Throws what reading it throws, and keeps what it had. */
  reload(): boolean
  /** The same at most once a second, for whoever strangers can make ask. */
  reloadNow(): boolean
}

const againMs = 1_000
const mostIds = 100

export function createRing(keys: { ring: KeyRing; reload?(): KeyRing }): Ring {
  let ring = keys.ring
  let lastReload = 0
  /** Why the file could not be read the last time. */
  let failure: unknown
  const looked = new Map<string, number>()

  const reload = () => {
    let found = ring
    try {
      found = keys.reload?.() ?? ring
      failure = undefined
    } catch (error) {
      failure = error
      throw error
    }
    const changed = idsOf(found) !== idsOf(ring)
    ring = found
    return changed
  }
  return {
    now: () => ring,
    reload,
    reloadNow() {
      if (Date.now() - lastReload < againMs) return false
      lastReload = Date.now()
      return reload()
    },
    key(id) {
      const known = ring.keys.get(id)
      if (known) return known
      if (Date.now() - (looked.get(id) ?? 0) >= againMs) {
        if (looked.size >= mostIds) looked.clear()
        looked.set(id, Date.now())
        try {
          reload()
        } catch {
          // Said below, with what it was for.
        }
      }
      const found = ring.keys.get(id)
      if (found) return found
      throw new AppError('internal', `The key "${id}" is not on the key ring of this process.`, { cause: failure, remedy: putBack })
    }
  }
}

export const putBack = 'Put that key back into the file of QUAYSIDE_KEY_FILE, below the first line.'

function idsOf({ keys }: KeyRing): string {
  return [...keys.keys()].join()
}
