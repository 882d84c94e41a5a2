// People at the CMA: logging in and out, who am I, which stacks, which roles (contentstack.md §2, §8.5). Stacks and the user are
// for people's credentials; roles also answer to the stack's token.
import { Router } from 'express'
import type { SandboxContext } from '../context.ts'
import type { Stack, StackRole, User, World } from '../world/model.ts'
import { roleIn } from '../world/stack.ts'
import { newUid, uidFor } from '../world/uids.ts'
import type { Call, Doors, PersonalCall } from './call.ts'
import { personBehind } from './credentials.ts'
import { flag, pageOf, pagingOf } from './page.ts'
import { insufficientPermissions, notLoggedIn, Refusal } from './refusal.ts'

/** §2: the 21st silently expires the oldest. */
const mostAuthtokens = 20

export function peopleRoutes(context: SandboxContext, doors: Doors): Router {
  const router = Router()

  router.post(
    '/user-session',
    doors.open(request => {
      const given = ((request.body as Record<string, unknown> | undefined)?.['user'] ?? {}) as Record<string, unknown>
      const user = Object.values(context.world.users).find(one => one.email === given['email'] && one.password === given['password'])
      // Code 104 and its text are [MEM].
      if (!user?.active)
        throw new Refusal(422, 104, 'Looks like your email or password is invalid. Please try again or reset your password.', {})
      if (mustUseSso(context.world, user))
        throw new Refusal(401, 105, "You're not allowed in here unless you're logged in.", { authtoken: ['is not valid.'] })
      const authtoken = newAuthtoken(context, user.uid)
      return { body: { notice: 'Login Successful.', user: { ...userShape(context.world, user, true), authtoken } } }
    })
  )

  router.delete(
    '/user-session',
    doors.personal((call, request) => {
      personOf(call)
      const authtoken = request.headers['authtoken']
      if (typeof authtoken === 'string') delete context.world.authtokens[authtoken]
      return { body: { notice: "You've logged out successfully." } }
    })
  )

  router.get(
    '/user',
    doors.personal(call => {
      const user = personOf(call, 'user:read')
      const organizations = flag(call.params, 'include_orgs') || flag(call.params, 'include_orgs_roles')
      return { body: { user: userShape(context.world, user, organizations) } }
    })
  )

  router.get('/stacks', (request, response, next) => {
    const one = doors.stack(call => {
      if (personBehind(call.credential) === null) throw notLoggedIn('authtoken')
      call.permit('stack', 'read')
      return { body: { stack: stackShape(call.stack) } }
    })
    // Without an api_key it lists; the organization must be named for SSO organizations and for OAuth.
    const all = doors.personal((call, asked) => {
      const user = personOf(call, 'cm.stacks.management:read')
      const organization = asked.headers['organization_uid']
      const needed =
        call.credential.kind === 'oauth_user' || user.organizationUids.some(uid => context.world.organizations[uid]?.ssoEnabled)
      if (needed && typeof organization !== 'string')
        throw new Refusal(412, 109, 'Please provide a valid organization_uid.', { organization_uid: ['is not valid.'] })
      const stacks = Object.values(context.world.stacks).filter(
        stack =>
          roleIn(context.world, stack, user.uid) !== null && (typeof organization !== 'string' || stack.organizationUid === organization)
      )
      return { body: pageOf(stacks.map(stackShape), call.params, 'stacks') }
    })
    return request.headers['api_key'] === undefined ? all(request, response, next) : one(request, response, next)
  })

  router.get(
    '/roles',
    doors.stack(call => {
      permitRoles(call)
      return { body: pageOf(rolesOf(context.world, call.stack), call.params, 'roles') }
    })
  )
  router.get(
    '/roles/:uid',
    doors.stack((call, request) => {
      permitRoles(call)
      const role = rolesOf(context.world, call.stack).find(one => one['uid'] === request.params['uid'])
      if (!role) throw new Refusal(422, 141, "The requested object doesn't exist.", { uid: ['is not valid.'] })
      return { body: { role } }
    })
  )

  // §8.5: 30 days of who did what; here built from the accepted writes.
  router.get(
    '/audit-logs',
    doors.stack(call => {
      call.permit('audit_logs', 'read')
      const oldest = call.context.clock.now() - 30 * 86_400_000
      const recent = call.stack.writes
        .map((write, index) => ({ write, index }))
        .filter(one => Date.parse(one.write.at) >= oldest)
        .reverse()
      const { skip, limit } = pagingOf(call.params)
      const logs = recent.slice(skip, skip + limit).map(({ write, index }) => ({
        uid: uidFor(`${call.stack.apiKey}/write/${index}`),
        stack: call.stack.apiKey,
        created_at: write.at,
        created_by: write.by.uid,
        module: write.module,
        event_type: write.action,
        metadata: { uid: write.uid, title: '' }
      }))
      return { body: { logs, ...(flag(call.params, 'include_count') && { count: recent.length }) } }
    })
  )
  return router
}

