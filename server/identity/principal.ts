// Who acts, and what they may do: the one place where roles become rights. Pure: it knows no table, no request and no clock,
// and denies whatever it does not name. A use case takes the tenant from the principal, never from the request (security.md).

export type AdminRole = 'admin' | 'operator' | 'auditor'

export type Principal = AdminPrincipal | ExtensionPrincipal | KeyPrincipal | SystemPrincipal

/** A person in the console. `roles` holds only organizations we serve: organization.id -> role. */
export interface AdminPrincipal {
  kind: 'admin'
  /** The person: issuer and subject of the identity provider. */
  personId: string
  name: string
  email: string
  roles: Record<string, AdminRole>
}

/** A CMS user in our iframe. */
export interface ExtensionPrincipal {
  kind: 'extension'
  installationId: string
  organizationId: string
  userUid: string
  /** Proven Owner or Admin of the stack. null = not knowable, because no token stands to ask with. */
  stackAdmin: boolean | null
}

/** A script. It acts through the gateway alone, where gateway/policy.ts reads its scopes. */
export interface KeyPrincipal {
  kind: 'key'
  keyId: string
  name: string
  /** The person answerable for it. */
  owner: string
  installationId: string
  organizationId: string
  scopes: KeyScope[]
}

/** A job, or the operator's own command line. */
export interface SystemPrincipal {
  kind: 'system'
  name: string
}

export interface KeyScope {
  module: 'entries' | 'assets' | 'content_types'
  actions: ('read' | 'write' | 'publish' | 'delete')[]
  /** Only these content types; absent = all. */
  contentTypes?: string[] | undefined
}

/** grant.start also covers pasting a token: either act proves by itself that the person is Owner or Admin of the stack. */
export const actions = [
  'installation.read',
  'sync.read',
  'sync.run',
  'sync.write',
  'connection.read',
  'connection.write',
  'custody.read',
  'custody.write',
  'grant.start',
  'key.read',
  'key.write',
  'delivery.read',
  'audit.read',
  'organization.erase',
  'entry.status',
  'entry.sync'
] as const

export type Action = (typeof actions)[number]

/** What is acted upon. Without an installation: the organization as a whole, such as a list or the audit trail. */
export interface Target {
  organizationId: string
  installationId?: string
}

const auditorActions: readonly Action[] = [
  'installation.read',
  'sync.read',
  'connection.read',
  'custody.read',
  'key.read',
  'delivery.read',
  'audit.read'
]

const roleActions: Record<AdminRole, readonly Action[]> = {
  auditor: auditorActions,
  operator: [...auditorActions, 'sync.run', 'sync.write', 'entry.status', 'entry.sync'],
  admin: actions
}

const editorActions: readonly Action[] = ['installation.read', 'entry.status', 'entry.sync']
const unprovenActions: readonly Action[] = [...editorActions, 'grant.start']
/** One stack's admin has no say over the organization's other stacks. */
const stackAdminActions: readonly Action[] = actions.filter(action => action !== 'audit.read' && action !== 'organization.erase')

export function can(principal: Principal, action: Action, target: Target): boolean {
  switch (principal.kind) {
    case 'admin': {
      // Own properties only: an organization called `constructor` has no role.
      const role = Object.hasOwn(principal.roles, target.organizationId) ? principal.roles[target.organizationId] : undefined
      return role !== undefined && Object.hasOwn(roleActions, role) && roleActions[role].includes(action)
    }
    case 'extension':
      return (
        principal.organizationId === target.organizationId &&
        principal.installationId === target.installationId &&
        extensionActions(principal.stackAdmin).includes(action)
      )
    case 'key':
      return false
    case 'system':
      return actions.includes(action)
    default:
      return false
  }
}

function extensionActions(stackAdmin: boolean | null): readonly Action[] {
  if (stackAdmin === true) return stackAdminActions
  return stackAdmin === null ? unprovenActions : editorActions
}

/** Organizations whose rows this principal may list at all. `'*'` is the system's alone. */
export function organizationsOf(principal: Principal, action: Action): string[] | '*' {
  switch (principal.kind) {
    case 'admin':
      return Object.keys(principal.roles).filter(organizationId => can(principal, action, { organizationId }))
    case 'extension': {
      const { organizationId, installationId } = principal
      return can(principal, action, { organizationId, installationId }) ? [organizationId] : []
    }
    case 'key':
      return []
    case 'system':
      return '*'
    default:
      return []
  }
}

/** The principal as audit events and runs name it. */
export function actorOf(principal: Principal): { kind: Principal['kind']; id: string; name: string } {
  switch (principal.kind) {
    case 'admin':
      return { kind: 'admin', id: principal.personId, name: principal.email ? `${principal.name} <${principal.email}>` : principal.name }
    case 'extension':
      return { kind: 'extension', id: principal.userUid, name: `CMS user ${principal.userUid}` }
    case 'key':
      return { kind: 'key', id: principal.keyId, name: principal.name }
    case 'system':
      return { kind: 'system', id: principal.name, name: principal.name }
    default:
      throw new RangeError('unknown principal')
  }
}
