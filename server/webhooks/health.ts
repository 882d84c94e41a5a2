// Whether our webhooks do what they are there for: the CMS's log of executions is compared with what arrived, and what never did is
// taken as if it had come now. People see of each branch when the last delivery came, what was missed, and whether a gap is filled.
import type { StackClient } from '../contentstack/stack.ts'
import type { Database, Db } from '../database/database.ts'
import type { Row } from '../database/schema.ts'
import { isAppError } from '../errors.ts'
import type { Installation } from '../installations/installation.ts'
import { startRun } from '../sync/runs.ts'
import { dispatchContent } from './content.ts'
import { type NewDelivery, recordDeliveries } from './delivery.ts'
import { type ContentNotice, readContentNotice } from './notice.ts'

export type ContentWebhookRow = Row<'content_webhook'>

/** Contentstack repeats a failed execution for about 13 minutes (reference §7.5): until then it may still come. */
export const repeatedMs = 15 * 60_000
/** How far the two clocks may be apart. */
const overlapMs = 5 * 60_000
/** The log reaches no further back (reference §7.1). */
const logMs = 30 * 86_400_000
/** Beyond it a run of each sync is cheaper than a look at each execution. */
const mostExecutions = 2_000

/**
 * What the log shows and no delivery matches is recorded and handed on now, and counted as missed. Where the log does not show what
 * was sent, or is too long, the branch's syncs look for themselves. Returns how many were missed. AppError as the stack.
 */
export async function compareExecutions(
  database: Pick<Database, 'db'>,
  stack: StackClient,
  installation: Installation,
  row: ContentWebhookRow,
  now = Date.now()
): Promise<number> {
  if (row.webhook_uid === null) return 0
  const { db } = database
  const to = now - repeatedMs
  const from = Math.max((row.compared_until ?? to) - overlapMs, now - logMs)
  const log = await stack.webhookExecutions(row.webhook_uid, { from, to, most: mostExecutions })
  if (!log) return 0
  const sent = log.executions.map(({ body }) => (body === null ? null : noticeOf(installation, body)))
  const known = sent.filter(one => one !== null)
  const arrived = await arrivedOf(db, installation.id, known)
  const lost = known.filter(({ notice }) => !arrived.has(nameOf(notice)))
  return await db.transaction().execute(async trx => {
    const ids = await recordDeliveries(
      trx,
      lost.map(({ notice, body }) => deliveryOf(installation, row.branch, notice, body, now))
    )
    const missed = lost.flatMap(({ body }, index) => {
      const id = ids[index]
      return id ? [{ id, installation_id: installation.id, module: lost[index]!.notice.module, body, branch: row.branch }] : []
    })
    await dispatchContent(trx, missed)
    const blind = log.more || known.length < sent.length
    const runs = blind ? await lookForThemselves(trx, installation, row.branch, 'executions that the log does not show') : null
    await trx
      .updateTable('content_webhook')
      .set(eb => ({
        compared_until: to,
        missed: eb('missed', '+', missed.length),
        ...(missed.length > 0 ? { missed_at: now } : {}),
        ...(runs ? { gap_runs_json: JSON.stringify(runs) } : {})
      }))
      .where('installation_id', '=', installation.id)
      .where('branch', '=', row.branch)
      .execute()
    return missed.length
  })
}

interface Sent {
  notice: ContentNotice
  body: string
}

function noticeOf(installation: Installation, body: string): Sent | null {
  try {
    const notice = readContentNotice(Buffer.from(body))
    return notice.apiKey === installation.stack_api_key ? { notice, body } : null
  } catch (error) {
    if (isAppError(error, 'invalid')) return null
    throw error
  }
}

/** An execution carries no id that its request shows: what it says and when is what names it. */
const nameOf = ({ objectUid, event, locale, triggeredAt }: Pick<ContentNotice, 'objectUid' | 'event' | 'locale' | 'triggeredAt'>): string =>
  JSON.stringify([objectUid, event, locale, triggeredAt])

