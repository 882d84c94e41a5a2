// The console door: the session is a cookie, so a call carries nothing but itself. Lists span every organization of the person.
import * as z from 'zod/mini'
import { AuditEvent, type EraseOrganization, ErasurePreview, ErasureReceipt, Me } from '../../server/http/contract/console.ts'
import { DeadJob } from '../../server/http/contract/jobs.ts'
import * as c from '../../server/http/contract/stack.ts'
import { request } from './http.ts'
import { createStackApi } from './stack.ts'

export type Filter = Record<string, string | null>

const list =
  <T>(path: string, item: z.ZodMiniType<T>) =>
  (query: Filter = {}, signal?: AbortSignal): Promise<c.List<T>> =>
    request({ path: `/api/console/${path}`, query, answer: c.listOf(item), signal })

const eraseAt = (organizationId: string): string => `/api/console/organizations/${encodeURIComponent(organizationId)}/erase`

export const consoleApi = {
  me: (signal?: AbortSignal) => request({ path: '/api/console/me', answer: Me, signal }),
  logout: () => request({ method: 'POST', path: '/api/console/logout', answer: z.unknown() }),
  installations: list('installations', c.Installation),
  syncs: list('syncs', c.Sync),
  runs: list('runs', c.Run),
  deliveries: list('deliveries', c.Delivery),
  jobs: list('jobs', DeadJob),
  keys: list('keys', c.AccessKey),
  audit: list('audit', AuditEvent),
  erasurePreview: (organizationId: string, signal?: AbortSignal) =>
    request({ path: eraseAt(organizationId), answer: ErasurePreview, signal }),
  erase: (organizationId: string, body: EraseOrganization) =>
    request({ method: 'POST', path: eraseAt(organizationId), body, answer: ErasureReceipt }),
  stack: (installationId: string) => createStackApi(request, `/api/console/installations/${encodeURIComponent(installationId)}`)
}

/** Where a person logs in; the way back is a path of this console. */
export function loginAddress(back: string): string {
  return back.startsWith('/console') && back !== '/console/login' ? `/console/login?return=${encodeURIComponent(back)}` : '/console/login'
}
