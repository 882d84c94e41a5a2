// Where a tenant's rows lie, table by table, and how a slice of them goes. Each table of the data model stands in one of the lists
// below (a test walks the schema), so that a new one cannot be forgotten.
import { sql } from 'kysely'
import { type Db, dialectOf } from '../database/database.ts'
import type { Schema } from '../database/schema.ts'
import { alertGroup } from '../alerts/alert.ts'
import type { AdminPrincipal } from '../identity/principal.ts'

/** Emptied of the tenant's rows, those first that refer to others. */
export const tenantTables = [
  'schedule',
  'intent',
  'pending_reference',
  'asset_copy',
  'pushed_batch',
  'push_door',
  'link',
  'embedding',
  'write_ledger',
  'staged_key',
  'run_record',
  'plan_item',
  'plan',
  'drift',
  'run',
  'sync',
  'connection',
  'delivery',
  'content_webhook',
  'access_key',
  'alert',
  'alert_recipient',
  'grant_flow',
  'management_token',
  'secret',
  'reveal_count',
  'budget',
  'installation'
] as const satisfies (keyof Schema)[]
export type TenantTable = (typeof tenantTables)[number]

/** What happens to the others. */
export const otherTables = {
  organization: 'stays, unclaimed and without its name, so that nothing revives it unseen',
  audit_event: 'stays, its subjects blanked',
  erasure: 'how far this has come; goes with the last step',
  job: 'those that name something of the tenant go',
  job_hold: 'those of its installations go',
  session: 'those of its installations go; of people in the console their role there, and the session when it was the only one',
  app_token_use: 'holds hashes alone, for minutes',
  ring_key: 'belongs to no tenant'
} as const satisfies Partial<Record<Exclude<keyof Schema, TenantTable>, string>>

/** Counted on a receipt. */
export type ErasedTable = TenantTable | 'audit_event' | 'job' | 'job_hold' | 'session'
export type ErasedRows = Partial<Record<ErasedTable, number>>

export interface Tenant {
  organizationId: string
  installationIds: string[]
}

/** Tables that have no index by organization, and grow. */
const byInstallation: readonly TenantTable[] = ['link', 'embedding', 'secret']

/** At most `limit` rows; 0 = none is left. */
export async function deleteRows(trx: Db, table: TenantTable, { organizationId, installationIds }: Tenant, limit: number): Promise<number> {
  if (byInstallation.includes(table)) {
    for (const id of installationIds) {
      const count = await deleteWhere(trx, table, limit, sql`organization_id = ${organizationId} and installation_id = ${id}`)
      if (count > 0) return count
    }
  }
  return await deleteWhere(trx, table, limit, sql`organization_id = ${organizationId}`)
}

async function deleteWhere(trx: Db, table: TenantTable, limit: number, condition: ReturnType<typeof sql>): Promise<number> {
  const rows = sql`from ${sql.table(table)} where ${condition}`
  // Not every key is one column, so a row is named by its place; PostgreSQL reads such places at once only from an array.
  const { numAffectedRows } =
    dialectOf(trx) === 'postgres'
      ? await sql`delete from ${sql.table(table)} where ctid = any(array(select ctid ${rows} limit ${limit}))`.execute(trx)
      : await sql`delete from ${sql.table(table)} where rowid in (select rowid ${rows} limit ${limit})`.execute(trx)
  return Number(numAffectedRows)
}

