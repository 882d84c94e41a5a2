// What a webhook's receiver gets: a JSON body and the three headers of Standard Webhooks
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md). The id is the same whenever the same
// change is sent again, so that a receiver can drop the repeat. While a secret gives way to another, both sign.
import { createHash } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import type { Change, ConnectorContext, Scalar, Shape } from '../connector.ts'
import { AppError, isAppError } from '../../errors.ts'

export interface Message {
  id: string
  at: Date
  /** JSON */
  body: string
}

/** How messages are signed, and the secrets that do it, to keep them out of what is said. */
export interface Signing {
  secrets: string[]
  headers(message: Message): Record<string, string>
}

/** Bytes of a key, as the specification has it. */
const [shortestKey, longestKey] = [24, 64]

/** AppError invalid for a secret that is missing or no key. */
export async function signing(ctx: ConnectorContext): Promise<Signing> {
  const current = await secretOf(ctx, 'signingSecret')
  if (current === null) throw unfit('signingSecret', 'The webhook has no signing secret.')
  const former = await secretOf(ctx, 'formerSigningSecret')
  const secrets = former === null ? [current] : [current, former]
  const keys = secrets.map((secret, index) => new Webhook(keyOf(secret, index === 0 ? 'signingSecret' : 'formerSigningSecret')))
  return {
    secrets,
    headers: ({ id, at, body }) => ({
      'content-type': 'application/json',
      'user-agent': 'Quayside',
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': keys.map(key => key.sign(id, at, body)).join(' ')
    })
  }
}

/** `record.written` carries all fields of the shape, `record.deleted` none. JSON fields stand in it as JSON. */
export function changeMessage(url: string, shape: Shape, { key, order, values }: Change): Message {
  const at = new Date()
  const fields = values && Object.fromEntries(shape.fields.map(({ name, type }) => [name, plain(values[name] ?? null, type === 'json')]))
  const data = { target: shape.target, key, order, ...(fields ? { fields } : {}) }
  const type = values ? 'record.written' : 'record.deleted'
  return { id: idOf(url, shape.target, key, String(order)), at, body: JSON.stringify({ type, timestamp: at.toISOString(), data }) }
}

/** Asks nothing of a receiver but its 2xx. */
export function pingMessage(url: string): Message {
  const at = new Date()
  return { id: idOf(url, 'ping', at.toISOString()), at, body: JSON.stringify({ type: 'ping', timestamp: at.toISOString(), data: {} }) }
}

function idOf(...parts: string[]): string {
  return `msg_${createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 32)}`
}

function plain(value: Scalar, json: boolean): unknown {
  if (!json || typeof value !== 'string') return value
  try {
    return JSON.parse(value)
  } catch {
    return value
  }
}

async function secretOf(ctx: ConnectorContext, name: string): Promise<string | null> {
  try {
    return (await ctx.secret(name)).trim()
  } catch (error) {
    if (isAppError(error, 'not_found')) return null
    throw error
  }
}

function keyOf(secret: string, name: string): string {
  const text = secret.replace(/^whsec_/, '')
  const bytes = Buffer.from(text, 'base64')
  if (bytes.length < shortestKey || bytes.length > longestKey || bytes.toString('base64') !== text)
    throw unfit(name, `The ${name === 'signingSecret' ? 'signing secret' : 'former signing secret'} is no key of Standard Webhooks.`)
  return text
}

function unfit(name: string, message: string): AppError {
  return new AppError('invalid', message, {
    remedy: `Enter what the receiver verifies with: whsec_ and ${shortestKey} to ${longestKey} bytes in base64.`,
    fields: { [`secrets.${name}`]: [`needs whsec_ and ${shortestKey} to ${longestKey} bytes in base64`] }
  })
}
