// `quayside audit …` and `quayside organizations …` as an operator types them, beside a running server.
import { spawn } from 'node:child_process'
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type App, createApp } from '../../server/app.ts'
import { appendAudit } from '../../server/audit/audit.ts'
import type { Config } from '../../server/config.ts'
import { type Database, type Db, openDatabase } from '../../server/database/database.ts'
import type { ErasureReceipt } from '../../server/http/contract/console.ts'
import { createLog } from '../../server/log.ts'
import { generateKeyRing, parseKeyRing } from '../../server/vault/cipher.ts'
import { openVault, type Vault } from '../../server/vault/vault.ts'
import { freshPostgres, freshSqlite } from '../support/databases.ts'
import { insertInstallation } from '../support/rows.ts'

const command = fileURLToPath(new URL('../../server/quayside.cjs', import.meta.url))

interface Said {
  code: number | null
  out: string
  err: string
}

describe.each([
  ['sqlite', freshSqlite],
  ['postgres', () => freshPostgres()]
] as const)('beside a server on %s', (_dialect, fresh) => {
  let folder: string
  let logFile: string
  let app: App
  let database: Database
  let db: Db
  let vault: Vault
  let harbour: string
  let shore: string
  let cleanups: (() => Promise<unknown>)[]
  let start: () => Promise<void>

  beforeEach(async () => {
    cleanups = []
    folder = await mkdtemp(join(tmpdir(), 'quayside-cli-audit-'))
    cleanups.push(() => rm(folder, { recursive: true }))
    logFile = join(folder, 'server.log')
    const ring = generateKeyRing()
    await writeFile(join(folder, 'key'), ring, { mode: 0o600 })
    const { url, cleanup } = await fresh()
    cleanups.push(cleanup)
    const config: Config = {
      production: false,
      publicUrl: 'http://127.0.0.1:1',
      host: '127.0.0.1',
      port: 0,
      databaseUrl: url,
      anchorFile: join(folder, 'anchors.jsonl'),
      filesDirectory: folder,
      privateHosts: [],
      trustedProxies: [],
      role: 'http',
      workers: 1,
      logLevel: 'info',
      organizations: [
        { region: 'sandbox', organizationUid: 'blt1', name: 'Harbour' },
        { region: 'sandbox', organizationUid: 'blt2', name: 'Shore' }
      ]
    }
    const secrets = { keyRing: parseKeyRing(ring), apps: [], identityProviders: [] }
    start = async () => {
      const lines: string[] = []
      app = await createApp(config, secrets, createLog('info', { write: line => void lines.push(line) }), { background: false })
      await appendFile(logFile, lines.join(''))
    }
    await start()
    cleanups.push(() => app.close())
    database = await openDatabase(url)
    cleanups.push(() => database.close())
    db = database.db
    vault = await openVault(db, { ring: secrets.keyRing })
    const organizations = await db.selectFrom('organization').selectAll().orderBy('name').execute()
    ;[harbour, shore] = organizations.map(({ id }) => id) as [string, string]
    await append(harbour, 5)
    await append(shore, 2)
    // A server that comes up notes the heads.
    await app.close()
    await start()
  })
  afterEach(async () => {
    for (const cleanup of cleanups.toReversed()) await cleanup()
  })

  async function append(organizationId: string, count: number): Promise<void> {
    await db.transaction().execute(async trx => {
      for (let n = 0; n < count; n++)
        await appendAudit(trx, vault, {
          organizationId,
          actor: { kind: 'admin', id: 'p1', name: 'Ada <ada@harbour.example>' },
          action: 'sync.pause',
          object: { kind: 'sync', id: `syn_${n}`, name: 'Articles' }
        })
    })
  }
  const events = (organizationId = harbour) => db.deleteFrom('audit_event').where('organization_id', '=', organizationId)

  /** Reads no further when it has so many characters. */
  function quaysideUntil(enough: number, ...args: string[]): Promise<Said> {
    return new Promise((resolve, reject) => {
      const env = { PATH: process.env['PATH'] ?? '', QUAYSIDE_PUBLIC_URL: app.url, QUAYSIDE_KEY_FILE: join(folder, 'key') }
      const child = spawn(process.execPath, [command, ...args], { env })
      let out = ''
      let err = ''
      child.stdout.on('data', (chunk: Buffer) => {
        out += chunk.toString()
        if (out.length >= enough) child.stdout.destroy()
      })
      child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
      child.once('error', reject)
      child.once('close', code => resolve({ code, out, err }))
    })
  }
  const quayside = (...args: string[]) => quaysideUntil(Infinity, ...args)

  it('verifies every chain against what the server noted in its file, and against its log', async () => {
    const people = await quayside('audit', 'verify')
    expect(people).toMatchObject({ code: 0, err: '' })
    expect(people.out).toMatch(/Harbour\s+5\s+1\s+holds/)
    expect(people.out).toMatch(/Shore\s+2\s+1\s+holds/)
    const { code, out } = await quayside('audit', 'verify', '--anchors', logFile, '--json')
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({
      ok: true,
      organizations: [
        { organizationId: harbour, events: 5, anchors: 2, findings: [] },
        { organizationId: shore, events: 2, anchors: 2, findings: [] }
      ],
      anchors: { file: join(folder, 'anchors.jsonl'), compared: 4, unreadable: 0 }
    })
  })

  it('names what is wrong where, and exits with 1', async () => {
    const one = await db
      .updateTable('audit_event')
      .set({ actor_name: 'Bob' })
      .where('organization_id', '=', harbour)
      .where('seq', '=', 2)
      .returningAll()
      .executeTakeFirstOrThrow()
    await events(shore).where('seq', '=', 2).execute()
    const { code, out } = await quayside('audit', 'verify', '--json')
    expect(code).toBe(1)
    const { ok, organizations } = JSON.parse(out) as { ok: boolean; organizations: { findings: object[] }[] }
    expect(ok).toBe(false)
    expect(organizations.map(({ findings }) => findings)).toMatchObject([
      [{ organizationId: harbour, seq: 2, eventId: one.id, at: one.at, kind: 'changed' }],
      [{ organizationId: shore, seq: 2, kind: 'truncated' }]
    ])
    const people = await quayside('audit', 'verify')
    expect(people.code).toBe(1)
    expect(people.out).toContain(one.id)
    expect(people.out).toContain(new Date(one.at).toISOString())
    expect(people.out).toMatch(/truncated/)
  })

  it('sees by the log what the server’s own file no longer tells, and says when there was nothing to compare with', async () => {
    await events().execute()
    await db.deleteFrom('organization').where('id', '=', harbour).execute()
    await rm(join(folder, 'anchors.jsonl'))
    const blind = await quayside('audit', 'verify')
    expect(blind.code).toBe(0)
    expect(blind.err).toContain('No anchors were compared')
    const { code, out } = await quayside('audit', 'verify', '--anchors', logFile, '--json')
    expect(code).toBe(1)
    expect(JSON.parse(out)).toMatchObject({
      organizations: [{ organizationId: shore }, { organizationId: harbour, findings: [{ kind: 'truncated', seq: 1 }] }]
    })
  })

  it.each([
    ['that is not there', 'nowhere.jsonl', 'There is no readable file'],
    ['without an anchor', 'key', 'There is no anchor in']
  ])('refuses a file %s, instead of saying that all holds', async (_case, name, words) => {
    const said = await quayside('audit', 'verify', '--anchors', join(folder, name))
    expect(said).toMatchObject({ code: 1, out: '' })
    expect(said.err).toContain(words)
  })

  it('exports lines whose links hold, of one organization or of all, and from a time on', async () => {
    const lines = async (...args: string[]) =>
      (await quayside('audit', 'export', ...args)).out
        .trim()
        .split('\n')
        .map(line => JSON.parse(line) as { seq?: number; mac: string; previous_mac: string; head?: { seq: number; mac: string } })
    const own = await lines('--organization', harbour)
    expect(own.map(({ seq, head }) => seq ?? head?.seq)).toEqual([1, 2, 3, 4, 5, 5])
    for (const [at, line] of own.slice(1, -1).entries()) expect(line.previous_mac).toBe(own[at]?.mac)
    expect(own.at(-1)?.head?.mac).toBe(own.at(-2)?.mac)
    expect(await lines()).toHaveLength(9)
    expect(await lines('--since', '2100-01-01', '--organization', harbour)).toHaveLength(1)
    expect((await quayside('audit', 'export', '--since', 'yesterday')).err).toContain('"yesterday" is not a time')
    expect((await quayside('audit', 'export', '--organization', 'org_x')).err).toContain('There is no organization org_x')
  })

  it('ends quietly when nobody reads on', async () => {
    await append(harbour, 1_500)
    const { code, out, err } = await quaysideUntil(100, 'audit', 'export')
    expect([code, err]).toEqual([0, ''])
    expect(out.length).toBeGreaterThan(0)
    expect(out).not.toContain('"head"')
  })

  it('shows how often secrets were opened', async () => {
    const day = new Date().toISOString().slice(0, 10)
    const row = { organization_id: harbour, installation_id: '', purpose: 'connection', day, count: 3 }
    await db
      .insertInto('reveal_count')
      .values([row, { ...row, day: '2020-01-01' }])
      .execute()
    expect(JSON.parse((await quayside('audit', 'reveals', '--json')).out)).toEqual([
      { organizationId: harbour, purpose: 'connection', day, count: 3 }
    ])
    expect((await quayside('audit', 'reveals', '--organization', shore)).out).toBe('none\n')
    expect((await quayside('audit', 'reveals', '--days', '3650')).out).toContain('2020-01-01')
    expect((await quayside('audit', 'reveals', '--days', 'many')).err).toContain('whole number')
  })

  it('says what erasing would take, does it by the exact name alone, and knows its receipt', async () => {
    const { id } = await insertInstallation(db, { organization_id: harbour, stack_name: 'Blog EU' })
    expect((await quayside('organizations', 'list')).out).toMatch(/Harbour\s+claimed\s+1\s+5\s+blt1/)

    const asked = await quayside('organizations', 'erase', harbour)
    expect(asked).toMatchObject({ code: 0, err: '' })
    expect(asked.out).toMatch(/installation\s+1\n/)
    expect(asked.out).toContain('Nothing was erased')
    const misnamed = await quayside('organizations', 'erase', harbour, '--name', 'Shore')
    expect(misnamed.code).toBe(1)
    expect(await db.selectFrom('installation').select('id').execute()).toEqual([{ id }])

    const done = await quayside('organizations', 'erase', harbour, '--name', 'Harbour')
    expect(done.code).toBe(0)
    expect(done.err).toContain('Take blt1 (sandbox) out of the tenants file too')
    const receipt = JSON.parse(done.out) as ErasureReceipt
    expect(receipt).toMatchObject({
      organization: { id: harbour, name: 'Harbour' },
      rows: { installation: 1, audit_event: 6 },
      tokensLeft: []
    })
    expect(receipt.by.name).toMatch(/^quayside command \(.+\)$/)
    expect(await db.selectFrom('installation').select('id').execute()).toEqual([])

    const file = join(folder, 'receipt.json')
    await writeFile(file, done.out)
    expect(await quayside('organizations', 'verify-receipt', file)).toMatchObject({ code: 0, err: '' })
    await writeFile(file, (await readFile(file, 'utf8')).replace('"Harbour"', '"Shore"'))
    const forged = await quayside('organizations', 'verify-receipt', file)
    expect(forged).toMatchObject({ code: 1, out: '' })
    expect(forged.err).toContain('did not give this receipt')
    await writeFile(file, '{}')
    expect((await quayside('organizations', 'verify-receipt', file)).code).toBe(1)

    expect((await quayside('organizations', 'list')).out).toMatch(/blt1\s+unclaimed\s+0\s+7\s+blt1/)
    expect(await quayside('audit', 'verify')).toMatchObject({ code: 0 })
    expect((await quayside('audit', 'export', '--organization', harbour)).out).not.toContain('ada@')
  })
})
