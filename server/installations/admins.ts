// Is this CMS user an Owner or Admin of the stack? Their app-token does not say, so it is looked up with the stack's own token and
// remembered for at most five minutes. The roles' answer stays in this file: roles may carry what others must not see.
import type { Role, StackClient } from '../contentstack/stack.ts'
import type { Db } from '../database/database.ts'
import { isAppError } from '../errors.ts'
import { type CredentialDeps, stackFor } from './credentials.ts'
import type { Installation } from './installation.ts'

const rememberMilliseconds = 5 * 60_000
const maxRemembered = 1000

export interface Admins {
  admins: ReadonlySet<string>
  stackName: string | null
}

const remembered = new Map<string, { admins: ReadonlySet<string>; until: number }>()

/** null = cannot be known, because no working token stands. Throws AppError upstream. */
export async function isStackAdmin(
  db: Db,
  deps: CredentialDeps,
  installation: Pick<Installation, 'id'>,
  userUid: string
): Promise<boolean | null> {
  if (userUid === '') return false
  const known = remembered.get(installation.id)
  if (known && known.until > Date.now()) return known.admins.has(userUid)
  try {
    const stack = await stackFor(db, deps, installation.id, { lane: 'people', actor: { kind: 'system', id: 'installations' } })
    const { admins } = await readAdmins(stack)
    if (remembered.size >= maxRemembered) remembered.clear()
    remembered.set(installation.id, { admins, until: Date.now() + rememberMilliseconds })
    return admins.has(userUid)
  } catch (error) {
    if (isAppError(error, 'unauthorized') || isAppError(error, 'conflict')) return null
    throw error
  }
}

/** After a change of token, stack or membership that must count at once. */
export function forgetAdmins(installationId: string): void {
  remembered.delete(installationId)
}

export async function readAdmins(stack: StackClient): Promise<Admins> {
  return adminsIn(await stack.roles())
}

/**
 * The owner stands on the stack, not in a role; admins are the users of the system role "Admin". Custom roles may be called what they
 * like but carry other names, since role names are unique in a stack. Pure.
 */
export function adminsIn(roles: Role[]): Admins {
  const admins = new Set<string>()
  for (const role of roles) {
    if (role.name === 'Admin' || role.name === 'Owner') for (const uid of role.users ?? []) if (typeof uid === 'string') admins.add(uid)
    if (typeof role.stack?.owner_uid === 'string') admins.add(role.stack.owner_uid)
  }
  admins.delete('')
  return { admins, stackName: roles.find(role => role.stack?.name)?.stack?.name ?? null }
}
