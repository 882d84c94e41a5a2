import { afterEach, expect, it } from 'vitest'
import type { Row } from '../../server/database/schema.ts'
import { hold } from '../../server/jobs/queue.ts'
import { syncNow } from '../../server/sync/record-jobs.ts'
import { type EntryStatus, entrySyncStatus } from '../../server/sync/status.ts'
import { pauseSync } from '../../server/sync/sync.ts'
import { forEachDatabase } from '../support/databases.ts'
import { openStage, person, type Stage } from './stage.ts'

forEachDatabase(open => {
  let stage: Stage
  afterEach(() => stage.cleanUp())
  let key: { entryUid: string; locale: string }

  const status = (change: Partial<Parameters<typeof entrySyncStatus>[1]> = {}): Promise<EntryStatus> =>
    entrySyncStatus(stage.db, {
      installationId: stage.installation.id,
      contentType: 'author',
      ...key,
      branch: 'main',
      version: null,
      ...change
    })
  const begin = async (): Promise<void> => {
    stage = await openStage(await open())
    const [first] = [...stage.entries('author')]
    const [entryUid, locale] = first!.split(':') as [string, string]
    key = { entryUid, locale }
  }

  it('tells the life of an entry as it goes on', async () => {
    await begin()
    expect(await status()).toMatchObject({ banner: null, syncs: [], uncovered: 'No sync carries entries of author.' })
    const [sync] = await stage.create({ contentTypes: ['author'] })
    expect((await status()).syncs).toMatchObject([{ state: 'never', version: null, syncedAt: null, error: null, cause: null }])
    await stage.drain()
    expect(await status()).toMatchObject({
      uncovered: null,
      syncs: [
        {
          syncId: sync!.id,
          syncName: 'Author -> Warehouse',
          system: 'SQLite',
          connection: 'Warehouse',
          direction: 'Contentstack -> SQLite',
          state: 'in_sync',
          version: 1,
          error: null,
          cause: 'the initial run',
          causeId: expect.stringMatching(/^run_/) as string
        }
      ]
    })
    expect((await status({ version: 1 })).syncs[0]?.state).toBe('in_sync')
    expect((await status({ version: 2 })).syncs[0]?.state).toBe('behind')
    await stage.db
      .transaction()
      .execute(trx =>
        syncNow(trx, { installationId: stage.installation.id, contentType: 'author', ...key, branch: 'main', personName: 'Edda' })
      )
    expect((await status()).syncs[0]?.state).toBe('syncing')
    await stage.drain()
    expect((await status()).syncs).toMatchObject([{ state: 'in_sync', cause: 'Sync now by Edda', causeId: null }])
    await hold(stage.db, stage.installation.id, 'The token is dead.')
    expect(await status()).toMatchObject({ banner: 'The token is dead.', syncs: [{ state: 'held' }] })
    await pauseSync(stage.db, stage.deps, { installationId: stage.installation.id, id: sync!.id, actor: person })
    expect((await status()).syncs).toMatchObject([{ state: 'paused' }])
  })

  it.each<[string, string, Partial<Row<'run'>>, string, string | null]>([
    ['an edit', 'webhook dlv_1', {}, 'an edit in Contentstack', 'dlv_1'],
    ['the initial run', 'run run_1', { cause: 'initial' }, 'the initial run', 'run_1'],
    ['a schedule', 'run run_1', { cause: 'schedule', caused_by: 'schedule' }, 'a scheduled run', 'run_1'],
    [
      "a person's run, without their address",
      'run run_1',
      { cause: 'person', caused_by: 'Anke <a@x.example>' },
      'a run started by Anke',
      'run_1'
    ],
    ['a run that catches up', 'run run_1', { cause: 'reconcile', caused_by: 'Anke' }, 'a run that caught up', 'run_1'],
    ['a run that is no longer kept', 'run run_gone', {}, 'a run', 'run_gone'],
    ['a person known by uid only', 'person CMS user blt0123456789abcdef', {}, 'Sync now by a CMS user', 'blt0123456789abcdef'],
    ['a person with a name', 'person Edda Editor', {}, 'Sync now by Edda Editor', null]
  ])('says in words what caused the last change: %s', async (_, cause, run, words, id) => {
    await begin()
    await stage.createOne({ contentTypes: ['author'] })
    await stage.db
      .updateTable('run')
      .set({ id: 'run_1', ...run })
      .execute()
    await stage.db.updateTable('link').set({ cause }).execute()
    expect((await status()).syncs).toMatchObject([{ cause: words, causeId: id }])
  })

  it('names what fails, and forgets it once it is cured', async () => {
    await begin()
    await stage.createOne({
      contentTypes: ['author'],
      mapping: [
        { from: 'title', to: 'title' },
        { from: 'biography', to: 'biography', required: true }
      ]
    })
    const made = await stage.cms('POST', '/content_types/author/entries', { entry: { title: 'Terse', email: 't@harbour.example' } })
    key = { entryUid: made.body.entry.uid, locale: 'en-us' }
    const now = (): Promise<number> =>
      stage.db
        .transaction()
        .execute(trx =>
          syncNow(trx, { installationId: stage.installation.id, contentType: 'author', ...key, branch: 'main', personName: 'Edda' })
        )
    await now()
    await stage.drain()
    expect((await status()).syncs).toMatchObject([
      { state: 'failing', error: expect.stringContaining('"biography"') as string, version: null }
    ])
    await stage.cms('PUT', `/content_types/author/entries/${key.entryUid}`, { entry: { biography: 'Few words.' } })
    await now()
    await stage.drain()
    expect((await status({ version: 2 })).syncs).toMatchObject([{ state: 'in_sync', error: null, version: 2 }])
  })

  it('says what is missing: a token, a locale, a branch', async () => {
    await begin()
    await stage.createOne({ contentTypes: ['author'], locales: ['en-us'] })
    expect((await status({ locale: 'fr-fr' })).uncovered).toBe('No sync carries author in fr-fr.')
    expect((await status({ branch: 'redesign' })).uncovered).toBe('No sync carries entries of author.')
    expect((await status({ installationId: 'ins_other' })).syncs).toEqual([])
    await stage.db.updateTable('management_token').set({ status: 'dead' }).execute()
    expect((await status()).banner).toMatch(/no management token/)
  })

  it('shows an entry that an inbound sync made, and no other', async () => {
    await begin()
    stage.sql("create table land (cca3 text primary key, name text); insert into land values ('ABC', 'Abecedia')")
    await stage.createOne({ direction: 'inbound', contentTypes: ['country'], target: 'land', externalIdField: 'code' })
    const link = await stage.db.selectFrom('link').select('entry_uid').where('external_id', '=', 'ABC').executeTakeFirstOrThrow()
    expect((await status({ contentType: 'country', entryUid: link.entry_uid, locale: 'en-us', version: 5 })).syncs).toMatchObject([
      { direction: 'SQLite -> Contentstack', state: 'in_sync', version: 1 }
    ])
    expect((await status({ contentType: 'country', entryUid: 'blt0000', locale: 'en-us' })).syncs).toEqual([])
  })
})
