import { sql } from 'kysely'
import { afterEach, expect, it } from 'vitest'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { ExportHead as HeadShape, ExportLine as LineShape } from '../../server/http/contract/export.ts'
import { beginExport, exportPage } from '../../server/sync/export.ts'
import { getSync, resumeSync, type SyncRow } from '../../server/sync/sync.ts'
import { forEachDatabase } from '../support/databases.ts'
import { explain } from '../support/explain.ts'
import { insertInstallation } from '../support/rows.ts'
import { countsOf, exported, finish, otherServer, send, type Server } from './moved.ts'
import { belongings, plantLinks } from './predecessor.ts'
import { openStage, person, type Stage } from './stage.ts'

forEachDatabase((open, dialect) => {
  let stage: Stage
  afterEach(() => stage.cleanUp())

  const begin = async (): Promise<void> => {
    stage = await openStage(await open())
  }
  const syncOf = ({ db, installation }: Server, { id }: SyncRow) => getSync(db, { installationId: installation.id, id })
  const writes = () => stage.sandbox.world.stacks[blogApiKey]!.writes.filter(({ module }) => module === 'entry').length

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
    const mapping = [
      { from: 'title', to: 'title', required: true },
      { expression: '$length(title)', to: 'size', type: 'integer' as const, default: 0 }
    ]
    const outbound = await stage.createOne({ contentTypes: ['article'], mapping })
    const file = await exported(stage, stage.installation)
    const had = await belongings(stage, stage.installation.id)
    expect(countsOf(file.lines)).toEqual({ connections: 1, syncs: 2, links: had['link'] })

    const server = await otherServer(stage, await open())
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
    const sync = await stage.createOne({
      contentTypes: ['article'],
      source: 'published',
      environment: 'production',
      filter: { title: { $exists: true } },
      references: { embed: 2 },
      richText: 'text'
    })
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
    const { head, lines } = await exported(stage, stage.installation)
    expect(HeadShape.parse(head)).toEqual(head)
    for (const line of lines) expect(LineShape.parse(line)).toEqual(line)
    const links = await stage.db.selectFrom('link').selectAll().execute()
    expect(lines.filter(({ kind }) => kind === 'link')).toHaveLength(links.length)
    expect(new Set(lines.flatMap(line => (line.kind === 'link' ? [line.externalId] : []))).size).toBe(links.length)
    expect(lines.find(({ kind }) => kind === 'outbound')).toMatchObject({ options: JSON.parse(sync.options_json) as object })
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
    expect((await exported(stage, other)).lines).toEqual([])
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
    const file = await exported(stage, stage.installation)
    const server = await otherServer(stage, await open())
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
    const file = await exported(stage, stage.installation)
    const server = await otherServer(stage, await open())
    await send(server, file)
    await finish(server, file)
    await expect(
      resumeSync(server.db, server.deps, { installationId: server.installation.id, id: sync.id, actor: person })
    ).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('were erased') })
  })

  it('is refused once somebody else took it over', async () => {
    await begin()
    const taken = { ...stage.installation, adopted_by: 'ins_new' }
    await expect(beginExport(stage.db, stage.deps, { installation: taken, actor: person })).rejects.toMatchObject({
      code: 'conflict',
      remedy: 'Export ins_new.'
    })
  })
})
