// What a sync means to write, what it wrote record by record, and what comparing both sides found: of ONE installation, behind the
// same doors and under the same rules as stack.ts.
import * as z from 'zod/mini'

const Time = z.number()
const Maybe = z.nullable

export const recordOutcomes = ['created', 'updated', 'deleted', 'failed', 'skipped', 'conflict', 'parked'] as const
/**
 * GET runs/:id/records?outcome=&q=&before=, GET records?outcome=&q=&before= -> newest first. `q` is the beginning of an entry uid or
 * external id. What was unchanged is counted, not logged. runId null: a live change.
 */
export const RunRecord = z.object({
  id: z.string(),
  syncId: z.string(),
  syncName: z.string(),
  runId: Maybe(z.string()),
  key: z.string(),
  entryUid: z.string(),
  locale: z.string(),
  outcome: z.enum(recordOutcomes),
  why: Maybe(z.string()),
  cause: z.string(),
  at: Time
})
export type RunRecord = z.infer<typeof RunRecord>

/** POST syncs/:id/plan -> Plan (a dry run, made in the background), GET syncs/:id/plans, GET plans/:id, POST plans/:id/discard -> Plan */
export const Plan = z.object({
  id: z.string(),
  syncId: z.string(),
  syncName: z.string(),
  kind: z.enum(['dry-run', 'brake', 'drift']),
  status: z.enum(['making', 'ready', 'applying', 'applied', 'stale', 'discarded', 'failed']),
  /** Why a person is asked: apply then needs allowDeletes. '' = it may be applied as it is. */
  reason: z.string(),
  madeBy: z.string(),
  total: Maybe(z.number()),
  read: z.number(),
  creates: z.number(),
  updates: z.number(),
  deletes: z.number(),
  failures: z.number(),
  skips: z.number(),
  runId: Maybe(z.string()),
  error: Maybe(z.string()),
  createdAt: Time,
  readyAt: Maybe(Time),
  expiresAt: Time
})
export type Plan = z.infer<typeof Plan>

/** GET plans/:id/items?step=&after=: by key. diff null = nothing to show; a field's `from` left out = not known. */
export const PlanItem = z.object({
  key: z.string(),
  locale: z.string(),
  entryUid: z.string(),
  step: z.enum(['create', 'update', 'delete', 'fail']),
  expectedVersion: Maybe(z.number()),
  diff: Maybe(z.array(z.object({ field: z.string(), from: z.optional(Maybe(z.string())), to: Maybe(z.string()) }))),
  state: z.enum(['pending', 'done', 'skipped', 'failed']),
  why: Maybe(z.string())
})
export type PlanItem = z.infer<typeof PlanItem>

/** POST plans/:id/apply -> Run. allowDeletes: exactly the number of the plan's deletes, where it asks. */
export const ApplyPlan = z.strictObject({ allowDeletes: z.optional(z.int().check(z.nonnegative())) })
export type ApplyPlan = z.infer<typeof ApplyPlan>

/** POST syncs/:id/drift (StartDrift -> Drift), GET syncs/:id/drift -> newest first */
export const Drift = z.object({
  id: z.string(),
  syncId: z.string(),
  status: z.enum(['queued', 'running', 'done', 'failed']),
  cause: z.string(),
  repair: z.boolean(),
  listed: z.number(),
  compared: z.number(),
  missing: z.number(),
  stale: z.number(),
  extra: z.number(),
  /** Compared by id alone, for want of a fingerprint. */
  byId: z.number(),
  repaired: z.number(),
  /** Where rows that no record stands behind wait for a person. */
  planId: Maybe(z.string()),
  error: Maybe(z.string()),
  createdAt: Time,
  finishedAt: Maybe(Time)
})
export type Drift = z.infer<typeof Drift>
export const StartDrift = z.strictObject({ repair: z.boolean() })
export type StartDrift = z.infer<typeof StartDrift>
/** PATCH syncs/:id/drift -> DriftNext: compare by the clock; null = no longer. */
export const DriftRhythm = z.strictObject({
  schedule: Maybe(z.strictObject({ cron: z.string(), timeZone: z.string(), repair: z.boolean() }))
})
export type DriftRhythm = z.infer<typeof DriftRhythm>
/** GET syncs/:id/drift/rhythm */
export const DriftNext = z.extend(DriftRhythm, { nextAt: Maybe(Time) })
export type DriftNext = z.infer<typeof DriftNext>
