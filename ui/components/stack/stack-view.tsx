// Which installation the panels below speak of, through which door, and what the person looking may do there. The server
// decides again on every call; what stands here only spares people buttons that would be refused.
import { createContext, type ReactNode, useContext } from 'react'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import type { Grant } from '../../../server/http/contract/custody.ts'
import type { Installation } from '../../../server/http/contract/stack.ts'
import { isApiError } from '../../api/http.ts'
import type { StackApi } from '../../api/stack.ts'
import { runningRun } from './progress.ts'

export interface StackView {
  /** Begins every cache key of this installation. */
  id: string
  api: StackApi
  installation: Installation
  can: { custody: boolean; configure: boolean; run: boolean }
  /** Branch uids to suggest; the first is the current one. */
  branches: string[]
  links: Record<'run' | 'sync' | 'plan', (id: string) => string>
  /** Who this person is, asked again: after a token came into custody, or went. */
  onToken?: () => Promise<unknown>
}

const Context = createContext<StackView | null>(null)

export function StackProvider({ value, children }: { value: StackView; children: ReactNode }) {
  return <Context value={value}>{children}</Context>
}

export function useStack(): StackView {
  const view = useContext(Context)
  if (!view) throw new Error('useStack() outside a StackProvider')
  return view
}

/** Everything of this installation is asked again: after a change, whatever it touched. */
export function useRefresh(): () => Promise<void> {
  const { id } = useStack()
  const client = useQueryClient()
  return () => client.invalidateQueries({ queryKey: [id] })
}

const refusedMs = 60_000

/** How often to look again: rarely once it was refused, since a right comes back only with a token or a role. */
function pace(everyMs: number, error: unknown): number {
  return isApiError(error, 'forbidden') || isApiError(error, 'unauthorized') ? Math.max(refusedMs, everyMs) : everyMs
}

export function useCustody(everyMs: number | false = false) {
  const { id, api } = useStack()
  return useQuery({ queryKey: [id, 'custody'], queryFn: ({ signal }) => api.custody(signal), refetchInterval: everyMs })
}

/** One grant followed to its end, also while its own window hides this page. Null until the server knows it. */
export function useGrant(grantId: string) {
  const { id, api } = useStack()
  const query = useQuery({
    queryKey: [id, 'custody'],
    queryFn: ({ signal }) => api.custody(signal),
    refetchInterval: ({ state }) => (state.data?.grant?.id === grantId && finishedGrant(state.data.grant.status) ? false : 1000),
    refetchIntervalInBackground: true
  })
  return { grant: query.data?.grant?.id === grantId ? query.data.grant : null, custody: query.data, error: query.error }
}

export function finishedGrant(status: Grant['status']): boolean {
  return status === 'revoked' || status === 'revoke_refused' || status === 'failed'
}

/** Who is told; asked again so that the outcome of an alert shows. `enabled` false where the person may not know. */
export function useRecipients(enabled = true) {
  const { id, api } = useStack()
  return useQuery({
    queryKey: [id, 'recipients'],
    queryFn: ({ signal }) => api.recipients(signal),
    enabled,
    refetchInterval: ({ state }) => pace(10_000, state.error)
  })
}

export function useAlerts(before: string | null = null) {
  const { id, api } = useStack()
  return useQuery({
    queryKey: [id, 'alerts', before],
    queryFn: ({ signal }) => api.alerts(before, signal),
    refetchInterval: ({ state }) => pace(10_000, state.error)
  })
}

export function useWebhooks() {
  const { id, api } = useStack()
  return useQuery({
    queryKey: [id, 'webhooks'],
    queryFn: ({ signal }) => api.webhooks(signal),
    refetchInterval: ({ state }) => pace(10_000, state.error)
  })
}

/** What the background gave up on. */
export function useDeadJobs() {
  const { id, api } = useStack()
  return useQuery({
    queryKey: [id, 'jobs'],
    queryFn: ({ signal }) => api.jobs(signal),
    refetchInterval: ({ state }) => pace(10_000, state.error)
  })
}

export function usePredecessors() {
  const { id, api } = useStack()
  return useQuery({ queryKey: [id, 'predecessors'], queryFn: ({ signal }) => api.predecessors(signal) })
}

export function useConnections() {
  const { id, api } = useStack()
  return useQuery({ queryKey: [id, 'connections'], queryFn: ({ signal }) => api.connections(signal) })
}

export function useSyncs(before: string | null = null) {
  const { id, api } = useStack()
  return useQuery({
    queryKey: [id, 'syncs', before],
    queryFn: ({ signal }) => api.syncs(before, signal),
    refetchInterval: ({ state }) => pace(state.data?.items.some(sync => sync.state === 'running') ? 1500 : 10_000, state.error)
  })
}

export function useSync(syncId: string) {
  const { id, api } = useStack()
  return useQuery({ queryKey: [id, 'sync', syncId], queryFn: ({ signal }) => api.sync(syncId, signal), refetchInterval: 3000 })
}

export function useRuns(filter: { sync?: string | null; status?: string | null; before?: string | null }) {
  const { id, api } = useStack()
  return useQuery({
    queryKey: [id, 'runs', filter],
    queryFn: ({ signal }) => api.runs(filter, signal),
    refetchInterval: ({ state }) => pace(state.data?.items.some(runningRun) ? 1000 : 10_000, state.error)
  })
}

export function useRun(runId: string) {
  const { id, api } = useStack()
  return useQuery({
    queryKey: [id, 'run', runId],
    queryFn: ({ signal }) => api.run(runId, signal),
    refetchInterval: query => (query.state.data && !runningRun(query.state.data) ? false : 1000)
  })
}

export function usePlan(planId: string) {
  const { id, api } = useStack()
  return useQuery({
    queryKey: [id, 'plan', planId],
    queryFn: ({ signal }) => api.plan(planId, signal),
    refetchInterval: ({ state }) => (state.data?.status === 'making' || state.data?.status === 'applying' ? 1000 : 10_000)
  })
}

export function useKeys(before: string | null = null) {
  const { id, api } = useStack()
  return useQuery({ queryKey: [id, 'keys', before], queryFn: ({ signal }) => api.keys(before, signal) })
}
