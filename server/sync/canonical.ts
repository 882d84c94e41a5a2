// One text per meaning: the same value always reads the same, whatever order its keys came in. Hashes over it decide what is
// unchanged, so nothing volatile may get in: an asset inside an entry counts by what it points at. Pure.
import { createHash } from 'node:crypto'

/** Grows when the text below changes for the same value: a link with another version is taken as changed. */
export const hashVersion = 1

export function hashOf(value: unknown): string {
  return createHash('sha256').update(canonicalText(value)).digest('base64url').slice(0, 32)
}

export function canonicalText(value: unknown): string {
  return JSON.stringify(canonical(value)) ?? 'null'
}

function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical)
  if (value === null || typeof value !== 'object') return value === undefined ? null : value
  const object = value as Record<string, unknown>
  if (isAsset(object)) return readAsset(object)
  // As pairs: keys like '10' and '9' would be put in numeric order by an object. Wrapped, so that no list reads the same.
  const pairs = Object.keys(object)
    .filter(key => object[key] !== undefined)
    .sort()
    .map(key => [key, canonical(object[key])])
  return { object: pairs }
}

/** Reads spell a file field out as the whole asset, with its dates and rights. */
export function isAsset(object: Record<string, unknown>): boolean {
  return typeof object['uid'] === 'string' && typeof object['url'] === 'string' && typeof object['filename'] === 'string'
}

/** What an asset counts by. */
export function readAsset(object: Record<string, unknown>): { filename: unknown; uid: unknown; url: unknown } {
  return { filename: object['filename'], uid: object['uid'], url: object['url'] }
}
