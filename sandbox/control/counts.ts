// What stands in a stack, counted off the world itself: the truth that the demo and the tests compare databases with. Reads only.
import type { Stack, WriteRecord } from '../world/model.ts'

export interface Counts {
  /** Of the main branch unless another is named: content type -> locale -> entries that have a version of their own there. */
  entries: Record<string, Record<string, number>>
  /** All entries, each counted once. */
  totalEntries: number
  /** Entries times the locales they have a version in. */
  totalVersions: number
  assets: number
  contentTypes: number
  managementTokens: { live: number; dead: number }
  writes: { total: number; by: { kind: WriteRecord['by']['kind']; uid: string; name: string; writes: number }[] }
}

export function countsOf(stack: Stack, branch: string): Counts {
  const entries: Counts['entries'] = {}
  let totalEntries = 0
  let totalVersions = 0
  for (const uid of Object.keys(stack.contentTypes[branch] ?? {})) {
    const locales: Record<string, number> = (entries[uid] = {})
    for (const entry of Object.values(stack.entries[branch]?.[uid] ?? {})) {
      totalEntries += 1
      for (const locale of Object.keys(entry.locales)) {
        locales[locale] = (locales[locale] ?? 0) + 1
        totalVersions += 1
      }
    }
  }
  const tokens = Object.values(stack.managementTokens)
  return {
    entries,
    totalEntries,
    totalVersions,
    assets: Object.values(stack.assets[branch] ?? {}).filter(asset => !asset.isDir).length,
    contentTypes: Object.keys(entries).length,
    managementTokens: { live: tokens.filter(it => !it.dead).length, dead: tokens.filter(it => it.dead).length },
    writes: { total: stack.writes.length, by: writesBy(stack.writes) }
  }
}

function writesBy(writes: WriteRecord[]): Counts['writes']['by'] {
  const found = new Map<string, Counts['writes']['by'][number]>()
  for (const { by } of writes) {
    const key = `${by.kind}/${by.uid}`
    const row = found.get(key) ?? { ...by, writes: 0 }
    row.writes += 1
    found.set(key, row)
  }
  return [...found.values()]
}
