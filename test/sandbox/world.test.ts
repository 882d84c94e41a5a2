import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createClock } from '../../sandbox/clock.ts'
import { createPlays, setPlays } from '../../sandbox/plays.ts'
import { blogApiKey, createWorld } from '../../sandbox/world/built-in.ts'
import { loadStack, type LoadedStack } from '../../sandbox/world/load-stack.ts'
import type { Entry, Stack } from '../../sandbox/world/model.ts'
import { restore, snapshot } from '../../sandbox/world/snapshot.ts'
import { startCma, type CmaHost } from '../support/cma-host.ts'

const starter = join(import.meta.dirname, '../../../shared/data/stack-starter')
const hasStarter = existsSync(starter)
if (!hasStarter) console.log(`SKIPPED: loading a stack export, because ${starter} is not there`)

describe('the built-in world', () => {
  it('has every field type, three locales, and people of every role', () => {
    const stack = createWorld().stacks[blogApiKey] as Stack
    const article = stack.contentTypes['main']?.['article']
    expect([...new Set(article?.schema.map(field => field.data_type))].sort()).toEqual(
      ['blocks', 'boolean', 'file', 'global_field', 'group', 'isodate', 'json', 'link', 'number', 'reference', 'taxonomy', 'text'].sort()
    )
    expect(stack.locales.map(locale => locale.code)).toEqual(['en-us', 'de-de', 'fr-fr'])
    expect(Object.values(stack.members).sort()).toEqual(['admin', 'developer', 'editor', 'owner'])
    expect(Object.values(stack.entries['main'] ?? {}).flatMap(held => Object.keys(held)).length).toBeGreaterThanOrEqual(35)
    expect(stack.contentTypes['main']?.['country']?.schema.find(field => field.uid === 'code')).toMatchObject({
      unique: true,
      non_localizable: true,
      multiple: false
    })
  })

  it('is the same every time but for its keys', () => {
    const [a, b] = [createWorld(), createWorld()]
    expect({ ...a, signing: null }).toEqual({ ...b, signing: null })
    expect(a.signing.privatePem).not.toBe(b.signing.privatePem)
    expect(a.signing.publicPem).toContain('BEGIN RSA PUBLIC KEY')
  })
})

describe('a snapshot', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'quayside-world-'))
  })
  afterAll(() => rm(folder, { recursive: true }))

  it('comes back as it went, readable by its owner only, leaving nothing beside it', async () => {
    const world = createWorld()
    const file = join(folder, 'world.json')
    await snapshot(world, file)
    expect(await restore(file)).toEqual(world)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(await readdir(folder)).toEqual(['world.json'])
  })

  it('that is not there is null; one that is not ours is refused by name', async () => {
    expect(await restore(join(folder, 'none.json'))).toBeNull()
    for (const [name, text] of [
      ['torn.json', '{"format":1,'],
      ['other.json', '{"format":9}']
    ] as const) {
      await writeFile(join(folder, name), text)
      await expect(restore(join(folder, name))).rejects.toThrow(name)
    }
  })
})

describe.skipIf(!hasStarter)('a loaded stack export', () => {
  let cma: CmaHost
  let loaded: LoadedStack
  let stack: Stack
  let person: Record<string, string>
  beforeAll(async () => {
    cma = await startCma()
    loaded = loadStack(cma.context.world, starter)
    stack = loaded.stack
    person = { ...cma.as(Object.keys(stack.members)[1] ?? ''), api_key: stack.apiKey }
  })
  afterAll(() => cma.close())

  const list = async (type: string) =>
    (await cma.call('GET', `/content_types/${type}/entries?include_publish_details=true`, person)).body.entries as Record<string, unknown>[]

  it('counts what it read and names what it added', () => {
    expect(loaded).toMatchObject({ entries: 22, assets: 36 })
    expect(loaded.notes).toContain('added the content type "country" for the inbound demo')
  })

  it('gives every entry back as it was exported', async () => {
    let compared = 0
    for (const type of ['author', 'blog_post', 'footer', 'header', 'page']) {
      const folder = join(starter, 'entries', type, 'en-us')
      const chunks = (await readdir(folder)).filter(name => name.endsWith('-entries.json'))
      const read = new Map((await list(type)).map(entry => [entry['uid'], entry]))
      for (const chunk of chunks) {
        for (const [uid, exported] of Object.entries(
          JSON.parse(await readFile(join(folder, chunk), 'utf8')) as Record<string, Record<string, unknown>>
        )) {
          const { updated_at: _u, created_at: _c, ...entry } = read.get(uid) ?? {}
          expect(withFilesAsUids({ ...entry, created_by: undefined, updated_by: undefined })).toEqual(withFilesAsUids(exported))
          compared += 1
        }
      }
    }
    expect(compared).toBe(22)
  })

  it('reads files as whole assets and serves their bytes from where they lie', async () => {
    const post = (await list('blog_post'))[0] as { featured_image: { url: string; file_size: string } }
    const bytes = await fetch(post.featured_image.url)
    expect(bytes.status).toBe(200)
    expect((await bytes.arrayBuffer()).byteLength).toBe(Number(post.featured_image.file_size))
  })

  it('has references that resolve', async () => {
    const reply = await cma.call('GET', '/content_types/blog_post/entries?include[]=author&limit=1', person)
    expect(reply.body.entries[0].author[0]).toMatchObject({ _content_type_uid: 'author', title: expect.any(String) })
  })
})

