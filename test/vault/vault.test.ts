import { beforeAll, expect, test } from 'vitest'
import type { Db } from '../../server/database/database.ts'
import { newId } from '../../server/database/id.ts'
import { generateKeyRing, parseKeyRing } from '../../server/vault/cipher.ts'
import { createVault } from '../../server/vault/vault.ts'
import { forEachDatabase } from '../support/databases.ts'

const firstKey = generateKeyRing()

forEachDatabase(open => {
  let db: Db
  beforeAll(async () => {
    db = (await open()).db
  })
  const vault = createVault(parseKeyRing(firstKey))
  const owner = { organizationId: 'org_1', installationId: 'ins_1', purpose: 'management_token' }
  const row = async (id: string) => await db.selectFrom('secret').selectAll().where('id', '=', id).executeTakeFirstOrThrow()

  test('a secret is revealed as it was put, and the database holds nothing of it', async () => {
    const id = await vault.put(db, owner, 'cs1234567890token')
    expect(await vault.reveal(db, id, 'management_token')).toBe('cs1234567890token')
    expect(JSON.stringify(await row(id))).not.toContain('cs1234567890token')
  })

  test('a secret is revealed only for its purpose, and an unknown or erased one not at all', async () => {
    const id = await vault.put(db, owner, 'x')
    await expect(vault.reveal(db, id, 'connection')).rejects.toMatchObject({ code: 'not_found' })
    await expect(vault.reveal(db, newId('sec'), 'management_token')).rejects.toMatchObject({ code: 'not_found' })
    await vault.erase(db, id)
    await vault.erase(db, id)
    await expect(vault.reveal(db, id, 'management_token')).rejects.toMatchObject({ code: 'not_found' })
    expect((await row(id)).envelope).toBe('')
  })

  test.each(['organization_id', 'installation_id', 'purpose', 'id'] as const)(
    'an envelope copied to a row of another %s does not open',
    async column => {
      const id = await vault.put(db, owner, 'the neighbour wants this')
      const stolen = { ...(await row(id)), id: newId('sec'), ...(column === 'id' ? {} : { [column]: 'another' }) }
      await db.insertInto('secret').values(stolen).execute()
      await expect(vault.reveal(db, stolen.id, stolen.purpose)).rejects.toMatchObject({ code: 'internal' })
    }
  )

  test('all secrets of an installation are erased together, and no other', async () => {
    const there = { ...owner, installationId: 'ins_leaving' }
    const leaving = [await vault.put(db, there, 'a'), await vault.put(db, { ...there, purpose: 'connection' }, 'b')]
    const staying = await vault.put(db, owner, 'c')
    expect(await vault.eraseAll(db, 'ins_leaving')).toBe(2)
    expect(await vault.eraseAll(db, 'ins_leaving')).toBe(0)
    for (const id of leaving) expect((await row(id)).erased_at).not.toBeNull()
    expect(await vault.reveal(db, staying, 'management_token')).toBe('c')
  })

  test('after a rewrap everything opens with the new key, and a second one finds nothing to do', async () => {
    await db.deleteFrom('secret').execute()
    const ids = await Promise.all(Array.from({ length: 450 }, async (_, n) => await vault.put(db, owner, `secret ${n}`)))
    await vault.erase(db, ids[0]!)
    const progress: number[] = []
    const both = createVault(parseKeyRing(`${generateKeyRing()}${firstKey}`))
    expect(await both.rewrapAll(db, done => progress.push(done))).toBe(449)
    expect(progress).toEqual([200, 400, 449])
    expect(await both.rewrapAll(db)).toBe(0)
    expect(await both.reveal(db, ids[449]!, 'management_token')).toBe('secret 449')
    await expect(vault.reveal(db, ids[449]!, 'management_token')).rejects.toMatchObject({ code: 'internal' })
  })

  test('marks and fingerprints outlive an added key, and differ by label and deployment', () => {
    const added = createVault(parseKeyRing(`${generateKeyRing()}${firstKey}`))
    expect(added.mac('audit', 'text')).toBe(vault.mac('audit', 'text'))
    expect(added.fingerprint('token')).toBe(vault.fingerprint('token'))
    expect(vault.mac('audit', 'text')).not.toBe(vault.mac('other', 'text'))
    expect(vault.mac('a', 'b\0c')).not.toBe(vault.mac('a\0b', 'd'))
    expect(createVault(parseKeyRing(generateKeyRing())).fingerprint('token')).not.toBe(vault.fingerprint('token'))
    expect(vault.fingerprint('token')).toMatch(/^[0-9a-f]{12}$/)
  })
})
