// Files named by address in a source, as assets of the stack: each content once.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import type { StackClient } from '../../server/contentstack/stack.ts'
import { largestFileBytes } from '../../server/sync/assets-in.ts'
import { startRunBy } from '../../server/sync/runs.ts'
import type { SyncRow } from '../../server/sync/sync.ts'
import { failedRecords } from '../../server/sync/views.ts'
import { forEachDatabase } from '../support/databases.ts'
import { openStage, person, type Stage } from './stage.ts'

interface File {
  status?: number
  type?: string
  bytes?: string
  length?: number
  location?: string
}

forEachDatabase(open => {
  let stage: Stage
  let server: Server
  let host: string
  let files: Record<string, File>
  let fetched: string[]
  beforeEach(async () => {
    files = {}
    fetched = []
    server = createServer((request, response) => {
      const path = decodeURI(new URL(request.url ?? '/', 'http://x').pathname)
      fetched.push(path)
      const file = files[path] ?? { status: 404 }
      response.writeHead(file.status ?? 200, {
        'content-type': file.type ?? 'image/png',
        ...(file.length === undefined ? {} : { 'content-length': file.length }),
        ...(file.location === undefined ? {} : { location: file.location })
      })
      response.end(file.bytes ?? '')
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    host = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    stage = await openStage(await open())
    stage.sql('create table people (email text primary key, name text, portrait text)')
  })
  afterEach(async () => {
    server.closeAllConnections()
    server.close()
    await stage.cleanUp()
  })

  const sync = {
    direction: 'inbound' as const,
    contentTypes: ['author'],
    target: 'people',
    externalIdField: 'email',
    mapping: [
      { from: 'email', to: 'email', required: true },
      { from: 'name', to: 'title', required: true },
      { from: 'portrait', to: 'portrait' }
    ]
  }
  const put = (email: string, portrait: string, name = email): void =>
    stage.sql('insert or replace into people values (?, ?, ?)', email, name, portrait)
  const assets = () =>
    Object.values(stage.sandbox.world.stacks[blogApiKey]!.assets['main'] ?? {}).filter(asset =>
      asset.tags.some(tag => tag.startsWith('quayside-'))
    )
  const portraitOf = (email: string): unknown =>
    Object.values(stage.sandbox.world.stacks[blogApiKey]!.entries['main']!['author']!)
      .map(entry => entry.locales['en-us']!.versions.at(-1)!.fields)
      .find(fields => fields['email'] === email)?.['portrait']
  const rerun = async (row: SyncRow) => {
    await startRunBy(stage.db, stage.deps, { sync: row, actor: person })
    await stage.drain()
    return await stage.lastRun(row)
  }

  it('uploads each content once, whatever addresses it has, and fetches nothing for what is unchanged', async () => {
    files = { '/a.png': { bytes: 'same' }, '/b.png': { bytes: 'same' }, '/c d.png': { bytes: 'other' } }
    put('a@x.example', `${host}/a.png`)
    put('b@x.example', `${host}/b.png?size=2`)
    put('c@x.example', `${host}/c d.png`)
    put('d@x.example', `${host}/a.png`)
    const row = await stage.createOne(sync)
    expect(await stage.lastRun(row)).toMatchObject({ status: 'success', written: 4 })
    expect(
      assets()
        .map(asset => [asset.filename, asset.contentType, asset.fileSize])
        .sort(([, , a], [, , b]) => Number(a) - Number(b))
    ).toEqual([
      [expect.stringMatching(/^[ab]\.png$/), 'image/png', 4],
      ['c d.png', 'image/png', 5]
    ])
    const uid = portraitOf('a@x.example')
    expect([portraitOf('b@x.example'), portraitOf('d@x.example')]).toEqual([uid, uid])
    expect(fetched.filter(path => path === '/a.png')).toHaveLength(1)
    fetched = []
    expect(await rerun(row)).toMatchObject({ status: 'success', skipped: 4 })
    expect(fetched).toEqual([])
    put('e@x.example', `${host}/a.png`)
    expect(await rerun(row)).toMatchObject({ status: 'success', written: 1 })
    expect(portraitOf('e@x.example')).toBe(uid)
    expect(assets()).toHaveLength(2)
  })

  it.each(['reset-after', 'truncate', '500'] as const)('finds an upload again whose answer was lost (%s)', async kind => {
    files = { '/a.png': { bytes: 'a' } }
    put('a@x.example', `${host}/a.png`)
    stage.sandbox.context.faults.add({ kind, host: 'contentManagement', method: 'POST', pathPattern: '^/v3/assets', times: 1 })
    const row = await stage.createOne(sync)
    expect(await stage.lastRun(row)).toMatchObject({ status: 'success' })
    expect(assets()).toHaveLength(1)
    expect(portraitOf('a@x.example')).toBe(assets()[0]!.uid)
  })

  it('uploads once when the process dies before it knows the asset', async () => {
    files = { '/a.png': { bytes: 'a' } }
    put('a@x.example', `${host}/a.png`)
    const [row] = await stage.create(sync)
    const died = Promise.withResolvers<void>()
    const worker = stage.worker(
      { concurrency: 1 },
      {
        async stackFor(id, use) {
          const stack = await stage.deps.stackFor(id, use)
          const dying: StackClient = {
            ...stack,
            with: () => dying,
            async createAsset(file) {
              await stack.createAsset(file)
              died.resolve()
              return await new Promise<never>((_, reject) => use.signal?.addEventListener('abort', () => reject(new Error('died'))))
            }
          }
          return dying
        }
      }
    )
    worker.start()
    await died.promise
    await worker.stop()
    await stage.drain()
    expect(await stage.lastRun(row!)).toMatchObject({ status: 'success', written: 1 })
    expect(assets()).toHaveLength(1)
  })

  it('uploads again what was deleted in the CMS', async () => {
    files = { '/a.png': { bytes: 'a' } }
    put('a@x.example', `${host}/a.png`)
    const row = await stage.createOne(sync)
    const first = assets()[0]!.uid
    await stage.cms('DELETE', `/assets/${first}`)
    put('a@x.example', `${host}/a.png`, 'Renamed')
    expect(await rerun(row)).toMatchObject({ status: 'success', written: 1 })
    expect(assets()).toHaveLength(1)
    expect(portraitOf('a@x.example')).toBe(assets()[0]!.uid)
    expect(assets()[0]!.uid).not.toBe(first)
  })

  it('lets a record stand aside whose file cannot be had, alone and with words that hide what follows the path', async () => {
    files = {
      '/good.png': { bytes: 'good' },
      '/page': { type: 'text/html; charset=utf-8', bytes: '<p>Please log in' },
      '/empty': { bytes: '' },
      '/large': { length: largestFileBytes + 1, bytes: 'x' },
      '/inward': { status: 302, location: 'http://10.0.0.1/secret' }
    }
    put('good@x.example', `${host}/good.png`)
    const hostile: [string, string, RegExp][] = [
      ['empty@x.example', `${host}/empty`, /is empty/],
      ['inward@x.example', `${host}/inward`, /private network/],
      ['large@x.example', `${host}/large`, /larger than 25 MB/],
      ['lost@x.example', `${host}/lost?signature=hush`, /answered with 404/],
      ['page@x.example', `${host}/page`, /web page/],
      ['private@x.example', 'http://169.254.169.254/latest/meta-data', /private network/],
      ['refused@x.example', 'http://127.0.0.1:1/x.png', /cannot be fetched/]
    ]
    for (const [email, address] of hostile) put(email, address)
    const row = await stage.createOne(sync)
    const run = await stage.lastRun(row)
    expect(run).toMatchObject({ status: 'partial', written: 1, failed: hostile.length })
    const failed = await failedRecords(stage.db, { installationId: stage.installation.id, runId: run.id })
    expect(failed.map(record => [record.key, record.error])).toEqual(
      hostile.map(([email, , words]) => [email, expect.stringMatching(words) as string])
    )
    expect(JSON.stringify(failed)).not.toContain('hush')
    expect(assets()).toHaveLength(1)
  })
})
