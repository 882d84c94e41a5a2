// `quayside keys …` as an operator types it, beside a server that runs jobs: the key file on the disk, the secrets in its database.
import { type ChildProcess, spawn } from 'node:child_process'
import { chmod, lstat, mkdtemp, readdir, readFile, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type App, createApp } from '../../server/app.ts'
import type { Config, Secrets } from '../../server/config.ts'
import { verifyAudit } from '../../server/audit/audit.ts'
import { type Database, openDatabase } from '../../server/database/database.ts'
import type { Row } from '../../server/database/schema.ts'
import { hold } from '../../server/jobs/queue.ts'
import { silentLog } from '../../server/log.ts'
import { generateKeyRing, parseKeyRing } from '../../server/vault/cipher.ts'
import { openVault } from '../../server/vault/vault.ts'
import { freshPostgres, freshSqlite } from '../support/databases.ts'
import { insertInstallation } from '../support/rows.ts'

const command = fileURLToPath(new URL('../../server/quayside.cjs', import.meta.url))
const purpose = 'management_token'

interface Answer {
  code: number | null
  out: string
  err: string
}

describe.each([
  ['sqlite', freshSqlite],
  ['postgres', () => freshPostgres()]
] as const)('quayside keys beside a server on %s', (_dialect, fresh) => {
  let folder: string
  let keyFile: string
  let config: Config
  let secrets: Secrets
  let app: App
  let database: Database
  let installation: Row<'installation'>
  let secretIds: string[]
  let cleanup: () => Promise<void>
  const children: ChildProcess[] = []

  const begin = (...args: string[]) => {
    const env = { PATH: process.env.PATH ?? '', QUAYSIDE_PUBLIC_URL: app.url, QUAYSIDE_KEY_FILE: keyFile }
    const child = spawn(process.execPath, [command, 'keys', ...args], { env })
    children.push(child)
    const answer = new Promise<Answer>((resolve, reject) => {
      let [out, err] = ['', '']
      child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
      child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
      child.once('error', reject)
      child.once('exit', code => resolve({ code, out, err }))
    })
    /** Until it has said this on stderr. */
    const saying = (words: string) =>
      new Promise<void>(resolve => child.stderr.on('data', (chunk: Buffer) => chunk.toString().includes(words) && resolve()))
    return { child, answer, saying }
  }
  const keys = async (...args: string[]) => await begin(...args).answer
  const object = async (...args: string[]): Promise<Record<string, unknown>> => {
    const { code, out, err } = await keys(...args, '--json')
    expect(code, err).toBe(0)
    return JSON.parse(out) as Record<string, unknown>
  }
  const ids = async () => [...parseKeyRing(await readFile(keyFile, 'utf8')).keys.keys()]
  const write = async (text: string) => await writeFile(keyFile, text, { mode: 0o600 })
  const start = async () => (app = await createApp(config, secrets, silentLog))
  const restart = async () => {
    await app.close()
    secrets = { ...secrets, keyRing: parseKeyRing(await readFile(keyFile, 'utf8')) }
    return await start()
  }
  const vault = async () => await openVault(database.db, { ring: parseKeyRing(await readFile(keyFile, 'utf8')) })
  const audited = async (action: string) =>
    await database.db.selectFrom('audit_event').selectAll().where('action', '=', action).orderBy('id').execute()

  beforeEach(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), 'quayside-keys-')))
    keyFile = join(folder, 'key')
    await write(`# made by Olga\n${generateKeyRing()}`)
    const empty = await fresh()
    cleanup = empty.cleanup
    config = {
      production: false,
      publicUrl: 'http://127.0.0.1:1',
      host: '127.0.0.1',
      port: 0,
      databaseUrl: empty.url,
      anchorFile: join(folder, 'anchors.jsonl'),
      filesDirectory: folder,
      privateHosts: [],
      trustedProxies: [],
      role: 'all',
      workers: 2,
      logLevel: 'silent',
      organizations: [{ region: 'sandbox', organizationUid: 'blt1', name: 'Harbour' }]
    }
    const serverFile = keyFile
    const reloadKeyRing = () => parseKeyRing(readFileSync(serverFile, 'utf8'))
    secrets = { keyRing: reloadKeyRing(), reloadKeyRing, apps: [], identityProviders: [] }
    await start()
    database = await openDatabase(empty.url)
    const { id } = await database.db.selectFrom('organization').select('id').executeTakeFirstOrThrow()
    installation = await insertInstallation(database.db, { organization_id: id, stack_name: 'Blog EU' })
    secretIds = []
    const owner = { organizationId: id, installationId: installation.id, purpose }
    const here = await vault()
    await database.db.transaction().execute(async trx => {
      for (let n = 0; n < 3; n += 1) secretIds.push(await here.put(trx, owner, `value ${n}`))
    })
  })
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
    await app.close()
    await database.close()
    await cleanup()
    await rm(folder, { recursive: true })
  })
  const everythingOpens = async () => {
    const here = await vault()
    for (const [n, id] of secretIds.entries()) expect(await here.reveal(database.db, id, purpose)).toBe(`value ${n}`)
    expect(await verifyAudit(database.db, here, installation.organization_id)).toMatchObject({ ok: true })
  }

  it('rotates: a new key in front of the same file, everything under it, and the old one may be removed and the server started again', async () => {
    const [old] = await ids()
    const done = await object('rotate')
    const [newer] = await ids()
    expect(done).toEqual({ keyId: newer, made: true, done: 4, total: 4, removable: [old], needed: [newer], exposed: [] })
    expect(await readFile(keyFile, 'utf8')).toMatch(new RegExp(`^${newer}:.*\\n# made by Olga\\n${old}:.*\\n$`))
    expect((await stat(keyFile)).mode & 0o777).toBe(0o600)
    expect((await readdir(folder)).filter(name => name.startsWith('.'))).toEqual([])
    const events = await audited('vault.rewrap')
    expect(events.map(({ actor_name: actor, object_id: to, detail_json: detail }) => [actor, to, JSON.parse(detail) as object])).toEqual([
      [expect.stringMatching(/^quayside command/), newer, { phase: 'start', from: [old], compromised: [] }],
      [expect.stringMatching(/^quayside command/), newer, { phase: 'end', left: [old] }]
    ])
    await write((await readFile(keyFile, 'utf8')).replace(new RegExp(`${old}:.*\\n`), ''))
    await restart()
    await everythingOpens()
    expect(await object('status')).toMatchObject({ inFront: newer, rewrap: null, keys: [{ id: newer, state: 'current', secrets: 4 }] })
  })

  it('tells people what it does, what may go and what not', async () => {
    const [old] = await ids()
    const { out, err } = await keys('rotate')
    const [newer] = await ids()
    expect(err).toContain(`The new key is ${newer}.`)
    expect(err).toContain(`4 of 4 secrets under ${newer}`)
    expect(out).toContain(`${old} may be removed from the key file now`)
    const status = await keys('status')
    expect(status.out).toMatch(new RegExp(`${newer}\\s+current\\s+4\\s+no[\\s\\S]*${old}\\s+known\\s+0\\s+yes`))
    expect(status.out + out + err).not.toContain(parseKeyRing(await readFile(keyFile, 'utf8')).current.bytes.toString('base64'))
  })

  it('goes on with the key in front when the command was killed before the server heard of it, and makes no third', async () => {
    const [old] = await ids()
    await write(generateKeyRing() + (await readFile(keyFile, 'utf8')))
    const [front] = await ids()
    expect((await keys('status')).out).toContain(`${front} is in front of the file, but ${old} seals. Run: quayside keys rotate`)
    const { err, out } = await keys('rotate')
    expect(err).toContain(`No new key is made: ${front} is in front`)
    expect(out).toContain(`4 of 4 secrets are under ${front}`)
    expect(await ids()).toEqual([front, old])
    await everythingOpens()
  })

  it('killed while the server moves, typed again it follows the same move', async () => {
    await hold(database.db, '', 'a worker that takes its time')
    const { child, answer } = begin('rotate')
    while (
      (await ids()).length < 2 ||
      (await database.db.selectFrom('job').select('id').where('kind', '=', 'vault.rewrap').execute()).length === 0
    )
      await pause(20)
    child.kill('SIGKILL')
    expect((await answer).code).toBeNull()
    const [front] = await ids()
    expect(await object('status')).toMatchObject({ inFront: front, rewrap: { running: true, keyId: front, done: 0, total: 4 } })
    await restart()
    const again = begin('rotate', '--json')
    await again.saying('No new key is made')
    await database.db.deleteFrom('job_hold').execute()
    expect(JSON.parse((await again.answer).out)).toMatchObject({ keyId: front, made: false, done: 4 })
    expect(await ids()).toHaveLength(2)
    expect(await audited('vault.rewrap')).toHaveLength(2)
    await everythingOpens()
  })

  it('with --continue never makes a key, with --new always does', async () => {
    const before = await ids()
    expect(await object('rotate', '--continue')).toMatchObject({ keyId: before[0], made: false, removable: [] })
    expect(await ids()).toEqual(before)
    await write(generateKeyRing() + (await readFile(keyFile, 'utf8')))
    expect(await object('rotate', '--new')).toMatchObject({ made: true, done: 4 })
    expect(await ids()).toHaveLength(3)
    await everythingOpens()
  })

  it('leaves the key file as it was when the server reads another one', async () => {
    const there = keyFile
    keyFile = join(folder, 'other-key')
    await write(`${generateKeyRing()}${await readFile(there, 'utf8')}`)
    const text = await readFile(keyFile, 'utf8')
    // Marked with a key that the server does not have.
    expect((await keys('rotate')).err).toContain('not marked with the key ring of this server')
    const [extra] = text.split('\n')
    await write(`${await readFile(there, 'utf8')}${extra}\n`)
    const refused = await keys('rotate')
    expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('reads another key file') as string })
    expect(await readFile(keyFile, 'utf8')).toBe(`${await readFile(there, 'utf8')}${extra}\n`)
    keyFile = there
    expect(await ids()).toHaveLength(1)
    expect(await audited('vault.rewrap')).toEqual([])
  })

  it('replaces the file that a link points to, and keeps the link', async () => {
    const link = join(folder, 'link')
    await symlink(keyFile, link)
    const real = keyFile
    keyFile = link
    expect(await object('rotate')).toMatchObject({ made: true })
    expect((await lstat(link)).isSymbolicLink()).toBe(true)
    keyFile = real
    expect(await ids()).toHaveLength(2)
  })

  it('shuts the file again for others when it was open', async () => {
    await chmod(keyFile, 0o644)
    await object('rotate')
    expect((await stat(keyFile)).mode & 0o777).toBe(0o600)
  })

  it('a key removed too early: the server says which rows need it and does not start; put back, everything opens', async () => {
    await app.close()
    const text = await readFile(keyFile, 'utf8')
    const [old] = await ids()
    const elsewhere = { ...secrets, keyRing: parseKeyRing(generateKeyRing()) }
    await expect(createApp(config, elsewhere, silentLog)).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringMatching(
        `"${old}" is not on the key ring, and 4 secret.*${secretIds[0]} \\(management_token of ${installation.id}\\)`
      ) as string,
      remedy: expect.stringContaining('QUAYSIDE_KEY_FILE') as string
    })
    await write(text)
    await start()
    await everythingOpens()
  })

  it('a key removed under a running server: status names the rows, rotate refuses, and put back everything goes on', async () => {
    const text = await readFile(keyFile, 'utf8')
    const [old] = await ids()
    await write(generateKeyRing() + text)
    await keys('rotate', '--continue')
    await database.db.updateTable('secret').set({ key_id: 'k-gone' }).where('id', '=', secretIds[1]!).execute()
    const status = await keys('status')
    expect(status.out).toContain(
      `MISSING: k-gone is not in the key file, and 1 secret(s) need it: ${secretIds[1]} (management_token of ${installation.id})`
    )
    const rotate = await keys('rotate')
    expect(rotate).toMatchObject({ code: 1, err: expect.stringContaining('"k-gone" is not on the key ring') as string })
    expect(await ids()).toHaveLength(2)
    expect(await ids()).toContain(old)
  })

  it('a compromised key: a new one seals, its secrets are listed until they are replaced, their admins are told once', async () => {
    const [stolen] = await ids()
    const done = await object('compromise', stolen!)
    const [newer] = await ids()
    expect(done).toMatchObject({ keyId: newer, made: true, removable: [stolen], needed: [newer] })
    const listed = [...secretIds].map(id => ({ id, purpose, installationId: installation.id, remedy: 'Rotate the management token.' }))
    expect((done as { exposed: object[] }).exposed).toMatchObject(listed)
    const alerts = await database.db.selectFrom('alert').selectAll().execute()
    expect(alerts).toMatchObject([
      { installation_id: installation.id, kind: 'token.exposed', text: expect.stringContaining('Rotate the management token') as string }
    ])
    expect(await audited('vault.compromise')).toMatchObject([
      { installation_id: installation.id, detail_json: JSON.stringify({ keys: [stolen], secrets: { management_token: 3 } }) }
    ])
    expect((await keys('status')).out).toContain(`Remove ${stolen} from the key file now: it is compromised and nothing needs it.`)

    // Said again, nobody is told again.
    await object('compromise', stolen!)
    expect(await database.db.selectFrom('alert').select('id').execute()).toHaveLength(1)
    await (await vault()).erase(database.db, secretIds[0]!)
    expect((await object('status')).exposed).toHaveLength(2)
    secretIds = []
    await write((await readFile(keyFile, 'utf8')).replace(new RegExp(`${stolen}:.*\\n`), ''))
    await restart()
    await everythingOpens()
  })

  it.each([
    ['a key that nobody knows', ['k-nobody'], 'No key "k-nobody" ever sealed anything here'],
    ['a name that is no key’s', ['../../etc'], 'compromised']
  ])('compromise refuses %s and changes nothing', async (_case, named, words) => {
    const before = await readFile(keyFile, 'utf8')
    const refused = await keys('compromise', ...named)
    expect(refused).toMatchObject({ code: 1, err: expect.stringContaining(words) as string })
    expect(refused.err).not.toContain('    at ')
    expect(await readFile(keyFile, 'utf8')).toBe(before)
    expect(await audited('vault.compromise')).toEqual([])
  })
})
