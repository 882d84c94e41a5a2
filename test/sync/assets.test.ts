// Assets as rows: the same promises as for entries.
import { afterEach, expect, it } from 'vitest'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { assetsUid } from '../../server/sync/assets-out.ts'
import type { SyncInput } from '../../server/sync/create.ts'
import { syncJobsForRecord } from '../../server/sync/record-jobs.ts'
import { startRunBy } from '../../server/sync/runs.ts'
import type { SyncRow } from '../../server/sync/sync.ts'
import { forEachDatabase } from '../support/databases.ts'
import { openStage, person, type Stage } from './stage.ts'

forEachDatabase(open => {
  let stage: Stage
  afterEach(() => stage.cleanUp())
  const begin = async (options = {}): Promise<void> => {
    stage = await openStage(await open(), options)
  }
  const assets = () => Object.values(stage.sandbox.world.stacks[blogApiKey]!.assets['main']!)
  const files = () => assets().filter(asset => !asset.isDir)
  const hint = (uid: string, locale: string | null = 'en-us'): Promise<number> =>
    stage.db.transaction().execute(trx =>
      syncJobsForRecord(trx, {
        installationId: stage.installation.id,
        contentType: assetsUid,
        entryUid: uid,
        locale,
        branch: 'main',
        cause: 'webhook dlv_1'
      })
    )
  const rerun = async (sync: SyncRow): Promise<void> => {
    await startRunBy(stage.db, stage.deps, { sync, actor: person })
    await stage.drain()
  }
  const rows = () => stage.rows(assetsUid)
  const create = (more: Partial<SyncInput> = {}) => stage.createOne({ contentTypes: [assetsUid], ...more })
  const edit = (uid: string, title: string) => stage.cms('PUT', `/assets/${uid}`, { asset: { title } })
  /** More than a page of files. */
  const plant = (count: number): void => {
    const [first] = files()
    const held = stage.sandbox.world.stacks[blogApiKey]!.assets['main']!
    for (let index = 0; index < count; index++) {
      const uid = `bltz${String((index * 7919) % count).padStart(8, '0')}`
      held[uid] = { ...first!, uid, title: `File ${index}`, createdAt: new Date(Date.UTC(2025, 0, 1) + index * 1000).toISOString() }
    }
  }

  it('carries every file once, and no folder', async () => {
    await begin()
    const sync = await create()
    expect(assets().length).toBeGreaterThan(files().length)
    expect(new Set(rows().keys())).toEqual(new Set(files().map(({ uid }) => `${uid}:en-us`)))
    const [file] = files()
    expect(rows().get(`${file!.uid}:en-us`)).toMatchObject({
      title: file!.title,
      filename: file!.filename,
      content_type: file!.contentType,
      file_size: file!.fileSize,
      url: expect.stringContaining(file!.uid) as string,
      version: file!.version,
      parent_uid: file!.parentUid
    })
    await rerun(sync)
    expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', written: 0, deleted: 0 })
  })

  it.each(['sorted', 'unsorted'] as const)('misses nothing over many pages when the CMA lists by uid %s', async sortedPaging => {
    await begin({ plays: { sortedPaging } })
    plant(230)
    const sync = await create({ filter: { title: { $regex: '^File' } } })
    expect(rows().size).toBe(230)
    expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', failed: 0 })
  })

  it('follows changes and deletes, by webhook or by a run', async () => {
    await begin()
    const sync = await create()
    const [one, two, three] = files().map(({ uid }) => uid) as [string, string, string]
    await edit(one, 'Heard')
    await edit(two, 'Missed')
    expect(await hint(one)).toBe(1)
    await stage.drain()
    expect(rows().get(`${one}:en-us`)).toMatchObject({ title: 'Heard', version: 2 })
    await stage.cms('DELETE', `/assets/${three}`)
    await hint(three, null)
    await stage.drain()
    expect(rows().has(`${three}:en-us`)).toBe(false)
    await stage.cms('DELETE', `/assets/${one}`)
    await rerun(sync)
    expect(rows().has(`${one}:en-us`)).toBe(false)
    expect(rows().get(`${two}:en-us`)).toMatchObject({ title: 'Missed' })
  })

  it('follows what an environment shows of them, version for version', async () => {
    await begin()
    for (const asset of files()) asset.publishDetails = []
    const [uid, other] = files().map(asset => asset.uid) as [string, string]
    const publish = (asset: string, version: number, locale: string, way = 'publish') =>
      stage.cms('POST', `/assets/${asset}/${way}`, { asset: { environments: ['production'], locales: [locale] }, version })
    const first = files()[0]!.title
    await publish(uid, 1, 'en-us')
    await publish(uid, 1, 'de-de')
    await edit(uid, 'Edited since')
    await create({ source: 'published', environment: 'production' })
    expect([...rows().keys()].toSorted()).toEqual([`${uid}:de-de`, `${uid}:en-us`])
    expect(rows().get(`${uid}:en-us`)).toMatchObject({ title: first, version: 1 })
    await publish(uid, 2, 'en-us')
    await publish(other, 1, 'en-us')
    for (const one of [uid, other]) await hint(one)
    await stage.drain()
    expect(rows().get(`${uid}:en-us`)).toMatchObject({ title: 'Edited since', version: 2 })
    expect(rows().get(`${uid}:de-de`)).toMatchObject({ title: first, version: 1 })
    expect(rows().has(`${other}:en-us`)).toBe(true)
    await publish(uid, 2, 'en-us', 'unpublish')
    await hint(uid)
    await stage.drain()
    expect(rows().has(`${uid}:en-us`)).toBe(false)
    expect(rows().has(`${uid}:de-de`)).toBe(true)
  })

  it('have a row in each chosen locale, a new one too', async () => {
    await begin()
    await create({ locales: ['en-us', 'de-de'], filter: { title: 'Chosen' } })
    const [uid] = files().map(asset => asset.uid) as [string]
    await edit(uid, 'Chosen')
    await hint(uid)
    await stage.drain()
    expect([...rows().keys()].toSorted()).toEqual([`${uid}:de-de`, `${uid}:en-us`])
  })

  it('are only carried outwards', async () => {
    await begin()
    await expect(
      stage.create({ direction: 'inbound', contentTypes: [assetsUid], target: 't', externalIdField: 'title' })
    ).rejects.toMatchObject({ code: 'invalid', fields: { contentTypes: [`unknown: ${assetsUid}`] } })
  })
})
