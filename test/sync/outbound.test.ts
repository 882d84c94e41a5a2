import pg from 'pg'
import { afterEach, describe, expect, it } from 'vitest'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { blankLink } from '../../server/sync/links.ts'
import { syncJobsForRecord, syncNow } from '../../server/sync/record-jobs.ts'
import { startRunBy } from '../../server/sync/runs.ts'
import { pauseSync, type SyncRow } from '../../server/sync/sync.ts'
import { createConnection } from '../../server/sync/connections.ts'
import { closePools } from '../../server/connectors/sql/postgres.ts'
import { forEachDatabase, freshPostgres } from '../support/databases.ts'
import { openStage, person, plantAuthors, type Stage } from './stage.ts'

forEachDatabase(open => {
  let stage: Stage
  afterEach(() => stage.cleanUp())
  const begin = async (options = {}): Promise<void> => {
    stage = await openStage(await open(), options)
  }
  const webhook = (entryUid: string, locale: string | null = 'en-us', contentType = 'author'): Promise<number> =>
    stage.db.transaction().execute(trx =>
      syncJobsForRecord(trx, {
        installationId: stage.installation.id,
        contentType,
        entryUid,
        locale,
        branch: 'main',
        cause: 'webhook dlv_1'
      })
    )
  const rerun = async (sync: SyncRow): Promise<void> => {
    await startRunBy(stage.db, stage.deps, { sync, actor: person })
    await stage.drain()
  }
  const writes = (): number => stage.sandbox.world.stacks[blogApiKey]!.writes.length

  describe('an initial run', () => {
    it('carries every entry of every content type, one row per entry and locale, and only reads the stack', async () => {
      await begin()
      const before = writes()
      const syncs = await stage.create({ contentTypes: ['*'] })
      await stage.drain()
      for (const sync of syncs) {
        expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', failed: 0, error: null })
        expect(new Set(stage.rows(sync.content_type).keys())).toEqual(stage.entries(sync.content_type))
      }
      expect(stage.entries('article').size).toBeGreaterThan(10)
      const first = [...stage.rows('article').values()].find(row => typeof row['body'] === 'string')
      expect(first).toMatchObject({
        version: expect.any(Number) as number,
        locale: expect.stringMatching(/^[a-z]{2}-[a-z]{2}$/) as string,
        body: expect.stringMatching(/^</) as string
      })
      expect(JSON.parse(String(first?.['author']))).toEqual([{ uid: expect.stringMatching(/^blt/) as string, content_type: 'author' }])
      expect(writes()).toBe(before)
    })

    it.each(['sorted', 'unsorted'] as const)('misses nothing over many pages when the CMA lists by uid %s', async sortedPaging => {
      await begin({ plays: { sortedPaging } })
      plantAuthors(stage.sandbox, 523)
      const sync = await stage.createOne({ contentTypes: ['author'] })
      expect(new Set(stage.rows('author').keys())).toEqual(stage.entries('author'))
      expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', failed: 0 })
    })

    it('writes nothing at all the second time', async () => {
      await begin()
      plantAuthors(stage.sandbox, 150)
      const sync = await stage.createOne({ contentTypes: ['author'] })
      const links = await stage.db.selectFrom('link').select(['external_id', 'order', 'synced_at']).orderBy('external_id').execute()
      await rerun(sync)
      const run = await stage.lastRun(sync)
      expect(run).toMatchObject({ status: 'success', written: 0, failed: 0, deleted: 0 })
      expect(run.skipped).toBe(run.read)
      expect(await stage.db.selectFrom('link').select(['external_id', 'order', 'synced_at']).orderBy('external_id').execute()).toEqual(
        links
      )
    })

    it('goes on from its checkpoint in another process after the first one was stopped dead', async () => {
      await begin()
      plantAuthors(stage.sandbox, 640)
      const [sync] = await stage.create({ contentTypes: ['author'], locales: ['en-us'] })
      let pages = 0
      const first: { worker?: ReturnType<Stage['worker']> } = {}
      const dying = new Promise<void>(resolve => {
        first.worker = stage.worker(
          {},
          {
            async stackFor(id, use) {
              const stack = await stage.deps.stackFor(id, use)
              const dead = {
                ...stack,
                with: () => dead,
                entriesPage: async (...asked: Parameters<typeof stack.entriesPage>) => {
                  pages += 1
                  if (pages > 3) {
                    resolve()
                    return await new Promise<never>((_, reject) =>
                      use.signal?.addEventListener('abort', () => reject(new Error('the process died')))
                    )
                  }
                  return await stack.entriesPage(...asked)
                }
              }
              return dead
            }
          }
        )
      })
      first.worker?.start()
      await dying
      await expect.poll(async () => (await stage.lastRun(sync!)).read).toBe(300)
      await first.worker?.stop()
      const checkpoint = await stage.lastRun(sync!)
      expect(checkpoint).toMatchObject({ status: 'running', read: 300 })
      expect(stage.rows('author').size).toBeLessThanOrEqual(300)
      await stage.drain()
      expect(new Set(stage.rows('author').keys())).toEqual(new Set([...stage.entries('author')].filter(key => key.endsWith(':en-us'))))
      const run = await stage.lastRun(sync!)
      expect(run).toMatchObject({ id: checkpoint.id, status: 'success', failed: 0, total: run.read })
      expect(run.read).toBe(Object.keys(stage.sandbox.world.stacks[blogApiKey]!.entries['main']!['author']!).length)
    })

    it('takes turns with others when it is long, and loses nothing by it', async () => {
      await begin()
      plantAuthors(stage.sandbox, 350)
      await stage.create({ contentTypes: ['author'] })
      const worker = stage.worker({}, { sliceSeconds: 0 })
      expect(await worker.drain({ until: Date.now() + 3_600_000 })).toBeGreaterThan(4)
      expect(new Set(stage.rows('author').keys())).toEqual(stage.entries('author'))
    })

    it('leaves a record alone that a live job holds, and has it looked at again afterwards', async () => {
      await begin()
      const [sync] = await stage.create({ contentTypes: ['author'] })
      const [key] = [...stage.entries('author')]
      const [entryUid, locale] = key!.split(':') as [string, string]
      await stage.db
        .insertInto('link')
        .values({
          ...blankLink(sync!, { locale: '', external_id: '', entry_uid: '' }, Date.now()),
          locale,
          external_id: key!,
          entry_uid: entryUid,
          claim_token: 'clm_other',
          claim_until: Date.now() + 60_000
        })
        .execute()
      const worker = stage.worker()
      await worker.drain()
      expect(stage.rows('author').has(key!)).toBe(false)
      expect(stage.rows('author').size).toBe(stage.entries('author').size - 1)
      expect(await stage.lastRun(sync!)).toMatchObject({ status: 'success' })
      await stage.db.updateTable('link').set({ claim_token: null, claim_until: null }).where('external_id', '=', key!).execute()
      await stage.drain()
      expect(stage.rows('author').has(key!)).toBe(true)
    })

    it.each(['run', 'job'] as const)('takes over at once what its own %s had claimed before the process died', async kind => {
      await begin()
      const [sync] = await stage.create({ contentTypes: ['author'] })
      if (kind === 'job') await stage.drain()
      const [key] = [...stage.entries('author')]
      const [entryUid, locale] = key!.split(':') as [string, string]
      if (kind === 'job') {
        await stage.cms('PUT', `/content_types/author/entries/${entryUid}?locale=${locale}`, { entry: { title: 'Changed' } })
        await webhook(entryUid, locale)
      }
      const job = await stage.db
        .selectFrom('job')
        .select('id')
        .where('kind', '=', 'sync.record')
        .where('state', '=', 'ready')
        .where('payload_json', 'like', `%"locale":"${locale}"%`)
        .executeTakeFirst()
      const dead = {
        claim_token: `${kind === 'run' ? (await stage.lastRun(sync!)).id : `job ${job?.id}`} clm_dead`,
        claim_until: Date.now() + 60_000
      }
      await stage.db
        .insertInto('link')
        .values({ ...blankLink(sync!, { locale, external_id: key!, entry_uid: entryUid }, Date.now()), ...dead })
        .onConflict(conflict => conflict.columns(['link_set_id', 'branch', 'locale', 'external_id']).doUpdateSet(dead))
        .execute()
      await stage.worker().drain()
      expect(stage.rows('author').size).toBe(stage.entries('author').size)
      expect(stage.rows('author').get(key!)).toMatchObject(kind === 'job' ? { title: 'Changed' } : { entry_uid: entryUid })
      expect(await stage.db.selectFrom('link').select('claim_token').where('claim_token', 'is not', null).execute()).toEqual([])
    })

    it('lets a poison record stand aside and ends partial; the next run carries it once it is cured', async () => {
      await begin()
      const sync = await stage.createOne({
        contentTypes: ['author'],
        mapping: [
          { from: 'title', to: 'title' },
          { from: 'email', to: 'email', required: true }
        ]
      })
      expect(await stage.lastRun(sync)).toMatchObject({ status: 'success' })
      const made = await stage.cms('POST', '/content_types/author/entries', { entry: { title: 'No Mail' } })
      await rerun(sync)
      expect(await stage.lastRun(sync)).toMatchObject({ status: 'partial', failed: 1 })
      const failed = await stage.db.selectFrom('link').selectAll().where('status', '=', 'failed').execute()
      expect(failed).toMatchObject([
        { entry_uid: made.body.entry.uid, error: expect.stringContaining('"email"') as string, claim_token: null }
      ])
      await stage.cms('PUT', `/content_types/author/entries/${made.body.entry.uid}`, { entry: { email: 'now@harbour.example' } })
      await rerun(sync)
      expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', written: 1, failed: 0 })
    })

    it('removes rows whose entries are gone, after asking for each', async () => {
      await begin()
      const sync = await stage.createOne({ contentTypes: ['author'] })
      const [uid] = Object.keys(stage.sandbox.world.stacks[blogApiKey]!.entries['main']!['author']!)
      await stage.cms('DELETE', `/content_types/author/entries/${uid}?delete_all_localized=true`)
      await rerun(sync)
      expect([...stage.rows('author').keys()].filter(key => key.startsWith(`${uid}:`))).toEqual([])
      expect(new Set(stage.rows('author').keys())).toEqual(stage.entries('author'))
      expect((await stage.lastRun(sync)).deleted).toBeGreaterThan(0)
    })

    it('stops and asks before it removes many rows at once', async () => {
      await begin()
      plantAuthors(stage.sandbox, 100)
      const sync = await stage.createOne({ contentTypes: ['author'] })
      const rows = stage.rows('author').size
      const authors = stage.sandbox.world.stacks[blogApiKey]!.entries['main']!['author']!
      for (const uid of Object.keys(authors)) await stage.cms('DELETE', `/content_types/author/entries/${uid}?delete_all_localized=true`)
      await rerun(sync)
      expect(await stage.lastRun(sync)).toMatchObject({
        status: 'partial',
        deleted: 0,
        error: expect.stringContaining(`${rows} deletes wait`) as string
      })
      expect(stage.rows('author').size).toBe(rows)
    })
  })

  describe('a changed entry', () => {
    it('lands within its own job, and a second job finds nothing to do', async () => {
      await begin()
      await stage.createOne({ contentTypes: ['author'] })
      const made = await stage.cms('POST', '/content_types/author/entries', { entry: { title: 'Nora New', email: 'nora@harbour.example' } })
      const { uid } = made.body.entry
      expect(await webhook(uid)).toBe(1)
      await stage.drain()
      expect(stage.rows('author').get(`${uid}:en-us`)).toMatchObject({ title: 'Nora New', version: 1 })
      await stage.cms('PUT', `/content_types/author/entries/${uid}`, { entry: { title: 'Nora Newer' } })
      await webhook(uid)
      await webhook(uid)
      await stage.drain()
      expect(stage.rows('author').get(`${uid}:en-us`)).toMatchObject({ title: 'Nora Newer', version: 2 })
      const link = await stage.db.selectFrom('link').selectAll().where('entry_uid', '=', uid).executeTakeFirstOrThrow()
      expect(link).toMatchObject({ status: 'synced', version: 2, cause: 'webhook dlv_1', error: null, claim_token: null })
      await webhook(uid)
      await stage.drain()
      expect((await stage.db.selectFrom('link').select('synced_at').where('entry_uid', '=', uid).executeTakeFirstOrThrow()).synced_at).toBe(
        link.synced_at
      )
    })

    it('takes its rows away when it is deleted, in every locale', async () => {
      await begin()
      await stage.createOne({ contentTypes: ['article'] })
      const uid = [...stage.entries('article')].find(key => key.endsWith(':de-de'))!.split(':')[0]!
      await stage.cms('DELETE', `/content_types/article/entries/${uid}?delete_all_localized=true`)
      await webhook(uid, null, 'article')
      await stage.drain()
      expect([...stage.rows('article').keys()].filter(key => key.startsWith(uid))).toEqual([])
      expect(new Set(stage.rows('article').keys())).toEqual(stage.entries('article'))
    })

    it('loses the row of a locale that falls back again', async () => {
      await begin()
      await stage.createOne({ contentTypes: ['article'] })
      const key = [...stage.entries('article')].find(one => one.endsWith(':de-de'))!
      const uid = key.split(':')[0]!
      await stage.cms('POST', `/content_types/article/entries/${uid}/unlocalize?locale=de-de`)
      await webhook(uid, 'de-de', 'article')
      await stage.drain()
      expect(stage.rows('article').has(key)).toBe(false)
      expect(stage.rows('article').has(`${uid}:en-us`)).toBe(true)
    })

    it('carries fields that are not localized into the rows of the other locales', async () => {
      await begin()
      await stage.createOne({ contentTypes: ['author'] })
      const made = await stage.cms('POST', '/content_types/author/entries', {
        entry: { title: 'Lo', email: 'lo@harbour.example', staff: false }
      })
      const { uid } = made.body.entry
      await stage.cms('PUT', `/content_types/author/entries/${uid}?locale=de-de`, { entry: { title: 'Lo auf Deutsch' } })
      await webhook(uid)
      await webhook(uid, 'de-de')
      await stage.drain()
      expect(stage.rows('author').get(`${uid}:de-de`)).toMatchObject({ title: 'Lo auf Deutsch', email: 'lo@harbour.example' })
      await stage.cms('PUT', `/content_types/author/entries/${uid}`, { entry: { email: 'new@harbour.example' } })
      await webhook(uid)
      await stage.drain()
      expect(stage.rows('author').get(`${uid}:de-de`)).toMatchObject({ email: 'new@harbour.example' })
    })

    it('wakes no sync of another content type, branch or locale, nor a paused one', async () => {
      await begin()
      const sync = await stage.createOne({ contentTypes: ['author'], locales: ['de-de'] })
      const asked = {
        installationId: stage.installation.id,
        contentType: 'author',
        entryUid: 'blt1',
        locale: 'de-de',
        branch: 'main',
        cause: 'c'
      }
      const count = (change: Partial<typeof asked>): Promise<number> =>
        stage.db.transaction().execute(trx => syncJobsForRecord(trx, { ...asked, ...change }))
      expect(await count({})).toBe(1)
      expect(await count({ contentType: 'article' })).toBe(0)
      expect(await count({ branch: 'redesign' })).toBe(0)
      expect(await count({ locale: 'fr-fr' })).toBe(0)
      expect(await count({ installationId: 'ins_other' })).toBe(0)
      await pauseSync(stage.db, stage.deps, { installationId: stage.installation.id, id: sync.id, actor: person })
      expect(await count({})).toBe(0)
    })

    it('is written again when a person asks, even unchanged', async () => {
      await begin()
      await stage.createOne({ contentTypes: ['author'] })
      const [key] = [...stage.rows('author').keys()]
      const [entryUid, locale] = key!.split(':') as [string, string]
      stage.sql(`update author set title = 'tampered' where _key = ?`, key)
      const asked = { installationId: stage.installation.id, contentType: 'author', entryUid, locale, branch: 'main', personName: 'Edda' }
      expect(await stage.db.transaction().execute(trx => syncNow(trx, asked))).toBe(1)
      await stage.drain()
      expect(stage.rows('author').get(key!)?.['title']).not.toBe('tampered')
      expect(await stage.db.selectFrom('link').select('cause').where('external_id', '=', key!).executeTakeFirst()).toEqual({
        cause: 'person Edda'
      })
    })
  })

  it('ends like the stack when people edit, delete and publish hints in a storm while the first run is under way', async () => {
    await begin()
    plantAuthors(stage.sandbox, 260)
    await stage.create({ contentTypes: ['author'], locales: ['en-us'] })
    const uids = Object.keys(stage.sandbox.world.stacks[blogApiKey]!.entries['main']!['author']!)
    const workers = [stage.worker(), stage.worker()]
    for (const worker of workers) worker.start()
    for (let round = 0; round < 60; round++) {
      const uid = uids[(round * 37) % uids.length]!
      const path = `/content_types/author/entries/${uid}`
      if (round % 10 === 9) await stage.cms('DELETE', `${path}?delete_all_localized=true`)
      else await stage.cms('PUT', path, { entry: { title: `Edited ${round}` } })
      await webhook(uid, round % 10 === 9 ? null : 'en-us')
      if (round % 3 === 0) await webhook(uid)
    }
    for (const worker of workers) await worker.stop()
    await stage.drain()
    const entries = stage.sandbox.world.stacks[blogApiKey]!.entries['main']!['author']!
    const expected = new Map(
      Object.values(entries).flatMap(entry => {
        const latest = entry.locales['en-us']?.versions.at(-1)
        return latest ? [[`${entry.uid}:en-us`, `${latest.version} ${String(latest.fields['title'])}`] as const] : []
      })
    )
    expect(new Map([...stage.rows('author')].map(([key, row]) => [key, `${String(row['version'])} ${String(row['title'])}`]))).toEqual(
      expected
    )
    expect(await stage.db.selectFrom('link').select('external_id').where('claim_token', 'is not', null).execute()).toEqual([])
  })

  it('carries a stack into PostgreSQL as it does into SQLite', async () => {
    await begin()
    const { url, cleanup } = await freshPostgres('template0')
    const { hostname, port, pathname, username, password } = new URL(url)
    const settings = { system: 'postgres', host: hostname, port: Number(port), database: pathname.slice(1), user: username }
    const connection = await createConnection(stage.db, stage.deps, {
      installation: stage.installation,
      actor: person,
      connection: { connector: 'sql', name: 'PostgreSQL', settings, secrets: { password } }
    })
    const syncs = await stage.create({ connectionId: connection.id, contentTypes: ['*'] })
    await stage.drain()
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    for (const sync of syncs) {
      expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', failed: 0 })
      const { rows } = await client.query<{ _key: string }>(`select _key from "${sync.content_type}"`)
      expect(new Set(rows.map(row => row._key))).toEqual(stage.entries(sync.content_type))
    }
    const { rows } = await client.query(
      "select author->0->>'content_type' as target, first_published from article where author is not null and first_published is not null limit 1"
    )
    expect(rows).toEqual([{ target: 'author', first_published: expect.any(Date) as Date }])
    await client.end()
    await closePools()
    await cleanup()
  })
})
