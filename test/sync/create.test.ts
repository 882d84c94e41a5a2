import Sqlite from 'better-sqlite3'
import { existsSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { verifyAudit } from '../../server/audit/audit.ts'
import { checkConnection, connectorViews, createConnection } from '../../server/sync/connections.ts'
import type { SyncInput } from '../../server/sync/create.ts'
import { listRuns, listSyncs, syncViews } from '../../server/sync/views.ts'
import { forEachDatabase } from '../support/databases.ts'
import { insertInstallation } from '../support/rows.ts'
import { openStage, person, type Stage } from './stage.ts'

forEachDatabase(open => {
  let stage: Stage
  afterEach(() => stage.cleanUp())
  const begin = async (): Promise<void> => {
    stage = await openStage(await open())
    stage.sql('create table land (cca3 text primary key, name text); create table pairs (a text, b text, name text, primary key (a, b))')
  }
  const connect = (settings: Record<string, unknown>, secrets: Record<string, string> = {}, name = 'Other') =>
    createConnection(stage.db, stage.deps, {
      installation: stage.installation,
      actor: person,
      connection: { connector: 'sql', name, settings, secrets }
    })

  describe('creating a sync refuses, and leaves nothing behind:', () => {
    const land = { direction: 'inbound' as const, contentTypes: ['country'], target: 'land', externalIdField: 'code' }
    it.each<[string, Partial<SyncInput>, string, RegExp]>([
      ['an unknown field', { mapping: [{ from: 'titel', to: 'title' }] }, 'invalid', /"titel"/],
      ['an unknown content type', { contentTypes: ['articel'] }, 'invalid', /"articel"/],
      ['an unknown locale', { locales: ['en_us'] }, 'invalid', /en_us/],
      ['an unknown connection', { connectionId: 'con_other' }, 'not_found', /con_other/],
      ['a schedule that is none', { schedule: { cron: 'often', timeZone: 'Europe/Berlin' } }, 'invalid', /often/],
      ['a time zone that is none', { schedule: { cron: '* * * * *', timeZone: 'Mars/Base' } }, 'invalid', /Mars/],
      ['an inbound sync of all content types', { ...land, contentTypes: ['*'] }, 'invalid', /one content type/],
      ['an unknown table', { ...land, target: 'lnad' }, 'invalid', /lnad/],
      ['a missing external id field', { ...land, externalIdField: undefined }, 'invalid', /field that holds the key/],
      ['an unfit external id field', { ...land, externalIdField: 'capital' }, 'invalid', /"capital"/],
      [
        'an unknown column',
        {
          ...land,
          mapping: [
            { from: 'cca3', to: 'code' },
            { from: 'nmae', to: 'title' }
          ]
        },
        'invalid',
        /"nmae"/
      ],
      [
        'an unknown field to write to',
        {
          ...land,
          mapping: [
            { from: 'cca3', to: 'code' },
            { from: 'name', to: 'title' },
            { from: 'name', to: 'capitol' }
          ]
        },
        'invalid',
        /"capitol"/
      ],
      ['a key of several columns', { ...land, target: 'pairs' }, 'invalid', /several key columns/]
    ])('%s', async (_, change, code, words) => {
      await begin()
      await expect(stage.create(change)).rejects.toMatchObject({ code, message: expect.stringMatching(words) as string })
      for (const table of ['sync', 'run', 'schedule', 'job', 'link'] as const)
        expect(await stage.db.selectFrom(table).selectAll().execute()).toEqual([])
      expect((await stage.db.selectFrom('audit_event').select('action').execute()).map(({ action }) => action)).toEqual([
        'connection.create'
      ])
    })

    it("a table of another sync, also from two creations at once, and somebody else's table", async () => {
      await begin()
      await stage.create({ contentTypes: ['author'] })
      await expect(stage.create({ contentTypes: ['author'] })).rejects.toMatchObject({
        code: 'conflict',
        message: expect.stringContaining('author') as string
      })
      await expect(stage.create({ contentTypes: ['author'], target: 'en_' })).resolves.toHaveLength(1)
      const both = await Promise.allSettled([1, 2].map(() => stage.create({ contentTypes: ['product'] })))
      expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
      stage.sql('create table home (title text)')
      await expect(stage.create({ contentTypes: ['home'] })).rejects.toMatchObject({
        code: 'conflict',
        message: expect.stringContaining('did not make') as string
      })
    })

    it('everything while no token stands', async () => {
      await begin()
      await stage.db.updateTable('management_token').set({ status: 'retired' }).execute()
      await expect(stage.create({})).rejects.toMatchObject({
        code: 'unauthorized',
        remedy: expect.stringContaining('configuration page') as string
      })
    })
  })

  it('audits each sync, in an unbroken chain, and shows it in the shape of the contract', async () => {
    await begin()
    const rows = await stage.create({ contentTypes: ['author', 'product'], schedule: { cron: '0 3 * * *', timeZone: 'Europe/Berlin' } })
    const organizationId = stage.installation.organization_id
    expect(await verifyAudit(stage.db, stage.deps.vault, organizationId)).toMatchObject({ ok: true, count: 3 })
    const [first] = await syncViews(stage.db, rows)
    expect(first).toMatchObject({
      name: 'Author -> Warehouse',
      direction: 'outbound',
      system: 'SQLite',
      connectionName: 'Warehouse',
      contentType: 'author',
      target: 'author',
      branch: 'main',
      locales: [],
      externalIdField: null,
      schedule: { cron: '0 3 * * *', timeZone: 'Europe/Berlin', nextAt: expect.any(Number) as number },
      state: 'running',
      records: { synced: 0, failed: 0 },
      lastRun: { status: 'queued', finishedAt: null }
    })
    await stage.drain()
    expect(
      (await listSyncs(stage.db, { organizationIds: [organizationId] })).items.map(sync => [
        sync.contentType,
        sync.state,
        sync.records.failed
      ])
    ).toEqual([
      ['product', 'active', 0],
      ['author', 'active', 0]
    ])
    expect((await listRuns(stage.db, { organizationIds: [organizationId], limit: 1 })).next).toMatch(/^run_/)
    expect(await listSyncs(stage.db, { organizationIds: [] })).toEqual({ items: [], next: null })
    expect((await listSyncs(stage.db, { organizationIds: ['org_other'] })).items).toEqual([])
    await expect(listSyncs(stage.db, {})).rejects.toThrow(/tenant/)
  })

  describe('a connection', () => {
    it.each<[string, Record<string, unknown>, string, RegExp]>([
      ['nothing answers', { system: 'postgres', host: '127.0.0.1', port: 1, database: 'x', user: 'x' }, 'upstream', /port/],
      ['a private host', { system: 'postgres', host: '10.0.0.1', port: 5432, database: 'x', user: 'x' }, 'forbidden', /operator/],
      ['a file elsewhere', { system: 'sqlite', file: '../../etc/passwd' }, 'forbidden', /directory/]
    ])('is refused with a remedy when it names %s, and nothing is kept', async (_, settings, code, remedy) => {
      await begin()
      await expect(connect(settings, { password: 'a-password-nobody-knows' })).rejects.toMatchObject({
        code,
        remedy: expect.stringMatching(remedy) as string
      })
      expect(await stage.db.selectFrom('connection').selectAll().execute()).toHaveLength(1)
      expect(await stage.db.selectFrom('secret').select('id').where('purpose', '=', 'connection').execute()).toEqual([])
    })

    it.each<[string, Record<string, unknown>, Record<string, string>, string]>([
      ['unknown system', { system: 'oracle' }, {}, 'settings.system'],
      ['a port out of range', { system: 'postgres', host: 'h', port: 70_000, database: 'x', user: 'x' }, {}, 'settings.port'],
      ['an unknown setting', { system: 'sqlite', file: 'x.db', mode: 'fast' }, {}, 'settings'],
      ['an unknown secret', { system: 'sqlite', file: 'x.db' }, { token: 'x' }, 'secrets.token']
    ])('names the field: %s', async (_, settings, secrets, field) => {
      await begin()
      await expect(connect(settings, secrets)).rejects.toMatchObject({
        code: 'invalid',
        fields: { [field]: expect.any(Array) as string[] }
      })
    })

    it('seals its secrets and shows none of them', async () => {
      await begin()
      const { url } = stage.database
      const { hostname, port, pathname, username, password } = url.startsWith('postgres')
        ? new URL(url)
        : { hostname: '', port: '', pathname: '', username: '', password: '' }
      const settings = url.startsWith('postgres')
        ? { system: 'postgres', host: hostname, port: Number(port), database: pathname.slice(1), user: username }
        : { system: 'sqlite', file: 'sealed.db' }
      const secret = url.startsWith('postgres') ? password : 'kept-though-unused'
      const row = await connect(settings, { password: secret }, 'Sealed')
      const kept = JSON.stringify(
        await Promise.all((['connection', 'audit_event', 'secret'] as const).map(table => stage.db.selectFrom(table).selectAll().execute()))
      )
      expect(kept).not.toContain(`"${secret}"`)
      expect(await checkConnection(stage.db, stage.deps, { installationId: stage.installation.id, id: row.id })).toMatchObject({
        error: null
      })
      await expect(checkConnection(stage.db, stage.deps, { installationId: 'ins_other', id: row.id })).rejects.toMatchObject({
        code: 'not_found'
      })
    })

    it('remembers that its system stopped answering, in words and remedy', async () => {
      await begin()
      stage.sql('pragma user_version = 1')
      const { writeFileSync } = await import('node:fs')
      const row = await connect({ system: 'sqlite', file: 'broken.db' })
      writeFileSync(
        stage.file.replace('out.db', 'broken.db'),
        'this is not a database at all, but it is long enough to look like one '.repeat(20)
      )
      expect((await checkConnection(stage.db, stage.deps, { installationId: stage.installation.id, id: row.id })).error).toMatch(
        /not a SQLite database.*another file/
      )
    })

    it("cannot name a file of another tenant's", async () => {
      await begin()
      const other = await insertInstallation(stage.db)
      const asked = createConnection(stage.db, stage.deps, {
        installation: other,
        actor: person,
        connection: { connector: 'sql', name: 'Spy', settings: { system: 'sqlite', file: './sub/../out.db' }, secrets: {} }
      })
      await expect(asked).rejects.toMatchObject({ code: 'forbidden' })
      expect(existsSync(stage.file)).toBe(true)
    })
  })

  it('describes the connectors so that a form can be made of it', async () => {
    await begin()
    expect(connectorViews()).toMatchObject([
      {
        id: 'sql',
        support: 'real system in CI',
        directions: ['outbound', 'inbound'],
        secrets: ['password'],
        settings: { oneOf: expect.any(Array) as unknown[] }
      },
      {
        id: 'webhook',
        directions: ['outbound'],
        secrets: ['signingSecret', 'formerSigningSecret'],
        passingSecrets: ['formerSigningSecret'],
        settings: { title: 'Webhook', properties: { url: { type: 'string' } } }
      }
    ])
  })

  it('never uses the token for anything but reads while syncs are made', async () => {
    await begin()
    const before = stage.sandbox.world.stacks[blogApiKey]!.writes.length
    await stage.create({ contentTypes: ['*'] })
    expect(stage.sandbox.world.stacks[blogApiKey]!.writes.length).toBe(before)
    expect(
      new Sqlite(stage.file, { readonly: true }).prepare("select count(*) as n from sqlite_master where type = 'table'").get()
    ).toMatchObject({ n: expect.any(Number) as number })
  })
})
