// What the admins of one installation are told: a row that console, app configuration page and sidebar show, and a job that sends it
// to everyone who asked to be told elsewhere. Knows no reason to tell: whoever sees one raises it in the transaction of what it saw.
// The jobs stand in a group of their own, since a held installation is just what has to be told.
import type { Db } from '../database/database.ts'
import { newId } from '../database/id.ts'
import type { Row } from '../database/schema.ts'
import { enqueue } from '../jobs/queue.ts'

export type AlertKind = 'token.dead' | 'token.expiring' | 'token.replaced' | 'token.exposed' | 'installation.left' | 'sync.deletes' | 'test'

export interface NewAlert {
  organizationId: string
  installationId: string
  kind: AlertKind
  /** One line; the subject of an e-mail. */
  title: string
  /** Never a secret. */
  text: string
  /** What to press. */
  links: { title: string; url: string }[]
}

/** Payload { alertId }: fans out to one alerts.deliver per recipient. */
export const sendKind = 'alerts.send'

/** One row, and one job that sends it to every recipient, in the caller's transaction. Returns the alert's id. */
export async function raiseAlert(trx: Db, alert: NewAlert): Promise<string> {
  if (!trx.isTransaction) return await trx.transaction().execute(async own => await raiseAlert(own, alert))
  const id = newId('alt')
  await trx
    .insertInto('alert')
    .values({
      id,
      organization_id: alert.organizationId,
      installation_id: alert.installationId,
      kind: alert.kind,
      title: alert.title,
      text: alert.text,
      links_json: JSON.stringify(alert.links),
      created_at: Date.now()
    })
    .execute()
  await enqueue(trx, { kind: sendKind, lane: 'local', payload: { alertId: id }, group: alertGroup(alert.installationId) })
  return id
}

/** Installations take turns, and a hold of the installation is not a hold of this. */
export function alertGroup(installationId: string): string {
  return `alerts ${installationId}`
}

export function linksOf(row: Row<'alert'>): NewAlert['links'] {
  return JSON.parse(row.links_json) as NewAlert['links']
}

/** Newest first. `before` = the last id of the page before. */
export async function listAlerts(
  db: Db,
  { installationId, before, limit }: { installationId: string; before?: string | undefined; limit: number }
): Promise<Row<'alert'>[]> {
  return await db
    .selectFrom('alert')
    .selectAll()
    .where('installation_id', '=', installationId)
    .$if(before !== undefined, query => query.where('id', '<', before as string))
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()
}

/** Deletes what was raised before that time. */
export async function pruneAlerts(db: Db, before: number): Promise<number> {
  const { numDeletedRows } = await db.deleteFrom('alert').where('created_at', '<', before).executeTakeFirst()
  return Number(numDeletedRows)
}
