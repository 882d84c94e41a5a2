import { sql } from 'kysely'
import { afterEach, expect, it } from 'vitest'
import { blogApiKey, shopApiKey } from '../../sandbox/world/built-in.ts'
import { harbourPublishing } from '../../sandbox/world/people.ts'
import type { Database, Db } from '../../server/database/database.ts'
import { newId } from '../../server/database/id.ts'
import { ExportHead as HeadShape, ExportLine as LineShape } from '../../server/http/contract/export.ts'
import { stackFor } from '../../server/installations/credentials.ts'
import type { Installation } from '../../server/installations/installation.ts'
import { createWorker } from '../../server/jobs/worker.ts'
import { silentLog } from '../../server/log.ts'
import { createConnection } from '../../server/sync/connections.ts'
import { beginExport, type ExportHead, type ExportLine, exportPage, type LinkLine } from '../../server/sync/export.ts'
import { finishImport, importLines } from '../../server/sync/import.ts'
import { getSync, resumeSync, type SyncRow } from '../../server/sync/sync.ts'
import { type SyncJobDeps, syncJobs } from '../../server/sync/work.ts'
import { connectBlog, credentialDeps } from '../support/connected.ts'
import { forEachDatabase } from '../support/databases.ts'
import { explain } from '../support/explain.ts'
import { insertInstallation } from '../support/rows.ts'
import { belongings, plantLinks, reinstall } from './predecessor.ts'
import { openStage, person, type Stage } from './stage.ts'

interface Exported {
  head: ExportHead
  lines: ExportLine[]
}

/** Another Quayside, with a database and a key of its own, connected to the same stack. */
interface Server {
  database: Database
  db: Db
  deps: SyncJobDeps
  installation: Installation
  drain(): Promise<void>
}

