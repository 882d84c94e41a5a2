// What is taken away of a trail: complete, in order, and with links that can be followed without us.
import { beforeEach, expect, it } from 'vitest'
import { appendAudit, headOf } from '../../server/audit/audit.ts'
import { exportPage, type ExportAsked, type ExportPlace } from '../../server/audit/export.ts'
import type { Db } from '../../server/database/database.ts'
import type { Row } from '../../server/database/schema.ts'
import type { Vault } from '../../server/vault/vault.ts'
import { forEachDatabase } from '../support/databases.ts'
import { insertOrganization } from '../support/rows.ts'
import { testVault } from '../support/vault.ts'

type Line = Row<'audit_event'> & {
  head?: { seq: number; mac: string }
  exported?: { from: number; to: number } | null
  reveals?: { purpose: string; day: string; count: number }[]
}

forEachDatabase(open => {
  let db: Db
  let vault: Vault
  let one: string
  let other: string
  beforeEach(async () => {
    db = (await open()).db
    vault = await testVault(db)
    one = (await insertOrganization(db)).id
    other = (await insertOrganization(db)).id
  })

  async function append(organizationId: string, count: number) {
    await db.transaction().execute(async trx => {
      for (let n = 0; n < count; n++)
        await appendAudit(trx, vault, {
          organizationId,
          actor: { kind: 'system', id: 'x', name: 'X' },
          action: 'sync.pause',
          object: { kind: 'sync', id: `${n}`, name: '"quoted"\nand broken' }
        })
    })
  }
  async function exported(asked: ExportAsked = {}): Promise<Line[]> {
    const lines: Line[] = []
    for (let place: ExportPlace | null | undefined; place !== null; ) {
      const page: Awaited<ReturnType<typeof exportPage>> = await exportPage(db, asked, place ?? null)
      // As it goes over the wire and into the file.
      lines.push(...page.lines.map(line => JSON.parse(JSON.stringify(line)) as Line))
      place = page.next
    }
    return lines
  }
  /** What whoever holds the file alone can tell. */
  function linksHold(lines: Line[]): boolean {
    const events = lines.filter(line => line.head === undefined)
    const closing = lines.find(line => line.head !== undefined)
    return (
      events.every(
        (event, at) => at === 0 || (event.previous_mac === events[at - 1]?.mac && event.seq === (events[at - 1]?.seq ?? 0) + 1)
      ) && closing?.head?.mac === events.at(-1)?.mac
    )
  }
  const at = async (seq: number, time: number) =>
    await db.updateTable('audit_event').set({ at: time }).where('organization_id', '=', one).where('seq', '=', seq).execute()

  it('is every event of every organization in order, each followed by its head; over many pages as well', async () => {
    await append(one, 1_003)
    await append(other, 2)
    const lines = await exported()
    expect(lines.map(line => line.organization_id)).toEqual([...Array<string>(1_004).fill(one), ...Array<string>(3).fill(other)])
    const own = lines.slice(0, 1_004)
    expect(own.slice(0, -1).map(({ seq }) => seq)).toEqual(Array.from({ length: 1_003 }, (_, n) => n + 1))
    expect(linksHold(own)).toBe(true)
    expect(linksHold(lines.slice(1_004))).toBe(true)
    expect(linksHold(own.toSpliced(500, 1))).toBe(false)
    expect(own.at(-1)).toMatchObject({ head: await headOf(db, one), exported: { from: 1, to: 1_003 } })
    const columns = await db
      .selectFrom('audit_event')
      .selectAll()
      .where('organization_id', '=', one)
      .where('seq', '=', 1)
      .executeTakeFirst()
    expect(own[0]).toEqual(columns)
  })

  it('what comes while it is written does not part head and events', async () => {
    await append(one, 600)
    const first = await exportPage(db, { organizationId: one }, null)
    await append(one, 5)
    const second = await exportPage(db, { organizationId: one }, first.next)
    expect(linksHold([...first.lines, ...second.lines] as Line[])).toBe(true)
    expect(second.next).toBe(null)
  })

  it('from and until a time is an unbroken stretch, although a clock went back', async () => {
    await append(one, 6)
    for (const [seq, time] of [100, 200, 300, 150, 400, 500].entries()) await at(seq + 1, time)
    const seqs = async (asked: ExportAsked) => (await exported({ organizationId: one, ...asked })).map(line => line.seq ?? line.exported)
    expect(await seqs({ since: 200 })).toEqual([2, 3, 4, 5, 6, { from: 2, to: 6 }])
    expect(await seqs({ until: 200 })).toEqual([1, 2, 3, 4, { from: 1, to: 4 }])
    expect(await seqs({ since: 300, until: 500 })).toEqual([3, 4, 5, { from: 3, to: 5 }])
    expect(await seqs({ since: 501 })).toEqual([null])
    expect(await seqs({ until: 100 })).toEqual([null])
  })

  it('ends with how often secrets were opened, by purpose and day, over all installations', async () => {
    const day = '2026-11-22'
    const rows = [
      { organization_id: one, installation_id: 'a', purpose: 'connection', day, count: 2 },
      { organization_id: one, installation_id: 'b', purpose: 'connection', day, count: 3 },
      { organization_id: one, installation_id: 'a', purpose: 'management_token', day: '2026-11-23', count: 7 },
      { organization_id: other, installation_id: 'c', purpose: 'connection', day, count: 11 }
    ]
    await db.insertInto('reveal_count').values(rows).execute()
    const reveals = async (asked: ExportAsked) => (await exported({ organizationId: one, ...asked })).at(-1)?.reveals
    const until = Date.parse('2026-12-01')
    expect(await reveals({ until })).toEqual([
      { purpose: 'connection', day, count: 5 },
      { purpose: 'management_token', day: '2026-11-23', count: 7 }
    ])
    expect(await reveals({ until: Date.parse('2026-11-23T00:00:00Z') })).toHaveLength(1)
    expect(await reveals({ since: Date.parse('2026-11-23T12:00:00Z'), until })).toMatchObject([{ purpose: 'management_token' }])
  })

  it('of an organization that nobody knows is refused; of one whose row is gone, its trail is still there', async () => {
    await expect(exported({ organizationId: 'org_nobody' })).rejects.toMatchObject({ code: 'not_found' })
    await append('org_without_a_row', 2)
    expect(linksHold(await exported({ organizationId: 'org_without_a_row' }))).toBe(true)
    expect((await exported()).filter(line => line.organization_id === 'org_without_a_row')).toHaveLength(3)
  })
})
