// What the CMA accepted, told to whoever listens: the webhooks room turns it into deliveries. The CMA does not know who
// listens, and a listener cannot refuse a change that already stands.
import type { ContentType, Credential, Environment } from './world/model.ts'

export type ChangeModule = 'entry' | 'asset' | 'content_type' | 'global_field'
export type ChangeEvent = 'create' | 'update' | 'delete' | 'publish' | 'unpublish'

export interface Change {
  module: ChangeModule
  event: ChangeEvent
  apiKey: string
  branch: string
  /** Entries and assets; publish and unpublish come once per environment and locale. */
  locale?: string
  /** publish and unpublish only. */
  environment?: Environment
  /** The published version, for publish. */
  version?: number
  /** Read shape as the CMA returns it; for delete the last state. */
  object: Record<string, unknown>
  /** Entries: the schema it belongs to. */
  contentType?: ContentType
  by: Credential
  /** ISO, sandbox time. */
  at: string
}

export type ChangeListener = (change: Change) => void

export interface Changes {
  emit(change: Change): void
  /** Called synchronously, after the world holds the change. Returns the unsubscription. */
  subscribe(listener: ChangeListener): () => void
}

export function createChanges(): Changes {
  const listeners = new Set<ChangeListener>()
  return {
    emit(change) {
      for (const listener of listeners) listener(change)
    },
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    }
  }
}
