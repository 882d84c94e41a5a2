// What hangs on which key: what an operator has to know before a key is removed from the file, and what the server refuses to start
// with when one was removed too early. Each question goes key by key along the index, since a table of secrets may be long.
import type { Db } from '../database/database.ts'
import type { Row } from '../database/schema.ts'
import { AppError } from '../errors.ts'
import { putBack, type Ring } from './ring.ts'
import { nameOf } from './row.ts'

export interface KeyUse {
  id: string
  /** current: wraps what is put from now on; known: on the ring; missing: needed, and not on the ring. */
  state: 'current' | 'known' | 'missing'
  /** How many it wraps. */
  secrets: number
  /** On the ring, wraps nothing, and will not seal: it may be taken out of the file. */
  removable: boolean
  compromised: boolean
  /** Of a missing key, the first secrets that need it. */
  rows: string[]
}

/** Ids of the keys that wrap something. */
export async function keysInUse(db: Db): Promise<string[]> {
  const ids: string[] = []
  for (let after = ''; ; ) {
    const { next } = await db
      .selectFrom('secret')
      .select(eb => eb.fn.min<string | null>('key_id').as('next'))
      .where('key_id', '>', after)
      .executeTakeFirstOrThrow()
    if (next === null) return ids
    ids.push(next)
    after = next
  }
}

export async function countOf(db: Db, keyId: string): Promise<number> {
  const { count } = await db
    .selectFrom('secret')
    .select(eb => eb.fn.countAll<number>().as('count'))
    .where('key_id', '=', keyId)
    .executeTakeFirstOrThrow()
  return count
}

/** In the file's order, then what is missing. */
export async function keyUses(db: Db, ring: Ring): Promise<KeyUse[]> {
  const { keys, current } = ring.now()
  const known = new Map((await db.selectFrom('ring_key').selectAll().execute()).map(row => [row.id, row]))
  const ids = new Set([...keys.keys(), ...(await keysInUse(db))])
  const uses: KeyUse[] = []
  for (const id of ids) {
    const secrets = await countOf(db, id)
    const sealing = known.get(id)?.state === 'sealing'
    const there = keys.has(id)
    uses.push({
      id,
      state: !there ? 'missing' : sealing ? 'current' : 'known',
      secrets,
      removable: there && secrets === 0 && !sealing && id !== current.id,
      compromised: (known.get(id)?.compromised_at ?? null) !== null,
      rows: there ? [] : (await firstOf(db, id)).map(nameOf)
    })
  }
  return uses
}

/** Whose secrets hang on other keys than this one. */
export async function organizationsElsewhere(db: Db, keyId: string): Promise<string[]> {
  const rows = await db
    .selectFrom('installation')
    .select('organization_id')
    .distinct()
    .where(eb =>
      eb.exists(
        eb
          .selectFrom('secret')
          .select('secret.id')
          .whereRef('secret.installation_id', '=', 'installation.id')
          .where('secret.key_id', 'not in', ['', keyId])
      )
    )
    .orderBy('organization_id')
    .execute()
  return rows.map(row => row.organization_id)
}

/** Throws AppError invalid naming each key that is needed and not on the ring, how many secrets need it, and the first of them. */
export async function refuseMissingKeys(db: Db, ring: Ring): Promise<void> {
  const needed = (await keysInUse(db)).filter(id => !ring.now().keys.has(id))
  if (needed.length === 0) return
  const lines: string[] = []
  for (const id of needed) {
    const rows = await firstOf(db, id)
    const count = await countOf(db, id)
    const more = count > rows.length ? ' and others' : ''
    lines.push(`The key "${id}" is not on the key ring, and ${count} secret(s) need it: ${rows.map(nameOf).join(', ')}${more}.`)
  }
  throw new AppError('invalid', lines.join('\n'), {
    remedy: `${putBack} A key may go when "quayside keys status" says that it is removable.`
  })
}

async function firstOf(db: Db, keyId: string): Promise<Pick<Row<'secret'>, 'id' | 'purpose' | 'installation_id'>[]> {
  const query = db.selectFrom('secret').select(['id', 'purpose', 'installation_id']).where('key_id', '=', keyId)
  return await query.orderBy('id').limit(5).execute()
}

export type ExposedSecret = Pick<Row<'secret'>, 'id' | 'organization_id' | 'installation_id' | 'purpose'> & { exposed_at: number }

/** Secrets that a compromised key has wrapped and that nobody has replaced yet, by id, a slice at a time. */
export async function exposedSecrets(db: Db, { after, limit }: { after: string; limit: number }): Promise<ExposedSecret[]> {
  return (await db
    .selectFrom('secret')
    .select(['id', 'organization_id', 'installation_id', 'purpose', 'exposed_at'])
    .where('exposed_at', 'is not', null)
    // Of the keys of our marks there is a newer one already (marks.ts).
    .where('purpose', '!=', 'mac_key')
    .where('id', '>', after)
    .orderBy('id')
    .limit(limit)
    .execute()) as ExposedSecret[]
}
