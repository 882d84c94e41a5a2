// What the operator's door asks of the rooms below (http/operator), bound to database and dependencies. It spans every organization:
// whoever holds the key ring runs this server.
import type { Services } from '../http/server.ts'
import { presentKey } from '../http/present.ts'
import { listAccessKeys, revokeAccessKey } from '../identity/access-keys.ts'
import { installationById, listInstallations } from '../installations/installation.ts'
import { operatorInstallations } from './adopt.ts'
import { auditDoor, organizationDoor } from './audit.ts'
import { jobDoor } from './dead-jobs.ts'
import type { Deps } from './deps.ts'
import { doctorServices } from './doctor/inside.ts'
import { createKey, installationViews } from './stack-services.ts'
import { vaultServices } from './vault.ts'
import { tokenServices } from './tokens.ts'

const mostRows = 500

export function operatorServices(deps: Deps): Services['operator'] {
  const { db } = deps
  const everyOrganization = async () => (await db.selectFrom('organization').select('id').execute()).map(({ id }) => id)
  return {
    ...operatorInstallations(deps),
    ...vaultServices(deps),
    ...doctorServices(deps),
    ...tokenServices(deps),
    audit: auditDoor(deps),
    jobs: jobDoor(deps),
    organizations: organizationDoor(deps),
    async installation(id) {
      const [view] = await installationViews(deps, [await installationById(db, id)])
      return view!
    },
    async installations() {
      return await installationViews(deps, await listInstallations(db, { organizationIds: await everyOrganization(), limit: mostRows }))
    },
    async keys() {
      const rows = await listAccessKeys(db, { organizationIds: await everyOrganization(), limit: mostRows })
      return rows.map(row => presentKey(row))
    },
    createKey: async (id, actor, key) => await createKey(deps, await installationById(db, id), actor, key),
    async revokeKey(actor, id) {
      const row = await revokeAccessKey(db, deps, { id, organizationIds: await everyOrganization(), actor })
      const { stack_name: stackName } = await installationById(db, row.installation_id)
      return presentKey({ ...row, stack_name: stackName || 'your stack' })
    }
  }
}
