// Which channels a change speaks on, from the general to the particular (reference §7.2): a webhook that subscribes to one of
// them gets the change. Pure.
import type { Change } from '../changes.ts'

/** The last one is the most particular; executions are logged under the one subscribed to. */
export function channelsOf(change: Change): string[] {
  const uid = typeof change.object.uid === 'string' ? change.object.uid : ''
  switch (change.module) {
    case 'entry':
      return eventsOf(change).flatMap(event => {
        const contentType = change.contentType?.uid ?? ''
        return [
          `content_types.entries.${event}`,
          `content_types.${contentType}.entries.${event}`,
          `content_types.${contentType}.entries.${uid}.${event}`
        ]
      })
    case 'asset':
      return eventsOf(change).flatMap(event => [`assets.${event}`, `assets.${uid}.${event}`])
    case 'content_type':
      return [`content_types.${change.event}`, `content_types.${uid}.${change.event}`]
    case 'global_field':
      return [`global_fields.${change.event}`, `global_fields.${uid}.${change.event}`]
  }
}

/** Publishing speaks of itself, of all environments, and of its own; the sandbox's publishing always succeeds. */
function eventsOf(change: Change): string[] {
  if (change.event !== 'publish' && change.event !== 'unpublish') return [change.event]
  return [change.event, `environments.${change.event}.success`, `environments.${change.environment?.uid ?? ''}.${change.event}.success`]
}

/** The most particular of the subscribed channels that the change speaks on; null when none. */
export function subscribedChannel(subscribed: string[], spoken: string[]): string | null {
  return spoken.findLast(channel => subscribed.includes(channel)) ?? null
}

/** `cs.apps.installations` stands for the manifest's app_lifecycle_enabled: all four. */
export function hearsLifecycle(subscribed: string[], event: string): boolean {
  return subscribed.includes(`cs.apps.installations.${event}`) || subscribed.includes('cs.apps.installations')
}
