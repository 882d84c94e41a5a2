// From rows to what the doors show (contract/stack.ts, contract/console.ts). What is not copied here cannot leave: secret ids,
// hashes and leases have no way out. Pure.
import type { Row } from '../database/schema.ts'
import type { AuditEvent } from './contract/console.ts'
import { accessKeyStatus, scopesOf } from '../identity/access-keys.ts'
import type { AccessKey, Delivery, Installation, List } from './contract/stack.ts'

export const pageSize = 50

/** A page that came full may have more behind it. */
export function listOf<T extends { id: string }, V>(rows: T[], present: (row: T) => V): List<V> {
  return { items: rows.map(present), next: rows.length < pageSize ? null : (rows.at(-1)?.id ?? null) }
}

export interface InstallationFacts {
  organization: Pick<Row<'organization'>, 'organization_uid' | 'name' | 'status'>
  hold: { reason: string; heldAt: number } | null
  token: Row<'management_token'> | null
  syncs: Installation['syncs']
  left: string[]
}

export function presentInstallation(row: Row<'installation'>, facts: InstallationFacts): Installation {
  const { organization, hold, token, syncs, left } = facts
  return {
    id: row.id,
    region: row.region,
    organizationId: row.organization_id,
    organizationUid: organization.organization_uid,
    organizationName: organization.name,
    stackApiKey: row.stack_api_key,
    stackName: row.stack_name,
    installationUid: row.installation_uid,
    status: organization.status === 'unclaimed' ? 'unclaimed' : row.status,
    hold: hold && { reason: hold.reason, since: hold.heldAt },
    token: token && { status: token.status, fingerprint: token.fingerprint, expiresAt: token.expires_at },
    syncs,
    left,
    createdAt: row.created_at
  }
}

export function presentKey(row: Row<'access_key'> & { stack_name: string }, now = Date.now()): AccessKey {
  return {
    id: row.id,
    installationId: row.installation_id,
    stackName: row.stack_name,
    name: row.name,
    fingerprint: row.fingerprint,
    owner: row.owner,
    scopes: scopesOf(row),
    status: accessKeyStatus(row, now),
    expiresAt: row.expires_at,
    lastUsedAt: row.last_used_at,
    createdAt: row.created_at
  }
}

export function presentDelivery(row: Omit<Row<'delivery'>, 'body' | 'dedupe_key'> & { stack_name: string }): Delivery {
  return {
    id: row.id,
    installationId: row.installation_id,
    stackName: row.stack_name,
    module: row.module,
    event: row.event,
    objectUid: row.object_uid,
    contentType: row.content_type,
    locale: row.locale,
    status: row.status,
    note: row.note,
    receivedAt: row.received_at,
    dispatchedAt: row.dispatched_at
  }
}

export function presentAuditEvent(row: Row<'audit_event'> & { organization_name: string }): AuditEvent {
  return {
    id: row.id,
    seq: row.seq,
    at: row.at,
    organizationName: row.organization_name,
    actor: { kind: row.actor_kind, id: row.actor_id, name: row.actor_name },
    action: row.action,
    object: { kind: row.object_kind, id: row.object_id, name: row.object_name },
    detail: JSON.parse(row.detail_json) as Record<string, unknown>
  }
}
