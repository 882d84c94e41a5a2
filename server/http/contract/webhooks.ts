// What people see of the health of our webhooks in one stack. Times are milliseconds since 1970 UTC.
import * as z from 'zod/mini'

const Time = z.number()
const Maybe = z.nullable

/** GET webhooks -> a list, by branch: one for `main`, one for each branch that an active outbound sync reads */
export const WebhookHealth = z.object({
  branch: z.string(),
  registered: z.boolean(),
  lastDeliveryAt: Maybe(Time),
  /** Sent by Contentstack, as its log says, and never arrived; each was looked at since. */
  missed: z.number(),
  missedAt: Maybe(Time),
  /** When Contentstack disabled it, or somebody removed it, the last time. */
  disabledAt: Maybe(Time),
  /** When it stood again; null while it does not. */
  enabledAt: Maybe(Time),
  /** Whether what changed meanwhile has been caught up; null = there was no gap. */
  gap: Maybe(z.enum(['filling', 'filled', 'failed']))
})
export type WebhookHealth = z.infer<typeof WebhookHealth>
