// What a file may try. Each is refused, and neither the tenant it is given to nor the one beside it has a row more or less.
import { afterEach, expect, it } from 'vitest'
import { blogApiKey, shopApiKey } from '../../sandbox/world/built-in.ts'
import { harbourPublishing } from '../../sandbox/world/people.ts'
import { newId } from '../../server/database/id.ts'
import { createConnection } from '../../server/sync/connections.ts'
import type { ExportHead, ExportLine, LinkLine } from '../../server/sync/export.ts'
import type { SyncRow } from '../../server/sync/sync.ts'
import { forEachDatabase } from '../support/databases.ts'
import { insertInstallation } from '../support/rows.ts'
import { everything, type Exported, exported, finish, otherServer, send, type Server } from './moved.ts'
import { plantLinks, reinstall } from './predecessor.ts'
import { openStage, person, type Stage } from './stage.ts'

forEachDatabase(open => {
  let stage: Stage
  afterEach(() => stage.cleanUp())

  const begin = async (): Promise<void> => {
    stage = await openStage(await open())
  }

  it('is refused in the database that it came from, naming the way that is right there', async () => {
    await begin()
    await stage.createOne({ contentTypes: ['article'] })
    const file = await exported(stage, stage.installation)
    const installation = await reinstall(stage)
    const before = await everything(stage.db)
    await expect(send({ ...stage, installation }, file)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining(`under ${stage.installation.id}`),
      remedy: expect.stringContaining(`--from ${stage.installation.id}`)
    })
    expect(await everything(stage.db)).toBe(before)
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
      'a filter with an operator of its own',
      'invalid',
      /no operator/,
      changed('outbound', () => ({ options: { table: 'article', source: 'draft', filter: { $where: '1' } } }))
    ],
    [
      'published content of no environment',
      'invalid',
      /names no environment/,
      changed('outbound', () => ({ options: { table: 'article', source: 'published' } }))
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
    ...(
      [
        ['an expression that cannot be read', { expression: 'title &' }, /the expression for "x" cannot be read at character 7/],
        ['an expression that asks the clock', { expression: '$now()' }, /uses \$now/],
        ['an expression too long', { expression: `"${'x'.repeat(4_000)}"` }, /4002 characters/],
        ['a row with two sources', { from: 'title', expression: 'title' }, /"x" needs either/],
        ['a row without a source', {}, /"x" needs either/]
      ] as const
    ).map(
      ([name, row, says]) =>
        [name, 'invalid', says, changed('outbound', () => ({ mapping: [{ ...row, to: 'x', type: 'text', required: false }] }))] as [
          string,
          string,
          RegExp,
          Hostile
        ]
    ),
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
    const file = await exported(stage, stage.installation)
    const server = await otherServer(stage, await open())
    const theirs = await otherTenant(server)
    const before = await everything(server.db)
    const lines = make(file, server, theirs)
    await expect(send(server, lines)).rejects.toMatchObject({ code, message: expect.stringMatching(words) })
    expect(await everything(server.db)).toBe(before)
  })

  it("a link set named like another tenant's is not theirs: links land in one made for this installation alone", async () => {
    await begin()
    await stage.createOne({ contentTypes: ['article'] })
    const file = await exported(stage, stage.installation)
    const server = await otherServer(stage, await open())
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
    const { head, lines } = await exported(stage, stage.installation)
    const before = await everything(stage.db)
    const links = lines.filter(({ kind }) => kind === 'link')
    await expect(send(stage, { head, lines: links })).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining(`${sync.id} cannot be taken over`)
    })
    expect(await everything(stage.db)).toBe(before)
  })

  it('is taken by an active installation alone', async () => {
    await begin()
    const file = await exported(stage, stage.installation)
    const server = await otherServer(stage, await open())
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
