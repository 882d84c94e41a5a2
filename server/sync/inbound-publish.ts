// Publishing what an inbound sync has written. A link says which version is due; it is done when publish_details shows it, since a
// notice proves nothing. So a process that dies between write and publish leaves the version due, and the next turn goes on.
import { setTimeout as wait } from 'node:timers/promises'
import { cmaErrorOf } from '../contentstack/refusal.ts'
import type { Entry } from '../contentstack/stack.ts'
import type { Db } from '../database/database.ts'
import { AppError, isAppError } from '../errors.ts'
import { entriesByUid, keysPerLookup } from './inbound-find.ts'
import { refusalWords, type Work } from './inbound-work.ts'
import type { LinkRow } from './links.ts'
import { advanceRun, noCounters } from './runs.ts'

/** https://www.contentstack.com/docs/developers/apis/content-management-api: entries in one bulk request. */
const entriesPerRequest = 10
/** How long publish_details may take to show what was asked for. */
const patienceSeconds = 30

type Due = LinkRow & { publish_due: number }

/** False when time ran out. A version that does not show fails its record, with words; it stays due for the next run. */
export async function publishDue(db: Db, work: Work, until: number): Promise<boolean> {
  const names = work.options.publish?.environments ?? []
  if (names.length === 0) return true
  const uids = await environmentUids(work, names)
  const asked: Due[] = []
  let after: Due | undefined
  for (;;) {
    const batch = await dueAfter(db, work, after)
    if (batch.length === 0) break
    after = batch.at(-1)
    const left = await confirm(db, work, uids, batch)
    await ask(db, work, names, left, asked)
    if (Date.now() > until) return false
  }
  await untilShown(db, work, uids, asked)
  return true
}

/** By name, in the order of the names. AppError invalid for one that the stack has not. */
async function environmentUids({ stack }: Work, names: readonly string[]): Promise<string[]> {
  const known = await stack.environments()
  return names.map(name => {
    const found = known.find(environment => environment.name === name)
    if (found) return found.uid
    throw new AppError('invalid', `The stack has no environment "${name}" to publish in.`, {
      remedy: `Its environments: ${known.map(environment => environment.name).join(', ')}.`
    })
  })
}

/** One locale at a time, so that one look-up serves the batch. */
async function dueAfter(db: Db, { sync }: Work, after: Due | undefined): Promise<Due[]> {
  const rows = await db
    .selectFrom('link')
    .selectAll()
    .where('sync_id', '=', sync.id)
    .where('publish_due', 'is not', null)
    .where('status', '=', 'synced')
    .$if(after !== undefined, query =>
      query.where(eb => eb(eb.refTuple('locale', 'external_id'), '>', eb.tuple(after?.locale ?? '', after?.external_id ?? '')))
    )
    .orderBy('locale')
    .orderBy('external_id')
    .limit(keysPerLookup)
    .execute()
  return rows.filter((row): row is Due => row.publish_due !== null && row.locale === rows[0]?.locale)
}

/** Takes off what publish_details shows; returns the rest. */
async function confirm(db: Db, work: Work, environments: readonly string[], links: readonly Due[]): Promise<Due[]> {
  const left: Due[] = []
  for (const [locale, there] of Map.groupBy(links, link => link.locale)) {
    const entries = await entriesByUid(
      work,
      locale,
      there.map(link => link.entry_uid)
    )
    const shown = there.filter(link => isShown(entries.get(link.entry_uid), link, environments))
    for (const link of shown) await keepPublished(db, work, link)
    for (const link of there)
      if (!entries.has(link.entry_uid)) await keepRefused(db, work, link, 'Its entry was deleted before it was published.')
    left.push(...there.filter(link => !shown.includes(link) && entries.has(link.entry_uid)))
  }
  return left
}

/** A later version that a person has published is not taken back. */
function isShown(entry: Entry | undefined, link: Due, environments: readonly string[]): boolean {
  const details = entry?.publish_details ?? []
  return environments.every(environment =>
    details.some(detail => detail.environment === environment && detail.locale === link.locale && detail.version >= link.publish_due)
  )
}

async function ask(db: Db, work: Work, environments: string[], links: readonly Due[], asked: Due[]): Promise<void> {
  const { stack, sync, signal } = work
  for (let from = 0; from < links.length; from += entriesPerRequest) {
    signal.throwIfAborted()
    const part = links.slice(from, from + entriesPerRequest)
    const entries = part.map(link => ({ uid: link.entry_uid, version: link.publish_due }))
    try {
      await stack.publishEntries(sync.content_type, entries, { environments, locale: part[0]?.locale ?? work.locale })
      asked.push(...part)
    } catch (error) {
      const refused = isAppError(error, 'invalid') || isAppError(error, 'forbidden') || (isAppError(error, 'conflict') && cmaErrorOf(error))
      if (signal.aborted || !refused) throw error
      const words = isAppError(error) ? refusalWords(error) : ''
      for (const link of part) await keepRefused(db, work, link, `Written, but not published: ${words}`)
    }
  }
}

async function untilShown(db: Db, work: Work, environments: readonly string[], asked: Due[]): Promise<void> {
  const until = Date.now() + patienceSeconds * 1000
  let left = asked
  for (let pause = 0; left.length > 0 && Date.now() + pause <= until; pause = Math.min(5_000, pause * 2 || 250)) {
    if (pause > 0) await wait(pause, undefined, { signal: work.signal })
    const still: Due[] = []
    for (let from = 0; from < left.length; from += keysPerLookup) {
      still.push(...(await confirm(db, work, environments, left.slice(from, from + keysPerLookup))))
    }
    left = still
  }
  for (const link of left)
    await keepRefused(db, work, link, 'Written and asked to be published, but Contentstack does not show it as published.')
}

async function keepPublished(db: Db, { sync }: Work, link: Due): Promise<void> {
  await ofLink(db, sync.id, link).set({ published_version: link.publish_due, publish_due: null }).execute()
}

async function keepRefused(db: Db, { run, sync }: Work, link: Due, error: string): Promise<void> {
  await db.transaction().execute(async trx => {
    await ofLink(trx, sync.id, link).set({ status: 'failed', error, last_run_id: run.id, updated_at: Date.now() }).execute()
    await advanceRun(trx, run, { ...noCounters(), failed: 1 })
  })
}

function ofLink(db: Db, syncId: string, link: Due) {
  return db
    .updateTable('link')
    .where('link_set_id', '=', link.link_set_id)
    .where('branch', '=', link.branch)
    .where('locale', '=', link.locale)
    .where('external_id', '=', link.external_id)
    .where('sync_id', '=', syncId)
    .where('publish_due', '=', link.publish_due)
}
