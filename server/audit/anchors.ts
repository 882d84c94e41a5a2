// Heads of the chains, noted outside the database: in a file of JSON lines and in the log. Whoever cuts or rewrites a history, even with
// the key, would have to change these as well. Any file that has such lines may be compared, a saved log as it is; read a piece at a
// time, since both only grow.
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Db } from '../database/database.ts'
import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import { headOf } from './audit.ts'
import type { Marks } from './chain.ts'
import { type Finding, isGenuineAt } from './verify.ts'

export interface Anchor {
  organizationId: string
  seq: number
  mac: string
  /** When it was noted, as it says; null when it does not. */
  at: string | null
}

export interface Anchors {
  path: string
  /** One line for each head that has moved since the last one noted, on the disk when this returns. AppError internal when it cannot be written. */
  note(heads: readonly Anchor[]): Promise<void>
  /** The last one noted by this process or found in the file when it came up. */
  last(organizationId: string): Promise<Anchor | null>
}

export function createAnchors(path: string): Anchors {
  let known: Promise<Map<string, Anchor>> | null = null
  const lasts = () =>
    (known ??= lastOf(path).catch((cause: unknown) => {
      known = null
      throw unwritable(path, cause)
    }))
  return {
    path,
    last: async organizationId => (await lasts()).get(organizationId) ?? null,
    async note(heads) {
      const noted = await lasts()
      const moved = heads.filter(({ organizationId, seq, mac }) => {
        const before = noted.get(organizationId)
        return before?.seq !== seq || before.mac !== mac
      })
      await append(path, moved.map(anchor => `${JSON.stringify(anchor)}\n`).join(''))
      for (const anchor of moved) noted.set(anchor.organizationId, anchor)
    }
  }
}

async function append(path: string, lines: string): Promise<void> {
  let file: FileHandle | undefined
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    file = await open(path, 'a+', 0o600)
    if (lines === '') return
    const { size } = await file.stat()
    const end = Buffer.alloc(1)
    if (size > 0) await file.read(end, 0, 1, size - 1)
    // A line that a crash cut off must not swallow this one.
    await file.appendFile(size > 0 && end.toString() !== '\n' ? `\n${lines}` : lines)
    await file.sync()
  } catch (cause) {
    throw unwritable(path, cause)
  } finally {
    await file?.close()
  }
}

function unwritable(path: string, cause: unknown): AppError {
  return new AppError('internal', `The heads of the audit trail cannot be noted in ${path}.`, {
    cause,
    remedy: 'Name a file that this server may append to in QUAYSIDE_ANCHOR_FILE.'
  })
}

/**
 * Notes every chain's head in the file and in the log. One that is not a continuation of what was noted is an error in the log at once:
 * verifying says where.
 */
export async function anchorAudit(db: Db, anchors: Anchors, log: Log): Promise<void> {
  const heads: Anchor[] = []
  const at = new Date().toISOString()
  for (const { id: organizationId } of await db.selectFrom('organization').select('id').execute()) {
    const { seq, mac } = await headOf(db, organizationId)
    const before = await anchors.last(organizationId)
    if (before && !(await stands(db, before))) {
      log.error({ organizationId, seq, anchoredSeq: before.seq }, 'audit trail does not agree with its anchor')
    }
    if (seq === 0) continue
    heads.push({ organizationId, seq, mac, at })
    log.info({ organizationId, seq, mac }, 'audit anchor')
  }
  await anchors.note(heads)
}

async function stands(db: Db, { organizationId, seq, mac }: Anchor): Promise<boolean> {
  const query = db.selectFrom('audit_event').select('id').where('organization_id', '=', organizationId).where('seq', '=', seq)
  return (await query.where('mac', '=', mac).executeTakeFirst()) !== undefined
}

async function lastOf(path: string): Promise<Map<string, Anchor>> {
  const last = new Map<string, Anchor>()
  for (let from: number | null = 0; from !== null; ) {
    const piece: Awaited<ReturnType<typeof readAnchors>> | null = await readAnchors(path, from).catch((error: unknown) => {
      if (error instanceof AppError && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') return null
      throw error
    })
    for (const anchor of piece?.anchors ?? []) last.set(anchor.organizationId, anchor)
    from = piece?.next ?? null
  }
  return last
}

const chunkBytes = 64 * 1024

/**
 * The anchors in a piece of the file that begins at the byte `from`; `next` = where to go on, null at its end. Other lines of a log are
 * passed over; `unreadable` counts those that are no JSON. AppError not_found when there is no such file.
 */
export async function readAnchors(path: string, from = 0): Promise<{ anchors: Anchor[]; unreadable: number; next: number | null }> {
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw new AppError('not_found', `There is no readable file ${path}.`, { cause })
  })
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(chunkBytes), 0, chunkBytes, from)
    const piece = buffer.subarray(0, bytesRead)
    const isLast = bytesRead < chunkBytes
    const lastBreak = piece.lastIndexOf('\n')
    // A line longer than a piece is none of ours; it is left in two.
    const end = isLast || lastBreak < 0 ? bytesRead : lastBreak + 1
    const lines = piece
      .subarray(0, end)
      .toString()
      .split('\n')
      .filter(line => line.trim() !== '')
    const read = lines.map(anchorIn)
    return {
      anchors: read.filter(anchor => anchor !== null && anchor !== 'unreadable'),
      unreadable: read.filter(anchor => anchor === 'unreadable').length,
      next: isLast ? null : from + end
    }
  } finally {
    await file.close()
  }
}

