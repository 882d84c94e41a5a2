import { constants, createPublicKey, verify } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Change } from '../../sandbox/changes.ts'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { channelsOf, subscribedChannel } from '../../sandbox/webhooks/channels.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import type { Stack, Webhook } from '../../sandbox/world/model.ts'
import { ada } from '../../sandbox/world/people.ts'
import { openReceiver, type Receiver } from '../support/receiver.ts'
import { ask, startSandbox } from '../support/sandbox.ts'

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

function addWebhook(changes: Partial<Webhook> = {}): Webhook {
  const webhook: Webhook = {
    uid: `blt${String(Object.keys(stack.webhooks).length).padStart(16, '0')}`,
    name: 'Test',
    destinations: [{ target_url: receiver.url, custom_header: [{ header_name: 'X-Own-Secret', value: 'open sesame' }] }],
    channels: ['content_types.entries.update'],
    branches: ['main'],
    retry_policy: 'automatic',
    disabled: false,
    concise_payload: false,
    consecutiveFailures: 0,
    created_at: sandbox.clock.iso(),
    updated_at: sandbox.clock.iso(),
    ...changes
  }
  stack.webhooks[webhook.uid] = webhook
  return webhook
}

const changeOf = (over: Partial<Change> = {}): Change => ({
  module: 'entry',
  event: 'update',
  apiKey: blogApiKey,
  branch: 'main',
  locale: 'de-de',
  object: { uid: 'blt1', title: 'Hafen', locale: 'de-de', _version: 3, body: 'Text', updated_by: ada.uid },
  contentType: stack.contentTypes['main']!['country']!,
  by: { kind: 'authtoken', userUid: ada.uid },
  at: sandbox.clock.iso(),
  ...over
})
const production = () => stack.environments.find(it => it.name === 'production')!
const happen = (over: Partial<Change> = {}) => sandbox.context.changes.emit(changeOf(over))
const executions = (webhook: Webhook) => sandbox.context.deliveries.executionsOf(blogApiKey, webhook.uid)

/** Waits for what is under way, then moves to the next retry and waits again. */
async function passSeconds(seconds: number): Promise<void> {
  await sandbox.settleWebhooks()
  sandbox.clock.advance(seconds * 1000)
  await sandbox.settleWebhooks()
}

