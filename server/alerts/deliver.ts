// The jobs that carry an alert out: one that fans out to the recipients of its installation and the operator's own, and one for each
// of them, so that a receiver that is down delays nobody else. A recipient's row says how the last one went.
// A process may die between sending and word: then it is sent again, under the same id.
import { createHash } from 'node:crypto'
import type { Db } from '../database/database.ts'
import { newId } from '../database/id.ts'
import type { Row } from '../database/schema.ts'
import { AppError, isAppError } from '../errors.ts'
import type { JobContext, JobKind, JobResult } from '../jobs/job.ts'
import { enqueueMany } from '../jobs/queue.ts'
import type { Vault } from '../vault/vault.ts'
import type { RecipientKind } from './address.ts'
import { alertGroup, linksOf, type NewAlert, pruneAlerts, sendKind } from './alert.ts'
import type { Message } from './message.ts'
import { getRecipient, listRecipients, type RecipientRow, recipientPurpose, type Sealed } from './recipients.ts'
import { type Smtp, sendMail, sendSlack, sendWebhook } from './send.ts'

export interface DeliveryDeps {
  vault: Vault
  /** The outgoing guard's. */
  fetch: typeof fetch
  publicUrl: string
  smtp: Smtp | null
  /** The operator's: told of every installation, never listed to a tenant. */
  standing: readonly StandingRecipient[]
}

export interface StandingRecipient {
  kind: 'email' | 'slack'
  address: string
}

/** To be scheduled once a day. */
export const pruneKind = 'alerts.prune'
const deliverKind = 'alerts.deliver'

/** About two and a half hours with the queue's delays: an outage over night of a receiver loses the message, not the alert. */
const attempts = 20
const yearMs = 365 * 24 * 60 * 60_000
const testSeconds = 20

interface Delivery {
  alertId: string
  /** alert_recipient.id, or standingId(). */
  recipient: string
}

export function alertJobs(db: Db, deps: DeliveryDeps): JobKind[] {
  const send: JobKind<{ alertId: string }> = {
    kind: sendKind,
    lane: 'local',
    maxAttempts: attempts,
    timeoutSeconds: 60,
    run: ({ alertId }) => fanOut(db, deps, alertId)
  }
  const deliver: JobKind<Delivery> = {
    kind: deliverKind,
    lane: 'live',
    maxAttempts: attempts,
    timeoutSeconds: 60,
    run: (delivery, context) => carry(db, deps, delivery, context)
  }
  const prune: JobKind = {
    kind: pruneKind,
    lane: 'backfill',
    maxAttempts: 3,
    timeoutSeconds: 60,
    run: async () => void (await pruneAlerts(db, Date.now() - yearMs))
  }
  return [send, deliver, prune] as JobKind[]
}

async function fanOut(db: Db, deps: DeliveryDeps, alertId: string): Promise<JobResult> {
  const alert = await alertOf(db, alertId)
  if (!alert) return { cancel: 'the alert is gone' }
  const recipients = [...(await listRecipients(db, alert.installation_id)).map(row => row.id), ...deps.standing.map(standingId)]
  await enqueueMany(
    db,
    [...new Set(recipients)].map(recipient => ({
      kind: deliverKind,
      lane: 'live',
      payload: { alertId, recipient } satisfies Delivery,
      group: alertGroup(alert.installation_id),
      uniqueKey: `${deliverKind} ${alertId} ${recipient}`
    }))
  )
}

async function carry(db: Db, deps: DeliveryDeps, { alertId, recipient }: Delivery, { signal, log }: JobContext): Promise<JobResult> {
  const alert = await alertOf(db, alertId)
  if (!alert) return { cancel: 'the alert is gone' }
  const message = messageOf(alert)
  const standing = deps.standing.find(one => standingId(one) === recipient)
  const row = standing ? null : await rowOf(db, alert.installation_id, recipient)
  if (!standing && !row) return { cancel: 'the recipient was removed' }
  try {
    if (row) await sendTo(db, deps, row, message, signal)
    else if (standing) await sendStanding(deps, standing, message, signal)
  } catch (error) {
    if (signal.aborted) throw error
    const words = wordsOf(error)
    if (row) await note(db, row.id, { sent_at: null, error: words })
    if (isPassing(error)) throw error
    log.warn({ alertId, recipient, error }, 'a recipient of alerts refuses them')
    return { cancel: words }
  }
  if (row) await note(db, row.id, { sent_at: Date.now(), error: null })
}

