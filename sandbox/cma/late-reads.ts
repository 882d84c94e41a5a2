// An entry as it stood a while ago, for the play in which reads lag behind writes: without its newest versions and publishings, and
// still there for a while when it was deleted. Only what is asked for by uid lags; lists do not.
import type { SandboxContext } from '../context.ts'
import { lateMs } from '../plays.ts'
import type { Entry, Stack } from '../world/model.ts'

const deleted = new WeakMap<Stack, Map<string, { entry: Entry; at: number }>>()

const nameOf = (branch: string, contentType: string, uid: string) => `${branch}/${contentType}/${uid}`

/** Before the entry, or one of its locales, goes. */
export function rememberDeleted(context: SandboxContext, stack: Stack, branch: string, entry: Entry): void {
  if (context.plays.entryReads !== 'late') return
  const known = deleted.get(stack) ?? new Map<string, { entry: Entry; at: number }>()
  known.set(nameOf(branch, entry.contentType, entry.uid), { entry: structuredClone(entry), at: context.clock.now() })
  deleted.set(stack, known)
}

/** undefined where it would not be found. */
export function seenEntry(
  context: SandboxContext,
  stack: Stack,
  of: { branch: string; contentType: string; uid: string; entry: Entry | undefined }
): Entry | undefined {
  if (context.plays.entryReads !== 'late') return of.entry
  const before = deleted.get(stack)?.get(nameOf(of.branch, of.contentType, of.uid))
  const seenUntil = context.clock.now() - lateMs
  const entry = before && before.at > seenUntil ? before.entry : of.entry
  if (!entry) return undefined
  const early = (time: string) => Date.parse(time) <= seenUntil
  const locales = Object.entries(entry.locales)
    .map(([code, held]) => [code, { ...held, versions: held.versions.filter(version => early(version.updatedAt)) }] as const)
    .filter(([, { versions }]) => versions.length > 0)
  if (locales.length === 0) return undefined
  return { ...entry, locales: Object.fromEntries(locales), publishDetails: entry.publishDetails.filter(({ time }) => early(time)) }
}
