// Dead letters as people see them: whose they are, what they are about, and the two things that can be done with them, each with its
// audit event in the same transaction. The queue knows no installations, and its features no dead letters; here they meet.
import { alertGroup } from '../alerts/alert.ts'
import { type Actor, appendAudit } from '../audit/audit.ts'
import type { Db } from '../database/database.ts'
import { AppError } from '../errors.ts'
import type { AnyJob, DeadJob, JobsAnswer, WhichJobs } from '../http/contract/jobs.ts'
import type { List } from '../http/contract/stack.ts'
import type { JobDoor } from '../http/operator/jobs.ts'
import { pageSize } from '../http/present.ts'
import { type Installation, installationById } from '../installations/installation.ts'
import type { ClaimedJob } from '../jobs/claim.ts'
import { discardDead, jobById, type KeptJob, listDead, retryDead, type WhichDead } from '../jobs/dead.ts'
import { runJobKind } from '../sync/runs.ts'
import type { Deps } from './deps.ts'

type JobDeps = Pick<Deps, 'db' | 'vault'>

/** Of one request: the command asks again. */
const atOnce = 200

export function jobDoor(deps: JobDeps): JobDoor {
  const { db } = deps
  return {
    async list({ kind, installation, before }) {
      const which = { kind, groups: installation === undefined ? undefined : groupsOf((await installationById(db, installation)).id) }
      return await page(db, which, before)
    },
    async show(id) {
      const job = await jobById(db, id)
      const [shown] = await present(db, [job], 'operator')
      const { state, lane, key, payload, replaces } = job
      return { ...shown!, state, lane, key, payload, replaces } satisfies AnyJob
    },
    retry: async (actor, which) => await act(deps, actor, 'job.retry', await named(db, which)),
    discard: async (actor, which) => await act(deps, actor, 'job.discard', await named(db, which))
  }
}

/** What stack-routes asks, of one installation's own. */
export function deadJobServices(deps: JobDeps) {
  const { db } = deps
  const one = (action: 'job.retry' | 'job.discard') => async (installationId: string, actor: Actor, id: number) => {
    const { jobs } = await act(deps, actor, action, { ids: [id], groups: groupsOf(installationId) })
    if (jobs.length === 0) throw new AppError('not_found', `There is no dead job ${id}.`)
    return { jobs, more: false }
  }
  return {
    list: async ({ installationId, before }: { installationId: string; before?: string | undefined }) =>
      await page(db, { groups: groupsOf(installationId) }, before, 'tenant'),
    retry: one('job.retry'),
    discard: one('job.discard')
  }
}

/** Across the organizations of a person in the console. */
export async function listDeadJobs(
  db: Db,
  asked: { organizationIds: readonly string[]; installationId?: string | undefined; before?: string | undefined; kind?: string | undefined }
): Promise<List<DeadJob>> {
  const { installationId, kind, before } = asked
  if (asked.organizationIds.length === 0) return { items: [], next: null }
  const installations = await db
    .selectFrom('installation')
    .select('id')
    .where('organization_id', 'in', asked.organizationIds)
    .$if(installationId !== undefined, query => query.where('id', '=', installationId as string))
    .execute()
  const groups = installations.flatMap(({ id }) => groupsOf(id))
  return groups.length === 0 ? { items: [], next: null } : await page(db, { groups, kind }, before, 'tenant')
}

/** That a run ended after its lease had gone to another process stands in the trail: what it wrote may have been written twice. */
export function overtakenJob({ db, vault }: JobDeps): (job: ClaimedJob) => Promise<void> {
  return async job => {
    const installation = await installationOf(db, job.group_id)
    if (!installation) return
    await appendAudit(db, vault, {
      organizationId: installation.organization_id,
      installationId: installation.id,
      actor: { kind: 'system', id: 'jobs', name: 'the job queue' },
      action: 'job.overtake',
      object: { kind: 'job', id: String(job.id), name: job.kind },
      detail: { attempt: job.attempt, fence: job.claims, about: aboutOf(JSON.parse(job.payload_json) as unknown) }
    })
  }
}

function groupsOf(installationId: string): string[] {
  return [installationId, alertGroup(installationId)]
}

async function installationOf(db: Db, group: string): Promise<Installation | undefined> {
  const id = group.slice(group.lastIndexOf(' ') + 1)
  return id === '' ? undefined : await db.selectFrom('installation').selectAll().where('id', '=', id).executeTakeFirst()
}

