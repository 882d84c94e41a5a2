// The stack's pages inside the CMS: they are for people proven Owner or Admin of the stack, and say so to everybody else
// instead of failing call by call. While no token stands nobody can be proven yet: connecting is what proves it.
import type { ReactNode } from 'react'
import { createMemoryRouter, RouterProvider, useParams, Link } from 'react-router'
import { Notice } from '../components/basics.tsx'
import { PlanView } from '../components/stack/plan-view.tsx'
import { RunView } from '../components/stack/runs.tsx'
import { StackProvider, type StackView } from '../components/stack/stack-view.tsx'
import { SyncView } from '../components/stack/sync-view.tsx'
import { useHost } from '../host/host-provider.tsx'
import { useInstallation } from './token-notice.tsx'

/** The StackView of this frame's installation. */
export function StackHere({ children }: { children: ReactNode }) {
  const { host, api, session } = useHost()
  // An editor sees nothing of it here, so nothing is asked.
  const installation = useInstallation({ enabled: session.stackAdmin !== false })
  const admin = session.stackAdmin === true
  const view: StackView = {
    id: session.installation.id,
    api: api.stack,
    installation: installation.data,
    can: { custody: session.stackAdmin !== false, configure: admin, run: admin },
    branches: host.branches,
    links: { run: id => `/runs/${id}`, sync: id => `/syncs/${id}`, plan: id => `/plans/${id}` },
    onToken: () => api.renew().catch(() => {})
  }
  return <StackProvider value={view}>{children}</StackProvider>
}

export function NotAdmin({ stackName }: { stackName: string }) {
  return (
    <Notice tone="quiet" title="This page is for the stack's admins.">
      <p>
        You are not Owner or Admin of {stackName || 'this stack'}, so Quayside does not show or change its set-up for you. What concerns an
        entry stands in the sidebar beside it.
      </p>
    </Notice>
  )
}

/** A location with pages of its own: the frame's address stays, so the way between them is kept in memory. */
export function pagesIn(home: ReactNode) {
  // What the frame's address asked for (…?rotate) is asked of the first page.
  const { search, hash } = window.location
  return createMemoryRouter(
    [
      { path: '/', element: home },
      { path: '/runs/:id', element: <RunPage /> },
      { path: '/syncs/:id', element: <SyncPage /> },
      { path: '/plans/:id', element: <PlanPage /> }
    ],
    { initialEntries: [{ pathname: '/', search, hash }] }
  )
}

export function Pages({ router }: { router: ReturnType<typeof pagesIn> }) {
  return (
    <StackHere>
      <RouterProvider router={router} />
    </StackHere>
  )
}

function RunPage() {
  const { id = '' } = useParams()
  return (
    <main className="location">
      <PageHead title="Run" />
      <RunView runId={id} />
    </main>
  )
}

function SyncPage() {
  const { id = '' } = useParams()
  return (
    <main className="location">
      <PageHead title="Sync" />
      <SyncView syncId={id} />
    </main>
  )
}

function PlanPage() {
  const { id = '' } = useParams()
  return (
    <main className="location">
      <PageHead title="Plan" />
      <PlanView planId={id} />
    </main>
  )
}

function PageHead({ title }: { title: string }) {
  return (
    <header className="page-head">
      <nav className="trail" aria-label="Way back">
        <Link to="/">All syncs of this stack</Link>
      </nav>
      <h1>{title}</h1>
    </header>
  )
}
