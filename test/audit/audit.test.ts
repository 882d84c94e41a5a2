import { readFile } from 'node:fs/promises'
import { beforeEach, expect, test } from 'vitest'
import { type Actor, appendAudit, listAudit, verifyAudit } from '../../server/audit/audit.ts'
import type { Db } from '../../server/database/database.ts'
import type { Vault } from '../../server/vault/vault.ts'
import { forEachDatabase } from '../support/databases.ts'
import { insertOrganization } from '../support/rows.ts'
import { testVault } from '../support/vault.ts'

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
})

test('the words recorded and the words explained are the same', async () => {
  const source = await readFile(new URL('../../server/audit/audit.ts', import.meta.url), 'utf8')
  const explained = [...source.matchAll(/^\/\/ {3}([a-z]+)\.(.+)$/gm)].flatMap(([, object, verbs = '']) =>
    verbs
      .replace(/\([^()]*\)/g, '')
      .replace(/:.*$/, '')
      .split('|')
      .map(verb => `${object}.${verb.trim()}`)
  )
  const type = /export type AuditAction =\n((?: {2}\|.*\n)+)/.exec(source)?.[1] ?? ''
  const recorded = [...type.matchAll(/^ {2}\| (?:'([a-z]+\.[a-z]+)'|`([a-z]+)\.\$\{([^}]*)\}`)$/gm)].flatMap(
    ([, whole, object, verbs = '']) =>
      whole === undefined ? [...verbs.matchAll(/'([a-z]+)'/g)].map(([, verb]) => `${object}.${verb}`) : [whole]
  )
  expect(type.trim().split('\n')).toHaveLength(new Set(recorded.map(word => word.split('.')[0])).size)
  expect(explained.toSorted()).toEqual(recorded.toSorted())
  expect(recorded.length).toBeGreaterThan(20)
})
