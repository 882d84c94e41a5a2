// A key ring in motion: everything moves to another key while secrets are put, revealed and erased, and nobody notices.
import { setImmediate as breathe, setTimeout as pause } from 'node:timers/promises'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { appendAudit, verifyAudit } from '../../server/audit/audit.ts'
import type { Db } from '../../server/database/database.ts'
import { generateKeyRing, parseKeyRing } from '../../server/vault/cipher.ts'
import { finishMove, moveAll, moveProgress, startMove } from '../../server/vault/rewrap.ts'
import { keyUses } from '../../server/vault/status.ts'
import { openVault, type Vault } from '../../server/vault/vault.ts'
import { forEachDatabase } from '../support/databases.ts'
import { insertOrganization } from '../support/rows.ts'

const purpose = 'management_token'
const owner = { organizationId: 'org_1', installationId: 'ins_1', purpose }
const idOf = (line: string) => line.split(':', 1)[0] ?? ''

forEachDatabase((open, dialect) => {
  let db: Db
  /** The key file that all processes share. */
  let file: string
  let vault: Vault
  const process = async () => await openVault(db, { ring: parseKeyRing(file), reload: () => parseKeyRing(file) })
  const rows = async () => await db.selectFrom('secret').selectAll().where('purpose', '!=', 'mac_key').orderBy('id').execute()
  /** A new key in front of the file; returns its id. */
  const newKey = () => {
    const line = generateKeyRing()
    file = line + file
    return idOf(line)
  }
  const remove = (keyId: string) => {
    file = file
      .split('\n')
      .filter(line => idOf(line) !== keyId)
      .join('\n')
  }
  const rotate = async (by: Vault, compromised: string[] = []) => {
    const keyId = newKey()
    await by.refresh(db)
    await startMove(db, by, { keyId, compromised })
    await by.refresh(db)
    expect(await moveAll(db, by, { keyId, compromised })).toEqual([])
    await db.transaction().execute(async trx => await finishMove(trx))
    return keyId
  }
  const fill = async (count: number, by = vault) => {
    const ids: string[] = []
    await db.transaction().execute(async trx => {
      for (let n = 0; n < count; n += 1) ids.push(await by.put(trx, owner, `value ${n}`))
    })
    return ids
  }

  beforeAll(async () => {
    db = (await open()).db
  })
  beforeEach(async () => {
    for (const table of ['secret', 'ring_key'] as const) await db.deleteFrom(table).execute()
    file = generateKeyRing()
    vault = await process()
  })

  test('a ring rotated three times while two processes reveal, put, erase and mark: nothing fails, and the old keys may go', async () => {
    const other = await process()
    const organization = await insertOrganization(db)
    const append = async (by: Vault) => {
      const act = {
        actor: { kind: 'system', id: 'x', name: 'x' },
        action: 'sync.pause',
        object: { kind: 'sync', id: 'x', name: 'x' }
      } as const
      await appendAudit(db, by, { organizationId: organization.id, ...act })
    }
    const values = new Map((await fill(1_200)).map((id, n) => [id, `value ${n}`]))
    const marks: [string, string][] = []
    const failures: unknown[] = []
    let revealed = 0
    const stop = new AbortController()

    const bystander = async (by: Vault, name: string) => {
      for (let n = 0; !stop.signal.aborted; n += 1) {
        try {
          const id = await by.put(db, owner, `${name} ${n}`)
          const known = [...values.keys()]
          values.set(id, `${name} ${n}`)
          for (let look = 0; look < 10; look += 1) {
            const some = known[Math.floor(Math.random() * known.length)]!
            const expected = values.get(some)
            const found = await by.reveal(db, some, purpose)
            if (expected !== undefined && found !== expected) failures.push(`${some} opened to another value`)
            revealed += 1
          }
          const gone = await by.put(db, owner, 'gone')
          await by.erase(db, gone)
          marks.push([`${name} ${n}`, by.mac('test', `${name} ${n}`)])
          if (n % 10 === 0) await append(by)
        } catch (error) {
          failures.push(error)
        }
        await breathe()
      }
    }
    const bystanders = [bystander(vault, 'one'), bystander(vault, 'two'), bystander(other, 'three'), bystander(other, 'four')]
    const keys = [idOf(file)]
    for (let turn = 0; turn < 3; turn += 1) {
      await pause(30)
      const before = revealed
      keys.push(await rotate(vault))
      expect(revealed).toBeGreaterThan(before)
      // What the others seal from now on may not hang on what is taken out of the file now.
      remove(keys.at(-2)!)
      expect((await rows()).filter(({ key_id: keyId }) => keyId === keys.at(-2))).toEqual([])
    }
    await pause(30)
    stop.abort()
    await Promise.all(bystanders)
    expect(failures).toEqual([])

    const [left] = [[...parseKeyRing(file).keys.keys()]]
    expect(left).toEqual([keys.at(-1)])
    const fresh = await process()
    for (const [id, value] of values) expect(await fresh.reveal(db, id, purpose)).toBe(value)
    for (const [text, mark] of marks) expect(fresh.verifyMac('test', text, mark)).toBe(true)
    expect(await verifyAudit(db, fresh, organization.id)).toMatchObject({ ok: true })
    expect((await keyUses(db, fresh.ring)).map(({ id, state, removable }) => [id, state, removable])).toEqual([
      [keys.at(-1), 'current', false]
    ])
  })

  test('stopped after any slice it goes on where it stood, and says how far it is', async () => {
    const ids = await fill(1_300)
    const keyId = newKey()
    await vault.refresh(db)
    const move = { keyId, compromised: [] }
    await startMove(db, vault, move)
    expect(await moveProgress(db, keyId)).toEqual({ done: 0, total: 1_301 })
    const killed = moveAll(db, vault, move, () => {
      throw new Error('kill -9')
    })
    await expect(killed).rejects.toThrow('kill -9')
    expect(await moveProgress(db, keyId)).toEqual({ done: 500, total: 1_301 })
    const moved: number[] = []
    await startMove(db, await process(), move)
    await moveAll(db, await process(), move, count => void moved.push(count))
    expect(moved).toEqual([500, 301])
    expect(await moveAll(db, vault, move)).toEqual([])
    expect(await vault.reveal(db, ids[1_299]!, purpose)).toBe('value 1299')
    expect(await db.transaction().execute(async trx => await finishMove(trx))).toHaveLength(1)
    expect(await db.transaction().execute(async trx => await finishMove(trx))).toEqual([])
  })

  test('two workers that move at once move everything once', async () => {
    const ids = await fill(1_200)
    const keyId = newKey()
    const [one, other] = [await process(), await process()]
    const move = { keyId, compromised: [] }
    await startMove(db, one, move)
    await Promise.all([moveAll(db, one, move), moveAll(db, other, move)])
    expect(await moveProgress(db, keyId)).toEqual({ done: 1_201, total: 1_201 })
    for (const id of ids.slice(0, 50)) expect(await other.reveal(db, id, purpose)).toMatch(/^value/)
  })

  test('a row that does not open stays under its key, is named, and keeps that key from being removable', async () => {
    const [first, second] = await fill(2)
    const old = idOf(file)
    await db.updateTable('secret').set({ installation_id: 'ins_2' }).where('id', '=', first!).execute()
    const keyId = newKey()
    await vault.refresh(db)
    await startMove(db, vault, { keyId, compromised: [] })
    const stuck = await moveAll(db, vault, { keyId, compromised: [] })
    expect(stuck.map(({ message }) => message)).toEqual([expect.stringContaining(first!)])
    expect(await vault.reveal(db, second!, purpose)).toBe('value 1')
    expect(await keyUses(db, vault.ring)).toMatchObject([
      { id: keyId, state: 'current', secrets: 2, removable: false },
      { id: old, state: 'known', secrets: 1, removable: false }
    ])
  })

  test('an old key that is not on the ring stops the move before anything of it is lost', async () => {
    await fill(3)
    const old = idOf(file)
    const keyId = newKey()
    const both = await process()
    await startMove(db, both, { keyId, compromised: [] })
    remove(old)
    await vault.refresh(db)
    await expect(moveAll(db, vault, { keyId, compromised: [] })).rejects.toMatchObject({ message: expect.stringContaining(old) as string })
    expect(await keyUses(db, vault.ring)).toMatchObject([
      { id: keyId, secrets: 0 },
      {
        id: old,
        state: 'missing',
        secrets: 4,
        removable: false,
        rows: expect.arrayContaining([expect.stringContaining('ins_1')]) as string[]
      }
    ])
  })

  test.runIf(dialect === 'postgres')(
    'a row that somebody holds is passed over, and moved when it is free (row locks are PostgreSQL’s)',
    async () => {
      const ids = await fill(3)
      const keyId = newKey()
      await vault.refresh(db)
      await startMove(db, vault, { keyId, compromised: [] })
      const free = Promise.withResolvers<void>()
      const holding = Promise.withResolvers<void>()
      const holder = db.transaction().execute(async trx => {
        await trx.selectFrom('secret').select('id').where('id', '=', ids[1]!).forUpdate().execute()
        holding.resolve()
        await free.promise
      })
      await holding.promise
      const moving = moveAll(db, vault, { keyId, compromised: [] })
      while ((await moveProgress(db, keyId)).done < 3) await breathe()
      free.resolve()
      await holder
      expect(await moving).toEqual([])
      expect(await moveProgress(db, keyId)).toEqual({ done: 4, total: 4 })
    }
  )

  test.runIf(dialect === 'postgres')(
    'a key does not begin to seal while a transaction seals under another (SQLite has one writer)',
    async () => {
      const old = idOf(file)
      const keyId = newKey()
      await vault.refresh(db)
      let putId = ''
      let started: Promise<void> | undefined
      let begun = false
      await db.transaction().execute(async trx => {
        putId = await vault.put(trx, owner, 'x')
        started = startMove(db, vault, { keyId, compromised: [] }).then(() => void (begun = true))
        await pause(100)
        expect(begun).toBe(false)
      })
      await started
      expect((await rows()).find(({ id }) => id === putId)?.key_id).toBe(old)
      expect(await moveAll(db, vault, { keyId, compromised: [] })).toEqual([])
      expect((await rows()).map(row => row.key_id)).toEqual([keyId])
    }
  )

  describe('a compromised key', () => {
    test('what it wraps is sealed anew: a copy of the database and that key open nothing that stands now', async () => {
      const ids = await fill(700)
      const stolen = { key: idOf(file), file, rows: await rows() }
      const mark = vault.mac('audit', 'before')
      const keyId = await rotate(vault, [stolen.key])
      const now = await rows()
      expect(now.every(row => row.key_id === keyId && row.version === 2 && row.exposed_at !== null)).toBe(true)
      expect([...new Set((await vault.statesOf(db, ids)).values())]).toEqual(['exposed'])
      expect(await vault.reveal(db, ids[699]!, purpose)).toBe('value 699')
      // The data key of the copy opens nothing of what stands now.
      const was = new Map(stolen.rows.map(row => [row.id, row.envelope.split('.')[3]]))
      expect(now.filter(row => row.envelope.split('.')[3] === was.get(row.id))).toEqual([])
      // The old envelope put back into its row does not open, though its key is still in the file.
      await db.updateTable('secret').set({ envelope: stolen.rows[0]!.envelope }).where('id', '=', stolen.rows[0]!.id).execute()
      await expect(vault.reveal(db, stolen.rows[0]!.id, purpose)).rejects.toMatchObject({ code: 'internal' })
      expect(vault.mac('audit', 'after')).toMatch(/^v2:/)
      expect(vault.verifyMac('audit', 'before', mark)).toBe(true)
      expect(await keyUses(db, vault.ring)).toMatchObject([
        { id: keyId, compromised: false },
        { id: stolen.key, removable: true, compromised: true }
      ])
    })

    test('a secret replaced is exposed no more, and one put afterwards never was', async () => {
      const [first] = await fill(1)
      await rotate(vault, [idOf(file)])
      const [after] = await fill(1)
      expect((await vault.statesOf(db, [first!, after!])).get(after!)).toBe('kept')
      await vault.erase(db, first!)
      expect((await vault.statesOf(db, [first!])).get(first!)).toBe('erased')
      expect(
        await db.selectFrom('secret').select('id').where('exposed_at', 'is not', null).where('purpose', '=', purpose).execute()
      ).toEqual([])
    })

    test('that wraps nothing any more exposes what it wrapped in its time, and nothing put later', async () => {
      const stolen = idOf(file)
      const [early] = await fill(1)
      await rotate(vault)
      await pause(2)
      const [late] = await fill(1)
      const keyId = idOf(file)
      const move = { keyId, compromised: [stolen] }
      await startMove(db, vault, move)
      await vault.refresh(db)
      expect(await moveAll(db, vault, move)).toEqual([])
      expect([...(await vault.statesOf(db, [early!, late!])).values()]).toEqual(['exposed', 'kept'])
      const [row] = (await rows()).filter(({ id }) => id === early)
      expect(row?.version).toBe(2)
      expect(vault.mac('x', 'y')).toMatch(/^v2:/)
      // Said again, nothing happens again.
      await startMove(db, vault, move)
      await moveAll(db, vault, move)
      await vault.refresh(db)
      expect((await rows()).filter(({ id }) => id === early)[0]?.version).toBe(2)
      expect(vault.mac('x', 'y')).toMatch(/^v2:/)
      expect(await vault.reveal(db, early!, purpose)).toBe('value 0')
    })

    test('stopped in the middle and begun again, everything it wrapped is exposed once', async () => {
      const ids = await fill(1_300)
      const move = { compromised: [idOf(file)], keyId: newKey() }
      await vault.refresh(db)
      await startMove(db, vault, move)
      const killed = moveAll(db, vault, move, () => {
        throw new Error('kill -9')
      })
      await expect(killed).rejects.toThrow('kill -9')
      await startMove(db, vault, move)
      expect(await moveAll(db, vault, move)).toEqual([])
      expect((await rows()).every(row => row.version === 2 && row.exposed_at !== null)).toBe(true)
      await vault.refresh(db)
      expect(vault.mac('x', 'y')).toMatch(/^v2:/)
      expect(await vault.reveal(db, ids[700]!, purpose)).toBe('value 700')
    })

    test('never seals again', async () => {
      const stolen = idOf(file)
      await rotate(vault, [stolen])
      await expect(startMove(db, vault, { keyId: stolen, compromised: [] })).rejects.toMatchObject({ code: 'conflict' })
    })
  })
})
