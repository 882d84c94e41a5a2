// Every migration, in order, by name: a list that people read and merge, not what happens to lie in a folder.
import type { Migration } from './migration.ts'
import { firstTables } from './0001-first-tables.ts'
import { custodyLife } from './0002-custody-life.ts'
import { ringKeys } from './0003-ring-keys.ts'
import { erasures } from './0004-erasures.ts'
import { deadLetters } from './0005-dead-letters.ts'
import { inboundLife } from './0006-inbound-life.ts'
import { outboundSources } from './0007-outbound-sources.ts'
import { plans } from './0008-plans.ts'
import { webhookHealth } from './0009-webhook-health.ts'

export const migrations: Migration[] = [
  firstTables,
  custodyLife,
  ringKeys,
  erasures,
  deadLetters,
  inboundLife,
  outboundSources,
  plans,
  webhookHealth
]
