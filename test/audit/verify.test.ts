// Everything that can be done to a trail behind its back, on both databases: each is found and named, and nothing else is.
import fc from 'fast-check'
import { beforeEach, expect, test } from 'vitest'
import { compareAnchors, findingsOf } from '../../server/audit/anchors.ts'
import { type Actor, appendAudit, headOf } from '../../server/audit/audit.ts'
import { coveredText, eraseAction } from '../../server/audit/chain.ts'
import { eraseSubjects } from '../../server/audit/erase.ts'
import { beginning, type Finding, mostFindings, verifyAudit, verifyStretch } from '../../server/audit/verify.ts'
import type { Db } from '../../server/database/database.ts'
import { newId } from '../../server/database/id.ts'
import type { Row } from '../../server/database/schema.ts'
import type { Vault } from '../../server/vault/vault.ts'
import { forEachDatabase } from '../support/databases.ts'
import { insertOrganization } from '../support/rows.ts'
import { testVault } from '../support/vault.ts'

type Event = Row<'audit_event'>
const ada: Actor = { kind: 'admin', id: 'person_1', name: 'Ada Admin' }

forEachDatabase(open => {
  let db: Db
  let org: string
  let vault: Vault
  beforeEach(async () => {
    db ??= (await open()).db
    vault ??= await testVault(db)
    org = (await insertOrganization(db)).id
  })

  async function append(count: number, organizationId = org): Promise<void> {
    await db.transaction().execute(async trx => {
      for (let n = 1; n <= count; n++)
        await appendAudit(trx, vault, {
          organizationId,
          installationId: 'ins_a',
          actor: ada,
          action: 'sync.pause',
          object: { kind: 'sync', id: `syn_${n}`, name: `Sync ${n}` },
          detail: { n }
        })
    })
  }
  const rowAt = async (seq: number): Promise<Event> =>
    await db.selectFrom('audit_event').selectAll().where('organization_id', '=', org).where('seq', '=', seq).executeTakeFirstOrThrow()
  const put = async (row: Event) => await db.insertInto('audit_event').values(row).execute()
  const set = async (seq: number, changes: Partial<Event>) =>
    await db.updateTable('audit_event').set(changes).where('organization_id', '=', org).where('seq', '=', seq).execute()
  const remove = async (from: number, to = from) =>
    await db.deleteFrom('audit_event').where('organization_id', '=', org).where('seq', '>=', from).where('seq', '<=', to).execute()
  /** Upwards from the highest, so that no two have one number on the way. */
  const move = async (from: number, by: number) => {
    const { seq: last } = await headOf(db, org)
    const numbers = Array.from({ length: last - from + 1 }, (_, n) => from + n)
    for (const seq of by > 0 ? numbers.toReversed() : numbers) await set(seq, { seq: seq + by })
  }
  const swap = async (one: number, other: number) => {
    await set(one, { seq: 1_000_000 })
    await set(other, { seq: one })
    await set(1_000_000, { seq: other })
  }
  /** What somebody without the key can do at best. */
  const forge = (row: Event): Event => ({ ...row, id: newId('aud'), mac: 'v1:'.padEnd(67, 'a'), actor_name: 'Mallory' })
  /** What somebody with the key can do: from this number on another history, in itself without fault. */
  const rewriteFrom = async (seq: number) => {
    const { seq: last } = await headOf(db, org)
    let previous = seq === 1 ? '' : (await rowAt(seq - 1)).mac
    for (let at = seq; at <= last; at++) {
      const { mac: _mac, erased_at: _erased, ...row } = { ...(await rowAt(at)), actor_name: 'Mallory', previous_mac: previous }
      previous = vault.mac('audit', coveredText(row))
      await set(at, { actor_name: row.actor_name, previous_mac: row.previous_mac, mac: previous })
    }
  }
  /** Blanks all that stands before it, as erasing an organization does. */
  const erase = async () => {
    const { seq: upTo } = await headOf(db, org)
    const detail = { upTo }
    await appendAudit(db, vault, {
      organizationId: org,
      actor: ada,
      action: eraseAction,
      object: { kind: 'organization', id: org, name: org },
      detail
    })
    await db.transaction().execute(async trx => await eraseSubjects(trx, vault, { organizationId: org, after: 0, upTo, limit: 1_000 }))
  }

  async function findings(anchors: { seq: number; mac: string }[] = [], limit?: number): Promise<Finding[]> {
    const found: Finding[] = []
    for (let place = beginning; ; ) {
      const stretch = await verifyStretch(db, vault, org, place, limit)
      found.push(...stretch.findings)
      place = stretch.place
      if (stretch.done) break
    }
    const compared = await compareAnchors(
      db,
      vault,
      anchors.map(anchor => ({ ...anchor, organizationId: org, at: '2026-11-23T00:00:00.000Z' }))
    )
    return [...found, ...compared.flatMap(findingsOf)]
  }
  const named = (found: Finding[]) => found.map(({ kind, seq }) => `${kind} ${seq}`)

  const columns: [keyof Event, unknown][] = [
    ['id', 'another'],
    ['installation_id', 'ins_b'],
    ['installation_id', null],
    ['at', 5],
    ['actor_kind', 'system'],
    ['actor_id', 'person_2'],
    ['actor_name', 'Bob'],
    ['action', 'sync.resume'],
    ['object_kind', 'run'],
    ['object_id', 'syn_9'],
    ['object_name', 'Other'],
    ['detail_json', '{"n":4}'],
    ['detail_json', 'not JSON'],
    ['previous_mac', ''],
    ['mac', ''],
    ['mac', 'v1:'.padEnd(67, '0')],
    ['erased_at', 5]
  ]
  test.each(columns.flatMap(([column, value]) => [1, 3, 5].map(seq => [column, value, seq] as const)))(
    'a changed %s (%s) of number %i is found, and nothing else',
    async (column, value, seq) => {
      await append(5)
      if (column === 'id') value = newId('aud')
      if (column === 'previous_mac' && seq === 1) value = 'v1:'.padEnd(67, '0')
      await set(seq, { [column]: value })
      expect(named(await findings())).toEqual([`changed ${seq}`])
      const [found] = await findings()
      const row = await rowAt(seq)
      expect(found).toMatchObject({ organizationId: org, eventId: row.id, at: row.at })
    }
  )

  test('a number that is none is found, and does not stop the command for ever', async () => {
    await append(3)
    await set(2, { seq: -7 })
    expect(named(await findings())).toEqual(['reordered -7', 'missing 2'])
  })

  test('an event given to another organization is missing here and changed there', async () => {
    const other = (await insertOrganization(db)).id
    await append(3)
    await append(1, other)
    await db.updateTable('audit_event').set({ organization_id: other }).where('organization_id', '=', org).where('seq', '=', 2).execute()
    expect(named(await findings())).toEqual(['missing 2'])
    expect(await verifyAudit(db, vault, other)).toMatchObject({ ok: false, seq: 2 })
  })

  interface Tampering {
    what: string
    tamper: () => Promise<unknown>
    finds: string[]
    /** Heads noted before. */
    anchored?: number[]
  }
  const tamperings: Tampering[] = [
    { what: 'the first deleted', tamper: () => remove(1), finds: ['missing 1'] },
    { what: 'one in the middle deleted', tamper: () => remove(3), finds: ['missing 3'] },
    { what: 'three in a row deleted', tamper: () => remove(2, 4), finds: ['missing 2'] },
    { what: 'two apart deleted', tamper: async () => [await remove(2), await remove(5)], finds: ['missing 2', 'missing 5'] },
    {
      what: 'one deleted, the rest moved up',
      tamper: async () => [await remove(4), await move(5, -1)],
      finds: ['reordered 4', 'reordered 5']
    },
    { what: 'neighbours swapped', tamper: () => swap(3, 4), finds: ['reordered 3', 'reordered 4'] },
    { what: 'two apart swapped', tamper: () => swap(2, 5), finds: ['reordered 2', 'reordered 5'] },
    { what: 'one moved behind the end', tamper: () => set(2, { seq: 90 }), finds: ['missing 2', 'reordered 90'] },
    {
      what: 'one put in, the rest moved down',
      tamper: async () => {
        const row = await rowAt(3)
        await move(3, 1)
        await put(forge(row))
      },
      finds: ['inserted 3', 'reordered 4', 'reordered 5', 'reordered 6', 'reordered 7']
    },
    {
      what: 'one put in at the end',
      tamper: async () => {
        const row = await rowAt(6)
        await put(forge({ ...row, seq: 7, previous_mac: row.mac }))
      },
      finds: ['changed 7']
    },
    {
      what: 'one put in before the beginning',
      tamper: async () => await put(forge({ ...(await rowAt(1)), seq: 0 })),
      finds: ['inserted 0']
    },
    {
      what: 'one put in far behind the end',
      tamper: async () => await put(forge({ ...(await rowAt(6)), seq: 100 })),
      finds: ['missing 7', 'changed 100']
    },
    {
      what: 'one replaced by a forged one',
      tamper: async () => {
        const row = await rowAt(4)
        await remove(4)
        await put(forge(row))
      },
      finds: ['changed 4']
    },
    { what: 'the end cut off', tamper: () => remove(5, 6), anchored: [4, 6], finds: ['truncated 5'] },
    { what: 'all of it deleted', tamper: () => remove(1, 6), anchored: [3], finds: ['truncated 1'] },
    {
      what: 'the end cut off and grown again',
      tamper: async () => {
        await remove(4, 6)
        await append(4)
      },
      anchored: [3, 5, 6],
      finds: ['rewritten 5']
    },
    { what: 'all of it written anew with the key', tamper: () => rewriteFrom(1), anchored: [2, 4], finds: ['rewritten 2'] },
    { what: 'its tail written anew with the key', tamper: () => rewriteFrom(3), anchored: [2, 4, 6], finds: ['rewritten 4'] },
    { what: 'its last one written anew with the key', tamper: () => rewriteFrom(6), anchored: [6], finds: ['rewritten 6'] },
    {
      what: 'one written anew with the key, its successors left',
      tamper: async () => {
        const { mac: _mac, erased_at: _erased, ...row } = { ...(await rowAt(3)), actor_name: 'Mallory' }
        await set(3, { actor_name: 'Mallory', mac: vault.mac('audit', coveredText(row)) })
      },
      finds: ['rewritten 4']
    },
    { what: 'one called erased that is not', tamper: () => set(3, { erased_at: Date.now() }), finds: ['changed 3'] },
    {
      what: 'one blanked that is not called erased',
      tamper: () =>
        set(3, { actor_id: '', actor_name: 'erased', object_id: '', object_name: 'erased', detail_json: '{}', installation_id: null }),
      finds: ['changed 3']
    },
    {
      what: 'one blanked and called erased by somebody without the key',
      tamper: () =>
        set(3, {
          actor_id: '',
          actor_name: 'erased',
          object_id: '',
          object_name: 'erased',
          detail_json: '{"remains":"v1:00"}',
          installation_id: null,
          erased_at: 5
        }),
      finds: ['changed 3']
    },
    {
      what: 'some blanked as erasing does, without the event of an erasing',
      tamper: async () => {
        await db.transaction().execute(async trx => await eraseSubjects(trx, vault, { organizationId: org, after: 1, upTo: 3, limit: 10 }))
      },
      finds: ['changed 2', 'changed 3']
    },
    {
      what: 'erased rightly, then the event of the erasing deleted',
      tamper: async () => {
        await erase()
        await remove(7)
      },
      anchored: [6, 7],
      finds: ['changed 1', 'changed 2', 'changed 3', 'changed 4', 'changed 5', 'changed 6']
    },
    {
      what: 'erased rightly, then the event of the erasing stretched over what came later',
      tamper: async () => {
        await erase()
        await append(2)
        await set(7, { detail_json: JSON.stringify({ upTo: 9 }) })
        await db.transaction().execute(async trx => await eraseSubjects(trx, vault, { organizationId: org, after: 7, upTo: 8, limit: 10 }))
      },
      finds: ['changed 1', 'changed 2', 'changed 3', 'changed 4', 'changed 5', 'changed 6', 'changed 7', 'changed 8']
    },
    {
      what: 'erased rightly, then the time of an erased one changed',
      tamper: async () => [await erase(), await set(2, { at: 5 })],
      finds: ['changed 2']
    },
    {
      what: 'erased rightly, then an erased one filled with words again',
      tamper: async () => [await erase(), await set(2, { actor_name: 'Bob' })],
      finds: ['changed 2']
    },
    {
      what: 'erased rightly, then two erased ones swapped',
      tamper: async () => [await erase(), await swap(2, 4)],
      finds: ['reordered 2', 'reordered 4']
    },
    { what: 'erased rightly, then an erased one deleted', tamper: async () => [await erase(), await remove(2)], finds: ['missing 2'] }
  ]
  test.each(tamperings)('$what: $finds', async ({ tamper, finds, anchored = [] }) => {
    await append(6)
    const before = await Promise.all(anchored.filter(seq => seq <= 6).map(rowAt))
    await tamper()
    const found = named(await findings(before.map(({ seq, mac }) => ({ seq, mac }))))
    expect(found.filter(name => !finds.includes(name))).toEqual([])
    expect(found).toEqual(finds)
    // A piece at a time finds the same.
    expect(named(await findings(before, 1)).toSorted()).toEqual(finds.toSorted())
  })

  test('without an anchor a cut end and a tail written anew do not show, and are not claimed to', async () => {
    await append(6)
    await rewriteFrom(3)
    await remove(6)
    expect(await findings()).toEqual([])
  })

  test('an erased history holds, before and after, with its anchors, and may be erased again', async () => {
    await append(4)
    const anchors = [await rowAt(2), await rowAt(4)]
    await erase()
    expect(await findings(anchors)).toEqual([])
    await append(3)
    await erase()
    expect(await findings(anchors)).toEqual([])
    expect((await rowAt(2)).actor_name).toBe('erased')
    expect((await rowAt(9)).actor_name).toBe(ada.name)
  })

  test('what is verified while it is erased holds at every moment', async () => {
    await append(6)
    const upTo = 6
    await appendAudit(db, vault, {
      organizationId: org,
      actor: ada,
      action: eraseAction,
      object: { kind: 'organization', id: org, name: org },
      detail: { upTo }
    })
    for (let after = 0; after < upTo; after += 2) {
      await db.transaction().execute(async trx => await eraseSubjects(trx, vault, { organizationId: org, after, upTo, limit: 2 }))
      expect(await findings()).toEqual([])
    }
  })

  test('a history that is wrong throughout is left after some findings', async () => {
    await append(mostFindings + 10)
    await db.updateTable('audit_event').set({ actor_name: 'Mallory' }).where('organization_id', '=', org).execute()
    expect(await findings()).toHaveLength(mostFindings)
  })

  test('whatever is done to one event of a chain, it does not hold any more', async () => {
    const seqs = fc.integer({ min: 1, max: 8 })
    const text = fc.string({ maxLength: 12 }).filter(value => !value.includes('\0'))
    const tampering = fc.oneof(
      fc.record({ do: fc.constant('set' as const), seq: seqs, column: fc.constantFrom(...columns.map(([column]) => column)), value: text }),
      fc.record({ do: fc.constant('remove' as const), seq: fc.integer({ min: 1, max: 7 }) }),
      fc.record({ do: fc.constant('swap' as const), seq: seqs, other: seqs }),
      fc.record({ do: fc.constant('insert' as const), seq: fc.integer({ min: 1, max: 9 }), value: text }),
      fc.record({ do: fc.constant('rewrite' as const), seq: seqs })
    )
    await fc.assert(
      fc.asyncProperty(fc.boolean(), tampering, async (isErased, given) => {
        org = (await insertOrganization(db)).id
        await append(isErased ? 5 : 8)
        if (isErased) {
          await erase()
          await append(2)
        }
        const chain = await db.selectFrom('audit_event').selectAll().where('organization_id', '=', org).orderBy('seq').execute()
        expect(await findings(chain)).toEqual([])
        if (given.do === 'set') {
          const isNumber = given.column === 'at' || given.column === 'erased_at'
          await set(given.seq, { [given.column]: isNumber ? given.value.length : given.value })
        } else if (given.do === 'remove') await remove(given.seq)
        else if (given.do === 'swap' && given.seq !== given.other) await swap(given.seq, given.other)
        else if (given.do === 'insert') {
          await move(given.seq, 1)
          await put(forge({ ...chain[Math.min(given.seq, 8) - 1]!, seq: given.seq, actor_id: given.value }))
        } else if (given.do === 'rewrite') await rewriteFrom(given.seq)
        const now = await db.selectFrom('audit_event').selectAll().where('organization_id', '=', org).orderBy('seq').execute()
        const changed = JSON.stringify(now) !== JSON.stringify(chain)
        expect((await findings(chain)).length > 0).toBe(changed)
      }),
      { numRuns: 60 }
    )
  })
})
