// One installation's own routes, in the shapes of contract/stack.ts. They stand behind two doors, the frame of a stack admin and
// the console of an operator; each door puts its `Scope` before them, and every route names the action that it needs.
import { type Request, type Response, Router } from 'express'
import type { Actor } from '../audit/audit.ts'
import { AppError } from '../errors.ts'
import { type Action, actorOf, can, type Principal } from '../identity/principal.ts'
import type { DeadJob, JobsAnswer } from './contract/jobs.ts'
import { ApplyPlan, DriftRhythm, recordOutcomes, StartDrift } from './contract/plans.ts'
import type * as planned from './contract/plans.ts'
import type { Token, Custody, GrantStart } from './contract/custody.ts'
import type * as shapes from './contract/stack.ts'
import { NewGrant, PasteToken } from './contract/custody.ts'
import {
  Adopt,
  ConnectionSecrets,
  NewAlertRecipient,
  NewConnection,
  NewKey,
  NewSync,
  SyncChange,
  SyncMapping,
  SyncPreview
} from './contract/stack.ts'
import type { WebhookHealth } from './contract/webhooks.ts'
import { bodyOf, jobIdOf, limitOf, paramOf, queryOf, requiredQuery } from './guards.ts'

/** Who asks, about which installation. */
export interface Scope {
  principal: Principal
  installationId: string
  organizationId: string
}

/** What the routes ask of the rooms below, each already bound to database and dependencies by app.ts. */
export interface StackServices {
  presentInstallation(installationId: string): Promise<shapes.Installation>
  custody: {
    of(installationId: string): Promise<Custody>
    startGrant(installationId: string, actor: Actor, userUid: string | null, grant: NewGrant): Promise<GrantStart>
    paste(installationId: string, actor: Actor, userUid: string | null, token: string): Promise<Token>
  }
  connections: {
    connectors(): shapes.ConnectorInfo[]
    list(installationId: string): Promise<shapes.Connection[]>
    create(installationId: string, actor: Actor, connection: NewConnection): Promise<shapes.Connection>
    check(installationId: string, connectionId: string): Promise<shapes.Connection>
    fields(installationId: string, connectionId: string, target: string): Promise<shapes.SourceField[]>
    pause(installationId: string, actor: Actor, connectionId: string): Promise<shapes.Sync[]>
  }
  adoption: {
    predecessors(installationId: string): Promise<shapes.Predecessor[]>
    adopt(installationId: string, actor: Actor, from: string): Promise<shapes.Adopted>
    renewSecrets(installationId: string, actor: Actor, connectionId: string, secrets: Record<string, string>): Promise<shapes.Connection>
  }
  syncs: {
    contentTypes(installationId: string): Promise<shapes.ContentType[]>
    list(installationId: string): Promise<shapes.Sync[]>
    get(installationId: string, syncId: string): Promise<shapes.Sync>
    create(installationId: string, actor: Actor, sync: NewSync): Promise<shapes.Sync[]>
    preview(installationId: string, preview: SyncPreview): Promise<shapes.Preview>
    remap(installationId: string, actor: Actor, syncId: string, mapping: SyncMapping['mapping']): Promise<shapes.Sync>
    change(installationId: string, actor: Actor, syncId: string, change: SyncChange): Promise<shapes.Sync>
    run(installationId: string, actor: Actor, syncId: string): Promise<shapes.Run>
    openPush(installationId: string, actor: Actor, syncId: string): Promise<shapes.PushDoor>
  }
  runs: {
    list(filter: { installationId: string; syncId?: string | undefined; before?: string | undefined }): Promise<shapes.List<shapes.Run>>
    get(installationId: string, runId: string): Promise<shapes.Run>
    failures(installationId: string, runId: string): Promise<shapes.FailedRecord[]>
    cancel(installationId: string, actor: Actor, runId: string): Promise<shapes.Run>
  }
  deadJobs: {
    list(filter: { installationId: string; before?: string | undefined }): Promise<shapes.List<DeadJob>>
    /** AppError not_found, also for another installation's; conflict for a run's. */
    retry(installationId: string, actor: Actor, jobId: number): Promise<JobsAnswer>
    discard(installationId: string, actor: Actor, jobId: number): Promise<JobsAnswer>
  }
  webhooks: { list(installationId: string): Promise<WebhookHealth[]> }
  plans: {
    list(installationId: string, syncId: string): Promise<planned.Plan[]>
    get(installationId: string, planId: string): Promise<planned.Plan>
    items(
      installationId: string,
      planId: string,
      asked: { step?: planned.PlanItem['step'] | undefined; after?: string | undefined }
    ): Promise<shapes.List<planned.PlanItem>>
    make(installationId: string, actor: Actor, syncId: string): Promise<planned.Plan>
    apply(installationId: string, actor: Actor, planId: string, allowed: ApplyPlan): Promise<shapes.Run>
    discard(installationId: string, actor: Actor, planId: string): Promise<planned.Plan>
  }
  drift: {
    list(installationId: string, syncId: string): Promise<planned.Drift[]>
    start(installationId: string, actor: Actor, syncId: string, drift: StartDrift): Promise<planned.Drift>
    schedule(installationId: string, actor: Actor, syncId: string, rhythm: DriftRhythm): Promise<planned.DriftNext>
    rhythm(installationId: string, syncId: string): Promise<planned.DriftNext>
  }
  records: {
    search(asked: {
      installationId: string
      runId?: string | undefined
      q?: string | undefined
      outcome?: planned.RunRecord['outcome'] | undefined
      before?: string | undefined
    }): Promise<shapes.List<planned.RunRecord>>
  }
  deliveries: { list(filter: { installationId: string; before?: string | undefined }): Promise<shapes.List<shapes.Delivery>> }
  keys: {
    list(filter: { installationId: string; before?: string | undefined }): Promise<shapes.List<shapes.AccessKey>>
    create(installationId: string, actor: Actor, key: NewKey): Promise<shapes.CreatedKey>
    revoke(installationId: string, actor: Actor, keyId: string): Promise<shapes.AccessKey>
  }
  alerts: { list(filter: { installationId: string; before?: string | undefined }): Promise<shapes.List<shapes.Alert>> }
  recipients: {
    list(installationId: string): Promise<shapes.AlertRecipient[]>
    add(installationId: string, actor: Actor, recipient: NewAlertRecipient): Promise<shapes.CreatedAlertRecipient>
    remove(installationId: string, actor: Actor, recipientId: string): Promise<shapes.AlertRecipient>
    test(installationId: string, recipientId: string): Promise<shapes.AlertRecipient>
  }
}

