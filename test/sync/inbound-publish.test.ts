// Publishing what an inbound sync writes: done when publish_details shows it, and not before.
import { afterEach, expect, it } from 'vitest'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import type { SandboxOptions } from '../../sandbox/sandbox.ts'
import { forEachDatabase } from '../support/databases.ts'
import { dieAt, inbound, type Lands, landsOf } from './inbound-stage.ts'
import { openStage, type Stage } from './stage.ts'

forEachDatabase(open => {
  let stage: Stage
  let lands: Lands
  afterEach(() => stage.cleanUp())
  const begin = async (count: number, options: SandboxOptions = {}): Promise<void> => {
    stage = await openStage(await open(), options)
    lands = landsOf(stage, count)
  }
  const publishing = { ...inbound, inbound: { publish: { environments: ['production'] } } }
  const published = (key: string) => lands.entry(key)!.publishDetails.map(({ version, locale }) => `${locale} ${version}`)

  it('publishes each version that it writes, and nothing more when nothing changed', async () => {
    await begin(25)
    const sync = await stage.createOne(publishing)
    expect(await stage.lastRun(sync)).toMatchObject({ status: 'success', written: 25 })
    expect(lands.keys().map(key => published(key))).toEqual(Array.from({ length: 25 }, () => ['en-us 1']))
    lands.put('L003', 'Renamed')
    expect(await lands.rerun(sync)).toMatchObject({ status: 'success', written: 1, skipped: 24 })
    expect(published('L003')).toEqual(['en-us 2'])
    const before = stage.sandbox.world.stacks[blogApiKey]!.writes.length
    expect(await lands.rerun(sync)).toMatchObject({ status: 'success', skipped: 25 })
    expect(stage.sandbox.world.stacks[blogApiKey]!.writes).toHaveLength(before)
  })

  it('waits until Contentstack shows it', async () => {
    await begin(2, { plays: { publishing: 'queued' } })
    const sync = await stage.createOne(publishing)
    expect(await stage.lastRun(sync)).toMatchObject({ status: 'success' })
    expect(published('L001')).toEqual(['en-us 1'])
    expect((await lands.linksOf(sync)).get('L001')).toMatchObject({ published_version: 1 })
  })

  it('is healed when the process dies between write and publish', async () => {
    await begin(12)
    const [sync] = await stage.create(publishing)
    await dieAt(stage, 'publishEntries', 1)
    await stage.drain()
    expect(await stage.lastRun(sync!)).toMatchObject({ status: 'success', written: 12, failed: 0 })
    expect(lands.keys().map(key => published(key))).toEqual(Array.from({ length: 12 }, () => ['en-us 1']))
    expect(lands.writes('create') + lands.writes('update')).toBe(12)
  })

  it('does not take back a later version that a person has published', async () => {
    await begin(1)
    const [sync] = await stage.create(publishing)
    await dieAt(stage, 'createEntry', 1)
    const { uid } = lands.entry('L000')!
    await stage.cms('PUT', `/content_types/country/entries/${uid}`, { entry: { region: 'By hand' } })
    await stage.cms('POST', `/content_types/country/entries/${uid}/publish`, {
      entry: { environments: ['production'], locales: ['en-us'] },
      version: 2
    })
    await stage.drain()
    expect(await stage.lastRun(sync!)).toMatchObject({ status: 'success' })
    expect(published('L000')).toEqual(['en-us 2'])
  })

  it('says that the environment is gone, and publishes what is due once there is one again', async () => {
    await begin(2)
    const sync = await stage.createOne(publishing)
    lands.put('L001', 'Renamed')
    const environment = stage.sandbox.world.stacks[blogApiKey]!.environments.find(({ name }) => name === 'production')!
    environment.name = 'renamed'
    expect(await lands.rerun(sync)).toMatchObject({
      status: 'failed',
      written: 1,
      error: expect.stringMatching(/no environment "production"/) as string
    })
    environment.name = 'production'
    expect(await lands.rerun(sync)).toMatchObject({ status: 'success', failed: 0, skipped: 2 })
    expect(published('L001')).toEqual(['en-us 2'])
    expect(lands.writes('update')).toBe(1)
  })

  it('refuses an environment that the stack has not', async () => {
    await begin(1)
    await expect(stage.create({ ...inbound, inbound: { publish: { environments: ['nowhere'] } } })).rejects.toMatchObject({
      code: 'invalid',
      fields: { 'inbound.publish': ['unknown: nowhere'] }
    })
  })
})
