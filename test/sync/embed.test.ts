// References embedded to a depth: what a row shows of other entries is as fresh as its own fields.
import { afterEach, expect, it } from 'vitest'
import type { SyncInput } from '../../server/sync/create.ts'
import { syncJobsForRecord } from '../../server/sync/record-jobs.ts'
import { startRunBy } from '../../server/sync/runs.ts'
import { pauseSync, resumeSync, type SyncRow } from '../../server/sync/sync.ts'
import { forEachDatabase } from '../support/databases.ts'
import { openStage, person, type Stage } from './stage.ts'

interface Shown {
  uid: string
  content_type: string
  entry?: Record<string, unknown> | null
}

forEachDatabase(open => {
  let stage: Stage
  afterEach(() => stage.cleanUp())
  const begin = async (): Promise<void> => {
    stage = await openStage(await open())
  }
  const hint = (contentType: string, uid: string, locale: string | null = 'en-us'): Promise<number> =>
    stage.db.transaction().execute(trx =>
      syncJobsForRecord(trx, {
        installationId: stage.installation.id,
        contentType,
        entryUid: uid,
        locale,
        branch: 'main',
        cause: 'webhook dlv_7'
      })
    )
  const rerun = async (sync: SyncRow): Promise<void> => {
    await startRunBy(stage.db, stage.deps, { sync, actor: person })
    await stage.drain()
  }
  const made = async (contentType: string, fields: object): Promise<string> => {
    const reply = await stage.cms('POST', `/content_types/${contentType}/entries`, { entry: fields })
    expect(reply.status).toBe(201)
    return reply.body.entry.uid
  }
  const edit = (contentType: string, uid: string, fields: object, locale = 'en-us') =>
    stage.cms('PUT', `/content_types/${contentType}/entries/${uid}?locale=${locale}`, { entry: fields })
  const to = (contentType: string, uid: string) => ({ uid, _content_type_uid: contentType })
  const shown = (uid: string, column: string, locale = 'en-us'): Shown[] =>
    JSON.parse(String(stage.rows('article').get(`${uid}:${locale}`)?.[column])) as Shown[]
  const article = (fields: object = {}): Promise<string> =>
    made('article', { title: `T${Math.random()}`, url: `/${Math.random()}`, ...fields })
  const embed = (depth: 1 | 2 | 3, more: Partial<SyncInput> = {}): Promise<SyncRow> =>
    stage.createOne({ contentTypes: ['article'], references: { embed: depth }, ...more })
  const synced = async (): Promise<Map<string, number>> =>
    new Map((await stage.db.selectFrom('link').select(['external_id', 'synced_at']).execute()).map(row => [row.external_id, row.synced_at]))

  it('shows what a reference points at, as deep as asked and no deeper, with files and rich text readable', async () => {
    await begin()
    const ada = await made('author', { title: 'Ada', email: 'ada@x.example' })
    const inner = await article({ author: [to('author', ada)] })
    const outer = await article({ related: [to('article', inner)], author: [to('author', ada)] })
    await embed(1)
    expect(shown(outer, 'author')).toEqual([
      { uid: ada, content_type: 'author', entry: expect.objectContaining({ title: 'Ada', email: 'ada@x.example' }) as unknown }
    ])
    expect(shown(outer, 'related')).toMatchObject([{ uid: inner, entry: { author: [{ uid: ada, content_type: 'author' }] } }])
    expect(shown(outer, 'related')[0]?.entry?.['author']).toEqual([{ uid: ada, content_type: 'author' }])
    expect(shown(outer, 'related')[0]?.entry).not.toHaveProperty('_version')
    const [first] = [...stage.rows('article').values()].filter(row => String(row['related']).includes('entry'))
    expect(String(first?.['related'])).not.toContain('"type":"doc"')
  })

  it('looks into groups, blocks and lists of them', async () => {
    await begin()
    const target = await article({ title: 'Deep down' })
    const outer = await article({
      sections: [{ teasers: { heading: 'Read on', items: [{ label: 'Before', target: [to('article', target)] }] } }]
    })
    await embed(1)
    const sections = shown(outer, 'sections') as unknown as { teasers: { items: { target: Shown[] }[] } }[]
    expect(sections[0]?.teasers.items[0]?.target).toMatchObject([{ uid: target, content_type: 'article', entry: { title: 'Deep down' } }])
  })

  it('goes stale nowhere: a change at any depth reaches every row that shows it, and only those', async () => {
    await begin()
    const ada = await made('author', { title: 'Ada', email: 'ada@x.example' })
    const inner = await article({ author: [to('author', ada)] })
    const outer = await article({ related: [to('article', inner)] })
    const apart = await article()
    await embed(2)
    const before = await synced()
    await edit('author', ada, { title: 'Ada B.' })
    expect(await hint('author', ada)).toBe(1)
    await stage.drain()
    expect(shown(inner, 'author')).toMatchObject([{ entry: { title: 'Ada B.' } }])
    expect(shown(outer, 'related')).toMatchObject([{ entry: { author: [{ entry: { title: 'Ada B.' } }] } }])
    const after = await synced()
    expect(after.get(`${apart}:en-us`)).toBe(before.get(`${apart}:en-us`))
    expect(after.get(`${outer}:en-us`)).toBeGreaterThan(before.get(`${outer}:en-us`) ?? 0)
    expect(await hint('author', ada)).toBe(1)
    await stage.drain()
    expect(await synced()).toEqual(after)
  })

  it('finds in a run what no webhook told, and writes nothing when nothing changed', async () => {
    await begin()
    const ada = await made('author', { title: 'Ada', email: 'ada@x.example' })
    const outer = await article({ author: [to('author', ada)] })
    const sync = await embed(1)
    await rerun(sync)
    expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', written: 0 })
    await edit('author', ada, { title: 'Ada C.' })
    await rerun(sync)
    expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', written: 1 })
    expect(shown(outer, 'author')).toMatchObject([{ entry: { title: 'Ada C.' } }])
  })

  it('ends where entries point at each other', async () => {
    await begin()
    const one = await article({ title: 'One' })
    const two = await article({ title: 'Two', related: [to('article', one)] })
    await edit('article', one, { related: [to('article', two), to('article', one)] })
    await embed(3)
    expect(shown(one, 'related')).toMatchObject([
      { uid: two, entry: { title: 'Two', related: [{ uid: one, content_type: 'article' }] } },
      { uid: one, content_type: 'article' }
    ])
    expect(shown(one, 'related')[1]).not.toHaveProperty('entry')
    await edit('article', two, { title: 'Two!' })
    await hint('article', two)
    await stage.drain()
    expect(shown(one, 'related')).toMatchObject([{ entry: { title: 'Two!' } }, {}])
  })

  it('shows null beside the uid of a target that is deleted', async () => {
    await begin()
    const ada = await made('author', { title: 'Ada', email: 'ada@x.example' })
    const outer = await article({ author: [to('author', ada)] })
    await embed(1)
    await stage.cms('DELETE', `/content_types/author/entries/${ada}?delete_all_localized=true`)
    await hint('author', ada, null)
    await stage.drain()
    expect(shown(outer, 'author')).toEqual([{ uid: ada, content_type: 'author', entry: null }])
  })

  it('embeds of a published row what the environment shows, and null where it shows nothing', async () => {
    await begin()
    const ada = await made('author', { title: 'Ada', email: 'ada@x.example' })
    const bo = await made('author', { title: 'Bo', email: 'bo@x.example' })
    const publish = (contentType: string, uid: string, version: number) =>
      stage.cms('POST', `/content_types/${contentType}/entries/${uid}/publish`, {
        entry: { environments: ['production'], locales: ['en-us'] },
        locale: 'en-us',
        version
      })
    const outer = await article({ author: [to('author', ada)] })
    const other = await article({ author: [to('author', bo)] })
    await publish('author', ada, 1)
    for (const uid of [outer, other]) await publish('article', uid, 1)
    await edit('author', ada, { title: 'Drafted' })
    await embed(1, { source: 'published', environment: 'production' })
    expect(shown(outer, 'author')).toMatchObject([{ entry: { title: 'Ada' } }])
    expect(shown(other, 'author')).toEqual([{ uid: bo, content_type: 'author', entry: null }])
    const before = await synced()
    await hint('author', ada)
    await stage.drain()
    expect(await synced()).toEqual(before)
    await publish('author', ada, 2)
    await publish('author', bo, 1)
    for (const uid of [ada, bo]) await hint('author', uid)
    await stage.drain()
    expect(shown(outer, 'author')).toMatchObject([{ entry: { title: 'Drafted' } }])
    expect(shown(other, 'author')).toMatchObject([{ entry: { title: 'Bo' } }])
  })

  it('leaves what is picked as a uid unread, and forgets who is no longer referred to', async () => {
    await begin()
    const ada = await made('author', { title: 'Ada', email: 'ada@x.example' })
    const bo = await made('author', { title: 'Bo', email: 'bo@x.example' })
    const outer = await article({ author: [to('author', ada)] })
    await embed(1, {
      locales: ['en-us'],
      mapping: [
        { from: 'title', to: 'title' },
        { from: 'author', to: 'author' },
        { from: 'related.uid', to: 'related' }
      ]
    })
    const edges = () => stage.db.selectFrom('embedding').select('child_uid').where('parent_uid', '=', outer).execute()
    expect(await edges()).toEqual([{ child_uid: ada }])
    await edit('article', outer, { author: [to('author', bo)], related: [to('article', outer)] })
    await hint('article', outer)
    await stage.drain()
    expect(await edges()).toEqual([{ child_uid: bo }])
    expect(stage.rows('article').get(`${outer}:en-us`)?.['related']).toBe(outer)
    expect(await hint('author', ada)).toBe(0)
  })

  it('wakes nothing of a paused sync, whose resuming finds the change', async () => {
    await begin()
    const ada = await made('author', { title: 'Ada', email: 'ada@x.example' })
    const outer = await article({ author: [to('author', ada)] })
    const sync = await embed(1)
    const asked = { installationId: stage.installation.id, id: sync.id, actor: person }
    await pauseSync(stage.db, stage.deps, asked)
    await edit('author', ada, { title: 'Ada D.' })
    expect(await hint('author', ada)).toBe(0)
    await resumeSync(stage.db, stage.deps, asked)
    await stage.drain()
    expect(shown(outer, 'author')).toMatchObject([{ entry: { title: 'Ada D.' } }])
  })

  it('carries rich text as text where the sync says so, in what is embedded too', async () => {
    await begin()
    const doc = (text: string) => ({
      type: 'doc',
      uid: 'd',
      attrs: {},
      children: [{ type: 'p', attrs: {}, uid: 'p', children: [{ text }] }]
    })
    const inner = await article({ body: doc('Inside') })
    const outer = await article({ body: doc('Outside'), related: [to('article', inner)] })
    await embed(1, { richText: 'text' })
    expect(stage.rows('article').get(`${outer}:en-us`)?.['body']).toBe('Outside')
    expect(shown(outer, 'related')).toMatchObject([{ entry: { body: 'Inside' } }])
  })
})