forEachDatabase((open, dialect) => {
  let stage: Stage
  afterEach(() => stage.cleanUp())

  const begin = async (): Promise<void> => {
    stage = await openStage(await open())
  }
  const otherServer = async (): Promise<Server> => {
    const database = await open()
    const { db } = database
    const credentials = await credentialDeps(stage.sandbox, database)
    const { installation } = await connectBlog(stage.sandbox, database, credentials)
    const { vault } = credentials
    const deps: SyncJobDeps = { ...stage.deps, database, vault, stackFor: (id, use) => stackFor(db, credentials, id, use) }
    return {
      database,
      db,
      deps,
      installation,
      async drain() {
        const worker = createWorker({ database, kinds: syncJobs(deps), concurrency: 4, log: silentLog, graceSeconds: 0 })
        await worker.drain({ until: Date.now() + 3_600_000 })
        await worker.stop()
      }
    }
  }
  const exported = async (db = stage.db, installation = stage.installation): Promise<Exported> => {
    const head = await beginExport(db, stage.deps, { installation, actor: person })
    const lines: ExportLine[] = []
    for (let after: string | null = null; ; ) {
      const page = await exportPage(db, installation, after)
      lines.push(...page.lines)
      if (page.next === null) return { head, lines }
      after = page.next
    }
  }
  const send = ({ db, deps, installation }: Server, { head, lines }: Exported) =>
    importLines(db, deps, { installation, actor: person, head, lines })
  const countsOf = (lines: ExportLine[]) => ({
    connections: lines.filter(({ kind }) => kind === 'connection').length,
    syncs: lines.filter(({ kind }) => kind === 'outbound' || kind === 'inbound').length,
    links: lines.filter(({ kind }) => kind === 'link').length
  })
  const finish = ({ db, deps, installation }: Server, { head, lines }: Exported) =>
    finishImport(db, deps, { installation, actor: person, head, counts: countsOf(lines) })
  const syncOf = ({ db, installation }: Server, { id }: SyncRow) => getSync(db, { installationId: installation.id, id })
  const writes = () => stage.sandbox.world.stacks[blogApiKey]!.writes.filter(({ module }) => module === 'entry').length
  const everything = async (db: Db): Promise<string> => {
    const rows = []
    for (const table of ['connection', 'sync', 'link', 'schedule', 'audit_event', 'job'] as const)
      rows.push(
        await db
          .selectFrom(table as 'sync')
          .selectAll()
          .execute()
      )
    return JSON.stringify(rows)
  }

  it('moves to another server: every link is found there, nothing is created and no row rewritten', async () => {
    await begin()
    stage.sql('create table land (cca3 text primary key, name text, capital text)')
    for (let index = 0; index < 40; index++) stage.sql('insert into land values (?, ?, ?)', `L${index}`, `Land ${index}`, `City ${index}`)
    const rhythm = { cron: '0 3 * * *', timeZone: 'Europe/Zurich' }
    const inbound = await stage.createOne({
      direction: 'inbound',
      contentTypes: ['country'],
      target: 'land',
      externalIdField: 'code',
      schedule: rhythm
    })
    const outbound = await stage.createOne({ contentTypes: ['article'] })
    const file = await exported()
    const had = await belongings(stage, stage.installation.id)
    expect(countsOf(file.lines)).toEqual({ connections: 1, syncs: 2, links: had['link'] })

    const server = await otherServer()
    expect(await send(server, file)).toBe(file.lines.length)
    expect((await syncOf(server, inbound)).paused_reason).toMatch(/not finished/)
    await finish(server, file)
    const [written, rows] = [writes(), stage.rows('article')]
    for (const sync of [inbound, outbound]) {
      expect(await syncOf(server, sync)).toEqual({
        ...sync,
        organization_id: server.installation.organization_id,
        installation_id: server.installation.id,
        link_set_id: expect.stringMatching(/^lki_/) as string,
        state: 'paused',
        paused_reason: expect.stringMatching(/^Taken over/) as string,
        created_at: expect.any(Number) as number,
        updated_at: expect.any(Number) as number
      })
      await resumeSync(server.db, server.deps, { installationId: server.installation.id, id: sync.id, actor: person })
    }
    await server.drain()
    const runs = await server.db.selectFrom('run').selectAll().execute()
    expect(runs).toHaveLength(2)
    for (const run of runs) expect(run).toMatchObject({ status: 'success', written: 0, deleted: 0, failed: 0 })
    expect(writes()).toBe(written)
    expect(stage.rows('article')).toEqual(rows)
    const timed = await server.db.selectFrom('schedule').selectAll().where('id', '=', inbound.id).executeTakeFirstOrThrow()
    expect(timed).toMatchObject({ cron: rhythm.cron, time_zone: rhythm.timeZone, organization_id: server.installation.organization_id })
    expect(JSON.parse(timed.job_json)).toEqual({
      kind: 'sync.schedule',
      lane: 'backfill',
      payload: { syncId: inbound.id },
      group: server.installation.id
    })
  })

  it('writes lines in the shape that both ends agree on, of all links in bounded pages, and no secret nor its id', async () => {
    await begin()
    const sync = await stage.createOne({ contentTypes: ['article'] })
    await plantLinks(stage.db, sync, 1_203)
    const sealed = await stage.deps.vault.put(
      stage.db,
      { organizationId: sync.organization_id, installationId: sync.installation_id, purpose: 'connection' },
      'hunter-2'
    )
    await stage.db
      .updateTable('connection')
      .set({ secrets_json: JSON.stringify({ password: sealed }) })
      .execute()
    const { head, lines } = await exported()
    expect(HeadShape.parse(head)).toEqual(head)
    for (const line of lines) expect(LineShape.parse(line)).toEqual(line)
    const links = await stage.db.selectFrom('link').selectAll().execute()
    expect(lines.filter(({ kind }) => kind === 'link')).toHaveLength(links.length)
    expect(new Set(lines.flatMap(line => (line.kind === 'link' ? [line.externalId] : []))).size).toBe(links.length)
    expect(lines[0]).toMatchObject({ kind: 'connection', secretNames: ['password'] })
    expect(JSON.stringify(lines)).not.toMatch(new RegExp(`hunter-2|${sealed}|sec_`))
    for (let after: string | null = null; ; ) {
      const page = await exportPage(stage.db, stage.installation, after)
      expect(page.lines.length).toBeLessThanOrEqual(500)
      if (page.next === null) break
      after = page.next
    }
    const events = await stage.db.selectFrom('audit_event').selectAll().where('action', '=', 'installation.export').execute()
    expect(events).toMatchObject([{ object_id: stage.installation.id }])
  })

  it('shows nothing of another installation, whatever place is asked for', async () => {
    await begin()
    const sync = await stage.createOne({ contentTypes: ['article'] })
    await plantLinks(stage.db, sync, 5)
    const other = await insertInstallation(stage.db)
    const place = Buffer.from(JSON.stringify(['links', sync.link_set_id, '', '', ''])).toString('base64url')
    expect((await exportPage(stage.db, stage.installation, place)).lines.length).toBeGreaterThan(4)
    await expect(exportPage(stage.db, other, place)).rejects.toMatchObject({ code: 'invalid' })
    expect((await exported(stage.db, other)).lines).toEqual([])
  })

  it('reads and moves links along their key, without sorting or walking over those before', async () => {
    await begin()
    const { db } = stage
    const [sync] = await stage.create({ contentTypes: ['article'] })
    await plantLinks(db, sync!, 6_000)
    if (dialect === 'postgres') await sql`analyze link`.execute(db)
    const place = (set: string) => Buffer.from(JSON.stringify(['links', set, 'main', 'en-us', 'planted-0003000'])).toString('base64url')
    const read = await explain(db, dialect, async () => {
      expect((await exportPage(db, stage.installation, place(sync!.link_set_id))).lines[0]).toMatchObject({ externalId: 'planted-0003001' })
    })
    expect(read).toMatch(dialect === 'sqlite' ? /\(branch,locale,external_id\)>/ : /Index Scan using link_pkey/)
    expect(read).not.toMatch(/TEMP B-TREE|Sort|Seq Scan on link|SCAN link/)
  })

  it.each(['x', '[]', '["links","a"]', '["secrets",""]', '["links",1,2,3,4]'])('takes %s for no place', async text => {
    await begin()
    const place = Buffer.from(text).toString('base64url')
    await expect(exportPage(stage.db, stage.installation, place)).rejects.toMatchObject({ code: 'invalid' })
  })

  it('may be sent again, whole or from anywhere, and adds nothing twice; what moved on meanwhile stays', async () => {
    await begin()
    const sync = await stage.createOne({ contentTypes: ['article'] })
    const file = await exported()
    const server = await otherServer()
    const broken = { ...file, lines: file.lines.slice(0, 10) }
    expect(await send(server, broken)).toBe(10)
    await expect(finish(server, file)).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('have come') })
    expect(await send(server, file)).toBe(file.lines.length - 10)
    expect(await send(server, { ...file, lines: file.lines.slice(-5) })).toBe(0)
    await finish(server, file)
    await resumeSync(server.db, server.deps, { installationId: server.installation.id, id: sync.id, actor: person })
    await server.drain()
    const links = await server.db.selectFrom('link').selectAll().execute()
    expect(await send(server, file)).toBe(0)
    await finish(server, file)
    expect(await server.db.selectFrom('link').selectAll().execute()).toEqual(links)
    expect((await syncOf(server, sync)).state).toBe('active')
    const created = await server.db
      .selectFrom('audit_event')
      .select('action')
      .where('action', 'in', ['connection.create', 'sync.create'])
      .execute()
    expect(created).toHaveLength(2)
  })

  it('a connection that had secrets comes as one that lost them', async () => {
    await begin()
    const sync = await stage.createOne({ contentTypes: ['article'] })
    await stage.db.updateTable('connection').set({ secrets_json: '{"password":"sec_1"}' }).execute()
    const file = await exported()
    const server = await otherServer()
    await send(server, file)
    await finish(server, file)
    await expect(
      resumeSync(server.db, server.deps, { installationId: server.installation.id, id: sync.id, actor: person })
    ).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('were erased') })
  })

  it('is refused in the database that it came from, naming the way that is right there', async () => {
    await begin()
    await stage.createOne({ contentTypes: ['article'] })
    const file = await exported()
    const installation = await reinstall(stage)
    const before = await everything(stage.db)
    await expect(importLines(stage.db, stage.deps, { installation, actor: person, ...file })).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining(`under ${stage.installation.id}`),
      remedy: expect.stringContaining(`--from ${stage.installation.id}`)
    })
    expect(await everything(stage.db)).toBe(before)
  })

  it('is refused once somebody else took it over', async () => {
    await begin()
    const taken = { ...stage.installation, adopted_by: 'ins_new' }
    await expect(beginExport(stage.db, stage.deps, { installation: taken, actor: person })).rejects.toMatchObject({
      code: 'conflict',
      remedy: 'Export ins_new.'
    })
  })

  type Hostile = (file: Exported, server: Server, theirs: Theirs) => Exported
  interface Theirs {
    connectionId: string
    sync: SyncRow
  }
  const headed =
    (change: Partial<ExportHead>): Hostile =>
    file => ({ ...file, head: { ...file.head, ...change } })
  const changed =
    (kind: ExportLine['kind'], change: (line: never, theirs: Theirs) => object): Hostile =>
    (file, _server, theirs) => ({
      ...file,
      lines: file.lines.map(line => (line.kind === kind ? { ...line, ...change(line as never, theirs) } : line))
    })

  /** What a file may try. Each is refused, and neither this tenant nor the other has one row more or less. */
  const hostile: [what: string, code: string, words: RegExp, file: Hostile][] = [
    ["another stack's", 'conflict', new RegExp(`${shopApiKey}.*${blogApiKey}`), headed({ stackApiKey: shopApiKey })],
    ["another organization's", 'conflict', /blt_other.*bltharbour|of the stack/, headed({ organizationUid: 'blt_other' })],
    ["another region's", 'conflict', /of the stack eu/, headed({ region: 'eu' })],
    ['a connector that there is not', 'invalid', /no connector "ftp"/, changed('connection', () => ({ connector: 'ftp' }))],
    ['settings that are none', 'invalid', /settings are not complete/, changed('connection', () => ({ settings: { system: 'oracle' } }))],
    [
      'settings with more than the connector asks for',
      'invalid',
      /settings are not complete/,
      changed('connection', () => ({ settings: { system: 'sqlite', file: 'out.db', attach: '/etc/passwd' } }))
    ],
    [
      'a file outside the directory',
      'forbidden',
      /outside/,
      changed('connection', () => ({ settings: { system: 'sqlite', file: '../../etc/passwd' } }))
    ],
    [
      "another tenant's file",
      'forbidden',
      /cannot be used/,
      changed('connection', () => ({ settings: { system: 'sqlite', file: 'theirs.db' } }))
    ],
    [
      'a secret that the connector does not know',
      'invalid',
      /no secret named "root"/,
      changed('connection', () => ({ secretNames: ['root'] }))
    ],
    [
      "another tenant's connection by its id",
      'conflict',
      /is taken/,
      changed('connection', (_line, { connectionId }) => ({ id: connectionId }))
    ],
    [
      "a sync on another tenant's connection",
      'not_found',
      /no connection/,
      changed('outbound', (_line, { connectionId }) => ({ connectionId }))
    ],
    ["another tenant's sync by its id", 'conflict', /is taken/, changed('outbound', (_line, { sync }) => ({ id: sync.id }))],
    ["links of another tenant's sync", 'not_found', /no sync/, changed('link', (_line, { sync }) => ({ syncId: sync.id }))],
    [
      'a column mapped twice',
      'invalid',
      /mapped twice/,
      changed('outbound', ({ mapping }: { mapping: { to: string }[] }) => ({ mapping: [...mapping, mapping[0]] }))
    ],
    [
      'a column of our own',
      'invalid',
      /"_key" is mapped twice/,
      changed('outbound', () => ({ mapping: [{ from: 'title', to: '_key', type: 'text', required: false }] }))
    ],
    [
      'two syncs into one table',
      'invalid',
      /already uses the table/,
      file => ({
        ...file,
        lines: [
          ...file.lines,
          ...file.lines.filter(({ kind }) => kind === 'outbound').map(line => ({ ...line, id: newId('syn') }) as ExportLine)
        ]
      })
    ],
    ['a rhythm that is none', 'invalid', /cannot be read/, changed('outbound', () => ({ schedule: { cron: 'often', timeZone: 'UTC' } }))],
    [
      'a time zone that is none',
      'invalid',
      /time zone/,
      changed('outbound', () => ({ schedule: { cron: '0 3 * * *', timeZone: 'Mars' } }))
    ],
    ['a link of no sync', 'not_found', /no sync/, file => ({ ...file, lines: file.lines.filter(({ kind }) => kind !== 'outbound') })],
    [
      'a sync of no connection',
      'not_found',
      /no connection/,
      file => ({ ...file, lines: file.lines.filter(({ kind }) => kind !== 'connection') })
    ]
  ]

  it.each(hostile)('refuses %s', async (_what, code, words, make) => {
    await begin()
    await stage.createOne({ contentTypes: ['article'] })
    const file = await exported()
    const server = await otherServer()
    const theirs = await otherTenant(server)
    const before = await everything(server.db)
    const lines = make(file, server, theirs)
    await expect(send(server, lines)).rejects.toMatchObject({ code, message: expect.stringMatching(words) })
    expect(await everything(server.db)).toBe(before)
  })

  it("a link set named like another tenant's is not theirs: links land in one made for this installation alone", async () => {
    await begin()
    await stage.createOne({ contentTypes: ['article'] })
    const file = await exported()
    const server = await otherServer()
    const theirs = await otherTenant(server)
    const rows = () =>
      server.db.selectFrom('link').selectAll().where('link_set_id', '=', theirs.sync.link_set_id).orderBy('external_id').execute()
    const before = await rows()
    const link = file.lines.find(line => line.kind === 'link') as LinkLine
    const stolen = changed('outbound', () => ({ linkSetId: theirs.sync.link_set_id }))(file, server, theirs)
    await send(server, { ...stolen, lines: [...stolen.lines, { ...link, externalId: before[0]!.external_id, entryUid: 'bltstolen' }] })
    expect(await rows()).toEqual(before)
    const own = await server.db.selectFrom('link').selectAll().where('installation_id', '=', server.installation.id).execute()
    expect(new Set(own.map(row => row.organization_id))).toEqual(new Set([server.installation.organization_id]))
    expect(own.every(row => row.link_set_id !== theirs.sync.link_set_id)).toBe(true)
  })

  it('adds no link to a sync that was made here', async () => {
    await begin()
    const sync = await stage.createOne({ contentTypes: ['article'] })
    const { head, lines } = await exported()
    const before = await everything(stage.db)
    const links = lines.filter(({ kind }) => kind === 'link')
    await expect(
      importLines(stage.db, stage.deps, { installation: stage.installation, actor: person, head, lines: links })
    ).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining(`${sync.id} cannot be taken over`) })
    expect(await everything(stage.db)).toBe(before)
  })

  it('is taken by an active installation alone', async () => {
    await begin()
    const file = await exported()
    const server = await otherServer()
    await server.db.updateTable('installation').set({ status: 'uninstalled' }).where('id', '=', server.installation.id).execute()
    await expect(send(server, file)).rejects.toMatchObject({ code: 'conflict' })
    await expect(finish(server, file)).rejects.toMatchObject({ code: 'conflict' })
  })

  /** Beside the target, in the same database: a connection with a file of its own, a sync and links. */
  async function otherTenant({ db, deps }: Server): Promise<Theirs> {
    const installation = await insertInstallation(db)
    expect(installation.organization_id).not.toBe(harbourPublishing)
    const connection = await createConnection(db, deps, {
      installation,
      actor: person,
      connection: { connector: 'sql', name: 'Theirs', settings: { system: 'sqlite', file: 'theirs.db' }, secrets: {} }
    })
    const now = Date.now()
    const sync: SyncRow = {
      id: newId('syn'),
      organization_id: installation.organization_id,
      installation_id: installation.id,
      connection_id: connection.id,
      link_set_id: newId('lks'),
      name: 'Theirs',
      direction: 'outbound',
      content_type: 'article',
      branch: 'main',
      locales_json: '[]',
      mapping_json: '[]',
      options_json: '{"table":"article","source":"draft"}',
      state: 'paused',
      paused_reason: null,
      revision: 1,
      created_at: now,
      updated_at: now
    }
    await db.insertInto('sync').values(sync).execute()
    await plantLinks(db, sync, 3)
    return { connectionId: connection.id, sync }
  }
})
