import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import type { Stack } from '../../sandbox/world/model.ts'
import { ada } from '../../sandbox/world/people.ts'
import { openReceiver, type Receiver } from '../support/receiver.ts'
import { ask, installApp, logIn, registerApp, startSandbox } from '../support/sandbox.ts'

let sandbox: Sandbox
let receiver: Receiver
let stack: Stack

beforeEach(async () => {
  sandbox = await startSandbox()
  receiver = await openReceiver()
  stack = sandbox.world.stacks[blogApiKey]!
})
afterEach(async () => {
  await sandbox.close()
  await receiver.close()
})

/** A change of content by hand, as the CMA would tell it. */
const happen = () =>
  sandbox.context.changes.emit({
    module: 'entry',
    event: 'update',
    apiKey: blogApiKey,
    branch: 'main',
    object: { uid: 'blt1', title: 'Hafen', locale: 'de-de', _version: 3 },
    contentType: stack.contentTypes['main']!['country']!,
    by: { kind: 'authtoken', userUid: ada.uid },
    at: sandbox.clock.iso()
  })

describe('the lifecycle of an installation', () => {
  it('is told to the app: install, update with the configuration, upgrade, uninstall', async () => {
    const asAda = await logIn(sandbox, ada)
    const webhook = {
      enabled: true,
      target_url: receiver.url,
      channels: [
        'cs.apps.installations.install',
        'cs.apps.installations.uninstall',
        'cs.apps.installations.update',
        'cs.apps.installations.upgrade'
      ],
      custom_headers: [{ header_name: 'X-Own-Secret', value: 'open sesame' }]
    }
    const app = await registerApp(sandbox, { manifest: { webhook } })
    const uid = await installApp(sandbox, asAda, app.appUid, blogApiKey)
    const hub = sandbox.urls.developerHub
    await ask(`${hub}/installations/${uid}/server-configuration`, { method: 'PUT', headers: asAda, body: { colour: 'teal' } })
    await ask(`${hub}/manifests/${app.appUid}/reinstall`, {
      method: 'PUT',
      headers: asAda,
      body: { target_type: 'stack', target_uid: blogApiKey }
    })
    await ask(`${hub}/installations/${uid}`, { method: 'DELETE', headers: asAda })
    await sandbox.settleWebhooks()

    const told = receiver.received.map(it => it.json)
    expect(told.map(it => it.event).sort()).toEqual(['install', 'uninstall', 'update', 'upgrade'])
    for (const it of told) {
      expect(it).toMatchObject({ module: 'app_installation', api_key: blogApiKey })
      expect(it.data['app_installation']).toMatchObject({
        app_uid: app.appUid,
        installation_uid: uid,
        organization_uid: ada.organizationUids[0],
        target: { type: 'stack', uid: blogApiKey },
        created_by: ada.uid
      })
    }
    expect(told.find(it => it.event === 'update')?.data['app_installation']).toMatchObject({
      configuration: {},
      server_configuration: { colour: 'teal' }
    })
    expect(told.find(it => it.event === 'install')?.data['app_installation']).not.toHaveProperty('server_configuration')
    expect(receiver.received.every(it => it.headers['x-own-secret'] === 'open sesame')).toBe(true)
    expect(stack.executions.map(it => it.channel)).toContain(`cs.apps.installations.${uid}.install`)
    expect(Object.values(stack.webhooks).filter(it => it.appInstallationUid === uid)).toEqual([])
  })

  it('is told although the webhook of an uninstalled app is gone, until somebody listens', async () => {
    const asAda = await logIn(sandbox, ada)
    const app = await registerApp(sandbox, {
      manifest: { webhook: { target_url: receiver.url, channels: [], app_lifecycle_enabled: true } }
    })
    const uid = await installApp(sandbox, asAda, app.appUid, blogApiKey)
    await sandbox.settleWebhooks()
    receiver.answer = 503
    await ask(`${sandbox.urls.developerHub}/installations/${uid}`, { method: 'DELETE', headers: asAda })
    await sandbox.settleWebhooks()
    receiver.answer = 200
    sandbox.clock.advance(6000)
    await sandbox.settleWebhooks()
    expect(receiver.received.map(it => it.json.event)).toEqual(['install', 'uninstall', 'uninstall'])
  })

  it('brings the manifest’s content channels with it, and takes them away', async () => {
    const asAda = await logIn(sandbox, ada)
    const app = await registerApp(sandbox, {
      manifest: { webhook: { target_url: receiver.url, channels: ['content_types.entries.update'] } }
    })
    happen()
    const uid = await installApp(sandbox, asAda, app.appUid, blogApiKey)
    happen()
    await sandbox.settleWebhooks()
    await ask(`${sandbox.urls.developerHub}/installations/${uid}`, { method: 'DELETE', headers: asAda })
    happen()
    await sandbox.settleWebhooks()
    expect(receiver.received.map(it => it.json.event)).toEqual(['update'])
  })

  it('is readable and repeatable through Developer Hub, by admins', async () => {
    const asAda = await logIn(sandbox, ada)
    const app = await registerApp(sandbox, {
      manifest: { webhook: { target_url: receiver.url, channels: ['cs.apps.installations.install'] } }
    })
    const uid = await installApp(sandbox, asAda, app.appUid, blogApiKey)
    await sandbox.settleWebhooks()
    const webhook = Object.values(stack.webhooks).find(it => it.appInstallationUid === uid)!
    const path = `${sandbox.urls.developerHub}/installations/${uid}/webhooks/${webhook.uid}/executions`
    const listed = await ask<{ data: { uid: string; status: string }[]; count: number }>(path, { headers: asAda })
    expect(listed.body).toMatchObject({ count: 1, data: [{ status: 'success' }] })
    const again = await ask(`${path}/${listed.body.data[0]!.uid}/retry`, { method: 'POST', headers: asAda })
    expect(again.status).toBe(200)
    expect(receiver.received).toHaveLength(2)
    expect((await ask(`${path}/nothing`, { headers: asAda })).status).toBe(404)
  })
})

