// A filter chooses which entries have a row; a branch, whose entries they are. The platform judges both.
import { afterEach, describe, expect, it } from 'vitest'
import { syncJobsForRecord } from '../../server/sync/record-jobs.ts'
import { startRunBy } from '../../server/sync/runs.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { forEachDatabase } from '../support/databases.ts'
import { openStage, person, plantAuthors, type Stage } from './stage.ts'

forEachDatabase(open => {
  let stage: Stage
  afterEach(() => stage.cleanUp())
  const begin = async (options = {}): Promise<void> => {
    stage = await openStage(await open(), options)
  }
  const hint = (uid: string, branch = 'main'): Promise<number> =>
    stage.db.transaction().execute(trx =>
      syncJobsForRecord(trx, {
        installationId: stage.installation.id,
        contentType: 'author',
        entryUid: uid,
        locale: 'en-us',
        branch,
        cause: 'webhook dlv_1'
      })
    )
  const author = async (title: string, staff: boolean): Promise<string> =>
    (await stage.cms('POST', '/content_types/author/entries', { entry: { title, email: `${title}@x.example`, staff } })).body.entry.uid
  const edit = (uid: string, fields: object) => stage.cms('PUT', `/content_types/author/entries/${uid}`, { entry: fields })
  const titles = () => [...stage.rows('author').values()].map(row => String(row['title'])).toSorted((a, b) => (a < b ? -1 : 1))
  const staff = { contentTypes: ['author'], locales: ['en-us'], filter: { staff: true, title: { $regex: '^S' } } }

  it('carries what the filter finds; an entry that no longer matches loses its row, one that does gets it', async () => {
    await begin()
    const [stays, goes, comes] = [await author('Stays', true), await author('Sgoes', true), await author('Scomes', false)]
    const sync = await stage.createOne(staff)
    expect(titles()).toEqual(['Sgoes', 'Stays'])
    await edit(goes, { staff: false })
    await edit(comes, { staff: true })
    for (const uid of [stays, goes, comes]) expect(await hint(uid)).toBe(1)
    await stage.drain()
    expect(titles()).toEqual(['Scomes', 'Stays'])
    await edit(stays, { title: 'Elsewhere' })
    await startRunBy(stage.db, stage.deps, { sync, actor: person })
    await stage.drain()
    expect(titles()).toEqual(['Scomes'])
    expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', deleted: 1 })
  })

  it.each(['sorted', 'unsorted'] as const)('filters many pages, by uid too, when the CMA lists by uid %s', async sortedPaging => {
    await begin({ plays: { sortedPaging } })
    plantAuthors(stage.sandbox, 260)
    const sync = await stage.createOne({
      contentTypes: ['author'],
      locales: ['en-us'],
      filter: { uid: { $gte: 'bltf00000010' }, $or: [{ title: { $regex: '[02468]$' } }, { title: { $in: ['Author 1'] } }] }
    })
    const entries = Object.values(stage.sandbox.world.stacks[blogApiKey]!.entries['main']!['author']!)
    const wanted = entries.filter(({ uid, locales }) => {
      const title = String(locales['en-us']?.versions.at(-1)?.fields['title'])
      return uid >= 'bltf00000010' && (/[02468]$/.test(title) || title === 'Author 1')
    })
    expect(wanted.length).toBeGreaterThan(100)
    expect(new Set(stage.rows('author').keys())).toEqual(new Set(wanted.map(({ uid }) => `${uid}:en-us`)))
    expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', failed: 0 })
  })

  it.each<[string, Record<string, unknown>]>([
    ['empty', {}],
    ['no operator', { $where: 'this.title' }],
    ['no operator', { title: { $function: 'x' } }],
    ['needs a list', { $or: { title: 'x' } }],
    ['deeper', { $and: [{ $and: [{ $and: [{ $and: [{ title: 'x' }] }] }] }] }],
    ['characters', { title: 'x'.repeat(2100) }],
    ['does not take it', { title: { $regex: '(' } }]
  ])('refuses a filter (%s): %j', async (words, filter) => {
    await begin()
    await expect(stage.create({ contentTypes: ['author'], filter })).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining(words) as string,
      fields: { filter: expect.any(Array) as string[] }
    })
    expect(await stage.db.selectFrom('sync').select('id').execute()).toEqual([])
  })

  it('refuses a filter over every content type at once', async () => {
    await begin()
    await expect(stage.create({ contentTypes: ['*'], filter: { title: 'x' } })).rejects.toMatchObject({ code: 'invalid' })
  })

  describe('another branch', () => {
    const reach = (): void => {
      for (const token of Object.values(stage.sandbox.world.stacks[blogApiKey]!.managementTokens)) {
        for (const scope of token.scope) if (scope.module === 'branch') scope.branches = ['main', 'redesign']
      }
    }
    const authorsOf = (branch: string) => stage.sandbox.world.stacks[blogApiKey]!.entries[branch]!['author']!

    it('is listed, read and kept apart from main', async () => {
      await begin()
      reach()
      for (const uid of Object.keys(authorsOf('redesign')).slice(0, 2)) delete authorsOf('redesign')[uid]
      const main = await stage.createOne({ contentTypes: ['author'], locales: ['en-us'] })
      const sync = await stage.createOne({ contentTypes: ['author'], locales: ['en-us'], branch: 'redesign', target: 're_' })
      const uids = Object.keys(authorsOf('redesign'))
      expect(new Set(stage.rows('re_author').keys())).toEqual(new Set(uids.map(uid => `${uid}:en-us`)))
      expect(stage.rows('author').size).toBe(stage.rows('re_author').size + 2)
      const [uid = ''] = uids
      const path = `/content_types/author/entries/${uid}?branch=redesign`
      await stage.cms('PUT', path, { entry: { title: 'Redesigned' } })
      expect(await hint(uid, 'redesign')).toBe(1)
      await stage.drain()
      expect(stage.rows('re_author').get(`${uid}:en-us`)).toMatchObject({ title: 'Redesigned', version: 2 })
      expect(stage.rows('author').get(`${uid}:en-us`)).not.toMatchObject({ title: 'Redesigned' })
      await stage.cms('DELETE', `${path}&delete_all_localized=true`)
      for (const one of [sync, main]) await startRunBy(stage.db, stage.deps, { sync: one, actor: person })
      await stage.drain()
      expect(stage.rows('re_author').has(`${uid}:en-us`)).toBe(false)
      expect(stage.rows('author').has(`${uid}:en-us`)).toBe(true)
    })

    it('is refused where the token does not reach it, and leaves nothing behind', async () => {
      await begin()
      await expect(stage.create({ contentTypes: ['author'], branch: 'redesign' })).rejects.toMatchObject({
        code: 'forbidden',
        message: expect.stringContaining('"redesign"') as string
      })
      expect(await stage.db.selectFrom('sync').select('id').execute()).toEqual([])
    })

    it('is refused where the stack has none of that name', async () => {
      await begin()
      await expect(stage.create({ contentTypes: ['author'], branch: 'gone' })).rejects.toMatchObject({
        code: 'invalid',
        remedy: expect.stringContaining('redesign') as string,
        fields: { branch: ['unknown: gone'] }
      })
    })
  })
})