describe('a delivery', () => {
  it('carries the whole entry, its content type and branch, our own header, and a signature over its bytes', async () => {
    addWebhook()
    happen()
    await sandbox.settleWebhooks()
    const [got] = receiver.received
    expect(got?.json).toMatchObject({
      module: 'entry',
      event: 'update',
      api_key: blogApiKey,
      data: {
        entry: { uid: 'blt1', title: 'Hafen', locale: 'de-de', _version: 3, body: 'Text' },
        content_type: { uid: 'country', schema: expect.any(Array) },
        branch: { uid: 'main', source: '', alias: [] }
      }
    })
    expect(got?.headers).toMatchObject({ 'x-own-secret': 'open sesame', 'user-agent': 'Contentstack', 'content-type': 'application/json' })
    const header = String(got?.headers['x-contentstack-request-signature'])
    expect(header).toMatch(/^v1=[A-Za-z0-9+/]{342}==$/)
    const { body } = await ask<{ 'signing-key': string }>(`${sandbox.urls.application}/.well-known/public-keys.json`)
    const key = { key: createPublicKey(body['signing-key']), padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
    const signature = Buffer.from(header.slice(3), 'base64')
    expect(verify('sha256', got!.raw, key, signature)).toBe(true)
    expect(verify('sha256', Buffer.concat([got!.raw, Buffer.from(' ')]), key, signature)).toBe(false)
  })

  it('says little where the webhook is concise', async () => {
    addWebhook({ concise_payload: true, channels: ['content_types.entries.environments.publish.success'] })
    happen({ event: 'publish', environment: production(), version: 2 })
    await sandbox.settleWebhooks()
    expect(receiver.received[0]?.json.data).toEqual({
      entry: { uid: 'blt1', title: 'Hafen', locale: 'de-de', _version: 2 },
      content_type: { uid: 'country', title: expect.any(String) },
      environment: production(),
      action: 'publish',
      status: 'success',
      locale: 'de-de'
    })
  })

  it('names the user where the webhook has one', async () => {
    addWebhook({ destinations: [{ target_url: receiver.url, custom_header: [], http_basic_auth: 'quay', http_basic_password: 'side' }] })
    happen()
    await sandbox.settleWebhooks()
    expect(receiver.received[0]?.headers.authorization).toBe(`Basic ${Buffer.from('quay:side').toString('base64')}`)
  })

  it.each([
    ['a channel nobody subscribed to', { event: 'create' as const }, {}],
    ['another branch', { branch: 'redesign' }, {}],
    ['a disabled webhook', {}, { disabled: true }]
  ])('is not made for %s', async (_what, change, webhook) => {
    addWebhook(webhook)
    happen(change)
    await sandbox.settleWebhooks()
    expect(receiver.received).toEqual([])
    expect(stack.executions).toEqual([])
  })

  it.each([
    ['content_types.entries.update', {}],
    ['content_types.country.entries.update', {}],
    ['content_types.country.entries.blt1.update', {}],
    ['content_types.entries.publish', { event: 'publish' as const }],
    ['content_types.entries.environments.publish.success', { event: 'publish' as const }],
    ['content_types.country.entries.environments.publish.success', { event: 'publish' as const }],
    ['content_types.entries.environments.ENV.unpublish.success', { event: 'unpublish' as const }],
    ['assets.create', { module: 'asset' as const, event: 'create' as const }],
    ['assets.environments.publish.success', { module: 'asset' as const, event: 'publish' as const }],
    ['content_types.update', { module: 'content_type' as const }],
    ['global_fields.delete', { module: 'global_field' as const, event: 'delete' as const }]
  ])('is made for channel %s', (channel, over) => {
    const spoken = channelsOf(changeOf({ environment: production(), ...over }))
    const subscribed = channel.replace('ENV', production().uid)
    expect(subscribedChannel([subscribed], spoken)).toBe(subscribed)
    expect(subscribedChannel([`${subscribed}.not`, 'content_types.other.entries.update'], spoken)).toBeNull()
  })

  it('goes out beside the others, not after them', async () => {
    addWebhook()
    receiver.answer = null
    for (let count = 0; count < 20; count += 1) happen()
    await expect.poll(() => receiver.received.length).toBe(20)
  })
})

describe('a failed delivery', () => {
  it('is repeated after 5, 25, 125 and 625 seconds with the same bytes, then given up', async () => {
    const webhook = addWebhook()
    receiver.answer = 400
    happen()
    const arrivals: number[] = []
    for (const seconds of [0, 4, 2, 24, 2, 124, 2, 624, 2, 5000]) {
      await passSeconds(seconds)
      arrivals.push(receiver.received.length)
    }
    expect(arrivals).toEqual([1, 1, 2, 2, 3, 3, 4, 4, 5, 5])
    expect(new Set(receiver.received.map(it => it.raw.toString())).size).toBe(1)
    expect(new Set(receiver.received.map(it => it.json.triggered_at)).size).toBe(1)
    const [execution] = executions(webhook)
    expect(execution).toMatchObject({ status: 'failed', retryCount: 4, channel: 'content_types.entries.update' })
    expect(execution?.responses.map(it => it.status)).toEqual([400, 400, 400, 400, 400])
    expect(webhook).toMatchObject({ disabled: false, consecutiveFailures: 0 })
  })

  it('stops being repeated once it is taken', async () => {
    const webhook = addWebhook()
    receiver.answer = 503
    happen()
    await sandbox.settleWebhooks()
    receiver.answer = 204
    await passSeconds(6)
    await passSeconds(1000)
    expect(receiver.received).toHaveLength(2)
    expect(executions(webhook)[0]).toMatchObject({ status: 'success', retryCount: 1 })
    expect(webhook.consecutiveFailures).toBe(0)
  })

  it('is not repeated where retrying is manual, but can be sent again', async () => {
    const webhook = addWebhook({ retry_policy: 'manual' })
    receiver.answer = 500
    happen()
    await passSeconds(1000)
    expect(receiver.received).toHaveLength(1)
    receiver.answer = 200
    await sandbox.context.deliveries.retry(blogApiKey, executions(webhook)[0]!.uid)
    expect(executions(webhook)[0]).toMatchObject({ status: 'success', responses: [{ status: 500 }, { status: 200 }] })
    await expect(sandbox.context.deliveries.retry(blogApiKey, 'cs0')).rejects.toThrow('no execution "cs0"')
  })

  it('whose receiver is silent for 30 seconds of sandbox time counts as failed', async () => {
    const webhook = addWebhook({ retry_policy: 'manual' })
    sandbox.clock.setSpeed(30)
    receiver.answer = null
    happen()
    await sandbox.settleWebhooks()
    expect(executions(webhook)[0]).toMatchObject({ status: 'failed', responses: [{ status: null, error: 'no answer in 30 s' }] })
  })

  it('says why, where nobody listens', async () => {
    const webhook = addWebhook({ retry_policy: 'manual' })
    await receiver.close()
    happen()
    await sandbox.settleWebhooks()
    expect(executions(webhook)[0]?.responses[0]?.error).toContain('ECONNREFUSED')
  })
})

describe('the circuit breaker', () => {
  it.each([[500], [503], [401]])('disables a webhook after ten answers of %s in a row, and what it then misses is lost', async status => {
    const webhook = addWebhook({ retry_policy: 'manual' })
    receiver.answer = status
    for (let count = 0; count < 9; count += 1) happen()
    await sandbox.settleWebhooks()
    expect(webhook).toMatchObject({ disabled: false, consecutiveFailures: 9 })
    happen()
    await sandbox.settleWebhooks()
    expect(webhook.disabled).toBe(true)
    happen()
    await sandbox.settleWebhooks()
    expect(receiver.received).toHaveLength(10)
  })

  it('stops the retries that wait', async () => {
    const webhook = addWebhook()
    receiver.answer = 500
    for (let count = 0; count < 10; count += 1) happen()
    await passSeconds(1000)
    expect(receiver.received).toHaveLength(10)
    expect(executions(webhook).map(it => it.status)).toEqual(Array.from({ length: 10 }, () => 'failed'))
  })

  it('does not count refusals of one payload, and starts anew after a success', async () => {
    const webhook = addWebhook({ retry_policy: 'manual' })
    receiver.answer = 422
    for (let count = 0; count < 12; count += 1) happen()
    await sandbox.settleWebhooks()
    expect(webhook).toMatchObject({ disabled: false, consecutiveFailures: 0 })
    receiver.answer = 500
    for (let count = 0; count < 9; count += 1) happen()
    await sandbox.settleWebhooks()
    receiver.answer = 200
    happen()
    await sandbox.settleWebhooks()
    expect(webhook.consecutiveFailures).toBe(0)
  })

  it('lets a webhook that was enabled again begin with a clean slate', async () => {
    const webhook = addWebhook({ retry_policy: 'manual' })
    receiver.answer = 500
    for (let count = 0; count < 10; count += 1) happen()
    await sandbox.settleWebhooks()
    webhook.disabled = false
    happen()
    await sandbox.settleWebhooks()
    expect(webhook).toMatchObject({ disabled: false, consecutiveFailures: 1 })
  })
})

describe('trouble on demand', () => {
  it.each([
    ['duplicate', 2, 2],
    ['drop', 0, 0],
    ['late', 0, 1]
  ] as const)('%s webhooks', async (kind, atOnce, inTheEnd) => {
    addWebhook()
    sandbox.context.faults.add({ kind, delayMs: 60_000 })
    happen()
    await sandbox.settleWebhooks()
    expect(receiver.received).toHaveLength(atOnce)
    await passSeconds(61)
    expect(receiver.received).toHaveLength(inTheEnd)
    expect(new Set(receiver.received.map(it => it.raw.toString())).size).toBeLessThanOrEqual(1)
    happen()
    await sandbox.settleWebhooks()
    expect(receiver.received).toHaveLength(inTheEnd + 1)
  })
})
