// Trouble on demand: rules that make matching requests slow, refused, held, reset or cut short, and webhooks doubled, late or
// lost. The hosts' middleware asks here; the rooms behind it do not know. A rule ends when its `times` are used up; one that holds
// stays until it is removed, so that whoever set it can see that it was hit, and end what waits for the answer.
import { setTimeout as wait } from 'node:timers/promises'
import express, { type NextFunction, type Request, type RequestHandler, type Response } from 'express'

export type SandboxHost = 'application' | 'contentManagement' | 'developerHub' | 'identity' | 'control'
export type HttpFaultKind = (typeof httpFaultKinds)[number]
export type WebhookFaultKind = (typeof webhookFaultKinds)[number]

/**
 * `slow`, `stall` and `hold` come before the act, `slow-answer` and `hold-answer` after it: the act is done and its answer waits. Slow is
 * `delayMs`, the others last until the rule is removed. What was held never acts once its caller has hung up; what was slow or stalled
 * acts all the same.
 */
export const httpFaultKinds = [
  'slow',
  'slow-answer',
  'stall',
  'hold',
  'hold-answer',
  '401',
  '429',
  '500',
  '503',
  'reset-before',
  'reset-after',
  'truncate'
] as const
export const webhookFaultKinds = ['duplicate', 'late', 'drop'] as const

export interface FaultRule {
  kind: HttpFaultKind | WebhookFaultKind
  /** Any host when absent. */
  host?: SandboxHost
  method?: string
  /** A regular expression on the path with its query; on the channel, for webhook kinds. */
  pathPattern?: string
  /** How many matching requests pass unharmed first; 0 unless set. */
  skip?: number
  /** How many requests it hits; 1 unless set. */
  times?: number
  /** Real milliseconds for `slow` and `slow-answer`, sandbox milliseconds for `late`; 1000 unless set. */
  delayMs?: number
}

export interface Fault extends FaultRule {
  id: string
  skip: number
  times: number
  delayMs: number
  /** Requests it has hit so far. */
  hits: number
  /** Of them, those that have not acted yet and whose caller still waits; one that is slow or stalled acts without its caller as well. */
  waiting: number
}

export interface Faults {
  /** Throws RangeError naming what is wrong with the rule. */
  add(rule: FaultRule): Fault
  remove(id: string): void
  clear(): void
  list(): Fault[]
  /** Resolves when that rule has hit its first request. Throws RangeError for a rule that never was. */
  untilHit(id: string): Promise<void>
  /** Resolves when that rule is used up or removed. Throws as untilHit. */
  untilGone(id: string): Promise<void>
  /** The first rule that matches, one of its times used up. */
  takeHttp(host: SandboxHost, method: string, path: string): Fault | null
  takeWebhook(channel: string): Fault | null
}

