// What is to be done with one record, from what is known of it on both sides. Pure: the same answer whether a run, a webhook
// or a person asks, which is what makes the plan the run.
import type { Row } from '../database/schema.ts'
import { hashVersion } from './canonical.ts'

type Known = Pick<Row<'link'>, 'source_hash' | 'hash_version' | 'sync_revision' | 'status' | 'entry_uid'>

export type OutboundStep = 'write' | 'delete' | 'skip'

/**
 * `source` is the entry's own hash; null = it does not exist in this locale (gone, or only its fallback answers).
 * `force` writes even what is unchanged: a person asks because the destination may have been touched.
 */
export function planOutbound(source: string | null, link: Known | undefined, revision: number, force = false): OutboundStep {
  // A failed write may have left an older row behind.
  if (source === null) return link && link.status !== 'deleted' ? 'delete' : 'skip'
  if (force || !link) return 'write'
  return isUnchanged(source, link, revision) ? 'skip' : 'write'
}

export type InboundStep = 'create' | 'update' | 'skip'

export function planInbound(source: string, link: Known | undefined, revision: number): InboundStep {
  if (link && isUnchanged(source, link, revision)) return 'skip'
  return link && link.entry_uid !== '' ? 'update' : 'create'
}

/** Decided before anything is mapped, read or written: a re-run of what is unchanged costs nothing (engine.md §2). */
function isUnchanged(source: string, link: Known, revision: number): boolean {
  return link.status === 'synced' && link.source_hash === source && link.sync_revision === revision && link.hash_version === hashVersion
}

/** The brake of a run: at most this many rows may go because their entries are gone; more asks a person first. */
export function deletesAllowed(linked: number): number {
  return Math.max(25, Math.floor(linked / 5))
}
