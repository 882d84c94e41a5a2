// A webhook of somebody else's as a destination: every change is one POST, signed by Standard Webhooks. It writes only: what a receiver
// made of it cannot be read back. Changes of one record go one after the other, different records a few at a time.
import { z } from 'zod'
import type { Change, Connector, Outcome } from '../connector.ts'
import { AppError } from '../../errors.ts'
import { changeMessage, pingMessage, signing } from './message.ts'
import { type Answer, post } from './post.ts'

type Settling = Extract<Answer, { kind: 'taken' | 'refused' }>
type Trouble = Exclude<Answer, Settling>

/** Records under way at once at one endpoint. */
const atOnce = 4
/** When a receiver that could not take a record names no time. */
const retrySeconds = 30
/** So many without an answer in a row: the rest of the batch is not tried. */
const patience = 3

export const WebhookSettings = z
  .strictObject({
    url: z
      .string()
      .trim()
      .max(2000)
      .refine(isAddress, 'must be an http or https address without user, password or #')
      .meta({ title: 'Address', description: 'Receives each change as a signed POST.' })
  })
  .meta({ title: 'Webhook' })
export type WebhookSettings = z.infer<typeof WebhookSettings>

export const webhookConnector: Connector<WebhookSettings> = {
  id: 'webhook',
  title: () => 'Webhook',
  support: "vendor's client against a contract double",
  settings: WebhookSettings,
  secrets: ['signingSecret', 'formerSigningSecret'],
  passingSecrets: ['formerSigningSecret'],

  async check({ url }, ctx) {
    const answer = await post(url, await signing(ctx), pingMessage(url), ctx)
    if (answer.kind === 'taken') return
    if (answer.kind !== 'refused') throw troubleOf(answer)
    const unsigned = answer.status === 401 || answer.status === 403
    throw new AppError(unsigned ? 'unauthorized' : 'invalid', answer.says, {
      remedy: unsigned
        ? 'Check that the signing secret is the one that the receiver verifies with.'
        : 'Check the address: a signed POST of type "ping" must be answered with a 2xx.'
    })
  },

  async push(shape, changes, { url }, ctx) {
    const signer = await signing(ctx)
    const outcomes = new Map<Change, Outcome>()
    let trouble: Trouble | undefined
    let stop: Trouble | undefined
    let inARow = 0
    const records = [...Map.groupBy(changes, change => change.key).values()]
    const work = async (): Promise<void> => {
      for (let record = records.shift(); record && !stop; record = records.shift()) {
        for (const change of record) {
          const answer = await post(url, signer, changeMessage(url, shape, change), ctx)
          if (answer.kind === 'taken' || answer.kind === 'refused') {
            inARow = 0
            outcomes.set(change, settled(change, answer))
            continue
          }
          trouble ??= answer
          if (answer.kind === 'gone' || answer.retryAfterSeconds !== undefined || answer.code === 'rate_limited' || ++inARow >= patience)
            stop = answer.kind === 'gone' ? answer : (stop ?? answer)
          outcomes.set(change, later(change, answer))
          // What follows in this record must not overtake it.
          break
        }
      }
    }
    await Promise.all(Array.from({ length: atOnce }, work))
    if (stop?.kind === 'gone') throw troubleOf(stop)
    // Nothing came through: the endpoint is at fault, no record.
    if (trouble && [...outcomes.values()].every(({ status }) => status === 'failed')) throw troubleOf(trouble)
    return changes.map(change => outcomes.get(change) ?? later(change, stop))
  }
}

function settled({ key, values }: Change, answer: Settling): Outcome {
  if (answer.kind === 'refused') return { key, status: 'invalid', error: answer.says }
  return { key, status: values ? 'written' : 'deleted' }
}

function later({ key }: Change, answer: Trouble | undefined): Outcome {
  const wait = answer?.kind === 'wait' ? answer.retryAfterSeconds : undefined
  return {
    key,
    status: 'failed',
    error: answer?.says ?? 'An earlier change of this record was not taken.',
    retryAfterSeconds: wait ?? retrySeconds
  }
}

function troubleOf(answer: Trouble): AppError {
  if (answer.kind === 'gone')
    return new AppError('forbidden', `${answer.says} The endpoint is gone for good.`, {
      pauses: true,
      remedy: 'Ask its owner; resume the sync when it is back, or make a connection to its new address.'
    })
  return new AppError(answer.code, answer.says, {
    remedy: 'Check that the receiver is up.',
    ...(answer.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: answer.retryAfterSeconds })
  })
}

function isAddress(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, username, password, hash } = new URL(text)
  return (protocol === 'https:' || protocol === 'http:') && username === '' && password === '' && hash === ''
}
