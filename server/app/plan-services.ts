// Plans, comparisons and the record log of one installation, bound for the doors in the contract's shapes.
import type { StackServices } from '../http/stack-routes.ts'
import { driftsOf, driftRhythmOf, scheduleDrift, startDriftBy } from '../sync/drift.ts'
import { driftView, planItems, plansOf, planView } from '../sync/plan-views.ts'
import { applyPlan, discardPlan, getPlan, startDryRun } from '../sync/plans.ts'
import { searchRecords } from '../sync/run-log.ts'
import { getRun } from '../sync/runs.ts'
import { getSync } from '../sync/sync.ts'
import { runViews } from '../sync/views.ts'
import type { Deps } from './deps.ts'

export function planServices(deps: Deps): Pick<StackServices, 'plans' | 'drift' | 'records'> {
  const { db } = deps
  const thePlan = async (installationId: string, id: string) => {
    const { plan, sync } = await getPlan(db, { installationId, id })
    return planView(plan, sync)
  }
  return {
    plans: {
      list: (installationId, syncId) => plansOf(db, { installationId, syncId }),
      get: thePlan,
      items: (installationId, id, asked) => planItems(db, { installationId, id, ...asked }),
      async make(installationId, actor, syncId) {
        const { id } = await startDryRun(db, deps, { installationId, syncId, actor })
        return await thePlan(installationId, id)
      },
      async apply(installationId, actor, id, { allowDeletes }) {
        const { id: runId } = await applyPlan(db, deps, { installationId, id, actor, allowDeletes })
        const [run] = await runViews(db, [await getRun(db, { installationId, id: runId })])
        return run!
      },
      async discard(installationId, actor, id) {
        await discardPlan(db, deps, { installationId, id, actor })
        return await thePlan(installationId, id)
      }
    },
    drift: {
      async list(installationId, syncId) {
        return (await driftsOf(db, await getSync(db, { installationId, id: syncId }))).map(driftView)
      },
      async start(installationId, actor, syncId, { repair }) {
        return driftView(await startDriftBy(db, deps, { installationId, syncId, actor, repair }))
      },
      async schedule(installationId, actor, syncId, { schedule }) {
        await scheduleDrift(db, deps, { installationId, syncId, actor, rhythm: schedule })
        return await driftRhythmOf(db, { installationId, syncId })
      },
      rhythm: async (installationId, syncId) => await driftRhythmOf(db, { installationId, syncId })
    },
    records: { search: asked => searchRecords(db, asked) }
  }
}