async function named(db: Db, { ids, kind, installation, all }: WhichJobs): Promise<WhichDead> {
  if (ids === undefined && kind === undefined && installation === undefined && all === undefined) {
    throw new AppError('invalid', 'It was not said which jobs.', { remedy: 'Name ids, a kind or an installation, or say all.' })
  }
  return { ids, kind, groups: installation === undefined ? undefined : groupsOf((await installationById(db, installation)).id) }
}

async function act(deps: JobDeps, actor: Actor, action: 'job.retry' | 'job.discard', which: WhichDead): Promise<JobsAnswer> {
  const { db, vault } = deps
  return await db.transaction().execute(async trx => {
    const jobs = action === 'job.retry' ? await retryDead(trx, await retriable(trx, which), atOnce) : await discardDead(trx, which, atOnce)
    const byGroup = Map.groupBy(jobs, job => job.group)
    // Chains are locked in one order.
    const owners = (
      await Promise.all([...byGroup.keys()].map(async group => ({ group, owner: await installationOf(trx, group) })))
    ).toSorted((one, other) => (one.owner?.organization_id ?? '').localeCompare(other.owner?.organization_id ?? ''))
    for (const { group, owner } of owners) {
      if (!owner) continue
      const its = byGroup.get(group) ?? []
      await appendAudit(trx, vault, {
        organizationId: owner.organization_id,
        installationId: owner.id,
        actor,
        action,
        object: { kind: 'job', id: String(its[0]!.id), name: its[0]!.kind },
        detail: { jobs: its.map(({ id, kind, payload }) => ({ id, kind, about: aboutOf(payload) })) }
      })
    }
    return { jobs: jobs.map(({ id, kind }) => ({ id, kind })), more: jobs.length === atOnce }
  })
}

/** A run ends with its job, as `failed`: what continued it would find it over. Where many are asked for, it is passed over. */
async function retriable(trx: Db, which: WhichDead): Promise<WhichDead> {
  if (which.ids === undefined && which.kind !== runJobKind) return { ...which, exceptKinds: [runJobKind] }
  const [run] = await listDead(trx, { ...which, kind: runJobKind }, { limit: 1 })
  if (!run || (which.kind !== undefined && which.kind !== runJobKind)) return which
  throw new AppError('conflict', `Job ${run.id} is of a run, and that has ended as failed.`, {
    remedy: 'Start the sync again where it stands, and discard the job.'
  })
}

async function page(
  db: Db,
  which: WhichDead,
  before: string | undefined,
  eyes: 'operator' | 'tenant' = 'operator'
): Promise<List<DeadJob>> {
  const last = before === undefined ? undefined : Number(before)
  if (last !== undefined && !Number.isSafeInteger(last)) throw new AppError('invalid', '"before" must be the id of a job.')
  const jobs = await listDead(db, which, { before: last, limit: pageSize })
  return { items: await present(db, jobs, eyes), next: jobs.length < pageSize ? null : String(jobs.at(-1)?.id) }
}

async function present(db: Db, jobs: readonly KeptJob[], eyes: 'operator' | 'tenant'): Promise<DeadJob[]> {
  const groups = [...new Set(jobs.map(job => job.group))]
  const owners = new Map(await Promise.all(groups.map(async group => [group, await installationOf(db, group)] as const)))
  return jobs.map(job => {
    const owner = owners.get(job.group)
    const words = (error: string, internal: boolean) =>
      internal && eyes === 'tenant' ? 'Something went wrong inside Quayside; the log says what.' : error
    const isRun = job.kind === runJobKind
    return {
      id: job.id,
      kind: job.kind,
      installationId: owner?.id ?? null,
      stackName: owner ? owner.stack_name || 'your stack' : '',
      about: aboutOf(job.payload),
      error: words(job.error ?? '', job.attempts.at(-1)?.internal === true),
      attempts: job.attempts.map(({ attempt, at, error, internal }) => ({ attempt, at, error: words(error, internal) })),
      overtaken: job.overtaken,
      retry: { possible: !isRun, remedy: isRun ? 'The run has ended as failed: start its sync again.' : '' },
      createdAt: job.createdAt,
      diedAt: job.finishedAt
    }
  })
}

/** The ids that a person can look for. */
function aboutOf(payload: unknown): string {
  const known = payload as Partial<
    Record<'entryUid' | 'locale' | 'runId' | 'syncId' | 'alertId' | 'grantId' | 'installationId', string>
  > | null
  const { entryUid, locale, runId, syncId, alertId, grantId, installationId } = known ?? {}
  if (entryUid !== undefined) return locale === undefined ? entryUid : `${entryUid} (${locale})`
  const { deliveryIds } = (payload ?? {}) as { deliveryIds?: string[] }
  return runId ?? deliveryIds?.join(', ') ?? alertId ?? grantId ?? syncId ?? installationId ?? ''
}
