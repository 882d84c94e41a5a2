// One installation's use cases, bound for the doors: custody, connections, syncs, runs, deliveries and keys in the contract's shapes.
import type { Actor } from '../audit/audit.ts'
import type * as shapes from '../http/contract/stack.ts'
import { listOf, pageSize, presentDelivery, presentInstallation, presentKey } from '../http/present.ts'
import type { StackServices } from '../http/stack-routes.ts'
import { createAccessKey, listAccessKeys, revokeAccessKey } from '../identity/access-keys.ts'
import { custodyOf, tokenView } from '../installations/custody.ts'
import { startGrant } from '../installations/grant.ts'
import { type Installation, installationById, leftStanding, organizationOf } from '../installations/installation.ts'
import { pasteToken } from '../installations/paste.ts'
import { tokensOf } from '../installations/token.ts'
import { holdOf } from '../jobs/queue.ts'
import { checkConnection, connectorViews, createConnection, getConnection, listConnections, openConnection } from '../sync/connections.ts'
import { changeMapping } from '../sync/change.ts'
import { createSyncs } from '../sync/create.ts'
import { previewSync } from '../sync/preview.ts'
import { openPushDoor } from '../sync/pushed.ts'
import { cancelRun, getRun, startRunBy } from '../sync/runs.ts'
import { pauseEndpoint } from '../sync/endpoint.ts'
import { getSync, pauseSync, resumeSync } from '../sync/sync.ts'
import { connectionView, contentTypeView, failedRecords, listRuns, listSyncs, runViews, syncViews } from '../sync/views.ts'
import { listDeliveries } from '../webhooks/delivery.ts'
import { webhookHealth } from '../webhooks/health.ts'
import { alertServices } from './alerts.ts'
import { adoptServices } from './adopt.ts'
import { deadJobServices } from './dead-jobs.ts'
import type { Deps } from './deps.ts'
import { listenAnew } from './jobs.ts'
import { planServices } from './plan-services.ts'

const fieldSeconds = 20
const manySyncs = 1000

