// What people and systems did, append-only, chained per organization by a hash under a vault key: a changed, missing, reordered
// or rewritten event shows. Appended last in the transaction of the act itself, because the chain's head serialises.
// Refusals of strangers are logged, not chained (security.md, Vault and audit).
//
// What is recorded, all of it, in one style: <object>.<verb in the present>.
//   installation.activate | uninstall | export (without secrets) | adopt (what an earlier one, or another server, had)
//   grant.start | authorize | refuse (another person or organization came back) | fail | revoke | stand (it could not be revoked)
//   token.intend | mint | activate | expire | retire | reject | die | orphan | end: one for each step (installations/transitions.ts)
//   webhook.register | enable (somebody had disabled it) | renew (its header secret was exposed) | remove
//   connection.create | secrets (all of them anew)
//   recipient.add | remove (who else is told)
//   sync.create | pause (by a person or by itself) | resume | mapping (another one) | open (a door for pushed records)
//   run.start (by a person) | cancel
//   plan.make | apply | allow (its deletes) | discard
//   drift.start | schedule
//   job.retry | discard (dead ones, by a person) | overtake (a run ended after another process had taken over)
//   key.create | revoke
//   person.login
//   vault.rewrap (begun, and ended: all stands under another key) | compromise (a key that sealed became known to others)
//   organization.erase (begun, and done: what stood before it is erased)
import { sql } from 'kysely'
import { type Db, dialectOf } from '../database/database.ts'
import { newId } from '../database/id.ts'
import type { Row } from '../database/schema.ts'
import { coveredText, type Marks } from './chain.ts'

export { verifyAudit } from './verify.ts'

export interface Actor {
  kind: Row<'audit_event'>['actor_kind']
  id: string
  name: string
}

export type AuditAction =
  | `installation.${'activate' | 'uninstall' | 'export' | 'adopt'}`
  | `grant.${'start' | 'authorize' | 'refuse' | 'fail' | 'revoke' | 'stand'}`
  | `token.${'intend' | 'mint' | 'activate' | 'expire' | 'retire' | 'reject' | 'die' | 'orphan' | 'end'}`
  | `webhook.${'register' | 'enable' | 'renew' | 'remove'}`
  | `connection.${'create' | 'secrets'}`
  | `recipient.${'add' | 'remove'}`
  | `sync.${'create' | 'pause' | 'resume' | 'mapping' | 'open'}`
  | `run.${'start' | 'cancel'}`
  | `plan.${'make' | 'apply' | 'allow' | 'discard'}`
  | `drift.${'start' | 'schedule'}`
  | `job.${'retry' | 'discard' | 'overtake'}`
  | `key.${'create' | 'revoke'}`
  | 'person.login'
  | `vault.${'rewrap' | 'compromise'}`
  | 'organization.erase'

export interface NewAuditEvent {
  organizationId: string
  /** Of an event that concerns one installation; an event of the whole organization has none. */
  installationId?: string
  actor: Actor
  action: AuditAction
  object: { kind: string; id: string; name: string }
  /** Never a secret. */
  detail?: Record<string, unknown>
}

export interface Head {
  /** 0 of an empty chain. */
  seq: number
  mac: string
}

/** Call it inside the act's transaction, as its last statement. Without one it opens its own: the lock must outlive the insert. */
export async function appendAudit(trx: Db, vault: Pick<Marks, 'mac'>, event: NewAuditEvent): Promise<void> {
  if (!trx.isTransaction) return await trx.transaction().execute(async own => await appendAudit(own, vault, event))
  const head = await lockedHead(trx, event.organizationId)
  const row: Omit<Row<'audit_event'>, 'mac' | 'erased_at'> = {
    id: newId('aud'),
    organization_id: event.organizationId,
    installation_id: event.installationId ?? null,
    seq: head.seq + 1,
    at: Date.now(),
    actor_kind: event.actor.kind,
    actor_id: event.actor.id,
    actor_name: event.actor.name,
    action: event.action,
    object_kind: event.object.kind,
    object_id: event.object.id,
    object_name: event.object.name,
    detail_json: JSON.stringify(event.detail ?? {}),
    previous_mac: head.mac
  }
  await trx
    .insertInto('audit_event')
    .values({ ...row, mac: vault.mac('audit', coveredText(row)), erased_at: null })
    .execute()
}

/** Nobody else appends to this chain until the caller's transaction ends. */
export async function lockedHead(trx: Db, organizationId: string): Promise<Head> {
  // SQLite has one writer at a time; PostgreSQL needs telling that heads of one organization follow each other.
  if (dialectOf(trx) === 'postgres') await sql`select pg_advisory_xact_lock(hashtextextended(${`audit ${organizationId}`}, 0))`.execute(trx)
  return await headOf(trx, organizationId)
}

export async function headOf(db: Db, organizationId: string): Promise<Head> {
  const query = db.selectFrom('audit_event').select(['seq', 'mac']).where('organization_id', '=', organizationId)
  return (await query.orderBy('seq', 'desc').limit(1).executeTakeFirst()) ?? { seq: 0, mac: '' }
}

/** Newest first. `before` = the last id of the page before. */
export async function listAudit(
  db: Db,
  asked: { organizationIds: readonly string[]; installationId?: string | undefined; before?: string | undefined; limit: number }
): Promise<(Row<'audit_event'> & { organization_name: string })[]> {
  if (asked.organizationIds.length === 0) return []
  const { installationId, before } = asked
  return await db
    .selectFrom('audit_event')
    .innerJoin('organization', 'organization.id', 'audit_event.organization_id')
    .selectAll('audit_event')
    .select('organization.name as organization_name')
    .where('audit_event.organization_id', 'in', asked.organizationIds)
    .$if(installationId !== undefined, query => query.where('audit_event.installation_id', '=', installationId as string))
    .$if(before !== undefined, query => query.where('audit_event.id', '<', before as string))
    .orderBy('audit_event.id', 'desc')
    .limit(asked.limit)
    .execute()
}
