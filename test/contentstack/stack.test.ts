import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { createStack, type NewWebhook, type StackClient } from '../../server/contentstack/stack.ts'
import { cmaOn, makeToken } from '../support/contentstack.ts'
import { startSandbox } from '../support/sandbox.ts'

let sandbox: Sandbox
let stack: StackClient

beforeAll(async () => {
  sandbox = await startSandbox()
  stack = createStack(cmaOn(sandbox, (await makeToken(sandbox, { branches: ['main', 'redesign'] })).secret))
})
afterAll(() => sandbox.close())

describe('the typed calls of a stack', () => {
  it('read content types, locales, environments, branches and roles', async () => {
    await stack.health()
    expect((await stack.contentTypes()).map(({ uid }) => uid)).toContain('country')
    expect((await stack.contentType('country')).schema.map(({ uid }) => uid)).toContain('code')
    expect((await stack.locales()).find(locale => !locale.fallback_locale)?.code).toBe('en-us')
    expect((await stack.environments()).map(({ name }) => name).sort()).toEqual(['development', 'production'])
    expect((await stack.branches()).map(({ uid }) => uid).sort()).toEqual(['main', 'redesign'])
    expect((await stack.roles()).map(({ name }) => name)).toContain('Admin')
  })

  it('take an entry from its creation over a localisation and a publication to its end', async () => {
    const made = await stack.createEntry('country', { title: 'Iceland', code: 'IS' })
    expect(made).toMatchObject({ _version: 1, locale: 'en-us', title: 'Iceland' })
    const changed = await stack.updateEntry('country', made.uid, { title: 'Island' })
    expect([changed._version, changed['code']]).toEqual([2, 'IS'])
    const localised = await stack.updateEntry('country', made.uid, { title: 'Island (de)' }, { locale: 'de-de' })
    expect([localised._version, localised.locale]).toEqual([1, 'de-de'])
    expect((await stack.entryLocales('country', made.uid)).filter(({ localized }) => localized).map(({ code }) => code)).toContain('de-de')
    expect((await stack.entry('country', made.uid, { locale: 'fr-fr' }))?.locale).toBe('en-us')

    await stack.publishEntry('country', made.uid, { environments: ['production'], locales: ['en-us'], locale: 'en-us', version: 2 })
    const published = await stack.entry('country', made.uid, { includePublishDetails: true })
    expect(published?.publish_details).toHaveLength(1)

    expect(await stack.deleteEntry('country', made.uid)).toBe(true)
    expect(await stack.deleteEntry('country', made.uid)).toBe(false)
    expect(await stack.entry('country', made.uid)).toBeNull()
  })

  it('page entries by uid and count them', async () => {
    for (const code of ['A1', 'A2', 'A3']) await stack.createEntry('country', { title: `Page ${code}`, code })
    const first = await stack.entriesPage('country', {
      asc: 'uid',
      limit: 2,
      includeCount: true,
      query: { code: { $in: ['A1', 'A2', 'A3'] } }
    })
    expect([first.entries.length, first.count]).toEqual([2, 3])
    const after = first.entries.at(-1)!.uid
    const rest = await stack.entriesPage('country', { asc: 'uid', query: { uid: { $gt: after }, code: { $in: ['A1', 'A2', 'A3'] } } })
    expect(rest.entries).toHaveLength(1)
    expect(rest.count).toBeNull()
  })

  it('keep branches apart', async () => {
    const other = stack.with({ branch: 'redesign' })
    const made = await stack.createEntry('country', { title: 'Only in main', code: 'MAIN' })
    expect(await other.entry('country', made.uid)).toBeNull()
  })

  it('register, repair and remove a webhook', async () => {
    const webhook: NewWebhook = {
      name: 'Quayside',
      destinations: [{ target_url: 'https://quay.example/webhooks', custom_header: [{ header_name: 'x-quayside-secret', value: 'v' }] }],
      channels: ['content_types.entries.create'],
      branches: ['main'],
      retry_policy: 'automatic',
      disabled: false,
      concise_payload: true
    }
    const { uid } = await stack.createWebhook(webhook)
    await stack.updateWebhook(uid, { ...webhook, channels: ['content_types.entries.create', 'content_types.entries.update'] })
    expect((await stack.webhooks()).find(one => one.uid === uid)?.channels).toHaveLength(2)
    expect(await stack.deleteWebhook(uid)).toBe(true)
    expect(await stack.deleteWebhook(uid)).toBe(false)
  })

  it.each(['', '..', '.', 'a/b', '%2e%2e', 'x?y=1', 'x'.repeat(201)])(
    'refuse %j as a uid instead of asking for another path',
    async uid => {
      await expect(stack.entry('country', uid)).rejects.toMatchObject({ code: 'invalid' })
      await expect(stack.contentType(uid)).rejects.toMatchObject({ code: 'invalid' })
    }
  )
})
