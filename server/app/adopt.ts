// Taking over what an earlier installation left, and moving to another server, bound for both doors.
import type { OperatorInstallations } from '../http/operator/installations.ts'
import type { StackServices } from '../http/stack-routes.ts'
import { installationById } from '../installations/installation.ts'
import { adopt, predecessorsOf } from '../sync/adopt.ts'
import { renewSecrets } from '../sync/connections.ts'
import { beginExport, exportPage } from '../sync/export.ts'
import { finishImport, importLines } from '../sync/import.ts'
import { connectionView } from '../sync/views.ts'
import type { Deps } from './deps.ts'

/** One turn of a takeover at the operator door, whose command asks again. */
const turnSeconds = 10

export function adoptServices(deps: Deps): Pick<StackServices, 'adoption'> {
  const { db } = deps
  return {
    adoption: {
      predecessors: async id => await predecessorsOf(db, await installationById(db, id)),
      async adopt(id, actor, from) {
        const { connections, syncs, links } = await adopt(db, deps, { installation: await installationById(db, id), actor, from })
        return { connections, syncs, links }
      },
      async renewSecrets(installationId, actor, id, secrets) {
        const installation = await installationById(db, installationId)
        return await connectionView(db, deps.vault, await renewSecrets(db, deps, { installation, actor, id, secrets }))
      }
    }
  }
}

export function operatorInstallations(deps: Deps): Omit<OperatorInstallations, 'installation'> {
  const { db } = deps
  const installed = (id: string) => installationById(db, id)
  return {
    predecessors: async id => await predecessorsOf(db, await installed(id)),
    adopt: async (id, actor, from) =>
      await adopt(db, deps, { installation: await installed(id), actor, from, until: Date.now() + turnSeconds * 1000 }),
    beginExport: async (id, actor) => await beginExport(db, deps, { installation: await installed(id), actor }),
    exportPage: async (id, after) => await exportPage(db, await installed(id), after),
    importLines: async (id, actor, { head, lines }) => ({
      added: await importLines(db, deps, { installation: await installed(id), actor, head, lines })
    }),
    finishImport: async (id, actor, { head, counts }) =>
      await finishImport(db, deps, { installation: await installed(id), actor, head, counts })
  }
}
