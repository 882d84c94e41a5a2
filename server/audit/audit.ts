// What people and systems did, append-only, chained per organization by a hash under a vault key: a changed, missing, reordered
// or rewritten event shows. Appended last in the transaction of the act itself, because the chain's head serialises.
// Refusals of strangers are logged, not chained (security.md, Vault and audit).
//
// What is recorded, all of it, in one style: <object>.<verb in the present>.
//   installation.activate | uninstall
//   grant.start | authorize | refuse (another person or organization came back) | fail | revoke | stand (it could not be revoked)
//   token.intend (the name is recorded before it is minted) | mint | activate | die (Contentstack refuses it) | delete
//   webhook.register | enable (somebody had disabled it)
//   connection.create
//   sync.create | pause | resume
//   run.start (by a person) | cancel
//   key.create | revoke
//   person.login
import { sql } from 'kysely'
import { type Db, dialectOf } from '../database/database.ts'
import { newId } from '../database/id.ts'
import type { Row } from '../database/schema.ts'
import type { Log } from '../log.ts'
import type { Vault } from '../vault/vault.ts'

export interface Actor {
  kind: Row<'audit_event'>['actor_kind']
  id: string
  name: string
}

export type AuditAction =
  | `installation.${'activate' | 'uninstall'}`
  | `grant.${'start' | 'authorize' | 'refuse' | 'fail' | 'revoke' | 'stand'}`
  | `token.${'intend' | 'mint' | 'activate' | 'die' | 'delete'}`
  | `webhook.${'register' | 'enable'}`
  | 'connection.create'
  | `sync.${'create' | 'pause' | 'resume'}`
  | `run.${'start' | 'cancel'}`
  | `key.${'create' | 'revoke'}`
  | 'person.login'

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

type Marks = Pick<Vault, 'mac'>

/** Call it inside the act's transaction, as its last statement. Without one it opens its own: the lock must outlive the insert. */
export async function appendAudit(trx: Db, vault: Marks, event: NewAuditEvent): Promise<void> {
  if (!trx.isTransaction) return await trx.transaction().execute(async own => await appendAudit(own, vault, event))
  // SQLite has one writer at a time; PostgreSQL needs telling that heads of one organization follow each other.
  if (dialectOf(trx) === 'postgres')
    await sql`select pg_advisory_xact_lock(hashtextextended(${`audit ${event.organizationId}`}, 0))`.execute(trx)
  const head = await trx
    .selectFrom('audit_event')
    .select(['seq', 'mac'])
    .where('organization_id', '=', event.organizationId)
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst()
  const row: Omit<Row<'audit_event'>, 'mac' | 'erased_at'> = {
    id: newId('aud'),
    organization_id: event.organizationId,
    installation_id: event.installationId ?? null,
    seq: (head?.seq ?? 0) + 1,
    at: Date.now(),
    actor_kind: event.actor.kind,
    actor_id: event.actor.id,
    actor_name: event.actor.name,
    action: event.action,
    object_kind: event.object.kind,
    object_id: event.object.id,
    object_name: event.object.name,
    detail_json: JSON.stringify(event.detail ?? {}),
    previous_mac: head?.mac ?? ''
  }
  await trx
    .insertInto('audit_event')
    .values({ ...row, mac: macOf(vault, row), erased_at: null })
    .execute()
}

export type Verdict = { ok: true; count: number; head: string } | { ok: false; seq: number; reason: string }

/**
 * Walks one organization's chain. `anchor` is a head noted outside the database earlier: without it, a chain cut at its end cannot
 * be told from a shorter one.
 */
export async function verifyAudit(db: Db, vault: Marks, organizationId: string, anchor?: { seq: number; mac: string }): Promise<Verdict> {
  let previous = ''
  let seq = 0
  for (;;) {
    const rows = await db
      .selectFrom('audit_event')
      .selectAll()
      .where('organization_id', '=', organizationId)
      .where('seq', '>', seq)
      .orderBy('seq')
      .limit(500)
      .execute()
    for (const row of rows) {
      const { mac, ...rest } = row
      if (row.seq !== seq + 1) return { ok: false, seq: seq + 1, reason: 'an event is missing' }
      if (row.previous_mac !== previous) return { ok: false, seq: row.seq, reason: 'it does not follow the event before it' }
      if (macOf(vault, rest) !== mac) return { ok: false, seq: row.seq, reason: 'it was changed' }
      if (anchor?.seq === row.seq && anchor.mac !== mac) return { ok: false, seq: row.seq, reason: 'the history up to here was rewritten' }
      previous = mac
      seq = row.seq
    }
    if (rows.length === 0) break
  }
  if (anchor && anchor.seq > seq) return { ok: false, seq: seq + 1, reason: 'the end of the history was cut off' }
  return { ok: true, count: seq, head: previous }
}

/**
 * Writes every organization's head into the log, outside the database, where it can be given back to verifyAudit: what is cut off or
 * rewritten behind it shows. To be called now and then.
 */
export async function anchorAudit(db: Db, log: Log): Promise<void> {
  const heads = await db
    .selectFrom('audit_event as head')
    .select(['organization_id', 'seq', 'mac'])
    .where('seq', '=', eb =>
      eb
        .selectFrom('audit_event')
        .select(eb => eb.fn.max('seq').as('seq'))
        .whereRef('audit_event.organization_id', '=', 'head.organization_id')
    )
    .execute()
  for (const { organization_id: organizationId, seq, mac } of heads) log.info({ organizationId, seq, mac }, 'audit anchor')
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

/** Every column but the mark itself, in a fixed order. */
function macOf(vault: Marks, row: Omit<Row<'audit_event'>, 'mac' | 'erased_at'>): string {
  return vault.mac(
    'audit',
    JSON.stringify([
      row.id,
      row.organization_id,
      row.installation_id,
      row.seq,
      row.at,
      row.actor_kind,
      row.actor_id,
      row.actor_name,
      row.action,
      row.object_kind,
      row.object_id,
      row.object_name,
      row.detail_json,
      row.previous_mac
    ])
  )
}
