// The postMessage protocol of the frames, spoken by hand: what post-robot 8.0.32 inside @contentstack/app-sdk sends and waits
// for (platform reference §10.1). It carries names and data; what a name means is answer.ts's business.
// A request lives: received -> acknowledged (within 10 s, or the SDK gives up) -> responded. Duplicate ids are dropped.

/** A refusal that the page in the frame should read; see `refusesWithText`. */
export class Refusal extends Error {}

export type Answer = (name: string, data: unknown) => unknown

export interface Wire {
  /** A request to the page in the frame; it is not waited for. */
  send: (name: string, data: unknown) => void
  close: () => void
}

interface Message {
  type: string
  hash: string
  name: string
  id: string
  sourceDomain: string
  data?: unknown
  fireAndForget?: boolean
}

/** These reject when their reply's data is a string: that is the SDK's error channel (§10.1, onData). */
const refusesWithText = new Set([
  'getConfig',
  'stackQuery',
  'getInstallationData',
  'setInstallationData',
  'setValidity',
  'stackOptionsQuery'
])

/**
 * Answers the frame's requests until closed. Only messages of that very window and origin are heard; replies go to that origin
 * alone. `onRaw` gets the frame's messages that are not post-robot's (the upload handshake).
 */
export function openWire(frame: HTMLIFrameElement, origin: string, answer: Answer, onRaw?: (data: unknown) => void): Wire {
  const seen = new Set<string>()

  function post(message: Record<string, unknown>): void {
    const full = { id: crypto.randomUUID().slice(0, 10), sourceDomain: location.origin, domain: '*', windowType: 'fullpage', ...message }
    frame.contentWindow?.postMessage(JSON.stringify({ __postRobot__: full }), origin)
  }

  async function respond(request: Message): Promise<void> {
    const { hash, name } = request
    if (!request.fireAndForget) post({ type: 'postrobot_message_ack', hash, name })
    let reply: Record<string, unknown>
    try {
      reply = { ack: 'success', data: await answer(name, revive(request.data)) }
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error)
      reply = refusesWithText.has(name) ? { ack: 'success', data: text } : { ack: 'error', error: text }
    }
    if (!request.fireAndForget) post({ type: 'postrobot_message_response', hash, name, ...reply })
  }

  function hear(event: MessageEvent): void {
    if (event.source === null || event.source !== frame.contentWindow || event.origin !== origin) return
    const message = messageOf(event.data)
    if (message === null) {
      onRaw?.(event.data)
      return
    }
    if (seen.has(message.id)) return
    seen.add(message.id)
    if (message.type === 'postrobot_message_request') void respond(message)
  }

  window.addEventListener('message', hear)
  return {
    send: (name, data) => post({ type: 'postrobot_message_request', hash: `${name}_${crypto.randomUUID().slice(0, 10)}`, name, data }),
    close: () => window.removeEventListener('message', hear)
  }
}

function messageOf(data: unknown): Message | null {
  if (typeof data !== 'string') return null
  try {
    const parsed = JSON.parse(data) as { __postRobot__?: Message } | null
    const message = parsed?.__postRobot__
    return message && typeof message.id === 'string' && typeof message.name === 'string' ? message : null
  } catch {
    return null
  }
}

/** What JSON cannot say travels as {"__type__","__val__"} (§10.1). Functions and windows cannot be called from here: left out. */
export function revive(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revive)
  if (value === null || typeof value !== 'object') return value
  const boxed = value as { __type__?: unknown; __val__?: unknown }
  if (typeof boxed.__type__ === 'string') {
    if (boxed.__type__ === 'date') return new Date(String(boxed.__val__)).toISOString()
    if (boxed.__type__ === 'regex') return String(boxed.__val__)
    if (boxed.__type__ === 'error') return (boxed.__val__ as { message?: unknown } | undefined)?.message
    return undefined
  }
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, revive(inner)]))
}
