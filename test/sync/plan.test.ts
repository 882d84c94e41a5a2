import fc from 'fast-check'
import { expect, it } from 'vitest'
import { hashVersion } from '../../server/sync/canonical.ts'
import { deletesAllowed, planInbound, planOutbound } from '../../server/sync/plan.ts'

const link = { source_hash: 'h', hash_version: hashVersion, sync_revision: 1, status: 'synced' as const, entry_uid: 'blt1' }

it.each([
  ['writes what has no link', 'h', undefined, 1, 'write'],
  ['skips what is unchanged', 'h', link, 1, 'skip'],
  ['writes what changed', 'other', link, 1, 'write'],
  ['writes all anew when the mapping changed', 'h', link, 2, 'write'],
  ['writes again what failed', 'h', { ...link, status: 'failed' as const }, 1, 'write'],
  ['writes again what had been deleted', 'h', { ...link, status: 'deleted' as const }, 1, 'write'],
  ['writes again when hashes were made another way', 'h', { ...link, hash_version: hashVersion - 1 }, 1, 'write'],
  ['deletes what is gone', null, link, 1, 'delete'],
  ['deletes what is gone after a failure', null, { ...link, status: 'failed' as const }, 1, 'delete'],
  ['leaves alone what is gone on both sides', null, { ...link, status: 'deleted' as const }, 1, 'skip'],
  ['leaves alone what never was', null, undefined, 1, 'skip']
] as const)('outbound: %s', (_, hash, known, revision, step) => {
  expect(planOutbound(hash, known, revision)).toBe(step)
})

it('writes even what is unchanged when a person asks, but never what is not there', () => {
  expect(planOutbound('h', link, 1, true)).toBe('write')
  expect(planOutbound(null, undefined, 1, true)).toBe('skip')
})

it.each([
  ['creates what has no link', undefined, 'create'],
  ['creates what failed before it had an entry', { ...link, status: 'failed' as const, entry_uid: '' }, 'create'],
  ['updates what failed after it had one', { ...link, status: 'failed' as const }, 'update'],
  ['updates what changed', { ...link, source_hash: 'other' }, 'update'],
  ['skips what is unchanged', link, 'skip']
] as const)('inbound: %s', (_, known, step) => {
  expect(planInbound('h', known, 1)).toBe(step)
})

it('lets go at most a fifth of the rows, or 25', () => {
  fc.assert(
    fc.property(fc.nat(1_000_000), linked => {
      expect(deletesAllowed(linked)).toBe(linked < 130 ? 25 : Math.floor(linked / 5))
    })
  )
})
