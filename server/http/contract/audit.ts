// The operator door's shapes for the audit trail (below /api/operator/audit/) and for organizations (below /api/operator/organizations).
// Verifying and exporting go a stretch at a time: the answer carries the place from which to ask for the next one.
import * as z from 'zod/mini'

const Time = z.number()
const Maybe = z.nullable

/** GET chains?after= -> Chain | null: the next organization by id. */
export const Chain = z.object({ organizationId: z.string(), name: z.string(), events: z.number() })
export type Chain = z.infer<typeof Chain>

export const Finding = z.object({
  organizationId: z.string(),
  seq: z.number(),
  eventId: Maybe(z.string()),
  at: Maybe(Time),
  kind: z.enum(['changed', 'missing', 'reordered', 'inserted', 'truncated', 'rewritten']),
  text: z.string()
})
export type Finding = z.infer<typeof Finding>

const Place = z.strictObject({ after: z.number(), seq: z.number(), mac: z.string(), firm: z.boolean() })

/** POST stretch -> Stretch. Without `from` from the beginning. */
export const AskStretch = z.strictObject({ organizationId: z.string(), from: z.optional(Place) })
export type AskStretch = z.infer<typeof AskStretch>
export const Stretch = z.object({ findings: z.array(Finding), place: Place, checked: z.number(), done: z.boolean() })
export type Stretch = z.infer<typeof Stretch>

const Anchor = z.strictObject({ organizationId: z.string(), seq: z.number(), mac: z.string(), at: Maybe(z.string()) })

/** POST anchors {anchors} compares these, POST anchors {from} a piece of the server's own file from that byte on. -> ComparedAnchors */
export const AskAnchors = z.union([
  z.strictObject({ anchors: z.array(Anchor).check(z.maxLength(250)) }),
  z.strictObject({ from: z.number().check(z.int(), z.minimum(0)) })
])
export type AskAnchors = z.infer<typeof AskAnchors>
export const ComparedAnchors = z.object({
  file: Maybe(z.string()),
  next: Maybe(z.number()),
  unreadable: z.number(),
  compared: z.array(
    z.object({
      organizationId: z.string(),
      compared: z.number(),
      held: z.number(),
      rewritten: Maybe(z.extend(Anchor, { eventId: z.string(), eventAt: Time })),
      beyond: Maybe(Anchor),
      end: z.number()
    })
  )
})
export type ComparedAnchors = z.infer<typeof ComparedAnchors>

const ExportPlace = z.strictObject({
  organizationId: z.string(),
  seq: z.number(),
  head: z.strictObject({ seq: z.number(), mac: z.string() }),
  first: z.number(),
  last: z.number()
})

/** POST export -> ExportPage: lines to be written one JSON each. `since` and `until` in milliseconds; `until` is not in it. */
export const AskExport = z.strictObject({
  organizationId: z.optional(z.string()),
  since: z.optional(z.number()),
  until: z.optional(z.number()),
  place: z.optional(ExportPlace)
})
export type AskExport = z.infer<typeof AskExport>
export const ExportPage = z.object({ lines: z.array(z.record(z.string(), z.unknown())), next: Maybe(ExportPlace) })
export type ExportPage = z.infer<typeof ExportPage>

/** GET reveals?organization=&days= -> RevealCount[]: how often secrets were opened, by purpose and UTC day. */
export const RevealCount = z.object({ organizationId: z.string(), purpose: z.string(), day: z.string(), count: z.number() })
export type RevealCount = z.infer<typeof RevealCount>

/** GET organizations -> Organization[]. `erasing`: begun and not done. */
export const Organization = z.object({
  id: z.string(),
  region: z.string(),
  organizationUid: z.string(),
  name: z.string(),
  status: z.enum(['claimed', 'unclaimed', 'erasing']),
  installations: z.number(),
  events: z.number()
})
export type Organization = z.infer<typeof Organization>