export function stackServices(deps: Deps): StackServices {
  const { db } = deps
  const installed = (id: string) => installationById(db, id)
  const theSync = async (installationId: string, id: string): Promise<shapes.Sync> =>
    one(await syncViews(db, [await getSync(db, { installationId, id })]))
  const theRun = async (installationId: string, id: string): Promise<shapes.Run> =>
    one(await runViews(db, [await getRun(db, { installationId, id })]))

  return {
    ...adoptServices(deps),
    ...planServices(deps),
    presentInstallation: async id => await installationView(deps, await installed(id)),
    ...alertServices(deps),

    custody: {
      of: id => custodyOf(db, deps, id),
      async startGrant(id, actor, userUid, grant) {
        const { grantId, ticket } = await startGrant(db, deps, {
          installation: await installed(id),
          initiator: actor,
          ...grant,
          ...(userUid === null ? {} : { userUid })
        })
        return { grantId, url: `${deps.publicUrl}/oauth/grant/start?${new URLSearchParams({ grant: grantId, ticket })}` }
      },
      async paste(id, actor, userUid, token) {
        return await tokenView(
          db,
          deps.vault,
          await pasteToken(db, deps, { installation: await installed(id), token, actor, ...(userUid === null ? {} : { userUid }) })
        )
      }
    },

    connections: {
      connectors: connectorViews,
      list: async id => await Promise.all((await listConnections(db, id)).map(row => connectionView(db, deps.vault, row))),
      create: async (id, actor, connection) =>
        await connectionView(db, deps.vault, await createConnection(db, deps, { installation: await installed(id), actor, connection })),
      check: async (installationId, id) => await connectionView(db, deps.vault, await checkConnection(db, deps, { installationId, id })),
      async fields(installationId, id, target) {
        const connection = openConnection(db, deps, await getConnection(db, { installationId, id }))
        return await connection.fields(target, AbortSignal.timeout(fieldSeconds * 1000))
      },
      async pause(installationId, actor, id) {
        await pauseEndpoint(db, deps, { installationId, id, actor })
        const { items } = await listSyncs(db, { installationId, limit: manySyncs })
        return items.filter(sync => sync.connectionId === id && sync.direction === 'outbound')
      }
    },

    syncs: {
      async contentTypes(id) {
        const stack = await deps.stackFor(id, { lane: 'people', actor: { kind: 'sync', id: 'new' } })
        return (await stack.contentTypes()).map(contentTypeView)
      },
      async list(installationId) {
        return (await listSyncs(db, { installationId, limit: manySyncs })).items
      },
      get: theSync,
      async create(id, actor, sync) {
        const syncs = await createSyncs(db, deps, { installation: await installed(id), actor, sync })
        await listenAnew(deps, id)
        return await syncViews(db, syncs)
      },
      preview: async (id, preview) => ({ records: await previewSync(db, deps, { installation: await installed(id), preview }) }),
      async remap(installationId, actor, id, mapping) {
        await changeMapping(db, deps, { installationId, id, actor, mapping })
        return await theSync(installationId, id)
      },
      async change(installationId, actor, id, { state }) {
        await (state === 'paused' ? pauseSync : resumeSync)(db, deps, { installationId, id, actor })
        await listenAnew(deps, installationId)
        return await theSync(installationId, id)
      },
      async run(installationId, actor, id) {
        const run = await startRunBy(db, deps, { sync: await getSync(db, { installationId, id }), actor })
        return await theRun(installationId, run.id)
      },
      async openPush(installationId, actor, id) {
        const { sync, signingSecret } = await openPushDoor(db, deps, { installationId, id, actor })
        return { url: `${deps.publicUrl}/hooks/in/${sync.id}`, signingSecret }
      }
    },

    runs: {
      list: asked => listRuns(db, { ...asked, limit: pageSize }),
      get: theRun,
      failures: (installationId, runId) => failedRecords(db, { installationId, runId }),
      async cancel(installationId, actor, id) {
        await cancelRun(db, deps, { installationId, id, actor })
        return await theRun(installationId, id)
      }
    },

    deadJobs: deadJobServices(deps),
    webhooks: { list: async id => await webhookHealth(db, id) },

    deliveries: {
      async list({ installationId, before }) {
        const organizationIds = [(await installed(installationId)).organization_id]
        return listOf(await listDeliveries(db, { organizationIds, installationId, before, limit: pageSize }), presentDelivery)
      }
    },

    keys: {
      async list({ installationId, before }) {
        const organizationIds = [(await installed(installationId)).organization_id]
        return listOf(await listAccessKeys(db, { organizationIds, installationId, before, limit: pageSize }), presentKey)
      },
      create: async (id, actor, key) => await createKey(deps, await installed(id), actor, key),
      async revoke(installationId, actor, id) {
        const installation = await installed(installationId)
        const row = await revokeAccessKey(db, deps, { id, organizationIds: [installation.organization_id], installationId, actor })
        return presentKey({ ...row, stack_name: installation.stack_name })
      }
    }
  }
}

export async function createKey(
  deps: Deps,
  installation: Installation,
  actor: Actor,
  { name, scopes, expiresInDays }: shapes.NewKey
): Promise<shapes.CreatedKey> {
  const { row, key } = await createAccessKey(deps.db, deps, {
    organizationId: installation.organization_id,
    installationId: installation.id,
    name,
    owner: actor.name,
    scopes,
    expiresInDays,
    actor
  })
  return { accessKey: presentKey({ ...row, stack_name: installation.stack_name }), key, gatewayUrl: `${deps.publicUrl}/gateway` }
}

export async function installationViews(deps: Pick<Deps, 'db'>, rows: Installation[]): Promise<shapes.Installation[]> {
  const views = []
  for (const row of rows) views.push(await installationView(deps, row))
  return views
}

async function installationView({ db }: Pick<Deps, 'db'>, row: Installation): Promise<shapes.Installation> {
  const [organization, hold, tokens, syncs] = [
    await organizationOf(db, row),
    await holdOf(db, row.id),
    await tokensOf(db, row.id, ['active', 'expiring', 'dead', 'minting', 'verifying']),
    (await listSyncs(db, { installationId: row.id, limit: manySyncs })).items
  ]
  const count = (...states: shapes.Sync['state'][]) => syncs.filter(({ state }) => states.includes(state)).length
  return presentInstallation(row, {
    organization,
    hold,
    token: tokens.find(({ status }) => status === 'active' || status === 'expiring') ?? tokens[0] ?? null,
    left: await leftStanding(db, row),
    syncs: { active: count('active', 'running', 'held'), paused: count('paused'), failing: count('failing') }
  })
}

function one<T>([item]: T[]): T {
  if (item === undefined) throw new RangeError('a view of one row came back empty')
  return item
}
