// Everything the doors ask of the rooms below (http/server.ts, Services), bound to database and dependencies.
import { createHash, timingSafeEqual } from 'node:crypto'
import { listAudit } from '../audit/audit.ts'
import { AppError } from '../errors.ts'
import { handleGateway } from '../gateway/proxy.ts'
import type { ListAsked } from '../http/console/console.ts'
import { listOf, pageSize, presentAuditEvent, presentDelivery, presentKey } from '../http/present.ts'
import type { Services } from '../http/server.ts'
import { findAccessKey, listAccessKeys } from '../identity/access-keys.ts'
import { admitAppToken } from '../identity/app-token.ts'
import { actorOf } from '../identity/principal.ts'
import { isStackAdmin } from '../installations/admins.ts'
import { configPage, finishInstall } from '../installations/install.ts'
import { finishGrant, grantById, openGrant } from '../installations/grant.ts'
import {
  activateInstallation,
  getInstallation,
  type Installation,
  installationById,
  listInstallations
} from '../installations/installation.ts'
import { syncNow } from '../sync/record-jobs.ts'
import { entrySyncStatus } from '../sync/status.ts'
import { listRuns, listSyncs } from '../sync/views.ts'
import { listDeliveries } from '../webhooks/delivery.ts'
import { receivePushed } from '../sync/pushed.ts'
import { receiveContent, receiveLifecycle } from '../webhooks/receive.ts'
import { listDeadJobs } from './dead-jobs.ts'
import type { Deps } from './deps.ts'
import { eraseOrganization, previewErasure } from './erase.ts'
import { operatorServices } from './operator-services.ts'
import { installationViews, stackServices } from './stack-services.ts'

export function createServices(deps: Deps): Services {
  const { db } = deps
  return {
    ...deps,
    ...stackServices(deps),
    applicationOrigins: [...new Set(deps.apps.map(app => app.region.application))],
    ...oauthServices(deps),
    ...extensionServices(deps),
    ...consoleServices(deps),
    operator: operatorServices(deps),
    receivePushed: message => receivePushed(db, deps, message),
    receiveContent: webhook => receiveContent(deps.database, deps, webhook),
    receiveLifecycle: webhook => receiveLifecycle(deps.database, deps, webhook),
    findAccessKey: key => findAccessKey(db, key),
    handleGateway: (principal, request) => handleGateway(db, deps, principal, request)
  }
}

function oauthServices(deps: Deps): Pick<Services, 'finishInstall' | 'openGrant' | 'finishGrant' | 'grantProgress'> {
  const { db } = deps
  return {
    async finishInstall(input) {
      const { installation, claimed } = await finishInstall(db, deps, input)
      return {
        claimed,
        stackName: installation ? nameOf(installation) : 'your stack',
        returnUrl: installation ? configPage(deps, installation) : null
      }
    },
    openGrant: input => openGrant(db, deps, input),
    finishGrant: input => finishGrant(db, deps, input),
    async grantProgress({ grantId, cookie }) {
      const grant = await grantById(db, grantId)
      const given = Buffer.from(createHash('sha256').update(cookie).digest('hex'))
      const expected = Buffer.from(grant.cookie_hash ?? '')
      // Another browser's question is answered as if there were no such grant.
      if (given.length !== expected.length || !timingSafeEqual(given, expected))
        throw new AppError('not_found', `There is no grant ${grantId}`)
      const { purpose, status, error, valid_until: validUntil, finished_at: finishedAt } = grant
      return {
        purpose,
        status,
        error,
        validUntil,
        finished: finishedAt !== null,
        stackName: nameOf(await installationById(db, grant.installation_id))
      }
    }
  }
}

function extensionServices(deps: Deps): Pick<Services, 'proveAppToken' | 'isStackAdmin' | 'entryStatus' | 'syncEntry'> {
  const { db } = deps
  return {
    async proveAppToken(appToken) {
      const { region, claims, installation: known } = await admitAppToken(db, deps, appToken)
      const { appUid, installationUid, organizationUid, stackApiKey, userUid } = claims
      const installation =
        known?.status === 'active'
          ? known
          : await activateInstallation(db, deps, {
              region: region.id,
              appUid,
              installationUid,
              organizationUid,
              stackApiKey,
              via: 'app-token'
            })
      if (installation.status !== 'active') {
        throw new AppError('forbidden', 'Quayside does not serve this organization.', {
          remedy: 'Ask the operator of Quayside to list it.'
        })
      }
      return { installationId: installation.id, organizationId: installation.organization_id, userUid }
    },
    isStackAdmin: (id, userUid) => isStackAdmin(db, deps, { id }, userUid),
    entryStatus: asked => entrySyncStatus(db, asked),
    async syncEntry({ principal, ...record }) {
      return await db.transaction().execute(trx => syncNow(trx, { ...record, personName: actorOf(principal).name }))
    }
  }
}

function consoleServices(deps: Deps): Pick<Services, 'organizationsNamed' | 'organizationOf' | 'erasure' | 'lists'> {
  const { db } = deps
  const listed = ({ organizationIds, installationId, before }: ListAsked) => ({ organizationIds, installationId, before, limit: pageSize })
  return {
    async organizationsNamed(ids) {
      return ids.length === 0
        ? []
        : await db.selectFrom('organization').select(['id', 'name']).where('id', 'in', ids).orderBy('name').execute()
    },
    organizationOf: async (organizationIds, id) => (await getInstallation(db, organizationIds, id)).organization_id,
    erasure: {
      preview: id => previewErasure(db, id),
      async erase(organizationId, actor, { name, leaveTokens = false }) {
        const erasing = await eraseOrganization(db, deps, { organizationId, name, leaveTokens, actor })
        if (!erasing.done) throw new RangeError('an erasing without an end of time has not ended')
        return erasing.receipt
      }
    },
    lists: {
      async installations(asked) {
        const rows = await listInstallations(db, listed(asked))
        return { items: await installationViews(deps, rows), next: rows.length < pageSize ? null : (rows.at(-1)?.id ?? null) }
      },
      syncs: ({ state, ...asked }) => listSyncs(db, { ...listed(asked), state }),
      runs: ({ syncId, status, ...asked }) => listRuns(db, { ...listed(asked), syncId, status }),
      deadJobs: asked => listDeadJobs(db, asked),
      deliveries: async ({ status, ...asked }) => listOf(await listDeliveries(db, { ...listed(asked), status }), presentDelivery),
      keys: async asked => listOf(await listAccessKeys(db, listed(asked)), presentKey),
      audit: async asked => listOf(await listAudit(db, listed(asked)), presentAuditEvent)
    }
  }
}

function nameOf(installation: Installation): string {
  return installation.stack_name || 'your stack'
}
