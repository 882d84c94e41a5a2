// From what an identity provider's groups grant to roles in our organizations. Only organizations that the operator lists count:
// a grant for '*' reaches those and no other tenant.
import type { Db } from '../database/database.ts'
import type { Person, RoleGrant } from './oidc.ts'
import type { AdminPrincipal, AdminRole } from './principal.ts'

const strength: Record<AdminRole, number> = { auditor: 1, operator: 2, admin: 3 }

/** organization.id -> the strongest role granted there. Empty when no granted organization is served here. */
export async function rolesOf(db: Db, grants: readonly RoleGrant[]): Promise<Record<string, AdminRole>> {
  const organizations = await db.selectFrom('organization').selectAll().where('status', '=', 'claimed').execute()
  const roles: Record<string, AdminRole> = {}
  for (const organization of organizations) {
    for (const { role, organizations: named } of grants) {
      const covered =
        named === '*' ||
        named.some(({ region, organizationUid }) => region === organization.region && organizationUid === organization.organization_uid)
      const before = roles[organization.id]
      if (covered && (before === undefined || strength[role] > strength[before])) roles[organization.id] = role
    }
  }
  return roles
}

/** Who logged in, with the rights that their groups give here. */
export async function adminOf(db: Db, person: Person): Promise<AdminPrincipal> {
  return {
    kind: 'admin',
    personId: `${person.issuer}#${person.subject}`,
    name: person.name,
    email: person.email,
    roles: await rolesOf(db, person.grants)
  }
}
