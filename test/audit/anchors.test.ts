// Heads noted outside the database: the file they stand in, what else may stand in it, and what comes of a history that does not agree.
import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Anchor, anchorAudit, createAnchors, findingsOf, fold, readAnchors } from '../../server/audit/anchors.ts'
import { appendAudit, headOf } from '../../server/audit/audit.ts'
import type { Db } from '../../server/database/database.ts'
import { createLog } from '../../server/log.ts'
import type { Vault } from '../../server/vault/vault.ts'
import { forEachDatabase } from '../support/databases.ts'
import { insertOrganization } from '../support/rows.ts'
import { testVault } from '../support/vault.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'quayside-anchors-'))
})
afterAll(() => rm(folder, { recursive: true }))

let files = 0
const newPath = () => join(folder, `made-on-the-way-${(files += 1)}`, 'anchors.jsonl')

async function allIn(path: string): Promise<{ anchors: Anchor[]; unreadable: number }> {
  const all: { anchors: Anchor[]; unreadable: number } = { anchors: [], unreadable: 0 }
  for (let from: number | null = 0; from !== null; ) {
    const piece: Awaited<ReturnType<typeof readAnchors>> = await readAnchors(path, from)
    all.anchors.push(...piece.anchors)
    all.unreadable += piece.unreadable
    from = piece.next
  }
  return all
}

forEachDatabase(open => {
  let db: Db
  let vault: Vault
  let org: string
  beforeEach(async () => {
    db = (await open()).db
    vault = await testVault(db)
    org = (await insertOrganization(db)).id
  })
  const append = async (count = 1) => {
    for (let n = 0; n < count; n++)
      await appendAudit(db, vault, {
        organizationId: org,
        actor: { kind: 'system', id: 'x', name: 'X' },
        action: 'sync.pause',
        object: { kind: 'sync', id: 's', name: 'S' }
      })
  }
  function logging() {
    const lines: string[] = []
    return { log: createLog('info', { write: line => void lines.push(line) }), lines }
  }

  it('notes each head once as long as it does not move, for its owner alone to read', async () => {
    const path = newPath()
    const { log, lines } = logging()
    await insertOrganization(db)
    await append(2)
    const anchors = createAnchors(path)
    await anchorAudit(db, anchors, log)
    await anchorAudit(db, anchors, log)
    // Another process finds in the file what was noted.
    await anchorAudit(db, createAnchors(path), log)
    await append()
    await anchorAudit(db, anchors, log)
    const { anchors: noted, unreadable } = await allIn(path)
    expect(noted.map(({ organizationId, seq }) => [organizationId, seq])).toEqual([
      [org, 2],
      [org, 3]
    ])
    expect(noted[1]?.mac).toBe((await headOf(db, org)).mac)
    expect(Date.parse(noted[1]?.at ?? '')).toBeCloseTo(Date.now(), -5)
    expect(unreadable).toBe(0)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    // The log has each one, every time, and is itself a file of anchors.
    await writeFile(`${path}.log`, lines.join(''))
    expect((await allIn(`${path}.log`)).anchors.map(({ seq, mac }) => [seq, mac === noted[seq - 2]?.mac])).toEqual([
      [2, true],
      [2, true],
      [2, true],
      [3, true]
    ])
  })

  it.each<[string, (noted: { seq: number }) => Promise<unknown>]>([
    ['shorter than', () => db.deleteFrom('audit_event').where('organization_id', '=', org).where('seq', '=', 3).execute()],
    [
      'another than',
      () => db.updateTable('audit_event').set({ mac: 'x' }).where('organization_id', '=', org).where('seq', '=', 3).execute()
    ]
  ])('says at once that a history is %s what was noted', async (_case, tamper) => {
    const path = newPath()
    const { log, lines } = logging()
    await append(3)
    await anchorAudit(db, createAnchors(path), log)
    await append()
    await anchorAudit(db, createAnchors(path), log)
    expect(lines.join('')).not.toContain('does not agree')
    await db.deleteFrom('audit_event').where('organization_id', '=', org).where('seq', '=', 4).execute()
    await tamper({ seq: 3 })
    await anchorAudit(db, createAnchors(path), log)
    expect(lines.filter(line => line.includes('audit trail does not agree with its anchor'))).toHaveLength(1)
  })

  it('says which file cannot be written, and notes what was missed when it can', async () => {
    const path = newPath()
    await append()
    await writeFile(join(folder, `a-file-${files}`), '')
    const impossible = createAnchors(join(folder, `a-file-${files}`, 'anchors.jsonl'))
    const { log } = logging()
    await expect(anchorAudit(db, impossible, log)).rejects.toMatchObject({ remedy: expect.stringContaining('QUAYSIDE_ANCHOR_FILE') })
    const anchors = createAnchors(path)
    await anchorAudit(db, anchors, log)
    await rm(path)
    await append()
    await anchorAudit(db, anchors, log)
    expect((await allIn(path)).anchors.map(({ seq }) => seq)).toEqual([2])
  })
})