async function arrivedOf(db: Db, installationId: string, sent: readonly Sent[]): Promise<Set<string>> {
  const found = new Set<string>()
  const uids = [...new Set(sent.map(({ notice }) => notice.objectUid ?? ''))]
  const since = sent.reduce((least, { notice }) => Math.min(least, notice.triggeredAt), Number.POSITIVE_INFINITY) - overlapMs
  for (let start = 0; start < uids.length; start += 500) {
    const rows = await db
      .selectFrom('delivery')
      .select(['object_uid', 'event', 'locale', 'triggered_at'])
      .where('installation_id', '=', installationId)
      .where('object_uid', 'in', uids.slice(start, start + 500))
      .where('received_at', '>', since)
      .execute()
    for (const row of rows) {
      found.add(nameOf({ objectUid: row.object_uid, event: row.event, locale: row.locale, triggeredAt: row.triggered_at ?? 0 }))
    }
  }
  return found
}

function deliveryOf(installation: Installation, branch: string, notice: ContentNotice, body: string, now: number): NewDelivery {
  return {
    ...notice,
    organizationId: installation.organization_id,
    installationId: installation.id,
    branch,
    door: `log ${installation.id} ${branch}`,
    body: Buffer.from(body),
    receivedAt: now
  }
}

/** Contentstack replays nothing (reference §7.5), so each sync of the branch compares what stands with its links. Returns the runs' ids. */
export async function lookForThemselves(
  trx: Db,
  installation: Pick<Installation, 'id'>,
  branch: string,
  causedBy: string
): Promise<string[]> {
  const syncs = await trx
    .selectFrom('sync')
    .selectAll()
    .where('installation_id', '=', installation.id)
    .where('branch', '=', branch)
    .where('direction', '=', 'outbound')
    .where('state', '=', 'active')
    .orderBy('id')
    .execute()
  const runs: string[] = []
  for (const sync of syncs) runs.push((await startRun(trx, { sync, cause: 'reconcile', causedBy })).id)
  return runs
}

export interface WebhookHealth {
  branch: string
  registered: boolean
  lastDeliveryAt: number | null
  /** Executions of the CMS's log that never arrived, in all. */
  missed: number
  missedAt: number | null
  disabledAt: number | null
  enabledAt: number | null
  /** What the last gap's runs have come to; null where there was none. */
  gap: 'filling' | 'filled' | 'failed' | null
}

/** Of each branch, by name. */
export async function webhookHealth(db: Db, installationId: string): Promise<WebhookHealth[]> {
  const rows = await db.selectFrom('content_webhook').selectAll().where('installation_id', '=', installationId).orderBy('branch').execute()
  const views: WebhookHealth[] = []
  for (const row of rows) {
    const last = await db
      .selectFrom('delivery')
      .select('received_at')
      .where('installation_id', '=', installationId)
      .where('branch', '=', row.branch)
      .orderBy('id', 'desc')
      .limit(1)
      .executeTakeFirst()
    views.push({
      branch: row.branch,
      registered: row.webhook_uid !== null,
      lastDeliveryAt: last?.received_at ?? null,
      missed: row.missed,
      missedAt: row.missed_at,
      disabledAt: row.disabled_at,
      enabledAt: row.enabled_at,
      gap: await gapOf(db, JSON.parse(row.gap_runs_json) as string[])
    })
  }
  return views
}

async function gapOf(db: Db, runs: readonly string[]): Promise<WebhookHealth['gap']> {
  if (runs.length === 0) return null
  const rows = await db.selectFrom('run').select('status').where('id', 'in', runs).execute()
  if (rows.some(({ status }) => status === 'queued' || status === 'running' || status === 'paused')) return 'filling'
  return rows.some(({ status }) => status === 'failed' || status === 'cancelled') ? 'failed' : 'filled'
}
