// Dead letters, as the console, the frame of a stack admin and the `quayside` command see them.
import * as z from 'zod/mini'

const Time = z.number()
const Maybe = z.nullable

/** GET jobs: work of the background that ended undone. */
export const DeadJob = z.object({
  id: z.number(),
  kind: z.string(),
  /** null: of no installation; only the command lists those. */
  installationId: Maybe(z.string()),
  stackName: z.string(),
  /** The entry, run or deliveries it is about. */
  about: z.string(),
  error: z.string(),
  attempts: z.array(z.object({ attempt: z.number(), at: Time, error: z.string() })),
  /** Runs that ended after another process had taken over: what they wrote may have been written twice. */
  overtaken: z.number(),
  /** null: what it did can be begun anew where it belongs; the words say where. */
  retry: z.object({ possible: z.boolean(), remedy: z.string() }),
  createdAt: Time,
  diedAt: Maybe(Time)
})
export type DeadJob = z.infer<typeof DeadJob>

/** GET jobs/:id of the command: any job, with the ids that it carries. */
export const AnyJob = z.extend(DeadJob, {
  state: z.enum(['ready', 'running', 'done', 'cancelled', 'dead']),
  lane: z.string(),
  key: Maybe(z.string()),
  payload: z.unknown(),
  replaces: Maybe(z.number())
})
export type AnyJob = z.infer<typeof AnyJob>

/** POST jobs/retry | jobs/discard of the command. All that is named must fit; `all` where nothing else is named. */
export const WhichJobs = z.strictObject({
  ids: z.optional(z.array(z.int().check(z.positive())).check(z.minLength(1), z.maxLength(500))),
  kind: z.optional(z.string().check(z.minLength(1), z.maxLength(100))),
  installation: z.optional(z.string().check(z.minLength(1), z.maxLength(60))),
  all: z.optional(z.literal(true))
})
export type WhichJobs = z.infer<typeof WhichJobs>

/** `jobs` were put in again or discarded; `more`: there are others, ask again. */
export const JobsAnswer = z.object({ jobs: z.array(z.object({ id: z.number(), kind: z.string() })), more: z.boolean() })
export type JobsAnswer = z.infer<typeof JobsAnswer>
