// The routes of one installation, typed. The same routes stand behind both doors, so the panels that use them do not know
// whether a stack admin looks from inside the CMS or an operator from the console.
import * as z from 'zod/mini'
import * as p from '../../server/http/contract/plans.ts'
import { Token, Custody, NewGrant, GrantStart, PasteToken } from '../../server/http/contract/custody.ts'
import { DeadJob, JobsAnswer } from '../../server/http/contract/jobs.ts'
import * as c from '../../server/http/contract/stack.ts'
import { WebhookHealth } from '../../server/http/contract/webhooks.ts'
import type { Request } from './http.ts'

const Nothing = z.unknown()

export interface RunsFilter {
  sync?: string | null
  status?: string | null
  before?: string | null
}

export type StackApi = ReturnType<typeof createStackApi>

/** `prefix` is '/api/extension/stack' or '/api/console/installations/ins_…'. Every call throws ApiError. */
export function createStackApi(request: Request, prefix: string) {
  const at = (path: string) => `${prefix}/${path}`
  const id = encodeURIComponent
  return {
    installation: (signal?: AbortSignal) => request({ path: prefix, answer: c.Installation, signal }),

    custody: (signal?: AbortSignal) => request({ path: at('token'), answer: Custody, signal }),
    startGrant: (body: NewGrant) => request({ method: 'POST', path: at('grants'), body, answer: GrantStart }),
    pasteToken: (body: PasteToken) => request({ method: 'POST', path: at('tokens/paste'), body, answer: Token }),

    connectors: (signal?: AbortSignal) => request({ path: at('connectors'), answer: c.listOf(c.ConnectorInfo), signal }),
    connections: (signal?: AbortSignal) => request({ path: at('connections'), answer: c.listOf(c.Connection), signal }),
    createConnection: (body: c.NewConnection) => request({ method: 'POST', path: at('connections'), body, answer: c.Connection }),
    checkConnection: (connectionId: string) =>
      request({ method: 'POST', path: at(`connections/${id(connectionId)}/check`), answer: c.Connection }),
    pauseConnection: (connectionId: string) =>
      request({ method: 'POST', path: at(`connections/${id(connectionId)}/pause`), answer: c.listOf(c.Sync) }),
    replaceSecrets: (connectionId: string, body: c.ConnectionSecrets) =>
      request({ method: 'PATCH', path: at(`connections/${id(connectionId)}`), body, answer: c.Connection }),
    sourceFields: (connectionId: string, target: string, signal?: AbortSignal) =>
      request({ path: at(`connections/${id(connectionId)}/fields`), query: { target }, answer: c.listOf(c.SourceField), signal }),
    contentTypes: (signal?: AbortSignal) => request({ path: at('content-types'), answer: c.listOf(c.ContentType), signal }),

    syncs: (before?: string | null, signal?: AbortSignal) =>
      request({ path: at('syncs'), query: { before }, answer: c.listOf(c.Sync), signal }),
    sync: (syncId: string, signal?: AbortSignal) => request({ path: at(`syncs/${id(syncId)}`), answer: c.Sync, signal }),
    createSyncs: (body: c.NewSync) => request({ method: 'POST', path: at('syncs'), body, answer: z.array(c.Sync) }),
    changeSync: (syncId: string, body: c.SyncChange) => request({ method: 'PATCH', path: at(`syncs/${id(syncId)}`), body, answer: c.Sync }),
    previewSync: (body: c.SyncPreview) => request({ method: 'POST', path: at('syncs/preview'), body, answer: c.Preview }),
    changeMapping: (syncId: string, body: c.SyncMapping) =>
      request({ method: 'PATCH', path: at(`syncs/${id(syncId)}/mapping`), body, answer: c.Sync }),
    openPush: (syncId: string) => request({ method: 'POST', path: at(`syncs/${id(syncId)}/push-door`), answer: c.PushDoor }),
    runSync: (syncId: string) => request({ method: 'POST', path: at(`syncs/${id(syncId)}/run`), answer: c.Run }),

    runs: ({ sync, status, before }: RunsFilter, signal?: AbortSignal) =>
      request({ path: at('runs'), query: { sync, status, before }, answer: c.listOf(c.Run), signal }),
    run: (runId: string, signal?: AbortSignal) => request({ path: at(`runs/${id(runId)}`), answer: c.Run, signal }),
    cancelRun: (runId: string) => request({ method: 'POST', path: at(`runs/${id(runId)}/cancel`), answer: c.Run }),
    failures: (runId: string, before?: string | null, signal?: AbortSignal) =>
      request({ path: at(`runs/${id(runId)}/failures`), query: { before }, answer: c.listOf(c.FailedRecord), signal }),

    jobs: (signal?: AbortSignal) => request({ path: at('jobs'), answer: c.listOf(DeadJob), signal }),
    retryJob: (jobId: number) => request({ method: 'POST', path: at(`jobs/${jobId}/retry`), answer: JobsAnswer }),
    discardJob: (jobId: number) => request({ method: 'POST', path: at(`jobs/${jobId}/discard`), answer: JobsAnswer }),

    webhooks: (signal?: AbortSignal) => request({ path: at('webhooks'), answer: c.listOf(WebhookHealth), signal }),

    records: (
      { run, q, outcome, before }: { run: string | null; q: string; outcome: string; before: string | null },
      signal?: AbortSignal
    ) =>
      request({
        path: at(run === null ? 'records' : `runs/${id(run)}/records`),
        query: { q: q || null, outcome: outcome || null, before },
        answer: c.listOf(p.RunRecord),
        signal
      }),
    plans: (syncId: string, signal?: AbortSignal) => request({ path: at(`syncs/${id(syncId)}/plans`), answer: c.listOf(p.Plan), signal }),
    makePlan: (syncId: string) => request({ method: 'POST', path: at(`syncs/${id(syncId)}/plan`), answer: p.Plan }),
    plan: (planId: string, signal?: AbortSignal) => request({ path: at(`plans/${id(planId)}`), answer: p.Plan, signal }),
    planItems: (planId: string, { step, after }: { step: string; after: string | null }, signal?: AbortSignal) =>
      request({ path: at(`plans/${id(planId)}/items`), query: { step: step || null, after }, answer: c.listOf(p.PlanItem), signal }),
    applyPlan: (planId: string, body: p.ApplyPlan) =>
      request({ method: 'POST', path: at(`plans/${id(planId)}/apply`), body, answer: c.Run }),
    discardPlan: (planId: string) => request({ method: 'POST', path: at(`plans/${id(planId)}/discard`), answer: p.Plan }),
    drifts: (syncId: string, signal?: AbortSignal) => request({ path: at(`syncs/${id(syncId)}/drift`), answer: c.listOf(p.Drift), signal }),
    startDrift: (syncId: string, body: p.StartDrift) =>
      request({ method: 'POST', path: at(`syncs/${id(syncId)}/drift`), body, answer: p.Drift }),
    driftRhythm: (syncId: string, signal?: AbortSignal) =>
      request({ path: at(`syncs/${id(syncId)}/drift/rhythm`), answer: p.DriftNext, signal }),
    changeDriftRhythm: (syncId: string, body: p.DriftRhythm) =>
      request({ method: 'PATCH', path: at(`syncs/${id(syncId)}/drift`), body, answer: p.DriftNext }),

    keys: (before?: string | null, signal?: AbortSignal) =>
      request({ path: at('keys'), query: { before }, answer: c.listOf(c.AccessKey), signal }),
    createKey: (body: c.NewKey) => request({ method: 'POST', path: at('keys'), body, answer: c.CreatedKey }),
    revokeKey: (keyId: string) => request({ method: 'DELETE', path: at(`keys/${id(keyId)}`), answer: Nothing }),

    alerts: (before?: string | null, signal?: AbortSignal) =>
      request({ path: at('alerts'), query: { before }, answer: c.listOf(c.Alert), signal }),
    recipients: (signal?: AbortSignal) => request({ path: at('recipients'), answer: c.listOf(c.AlertRecipient), signal }),
    addRecipient: (body: c.NewAlertRecipient) => request({ method: 'POST', path: at('recipients'), body, answer: c.CreatedAlertRecipient }),
    removeRecipient: (recipientId: string) => request({ method: 'DELETE', path: at(`recipients/${id(recipientId)}`), answer: Nothing }),
    testRecipient: (recipientId: string) =>
      request({ method: 'POST', path: at(`recipients/${id(recipientId)}/test`), answer: c.AlertRecipient }),

    predecessors: (signal?: AbortSignal) => request({ path: at('predecessors'), answer: c.listOf(c.Predecessor), signal }),
    adopt: (body: c.Adopt) => request({ method: 'POST', path: at('adopt'), body, answer: c.Adopted })
  }
}
