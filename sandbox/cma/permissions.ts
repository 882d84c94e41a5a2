// Who may do what: roles of people, the reach of a management token, OAuth scopes (contentstack.md §1.1, §1.4, §2, §3.3). Pure
// but for looking things up; it never reads a request.
import type { Credential, ManagementToken, Stack, StackRole, World } from '../world/model.ts'
import { branchNamed, roleIn, tokenOf } from '../world/stack.ts'
import { insufficientPermissions, notLoggedIn, scopeDenied } from './refusal.ts'

export type Module =
  | 'entries'
  | 'assets'
  | 'content_types'
  | 'global_fields'
  | 'locales'
  | 'environments'
  | 'branches'
  | 'webhooks'
  | 'roles'
  | 'taxonomies'
  | 'extensions'
  | 'publish_queue'
  | 'releases'
  | 'workflows'
  | 'labels'
  | 'audit_logs'
  | 'stack'
  | 'management_tokens'

export type Action = 'read' | 'write' | 'publish' | 'unpublish'

/** §1.4: content modules only; tokens, the stack itself and branch creation want a person. */
const tokenReach: Record<Module, readonly Action[]> = {
  entries: ['read', 'write', 'publish', 'unpublish'],
  assets: ['read', 'write', 'publish', 'unpublish'],
  content_types: ['read', 'write'],
  global_fields: ['read', 'write'],
  locales: ['read', 'write'],
  environments: ['read', 'write'],
  branches: ['read'],
  webhooks: ['read', 'write'],
  roles: ['read', 'write'],
  taxonomies: ['read', 'write'],
  extensions: ['read', 'write'],
  publish_queue: ['read'],
  releases: ['read', 'write'],
  workflows: ['read', 'write'],
  labels: ['read', 'write'],
  audit_logs: ['read'],
  stack: [],
  management_tokens: []
}

/** Module names as they stand in a token's scope, where they differ from ours. */
const scopeName: Partial<Record<Module, string>> = {
  entries: 'entry',
  assets: 'asset',
  content_types: 'content_type',
  global_fields: 'global_field',
  environments: 'environment',
  locales: 'locale'
}

/** §3.3: which scope opens what; any one of a row is enough. A row that is missing opens to no OAuth token. */
const oauthScopes: Partial<Record<`${Module}:${Action}`, readonly string[]>> = {
  'entries:read': ['cm.entries.management:read', 'cm.entry:read'],
  'entries:write': ['cm.entries.management:write', 'cm.entry:write'],
  'entries:publish': ['cm.entry:publish'],
  'entries:unpublish': ['cm.entry:unpublish'],
  'assets:read': ['cm.assets.management:read', 'cm.asset:read'],
  'assets:write': ['cm.assets.management:write', 'cm.asset:write'],
  'assets:publish': ['cm.asset:publish'],
  'assets:unpublish': ['cm.asset:unpublish'],
  'content_types:read': ['cm.content-types.management:read', 'cm.content-type:read'],
  'content_types:write': ['cm.content-types.management:write'],
  'global_fields:read': ['cm.global-fields.management:read'],
  'global_fields:write': ['cm.global-fields.management:write'],
  'locales:read': ['cm.languages.management:read'],
  'locales:write': ['cm.languages.management:write'],
  'environments:read': ['cm.environments.management:read'],
  'environments:write': ['cm.environments.management:write'],
  'branches:read': ['cm.branches.management:read'],
  'branches:write': ['cm.branches.management:write'],
  'webhooks:read': ['cm.webhooks.management:read', 'cm.webhook:read'],
  'webhooks:write': ['cm.webhooks.management:write'],
  'roles:read': ['cm.roles.management:read'],
  'taxonomies:read': ['cm.taxonomies.management:read'],
  'extensions:read': ['cm.extensions.management:read'],
  'publish_queue:read': ['cm.publish-queue.management:read'],
  'releases:read': ['cm.releases.management:read', 'cm.release:read'],
  'workflows:read': ['cm.workflows.management:read'],
  'labels:read': ['cm.labels.management:read'],
  'audit_logs:read': ['cm.audit-logs:read'],
  'stack:read': ['cm.stacks.management:read'],
  'management_tokens:read': ['cm.stack.management-tokens:read'],
  'management_tokens:write': ['cm.stack.management-tokens:write']
}

