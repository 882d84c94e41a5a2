// What the marks of an event cover, and what is left of an event whose subjects were erased. Pure.
//   whole    its mark covers every column but itself
//   erased   who, what on and what exactly are blank; its mark stays as a link, and a second one covers what remains: that there was an
//            event, its number, its time, its kind. It counts only under an organization.erase event that reaches over it
import type { Row } from '../database/schema.ts'
import type { Vault } from '../vault/vault.ts'

export type Marks = Pick<Vault, 'mac' | 'verifyMac'>
type Event = Row<'audit_event'>

/** The organization.erase event by which earlier ones count as erased; its detail says up to which. */
export const eraseAction = 'organization.erase'

/** In a fixed order; `seq` to ask whether it stood somewhere else. */
export function coveredText(event: Omit<Event, 'mac' | 'erased_at'>, seq = event.seq): string {
  return JSON.stringify([
    event.id,
    event.organization_id,
    event.installation_id,
    seq,
    event.at,
    event.actor_kind,
    event.actor_id,
    event.actor_name,
    event.action,
    event.object_kind,
    event.object_id,
    event.object_name,
    event.detail_json,
    event.previous_mac
  ])
}

const blank = { installation_id: null, actor_id: '', actor_name: 'erased', object_id: '', object_name: 'erased' } as const

/** What an event's columns become. */
export function erased(vault: Marks, event: Event, erasedAt: number) {
  const remains = vault.mac('audit-erased', remainingText({ ...event, erased_at: erasedAt }))
  return { ...blank, detail_json: JSON.stringify({ remains }), erased_at: erasedAt }
}

/** Whether it is as it was written, or as erasing leaves it. */
export function isGenuine(vault: Marks, event: Event, seq = event.seq): boolean {
  if (event.erased_at === null) return vault.verifyMac('audit', coveredText(event, seq), event.mac)
  const isBlank = Object.entries(blank).every(([column, value]) => event[column as keyof typeof blank] === value)
  return isBlank && vault.verifyMac('audit-erased', remainingText(event, seq), remainsOf(event))
}

/** As reaching over those up to that number, 0 for none. */
export function reachOf(event: Event): number {
  const { upTo } = parsed(event.detail_json)
  return event.action === eraseAction && typeof upTo === 'number' && upTo < event.seq ? upTo : 0
}

function remainingText(event: Event, seq = event.seq): string {
  const { id, organization_id, at, actor_kind, action, object_kind, previous_mac, mac, erased_at } = event
  return JSON.stringify([id, organization_id, seq, at, actor_kind, action, object_kind, previous_mac, mac, erased_at])
}

function remainsOf(event: Event): string {
  const { remains } = parsed(event.detail_json)
  return typeof remains === 'string' ? remains : ''
}

/** A detail that somebody wrote over need not be JSON. */
function parsed(detail: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(detail)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
