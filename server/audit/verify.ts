// Walks a chain, a stretch at a time, and says what is wrong where. Each event must be genuine (chain.ts), stand at its number and name
// the event before it. What a chain by itself cannot tell, a cut end and a tail written anew with the key, the anchors tell (anchors.ts).
//   changed     it is not what was written; or somebody put it in at the end, which looks the same
//   missing     a number without an event
//   reordered   it is genuine, at another number
//   inserted    it stands between two that followed each other
//   truncated   the end is gone (anchors.ts)
//   rewritten   genuine, and not what was there before: by an anchor, or because what follows names another
import type { Db } from '../database/database.ts'
import type { Row } from '../database/schema.ts'
import { eraseAction, isGenuine, type Marks, reachOf } from './chain.ts'

export type Harm = 'changed' | 'missing' | 'reordered' | 'inserted' | 'truncated' | 'rewritten'

export interface Finding {
  organizationId: string
  seq: number
  /** Of the event there, where one is. */
  eventId: string | null
  /** When it happened, as it says itself. */
  at: number | null
  kind: Harm
  /** For people. */
  text: string
}

/**
 * After which event to go on, and the last one that stood at a number of a chain: `firm` = it is good and at its place, so the next one
 * must name it. A number below one is no place of ours, and is looked at all the same.
 */
export interface Place {
  after: number
  seq: number
  mac: string
  firm: boolean
}

export const beginning: Place = { after: Number.MIN_SAFE_INTEGER, seq: 0, mac: '', firm: true }

/** One change may put many events out of place: what comes after that many findings is not looked at. */
export const mostFindings = 20

const readRows = 500

type Event = Row<'audit_event'>

/**
 * At most `limit` events after `from`. `done` when there are no more, or so much is wrong that looking on says nothing. In bounded
 * memory, while others append.
 */
export async function verifyStretch(
  db: Db,
  vault: Marks,
  organizationId: string,
  from: Place = beginning,
  limit = 2_000
): Promise<{ findings: Finding[]; place: Place; checked: number; done: boolean }> {
  const findings: Finding[] = []
  const covers = coverage(db, vault, organizationId)
  let place = from
  for (let checked = 0; ; ) {
    const rows = await eventsAfter(db, organizationId, place.after, Math.min(readRows, limit - checked))
    for (const row of rows) {
      const found = await look(db, vault, covers, place, row)
      findings.push(...found.findings)
      if (!Number.isSafeInteger(row.seq)) return { findings, place, checked, done: true }
      place = row.seq > place.seq ? { after: row.seq, seq: row.seq, mac: row.mac, firm: found.firm } : { ...place, after: row.seq }
      checked += 1
      if (findings.length >= mostFindings) return { findings: findings.slice(0, mostFindings), place, checked, done: true }
    }
    if (rows.length === 0) return { findings, place, checked, done: true }
    if (checked >= limit) return { findings, place, checked, done: false }
  }
}

export type Verdict = { ok: true; count: number; head: string } | { ok: false; seq: number; reason: string }

/** The whole chain of one organization, without anchors. */
export async function verifyAudit(db: Db, vault: Marks, organizationId: string): Promise<Verdict> {
  for (let place = beginning; ; ) {
    const stretch = await verifyStretch(db, vault, organizationId, place)
    const [first] = stretch.findings
    if (first) return { ok: false, seq: first.seq, reason: first.text }
    place = stretch.place
    if (stretch.done) return { ok: true, count: place.seq, head: place.mac }
  }
}

/** Whether the event at this number is what was written there. False where there is none. */
export async function isGenuineAt(db: Db, vault: Marks, organizationId: string, seq: number): Promise<boolean> {
  const row = await db
    .selectFrom('audit_event')
    .selectAll()
    .where('organization_id', '=', organizationId)
    .where('seq', '=', seq)
    .executeTakeFirst()
  return row !== undefined && isGenuine(vault, row)
}

function eventsAfter(db: Db, organizationId: string, after: number, limit: number): Promise<Event[]> {
  const query = db.selectFrom('audit_event').selectAll().where('organization_id', '=', organizationId).where('seq', '>', after)
  return query.orderBy('seq').limit(limit).execute()
}

