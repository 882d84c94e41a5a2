import { expect, test } from 'vitest'
import type { ClaimedJob } from '../../server/jobs/claim.ts'
import { createHand, type Hand, type Held } from '../../server/jobs/hand.ts'
import type { Lane } from '../../server/jobs/job.ts'

const put = (hand: Hand, lane: Lane, group: string, stage: Held['stage']): Held => {
  const job = { lane, group_id: group } as ClaimedJob
  const entry: Held = { job, controller: new AbortController(), stage, begunAt: performance.now(), over: Promise.resolve() }
  hand.held.add(entry)
  return entry
}

test('nothing is taken ahead before it is known how long jobs take', () => {
  const hand = createHand(8, undefined)
  expect(lanesOf(hand)).toEqual({ people: 8, local: 2, live: 7, backfill: 5 })
})

test('of jobs that take next to nothing many are taken ahead, and one slow job ends that at once', () => {
  const hand = createHand(8, undefined)
  for (let n = 0; n < 200; n++) hand.took(1)
  expect(lanesOf(hand)).toEqual({ people: 160, local: 40, live: 140, backfill: 100 })
  hand.took(200)
  expect(lanesOf(hand)).toEqual({ people: 8, local: 2, live: 7, backfill: 5 })
})

test('while a job runs on, nothing is taken ahead of it', () => {
  const hand = createHand(8, undefined)
  for (let n = 0; n < 200; n++) hand.took(1)
  put(hand, 'live', 'a', 'running').begunAt -= 1_000
  expect(hand.room('live').limit).toBe(6)
})

test('a slot is free while the ending of its last job is written', () => {
  const hand = createHand(8, undefined)
  for (let n = 0; n < 7; n++) put(hand, 'live', `g${n}`, 'settling')
  expect(hand.room('live')).toMatchObject({ limit: 7, busyHere: {} })
})

test('what was taken ahead begins only where lane and installation have a slot', () => {
  const hand = createHand(8, undefined)
  for (let n = 0; n < 6; n++) put(hand, 'live', 'greedy', 'running')
  expect(hand.mayBegin(put(hand, 'live', 'greedy', 'ahead'))).toBe(false)
  expect(hand.mayBegin(put(hand, 'live', 'other', 'ahead'))).toBe(true)
  expect(hand.mayBegin(put(hand, 'live', '', 'ahead'))).toBe(true)
  put(hand, 'live', 'other', 'running')
  expect(hand.mayBegin(put(hand, 'live', 'third', 'ahead'))).toBe(false)
  expect(hand.mayBegin(put(hand, 'people', 'greedy', 'ahead'))).toBe(true)
  expect(hand.mayBegin(put(hand, 'local', 'greedy', 'ahead'))).toBe(true)
})

function lanesOf(hand: Hand): Record<string, number> {
  return Object.fromEntries((['people', 'local', 'live', 'backfill'] as const).map(lane => [lane, hand.room(lane).limit]))
}
