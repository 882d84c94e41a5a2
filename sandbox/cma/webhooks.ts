// Webhook settings (contentstack.md §7.1). What is sent, and what became of it, is the webhooks room's: `deliveries`. Webhooks
// of an app's manifest belong to its installation and do not show here.
import { Router, type Request } from 'express'
import type { Webhook } from '../world/model.ts'
import { newUid } from '../world/uids.ts'
import type { Call, Doors } from './call.ts'
import { pageOf } from './page.ts'
import { recordWrite } from './record.ts'
import { invalidData, noSuchObject, type FieldErrors } from './refusal.ts'

/** §7.1: per stack. */
const most = 100

export function webhookRoutes(doors: Doors): Router {
  const router = Router()
  router.get(
    '/webhooks',
    doors.stack(call => {
      call.permit('webhooks', 'read')
      return { body: pageOf(Object.values(call.stack.webhooks).filter(isOwn).map(shape), call.params, 'webhooks') }
    })
  )
  router.get(
    '/webhooks/:uid',
    doors.stack((call, request) => {
      call.permit('webhooks', 'read')
      return { body: { webhook: shape(named(call, request)) } }
    })
  )
  router.post(
    '/webhooks',
    doors.stack(call => {
      const webhook = call.permitWrite('webhooks', () => valid(call, null))
      call.stack.webhooks[webhook.uid] = webhook
      recordWrite(call, { action: 'create', module: 'webhook', uid: webhook.uid })
      return { status: 201, body: { notice: 'The Webhook was created successfully.', webhook: shape(webhook) } }
    })
  )
  router.put(
    '/webhooks/:uid',
    doors.stack((call, request) => {
      const webhook = call.permitWrite('webhooks', () => valid(call, named(call, request)))
      call.stack.webhooks[webhook.uid] = webhook
      recordWrite(call, { action: 'update', module: 'webhook', uid: webhook.uid })
      return { body: { notice: 'The Webhook was updated successfully.', webhook: shape(webhook) } }
    })
  )
  router.delete(
    '/webhooks/:uid',
    doors.stack((call, request) => {
      const webhook = call.permitWrite('webhooks', () => named(call, request))
      delete call.stack.webhooks[webhook.uid]
      recordWrite(call, { action: 'delete', module: 'webhook', uid: webhook.uid })
      return { body: { notice: 'The Webhook was deleted successfully.' } }
    })
  )
  router.get(
    '/webhooks/:uid/executions',
    doors.stack((call, request) => {
      call.permit('webhooks', 'read')
      const webhook = named(call, request)
      const from = Date.parse(call.params.get('from') ?? '')
      const to = Date.parse(call.params.get('to') ?? '')
      const executions = call.context.deliveries
        .executionsOf(call.stack.apiKey, webhook.uid)
        .filter(one => !(Date.parse(one.createdAt) < from) && !(Date.parse(one.createdAt) > to))
        .map(one => ({
          uid: one.uid,
          webhooks: [webhook.uid],
          channel: [one.channel],
          created_at: one.createdAt,
          retry_count: one.retryCount,
          status: one.status === 'success' ? 200 : (one.responses.at(-1)?.status ?? 0),
          state: one.status,
          request_details: [{ url: one.targetUrl, body: one.body }],
          response_details: one.responses
        }))
      return { body: pageOf(executions, call.params, 'webhooks') }
    })
  )
  router.post(
    '/webhooks/:uid/retry',
    doors.stack(async (call, request) => {
      call.permit('webhooks', 'write')
      try {
        await call.context.deliveries.retry(call.stack.apiKey, String(request.params['uid']))
      } catch {
        throw noSuchObject()
      }
      return { body: { notice: 'Webhook retry initiated successfully.' } }
    })
  )
  return router
}

function named(call: Call, request: Request): Webhook {
  const webhook = call.stack.webhooks[String(request.params['uid'])]
  if (!webhook || !isOwn(webhook)) throw noSuchObject()
  return webhook
}

const isOwn = (webhook: Webhook) => webhook.appInstallationUid === undefined

function shape(webhook: Webhook): Record<string, unknown> {
  const { consecutiveFailures, appInstallationUid: _installation, destinations, ...rest } = webhook
  // The password goes in and never comes out.
  return {
    ...rest,
    destinations: destinations.map(({ http_basic_password: _password, ...destination }) => destination),
    app_webhook: false,
    status: webhook.disabled && consecutiveFailures > 0 ? 'Unhealthy' : 'Healthy'
  }
}

/** Switching a webhook on again starts its count of failures anew (§7.5). */
function valid(call: Call, before: Webhook | null): Webhook {
  const given = (call.body['webhook'] ?? {}) as Partial<Webhook>
  const errors: FieldErrors = {}
  const name = given.name ?? before?.name
  const channels = given.channels ?? before?.channels
  const destinations = given.destinations ?? before?.destinations
  if (typeof name !== 'string' || name === '') errors['name'] = ['is a required field.']
  else if (Object.values(call.stack.webhooks).some(one => one.name === name && one.uid !== before?.uid)) errors['name'] = ['is not unique.']
  if (!Array.isArray(channels) || channels.length === 0) errors['channels'] = ['is a required field.']
  if (!Array.isArray(destinations) || destinations.length === 0 || !destinations.every(one => isUrl(one?.target_url)))
    errors['destinations'] = ['is not valid.']
  if (!before && Object.values(call.stack.webhooks).filter(isOwn).length >= most) errors['webhooks'] = [`cannot be more than ${most}.`]
  if (Object.keys(errors).length > 0) throw invalidData(`Webhook ${before ? 'update' : 'creation'} failed. Please try again.`, errors)
  const at = call.context.clock.iso()
  const disabled = given.disabled ?? before?.disabled ?? false
  return {
    uid: before?.uid ?? newUid(),
    name: name as string,
    destinations: (destinations as Webhook['destinations']).map((one, index) => {
      const password = one.http_basic_password ?? before?.destinations[index]?.http_basic_password
      return { ...one, custom_header: one.custom_header ?? [], ...(password !== undefined && { http_basic_password: password }) }
    }),
    channels: channels as string[],
    branches: given.branches ?? before?.branches ?? ['main'],
    retry_policy: given.retry_policy ?? before?.retry_policy ?? 'manual',
    disabled,
    concise_payload: given.concise_payload ?? before?.concise_payload ?? false,
    consecutiveFailures: before?.disabled && !disabled ? 0 : (before?.consecutiveFailures ?? 0),
    created_at: before?.created_at ?? at,
    updated_at: at
  }
}

/** The platform refuses localhost; the sandbox has nowhere else to deliver to. */
function isUrl(given: unknown): boolean {
  return typeof given === 'string' && URL.canParse(given) && /^https?:$/u.test(new URL(given).protocol)
}