export function createFaults(): Faults {
  let rules: Fault[] = []
  let counter = 0
  const moments = new Map<string, Record<'hit' | 'gone', PromiseWithResolvers<void>>>()

  const momentsOf = (id: string) => {
    const known = moments.get(id)
    if (!known) throw new RangeError(`there never was a fault "${id}"`)
    return known
  }
  const drop = (leaves: (rule: Fault) => boolean): void => {
    for (const { id } of rules.filter(leaves)) momentsOf(id).gone.resolve()
    rules = rules.filter(rule => !leaves(rule))
  }
  const take = (matches: (rule: Fault) => boolean): Fault | null => {
    const matching = rules.filter(rule => rule.times > 0 && matches(rule))
    const rule = matching.find(({ skip }) => skip === 0)
    for (const other of matching) if (other.skip > 0) other.skip -= 1
    if (!rule) return null
    rule.times -= 1
    rule.hits += 1
    momentsOf(rule.id).hit.resolve()
    if (rule.times === 0 && !holds(rule)) drop(other => other === rule)
    return rule
  }
  const patternFits = (rule: Fault, text: string) => rule.pathPattern === undefined || new RegExp(rule.pathPattern, 'u').test(text)

  return {
    add(rule) {
      const kinds: readonly string[] = [...httpFaultKinds, ...webhookFaultKinds]
      if (!kinds.includes(rule.kind)) throw new RangeError(`unknown fault "${rule.kind}", known are ${kinds.join(', ')}`)
      const times = rule.times ?? 1
      if (!Number.isInteger(times) || times < 1) throw new RangeError('"times" is a whole number above 0')
      const skip = rule.skip ?? 0
      if (!Number.isInteger(skip) || skip < 0) throw new RangeError('"skip" is a whole number of 0 or more')
      if (rule.pathPattern !== undefined) {
        try {
          new RegExp(rule.pathPattern, 'u').test('')
        } catch (cause) {
          throw new RangeError('"pathPattern" is not a regular expression', { cause })
        }
      }
      counter += 1
      const fault: Fault = { ...rule, id: `fault-${counter}`, skip, times, delayMs: rule.delayMs ?? 1000, hits: 0, waiting: 0 }
      rules.push(fault)
      moments.set(fault.id, { hit: Promise.withResolvers(), gone: Promise.withResolvers() })
      return fault
    },
    remove: id => drop(rule => rule.id === id),
    clear: () => drop(() => true),
    list: () => rules.map(rule => ({ ...rule })),
    untilHit: async id => await momentsOf(id).hit.promise,
    untilGone: async id => await momentsOf(id).gone.promise,
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

const holds = ({ kind }: FaultRule): boolean => kind === 'stall' || kind === 'hold' || kind === 'hold-answer'

/** First in a host's chain, so that a fault hits before anything is parsed or limited. */
export function faultMiddleware(context: { faults: Faults }, host: SandboxHost): RequestHandler {
  return (request: Request, response: Response, next: NextFunction) => {
    if (request.method === 'OPTIONS') return next()
    const fault = context.faults.takeHttp(host, request.method, request.originalUrl)
    if (!fault) return next()
    switch (fault.kind) {
      case 'slow':
        void actLater(fault, request, response, () => wait(fault.delayMs), next)
        return
      case 'slow-answer':
        answerLater(response, wait(fault.delayMs))
        return next()
      case 'stall':
        void actLater(fault, request, response, () => context.faults.untilGone(fault.id), next)
        return
      case 'hold':
        void holdBack(fault, request, context.faults.untilGone(fault.id), next)
        return
      case 'hold-answer':
        answerLater(response, context.faults.untilGone(fault.id))
        return next()
      case '401':
        response.status(401).json(notLoggedInAt(host, request))
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

/** The body is read first: a caller who hangs up meanwhile takes it along otherwise, and then nothing happens. */
async function actLater(fault: Fault, request: Request, response: Response, moment: () => Promise<void>, goOn: () => void): Promise<void> {
  for (const read of [express.json({ limit: '10mb' }), express.urlencoded({ extended: false })]) {
    await new Promise(resolve => read(request, response, resolve))
  }
  fault.waiting += 1
  await moment()
  fault.waiting -= 1
  goOn()
}

async function holdBack(fault: Fault, request: Request, moment: Promise<void>, goOn: () => void): Promise<void> {
  const hungUp = new Promise<void>(resolve => request.socket.once('close', resolve))
  fault.waiting += 1
  await Promise.race([moment, hungUp])
  fault.waiting -= 1
  if (!request.socket.destroyed) goOn()
}

/** Who asks is not looked at: a wrong credential is said of whatever came, in the words of that host (contentstack.md §1.6, §3.2). */
function notLoggedInAt(host: SandboxHost, request: Request): Record<string, unknown> {
  if (host !== 'contentManagement') {
    const words = 'The credentials are not valid.'
    return { error: 'invalid_client', error_description: words, error_message: words, message: words }
  }
  const { authorization } = request.headers
  const key = authorization === undefined ? 'authtoken' : /^Bearer /iu.test(authorization) ? 'access_token' : 'authorization'
  return {
    error_message: "You're not allowed in here unless you're logged in.",
    error_code: 105,
    errors: { [key]: ['is not valid.'] }
  }
}

/** The handler acts at once; status, headers and body leave when `moment` has come, if the caller is still there. */
function answerLater(response: Response, moment: Promise<void>): void {
  const write = response.write.bind(response) as (...given: unknown[]) => boolean
  const end = response.end.bind(response) as (...given: unknown[]) => Response
  const held: (() => unknown)[] = []
  response.write = ((...given: unknown[]) => {
    held.push(() => write(...given))
    return true
  }) as Response['write']
  response.end = ((...given: unknown[]) => {
    held.push(() => end(...given))
    return response
  }) as Response['end']
  void moment.then(() => {
    response.write = write as Response['write']
    response.end = end as Response['end']
    if (!response.destroyed) for (const go of held) go()
  })
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
