// `quayside installations …` as an operator types it, beside two servers of their own: the one that is left and the one moved to.
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type App, createApp } from '../../server/app.ts'
import { batchesOf, type CheckedFile, checkFile } from '../../server/cli/export-file.ts'
import type { Config } from '../../server/config.ts'
import { type Database, openDatabase } from '../../server/database/database.ts'
import { newId } from '../../server/database/id.ts'
import type { Row } from '../../server/database/schema.ts'
import type { ImportBatch } from '../../server/http/contract/export.ts'
import { silentLog } from '../../server/log.ts'
import { generateKeyRing, parseKeyRing } from '../../server/vault/cipher.ts'
import { freshPostgres, freshSqlite } from '../support/databases.ts'
import { insertInstallation } from '../support/rows.ts'
import { plantLinks } from '../sync/predecessor.ts'

const command = fileURLToPath(new URL('../../server/quayside.cjs', import.meta.url))
const stackApiKey = 'blt0123456789abcdef'

function quayside(env: Record<string, string>, ...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [command, 'installations', ...args], { env: { PATH: process.env.PATH ?? '', ...env } })
    let out = ''
    let err = ''
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
    child.once('error', reject)
    child.once('close', code => resolve({ code, out, err }))
  })
}

interface Server {
  env: Record<string, string>
  database: Database
  installation: Row<'installation'>
  close(): Promise<void>
}

async function openServer(dialect: 'sqlite' | 'postgres'): Promise<Server> {
  const folder = await mkdtemp(join(tmpdir(), 'quayside-move-'))
  const ring = generateKeyRing()
  await writeFile(join(folder, 'key'), ring, { mode: 0o600 })
  const fresh = dialect === 'sqlite' ? await freshSqlite() : await freshPostgres()
  const config: Config = {
    production: false,
    publicUrl: 'http://127.0.0.1:1',
    host: '127.0.0.1',
    port: 0,
    databaseUrl: fresh.url,
    filesDirectory: folder,
    anchorFile: join(folder, 'anchors.jsonl'),
    privateHosts: [],
    trustedProxies: [],
    role: 'http',
    workers: 1,
    logLevel: 'silent',
    organizations: [{ region: 'sandbox', organizationUid: 'blt1', name: 'Harbour' }]
  }
  const app: App = await createApp(config, { keyRing: parseKeyRing(ring), apps: [], identityProviders: [] }, silentLog, {
    background: false
  })
  const database = await openDatabase(fresh.url)
  const { id } = await database.db.selectFrom('organization').select('id').executeTakeFirstOrThrow()
  return {
    env: { QUAYSIDE_PUBLIC_URL: app.url, QUAYSIDE_KEY_FILE: join(folder, 'key') },
    database,
    installation: await insertInstallation(database.db, { organization_id: id, stack_api_key: stackApiKey, stack_name: 'Blog EU' }),
    async close() {
      await app.close()
      await database.close()
      await fresh.cleanup()
      await rm(folder, { recursive: true })
    }
  }
}

/** A connection with a secret, a sync on it and so many links. */
async function furnish({ database: { db }, installation }: Server, links: number): Promise<Row<'sync'>> {
  const now = Date.now()
  const own = { organization_id: installation.organization_id, installation_id: installation.id, created_at: now, updated_at: now }
  const connection = {
    ...own,
    id: newId('con'),
    connector: 'sql',
    name: 'Warehouse',
    settings_json: '{"system":"postgres","host":"db.example.com","port":5432,"database":"site","user":"site","ssl":"off"}',
    secrets_json: JSON.stringify({ password: newId('sec') }),
    checked_at: now,
    error: null
  }
  await db.insertInto('connection').values(connection).execute()
  const sync: Row<'sync'> = {
    ...own,
    id: newId('syn'),
    connection_id: connection.id,
    link_set_id: newId('lks'),
    name: 'Article -> Warehouse',
    direction: 'outbound',
    content_type: 'article',
    branch: 'main',
    locales_json: '[]',
    mapping_json: '[{"from":"title","to":"title","type":"text"}]',
    options_json: '{"table":"article","source":"draft"}',
    state: 'active',
    paused_reason: null,
    revision: 1
  }
  await db.insertInto('sync').values(sync).execute()
  await plantLinks(db, sync, links)
  return sync
}

