// Who is logged in, and what their role lets them do in one organization. The server decides again on every call.
import { createContext, type ReactNode, useContext } from 'react'
import type { Me } from '../../server/http/contract/console.ts'
import type { Installation } from '../../server/http/contract/stack.ts'

const Context = createContext<Me | null>(null)

export function MeProvider({ value, children }: { value: Me; children: ReactNode }) {
  return <Context value={value}>{children}</Context>
}

export function useMe(): Me {
  const me = useContext(Context)
  if (!me) throw new Error('useMe() outside MeProvider')
  return me
}

export type Role = Me['organizations'][number]['role']

/** Admin: everything. Operator: run, pause and resume. Auditor: look. */
export function abilities(role: Role | null): { custody: boolean; configure: boolean; run: boolean } {
  return { custody: role === 'admin', configure: role === 'admin', run: role === 'admin' || role === 'operator' }
}

/** The person's role where the installation belongs; null when none is known. */
export function roleFor(me: Me, { organizationId }: Pick<Installation, 'organizationId'>): Role | null {
  return me.organizations.find(organization => organization.id === organizationId)?.role ?? null
}
