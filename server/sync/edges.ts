// Who embeds whom, one row per (link set, branch, locale, parent, child): a row of a destination that shows another entry's content
// must be made anew when that entry changes. Kept before the child is read, so that whatever changes from then on finds its parent.
// One edge too many costs a look that finds nothing; one too few would be a stale row.
import type { Db } from '../database/database.ts'
import type { SyncRow } from './sync.ts'

export interface Parent {
  uid: string
  /** An entry that has a row; otherwise one that is itself embedded, and leads on to those that embed it. */
  root: boolean
  children: readonly string[]
}

const rowsPerStatement = 200

/** Makes the edges of these parents exactly the given ones. Writes only what differs. */
export async function keepEdges(db: Db, sync: SyncRow, locale: string, parents: readonly Parent[]): Promise<void> {
  for (const part of inParts(parents)) {
    const known = new Set<string>(
      (
        await db
          .selectFrom('embedding')
          .select(['parent_uid', 'root', 'child_uid'])
          .where('link_set_id', '=', sync.link_set_id)
          .where('branch', '=', sync.branch)
          .where('locale', '=', locale)
          .where(
            'parent_uid',
            'in',
            part.map(({ uid }) => uid)
          )
          .execute()
      ).map(row => `${row.parent_uid} ${row.root} ${row.child_uid}`)
    )
    const wanted = new Map<string, { uid: string; root: boolean; child: string }>(
      part.flatMap(({ uid, root, children }) => children.map(child => [`${uid} ${root ? 1 : 0} ${child}`, { uid, root, child }] as const))
    )
    const given = new Set(part.map(({ uid, root }) => `${uid} ${root ? 1 : 0}`))
    const missing = [...wanted].filter(([key]) => !known.has(key)).map(([, edge]) => edge)
    const gone = [...known].filter(key => !wanted.has(key) && given.has(key.slice(0, key.lastIndexOf(' '))))
    if (missing.length === 0 && gone.length === 0) continue
    await db.transaction().execute(async trx => {
      for (const edges of inParts(missing.toSorted((a, b) => (a.uid + a.child < b.uid + b.child ? -1 : 1)))) {
        await trx
          .insertInto('embedding')
          .values(
            edges.map(({ uid, root, child }) => ({
              link_set_id: sync.link_set_id,
              branch: sync.branch,
              locale,
              parent_uid: uid,
              root: root ? 1 : 0,
              child_uid: child,
              organization_id: sync.organization_id,
              installation_id: sync.installation_id
            }))
          )
          .onConflict(conflict => conflict.doNothing())
          .execute()
      }
      for (const key of gone) {
        const [uid = '', root = '', child = ''] = key.split(' ')
        await trx
          .deleteFrom('embedding')
          .where('link_set_id', '=', sync.link_set_id)
          .where('branch', '=', sync.branch)
          .where('locale', '=', locale)
          .where('parent_uid', '=', uid)
          .where('root', '=', Number(root))
          .where('child_uid', '=', child)
          .execute()
      }
    })
  }
}

export interface Child {
  installationId: string
  branch: string
  entryUid: string
}

export async function embedsAnything(trx: Db, { installationId, branch }: Omit<Child, 'entryUid'>): Promise<boolean> {
  const edge = trx.selectFrom('embedding').select('child_uid').where('installation_id', '=', installationId).where('branch', '=', branch)
  return (await edge.limit(1).executeTakeFirst()) !== undefined
}

/** How many active syncs have rows that show this entry, at whatever depth. */
export async function countEmbedding(trx: Db, child: Child): Promise<number> {
  const rows = await trx
    .selectFrom('embedding')
    .innerJoin('sync', 'sync.link_set_id', 'embedding.link_set_id')
    .select('sync.id')
    .distinct()
    .where('embedding.installation_id', '=', child.installationId)
    .where('embedding.branch', '=', child.branch)
    .where('embedding.child_uid', '=', child.entryUid)
    .where('sync.state', '=', 'active')
    .execute()
  return rows.length
}

/** The rows to make anew, by link set. In all locales: what a locale shows of an entry may be another's, to which it falls back. */
export async function rootsAbove(db: Db, child: Child): Promise<Map<string, { entryUid: string; locale: string }[]>> {
  const found = new Map<string, Map<string, { entryUid: string; locale: string }>>()
  const seen = new Set([child.entryUid])
  // Circles end here: an entry leads upwards once.
  for (let below = [child.entryUid]; below.length > 0; ) {
    const above = new Set<string>()
    for (const part of inParts(below)) {
      const rows = await db
        .selectFrom('embedding')
        .select(['link_set_id', 'locale', 'parent_uid', 'root'])
        .where('installation_id', '=', child.installationId)
        .where('branch', '=', child.branch)
        .where('child_uid', 'in', part)
        .execute()
      for (const row of rows) {
        if (row.root === 0) above.add(row.parent_uid)
        else {
          const ofSet = found.get(row.link_set_id) ?? new Map<string, { entryUid: string; locale: string }>()
          found.set(row.link_set_id, ofSet.set(`${row.parent_uid}:${row.locale}`, { entryUid: row.parent_uid, locale: row.locale }))
        }
      }
    }
    below = [...above].filter(uid => !seen.has(uid))
    for (const uid of below) seen.add(uid)
  }
  return new Map([...found].map(([linkSetId, roots]) => [linkSetId, [...roots.values()]]))
}

function inParts<T>(items: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(items.length / rowsPerStatement) }, (_, index) =>
    items.slice(index * rowsPerStatement, (index + 1) * rowsPerStatement)
  )
}
