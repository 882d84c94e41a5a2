// Webhooks on their way: every accepted change and every lifecycle step becomes executions, sent at once and in parallel, repeated
// after 5, 25, 125 and 625 s of sandbox time with the same body, and logged for 30 days. Ten failures in a row that say "unhealthy"
// disable a webhook, and what it misses then is not replayed (reference §7.5).
//
// execution: pending -> success | failed; a manual retry sends a finished one again.
import { Agent, request } from 'undici'
import type { Change } from '../changes.ts'
import type { Deliveries, SandboxContext } from '../context.ts'
import type { App, Installation, Stack, Webhook, WebhookExecution } from '../world/model.ts'
import { newRowUid } from '../world/uids.ts'
import { channelsOf, hearsLifecycle, subscribedChannel } from './channels.ts'
import { changeBody, lifecycleBody } from './payload.ts'
import { signBody } from './sign.ts'

const retrySeconds = [5, 25, 125, 625]
const timeoutMs = 30_000
const failuresUntilDisabled = 10
const logDays = 30
/** The platform keeps all of 30 days; a sandbox that lives through a load test must not. */
const logLength = 5_000

export interface WebhookRoom extends Deliveries {
  tellApp: (event: string, app: App, installation: Installation) => void
  /** Resolves when nothing is due or in flight; retries that wait for their time do not count. */
  settle: () => Promise<void>
  /** Stops everything, cutting what is in flight. */
  close: () => Promise<void>
}

/** One execution under way. The webhook is kept as it stood, since an uninstall's own webhook is gone by the time it is sent. */
interface Sending {
  stack: Stack
  webhook: Webhook
  destination: Webhook['destinations'][number]
  execution: WebhookExecution
  /** Sent even though the webhook is gone: the farewell of an uninstall. */
  outlivesWebhook: boolean
}

