// What a run of an inbound sync tells of one record: a line of the run log, the end of its item in a plan, and what it wrote over.
import type { Db } from '../database/database.ts'
import type { Entry, StackClient } from '../contentstack/stack.ts'
import { isAppError } from '../errors.ts'
import { fieldDiffs } from './diff.ts'
import type { EntryFields } from './inward.ts'
import type { LinkRow } from './links.ts'
import { settleItems } from './plans.ts'
import { recordOutcomes } from './run-log.ts'
import type { RunRow } from './runs.ts'
import type { SyncRow } from './sync.ts'

export type Told = ({ entry: Entry; wrote: boolean; waiting?: string } & { conflict?: string }) | { error: string }

/** In the transaction of link and counters. What was found to be there already is only counted. */
export async function recordInbound(
  trx: Db,
  sync: SyncRow,
  run: RunRow,
  locale: string,
  key: string,
  link: LinkRow | undefined,
  outcome: Told
): Promise<void> {
  const failed = 'error' in outcome
  const waiting = failed ? undefined : outcome.waiting
  const why = failed ? outcome.error : (waiting ?? outcome.conflict ?? null)
  const entryUid = failed ? (link?.entry_uid ?? '') : outcome.entry.uid
  if (run.plan_id !== null) {
    const state = failed || waiting !== undefined ? 'failed' : outcome.wrote ? 'done' : 'skipped'
    await settleItems(trx, run.plan_id, [{ key, state, why: state === 'skipped' ? 'The entry holds all of it already.' : why }])
  }
  if (!failed && waiting === undefined && !outcome.wrote && run.plan_id === null) return
  const wrote = link?.entry_uid === entryUid ? 'updated' : 'created'
  const told = failed || waiting !== undefined ? 'failed' : why !== null ? 'conflict' : outcome.wrote ? wrote : 'skipped'
  await recordOutcomes(trx, sync, { runId: run.id, cause: `run ${run.id}` }, [{ key, entryUid, locale, outcome: told, why }])
}

/**
 * No optimistic concurrency at Contentstack: what happened in between shows in the version that comes back. What this write
 * covered up is read once more and kept in the words that people see.
 */
export async function conflictOf(
  { stack, sync, locale }: { stack: StackClient; sync: SyncRow; locale: string },
  entry: Entry,
  fields: EntryFields,
  expected: number | null
): Promise<{ conflict?: string }> {
  if (expected === null || expected === 0 || entry._version === expected + 1) return {}
  const said = `Version ${entry._version - 1} in Contentstack was made by somebody else; this sync wrote over its mapped fields.`
  try {
    const theirs = await stack.entry(sync.content_type, entry.uid, { locale, version: entry._version - 1 })
    const lost = theirs ? fieldDiffs(theirs, fields).map(({ field, from }) => `${field}: ${from ?? 'empty'}`) : []
    return { conflict: lost.length > 0 ? `${said} It held ${lost.join('; ')}` : said }
  } catch (error) {
    // The write itself went well and is told either way.
    if (!isAppError(error)) throw error
    return { conflict: said }
  }
}