type Covers = (seq: number) => Promise<boolean>

async function look(db: Db, vault: Marks, covers: Covers, before: Place, row: Event): Promise<{ findings: Finding[]; firm: boolean }> {
  const finding = (kind: Harm, text: string, seq = row.seq): Finding => {
    const there = seq === row.seq
    return { organizationId: row.organization_id, seq, eventId: there ? row.id : null, at: there ? row.at : null, kind, text }
  }
  const genuine = isGenuine(vault, row)
  if (!genuine) {
    const former = await formerNumber(db, vault, row)
    if (former !== null) return { findings: [finding('reordered', `It was number ${former}, and stands at ${row.seq} now.`)], firm: false }
  }
  const findings: Finding[] = []
  const next = before.seq + 1
  const gap = row.seq > next
  if (gap)
    findings.push(finding('missing', row.seq === next + 1 ? 'It is missing.' : `Number ${next} to ${row.seq - 1} are missing.`, next))
  if (!genuine) {
    const inserted = row.seq < 1 || (await isBetween(db, row))
    findings.push(
      inserted ? finding('inserted', 'It was put in by somebody: it does not bear our mark.') : finding('changed', howChanged(row))
    )
    return { findings, firm: false }
  }
  if (row.erased_at !== null && !(await covers(row.seq))) {
    const text = 'Its subjects were erased, but no erasing of this organization is recorded after it.'
    return { findings: [...findings, finding('changed', text)], firm: false }
  }
  if (!gap && before.firm && row.previous_mac !== before.mac) {
    findings.push(finding('rewritten', 'It does not follow the event before it: one of the two was written anew with the key.'))
  }
  return { findings, firm: true }
}

function howChanged(row: Event): string {
  return row.erased_at === null
    ? 'It does not bear our mark: it was changed, or put in by somebody.'
    : 'It is called erased, but is not as erasing leaves an event: it was changed.'
}

/** How far from its place an event is looked for: this far up and down, and where its age or its predecessor would put it. */
const searched = 64

async function formerNumber(db: Db, vault: Marks, row: Event): Promise<number | null> {
  if (!Number.isSafeInteger(row.seq)) return null
  const ofChain = () => db.selectFrom('audit_event').where('organization_id', '=', row.organization_id)
  const older = await ofChain()
    .select(eb => eb.fn.countAll<number>().as('count'))
    .where('id', '<', row.id)
    .executeTakeFirstOrThrow()
  const predecessor = await ofChain().select('seq').where('mac', '=', row.previous_mac).executeTakeFirst()
  const candidates = [older.count + 1, (predecessor?.seq ?? 0) + 1]
  for (let distance = 1; distance <= searched; distance += 1) candidates.push(row.seq - distance, row.seq + distance)
  return candidates.find(seq => seq >= 1 && seq !== row.seq && isGenuine(vault, row, seq)) ?? null
}

/** A later event names the same predecessor, and none names this one. */
async function isBetween(db: Db, row: Event): Promise<boolean> {
  const naming = (mac: string) =>
    db
      .selectFrom('audit_event')
      .select('id')
      .where('organization_id', '=', row.organization_id)
      .where('previous_mac', '=', mac)
      .where('seq', '>', row.seq)
      .limit(1)
      .executeTakeFirst()
  return (await naming(row.previous_mac)) !== undefined && (await naming(row.mac)) === undefined
}

/** Asked anew when it does not reach far enough: an erasing may have begun since, and it begins with its event. */
function coverage(db: Db, vault: Marks, organizationId: string): Covers {
  let upTo = 0
  return async seq => {
    if (seq <= upTo) return true
    const events = await db
      .selectFrom('audit_event')
      .selectAll()
      .where('organization_id', '=', organizationId)
      .where('action', '=', eraseAction)
      .where('erased_at', 'is', null)
      .where('seq', '>', seq)
      .execute()
    upTo = Math.max(upTo, ...events.filter(event => isGenuine(vault, event)).map(reachOf))
    return seq <= upTo
  }
}