/** `scopeOf` is the door's word for who asks; it throws for whoever may not know that the installation exists. */
export function stackRoutes(services: StackServices, scopeOf: (request: Request, response: Response) => Promise<Scope>): Router {
  const router = Router({ mergeParams: true })

  const route: Route = (method, path, action, answer, status = 200) => {
    router[method](path, async (request, response) => {
      const scope = await scopeOf(request, response)
      if (!can(scope.principal, action, scope)) throw refusalOf(scope.principal)
      response.status(status).json(await answer({ request, scope, id: scope.installationId, actor: actorOf(scope.principal) }))
    })
  }

  route('get', '/', 'installation.read', ({ id }) => services.presentInstallation(id))

  // Before a token stands nobody can be proven an admin: whoever may begin a grant sees how their grant goes, and no more.
  route('get', '/token', 'grant.start', async ({ id, scope }) => {
    const custody = await services.custody.of(id)
    return can(scope.principal, 'custody.read', scope) ? custody : { current: null, history: [], grant: custody.grant }
  })
  route(
    'post',
    '/grants',
    'grant.start',
    ({ id, actor, scope, request }) => services.custody.startGrant(id, actor, cmsUserOf(scope), bodyOf(request, NewGrant)),
    201
  )
  route('post', '/tokens/paste', 'grant.start', ({ id, actor, scope, request }) =>
    services.custody.paste(id, actor, cmsUserOf(scope), bodyOf(request, PasteToken).token)
  )

  route('get', '/connectors', 'connection.read', () => listed(services.connections.connectors()))
  route('get', '/connections', 'connection.read', async ({ id }) => listed(await services.connections.list(id)))
  route(
    'post',
    '/connections',
    'connection.write',
    ({ id, actor, request }) => services.connections.create(id, actor, bodyOf(request, NewConnection)),
    201
  )
  route('patch', '/connections/:connectionId', 'connection.write', ({ id, actor, request }) =>
    services.adoption.renewSecrets(id, actor, paramOf(request, 'connectionId'), bodyOf(request, ConnectionSecrets).secrets)
  )
  route('post', '/connections/:connectionId/check', 'connection.write', ({ id, request }) =>
    services.connections.check(id, paramOf(request, 'connectionId'))
  )
  route('post', '/connections/:connectionId/pause', 'sync.write', async ({ id, actor, request }) =>
    listed(await services.connections.pause(id, actor, paramOf(request, 'connectionId')))
  )
  route('get', '/connections/:connectionId/fields', 'connection.read', async ({ id, request }) =>
    listed(await services.connections.fields(id, paramOf(request, 'connectionId'), requiredQuery(request, 'target')))
  )

  route('get', '/predecessors', 'custody.read', async ({ id }) => listed(await services.adoption.predecessors(id)))
  route('post', '/adopt', 'custody.write', ({ id, actor, request }) => services.adoption.adopt(id, actor, bodyOf(request, Adopt).from))

  route('get', '/content-types', 'sync.read', async ({ id }) => listed(await services.syncs.contentTypes(id)))
  route('get', '/syncs', 'sync.read', async ({ id }) => listed(await services.syncs.list(id)))
  // Where content goes is configuration, as the connection is: an operator's sync.write is to pause and to resume.
  route('post', '/syncs', 'connection.write', ({ id, actor, request }) => services.syncs.create(id, actor, bodyOf(request, NewSync)), 201)
  // Each reads both sides and may keep a process busy for seconds.
  const countPreviews = limitOf(20, 60)
  route('post', '/syncs/preview', 'connection.write', async ({ id, request }) => {
    const preview = bodyOf(request, SyncPreview)
    await countPreviews(id)
    return await services.syncs.preview(id, preview)
  })
  route('get', '/syncs/:syncId', 'sync.read', ({ id, request }) => services.syncs.get(id, paramOf(request, 'syncId')))
  route('patch', '/syncs/:syncId', 'sync.write', ({ id, actor, request }) =>
    services.syncs.change(id, actor, paramOf(request, 'syncId'), bodyOf(request, SyncChange))
  )
  route('patch', '/syncs/:syncId/mapping', 'connection.write', ({ id, actor, request }) =>
    services.syncs.remap(id, actor, paramOf(request, 'syncId'), bodyOf(request, SyncMapping).mapping)
  )
  route(
    'post',
    '/syncs/:syncId/run',
    'sync.run',
    ({ id, actor, request }) => services.syncs.run(id, actor, paramOf(request, 'syncId')),
    202
  )

  route(
    'post',
    '/syncs/:syncId/push-door',
    'connection.write',
    ({ id, actor, request }) => services.syncs.openPush(id, actor, paramOf(request, 'syncId')),
    201
  )

  route('get', '/runs', 'sync.read', ({ id, request }) =>
    services.runs.list({ installationId: id, syncId: queryOf(request, 'sync'), before: queryOf(request, 'before') })
  )
  route('get', '/runs/:runId', 'sync.read', ({ id, request }) => services.runs.get(id, paramOf(request, 'runId')))
  route('get', '/runs/:runId/failures', 'sync.read', async ({ id, request }) =>
    listed(await services.runs.failures(id, paramOf(request, 'runId')))
  )
  route('post', '/runs/:runId/cancel', 'sync.run', ({ id, actor, request }) => services.runs.cancel(id, actor, paramOf(request, 'runId')))

  route('get', '/jobs', 'sync.read', ({ id, request }) =>
    services.deadJobs.list({ installationId: id, before: queryOf(request, 'before') })
  )
  route('post', '/jobs/:jobId/retry', 'sync.run', ({ id, actor, request }) => services.deadJobs.retry(id, actor, jobIdOf(request)))
  route('post', '/jobs/:jobId/discard', 'sync.write', ({ id, actor, request }) => services.deadJobs.discard(id, actor, jobIdOf(request)))

  route('get', '/webhooks', 'delivery.read', async ({ id }) => ({ items: await services.webhooks.list(id), next: null }))

  planRoutes(route, services)

  route('get', '/deliveries', 'delivery.read', ({ id, request }) =>
    services.deliveries.list({ installationId: id, before: queryOf(request, 'before') })
  )

  route('get', '/keys', 'key.read', ({ id, request }) => services.keys.list({ installationId: id, before: queryOf(request, 'before') }))
  route('post', '/keys', 'key.write', ({ id, actor, request }) => services.keys.create(id, actor, bodyOf(request, NewKey)), 201)
  route('delete', '/keys/:keyId', 'key.write', ({ id, actor, request }) => services.keys.revoke(id, actor, paramOf(request, 'keyId')))

  route('get', '/alerts', 'custody.read', ({ id, request }) =>
    services.alerts.list({ installationId: id, before: queryOf(request, 'before') })
  )
  route('get', '/recipients', 'custody.read', async ({ id }) => listed(await services.recipients.list(id)))
  route(
    'post',
    '/recipients',
    'custody.write',
    ({ id, actor, request }) => services.recipients.add(id, actor, bodyOf(request, NewAlertRecipient)),
    201
  )
  route('delete', '/recipients/:recipientId', 'custody.write', ({ id, actor, request }) =>
    services.recipients.remove(id, actor, paramOf(request, 'recipientId'))
  )
  // Each is a message to somebody who did not ask for it.
  const countTests = limitOf(10, 60)
  route('post', '/recipients/:recipientId/test', 'custody.write', async ({ id, request }) => {
    await countTests(id)
    return await services.recipients.test(id, paramOf(request, 'recipientId'))
  })
  return router
}

