// What `quayside doctor` finds, and what the running server tells it: GET doctor and GET instance of the operator door.
import * as z from 'zod/mini'

export const Check = z.object({
  /** What was looked at: 'key file', 'hosts eu', 'token Blog EU'. */
  name: z.string(),
  result: z.enum(['ok', 'warn', 'bad', 'skipped']),
  detail: z.string(),
  /** '' where nothing is to be done. */
  remedy: z.string()
})
export type Check = z.infer<typeof Check>

/** GET instance */
export const Instance = z.object({
  /** Of this process. */
  id: z.string(),
  /** The same for all processes on one database; null while that does not answer. */
  deployment: z.nullable(z.string())
})
export type Instance = z.infer<typeof Instance>

/** GET doctor */
export const ServerReport = z.object({
  instance: Instance,
  startedAt: z.number(),
  role: z.string(),
  node: z.string(),
  /** The server's clock when it answered. */
  now: z.number(),
  /** Keyed hashes of what the server started with, so that both sides can be compared without showing it. */
  settings: z.object({ keyId: z.string(), hashes: z.record(z.string(), z.string()) }),
  checks: z.array(Check)
})
export type ServerReport = z.infer<typeof ServerReport>
