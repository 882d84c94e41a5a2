// Erases an organization: every row of it in every table, and the subjects of its audit trail. It touches the tables of many rooms,
// which only this floor may know. It goes in slices, so that others are served between them, and can be taken up again at any point:
//   (nothing) -> begun   one transaction: nothing of it begins any more, organization.erase is in the chain, an erasure row counts along
//   begun -> done        one transaction: the last rows go, organization.erase again, the receipt; the organization stays, unclaimed
// Both events reach over what stands before them; only the second keeps its words, and it names no person (decision 0006).
import { sql } from 'kysely'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { type Actor, appendAudit, headOf, lockedHead } from '../audit/audit.ts'
import { eraseAction } from '../audit/chain.ts'
import { eraseSubjects } from '../audit/erase.ts'
import { type Db, dialectOf } from '../database/database.ts'
import { AppError } from '../errors.ts'
import type { ErasurePreview, ErasureReceipt } from '../http/contract/console.ts'
import type { Organization } from '../installations/installation.ts'
import { hold } from '../jobs/queue.ts'
import type { Log } from '../log.ts'
import type { Vault } from '../vault/vault.ts'
import {
  countRows,
  countSessions,
  deleteHolds,
  deleteJobs,
  deleteRows,
  deleteSessions,
  type ErasedRows,
  type ErasedTable,
  jobsOf,
  type Tenant,
  tenantTables
} from './erase-rows.ts'
import { markReceipt } from './receipt.ts'

export interface EraseDeps {
  vault: Vault
  log: Log
}

export interface EraseInput {
  organizationId: string
  /** Exactly as the organization is called. */
  name: string
  /** Although tokens in custody then stand at Contentstack with nobody to delete them. */
  leaveTokens: boolean
  actor: Actor
}

export type Erasing = { done: false; rows: ErasedRows } | { done: true; receipt: ErasureReceipt }

/** Short enough that nobody waits for one noticeably. */
const sliceRows = 500
/** How long jobs under way may take to notice that they are to end, before their rows go too. */
const patienceMs = 10_000
const pauseMs = 200

/**
 * Begins or goes on, for about `forMs` milliseconds. Throws AppError not_found, invalid (the name is another), conflict: tokens are in
 * custody, it was erased before, or another caller has just done it.
 */
export async function eraseOrganization(db: Db, deps: EraseDeps, input: EraseInput, forMs = Infinity): Promise<Erasing> {
  const until = Date.now() + forMs
  const work = await begin(db, deps, input)
  await deps.vault.flush(db)
  for (;;) {
    for (const step of [jobStep(db, work), ...tenantTables.map(table => rowStep(table, work)), trailStep(deps.vault, work)]) {
      for (let more: More = 'now'; more !== 'none'; ) {
        const { count, ...done } = await slice(db, work, step)
        more = done.more
        // Only what took something away may end this: each call comes further, however short its time.
        if (count > 0 && Date.now() >= until) return { done: false, rows: await rowsSoFar(db, work) }
        await (more === 'later' ? setTimeout(pauseMs) : setImmediate())
      }
    }
    const receipt = await finish(db, deps.vault, work, input.actor)
    if (receipt === null) continue
    // The receipt is given whatever becomes of this.
    await sweepFile(db).catch((error: unknown) => deps.log.warn({ error }, 'the database file could not be rewritten'))
    return { done: true, receipt }
  }
}

/** Above this it would stand still for too long: docs/operating.md says how to do it at a quiet time. */
const mostSweptBytes = 256 * 1024 * 1024

/** SQLite leaves what was deleted readable in its file until the place is needed. */
async function sweepFile(db: Db): Promise<void> {
  if (dialectOf(db) !== 'sqlite') return
  const { rows } = await sql<{ bytes: number }>`
    select page_count * page_size as bytes from pragma_page_count(), pragma_page_size()`.execute(db)
  if ((rows[0]?.bytes ?? 0) > mostSweptBytes) return
  await sql`vacuum`.execute(db)
  await sql`pragma wal_checkpoint(truncate)`.execute(db)
}