/** What a sync means to write, what it wrote, and what comparing both sides found. To allow deletes is to decide what is lost. */
function planRoutes(route: Route, { plans, drift, records }: StackServices): void {
  route('post', '/syncs/:syncId/plan', 'sync.run', ({ id, actor, request }) => plans.make(id, actor, paramOf(request, 'syncId')), 202)
  route('get', '/syncs/:syncId/plans', 'sync.read', async ({ id, request }) => listed(await plans.list(id, paramOf(request, 'syncId'))))
  route('get', '/plans/:planId', 'sync.read', ({ id, request }) => plans.get(id, paramOf(request, 'planId')))
  route('get', '/plans/:planId/items', 'sync.read', ({ id, request }) =>
    plans.items(id, paramOf(request, 'planId'), {
      step: oneOf(request, 'step', ['create', 'update', 'delete', 'fail']),
      after: queryOf(request, 'after')
    })
  )
  route(
    'post',
    '/plans/:planId/apply',
    'sync.run',
    ({ id, actor, scope, request }) => {
      const allowed = bodyOf(request, ApplyPlan)
      if (allowed.allowDeletes !== undefined && !can(scope.principal, 'connection.write', scope)) throw refusalOf(scope.principal)
      return plans.apply(id, actor, paramOf(request, 'planId'), allowed)
    },
    202
  )
  route('post', '/plans/:planId/discard', 'sync.run', ({ id, actor, request }) => plans.discard(id, actor, paramOf(request, 'planId')))

  route('get', '/syncs/:syncId/drift', 'sync.read', async ({ id, request }) => listed(await drift.list(id, paramOf(request, 'syncId'))))
  route(
    'post',
    '/syncs/:syncId/drift',
    'sync.run',
    ({ id, actor, request }) => drift.start(id, actor, paramOf(request, 'syncId'), bodyOf(request, StartDrift)),
    202
  )
  route('patch', '/syncs/:syncId/drift', 'sync.write', ({ id, actor, request }) =>
    drift.schedule(id, actor, paramOf(request, 'syncId'), bodyOf(request, DriftRhythm))
  )
  route('get', '/syncs/:syncId/drift/rhythm', 'sync.read', ({ id, request }) => drift.rhythm(id, paramOf(request, 'syncId')))

  const searched = (request: Request) => ({
    q: queryOf(request, 'q'),
    outcome: oneOf(request, 'outcome', recordOutcomes),
    before: queryOf(request, 'before')
  })
  route('get', '/records', 'sync.read', ({ id, request }) => records.search({ installationId: id, ...searched(request) }))
  route('get', '/runs/:runId/records', 'sync.read', ({ id, request }) =>
    records.search({ installationId: id, runId: paramOf(request, 'runId'), ...searched(request) })
  )
}