describe('changes made through the CMA', () => {
  it('reach a webhook that was created there, one event per environment and locale', async () => {
    const { authtoken } = await logIn(sandbox, ada)
    const cma = `${sandbox.urls.contentManagement}/v3`
    const headers = { authtoken, api_key: blogApiKey }
    const made = await ask(`${cma}/webhooks`, {
      method: 'POST',
      headers,
      body: {
        webhook: {
          name: 'Through the front door',
          destinations: [{ target_url: receiver.url, custom_header: [{ header_name: 'x-own', value: 'yes' }] }],
          channels: [
            'content_types.country.entries.create',
            'content_types.entries.environments.publish.success',
            'content_types.entries.delete'
          ],
          branches: ['main'],
          retry_policy: 'automatic'
        }
      }
    })
    expect(made.status).toBe(201)
    const entries = `${cma}/content_types/country/entries`
    const created = await ask<{ entry: { uid: string } }>(entries, {
      method: 'POST',
      headers,
      body: { entry: { title: 'Malta', code: 'MLT' } }
    })
    const { uid } = created.body.entry
    await ask(`${entries}/${uid}/publish`, {
      method: 'POST',
      headers,
      body: { entry: { environments: ['development', 'production'], locales: ['en-us'] }, locale: 'en-us', version: 1 }
    })
    await ask(`${entries}/${uid}`, { method: 'DELETE', headers })
    await sandbox.settleWebhooks()
    const told = receiver.received.map(it => [it.json.event, it.json.data['environment']?.['name']].filter(Boolean).join(' '))
    expect(told.sort()).toEqual(['create', 'delete', 'publish development', 'publish production'])
    expect(receiver.received.every(it => it.json.data['entry']?.['uid'] === uid)).toBe(true)
    expect(receiver.received.find(it => it.json.event === 'create')?.json.data['entry']).toMatchObject({
      title: 'Malta',
      code: 'MLT',
      locale: 'en-us',
      _version: 1
    })

    const [webhook] = Object.values(stack.webhooks)
    const listed = await ask<{ webhooks: unknown[] }>(`${cma}/webhooks/${webhook!.uid}/executions`, { headers })
    expect(listed.status).toBe(200)
    expect(JSON.stringify(listed.body)).toContain('content_types.country.entries.create')
  })
})