/** What would go, and what stands in the way. AppError not_found. */
export async function previewErasure(db: Db, organizationId: string): Promise<ErasurePreview> {
  const organization = await organizationBy(db, organizationId)
  const tenant = await tenantOf(db, organizationId)
  const rows: ErasedRows = {}
  const count = (table: ErasedTable, number: number) => {
    if (number > 0) rows[table] = number
  }
  for (const table of tenantTables) count(table, await countRows(db, table, tenant))
  count('session', await countSessions(db, tenant))
  let jobs = 0
  for (let after: number | null = 0; after !== null; ) {
    const found: Awaited<ReturnType<typeof jobsOf>> = await jobsOf(db, tenant, after, sliceRows)
    jobs += found.jobs.length
    after = found.last
  }
  count('job', jobs)
  const events = await db
    .selectFrom('audit_event')
    .select(eb => eb.fn.countAll<number>().as('count'))
    .where('organization_id', '=', organizationId)
    .where('erased_at', 'is', null)
    .executeTakeFirstOrThrow()
  count('audit_event', events.count)
  const begun = await db.selectFrom('erasure').select('tokens_json').where('organization_id', '=', organizationId).executeTakeFirst()
  const { id, region, organization_uid: organizationUid, name } = organization
  return {
    organization: { id, region, organizationUid, name },
    rows,
    tokens: begun ? (JSON.parse(begun.tokens_json) as LeftToken[]) : await tokensStanding(db, organizationId),
    refusal: begun ? null : await refusalFor(db, organization),
    begun: begun !== undefined
  }
}

interface Work {
  organization: Organization
  tenant: Tenant
  startedAt: number
}

type LeftToken = ErasureReceipt['tokensLeft'][number]

async function begin(db: Db, { vault }: EraseDeps, input: EraseInput): Promise<Work> {
  const { organizationId, name, leaveTokens, actor } = input
  return await db.transaction().execute(async trx => {
    const organization = await organizationBy(trx, organizationId, true)
    if (organization.name !== name) {
      throw new AppError('invalid', `The organization ${organizationId} is not called "${name}".`, {
        fields: { name: ['is not its exact name'] },
        remedy: 'Nothing was erased. Give its name exactly as it is listed.'
      })
    }
    const tenant = await tenantOf(trx, organizationId)
    const under = await trx.selectFrom('erasure').selectAll().where('organization_id', '=', organizationId).executeTakeFirst()
    if (!under) {
      const refusal = await refusalFor(trx, organization)
      if (refusal && !leaveTokens) throw new AppError('conflict', refusal.message, { remedy: refusal.remedy })
      await refuseErased(trx, tenant)
    }
    const tokens = await tokensStanding(trx, organizationId)
    // Each time: a server that came up in between may have claimed it again.
    await trx.updateTable('organization').set({ status: 'unclaimed' }).where('id', '=', organizationId).execute()
    await trx
      .updateTable('installation')
      .set({ status: 'uninstalled', updated_at: Date.now() })
      .where('organization_id', '=', organizationId)
      .where('status', '!=', 'uninstalled')
      .execute()
    for (const id of tenant.installationIds) await hold(trx, id, 'Its organization is being erased.')
    await trx
      .updateTable('run')
      .set({ status: 'cancelled', finished_at: Date.now() })
      .where('organization_id', '=', organizationId)
      .where('status', 'in', ['queued', 'running'])
      .execute()
    if (under) {
      const installations = { installations_json: JSON.stringify(tenant.installationIds) }
      await trx.updateTable('erasure').set(installations).where('organization_id', '=', organizationId).execute()
      return { organization, tenant, startedAt: under.started_at }
    }
    const head = await lockedHead(trx, organizationId)
    const startedAt = Date.now()
    await trx
      .insertInto('erasure')
      .values({
        organization_id: organizationId,
        started_at: startedAt,
        installations_json: JSON.stringify(tenant.installationIds),
        rows_json: '{}',
        tokens_json: JSON.stringify(tokens),
        head_json: JSON.stringify(head)
      })
      .execute()
    await appendErase(trx, vault, organization, actor, { state: 'begun', upTo: head.seq })
    return { organization, tenant, startedAt }
  })
}

/** Takes some of its rows away: returns of which table how many, and when to look for more. */
type Step = (trx: Db) => Promise<{ table: ErasedTable; count: number; more: More }>
type More = 'now' | 'later' | 'none'

const rowStep =
  (table: (typeof tenantTables)[number], { tenant }: Work): Step =>
  async trx => {
    const count = await deleteRows(trx, table, tenant, sliceRows)
    return { table, count, more: count > 0 ? 'now' : 'none' }
  }

