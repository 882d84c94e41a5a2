// Management tokens (contentstack.md §1.1-§1.3): for the stack's owner and admins, by authtoken or OAuth user token, never by a
// management token. The secret is shown once, in the reply to its creation. At the limit the play decides what happens.
import { Router, type Request } from 'express'
import { lateMs } from '../plays.ts'
import type { ManagementToken, TokenScope } from '../world/model.ts'
import { branchNamed } from '../world/stack.ts'
import { newRowUid, newSecret } from '../world/uids.ts'
import type { Call, Doors } from './call.ts'
import { isAlive } from './credentials.ts'
import { flag, pageOf } from './page.ts'
import { authorOf, recordWrite } from './record.ts'
import { invalidData, noSuchObject, notLoggedIn, Refusal, type FieldErrors } from './refusal.ts'

export function managementTokenRoutes(doors: Doors): Router {
  const router = Router()
  const path = '/stacks/management_tokens'

  router.get(
    path,
    doors.stack(call => {
      permitList(call)
      const tokens = shown(call).map(shape)
      if (call.context.plays.tokenPaging === 'whole') return { body: { tokens } }
      return { body: { ...pageOf(tokens, call.params, 'tokens'), ...(flag(call.params, 'include_count') && { count: tokens.length }) } }
    })
  )
  router.get(
    `${path}/:uid`,
    doors.stack((call, request) => {
      permitList(call)
      return { body: { token: shape(named(call, request)) } }
    })
  )
  router.post(
    path,
    doors.stack(call => {
      const byGrant = call.credential.kind === 'oauth_user' || call.credential.kind === 'oauth_app'
      if (byGrant && call.context.plays.grantMints === 'refused') throw notLoggedIn('authtoken')
      const token = call.permitWrite('management_tokens', () => valid(call, null))
      makeRoom(call)
      call.stack.managementTokens[token.uid] = token
      recordWrite(call, { action: 'create', module: 'management_token', uid: token.uid })
      return { status: 201, body: { notice: 'Management Token created successfully.', token: { ...shape(token), token: token.secret } } }
    })
  )
  router.put(
    `${path}/:uid`,
    doors.stack((call, request) => {
      const token = call.permitWrite('management_tokens', () => valid(call, named(call, request)))
      call.stack.managementTokens[token.uid] = token
      recordWrite(call, { action: 'update', module: 'management_token', uid: token.uid })
      return { body: { notice: 'Management Token updated successfully.', token: shape(token) } }
    })
  )
  router.delete(
    `${path}/:uid`,
    doors.stack((call, request) => {
      const token = call.permitWrite('management_tokens', () => named(call, request))
      delete call.stack.managementTokens[token.uid]
      const deleted = (call.stack.deletedTokens ??= {})
      deleted[token.uid] = token.dead ? token : { ...token, dead: true, deadSince: call.context.clock.iso() }
      recordWrite(call, { action: 'delete', module: 'management_token', uid: token.uid })
      return { body: { notice: 'Management Token deleted successfully.' } }
    })
  )
  return router
}

/** §1.3: the documentation gives two limits and two behaviours; both are played. The refusal's code is not established. */
function makeRoom(call: Call): void {
  const all = Object.values(call.stack.managementTokens)
  if (call.context.plays.tokenLimit === 'refuse-30') {
    if (all.length >= 30)
      throw new Refusal(422, 119, 'Management Token creation failed. You have reached the maximum number of tokens.', {
        token: ['limit reached.']
      })
    return
  }
  const alive = all.filter(token => isAlive(token, call.context.clock.now())).sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1))
  for (const oldest of alive.slice(0, Math.max(0, alive.length - 9))) {
    oldest.dead = true
    oldest.deadSince = call.context.clock.iso()
  }
}

function permitList(call: Call): void {
  call.permit('management_tokens', 'read')
  if (call.context.plays.tokenListScope === 'write') call.permit('management_tokens', 'write')
}

function shown({ stack, context: { clock, plays } }: Call): ManagementToken[] {
  const since = plays.tokenListing === 'late' ? clock.now() - lateMs : Infinity
  return Object.values(stack.managementTokens).filter(token => Date.parse(token.createdAt) <= since)
}