export async function countRows(db: Db, table: TenantTable, { organizationId }: Tenant): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from ${sql.table(table)} where organization_id = ${organizationId}`.execute(db)
  return Number(rows[0]?.count)
}

/** Of at most `limit` jobs after `after`: those that name something of the tenant; `last` = the last one looked at, null at the end. */
export async function jobsOf(db: Db, tenant: Tenant, after: number, limit: number): Promise<{ jobs: TenantJob[]; last: number | null }> {
  const rows = await db
    .selectFrom('job')
    .select(['id', 'group_id', 'key', 'unique_key', 'payload_json', 'state', 'lease_until'])
    .where('id', '>', after)
    .orderBy('id')
    .limit(limit)
    .execute()
  const named = rows.map(row => idsIn(`${row.group_id} ${row.key ?? ''} ${row.unique_key ?? ''} ${row.payload_json}`))
  const own = await ownIds(db, tenant, [...new Set(named.flat())])
  return { jobs: rows.filter((_row, at) => named[at]?.some(id => own.has(id))), last: rows.at(-1)?.id ?? null }
}

export interface TenantJob {
  id: number
  state: string
  lease_until: number | null
}

/** Of these. */
export async function deleteJobs(trx: Db, ids: readonly number[]): Promise<number> {
  return ids.length === 0 ? 0 : Number((await trx.deleteFrom('job').where('id', 'in', ids).executeTakeFirst()).numDeletedRows)
}

export async function deleteHolds(trx: Db, { installationIds }: Tenant): Promise<number> {
  const groups = installationIds.flatMap(id => [id, alertGroup(id)])
  if (groups.length === 0) return 0
  return Number((await trx.deleteFrom('job_hold').where('group_id', 'in', groups).executeTakeFirst()).numDeletedRows)
}

/** Sessions that end; a person who has a role elsewhere keeps the session without this one. */
export async function deleteSessions(trx: Db, { organizationId, installationIds }: Tenant): Promise<number> {
  let count = 0
  if (installationIds.length > 0) {
    const ended = await trx.deleteFrom('session').where('installation_id', 'in', installationIds).executeTakeFirst()
    count += Number(ended.numDeletedRows)
  }
  for (const { id_hash: idHash, roles, principal } of await sessionsIn(trx, organizationId)) {
    const rest = Object.fromEntries(Object.entries(roles).filter(([id]) => id !== organizationId))
    const session = Object.keys(rest).length === 0 ? null : JSON.stringify({ ...principal, roles: rest })
    if (session === null) {
      await trx.deleteFrom('session').where('id_hash', '=', idHash).execute()
      count += 1
    } else await trx.updateTable('session').set({ principal_json: session }).where('id_hash', '=', idHash).execute()
  }
  return count
}

export async function countSessions(db: Db, { organizationId, installationIds }: Tenant): Promise<number> {
  const frames =
    installationIds.length === 0
      ? []
      : await db.selectFrom('session').select('id_hash').where('installation_id', 'in', installationIds).execute()
  return frames.length + (await sessionsIn(db, organizationId)).filter(({ roles }) => Object.keys(roles).length === 1).length
}

async function sessionsIn(db: Db, organizationId: string) {
  const rows = await db
    .selectFrom('session')
    .select(['id_hash', 'principal_json'])
    .where('kind', '=', 'admin')
    .where('principal_json', 'like', `%${organizationId}%`)
    .execute()
  return rows
    .map(({ id_hash, principal_json }) => ({ id_hash, principal: JSON.parse(principal_json) as AdminPrincipal }))
    .map(row => ({ ...row, roles: row.principal.roles }))
    .filter(({ roles }) => Object.hasOwn(roles, organizationId))
}

/** As database/id.ts makes them. */
function idsIn(text: string): string[] {
  return text.match(/[a-z]{3}_[0-9a-z]{26}/g) ?? []
}

const withoutId = [
  'intent',
  'pending_reference',
  'asset_copy',
  'push_door',
  'link',
  'embedding',
  'budget',
  'reveal_count',
  'write_ledger',
  'content_webhook',
  'plan_item',
  'staged_key'
]
const withId = tenantTables.filter(table => table !== 'installation' && !withoutId.includes(table))

async function ownIds(db: Db, { organizationId, installationIds }: Tenant, ids: readonly string[]): Promise<Set<string>> {
  const own = new Set([organizationId, ...installationIds])
  if (ids.length === 0) return own
  for (const table of withId) {
    const rows = await db
      .selectFrom(table as 'sync')
      .select('id')
      .where('id', 'in', ids)
      .where('organization_id', '=', organizationId)
      .execute()
    for (const { id } of rows) own.add(id)
  }
  return own
}
