import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Database, Db } from '../../server/database/database.ts'
import { newId } from '../../server/database/id.ts'
import { AppError } from '../../server/errors.ts'
import { generateKeyRing, parseKeyRing, ringMark } from '../../server/vault/cipher.ts'
import { revealCounts } from '../../server/vault/reveals.ts'
import { moveAll, startMove } from '../../server/vault/rewrap.ts'
import { openVault, type Vault } from '../../server/vault/vault.ts'
import { forEachDatabase } from '../support/databases.ts'

const owner = { organizationId: 'org_1', installationId: 'ins_1', purpose: 'management_token' }

forEachDatabase(open => {
  let database: Database
  let db: Db
  let text: string
  let vault: Vault
  const ring = (keys = text) => parseKeyRing(keys)
  const row = async (id: string) => await db.selectFrom('secret').selectAll().where('id', '=', id).executeTakeFirstOrThrow()

  beforeAll(async () => {
    database = await open()
    db = database.db
  })
  beforeEach(async () => {
    for (const table of ['secret', 'ring_key', 'reveal_count'] as const) await db.deleteFrom(table).execute()
    text = generateKeyRing()
    vault = await openVault(db, { ring: ring() })
  })

  describe('secrets', () => {
    test('a secret is revealed as it was put, and the database holds nothing of it', async () => {
      const id = await vault.put(db, owner, 'cs1234567890token')
      expect(await vault.reveal(db, id, 'management_token')).toBe('cs1234567890token')
      expect(JSON.stringify(await row(id))).not.toContain('cs1234567890token')
    })

    test('a secret put in a transaction that is rolled back is not there', async () => {
      let id = ''
      const attempt = db.transaction().execute(async trx => {
        id = await vault.put(trx, owner, 'x')
        throw new Error('no')
      })
      await expect(attempt).rejects.toThrow('no')
      await expect(vault.reveal(db, id, 'management_token')).rejects.toMatchObject({ code: 'not_found' })
    })

    test('a secret is revealed only for its purpose, and an unknown or erased one not at all', async () => {
      const id = await vault.put(db, owner, 'x')
      await expect(vault.reveal(db, id, 'connection')).rejects.toMatchObject({ code: 'not_found' })
      await expect(vault.reveal(db, newId('sec'), 'management_token')).rejects.toMatchObject({ code: 'not_found' })
      await vault.erase(db, id)
      await vault.erase(db, id)
      await expect(vault.reveal(db, id, 'management_token')).rejects.toMatchObject({ code: 'not_found' })
      expect(await row(id)).toMatchObject({ envelope: '', key_id: '' })
    })

    test.each<[string, object]>([
      ['row', {}],
      ['organization', { organization_id: 'org_2' }],
      ['installation', { installation_id: 'ins_2' }],
      ['installation, which is none', { installation_id: null }],
      ['purpose', { purpose: 'connection' }],
      ['version', { version: 2 }],
      ['key, as the column says it', { key_id: 'another' }]
    ])('an envelope copied to another %s does not open, and the refusal names the row it stands in', async (_case, change) => {
      const id = await vault.put(db, owner, 'the neighbour wants this')
      const stolen = { ...(await row(id)), id: newId('sec'), ...change }
      await db.insertInto('secret').values(stolen).execute()
      await expect(vault.reveal(db, stolen.id, stolen.purpose)).rejects.toMatchObject({
        code: 'internal',
        message: expect.stringContaining(stolen.id) as string
      })
    })

    test('envelopes exchanged between two rows of one installation open neither', async () => {
      const [a, b] = [await vault.put(db, owner, 'a'), await vault.put(db, owner, 'b')]
      const [first, second] = [await row(a), await row(b)]
      await db.updateTable('secret').set({ envelope: second.envelope }).where('id', '=', a).execute()
      await db.updateTable('secret').set({ envelope: first.envelope }).where('id', '=', b).execute()
      for (const id of [a, b]) await expect(vault.reveal(db, id, 'management_token')).rejects.toMatchObject({ code: 'internal' })
    })

    test('all secrets of an installation are erased together, and no other', async () => {
      const there = { ...owner, installationId: 'ins_leaving' }
      const leaving = [await vault.put(db, there, 'a'), await vault.put(db, { ...there, purpose: 'connection' }, 'b')]
      const staying = await vault.put(db, owner, 'c')
      expect(await vault.eraseAll(db, 'ins_leaving')).toBe(2)
      expect(await vault.eraseAll(db, 'ins_leaving')).toBe(0)
      for (const id of leaving) expect((await row(id)).erased_at).not.toBeNull()
      expect(await vault.reveal(db, staying, 'management_token')).toBe('c')
    })
  })

  describe('marks', () => {
    test('a mark is the same for the same text and label, and another for any other', () => {
      const mark = vault.mac('audit', 'text')
      expect(mark).toMatch(/^v1:[0-9a-f]{64}$/)
      expect(vault.mac('audit', 'text')).toBe(mark)
      expect(vault.mac('other', 'text')).not.toBe(mark)
      expect(vault.mac('a', 'b\0c')).not.toBe(vault.mac('a\0b', 'd'))
      expect(vault.fingerprint('token')).toMatch(/^[0-9a-f]{12}$/)
    })

    test.each([
      ['the mark of another text', (mark: string) => mark, 'other text'],
      ['a mark cut short', (mark: string) => mark.slice(0, -1), 'text'],
      ['a mark of another version', (mark: string) => mark.replace('v1', 'v2'), 'text'],
      ['a mark of version 01', (mark: string) => mark.replace('v1', 'v01'), 'text'],
      ['a mark without version', (mark: string) => mark.slice(3), 'text'],
      ['a mark in capitals', (mark: string) => mark.toUpperCase(), 'text'],
      ['a mark with one digit changed', (mark: string) => mark.slice(0, -1) + (mark.endsWith('0') ? '1' : '0'), 'text'],
      ['nothing', () => '', 'text']
    ])('%s does not verify', (_case, change, text) => {
      const mark = vault.mac('audit', 'text')
      expect(vault.verifyMac('audit', 'text', mark)).toBe(true)
      expect(vault.verifyMac('audit', text, change(mark))).toBe(false)
    })

    test('processes that start at once on an empty database mark alike', async () => {
      for (const table of ['secret', 'ring_key'] as const) await db.deleteFrom(table).execute()
      const vaults = await Promise.all(Array.from({ length: 6 }, () => openVault(db, { ring: ring() })))
      expect(new Set(vaults.map(vault => vault.mac('audit', 'text'))).size).toBe(1)
      expect(await db.selectFrom('secret').select('id').where('purpose', '=', 'mac_key').execute()).toHaveLength(1)
      expect(await db.selectFrom('ring_key').select('state').execute()).toEqual([{ state: 'sealing' }])
    })

    test('another deployment marks otherwise', async () => {
      const other = await openVault((await open()).db, { ring: ring() })
      expect(other.mac('audit', 'text')).not.toBe(vault.mac('audit', 'text'))
      expect(other.fingerprint('token')).not.toBe(vault.fingerprint('token'))
    })

    test('the operator’s mark is taken under any key of the ring, none that is gone, and none that is compromised', async () => {
      const [older, newer, stranger] = [ring(), parseKeyRing(generateKeyRing()), parseKeyRing(generateKeyRing())]
      let file = text
      const reloading = await openVault(db, { ring: older, reload: () => parseKeyRing(file) })
      const taken = (key = older.current) => reloading.isRingMark('door', 'text', ringMark(key, 'door', 'text'))
      expect([taken(), taken(newer.current), taken(stranger.current)]).toEqual([true, false, false])
      file = `${newer.current.id}:${newer.current.bytes.toString('base64')}\n${text}`
      await reloading.refresh(db)
      expect([taken(), taken(newer.current), taken(stranger.current)]).toEqual([true, true, false])
      expect(reloading.isRingMark('other door', 'text', ringMark(older.current, 'door', 'text'))).toBe(false)
      await startMove(db, reloading, { keyId: newer.current.id, compromised: [older.current.id] })
      await reloading.refresh(db)
      expect([taken(), taken(newer.current)]).toEqual([false, true])
    })
  })

  describe('the key file, read again', () => {
    test('a key that came into the file is found by the reveal that needs it', async () => {
      let file = text
      let reads = 0
      const other = await openVault(db, { ring: ring(), reload: () => ((reads += 1), parseKeyRing(file)) })
      file = generateKeyRing() + text
      const first = await openVault(db, { ring: parseKeyRing(file) })
      await startMove(db, first, { keyId: first.ring.now().current.id, compromised: [] })
      const id = await first.put(db, owner, 'under the new key')
      expect((await row(id)).key_id).toBe(first.ring.now().current.id)
      expect(await other.reveal(db, id, 'management_token')).toBe('under the new key')
      expect(reads).toBe(1)
      // Who has read the file seals under the key that the database says, and no longer under its own.
      expect((await row(await other.put(db, owner, 'x'))).key_id).toBe(first.ring.now().current.id)
    })

    test('a process without the key that seals refuses to seal, instead of sealing under one that may go', async () => {
      const ahead = await openVault(db, { ring: parseKeyRing(generateKeyRing() + text) })
      await startMove(db, ahead, { keyId: ahead.ring.now().current.id, compromised: [] })
      await expect(vault.put(db, owner, 'x')).rejects.toMatchObject({
        code: 'internal',
        message: expect.stringContaining(ahead.ring.now().current.id) as string
      })
    })

    test('a key that is nowhere is looked for at most once a second, and a file that broke meanwhile takes no key away', async () => {
      let reads = 0
      const broken = new AppError('invalid', 'the file is gone')
      const poor = await openVault(db, {
        ring: ring(),
        reload() {
          reads += 1
          throw broken
        }
      })
      const id = await poor.put(db, owner, 'kept')
      const lost = {
        ...(await row(id)),
        id: newId('sec'),
        key_id: 'gone',
        envelope: (await row(id)).envelope.replace(/^q1\.[^.]+/, 'q1.gone')
      }
      await db.insertInto('secret').values(lost).execute()
      for (let n = 0; n < 20; n += 1) {
        await expect(poor.reveal(db, lost.id, 'management_token')).rejects.toMatchObject({
          code: 'internal',
          message: expect.stringMatching(`${lost.id}.*management_token.*ins_1.*"gone"`) as string,
          remedy: expect.stringContaining('QUAYSIDE_KEY_FILE') as string,
          cause: broken
        })
      }
      expect(reads).toBe(1)
      await expect(poor.refresh(db)).rejects.toBe(broken)
      expect(await poor.reveal(db, id, 'management_token')).toBe('kept')
    })

    test('a vault does not open while something needs a key that is not on the ring, and says what', async () => {
      const ids = []
      for (let n = 0; n < 7; n += 1) ids.push(await vault.put(db, owner, `secret ${n}`))
      const [old] = ring().keys.keys()
      const opening = openVault(db, { ring: parseKeyRing(generateKeyRing()) })
      const refusal = await opening.catch((error: unknown) => error as AppError)
      expect(refusal).toMatchObject({ code: 'invalid', remedy: expect.stringContaining('QUAYSIDE_KEY_FILE') as string })
      // Its own key of the marks is the eighth.
      for (const part of [`"${old}"`, '8 secret(s)', `${ids[0]} (management_token of ins_1)`, 'and others'])
        expect((refusal as AppError).message).toContain(part)
    })

    test('what is erased needs no key', async () => {
      const id = await vault.put(db, owner, 'x')
      const ahead = await openVault(db, { ring: parseKeyRing(generateKeyRing() + text) })
      await vault.erase(db, id)
      const to = ahead.ring.now().current
      await startMove(db, ahead, { keyId: to.id, compromised: [] })
      expect(await moveAll(db, ahead, { keyId: to.id, compromised: [] })).toEqual([])
      await expect(openVault(db, { ring: parseKeyRing(`${to.id}:${to.bytes.toString('base64')}`) })).resolves.toBeDefined()
    })
  })

  describe('reveals', () => {
    test('are counted by owner, purpose and day, and added up by the flushes of several processes', async () => {
      const [one, two] = [vault, await openVault(db, { ring: ring() })]
      const token = await one.put(db, owner, 'x')
      const connection = await one.put(db, { ...owner, organizationId: 'org_2', installationId: null, purpose: 'connection' }, 'y')
      for (let n = 0; n < 3; n += 1) await one.reveal(db, token, 'management_token')
      await two.reveal(db, token, 'management_token')
      await two.reveal(db, connection, 'connection')
      await expect(one.reveal(db, token, 'connection')).rejects.toThrow()
      expect(await revealCounts(db)).toEqual([])
      await Promise.all([one.flush(db), two.flush(db)])
      await one.flush(db)
      await one.reveal(db, token, 'management_token')
      await one.flush(db)
      const day = new Date().toISOString().slice(0, 10)
      const ofToken = { organization_id: 'org_1', installation_id: 'ins_1', purpose: 'management_token', day, count: 5 }
      const ofConnection = { organization_id: 'org_2', installation_id: '', purpose: 'connection', day, count: 1 }
      expect(await revealCounts(db)).toEqual([ofToken, ofConnection])
      expect(await revealCounts(db, { organizationId: 'org_2' })).toEqual([ofConnection])
      expect(await revealCounts(db, { installationId: 'ins_1' })).toEqual([ofToken])
    })

    test('that could not be written down fail nothing and are written the next time', async () => {
      const id = await vault.put(db, owner, 'x')
      await vault.reveal(db, id, 'management_token')
      const elsewhere = await open()
      await elsewhere.close()
      await expect(vault.flush(elsewhere.db)).rejects.toThrow()
      expect(await vault.reveal(db, id, 'management_token')).toBe('x')
      await vault.flush(db)
      expect(await revealCounts(db)).toMatchObject([{ count: 2 }])
    })
  })
})
