// The list of connectors: the one place where a new one is entered (CONTRIBUTING.md). It knows no connection and no sync.
import type { Connector } from './connector.ts'
import { sqlConnector } from './sql/sql.ts'
import { webhookConnector } from './webhook/webhook.ts'

export const connectors: readonly Connector[] = [sqlConnector, webhookConnector]

export function findConnector(id: string): Connector | undefined {
  return connectors.find(connector => connector.id === id)
}

/** For a server that goes down. */
export async function closeConnectors(): Promise<void> {
  await Promise.all(connectors.map(async connector => await connector.close?.()))
}