/** Before anything else goes: what a job names must still be there to be known as the tenant's. */
function jobStep(db: Db, { tenant, startedAt }: Work): Step {
  let after = 0
  return async trx => {
    const { jobs, last } = await jobsOf(trx, tenant, after, sliceRows)
    const now = Date.now()
    const busy = jobs.filter(({ state, lease_until: until }) => state === 'running' && until !== null && until > now)
    const waits = busy.length > 0 && now < startedAt + patienceMs
    const gone = waits ? jobs.filter(job => !busy.includes(job)) : jobs
    const count = await deleteJobs(
      trx,
      gone.map(({ id }) => id)
    )
    if (!waits) after = last ?? after
    return { table: 'job', count, more: waits ? 'later' : last === null ? 'none' : 'now' }
  }
}

function trailStep(vault: Vault, { organization }: Work): Step {
  let after = 0
  return async trx => {
    const { seq: upTo } = JSON.parse((await erasureOf(trx, organization.id)).head_json) as { seq: number }
    const { blanked, last } = await eraseSubjects(trx, vault, { organizationId: organization.id, after, upTo, limit: sliceRows })
    after = last ?? after
    return { table: 'audit_event', count: blanked, more: last === null ? 'none' : 'now' }
  }
}

async function slice(db: Db, { organization }: Work, step: Step): Promise<{ count: number; more: More }> {
  return await db.transaction().execute(async trx => {
    const erasure = await erasureOf(trx, organization.id)
    const { table, count, more } = await step(trx)
    if (count > 0) await countErased(trx, organization.id, JSON.parse(erasure.rows_json) as ErasedRows, table, count)
    return { count, more }
  })
}

async function countErased(trx: Db, organizationId: string, rows: ErasedRows, table: ErasedTable, count: number): Promise<ErasedRows> {
  const now = { ...rows, [table]: (rows[table] ?? 0) + count }
  await trx
    .updateTable('erasure')
    .set({ rows_json: JSON.stringify(now) })
    .where('organization_id', '=', organizationId)
    .execute()
  return now
}

/** Null when something has come meanwhile. */
async function finish(db: Db, vault: Vault, { organization, tenant, startedAt }: Work, actor: Actor): Promise<ErasureReceipt | null> {
  const organizationId = organization.id
  return await db.transaction().execute(async trx => {
    const erasure = await erasureOf(trx, organizationId)
    for (const table of tenantTables) if ((await countRows(trx, table, tenant)) > 0) return null
    let rows = JSON.parse(erasure.rows_json) as ErasedRows
    const sessions = await deleteSessions(trx, tenant)
    if (sessions > 0) rows = await countErased(trx, organizationId, rows, 'session', sessions)
    const holds = await deleteHolds(trx, tenant)
    if (holds > 0) rows = await countErased(trx, organizationId, rows, 'job_hold', holds)
    const { seq: upTo } = await lockedHead(trx, organizationId)
    const before = JSON.parse(erasure.head_json) as { seq: number; mac: string }
    const { blanked } = await eraseSubjects(trx, vault, { organizationId, after: before.seq, upTo, limit: upTo - before.seq })
    if (blanked > 0) rows = { ...rows, audit_event: (rows.audit_event ?? 0) + blanked }
    await trx
      .updateTable('organization')
      .set({ status: 'unclaimed', name: organization.organization_uid })
      .where('id', '=', organizationId)
      .execute()
    const tokensLeft = JSON.parse(erasure.tokens_json) as LeftToken[]
    await trx.deleteFrom('erasure').where('organization_id', '=', organizationId).execute()
    await appendErase(trx, vault, organization, actor, { state: 'done', upTo, rows, tokensLeft: tokensLeft.length })
    const { id, region, organization_uid: organizationUid, name } = organization
    const unmarked = {
      receipt: 'quayside erasure' as const,
      organization: { id, region, organizationUid, name },
      startedAt,
      at: Date.now(),
      by: { ...actor },
      rows: rows as Record<string, number>,
      tokensLeft,
      head: { before, after: await headOf(trx, organizationId) }
    }
    return markReceipt(vault, unmarked)
  })
}

