// Everything secret at rest, in one table of envelopes. Rooms keep a secret's id, never its value, and reveal it for the one
// request that needs it. What a value belongs to is bound to its envelope, so that a copied or swapped row does not open.
//   put -> (reveal)* -> erase; an erased secret keeps its row and loses its envelope.
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import type { Db } from '../database/database.ts'
import { newId } from '../database/id.ts'
import type { Row } from '../database/schema.ts'
import { AppError } from '../errors.ts'
import { type KeyRing, open, rewrap, seal } from './cipher.ts'

export interface Vault {
  /** Seals and stores; returns the secret's id. */
  put(db: Db, owner: SecretOwner, plaintext: string): Promise<string>
  /** AppError not_found (unknown, erased, or kept for another purpose), internal (does not open). */
  reveal(db: Db, secretId: string, purpose: string): Promise<string>
  /** Twice is harmless. */
  erase(db: Db, secretId: string): Promise<void>
  /** Everything of one installation. Returns how many. */
  eraseAll(db: Db, installationId: string): Promise<number>
  /** Of each that was ever put: kept, exposed (a key that wrapped it was given as compromised), or erased. Unknown ids are erased. */
  statesOf(db: Db, secretIds: readonly string[]): Promise<Map<string, SecretState>>
  /** Keyed hash, hex: the same text under the same label gives the same mark as long as the ring keeps its first key. */
  mac(label: string, text: string): string
  /** Whether `mac` is what mac() gave for this text, now or under a key it used before. */
  verifyMac(label: string, text: string, mac: string): boolean
  /** What pages and APIs show instead of a secret; keyed, so that it cannot be searched for by guessing. */
  fingerprint(plaintext: string): string
  /** Wraps every secret under the ring's current key. Resumable: what is already there is skipped. Returns how many were rewrapped. */
  rewrapAll(db: Db, onProgress?: (done: number) => void): Promise<number>
}

export type SecretState = 'kept' | 'exposed' | 'erased'

export interface SecretOwner {
  organizationId: string
  installationId: string | null
  purpose: string
}

const batch = 200

export function createVault(ring: KeyRing): Vault {
  const macKey = Buffer.from(hkdfSync('sha256', ring.first.bytes, '', 'quayside mac', 32))
  const mac = (label: string, text: string) => createHmac('sha256', macKey).update(`${label}\0${text}`).digest('hex')

  return {
    mac,
    verifyMac(label, text, given) {
      const expected = Buffer.from(mac(label, text))
      const presented = Buffer.from(given)
      return presented.length === expected.length && timingSafeEqual(presented, expected)
    },
    fingerprint: plaintext => mac('fingerprint', plaintext).slice(0, 12),

    async put(db, { organizationId, installationId, purpose }, plaintext) {
      const id = newId('sec')
      const row = { id, organization_id: organizationId, installation_id: installationId, purpose, version: 1 }
      await db
        .insertInto('secret')
        .values({
          ...row,
          envelope: seal(ring, plaintext, aadOf(row)),
          key_id: ring.current.id,
          created_at: Date.now(),
          erased_at: null,
          exposed_at: null
        })
        .execute()
      return id
    },

    async reveal(db, secretId, purpose) {
      const row = await db.selectFrom('secret').selectAll().where('id', '=', secretId).where('purpose', '=', purpose).executeTakeFirst()
      if (!row || row.erased_at !== null) throw new AppError('not_found', `The secret ${secretId} is not in the vault any more.`)
      return open(ring, row.envelope, aadOf(row))
    },

    async erase(db, secretId) {
      await db
        .updateTable('secret')
        .set({ envelope: '', erased_at: Date.now() })
        .where('id', '=', secretId)
        .where('erased_at', 'is', null)
        .execute()
    },

    async eraseAll(db, installationId) {
      const { numUpdatedRows } = await db
        .updateTable('secret')
        .set({ envelope: '', erased_at: Date.now() })
        .where('installation_id', '=', installationId)
        .where('erased_at', 'is', null)
        .executeTakeFirst()
      return Number(numUpdatedRows)
    },

    async statesOf(db, secretIds) {
      const states = new Map<string, SecretState>(secretIds.map(id => [id, 'erased']))
      if (secretIds.length === 0) return states
      const rows = await db
        .selectFrom('secret')
        .select(['id', 'exposed_at'])
        .where('id', 'in', secretIds)
        .where('erased_at', 'is', null)
        .execute()
      for (const { id, exposed_at: exposedAt } of rows) states.set(id, exposedAt === null ? 'kept' : 'exposed')
      return states
    },

    async rewrapAll(db, onProgress) {
      let done = 0
      for (let after = ''; ; ) {
        const rows = await db
          .selectFrom('secret')
          .selectAll()
          .where('id', '>', after)
          .where('key_id', '!=', ring.current.id)
          .where('erased_at', 'is', null)
          .orderBy('id')
          .limit(batch)
          .execute()
        if (rows.length === 0) return done
        await db.transaction().execute(async trx => {
          for (const row of rows) {
            const envelope = rewrap(ring, row.envelope, aadOf(row))
            // An erase that came between must win: its envelope is gone, so nothing matches.
            await trx
              .updateTable('secret')
              .set({ envelope, key_id: ring.current.id })
              .where('id', '=', row.id)
              .where('envelope', '=', row.envelope)
              .execute()
          }
        })
        done += rows.length
        after = rows.at(-1)?.id ?? after
        onProgress?.(done)
      }
    }
  }
}

/** The key's id is bound by the envelope's own wrapping, so that a rewrap does not have to touch the ciphertext. */
function aadOf(row: Pick<Row<'secret'>, 'id' | 'organization_id' | 'installation_id' | 'purpose' | 'version'>): string {
  return JSON.stringify(['secret', row.organization_id, row.installation_id, row.id, row.purpose, row.version])
}
