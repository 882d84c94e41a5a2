// What a planned write changes, field by field, as people read it: bounded, since a plan may hold a hundred thousand of them. Pure.
import { canonicalText } from './canonical.ts'

export interface FieldDiff {
  field: string
  /** Left out when what stands there is not known. */
  from?: string | null
  to: string | null
}

const longestValue = 200
const mostFields = 40

/** Only fields that differ; `now` null = not known, so that every field counts as new. */
export function fieldDiffs(now: Record<string, unknown> | null, next: Record<string, unknown>): FieldDiff[] {
  const diffs: FieldDiff[] = []
  for (const [field, value] of Object.entries(next)) {
    if (diffs.length >= mostFields) break
    if (now === null) {
      if (value !== null && value !== undefined) diffs.push({ field, to: shown(value) })
    } else if (canonicalText(now[field] ?? null) !== canonicalText(value ?? null)) {
      diffs.push({ field, from: shown(now[field]), to: shown(value) })
    }
  }
  return diffs
}

function shown(value: unknown): string | null {
  if (value === null || value === undefined) return null
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  // Half of a character at the cut becomes a sign of its own, which every database takes.
  return text.length > longestValue ? `${text.slice(0, longestValue).toWellFormed()}…` : text
}
