// What somebody has announced of a record, and whether a read has come that far (engine.md §3). A hint is never applied as truth: it
// only says that a read is too early. Pure. Whoever keeps the announcements is handed in.

export interface Hint {
  /** Of the entry in its locale. */
  version: number
  /** That version has been deleted. */
  gone: boolean
  /** Milliseconds: when it came. */
  heardAt: number
}

/** How long reads may lag behind what was announced; then what is read is taken for what is. */
export const hintSeconds = 15

/** Seconds until the record is looked at again; null = it may be taken as it was read. `entry` null: there is none. */
export function readAgainIn(entry: { _version: number } | null, hint: Hint | null, now: number): number | null {
  if (!hint || !isBehind(entry, hint)) return null
  const age = (now - hint.heardAt) / 1000
  // As long again as it has taken so far: ten more reads at most.
  return age >= hintSeconds ? null : Math.min(4, Math.max(0.1, age))
}

function isBehind(entry: { _version: number } | null, { version, gone }: Hint): boolean {
  if (gone) return entry !== null && entry._version <= version
  return entry === null || entry._version < version
}
