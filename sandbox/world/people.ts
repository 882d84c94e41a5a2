// The people of the built-in world, with the uids and toy passwords that the demo, the tests and the CMS page name, and what
// becomes of their credentials when somebody leaves. Which stacks they work in: built-in.ts.
import type { SandboxContext } from '../context.ts'
import type { User } from './model.ts'

export const harbourPublishing = 'blt0a1b2c3d4e5f6001'
export const secondShore = 'blt0a1b2c3d4e5f6002'

function person(number: number, firstName: string, lastName: string, domain: string, organizationUid: string): User {
  return {
    uid: `blt7e09f0000000000${number}`,
    email: `${firstName.toLowerCase()}@${domain}`,
    password: `${firstName.toLowerCase()}-toy-password`,
    firstName,
    lastName,
    organizationUids: [organizationUid],
    active: true
  }
}

/** The stack admin who installs the app and gives the grant; later she leaves. */
export const ada = person(1, 'Ada', 'Admin', 'harbour.example', harbourPublishing)
export const otto = person(2, 'Otto', 'Owner', 'harbour.example', harbourPublishing)
export const dora = person(3, 'Dora', 'Developer', 'harbour.example', harbourPublishing)
export const edda = person(4, 'Edda', 'Editor', 'harbour.example', harbourPublishing)
/** The other tenant's. */
export const sven = person(5, 'Sven', 'Second', 'secondshore.example', secondShore)
export const sara = person(6, 'Sara', 'Shore', 'secondshore.example', secondShore)

/**
 * Deprovisions a person: authtokens die, authorizations are revoked and with them the user tokens (contentstack.md §2). Tokens
 * of an installation and of a stack name no person and go on. Throws RangeError for an unknown uid.
 */
export function leave(context: Pick<SandboxContext, 'world' | 'clock'>, userUid: string): void {
  const { world, clock } = context
  const user = world.users[userUid]
  if (!user) throw new RangeError(`no person has the uid "${userUid}"`)
  user.active = false
  const at = clock.iso()
  for (const [token, session] of Object.entries(world.authtokens)) if (session.userUid === userUid) delete world.authtokens[token]
  for (const authorization of Object.values(world.authorizations)) {
    if (authorization.userUid === userUid) authorization.revokedAt ??= at
  }
  for (const token of Object.values(world.oauthTokens)) {
    if (token.kind === 'user' && token.userUid === userUid) token.revokedAt ??= at
  }
}

/** Lets them log in again; what was revoked stays revoked. Throws RangeError for an unknown uid. */
export function comeBack(context: Pick<SandboxContext, 'world'>, userUid: string): void {
  const user = context.world.users[userUid]
  if (!user) throw new RangeError(`no person has the uid "${userUid}"`)
  user.active = true
}
