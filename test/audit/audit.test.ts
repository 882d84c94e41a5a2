import { beforeEach, expect, test } from 'vitest'
import { type Actor, anchorAudit, appendAudit, listAudit, verifyAudit } from '../../server/audit/audit.ts'
import type { Db } from '../../server/database/database.ts'
import type { Log } from '../../server/log.ts'
import { silentLog } from '../../server/log.ts'
import { generateKeyRing, parseKeyRing } from '../../server/vault/cipher.ts'
import { createVault } from '../../server/vault/vault.ts'
import { forEachDatabase } from '../support/databases.ts'
import { insertOrganization } from '../support/rows.ts'

const ada: Actor = { kind: 'admin', id: 'person_1', name: 'Ada Admin' }

forEachDatabase(open => {
  let db: Db
  let org: string
  const vault = createVault(parseKeyRing(generateKeyRing()))
  beforeEach(async () => {
    db ??= (await open()).db
    org = (await insertOrganization(db)).id
  })

  const append = async (trx: Db, n: number, organizationId = org, installationId?: string) =>
    await appendAudit(trx, vault, {
      organizationId,
      ...(installationId === undefined ? {} : { installationId }),
      actor: ada,
      action: 'sync.pause',
      object: { kind: 'sync', id: `syn_${n}`, name: `Sync ${n}` },
      detail: { n }
    })
  const appendMany = async (count: number) => {
    for (let n = 1; n <= count; n++) await db.transaction().execute(async trx => await append(trx, n))
  }
  const event = () => db.updateTable('audit_event').where('organization_id', '=', org)

  test('an untouched chain is whole', async () => {
    await appendMany(4)
    expect(await verifyAudit(db, vault, org)).toMatchObject({ ok: true, count: 4 })
  })

  test('an organization without events has an empty, whole chain', async () => {
    expect(await verifyAudit(db, vault, org)).toMatchObject({ ok: true, count: 0 })
  })

  test('an event of a transaction that fails is not in the chain', async () => {
    await appendMany(1)
    await expect(
      db.transaction().execute(async trx => {
        await append(trx, 2)
        throw new Error('no')
      })
    ).rejects.toThrow('no')
    await appendMany(1)
    expect(await verifyAudit(db, vault, org)).toMatchObject({ ok: true, count: 2 })
  })

  test('events appended by many transactions at once, and outside of any, make one chain', async () => {
    await Promise.all(
      Array.from(
        { length: 12 },
        async (_, n) => await (n % 3 === 0 ? append(db, n) : db.transaction().execute(async trx => await append(trx, n)))
      )
    )
    expect(await verifyAudit(db, vault, org)).toMatchObject({ ok: true, count: 12 })
  })

  test('each organization has its own chain', async () => {
    const other = (await insertOrganization(db)).id
    await appendMany(2)
    await append(db, 1, other)
    await db.updateTable('audit_event').set({ actor_name: 'Nobody' }).where('organization_id', '=', other).execute()
    expect(await verifyAudit(db, vault, org)).toMatchObject({ ok: true, count: 2 })
    expect(await verifyAudit(db, vault, other)).toMatchObject({ ok: false, seq: 1 })
  })

  test.each([
    ['changed in who did it', 2, async () => await event().set({ actor_name: 'Bob' }).where('seq', '=', 2).execute()],
    ['changed in its detail', 3, async () => await event().set({ detail_json: '{"n":4}' }).where('seq', '=', 3).execute()],
    ['dated otherwise', 1, async () => await event().set({ at: 5 }).where('seq', '=', 1).execute()],
    [
      'deleted from the middle',
      2,
      async () => await db.deleteFrom('audit_event').where('organization_id', '=', org).where('seq', '=', 2).execute()
    ],
    [
      'deleted from the beginning',
      1,
      async () => await db.deleteFrom('audit_event').where('organization_id', '=', org).where('seq', '=', 1).execute()
    ],
    [
      'deleted, the rest moved up',
      2,
      async () => {
        await db.deleteFrom('audit_event').where('organization_id', '=', org).where('seq', '=', 2).execute()
        await event().set({ seq: 2 }).where('seq', '=', 3).execute()
      }
    ]
  ])('an event %s shows', async (_, seq, tamper) => {
    await appendMany(3)
    await tamper()
    expect(await verifyAudit(db, vault, org)).toMatchObject({ ok: false, seq })
  })

  test('a chain made anew by somebody without the key shows', async () => {
    await appendMany(2)
    expect(await verifyAudit(db, createVault(parseKeyRing(generateKeyRing())), org)).toMatchObject({ ok: false, seq: 1 })
  })

  test('a chain cut at its end, or rewritten with the key, shows against an anchor noted outside', async () => {
    const lines: object[] = []
    const log: Log = { ...silentLog, info: fields => void lines.push(fields) }
    await appendMany(3)
    await anchorAudit(db, log)
    const anchor = lines.find(line => 'organizationId' in line && line.organizationId === org) as { seq: number; mac: string }
    expect(anchor).toMatchObject({ seq: 3, mac: expect.stringMatching(/^[0-9a-f]{64}$/) })
    await appendMany(1)
    expect(await verifyAudit(db, vault, org, anchor)).toMatchObject({ ok: true, count: 4 })
    await db.deleteFrom('audit_event').where('organization_id', '=', org).where('seq', '>=', 3).execute()
    expect(await verifyAudit(db, vault, org)).toMatchObject({ ok: true, count: 2 })
    expect(await verifyAudit(db, vault, org, anchor)).toMatchObject({ ok: false, seq: 3 })
    await appendMany(1)
    expect(await verifyAudit(db, vault, org, anchor)).toMatchObject({ ok: false, seq: 3 })
  })

  test('the list is newest first, in pages, and of the named organizations only', async () => {
    const other = (await insertOrganization(db, { name: 'Quay' })).id
    await appendMany(3)
    await append(db, 9, other)
    const page = await listAudit(db, { organizationIds: [org], limit: 2 })
    expect(page.map(row => row.object_id)).toEqual(['syn_3', 'syn_2'])
    const rest = await listAudit(db, { organizationIds: [org], before: page[1]!.id, limit: 2 })
    expect(rest.map(row => row.object_id)).toEqual(['syn_1'])
    expect((await listAudit(db, { organizationIds: [org, other], limit: 1 }))[0]).toMatchObject({
      object_id: 'syn_9',
      organization_name: 'Quay'
    })
    expect(await listAudit(db, { organizationIds: [], limit: 2 })).toEqual([])
  })

  test('the list narrows to one installation, and holds then nothing of another and nothing that concerns none', async () => {
    for (const [n, installationId] of ['ins_a', 'ins_b', undefined, 'ins_a'].entries()) await append(db, n, org, installationId)
    const ofOne = await listAudit(db, { organizationIds: [org], installationId: 'ins_a', limit: 10 })
    expect(ofOne.map(row => [row.object_id, row.installation_id])).toEqual([
      ['syn_3', 'ins_a'],
      ['syn_0', 'ins_a']
    ])
    const rest = await listAudit(db, { organizationIds: [org], installationId: 'ins_a', before: ofOne[0]!.id, limit: 10 })
    expect(rest.map(row => row.object_id)).toEqual(['syn_0'])
    expect(await listAudit(db, { organizationIds: [org], limit: 10 })).toHaveLength(4)
    const stranger = (await insertOrganization(db)).id
    expect(await listAudit(db, { organizationIds: [stranger], installationId: 'ins_a', limit: 10 })).toEqual([])
  })

  test.each([
    ['moved to another installation', 'ins_b'],
    ['taken away from its installation', null]
  ])('an event %s shows', async (_, installationId) => {
    for (const n of [1, 2]) await append(db, n, org, 'ins_a')
    expect(await verifyAudit(db, vault, org)).toMatchObject({ ok: true, count: 2 })
    await event().set({ installation_id: installationId }).where('seq', '=', 1).execute()
    expect(await verifyAudit(db, vault, org)).toEqual({ ok: false, seq: 1, reason: 'it was changed' })
  })
})
