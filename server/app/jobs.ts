// The worker's list: every room's jobs, and the events by which a lower room causes work of a higher one without knowing it.
import { pruneKind } from '../alerts/deliver.ts'
import { anchorAudit } from '../audit/anchors.ts'
import { installationJobs, sweepJob } from '../installations/custody.ts'
import { installationActive, installationById, installationUninstalled } from '../installations/installation.ts'
import { installationsInCustody, installationToken } from '../installations/token.ts'
import { watchId, watchOf } from '../installations/watch.ts'
import type { JobKind } from '../jobs/job.ts'
import { enqueue, enqueueMany } from '../jobs/queue.ts'
import { schedule, unschedule } from '../jobs/scheduler.ts'
import { planJobs } from '../sync/plan-jobs.ts'
import { pruneRunsJob } from '../sync/run-log.ts'
import { pauseSync } from '../sync/sync.ts'
import { listSyncs } from '../sync/views.ts'
import { syncJobs } from '../sync/work.ts'
import { latestHint } from '../webhooks/hints.ts'
import { webhookJobs } from '../webhooks/jobs.ts'
import { registerKind } from '../webhooks/register.ts'
import { alertJobs } from './alerts.ts'
import type { Deps } from './deps.ts'
import { vaultJobs } from './vault.ts'

export function allJobs(deps: Deps): JobKind[] {
  return [
    ...installationJobs(deps.db, deps),
    ...syncJobs({ ...deps, hintOf: record => latestHint(deps.db, record) }),
    ...planJobs(deps),
    ...webhookJobs(deps),
    ...alertJobs(deps),
    ...vaultJobs(deps),
    ...events(deps),
    anchor(deps)
  ] as JobKind[]
}

/** What runs by the clock for the whole server. */
export async function scheduleHousekeeping({ db }: Deps): Promise<void> {
  const housekeeping = [
    { kind: sweepJob, cron: '*/5 * * * *' },
    { kind: anchorJob, cron: '*/15 * * * *' },
    { kind: pruneKind, cron: '40 3 * * *' },
    { kind: pruneRunsJob, cron: '20 4 * * *' }
  ]
  for (const { kind, cron } of housekeeping) {
    await schedule(db, { id: kind, organizationId: null, cron, timeZone: 'UTC', job: { kind, lane: 'backfill', payload: {} } })
  }
}

const anchorJob = 'audit.anchor'

/** File and log are kept elsewhere than the database, so a history that was cut or rewritten does not agree with them. */
function anchor({ db, anchors, log }: Deps): JobKind {
  return { kind: anchorJob, lane: 'backfill', maxAttempts: 3, timeoutSeconds: 60, run: () => anchorAudit(db, anchors, log) }
}

/** While a server is down its webhooks fail, and ten failures in a row disable them (reference §7.5): the first thing to look at. */
export async function lookAfterWebhooks({ db }: Pick<Deps, 'db'>): Promise<void> {
  const standing = await installationsInCustody(db)
  await enqueueMany(
    db,
    standing.map(id => ({ ...registerJobOf(id), uniqueKey: watch(id) }))
  )
}

/** A sync has come or gone, and perhaps its branch with it. Were this lost, the look every ten minutes would find it. */
export async function listenAnew({ db }: Pick<Deps, 'db'>, installationId: string): Promise<void> {
  await enqueue(db, { ...registerJobOf(installationId), uniqueKey: watch(installationId) })
}

type Installed = { installationId: string }

const registerJobOf = (installationId: string) =>
  ({ kind: registerKind, lane: 'live', payload: { installationId }, group: installationId }) as const

const watch = (installationId: string) => `${registerKind} ${installationId}`

function events({ db, vault, log }: Deps): JobKind[] {
  const event = (kind: string, run: (payload: Installed) => Promise<void>): JobKind => ({
    kind,
    lane: 'local',
    maxAttempts: 20,
    timeoutSeconds: 60,
    run: payload => run(payload as Installed)
  })

  // A new token may come with other branches, and the first one makes our webhook possible at all. The look every ten minutes mends a
  // webhook that the CMS's circuit breaker has disabled, or that somebody has changed.
  const register = async ({ installationId }: Installed) => {
    const job = registerJobOf(installationId)
    const installation = await installationById(db, installationId)
    const organizationId = installation.organization_id
    await schedule(db, watchOf(installation))
    await schedule(db, { id: watch(installationId), organizationId, cron: '*/10 * * * *', timeZone: 'UTC', job })
    await enqueue(db, { ...job, uniqueKey: watch(installationId) })
  }
  return [
    event(installationToken, register),
    event(installationActive, async ({ installationId }) => {
      log.info({ installationId }, 'installation active')
    }),
    event(installationUninstalled, async ({ installationId }) => {
      const { organization_id: organizationId } = await installationById(db, installationId)
      const { items } = await listSyncs(db, { organizationIds: [organizationId], installationId, limit: 500 })
      const going = items.filter(({ state }) => state !== 'paused')
      const actor = { kind: 'system', id: 'installations', name: 'the uninstall in Contentstack' } as const
      await unschedule(db, watch(installationId))
      await unschedule(db, watchId(installationId))
      for (const sync of going) await pauseSync(db, { vault }, { installationId, id: sync.id, actor })
      log.info({ installationId, paused: going.length }, 'installation ended')
    })
  ]
}