const linksOf = ({ database: { db }, installation }: Server) =>
  db.selectFrom('link').selectAll().where('installation_id', '=', installation.id).orderBy('external_id').execute()

describe.each(['sqlite', 'postgres'] as const)('on %s', dialect => {
  let left: Server
  let reached: Server
  let folder: string
  let file: string
  beforeAll(async () => {
    left = await openServer(dialect)
    reached = await openServer(dialect)
    folder = await mkdtemp(join(tmpdir(), 'quayside-exports-'))
    file = join(folder, 'export.jsonl')
    await furnish(left, 1_200)
    const { out } = await quayside(left.env, 'export', left.installation.id)
    await writeFile(file, out)
  })
  afterAll(async () => {
    await left.close()
    await reached.close()
    await rm(folder, { recursive: true })
  })

  it('exports to stdout, one JSON value a line, first the head, last the counts', async () => {
    const { code, out, err } = await quayside(left.env, 'export', left.installation.id)
    expect(code).toBe(0)
    const lines = out.trimEnd().split('\n')
    expect(JSON.parse(lines[0]!)).toEqual({
      format: 'quayside-export',
      version: 1,
      region: 'sandbox',
      organizationUid: 'blt1',
      stackApiKey,
      appUid: 'app-quayside',
      exportedAt: expect.any(Number) as number
    })
    expect(JSON.parse(lines.at(-1)!)).toEqual({ kind: 'end', connections: 1, syncs: 1, links: 1_200 })
    expect(lines).toHaveLength(1_204)
    expect(out).not.toContain('sec_')
    expect(err).toContain('1 connections, 1 syncs and 1200 links exported')
  })

  it('takes the file over on the other server, and once more without doubles', async () => {
    const { id } = reached.installation
    const first = await quayside(reached.env, 'adopt', id, '--file', file)
    expect(first).toMatchObject({ code: 0, out: `${id} has 1 connections, 1 syncs and 1200 links of ${file}. Its syncs are paused.\n` })
    expect(first.err).toMatch(/is whole.*\nNext: connect a token/)
    const taken = await linksOf(reached)
    const shown = (rows: Row<'link'>[]) =>
      rows.map(row => ({ ...row, link_set_id: '', organization_id: '', installation_id: '', last_run_id: '' }))
    expect(shown(taken)).toEqual(shown(await linksOf(left)))
    const again = await quayside(reached.env, 'adopt', id, '--file', file, '--json')
    expect(again.code).toBe(0)
    expect(JSON.parse(again.out)).toEqual({ connections: 1, syncs: 1, links: 1_200 })
    expect(again.err).toContain('1202 of 1202 lines stood here already')
    expect(await linksOf(reached)).toEqual(taken)
    const list = await quayside(reached.env, '--json')
    expect(JSON.parse(list.out)).toMatchObject([{ id, syncs: { active: 0, paused: 1 } }])
  })

  it('shows what an earlier installation left, takes it over, and shows it no more', async () => {
    const server = await openServer(dialect)
    try {
      const sync = await furnish(server, 700)
      const { database, installation: old } = server
      await database.db.updateTable('installation').set({ status: 'uninstalled' }).where('id', '=', old.id).execute()
      const { organization_id, app_uid } = old
      const { id } = await insertInstallation(database.db, { organization_id, app_uid, stack_api_key: stackApiKey, stack_name: 'Blog EU' })
      const shown = await quayside(server.env, 'show', id)
      expect(shown.out).toContain('Blog EU')
      expect(shown.out).toContain(old.id)
      expect(shown.out).toContain('700')
      const json = JSON.parse((await quayside(server.env, 'show', id, '--json')).out) as object
      expect(json).toMatchObject({ installation: { id }, predecessors: [{ id: old.id, connections: 1, syncs: 1, links: 700 }] })

      const byFile = await quayside(server.env, 'export', old.id)
      const own = join(folder, 'own.jsonl')
      await writeFile(own, byFile.out)
      const refused = await quayside(server.env, 'adopt', id, '--file', own)
      expect(refused).toMatchObject({ code: 1, out: '' })
      expect(refused.err).toContain(`take it over with --from ${old.id}`)

      const taken = await quayside(server.env, 'adopt', id, '--from', old.id)
      expect(taken).toMatchObject({ code: 0, out: `${id} has 1 connections, 1 syncs and 700 links of ${old.id}. Its syncs are paused.\n` })
      expect(await database.db.selectFrom('sync').select(['installation_id', 'state']).where('id', '=', sync.id).execute()).toEqual([
        { installation_id: id, state: 'paused' }
      ])
      const events = await database.db.selectFrom('audit_event').selectAll().where('action', '=', 'installation.adopt').execute()
      expect(events).toMatchObject([{ actor_kind: 'system', actor_name: expect.stringContaining('quayside command') as string }])
      expect(JSON.parse((await quayside(server.env, 'show', id, '--json')).out)).toMatchObject({ predecessors: [] })
      const after = await quayside(server.env, 'export', old.id)
      expect(after).toMatchObject({ code: 1, out: '' })
      expect(after.err).toContain(`Export ${id}`)
    } finally {
      await server.close()
    }
  })

  it.each<[what: string, code: number, words: RegExp, args: (own: string) => string[]]>([
    ['neither way named', 2, /either --from <installation> or --file/, own => ['adopt', own]],
    ['both ways named', 2, /either --from <installation> or --file/, own => ['adopt', own, '--from', 'x', '--file', 'y']],
    ['a word that is no command', 2, /too many arguments|unknown command/, () => ['destroy']],
    ['an unknown installation', 1, /There is no installation ins_nobody/, () => ['show', 'ins_nobody']],
    ['an unknown predecessor', 1, /There is no installation ins_nobody/, own => ['adopt', own, '--from', 'ins_nobody']],
    ['a file that is not there', 1, /cannot be read/, own => ['adopt', own, '--file', '/nowhere/export.jsonl']],
    ['a folder for a file', 1, /cannot be read/, own => ['adopt', own, '--file', '/']]
  ])('refuses %s', async (_what, code, words, args) => {
    const answer = await quayside(reached.env, ...args(reached.installation.id))
    expect(answer.code).toBe(code)
    expect(answer.err).toMatch(words)
    expect(answer.err).not.toContain('    at ')
    expect(answer.out).toBe('')
  })

  it("another stack's file is refused, naming both, and nothing of it is kept", async () => {
    const other = await openServer(dialect)
    try {
      await other.database.db.updateTable('installation').set({ stack_api_key: 'bltother' }).execute()
      const answer = await quayside(other.env, 'adopt', other.installation.id, '--file', file)
      expect(answer.code).toBe(1)
      expect(answer.err).toContain(
        `The file is of the stack sandbox blt1 ${stackApiKey}, and this installation is in sandbox blt1 bltother`
      )
      expect(await other.database.db.selectFrom('connection').selectAll().execute()).toEqual([])
    } finally {
      await other.close()
    }
  })
})

