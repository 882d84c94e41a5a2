// Everything secret at rest, in one table of envelopes. Rooms keep a secret's id, never its value, and reveal it for the one
// request that needs it. What a value belongs to is bound to its envelope, so that a copied or swapped row does not open.
//   put -> (reveal)* -> erase; an erased secret keeps its row and loses its envelope.
// How all of it moves to another key of the ring: rewrap.ts.
import { timingSafeEqual } from 'node:crypto'
import type { Db } from '../database/database.ts'
import { newId } from '../database/id.ts'
import { AppError } from '../errors.ts'
import { type KeyRing, ringMark, seal } from './cipher.ts'
import { loadMarkKeys, makeMarkKey, mark, type MarkKeys, markKeyRows, verifiesMark } from './marks.ts'
import { createRevealCounter } from './reveals.ts'
import { createRing, type Ring } from './ring.ts'
import { ensureSealing, sealingKey } from './ring-keys.ts'
import { aadOf, openRow } from './row.ts'
import { refuseMissingKeys } from './status.ts'

export interface Vault {
  /** Seals and stores; returns the secret's id. AppError internal: the key that seals now is not in this process's key file. */
  put(db: Db, owner: SecretOwner, plaintext: string): Promise<string>
  /** AppError not_found (unknown, erased, or kept for another purpose), internal (does not open). */
  reveal(db: Db, secretId: string, purpose: string): Promise<string>
  /** Twice is harmless. */
  erase(db: Db, secretId: string): Promise<void>
  /** Everything of one installation. Returns how many. */
  eraseAll(db: Db, installationId: string): Promise<number>
  /** Of each that was ever put: kept, exposed (a key that wrapped it was given as compromised), or erased. Unknown ids are erased. */
  statesOf(db: Db, secretIds: readonly string[]): Promise<Map<string, SecretState>>
  /** Keyed hash, `v2:` and hex: the same text under the same label gives the same mark until a key of the ring is compromised. */
  mac(label: string, text: string): string
  /** Whether `mac` is what mac() gave for this text, now or under a key it used before. */
  verifyMac(label: string, text: string, mac: string): boolean
  /** What pages and APIs show instead of a secret, 12 hex digits, for ever the same; keyed, so that it cannot be searched for by guessing. */
  fingerprint(plaintext: string): string
  /** Whether a key of the ring that is not compromised made it (cipher.ts, ringMark): the operator's word, not a row's. */
  isRingMark(label: string, text: string, mark: string): boolean
  /** Reads the key file and the keys of the marks again; true when the ring changed. Throws AppError invalid for a file that is no key ring. */
  refresh(db: Db): Promise<boolean>
  /** Adds the reveals counted since the last time to reveal_count. */
  flush(db: Db): Promise<void>
  readonly ring: Ring
}

export type SecretState = 'kept' | 'exposed' | 'erased'

export interface SecretOwner {
  organizationId: string
  installationId: string | null
  purpose: string
}

/** `reload` reads the key file again, as strictly as at the start; without it the ring stays what it is. */
export interface VaultKeys {
  ring: KeyRing
  reload?(): KeyRing
}

/** Throws AppError invalid when something is sealed under a key that is not on the ring, naming it. */
export async function openVault(db: Db, keys: VaultKeys): Promise<Vault> {
  const ring = createRing(keys)
  const sealing = await ensureSealing(db, ring.now().current.id)
  await refuseMissingKeys(db, ring)
  if ((await markKeyRows(db)).length === 0) await makeMarkKey(db, ring.key(sealing), 1)
  const reveals = createRevealCounter()
  let markKeys: MarkKeys = new Map()
  let compromised = new Set<string>()
  const load = async (db: Db) => {
    markKeys = await loadMarkKeys(db, ring.key, markKeys)
    compromised = new Set(
      (await db.selectFrom('ring_key').select('id').where('compromised_at', 'is not', null).execute()).map(({ id }) => id)
    )
  }
  await load(db)

  return {
    ring,
    mac: (label, text) => mark(markKeys, label, text),
    verifyMac: (label, text, given) => verifiesMark(markKeys, label, text, given),
    // The first key for ever: a token is recognised by its fingerprint, and cannot be guessed even by whoever has that key.
    fingerprint: plaintext => mark(markKeys, 'fingerprint', plaintext, 1).slice('v1:'.length, 'v1:'.length + 12),

    isRingMark(label, text, given) {
      const fits = () => [...ring.now().keys.values()].some(key => !compromised.has(key.id) && sameText(given, ringMark(key, label, text)))
      return fits() || (ring.reloadNow() && fits())
    },

    async refresh(db) {
      const changed = ring.reload()
      await load(db)
      return changed
    },

    flush: reveals.flush,

    async put(db, owner, plaintext) {
      // The look at the key that seals must hold until the row is there.
      if (!db.isTransaction) return await db.transaction().execute(async trx => await putIn(trx, ring, owner, plaintext))
      return await putIn(db, ring, owner, plaintext)
    },

    async reveal(db, secretId, purpose) {
      const row = await db.selectFrom('secret').selectAll().where('id', '=', secretId).where('purpose', '=', purpose).executeTakeFirst()
      if (!row || row.erased_at !== null) throw new AppError('not_found', `The secret ${secretId} is not in the vault any more.`)
      const plaintext = openRow(ring.key, row)
      reveals.count(row)
      return plaintext
    },

    async erase(db, secretId) {
      await db.updateTable('secret').set(erased()).where('id', '=', secretId).where('erased_at', 'is', null).execute()
    },

    async eraseAll(db, installationId) {
      const { numUpdatedRows } = await db
        .updateTable('secret')
        .set(erased())
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
    }
  }
}

async function putIn(trx: Db, ring: Ring, { organizationId, installationId, purpose }: SecretOwner, plaintext: string): Promise<string> {
  const key = ring.key(await sealingKey(trx))
  const id = newId('sec')
  const row = { id, organization_id: organizationId, installation_id: installationId, purpose, version: 1 }
  await trx
    .insertInto('secret')
    .values({
      ...row,
      envelope: seal(key, plaintext, aadOf(row)),
      key_id: key.id,
      created_at: Date.now(),
      erased_at: null,
      exposed_at: null
    })
    .execute()
  return id
}

/** It hangs on no key any more, and nobody has to replace it. */
function erased() {
  return { envelope: '', key_id: '', exposed_at: null, erased_at: Date.now() }
}

function sameText(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}
