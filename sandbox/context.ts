// What every room of the sandbox is handed: exactly the world, its time, its open questions, its troubles, its limits and its
// addresses. Not a bag: a room that needs more asks for it by argument.
import type { Changes } from './changes.ts'
import type { Clock } from './clock.ts'
import type { Faults } from './faults.ts'
import type { Plays } from './plays.ts'
import type { WebhookExecution, World } from './world/model.ts'

export interface SandboxContext {
  world: World
  clock: Clock
  plays: Plays
  faults: Faults
  changes: Changes
  limits: Limits
  /** Origins without a trailing slash; the CMA's is without `/v3`. Filled before the first request. */
  urls: SandboxUrls
  /** The webhooks room; the CMA's webhook routes call it. */
  deliveries: Deliveries
}

export interface SandboxUrls {
  application: string
  contentManagement: string
  developerHub: string
  identity: string
  control: string
}

/** Requests per second and organization (contentstack.md §8.1). Changed in place; `off` admits everything. */
export interface Limits {
  read: number
  write: number
  bulk: number
  off: boolean
}

export function createLimits(chosen: Partial<Omit<Limits, 'off'>> | 'off' = {}): Limits {
  return chosen === 'off' ? { read: 10, write: 10, bulk: 1, off: true } : { read: 10, write: 10, bulk: 1, off: false, ...chosen }
}

export interface Deliveries {
  /** Newest first; of the last 30 days. */
  executionsOf(apiKey: string, webhookUid: string): WebhookExecution[]
  /** Sends that execution once more. Resolves when attempted; rejects for an unknown execution. */
  retry(apiKey: string, executionUid: string): Promise<void>
}
