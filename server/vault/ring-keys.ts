// Which key of the ring seals, said by the database: processes read their key files at different moments, and what one of them
// sealed under a key that another has just emptied would be lost with that key. Knows ids, never bytes.
//
//   (new) -> sealing -> leaving (another seals; what it wrapped is being moved) -> left (it wraps nothing, and may go)
//   leaving | left -> sealing, when it is put in front again; never once it is compromised
import { type Db, dialectOf } from '../database/database.ts'
import { AppError } from '../errors.ts'

/** The first process says which; from then on only startSealing does. Returns the id. */
export async function ensureSealing(db: Db, keyId: string): Promise<string> {
  const row = { id: keyId, state: 'sealing' as const, since: Date.now(), stopped_at: null, compromised_at: null }
  await db
    .insertInto('ring_key')
    .values(row)
    .onConflict(conflict => conflict.doNothing())
    .execute()
  return (await sealing(db)) ?? keyId
}

/** Inside the transaction that seals: until it ends, no other key begins. */
export async function sealingKey(trx: Db): Promise<string> {
  // On PostgreSQL a row that changed while we waited for it is looked at again and no longer found; the next look sees its successor.
  for (let look = 0; look < 5; look += 1) {
    const id = await sealing(trx)
    if (id !== null) return id
  }
  throw new AppError('internal', 'No key of the ring seals.', { remedy: 'Start the server again.' })
}

async function sealing(db: Db): Promise<string | null> {
  const row = await db
    .selectFrom('ring_key')
    .select('id')
    .where('state', '=', 'sealing')
    .$if(dialectOf(db) === 'postgres' && db.isTransaction, query => query.forShare())
    .executeTakeFirst()
  return row?.id ?? null
}

/** From this transaction's end on it seals, and no other. False when it does already. Throws AppError conflict for a compromised one. */
export async function startSealing(trx: Db, keyId: string): Promise<boolean> {
  const known = await trx.selectFrom('ring_key').selectAll().where('id', '=', keyId).executeTakeFirst()
  if (known?.state === 'sealing') return false
  if (known?.compromised_at) {
    throw new AppError('conflict', `The key "${keyId}" is given as compromised and cannot seal again.`, {
      remedy: 'Put another key in front: npx quayside keys rotate --new'
    })
  }
  const now = Date.now()
  await trx.updateTable('ring_key').set({ state: 'leaving', stopped_at: now }).where('state', '=', 'sealing').execute()
  await trx
    .insertInto('ring_key')
    .values({ id: keyId, state: 'sealing', since: now, stopped_at: null, compromised_at: null })
    .onConflict(conflict => conflict.column('id').doUpdateSet({ state: 'sealing', since: now }))
    .execute()
  return true
}

/** Nothing hangs on the others any more. Returns the ids of those that were just left. */
export async function endLeaving(trx: Db): Promise<string[]> {
  const rows = await trx.updateTable('ring_key').set({ state: 'left' }).where('state', '=', 'leaving').returning('id').execute()
  return rows.map(({ id }) => id)
}

/** Said twice, the first time stays. */
export async function markCompromised(trx: Db, keyIds: readonly string[]): Promise<void> {
  for (const id of keyIds) {
    await trx
      .insertInto('ring_key')
      .values({ id, state: 'left', since: 0, stopped_at: null, compromised_at: Date.now() })
      .onConflict(conflict => conflict.column('id').doNothing())
      .execute()
    await trx.updateTable('ring_key').set({ compromised_at: Date.now() }).where('id', '=', id).where('compromised_at', 'is', null).execute()
  }
}
