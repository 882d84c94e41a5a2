// What every refusal looks like on the wire, whatever door it leaves by. The status comes from http/errors.ts.
import * as z from 'zod/mini'

export const Problem = z.object({
  error: z.object({
    code: z.enum(['invalid', 'unauthorized', 'forbidden', 'not_found', 'conflict', 'rate_limited', 'upstream', 'internal']),
    /** Names the thing. */
    message: z.string(),
    /** What to do about it. */
    remedy: z.optional(z.string()),
    /** Field path -> messages. */
    fields: z.optional(z.record(z.string(), z.array(z.string()))),
    /** To find the log lines by. */
    requestId: z.string()
  })
})
export type Problem = z.infer<typeof Problem>