function named(call: Call, request: Request): ManagementToken {
  const token = call.stack.managementTokens[String(request.params['uid'])]
  if (!token) throw noSuchObject()
  return token
}

/** Never the secret, not even a part of it. */
function shape(token: ManagementToken): Record<string, unknown> {
  return {
    uid: token.uid,
    name: token.name,
    description: token.description,
    scope: token.scope,
    expires_on: token.expires_on,
    is_email_notification_enabled: token.is_email_notification_enabled,
    created_at: token.createdAt,
    updated_at: token.updatedAt,
    created_by: token.createdBy,
    type: 'management'
  }
}

function valid(call: Call, before: ManagementToken | null): ManagementToken {
  const given = (call.body['token'] ?? {}) as Record<string, unknown>
  const errors: FieldErrors = {}
  const name = given['name'] ?? before?.name
  if (typeof name !== 'string' || name === '') errors['name'] = ['is a required field.']
  else if (Object.values(call.stack.managementTokens).some(one => one.name === name && one.uid !== before?.uid))
    errors['name'] = ['is not unique.']
  const scope = (given['scope'] ?? before?.scope) as unknown
  addScopeErrors(call, scope, errors)
  const directives = [given['expires_on'] !== undefined, given['is_never_expires'] !== undefined].filter(Boolean)
  if (call.context.plays.tokenExpiry === 'required' && !before && directives.length !== 1)
    errors['expires_on'] = ['exactly one expiry directive is required.']
  const expires = given['is_never_expires'] === true ? null : (given['expires_on'] ?? before?.expires_on ?? null)
  if (expires !== null && (typeof expires !== 'string' || Number.isNaN(Date.parse(expires)))) errors['expires_on'] = ['is not valid.']
  if (Object.keys(errors).length > 0)
    throw invalidData(`Management Token ${before ? 'update' : 'creation'} failed. Please try again.`, errors)
  const at = call.context.clock.iso()
  return {
    uid: before?.uid ?? newRowUid(),
    name: name as string,
    description: typeof given['description'] === 'string' ? given['description'] : (before?.description ?? ''),
    secret: before?.secret ?? newSecret(),
    scope: scope as TokenScope[],
    expires_on: expires as string | null,
    is_email_notification_enabled: given['is_email_notification_enabled'] === true || (before?.is_email_notification_enabled ?? false),
    createdAt: before?.createdAt ?? at,
    updatedAt: at,
    createdBy: before?.createdBy ?? authorOf(call),
    dead: before?.dead ?? false
  }
}

const known = ['$all', 'content_type', 'entry', 'asset', 'environment', 'locale', 'global_field', 'webhook', 'branch', 'branch_alias']

/** §1.2: branch scope is mandatory where there are branches; a wildcard branch is told "branch(es) not found". */
function addScopeErrors(call: Call, scope: unknown, errors: FieldErrors): void {
  if (!Array.isArray(scope) || scope.length === 0) {
    errors['scope'] = ['is a required field.']
    return
  }
  const scopes = scope as Partial<TokenScope>[]
  if (scopes.some(one => typeof one?.module !== 'string' || !known.includes(one.module))) errors['scope'] = ['module is not valid.']
  const branches = scopes.flatMap(one => (one?.module === 'branch' ? (one.branches ?? []) : []))
  const aliases = scopes.flatMap(one => (one?.module === 'branch_alias' ? (one.branch_aliases ?? []) : []))
  if (call.stack.branchless) {
    const played = call.context.plays.branchlessScope
    if (branches.length + aliases.length > 0 && played === 'refused') errors['scope.branch_or_alias'] = ['is not valid.']
    return
  }
  if (branches.length + aliases.length === 0) errors['scope.branch_or_alias'] = ['is a required field.']
  const missing = [...branches, ...aliases].filter(name => !branchNamed(call.stack, name))
  if (missing.length > 0) errors['scope.branch_or_alias'] = [`${missing.join(', ')} branch(es) not found.`]
}