export function createDeliveries(context: SandboxContext): WebhookRoom {
  const { world, clock, faults } = context
  const agent = new Agent({ connections: 64, pipelining: 1, keepAliveTimeout: 10_000, connect: { timeout: timeoutMs } })
  let closed = false
  const waiting = new Set<{ due: number }>()
  let inFlight = 0
  let whenIdle: (() => void)[] = []

  const unsubscribe = context.changes.subscribe(announce)
  resume()
  return {
    tellApp,
    executionsOf(apiKey, webhookUid) {
      return (world.stacks[apiKey]?.executions ?? []).filter(it => it.webhookUid === webhookUid).reverse()
    },
    async retry(apiKey, executionUid) {
      const stack = world.stacks[apiKey]
      const execution = stack?.executions.find(it => it.uid === executionUid)
      const webhook = execution && stack?.webhooks[execution.webhookUid]
      if (!stack || !execution || !webhook) throw new RangeError(`no execution "${executionUid}" of a webhook of this stack`)
      const destination = webhook.destinations.find(it => it.target_url === execution.targetUrl) ?? webhook.destinations[0]
      if (!destination) throw new RangeError('the webhook has no destination')
      await sendCounted({ stack, webhook, destination, execution, outlivesWebhook: false }, 'once')
    },
    async settle() {
      for (;;) {
        if ([...waiting].some(it => it.due <= clock.now())) clock.advance(0)
        if (inFlight === 0) return
        await new Promise<void>(resolve => whenIdle.push(resolve))
      }
    },
    async close() {
      unsubscribe()
      closed = true
      await agent.destroy()
    }
  }

  function announce(change: Change): void {
    const stack = world.stacks[change.apiKey]
    if (!stack) return
    const spoken = channelsOf(change)
    const branch = stack.branchless ? undefined : stack.branches.find(it => it.uid === change.branch)
    const bodies = new Map<boolean, string>()
    for (const webhook of Object.values(stack.webhooks)) {
      if (webhook.disabled || !coversBranch(webhook, change.branch)) continue
      const channel = subscribedChannel(webhook.channels, spoken)
      if (channel === null) continue
      let body = bodies.get(webhook.concise_payload)
      if (body === undefined) bodies.set(webhook.concise_payload, (body = changeBody(change, branch, webhook.concise_payload)))
      dispatch(stack, webhook, channel, body, false)
    }
  }

  function tellApp(event: string, app: App, installation: Installation): void {
    const stack = world.stacks[installation.target.uid]
    if (!stack) return
    for (const webhook of Object.values(stack.webhooks)) {
      if (webhook.disabled || webhook.appInstallationUid !== installation.uid || !hearsLifecycle(webhook.channels, event)) continue
      const body = lifecycleBody(event, app, installation, clock.iso())
      dispatch(stack, webhook, `cs.apps.installations.${installation.uid}.${event}`, body, event === 'uninstall')
    }
  }

  function dispatch(stack: Stack, webhook: Webhook, channel: string, body: string, outlivesWebhook: boolean): void {
    // Somebody enabled it again after the breaker: it starts with a clean slate.
    if (webhook.consecutiveFailures >= failuresUntilDisabled) webhook.consecutiveFailures = 0
    const fault = faults.takeWebhook(channel)
    if (fault?.kind === 'drop') return
    for (const destination of webhook.destinations) {
      const execution: WebhookExecution = {
        uid: newRowUid(),
        webhookUid: webhook.uid,
        channel,
        createdAt: clock.iso(),
        targetUrl: destination.target_url,
        body,
        retryCount: 0,
        status: 'pending',
        responses: []
      }
      log(stack, execution)
      const sending = { stack, webhook, destination, execution, outlivesWebhook }
      if (fault?.kind === 'late') later(sending, fault.delayMs)
      else start(sending)
      if (fault?.kind === 'duplicate') start(sending, 'once')
    }
  }

  function start(sending: Sending, how: 'with-retries' | 'once' = 'with-retries'): void {
    sendCounted(sending, how).catch((error: unknown) => console.error('a webhook could not be sent', error))
  }

  async function sendCounted(sending: Sending, how: 'with-retries' | 'once'): Promise<void> {
    inFlight += 1
    try {
      // After the CMA has answered: on the platform, too, a webhook may only come after the write stands.
      await new Promise(resolve => setImmediate(resolve))
      if (!closed) await attempt(sending, how)
    } finally {
      inFlight -= 1
      if (inFlight === 0) {
        const idle = whenIdle
        whenIdle = []
        for (const resolve of idle) resolve()
      }
    }
  }

  async function attempt(sending: Sending, how: 'with-retries' | 'once'): Promise<void> {
    const { execution, webhook, stack } = sending
    const outcome = await post(sending)
    if (closed) return
    execution.responses.push({ at: clock.iso(), ...outcome })
    if (outcome.status !== null && outcome.status >= 200 && outcome.status < 300) {
      execution.status = 'success'
      webhook.consecutiveFailures = 0
      return
    }
    if (outcome.status === null || outcome.status === 401 || outcome.status >= 500) webhook.consecutiveFailures += 1
    if (webhook.consecutiveFailures >= failuresUntilDisabled && !webhook.disabled) {
      webhook.disabled = true
      webhook.updated_at = clock.iso()
    }
    const seconds = retrySeconds[execution.retryCount]
    const gone = stack.webhooks[webhook.uid] === undefined && !sending.outlivesWebhook
    if (how === 'once' || webhook.retry_policy === 'manual' || webhook.disabled || gone || seconds === undefined) {
      if (execution.status === 'pending') execution.status = 'failed'
      return
    }
    execution.retryCount += 1
    later(sending, seconds * 1000)
  }

  function later(sending: Sending, milliseconds: number): void {
    const item = { due: clock.now() + milliseconds }
    waiting.add(item)
    clock.after(milliseconds, () => {
      waiting.delete(item)
      if (closed) return
      if (sending.webhook.disabled) sending.execution.status = 'failed'
      else start(sending)
    })
  }

  async function post({ execution, destination }: Sending): Promise<{ status: number | null; error?: string }> {
    const body = Buffer.from(execution.body)
    const headers: Record<string, string> = {
      'content-type': 'application/json',
      'user-agent': 'Contentstack',
      'x-contentstack-request-signature': await signBody(world.signing.privatePem, body)
    }
    for (const { header_name, value } of destination.custom_header) headers[header_name.toLowerCase()] = value
    if (destination.http_basic_auth) {
      headers.authorization = `Basic ${Buffer.from(`${destination.http_basic_auth}:${destination.http_basic_password ?? ''}`).toString('base64')}`
    }
    // Scaled by the clock's speed, not jumped by advance(): a jump passes over waiting, not over the receiver's work.
    const patience = AbortSignal.timeout(Math.max(1000, timeoutMs / clock.speed))
    try {
      const answer = await request(execution.targetUrl, { method: 'POST', headers, body, dispatcher: agent, signal: patience })
      await answer.body.dump()
      return { status: answer.statusCode }
    } catch (error) {
      return { status: null, error: patience.aborted ? `no answer in ${timeoutMs / 1000} s` : reasonOf(error) }
    }
  }

  function log(stack: Stack, execution: WebhookExecution): void {
    const { executions } = stack
    executions.push(execution)
    if (executions.length % 1000 !== 0) return
    const oldest = new Date(clock.now() - logDays * 86_400_000).toISOString()
    const expired = executions.findIndex(it => it.createdAt >= oldest)
    executions.splice(0, Math.max(expired, executions.length - logLength, 0))
  }

  /** A world that was kept: what was under way when it was saved goes on. */
  function resume(): void {
    for (const stack of Object.values(world.stacks)) {
      for (const execution of stack.executions) {
        if (execution.status !== 'pending') continue
        const webhook = stack.webhooks[execution.webhookUid]
        const destination = webhook?.destinations.find(it => it.target_url === execution.targetUrl)
        if (webhook && destination) start({ stack, webhook, destination, execution, outlivesWebhook: false })
        else execution.status = 'failed'
      }
    }
  }
}

const coversBranch = (webhook: Webhook, branch: string): boolean =>
  webhook.branches.length === 0 || webhook.branches.includes('$all') || webhook.branches.includes(branch)

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  return code === '' ? error.message : `${code}: ${error.message}`
}