/** Only a person's token can carry these (§3.3, first row). */
const userTokenOnly: readonly Module[] = ['management_tokens', 'stack']

/** Throws Refusal: 401/105 where a token cannot go at all, 403/162 where it or the role may not do that. */
export function permit(world: World, stack: Stack, credential: Credential, module: Module, action: Action): void {
  switch (credential.kind) {
    case 'authtoken':
      return permitRole(roleIn(world, stack, credential.userUid), module, action)
    case 'oauth_user':
      permitScopes(credential.scopes, module, action)
      return permitRole(roleIn(world, stack, credential.userUid), module, action)
    case 'oauth_app':
      if (userTokenOnly.includes(module)) throw insufficientPermissions()
      return permitScopes(credential.scopes, module, action)
    case 'management_token': {
      const token = tokenOf(stack, credential.tokenUid)
      if (!token || !tokenReach[module].includes(action)) throw notLoggedIn('authtoken')
      return permitToken(token, module, action)
    }
    default:
      credential satisfies never
  }
}

/** The token's own module where its scope names one, else what it says for content types: the platform's Read/Write switch. */
function permitToken(token: ManagementToken, module: Module, action: Action): void {
  const named = token.scope.find(scope => scope.module === (scopeName[module] ?? module))
  const general = token.scope.find(scope => scope.module === '$all') ?? token.scope.find(scope => scope.module === 'content_type')
  const acl = (named ?? general)?.acl
  if (action === 'read' ? !acl?.read : !acl?.write) throw insufficientPermissions()
}

function permitScopes(scopes: string[], module: Module, action: Action): void {
  const wanted = oauthScopes[`${module}:${action}`]
  if (!wanted?.some(scope => scopes.includes(scope))) throw insufficientPermissions()
}

const editorWrites: readonly Module[] = ['entries', 'assets']
const adminOnly: readonly Module[] = ['management_tokens', 'audit_logs']

/** §1.1: tokens are for the owner and admins, not for developers. An editor works on content only. */
function permitRole(role: StackRole | null, module: Module, action: Action): void {
  if (role === null) throw insufficientPermissions()
  if (role === 'owner' || role === 'admin') return
  if (adminOnly.includes(module)) throw insufficientPermissions()
  if (role === 'developer') {
    if ((module === 'roles' || module === 'stack') && action !== 'read') throw insufficientPermissions()
    return
  }
  if (module === 'webhooks' || (action !== 'read' && !editorWrites.includes(module))) throw insufficientPermissions()
}

/**
 * May this credential see the stack at all, and this branch of it? Throws 401/105 for another stack's app token, 403/162 for a
 * stranger, 401/161 for a branch outside a management token's scope (§1.2).
 */
export function permitBranch(world: World, stack: Stack, credential: Credential, branch: string): void {
  if (credential.kind === 'oauth_app') {
    const installation = world.installations[credential.installationUid]
    const here = credential.apiKey === stack.apiKey || (credential.apiKey === '' && installation?.target.uid === stack.organizationUid)
    if (!here) throw notLoggedIn('access_token')
    return
  }
  if (credential.kind !== 'management_token') {
    if (roleIn(world, stack, credential.userUid) === null) throw insufficientPermissions()
    if (credential.kind === 'oauth_user' && world.authorizations[credential.authorizationUid]?.organizationUid !== stack.organizationUid) {
      throw insufficientPermissions()
    }
    return
  }
  if (stack.branchless) return
  const scope = tokenOf(stack, credential.tokenUid)?.scope ?? []
  const inScope = scope.some(
    one =>
      (one.module === 'branch' && one.branches?.some(name => name === branch)) ||
      (one.module === 'branch_alias' && one.branch_aliases?.some(alias => branchNamed(stack, alias)?.uid === branch))
  )
  if (!inScope) throw scopeDenied('branch')
}