/** AppError invalid for any other word. */
function oneOf<T extends string>(request: Request, name: string, words: readonly T[]): T | undefined {
  const given = queryOf(request, name)
  const known = words.find(word => word === given)
  if (given !== undefined && known === undefined)
    throw new AppError('invalid', `There is no ${name} "${given}".`, {
      remedy: `One of: ${words.join(', ')}.`,
      fields: { [name]: ['unknown'] }
    })
  return known
}

type Route = (
  method: 'get' | 'post' | 'patch' | 'delete',
  path: string,
  action: Action,
  answer: (asked: Asked) => unknown,
  status?: number
) => void

interface Asked {
  request: Request
  scope: Scope
  id: string
  actor: Actor
}

function listed<T>(items: T[]): shapes.List<T> {
  return { items, next: null }
}

/** The Contentstack user behind a frame: a grant that begins in the CMS must come back from the same person. */
function cmsUserOf({ principal }: Scope): string | null {
  return principal.kind === 'extension' ? principal.userUid : null
}

export function refusalOf(principal: Principal): AppError {
  return principal.kind === 'extension'
    ? new AppError('forbidden', 'Only an Owner or Admin of this stack may do this.', { remedy: 'Ask an Owner or Admin of the stack.' })
    : new AppError('forbidden', 'Your role does not allow this.', { remedy: 'Ask an admin of the organization.' })
}
