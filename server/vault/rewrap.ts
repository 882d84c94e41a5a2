// Moves everything to another key of the ring, while all goes on: a slice of rows at a time, each in a short transaction, so that it
// may be stopped anywhere and begun again. What a compromised key has wrapped gets a fresh data key besides, and is marked as exposed:
// only whoever gave us the secret can replace it.
//   startMove -> (moveAll, any number of times) -> finishMove
import { sql } from 'kysely'
import { setImmediate as breathe, setTimeout as pause } from 'node:timers/promises'
import { type Db, dialectOf } from '../database/database.ts'
import { AppError, isAppError } from '../errors.ts'
import { type RingKey, rewrap, seal } from './cipher.ts'
import { makeMarkKey, markKeyRows, versionOf } from './marks.ts'
import type { Ring } from './ring.ts'
import { endLeaving, markCompromised, startSealing } from './ring-keys.ts'
import { aadOf, named, openRow, type SecretRow } from './row.ts'
import { countOf, keysInUse } from './status.ts'

export interface Move {
  /** To this key. */
  keyId: string
  /** What these wrapped, now or in the past, is exposed. */
  compromised: readonly string[]
}

interface MoveDeps {
  ring: Ring
}

/** In one transaction. */
const slice = 500
/** Between two looks at what else a server has to do: sealing is work for its only thread. */
const atOnce = 25
const mostPasses = 300
const passMs = 100

/**
 * From here on the key seals. Of a compromised ring the marks get a fresh key as well. Twice is harmless. Throws AppError internal (the
 * key is not on this process's ring), conflict (it is compromised itself).
 */
export async function startMove(db: Db, { ring }: MoveDeps, { keyId, compromised }: Move): Promise<void> {
  const key = ring.key(keyId)
  await db.transaction().execute(async trx => {
    await startSealing(trx, keyId)
    if (compromised.length === 0) return
    await markCompromised(trx, compromised)
    const newest = (await markKeyRows(trx)).at(-1)
    const before = await exposedBefore(trx, compromised)
    if (newest && wasExposed(newest, compromised, before)) await makeMarkKey(trx, key, versionOf(newest) + 1, before)
  })
}

/**
 * Until all stands under the key; `onSlice` is called after each transaction that moved something, and stops it by throwing. Returns what
 * does not open and therefore stays. Throws AppError internal (an old key is not on this process's ring), conflict (rows stay locked).
 */
export async function moveAll(
  db: Db,
  { ring }: MoveDeps,
  move: Move,
  onSlice: (moved: number) => void | Promise<void> = () => {}
): Promise<AppError[]> {
  const to = ring.key(move.keyId)
  const before = await exposedBefore(db, move.compromised)
  for (let pass = 0; pass < mostPasses; pass += 1) {
    let passedOver = 0
    const stuck: AppError[] = []
    for (const from of await keysInUse(db)) {
      // What is under the key already may have been under another when that one became known.
      if (from === to.id && before === 0) continue
      ring.key(from)
      for (let after: string | null = ''; after !== null; ) {
        const done: SliceDone = await moveSlice(db, ring, { ...move, to, before, from, after })
        after = done.last
        passedOver += done.passedOver
        stuck.push(...done.stuck)
        if (done.moved > 0) await onSlice(done.moved)
        // SQLite's one connection goes to whoever asks first, which would be us again and again.
        await breathe()
      }
    }
    if (passedOver === 0) return stuck
    await pause(passMs)
  }
  throw new AppError('conflict', 'Some secrets are being changed by others all the time and could not be moved yet.')
}

/** Ids of the keys that nothing hangs on since now; [] when that was said before. To be called in the transaction that records it. */
export async function finishMove(trx: Db): Promise<string[]> {
  return await endLeaving(trx)
}

export async function moveProgress(db: Db, keyId: string): Promise<{ done: number; total: number }> {
  const done = await countOf(db, keyId)
  return { done, total: done + (await countElsewhere(db, keyId)) }
}

interface Slice extends Move {
  to: RingKey
  /** What was put up to this moment, in milliseconds, is exposed whatever wraps it now; 0 = nothing. */
  before: number
  from: string
  after: string
}