describe('a file of anchors', () => {
  const line = (seq: number, more: object = {}) => JSON.stringify({ organizationId: 'org_1', seq, mac: `mac ${seq}`, ...more })

  it.each<[string, string, number[], number]>([
    ['nothing', '', [], 0],
    ['empty lines', '\n\n  \n', [], 0],
    ['one line without an end', line(1), [1], 0],
    ['lines of a log', `${line(1, { msg: 'audit anchor', time: 't' })}\n${JSON.stringify({ msg: 'answered', status: 200 })}\n`, [1], 0],
    ['a refusal that only looks like one', line(1, { msg: 'refused' }), [], 0],
    ['no JSON', `npm start\n${line(1)}\n`, [1], 1],
    ['a line that broke off', `${line(1).slice(0, 20)}\n${line(2)}\n`, [2], 1],
    [
      'numbers that are none',
      `${line(0)}\n${line(-1)}\n${line(1.5)}\n${JSON.stringify({ organizationId: 'o', seq: '7', mac: 'm' })}\n`,
      [],
      0
    ],
    ['JSON that is no object', '7\nnull\n"x"\n[]\n', [], 1]
  ])('with %s', async (_case, content, seqs, unreadable) => {
    const path = join(folder, `content-${(files += 1)}`)
    await writeFile(path, content)
    const all = await allIn(path)
    expect(all.anchors.map(({ seq }) => seq)).toEqual(seqs)
    expect(all.unreadable).toBe(unreadable)
  })

  it('is read a piece at a time, none lost between the pieces, whatever length the lines have', async () => {
    const path = join(folder, `long-${(files += 1)}`)
    const lines = Array.from({ length: 4_000 }, (_, n) => line(n + 1, { padding: 'é'.repeat(n % 97) }))
    await writeFile(path, `${lines.join('\n')}\n`)
    expect((await allIn(path)).anchors.map(({ seq }) => seq)).toEqual(lines.map((_, n) => n + 1))
    await appendFile(path, `${'x'.repeat(200_000)}\n${line(4_001)}\n`)
    const all = await allIn(path)
    expect(all.anchors.at(-1)?.seq).toBe(4_001)
    expect(all.unreadable).toBeGreaterThan(0)
  })

  it('goes on in a new line after one that broke off', async () => {
    const path = join(folder, `broken-${(files += 1)}`)
    await writeFile(path, line(1).slice(0, 30))
    await createAnchors(path).note([{ organizationId: 'org_1', seq: 2, mac: 'm', at: null }])
    expect((await readFile(path, 'utf8')).split('\n')[1]).toContain('"seq":2')
    expect((await allIn(path)).anchors.map(({ seq }) => seq)).toEqual([2])
  })

  it('that is not there is said', async () => {
    await expect(readAnchors(join(folder, 'nowhere'))).rejects.toMatchObject({ code: 'not_found' })
  })
})

it('what pieces of anchors say of one chain folds into the first that was rewritten and the last that was cut off', () => {
  const one = { organizationId: 'o', compared: 2, held: 3, rewritten: null, beyond: null, end: 9 }
  const anchor = (seq: number) => ({ organizationId: 'o', seq, mac: 'm', at: null, eventId: `e${seq}`, eventAt: 1 })
  const other = { ...one, compared: 5, held: 4, rewritten: anchor(7), beyond: anchor(12) }
  const third = { ...one, compared: 1, held: 0, rewritten: anchor(6), beyond: anchor(11) }
  const folded = fold(fold(one, other), third)
  expect(folded).toMatchObject({ compared: 8, held: 4, rewritten: { seq: 6 }, beyond: { seq: 12 } })
  expect(findingsOf(folded)).toMatchObject([
    { kind: 'rewritten', seq: 6, eventId: 'e6', text: expect.stringContaining('after number 4') },
    { kind: 'truncated', seq: 10, text: expect.stringContaining('10 to 12') }
  ])
})