/** Sends one of kind 'test' now and says how that went on the row, which is returned. AppError not_found, also for another installation's. */
export async function testRecipient(db: Db, deps: DeliveryDeps, of: { installationId: string; id: string }): Promise<RecipientRow> {
  const row = await getRecipient(db, of)
  const { stack_name: name, stack_api_key: apiKey } = await db
    .selectFrom('installation')
    .select(['stack_name', 'stack_api_key'])
    .where('id', '=', row.installation_id)
    .executeTakeFirstOrThrow()
  const message: Message = {
    id: newId('alt'),
    type: 'test',
    at: Date.now(),
    installationId: row.installation_id,
    stack: { name, apiKey },
    title: 'Quayside can reach you',
    text: 'This is a test. When something happens to the management token of this stack, it will be told here.',
    links: [{ title: 'Open this stack in Quayside', url: pageOf(deps, row.installation_id) }]
  }
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new AppError('upstream', `There was no answer within ${testSeconds} s`)), testSeconds * 1000)
  let outcome: Pick<RecipientRow, 'sent_at' | 'error'>
  try {
    await Promise.race([sendTo(db, deps, row, message, AbortSignal.timeout(testSeconds * 1000)), late])
    outcome = { sent_at: Date.now(), error: null }
  } catch (error) {
    if (!isAppError(error) || error.code === 'internal') throw error
    outcome = { sent_at: null, error: wordsOf(error) }
  } finally {
    clearTimeout(timer)
  }
  await note(db, row.id, outcome)
  return { ...row, ...outcome }
}

async function sendTo(db: Db, deps: DeliveryDeps, row: RecipientRow, message: Message, signal: AbortSignal): Promise<void> {
  const how: Record<RecipientKind, () => Promise<void>> = {
    email: () => sendMail(deps.smtp, mailTo(deps, row.address, row.id, whyOf(deps, row)), message, signal),
    slack: async () => await sendSlack(deps.fetch, await unsealed(db, deps, row), message, signal),
    webhook: async () => await sendWebhook(deps.fetch, await unsealed(db, deps, row), message, signal)
  }
  await how[row.kind]()
}

async function sendStanding(deps: DeliveryDeps, standing: StandingRecipient, message: Message, signal: AbortSignal): Promise<void> {
  const { kind, address } = standing
  if (kind === 'slack') return await sendSlack(deps.fetch, { url: address }, message, signal)
  const why = `You get this because the operator of this Quayside, ${deps.publicUrl}, has ${address} told of every stack. Ask them to end it.`
  await sendMail(deps.smtp, mailTo(deps, address, standingId(standing), why), message, signal)
}

async function unsealed(db: Db, { vault }: DeliveryDeps, row: RecipientRow): Promise<Sealed> {
  try {
    return JSON.parse(await vault.reveal(db, row.secret_id ?? '', recipientPurpose)) as Sealed
  } catch (cause) {
    if (!isAppError(cause, 'not_found')) throw cause
    throw new AppError('not_found', 'The address is not in the vault any more', { cause, remedy: 'Remove the recipient and add it anew' })
  }
}

function mailTo({ publicUrl }: DeliveryDeps, address: string, recipientId: string, why: string) {
  return { address, recipientId, why, host: new URL(publicUrl).hostname }
}

function whyOf(deps: DeliveryDeps, { installation_id: id, address, created_by: by }: RecipientRow): string {
  return `You get this because ${by} made ${address} a recipient of alerts of this stack in Quayside. Remove it at ${pageOf(deps, id)} or on the app's configuration page in Contentstack.`
}

function pageOf({ publicUrl }: DeliveryDeps, installationId: string): string {
  return `${publicUrl}/console/installations/${installationId}`
}

/** Stable while its address stands in the operator's file. */
function standingId({ kind, address }: StandingRecipient): string {
  return `operator-${createHash('sha256').update(`${kind} ${address}`).digest('hex').slice(0, 16)}`
}

type AlertOfStack = Row<'alert'> & { stack_name: string; stack_api_key: string }

async function alertOf(db: Db, id: string): Promise<AlertOfStack | undefined> {
  return await db
    .selectFrom('alert')
    .innerJoin('installation', 'installation.id', 'alert.installation_id')
    .selectAll('alert')
    .select(['installation.stack_name', 'installation.stack_api_key'])
    .where('alert.id', '=', id)
    .executeTakeFirst()
}

function messageOf(alert: AlertOfStack): Message {
  return {
    id: alert.id,
    type: alert.kind as NewAlert['kind'],
    at: alert.created_at,
    installationId: alert.installation_id,
    stack: { name: alert.stack_name, apiKey: alert.stack_api_key },
    title: alert.title,
    text: alert.text,
    links: linksOf(alert)
  }
}

async function rowOf(db: Db, installationId: string, id: string): Promise<RecipientRow | null> {
  try {
    return await getRecipient(db, { installationId, id })
  } catch (error) {
    if (isAppError(error, 'not_found')) return null
    throw error
  }
}

async function note(db: Db, id: string, outcome: Pick<RecipientRow, 'sent_at' | 'error'>): Promise<void> {
  await db.updateTable('alert_recipient').set(outcome).where('id', '=', id).execute()
}

/** What will be the same next time is not tried again. */
function isPassing(error: unknown): boolean {
  return !isAppError(error) || error.code === 'upstream' || error.code === 'rate_limited' || error.code === 'internal'
}

function wordsOf(error: unknown): string {
  if (!isAppError(error) || error.code === 'internal') return 'Something unforeseen happened; the log of the server has it.'
  const sentences = [error.message, error.remedy].filter(text => text !== undefined).map(text => text.replace(/\.$/, ''))
  return `${sentences.join('. ')}.`
}