interface SliceDone {
  moved: number
  /** Held by somebody else just then. */
  passedOver: number
  stuck: AppError[]
  /** null at the end. */
  last: string | null
}

async function moveSlice(db: Db, ring: Ring, { to, from, after, before, compromised }: Slice): Promise<SliceDone> {
  const query = db.selectFrom('secret').selectAll().where('key_id', '=', from).where('id', '>', after).orderBy('id').limit(slice)
  const rows = await query.execute()
  const exposed = (row: SecretRow) => wasExposed(row, compromised, before)
  const wanted = rows.filter(row => from !== to.id || exposed(row))
  const moved: Moved[] = []
  const resealed: Moved[] = []
  const stuck: AppError[] = []
  for (const [n, row] of wanted.entries()) {
    try {
      if (exposed(row)) {
        const value = openRow(ring.key, row)
        resealed.push({ ...row, was: row.envelope, envelope: seal(to, value, aadOf({ ...row, version: row.version + 1 })) })
      } else moved.push({ ...row, was: row.envelope, envelope: named(row, () => rewrap(ring.key, to, row.envelope, aadOf(row))) })
    } catch (error) {
      if (!isAppError(error)) throw error
      stuck.push(error)
    }
    if (n % atOnce === 0) await breathe()
  }
  const written = await db.transaction().execute(async trx => {
    const free = await lock(trx, [...moved, ...resealed])
    const isFree = ({ id }: Moved) => free.has(id)
    return (await write(trx, to.id, moved.filter(isFree))) + (await write(trx, to.id, resealed.filter(isFree), Date.now()))
  })
  return {
    moved: written,
    passedOver: moved.length + resealed.length - written,
    stuck,
    last: rows.length < slice ? null : (rows.at(-1)?.id ?? null)
  }
}

interface Moved {
  id: string
  /** The envelope that was moved: a row that has another by then has been changed or erased, and is looked at again. */
  was: string
  envelope: string
}

/** Never waiting for a row, we cannot wait in a circle with somebody who erases many. SQLite has one writer, who is us. */
async function lock(trx: Db, rows: readonly Moved[]): Promise<Set<string>> {
  const ids = rows.map(({ id }) => id)
  if (dialectOf(trx) === 'sqlite' || ids.length === 0) return new Set(ids)
  const free = await trx.selectFrom('secret').select('id').where('id', 'in', ids).orderBy('id').forUpdate().skipLocked().execute()
  return new Set(free.map(({ id }) => id))
}

/** With `exposedAt`: sealed anew, as the next version of its row. Returns how many rows were still as they had been read. */
async function write(trx: Db, keyId: string, rows: readonly Moved[], exposedAt?: number): Promise<number> {
  if (rows.length === 0) return 0
  const values = sql.join(rows.map(({ id, was, envelope }) => sql`(${id}, ${was}, ${envelope})`))
  const besides = exposedAt === undefined ? sql`` : sql`, version = secret.version + 1, exposed_at = ${exposedAt}`
  const { numAffectedRows } = await sql`with moved (id, was, envelope) as (values ${values})
    update secret set envelope = moved.envelope, key_id = ${keyId}${besides}
    from moved where secret.id = moved.id and secret.envelope = moved.was`.execute(trx)
  return Number(numAffectedRows ?? 0)
}

/** Marked once, a secret stays exposed until it is replaced; what wraps it by then says nothing new. */
function wasExposed(row: SecretRow, compromised: readonly string[], before: number): boolean {
  return compromised.includes(row.key_id) || (row.created_at <= before && row.exposed_at === null)
}

/** Whatever was put until a key stopped sealing may have been wrapped by it, and stand so in a copy of the database. 0 = nothing. */
async function exposedBefore(db: Db, compromised: readonly string[]): Promise<number> {
  if (compromised.length === 0) return 0
  const rows = await db.selectFrom('ring_key').select('stopped_at').where('id', 'in', compromised).execute()
  return Math.max(0, ...rows.map(row => row.stopped_at ?? 0))
}

async function countElsewhere(db: Db, keyId: string): Promise<number> {
  let count = 0
  for (const id of await keysInUse(db)) if (id !== keyId) count += await countOf(db, id)
  return count
}