it('a directory that is no export is refused by name', () => {
  expect(() => loadStack(createWorld(), '/nowhere/at/all')).toThrow('/nowhere/at/all is no stack export')
})

describe('a hundred thousand entries', () => {
  let cma: CmaHost
  afterEach(() => cma.close())

  it('are listed, found and added to without a scan', async () => {
    cma = await startCma()
    const held: Record<string, Entry> = {}
    for (let number = 0; number < 100_000; number += 1) {
      const uid = `blt${number.toString(16).padStart(16, '0')}`
      const at = new Date(1_700_000_000_000 + number * 1000).toISOString()
      const fields = { title: `Country ${number}`, code: `C${number}`, tags: [] }
      held[uid] = {
        uid,
        contentType: 'country',
        createdAt: at,
        createdBy: 'x',
        locales: { 'en-us': { createdAt: at, versions: [{ version: 1, fields, updatedAt: at, updatedBy: 'x' }] } },
        publishDetails: []
      }
    }
    let looked = 0
    const watched = new Proxy(held, {
      get(target, uid: string) {
        looked += 1
        return target[uid]
      }
    })
    Object.assign(cma.stack.entries['main'] ?? {}, { country: watched })
    const token = cma.token()
    const base = '/content_types/country/entries'
    const queries = [
      `?asc=uid&limit=100&query=${encodeURIComponent('{"uid":{"$gt":"blt0000000000018000"}}')}`,
      `?asc=updated_at&limit=100&query=${encodeURIComponent(`{"updated_at":{"$gte":"${new Date(1_700_000_000_000 + 90_000_000).toISOString()}"}}`)}`,
      `?query=${encodeURIComponent('{"code":{"$in":["C5","C99999"]}}')}`,
      '?desc=updated_at&limit=100&include_count=true',
      '?count=true'
    ]
    // The first round builds the orders.
    for (const query of queries) await cma.call('GET', base + query, token)
    expect(looked).toBeGreaterThan(100_000)
    for (let round = 0; round < 3; round += 1) {
      for (const query of queries) {
        looked = 0
        expect((await cma.call('GET', base + query, token)).status).toBe(200)
        expect(looked).toBeLessThanOrEqual(100)
      }
      looked = 0
      expect((await cma.call('POST', base, token, { entry: { title: `New ${round}`, code: `N${round}` } })).status).toBe(201)
      expect((await cma.call('POST', base, token, { entry: { title: `Other ${round}`, code: `C${round}` } })).body.errors).toEqual({
        code: ['is not unique.']
      })
      expect(looked).toBeLessThanOrEqual(10)
    }
    const found = await cma.call('GET', base + (queries[2] ?? ''), token)
    expect(found.body.entries.map((entry: { code: string }) => entry.code).sort()).toEqual(['C5', 'C99999'])
  })
})

describe('the clock', () => {
  it('starts what falls due, in order, when time is moved', () => {
    const clock = createClock(1000)
    clock.setSpeed(0.000_001)
    const order: string[] = []
    clock.after(2000, () => order.push('second'))
    clock.after(1000, () => order.push('first'))
    const cancel = clock.after(1500, () => order.push('cancelled'))
    cancel()
    clock.advance(999)
    expect(order).toEqual([])
    clock.advance(2000)
    expect(order).toEqual(['first', 'second'])
    clock.close()
  })

  it('runs waiting things by itself, faster at higher speed', async () => {
    const clock = createClock()
    clock.setSpeed(1000)
    await new Promise<void>(resolve => clock.after(5000, resolve))
    expect(clock.now()).toBeGreaterThan(Date.now() + 3000)
    expect(() => clock.setSpeed(0)).toThrow('above 0')
    clock.close()
  })
})

it('plays refuse what they do not know, and then change nothing', () => {
  const plays = createPlays({ limiter: 'bucket' })
  expect(() => setPlays(plays, { limiter: 'fixed', updatedBy: 'nobody' })).toThrow('updatedBy')
  expect(() => setPlays(plays, { weather: 'fair' })).toThrow('unknown play "weather"')
  expect(plays.limiter).toBe('bucket')
})

/** Both the export and the CMA give files as assets; what matters is which. */
function withFilesAsUids(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withFilesAsUids)
  if (typeof value !== 'object' || value === null) return value
  const object = value as Record<string, unknown>
  if ('file_size' in object && 'filename' in object) return object['uid']
  return Object.fromEntries(Object.entries(object).map(([key, one]) => [key, withFilesAsUids(one)]))
}
