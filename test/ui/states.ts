// What the door answers for an installation in each state of its token's life, in the contract's shapes.
import type { Grant, Token } from '../../server/http/contract/custody.ts'
import type { Alert, AlertRecipient, Connection, ConnectorInfo, Installation, Predecessor, Sync } from '../../server/http/contract/stack.ts'
import type { WebhookHealth } from '../../server/http/contract/webhooks.ts'
import type { ErasurePreview, ErasureReceipt } from '../../server/http/contract/console.ts'
import { type Door, installation } from './stage.ts'

export const day = 86_400_000

export const token: Token = {
  id: 'tok_1',
  name: 'Quayside 9f2c41ab77d0',
  origin: 'minted',
  status: 'active',
  fingerprint: '9f2c41ab77d0',
  branches: ['main', 'spring'],
  expiresAt: Date.now() + 85.5 * day,
  verification: [
    { check: 'stack', result: 'granted', detail: 'blt8f14e45fceea167a in region eu' },
    { check: 'alive', result: 'granted', detail: 'Contentstack accepts it.' },
    { check: 'branch main', result: 'granted', detail: 'Readable.' },
    { check: 'branch spring', result: 'granted', detail: 'Readable.' },
    { check: 'read', result: 'granted', detail: 'Content types are readable.' },
    { check: 'write', result: 'likely', detail: 'Contentstack did not refuse it for permission; the first real write will prove it.' }
  ],
  verifiedAt: Date.now() - 5 * day,
  checkedAt: Date.now() - 1_200_000,
  exposed: false,
  error: null,
  createdAt: Date.now() - 5 * day
}

export const expiring: Token = { ...token, status: 'expiring', expiresAt: Date.now() + 6.5 * day }
export const exposed: Token = { ...token, exposed: true }
export const dead: Token = {
  ...token,
  status: 'dead',
  error: 'Contentstack refuses it (401, code 105), confirmed by a request of our own.'
}
export const retired: Token = { ...token, id: 'tok_0', name: 'Quayside 00aa11bb22cc', status: 'retired', createdAt: Date.now() - 95 * day }
export const orphaned: Token = {
  ...retired,
  id: 'tok_9',
  name: 'Quayside 77d09f2c41ab',
  status: 'orphaned',
  fingerprint: null,
  error: 'It may stand in Contentstack under this name. The next grant deletes it, or a person under Settings > Tokens.'
}

export function grant(change: Partial<Grant> = {}): Grant {
  return {
    id: 'grf_1',
    purpose: 'rotate',
    status: 'revoked',
    validUntil: null,
    error: null,
    createdAt: Date.now() - 5 * day,
    finishedAt: Date.now() - 5 * day,
    ...change
  }
}

export const mail: AlertRecipient = {
  id: 'rcp_1',
  kind: 'email',
  address: 'cms-team@harbour.example',
  createdBy: 'Otto Operator',
  createdAt: Date.now() - 90 * day,
  sentAt: Date.now() - 2 * day,
  error: null
}
export const channel: AlertRecipient = {
  ...mail,
  id: 'rcp_2',
  kind: 'slack',
  address: 'https://hooks.slack.example',
  sentAt: null,
  error: 'hooks.slack.example answered 404: the channel no longer takes messages at this address.'
}
export const hook: AlertRecipient = { ...mail, id: 'rcp_3', kind: 'webhook', address: 'https://ops.harbour.example', sentAt: null }

export const alert: Alert = {
  id: 'alt_1',
  kind: 'token.expiring',
  title: 'The token of Blog EU expires in 7 days',
  text: 'On 30 Nov 2026. When it does, its 3 syncs wait; nothing is lost. A stack admin rotates it with one click.',
  links: [{ title: 'Open in Contentstack', url: 'https://app.contentstack.example/installed-apps/i1' }],
  at: Date.now() - 2 * day
}
export const parting: Alert = { ...alert, id: 'alt_2', kind: 'installation.left', title: 'Quayside was uninstalled from Blog EU' }

export const connector: ConnectorInfo = {
  id: 'sql',
  support: 'contract tests on real databases',
  directions: ['outbound', 'inbound'],
  settings: {
    oneOf: [
      { type: 'object', properties: { system: { const: 'sqlite', description: 'SQLite' }, file: { type: 'string' } }, secrets: [] },
      {
        type: 'object',
        properties: { system: { const: 'postgres', description: 'PostgreSQL' }, host: { type: 'string' } },
        secrets: ['password']
      }
    ]
  },
  secrets: ['password'],
  passingSecrets: []
}

