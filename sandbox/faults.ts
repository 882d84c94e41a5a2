// Trouble on demand: rules that make the next matching requests slow, refused, reset or cut short, and webhooks doubled, late
// or lost. The hosts' middleware asks here; the rooms behind it do not know. A rule ends when its `times` are used up.
import type { NextFunction, Request, RequestHandler, Response } from 'express'

export type SandboxHost = 'application' | 'contentManagement' | 'developerHub' | 'identity' | 'control'
export type HttpFaultKind = 'slow' | '429' | '500' | '503' | 'reset-before' | 'reset-after' | 'truncate'
export type WebhookFaultKind = 'duplicate' | 'late' | 'drop'

export const httpFaultKinds: readonly HttpFaultKind[] = ['slow', '429', '500', '503', 'reset-before', 'reset-after', 'truncate']
export const webhookFaultKinds: readonly WebhookFaultKind[] = ['duplicate', 'late', 'drop']

export interface FaultRule {
  kind: HttpFaultKind | WebhookFaultKind
  /** Any host when absent. */
  host?: SandboxHost
  method?: string
  /** A regular expression on the path with its query; on the channel, for webhook kinds. */
  pathPattern?: string
  /** How many requests it hits; 1 unless set. */
  times?: number
  /** Real milliseconds for `slow`, sandbox milliseconds for `late`; 1000 unless set. */
  delayMs?: number
}

export interface Fault extends FaultRule {
  id: string
  times: number
  delayMs: number
}

export interface Faults {
  /** Throws RangeError naming what is wrong with the rule. */
  add(rule: FaultRule): Fault
  remove(id: string): void
  clear(): void
  list(): Fault[]
  /** The first rule that matches, one of its times used up. */
  takeHttp(host: SandboxHost, method: string, path: string): Fault | null
  takeWebhook(channel: string): Fault | null
}

export function createFaults(): Faults {
  let rules: Fault[] = []
  let counter = 0

  const take = (matches: (rule: Fault) => boolean): Fault | null => {
    const rule = rules.find(matches)
    if (!rule) return null
    rule.times -= 1
    if (rule.times <= 0) rules = rules.filter(other => other !== rule)
    return rule
  }
  const patternFits = (rule: Fault, text: string) => rule.pathPattern === undefined || new RegExp(rule.pathPattern, 'u').test(text)

  return {
    add(rule) {
      const kinds: readonly string[] = [...httpFaultKinds, ...webhookFaultKinds]
      if (!kinds.includes(rule.kind)) throw new RangeError(`unknown fault "${rule.kind}", known are ${kinds.join(', ')}`)
      const times = rule.times ?? 1
      if (!Number.isInteger(times) || times < 1) throw new RangeError('"times" is a whole number above 0')
      if (rule.pathPattern !== undefined) {
        try {
          new RegExp(rule.pathPattern, 'u').test('')
        } catch (cause) {
          throw new RangeError('"pathPattern" is not a regular expression', { cause })
        }
      }
      counter += 1
      const fault: Fault = { ...rule, id: `fault-${counter}`, times, delayMs: rule.delayMs ?? 1000 }
      rules.push(fault)
      return fault
    },
    remove(id) {
      rules = rules.filter(rule => rule.id !== id)
    },
    clear() {
      rules = []
    },
    list: () => rules.map(rule => ({ ...rule })),
    takeHttp: (host, method, path) =>
      take(
        rule =>
          (httpFaultKinds as readonly string[]).includes(rule.kind) &&
          (rule.host === undefined || rule.host === host) &&
          (rule.method === undefined || rule.method.toUpperCase() === method.toUpperCase()) &&
          patternFits(rule, path)
      ),
    takeWebhook: channel => take(rule => (webhookFaultKinds as readonly string[]).includes(rule.kind) && patternFits(rule, channel))
  }
}

/** First in a host's chain, so that a fault hits before anything is parsed or limited. */
export function faultMiddleware(context: { faults: Faults }, host: SandboxHost): RequestHandler {
  return (request: Request, response: Response, next: NextFunction) => {
    if (request.method === 'OPTIONS') return next()
    const fault = context.faults.takeHttp(host, request.method, request.originalUrl)
    if (!fault) return next()
    switch (fault.kind) {
      case 'slow':
        setTimeout(next, fault.delayMs)
        return
      case '429':
        response.status(429).json({ error_message: 'Rate limit exceeded. Please try again later.', error_code: 429, errors: {} })
        return
      case '500':
        response.status(500).json({ error_message: 'Something went wrong. Please try again later.', error_code: 500, errors: {} })
        return
      case '503':
        response.status(503).type('text/plain').send('Service Unavailable')
        return
      case 'reset-before':
        request.socket.resetAndDestroy()
        return
      case 'reset-after':
        resetInsteadOfAnswer(request, response)
        return next()
      case 'truncate':
        cutAnswerShort(response)
        return next()
      case 'duplicate':
      case 'late':
      case 'drop':
        return next()
      default:
        fault.kind satisfies never
    }
  }
}

/** The handler acts, but its answer never arrives: the client cannot know whether the write was done. */
function resetInsteadOfAnswer(request: Request, response: Response): void {
  response.end = (() => {
    request.socket.resetAndDestroy()
    return response
  }) as Response['end']
  response.write = (() => true) as Response['write']
}

/** Status and headers arrive, the body ends halfway. */
function cutAnswerShort(response: Response): void {
  const end = response.end.bind(response) as (chunk?: unknown, encoding?: unknown) => Response
  response.end = ((chunk?: unknown, encoding?: unknown) => {
    const whole = typeof chunk === 'string' ? Buffer.from(chunk) : Buffer.isBuffer(chunk) ? chunk : null
    if (!whole || whole.length < 2) return end(chunk, encoding)
    response.setHeader('content-length', whole.length)
    response.write(whole.subarray(0, Math.floor(whole.length / 2)), () => response.socket?.destroy())
    return response
  }) as Response['end']
}
