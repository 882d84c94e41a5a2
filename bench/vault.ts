// vault-…: what sealing costs beside the bare cipher under one key, and how fast everything moves to another key of the ring while a
// server would go on. In the bench's own process, so the memory is the bench's; the database is SQLite in a file.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { type Database, openDatabase } from '../server/database/database.ts'
import { migrate } from '../server/database/migrate.ts'
import { generateKeyRing, open, parseKeyRing, seal } from '../server/vault/cipher.ts'
import { moveAll, moveProgress, startMove } from '../server/vault/rewrap.ts'
import { openVault, type Vault } from '../server/vault/vault.ts'
import { type Case, median, result } from './result.ts'

const secret = 'cs0123456789abcdef0123456789abcdef'
const aad = JSON.stringify(['secret', 'org_01k', 'ins_01k', 'sec_01k', 'management_token', 1])
const times = 20_000
const rounds = 5
const rows = 100_000
/** No statement of a server may hold its only thread longer (engine.md §13). */
const mostBlockedMs = 20

export const vaultCipher: Case = {
  name: 'vault-cipher',
  about: `${times} seals and opens of a token, beside bare AES-256-GCM under one key`,
  async run() {
    const ring = parseKeyRing(generateKeyRing())
    const keyOf = () => ring.current
    const bareKey = randomBytes(32)
    const envelopes = Array.from({ length: times }, () => seal(ring.current, secret, aad))
    const bare = Array.from({ length: times }, () => encrypt(bareKey))
    const figures = { seal: [] as number[], bareSeal: [] as number[], open: [] as number[], bareOpen: [] as number[] }
    for (let round = 0; round < rounds; round += 1) {
      figures.seal.push(perSecond(times, () => seal(ring.current, secret, aad)))
      figures.bareSeal.push(perSecond(times, () => encrypt(bareKey)))
      figures.open.push(perSecond(times, n => open(keyOf, envelopes[n]!, aad)))
      figures.bareOpen.push(perSecond(times, n => decrypt(bareKey, bare[n]!)))
    }
    const beside = 'bare AES-256-GCM'
    return [
      result('vault-seal', median(figures.seal), 'seals/s', { name: beside, value: median(figures.bareSeal) }, rssMiB()),
      result('vault-open', median(figures.open), 'opens/s', { name: beside, value: median(figures.bareOpen) }, rssMiB())
    ]
  }
}

export const vaultRewrap: Case = {
  name: 'vault-rewrap',
  about: `${rows} secrets moved to a new key on SQLite, and what that does to memory and to the only thread`,
  async run() {
    const folder = await mkdtemp(join(tmpdir(), 'quayside-bench-'))
    const database = await openDatabase(`sqlite:${join(folder, 'vault.db')}`)
    try {
      await migrate(database)
      return await measureRewrap(database)
    } finally {
      await database.close()
      await rm(folder, { recursive: true, force: true })
    }
  }
}

async function measureRewrap({ db }: Database) {
  let file = generateKeyRing()
  const vault = await openVault(db, { ring: parseKeyRing(file), reload: () => parseKeyRing(file) })
  await fill(db, vault)
  const rotate = async (compromised: string[]) => {
    const line = generateKeyRing()
    const move = { keyId: line.split(':', 1)[0]!, compromised }
    file = line + file
    await vault.refresh(db)
    const before = rssMiB()
    let highest = before
    const delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    const start = performance.now()
    await startMove(db, vault, move)
    const stuck = await moveAll(db, vault, move, () => {
      highest = Math.max(highest, rssMiB())
    })
    const seconds = (performance.now() - start) / 1000
    delay.disable()
    const { done, total } = await moveProgress(db, move.keyId)
    if (stuck.length > 0 || done !== total || done <= rows) throw new Error(`${done} of ${total} secrets were moved`)
    return { perSecond: rows / seconds, before, highest, blockedMs: { p99: delay.percentile(99) / 1e6, max: delay.max / 1e6 } }
  }
  // What is compiled and kept ready once is not what a longer table would cost.
  await rotate([])
  const plain = await rotate([])
  const compromised = await rotate([parseKeyRing(file).current.id])
  const bare = await bareUpdates(db)
  const updates = { name: 'the same rows updated, nothing wrapped', value: bare }
  return [
    result('vault-rewrap', plain.perSecond, 'rows/s', updates, plain.highest),
    result('vault-reseal', compromised.perSecond, 'rows/s', updates, compromised.highest),
    result('vault-rewrap-rss', plain.highest, 'MiB', { name: 'before it', value: plain.before }, plain.highest),
    result('vault-rewrap-blocked-p99', plain.blockedMs.p99, 'ms', { name: 'limit', value: mostBlockedMs }, plain.highest),
    result('vault-rewrap-blocked-max', plain.blockedMs.max, 'ms', { name: 'limit', value: mostBlockedMs }, plain.highest)
  ]
}

async function fill(db: Database['db'], vault: Vault): Promise<void> {
  const owner = { organizationId: 'org_01k', installationId: 'ins_01k', purpose: 'management_token' }
  for (let start = 0; start < rows; start += 1_000) {
    await db.transaction().execute(async trx => {
      for (let n = 0; n < 1_000; n += 1) await vault.put(trx, owner, secret)
    })
  }
}

/** What the disk and SQLite take of it: 500 rows a transaction, read, and written with another key id. Spoils the rows. */
async function bareUpdates(db: Database['db']): Promise<number> {
  const start = performance.now()
  let count = 0
  for (let after: string | undefined = ''; after !== undefined; ) {
    const last: string = after
    const ids = await db.transaction().execute(async trx => {
      const slice = await trx.selectFrom('secret').selectAll().where('id', '>', last).orderBy('id').limit(500).execute()
      const found = slice.map(({ id }) => id)
      if (found.length > 0) await trx.updateTable('secret').set({ key_id: 'bare' }).where('id', 'in', found).execute()
      return found
    })
    count += ids.length
    after = ids.at(-1)
  }
  return count / ((performance.now() - start) / 1000)
}

function perSecond(count: number, act: (n: number) => unknown): number {
  const start = performance.now()
  for (let n = 0; n < count; n += 1) act(n)
  return count / ((performance.now() - start) / 1000)
}

function encrypt(key: Buffer): Buffer {
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(aad))
  const body = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()])
  return Buffer.concat([iv, cipher.getAuthTag(), body])
}

function decrypt(key: Buffer, sealed: Buffer): string {
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12), { authTagLength: 16 })
  decipher.setAAD(Buffer.from(aad)).setAuthTag(sealed.subarray(12, 28))
  return Buffer.concat([decipher.update(sealed.subarray(28)), decipher.final()]).toString('utf8')
}

function rssMiB(): number {
  return Math.round(process.memoryUsage.rss() / 2 ** 20)
}