/** Logs a person in without asking for a password: for the sandbox's own pages. Drops the oldest of 20. */
export function newAuthtoken(context: Pick<SandboxContext, 'world' | 'clock'>, userUid: string): string {
  const held = Object.entries(context.world.authtokens).filter(([, session]) => session.userUid === userUid)
  held.sort(([, a], [, b]) => (a.createdAt < b.createdAt ? -1 : 1))
  for (const [token] of held.slice(0, Math.max(0, held.length - (mostAuthtokens - 1)))) delete context.world.authtokens[token]
  const authtoken = newUid()
  context.world.authtokens[authtoken] = { userUid, createdAt: context.clock.iso() }
  return authtoken
}

/** §2: in an SSO organization only its owner can have an authtoken. */
function mustUseSso(world: World, user: User): boolean {
  return user.organizationUids.some(uid => world.organizations[uid]?.ssoEnabled === true && world.organizations[uid].ownerUid !== user.uid)
}

function personOf(call: PersonalCall, scope?: string): User {
  const uid = personBehind(call.credential)
  const user = uid === null ? undefined : call.context.world.users[uid]
  if (!user) throw notLoggedIn('authtoken')
  if (call.credential.kind === 'oauth_user' && scope !== undefined && !call.credential.scopes.includes(scope))
    throw insufficientPermissions()
  return user
}

/** An editor does not see who else may do what. */
function permitRoles(call: Call): void {
  call.permit('roles', 'read')
  const person = personBehind(call.credential)
  if (person !== null && !['owner', 'admin', 'developer'].includes(roleIn(call.context.world, call.stack, person) ?? ''))
    throw insufficientPermissions()
}

function userShape(world: World, user: User, withOrganizations: boolean): Record<string, unknown> {
  const organizations = user.organizationUids.map(uid => world.organizations[uid]).filter(one => one !== undefined)
  return {
    uid: user.uid,
    email: user.email,
    username: user.email,
    first_name: user.firstName,
    last_name: user.lastName,
    active: user.active,
    org_uid: user.organizationUids,
    shared_org_uid: [],
    ...(withOrganizations && {
      organizations: organizations.map(one => ({
        uid: one.uid,
        name: one.name,
        owner_uid: one.ownerUid,
        is_owner: one.ownerUid === user.uid,
        enabled: true
      }))
    })
  }
}

function stackShape(stack: Stack): Record<string, unknown> {
  const owner = Object.entries(stack.members).find(([, role]) => role === 'owner')?.[0]
  return {
    uid: stack.uid,
    name: stack.name,
    description: '',
    org_uid: stack.organizationUid,
    api_key: stack.apiKey,
    master_locale: stack.masterLocale,
    owner_uid: owner ?? null,
    user_uids: Object.keys(stack.members),
    is_asset_download_public: true,
    settings: { branches: stack.branchless !== true, version: '2019-04-30', webhook_enabled: true }
  }
}

const roleNames: Record<StackRole, string> = { owner: 'Owner', admin: 'Admin', developer: 'Developer', editor: 'Content Manager' }

function rolesOf(world: World, stack: Stack): Record<string, unknown>[] {
  return Object.entries(roleNames).map(([role, name]) => ({
    uid: uidFor(`${stack.apiKey}/role/${role}`),
    name,
    description: '',
    users: Object.keys(stack.members).filter(uid => roleIn(world, stack, uid) === role),
    roles: [],
    rules: [],
    // The platform's sample has the stack in each role: from there alone a management token learns its name.
    stack: stackShape(stack)
  }))
}