function anchorIn(line: string): Anchor | 'unreadable' | null {
  try {
    const { organizationId, seq, mac, at, time, msg } = JSON.parse(line) as Partial<Record<string, unknown>>
    if (msg !== undefined && msg !== 'audit anchor') return null
    if (typeof organizationId !== 'string' || typeof mac !== 'string' || !Number.isSafeInteger(seq) || Number(seq) < 1) return null
    const when = at ?? time
    return { organizationId, seq: Number(seq), mac, at: typeof when === 'string' ? when : null }
  } catch {
    return 'unreadable'
  }
}

/** What anchors say of one chain; several pieces of a file, or several files, fold into one. */
export interface Compared {
  organizationId: string
  compared: number
  /** The highest number that is as anchored; 0 = none. */
  held: number
  /** The lowest number whose genuine event is another than anchored. */
  rewritten: (Anchor & { eventId: string; eventAt: number }) | null
  /** The highest anchor beyond the end. */
  beyond: Anchor | null
  /** Where the chain ends. */
  end: number
}

/** At most some hundred anchors at once. What is missing or changed at an anchor's number is for verifyStretch to name. */
export async function compareAnchors(db: Db, vault: Marks, anchors: readonly Anchor[]): Promise<Compared[]> {
  const results: Compared[] = []
  for (const [organizationId, own] of Map.groupBy(anchors, anchor => anchor.organizationId)) {
    const rows = await db
      .selectFrom('audit_event')
      .select(['seq', 'mac', 'id', 'at'])
      .where('organization_id', '=', organizationId)
      .where('seq', 'in', [...new Set(own.map(({ seq }) => seq))])
      .execute()
    const bySeq = new Map(rows.map(row => [row.seq, row]))
    const { seq: end } = await headOf(db, organizationId)
    let result: Compared = { organizationId, compared: own.length, held: 0, rewritten: null, beyond: null, end }
    for (const anchor of own) {
      const row = bySeq.get(anchor.seq)
      if (row?.mac === anchor.mac) result.held = Math.max(result.held, anchor.seq)
      else if (anchor.seq > end) result = fold(result, { ...result, compared: 0, beyond: anchor })
      else if (row && (await isGenuineAt(db, vault, organizationId, anchor.seq)))
        result = fold(result, { ...result, compared: 0, rewritten: { ...anchor, eventId: row.id, eventAt: row.at } })
    }
    results.push(result)
  }
  return results
}

/** Two results of the same chain. */
export function fold(one: Compared, other: Compared): Compared {
  const rewritten = [one.rewritten, other.rewritten].filter(anchor => anchor !== null).toSorted((a, b) => a.seq - b.seq)[0] ?? null
  const beyond = [one.beyond, other.beyond].filter(anchor => anchor !== null).toSorted((a, b) => b.seq - a.seq)[0] ?? null
  return {
    ...one,
    compared: one.compared + other.compared,
    held: Math.max(one.held, other.held),
    end: Math.max(one.end, other.end),
    rewritten,
    beyond
  }
}

export function findingsOf({ organizationId, held, rewritten, beyond, end }: Compared): Finding[] {
  const findings: Finding[] = []
  const noted = ({ at }: Anchor) => (at === null ? 'once' : `at ${at}`)
  if (rewritten) {
    const { seq, eventId, eventAt } = rewritten
    const since = held > 0 && held < seq ? `after number ${held}` : 'from the beginning'
    const text = `It is not what was anchored ${noted(rewritten)}: the history was rewritten ${since}, with the key.`
    findings.push({ organizationId, seq, eventId, at: eventAt, kind: 'rewritten', text })
  }
  if (beyond && beyond.seq > end) {
    const text = `Number ${end + 1} to ${beyond.seq} were cut off: number ${beyond.seq} was anchored ${noted(beyond)}.`
    findings.push({ organizationId, seq: end + 1, eventId: null, at: null, kind: 'truncated', text })
  }
  return findings
}