export const connection: Connection = {
  id: 'con_1',
  connector: 'sql',
  name: 'Website database',
  system: 'PostgreSQL',
  settings: { system: 'postgres', host: 'db.harbour.example', port: 5432 },
  secrets: 'kept',
  checkedAt: Date.now() - 3_600_000,
  error: null,
  createdAt: Date.now() - 90 * day
}

export const sync: Sync = {
  id: 'syn_1',
  installationId: 'ins_1',
  name: 'Articles',
  direction: 'outbound',
  connectionId: 'con_1',
  connectionName: 'Website database',
  system: 'PostgreSQL',
  contentType: 'article',
  target: 'article',
  branch: 'main',
  locales: [],
  mapping: [],
  externalIdField: null,
  outbound: { source: 'draft', environment: null, filter: null, embed: 0, richText: 'html' },
  inbound: null,
  schedule: null,
  state: 'active',
  pausedReason: null,
  records: { synced: 1204, failed: 0 },
  lastRun: { id: 'run_1', status: 'success', finishedAt: Date.now() - 3_600_000 },
  createdAt: Date.now() - 90 * day
}

export const predecessor: Predecessor = {
  id: 'ins_0',
  installedAt: Date.now() - 200 * day,
  endedAt: Date.now() - 3 * day,
  connections: 1,
  syncs: 3,
  links: 1204
}

export const busy: Installation['syncs'] = { active: 3, paused: 0, failing: 0 }

/** The installation as its summary shows that token. */
export function installed(of: Token | null, change: Partial<Installation> = {}): Installation {
  return {
    ...installation,
    syncs: busy,
    token: of && { status: of.status, fingerprint: of.fingerprint, expiresAt: of.expiresAt },
    hold:
      of?.status === 'dead'
        ? { reason: 'Contentstack no longer accepts the management token of this stack.', since: Date.now() - 600_000 }
        : null,
    ...change
  }
}

export const webhook: WebhookHealth = {
  branch: 'main',
  registered: true,
  lastDeliveryAt: Date.now() - 40_000,
  missed: 0,
  missedAt: null,
  disabledAt: null,
  enabledAt: null,
  gap: null
}

export const list = (...items: unknown[]) => ({ items, next: null })

/** Every route of one installation at `prefix`, with something behind each; `change` names what is otherwise. */
export function stackDoor(prefix: string, of: Installation, custody: unknown, change: Record<string, unknown> = {}): Door {
  const answers: Record<string, unknown> = {
    '': of,
    '/token': custody,
    '/connections': list(connection),
    '/connectors': list(connector),
    '/syncs': list(sync),
    '/keys': list(),
    '/runs': list(),
    '/alerts': list(alert),
    '/recipients': list(mail),
    '/predecessors': list(),
    '/webhooks': list(webhook),
    '/jobs': list(),
    ...change
  }
  return Object.fromEntries(Object.entries(answers).map(([path, answer]) => [`GET ${prefix}${path}`, answer]))
}

const organization = { id: 'org_1', region: 'eu', organizationUid: 'blt1', name: 'Harbour Publishing' }
const standing = { name: token.name, stackName: 'Blog EU', status: 'active' }

export const preview: ErasurePreview = {
  organization,
  rows: { installation: 1, connection: 1, sync: 3, link: 1204, delivery: 88, access_key: 2, secret: 4, audit_event: 120 },
  tokens: [standing],
  refusal: {
    message: 'Harbour Publishing has 1 management token in custody.',
    remedy: 'Uninstall Quayside from Blog EU first: that deletes it at Contentstack.'
  },
  begun: false
}

export const receipt: ErasureReceipt = {
  receipt: 'quayside erasure',
  organization,
  startedAt: 1,
  at: 2,
  by: { kind: 'admin', id: 'per_1', name: 'Otto Operator' },
  rows: preview.rows,
  tokensLeft: [standing],
  head: { before: { seq: 120, mac: '9f'.repeat(32) }, after: { seq: 121, mac: '77'.repeat(32) } },
  mark: '00'.repeat(32)
}
