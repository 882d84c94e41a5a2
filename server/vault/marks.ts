// The keys of our marks (MACs): random, sealed like any secret, so that no key of the ring has to stay for what was marked once. A
// mark names the version of its key; the newest marks, the others still verify. All are in memory, since marks are made in passing.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Db } from '../database/database.ts'
import type { RingKey } from './cipher.ts'
import { aadOf, openRow, type SecretRow } from './row.ts'
import { seal } from './cipher.ts'

export type MarkKeys = ReadonlyMap<number, Buffer>

const purpose = 'mac_key'
const prefix = 'sec_mac_key_'

/** Those `known`, which never change, and whatever is new. Throws like opening a row. */
export async function loadMarkKeys(db: Db, keyOf: (id: string) => RingKey, known: MarkKeys): Promise<MarkKeys> {
  const rows = await markKeyRows(db)
  const isNew = (row: SecretRow) => !known.has(versionOf(row))
  return new Map([...known, ...rows.filter(isNew).map(row => [versionOf(row), Buffer.from(openRow(keyOf, row), 'base64url')] as const)])
}

/** The rows, oldest first. */
export async function markKeyRows(db: Db): Promise<SecretRow[]> {
  // '`' follows '_': the whole prefix by the primary key, since a table of secrets may be long.
  const rows = await db.selectFrom('secret').selectAll().where('id', '>=', prefix).where('id', '<', 'sec_mac_key`').execute()
  return rows.sort((one, other) => versionOf(one) - versionOf(other))
}

/** Its id is the version, so that of two processes one makes it. Dated later than `after`, in milliseconds. */
export async function makeMarkKey(db: Db, key: RingKey, version: number, after = 0): Promise<void> {
  const row = { id: `${prefix}${version}`, organization_id: '', installation_id: null, purpose, version: 1 }
  await db
    .insertInto('secret')
    .values({
      ...row,
      envelope: seal(key, randomBytes(32).toString('base64url'), aadOf(row)),
      key_id: key.id,
      created_at: Math.max(Date.now(), after + 1),
      erased_at: null,
      exposed_at: null
    })
    .onConflict(conflict => conflict.column('id').doNothing())
    .execute()
}

/** `v2:` and hex, under the newest key. */
export function mark(keys: MarkKeys, label: string, text: string, version = Math.max(...keys.keys())): string {
  const key = keys.get(version)
  if (!key) throw new RangeError(`there is no key of version ${version} to mark with`)
  return `v${version}:${createHmac('sha256', key).update(`${label}\0${text}`).digest('hex')}`
}

/** Whether it was made for this text under any version. */
export function verifiesMark(keys: MarkKeys, label: string, text: string, given: string): boolean {
  const version = Number(/^v([1-9]\d{0,5}):[0-9a-f]{64}$/.exec(given)?.[1])
  if (!keys.has(version)) return false
  return timingSafeEqual(Buffer.from(given), Buffer.from(mark(keys, label, text, version)))
}

export function versionOf({ id }: Pick<SecretRow, 'id'>): number {
  return Number(id.slice(prefix.length))
}
