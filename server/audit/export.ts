// The trail as lines to take away, a page at a time: each organization's events in order with every column, so that the links can be
// followed without us, then one line with its head and how often secrets were opened for what.
import { sql } from 'kysely'
import type { Db } from '../database/database.ts'
import { AppError } from '../errors.ts'
import { headOf } from './audit.ts'

/** `since` and `until` in milliseconds since 1970; `until` is not in it. */
export interface ExportAsked {
  organizationId?: string | undefined
  since?: number | undefined
  until?: number | undefined
}

/** After which event to go on; the head is the one that stood when this organization's turn came. */
export interface ExportPlace {
  organizationId: string
  seq: number
  head: { seq: number; mac: string }
  first: number
  last: number
}

const pageRows = 500

/** AppError not_found for an organization that nobody knows. `next` = null at the end. */
export async function exportPage(
  db: Db,
  asked: ExportAsked,
  place: ExportPlace | null
): Promise<{ lines: Record<string, unknown>[]; next: ExportPlace | null }> {
  const here = place ?? (await placeOf(db, asked, await firstOrganization(db, asked)))
  if (here === null) return { lines: [], next: null }
  const lines: Record<string, unknown>[] = await db
    .selectFrom('audit_event')
    .selectAll()
    .where('organization_id', '=', here.organizationId)
    .where('seq', '>', here.seq)
    .where('seq', '<=', here.last)
    .orderBy('seq')
    .limit(pageRows)
    .execute()
  if (lines.length === pageRows) return { lines, next: { ...here, seq: Number(lines.at(-1)?.['seq']) } }
  lines.push(await closingLine(db, asked, here))
  const after = asked.organizationId === undefined ? await organizationAfter(db, here.organizationId) : null
  return { lines, next: await placeOf(db, asked, after) }
}

/** Ids of all that have a chain or are known. */
export async function organizationAfter(db: Db, after: string): Promise<string | null> {
  const known = db.selectFrom('organization').select('id').where('id', '>', after).orderBy('id').limit(1).executeTakeFirst()
  const chained = db
    .selectFrom('audit_event')
    .select('organization_id as id')
    .where('organization_id', '>', after)
    .orderBy('organization_id')
    .limit(1)
    .executeTakeFirst()
  const ids = [(await known)?.id, (await chained)?.id].filter(id => id !== undefined)
  return ids.toSorted()[0] ?? null
}

export interface RevealCount {
  organizationId: string
  purpose: string
  day: string
  count: number
}

/** How often secrets of one purpose were opened on one UTC day, over all installations. Days as YYYY-MM-DD, both included. */
export async function revealCounts(db: Db, of: { organizationId?: string | undefined; from: string; to: string }): Promise<RevealCount[]> {
  return await db
    .selectFrom('reveal_count')
    .select(['organization_id as organizationId', 'purpose', 'day'])
    .select(eb => eb.cast<number>(eb.fn.sum('count'), sql`bigint`).as('count'))
    .where('day', '>=', of.from)
    .where('day', '<=', of.to)
    .$if(of.organizationId !== undefined, query => query.where('organization_id', '=', of.organizationId as string))
    .groupBy(['organization_id', 'purpose', 'day'])
    .orderBy('organization_id')
    .orderBy('day')
    .orderBy('purpose')
    .execute()
}

async function firstOrganization(db: Db, { organizationId }: ExportAsked): Promise<string | null> {
  if (organizationId === undefined) return await organizationAfter(db, '')
  const known = await db.selectFrom('organization').select('id').where('id', '=', organizationId).executeTakeFirst()
  if (known || (await headOf(db, organizationId)).seq > 0) return organizationId
  throw new AppError('not_found', `There is no organization ${organizationId}`, { remedy: 'quayside organizations list names them.' })
}

/** An unbroken stretch, from the first event that is not before `since` to the last one before `until`: clocks may step back, numbers do not. */
async function placeOf(db: Db, { since, until }: ExportAsked, organizationId: string | null): Promise<ExportPlace | null> {
  if (organizationId === null) return null
  const head = await headOf(db, organizationId)
  const chain = db.selectFrom('audit_event').where('organization_id', '=', organizationId).where('seq', '<=', head.seq)
  const first =
    since === undefined
      ? { seq: 1 }
      : await chain
          .select(eb => eb.fn.min('seq').as('seq'))
          .where('at', '>=', since)
          .executeTakeFirst()
  const last =
    until === undefined
      ? head
      : await chain
          .select(eb => eb.fn.max('seq').as('seq'))
          .where('at', '<', until)
          .executeTakeFirst()
  // min and max of nothing are null.
  const [from, to] = [first?.seq ?? head.seq + 1, last?.seq ?? 0]
  return { organizationId, seq: from - 1, head, first: from, last: to }
}

async function closingLine(db: Db, { since, until }: ExportAsked, place: ExportPlace): Promise<Record<string, unknown>> {
  const { organizationId, head, first, last } = place
  const counts = await revealCounts(db, { organizationId, from: dayOf(since ?? 0), to: dayOf((until ?? Date.now() + 1) - 1) })
  return {
    organization_id: organizationId,
    head,
    exported: first <= last ? { from: first, to: last } : null,
    reveals: counts.map(({ purpose, day, count }) => ({ purpose, day, count }))
  }
}

export function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10)
}