describe('a file', () => {
  let folder: string
  let server: Server
  let whole: string[]
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'quayside-hostile-'))
    server = await openServer('sqlite')
    await furnish(server, 3)
    whole = (await quayside(server.env, 'export', server.installation.id)).out.trimEnd().split('\n')
  })
  afterAll(async () => {
    await server.close()
    await rm(folder, { recursive: true })
  })

  const allOf = async (file: CheckedFile): Promise<ImportBatch[]> => {
    const batches: ImportBatch[] = []
    for await (const batch of batchesOf(file)) batches.push(batch)
    return batches
  }
  const written = async (lines: string[]): Promise<string> => {
    const path = join(folder, 'hostile.jsonl')
    await writeFile(path, lines.join('\n'))
    return path
  }
  /** Head, connection, sync, three links, counts: one of them changed. */
  const at =
    (index: number, change: object | ((line: Record<string, unknown>) => object)) =>
    (lines: string[]): string[] =>
      lines.map((text, own) => {
        if (own !== index) return text
        const line = JSON.parse(text) as Record<string, unknown>
        return JSON.stringify(typeof change === 'function' ? change(line) : { ...line, ...change })
      })
  const [head, connection, sync, link, end] = [0, 1, 2, 3, 6]
  const mapped = (row: object) => at(sync, { mapping: [{ from: 'title', to: 'title', type: 'text', required: false, ...row }] })
  const longer = 'x'.repeat(40_000)

  const hostile: [what: string, words: RegExp, make: (lines: string[]) => string[]][] = [
    ['is empty', /Line 1 .* is empty/, () => []],
    ['is no JSON', /Line 1 .* not JSON/, () => ['PK\u0003\u0004']],
    ['is something else', /Line 1 .* no export of Quayside/, () => ['{"hello":"world"}']],
    ['is JSON of no object', /Line 1 .* no export of Quayside/, () => ['null']],
    ['is of another format', /Line 1 .* no export of Quayside/, at(head, { format: 'quayside-backup' })],
    ['is of a later version', /reads version 1 of the format, not 2/, at(head, { version: 2 })],
    ['has more in its head', /Line 1 .*[Uu]nrecognized/, at(head, { installationId: 'ins_other' })],
    ['lacks its stack', /Line 1 .*stackApiKey/, at(head, ({ stackApiKey: _key, ...rest }) => rest)],
    ['has no counts', /not complete: the line with the counts is missing/, lines => lines.slice(0, -1)],
    ['was cut in the middle of a line', /Line 5 .* not JSON/, lines => [...lines.slice(0, 4), lines[4]!.slice(0, 20)]],
    ['lost a line', /not complete: it holds 1 connections, 1 syncs and 2 links/, lines => lines.toSpliced(link, 1)],
    ['counts less than it holds', /not complete/, at(end, { links: 2 })],
    ['counts below nothing', /Line 7 .*links/, at(end, { links: -1 })],
    ['goes on after its counts', /Line 8 .* follows the counts/, lines => [...lines, lines[link]!]],
    ['has an empty line', /Line 3 .* not JSON/, lines => lines.toSpliced(2, 0, '')],
    ['has a line of a kind that is none', /Line 2 .*kind/, at(connection, { kind: 'access_key' })],
    ['has a second head', /Line 2 /, lines => lines.toSpliced(1, 0, lines[head]!)],
    ['has a line too long to be one', /Line 4 .* longer than 30000 bytes/, at(link, { error: longer })],
    ['has a line without an end', /Line 1 .* longer than 30000 bytes/, () => [`"${longer.repeat(20)}`]],
    ['brings a secret', /Line 2 .*[Uu]nrecognized/, at(connection, { secrets: { password: 'x' } })],
    ['names the ids of secrets', /Line 2 .*[Uu]nrecognized/, at(connection, { secretIds: ['sec_1'] })],
    ['names an organization of its own', /Line 2 .*[Uu]nrecognized/, at(connection, { organizationId: 'org_other' })],
    ['names an installation of its own', /Line 3 .*[Uu]nrecognized/, at(sync, { installationId: 'ins_other' })],
    ['brings a sync that is active', /Line 3 .*[Uu]nrecognized/, at(sync, { state: 'active' })],
    [
      'brings a job',
      /Line 3 .*schedule.*[Uu]nrecognized/,
      at(sync, { schedule: { cron: '* * * * *', timeZone: 'UTC', job: { kind: 'x' } } })
    ],
    ['has a connection twice', /Line 3 .* stands there twice/, lines => lines.toSpliced(2, 0, lines[connection]!)],
    ['has a sync twice', /Line 4 .* stands there twice/, lines => lines.toSpliced(3, 0, lines[sync]!)],
    ['has a sync of a connection that is not in it', /Line 3 .* not in the lines before/, at(sync, { connectionId: newId('con') })],
    ['has a link of a sync that is not in it', /Line 4 .* not in the lines before/, at(link, { syncId: newId('syn') })],
    ['has its links first', /Line 2 .* not in the lines before/, lines => [lines[head]!, lines[link]!, ...lines.slice(1)]],
    ['has an id that is a path', /Line 2 .*id/, at(connection, { id: 'con_../../../../../etc/passwd' })],
    ['has the id of a schedule of ours', /Line 3 .*id/, at(sync, { id: 'audit.anchor' })],
    ['has a link set that is none', /Line 3 .*linkSetId/, at(sync, { linkSetId: '%' })],
    ['has a branch that is an address', /Line 3 .*branch/, at(sync, { branch: 'main?x=y' })],
    ['has a content type that is a path', /Line 3 .*contentType/, at(sync, { contentType: '../../stacks' })],
    ['maps to a type that is none', /Line 3 .*mapping\.0\.type/, mapped({ type: 'blob' })],
    ['maps by an expression that is no text', /Line 3 .*mapping\.0/, mapped({ expression: 7 })],
    ['writes to a source that is none', /Line 3 .*source/, at(sync, { options: { table: 'article', source: 'live' } })],
    ['has an entry that is a path', /Line 4 .*entryUid/, at(link, { entryUid: '../webhooks' })],
    ['has a state that is none', /Line 4 .*status/, at(link, { status: 'owned' })],
    ['has an order beyond what can grow', /Line 4 .*order/, at(link, { order: Number.MAX_SAFE_INTEGER })],
    ['has a fraction for a version', /Line 4 .*version/, at(link, { version: 1.5 })],
    ['holds a claim', /Line 4 .*[Uu]nrecognized/, at(link, { claim_token: 'x', claim_until: 9e15 })]
  ]

  it.each(hostile)('that %s is refused whole, naming the line, before anything is sent', async (_what, words, make) => {
    const path = await written(make(whole))
    await expect(checkFile(path)).rejects.toMatchObject({ code: 'invalid', message: expect.stringMatching(words) })
  })

  it('that is whole is read as it was written, with or without its last line end, in batches that the door takes', async () => {
    for (const tail of ['', '\n']) {
      const path = await written([...whole.slice(0, -1), `${whole.at(-1)}${tail}`])
      const file = await checkFile(path)
      expect(file.counts).toEqual({ connections: 1, syncs: 1, links: 3 })
      const sent = await allOf(file)
      expect(sent.flatMap(({ lines }) => lines)).toEqual(whole.slice(1, -1).map(text => JSON.parse(text) as unknown))
    }
    const big = whole[link]!.replace(/"error":null/, `"error":"${'é'.repeat(12_000)}"`)
    const many = [
      ...whole.slice(0, link),
      ...Array.from({ length: 9 }, () => big),
      JSON.stringify({ kind: 'end', connections: 1, syncs: 1, links: 9 })
    ]
    const batches = await allOf(await checkFile(await written(many)))
    expect(batches.length).toBeGreaterThan(3)
    for (const batch of batches) expect(Buffer.byteLength(JSON.stringify(batch))).toBeLessThan(64 * 1024)
    expect(batches.flatMap(({ lines }) => lines)).toHaveLength(11)
  })

  it('is not touched by being read', async () => {
    const path = await written(whole)
    await checkFile(path)
    expect(await readFile(path, 'utf8')).toBe(whole.join('\n'))
  })
})
