// How often secrets were opened, by purpose: counted in memory and added to the table now and then, so that opening one waits for
// nothing and never fails because counting did. What a process that is killed had not yet written is not counted.
import { sql } from 'kysely'
import type { Db } from '../database/database.ts'
import type { Row } from '../database/schema.ts'

export interface RevealCounter {
  count(row: Pick<Row<'secret'>, 'organization_id' | 'installation_id' | 'purpose'>): void
  /** Adds what was counted to the table; what could not be written is kept for the next time. */
  flush(db: Db): Promise<void>
}

export function createRevealCounter(): RevealCounter {
  const counts = new Map<string, number>()
  const add = (key: string, count: number) => counts.set(key, (counts.get(key) ?? 0) + count)
  return {
    count({ organization_id: organizationId, installation_id: installationId, purpose }) {
      add(JSON.stringify([organizationId, installationId ?? '', purpose, new Date().toISOString().slice(0, 10)]), 1)
    },
    async flush(db) {
      const taken = [...counts].sort(([one], [other]) => (one < other ? -1 : 1))
      counts.clear()
      try {
        // In one order, so that two processes cannot wait for each other.
        await db.transaction().execute(async trx => {
          for (const [key, count] of taken) await addTo(trx, key, count)
        })
      } catch (error) {
        for (const [key, count] of taken) add(key, count)
        throw error
      }
    }
  }
}

async function addTo(trx: Db, key: string, count: number): Promise<void> {
  const [organization_id, installation_id, purpose, day] = JSON.parse(key) as [string, string, string, string]
  await trx
    .insertInto('reveal_count')
    .values({ organization_id, installation_id, purpose, day, count })
    .onConflict(conflict =>
      conflict
        .columns(['organization_id', 'installation_id', 'purpose', 'day'])
        .doUpdateSet({ count: sql<number>`reveal_count.count + excluded.count` })
    )
    .execute()
}

/** Newest day first. What this process counted since its last flush is not among them. */
export async function revealCounts(
  db: Db,
  { organizationId, installationId }: { organizationId?: string; installationId?: string } = {}
): Promise<Row<'reveal_count'>[]> {
  return await db
    .selectFrom('reveal_count')
    .selectAll()
    .$if(organizationId !== undefined, query => query.where('organization_id', '=', organizationId as string))
    .$if(installationId !== undefined, query => query.where('installation_id', '=', installationId as string))
    .orderBy('day', 'desc')
    .orderBy('organization_id')
    .orderBy('installation_id')
    .orderBy('purpose')
    .execute()
}