/** The operator's command is named; a person of the organization is the receipt's to name, and here only to be recognised by it. */
async function appendErase(
  trx: Db,
  vault: Vault,
  organization: Organization,
  actor: Actor,
  detail: Record<string, unknown>
): Promise<void> {
  const by = actor.kind === 'system' ? actor : { kind: actor.kind, id: vault.fingerprint(actor.id), name: 'an admin of the organization' }
  await appendAudit(trx, vault, {
    organizationId: organization.id,
    actor: by,
    action: eraseAction,
    object: { kind: 'organization', id: organization.id, name: organization.id },
    detail
  })
}

/** `locked`: nobody else begins until the caller's transaction ends. */
async function organizationBy(db: Db, id: string, locked = false): Promise<Organization> {
  const row = await db
    .selectFrom('organization')
    .selectAll()
    .where('id', '=', id)
    .$if(locked && dialectOf(db) === 'postgres', query => query.forUpdate())
    .executeTakeFirst()
  if (!row) throw new AppError('not_found', `There is no organization ${id}`)
  return row
}

async function tenantOf(db: Db, organizationId: string): Promise<Tenant> {
  const rows = await db.selectFrom('installation').select('id').where('organization_id', '=', organizationId).execute()
  const begun = await db.selectFrom('erasure').select('installations_json').where('organization_id', '=', organizationId).executeTakeFirst()
  const known = begun ? (JSON.parse(begun.installations_json) as string[]) : []
  return { organizationId, installationIds: [...new Set([...known, ...rows.map(({ id }) => id)])] }
}

async function erasureOf(trx: Db, organizationId: string) {
  const row = await trx
    .selectFrom('erasure')
    .selectAll()
    .where('organization_id', '=', organizationId)
    .$if(dialectOf(trx) === 'postgres', query => query.forUpdate())
    .executeTakeFirst()
  if (!row) throw new AppError('conflict', 'Another command has just finished erasing this organization.')
  return row
}

async function rowsSoFar(db: Db, { organization }: Work): Promise<ErasedRows> {
  const row = await db.selectFrom('erasure').select('rows_json').where('organization_id', '=', organization.id).executeTakeFirstOrThrow()
  return JSON.parse(row.rows_json) as ErasedRows
}

/** Still at Contentstack, or possibly so. */
async function tokensStanding(db: Db, organizationId: string): Promise<LeftToken[]> {
  const rows = await db
    .selectFrom('management_token')
    .innerJoin('installation', 'installation.id', 'management_token.installation_id')
    .select(['management_token.name', 'installation.stack_name as stackName', 'management_token.status'])
    .where('management_token.organization_id', '=', organizationId)
    .where('management_token.status', 'in', [...inCustody, 'orphaned'])
    .orderBy('management_token.id')
    .execute()
  return rows
}

const inCustody = ['minting', 'verifying', 'active', 'expiring', 'retiring'] as const

async function refusalFor(db: Db, organization: Organization): Promise<{ message: string; remedy: string } | null> {
  const rows = await db
    .selectFrom('management_token')
    .innerJoin('installation', 'installation.id', 'management_token.installation_id')
    .select(['installation.stack_name', 'installation.id', 'management_token.name'])
    .where('management_token.organization_id', '=', organization.id)
    .where('management_token.status', 'in', inCustody)
    .where('installation.status', '=', 'active')
    .execute()
  if (rows.length === 0) return null
  const named = rows.map(({ name, stack_name: stack, id }) => `"${name}" of ${stack || id}`).join(', ')
  return {
    message: `Nothing was erased: tokens of this organization are in custody, and would stand at Contentstack with nobody to delete them: ${named}.`,
    remedy:
      'Uninstall Quayside from these stacks first, from the console, which deletes the tokens. Or erase and leave them: --leave-tokens.'
  }
}

async function refuseErased(trx: Db, tenant: Tenant): Promise<void> {
  const last = await trx
    .selectFrom('audit_event')
    .select(['action', 'seq', 'at'])
    .where('organization_id', '=', tenant.organizationId)
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst()
  if (last?.action !== eraseAction) return
  for (const table of tenantTables) if ((await countRows(trx, table, tenant)) > 0) return
  throw new AppError(
    'conflict',
    `This organization was erased at ${new Date(last.at).toISOString()} (number ${last.seq} of its audit trail).`,
    {
      remedy: 'The receipt was given then.'
    }
  )
}
