// The admin console: its routes and who is logged in. Without a session every address shows the login page, and leads back
// to itself afterwards.
import { useQuery } from '@tanstack/react-query'
import { createBrowserRouter } from 'react-router'
import { RouterProvider } from 'react-router/dom'
import { consoleApi } from './api/console.ts'
import { isApiError } from './api/http.ts'
import { Problem, Waiting } from './components/basics.tsx'
import { Frame } from './console/frame.tsx'
import { Login } from './console/login.tsx'
import { MeProvider } from './console/me.tsx'
import { AuditPage } from './console/pages/audit.tsx'
import { DeliveriesPage } from './console/pages/deliveries.tsx'
import { InstallationPage } from './console/pages/installation.tsx'
import { InstallationsPage } from './console/pages/installations.tsx'
import { JobsPage } from './console/pages/jobs.tsx'
import { KeysPage } from './console/pages/keys.tsx'
import { Missing } from './console/pages/missing.tsx'
import { OverviewPage } from './console/pages/overview.tsx'
import { PlanPage } from './console/pages/plan.tsx'
import { RunPage } from './console/pages/run.tsx'
import { RunsPage } from './console/pages/runs.tsx'
import { SettingsPage } from './console/pages/settings.tsx'
import { SyncPage } from './console/pages/sync.tsx'
import { SyncsPage } from './console/pages/syncs.tsx'
import { showPage } from './page.tsx'

const router = createBrowserRouter(
  [
    {
      element: <Frame />,
      children: [
        { path: '/', element: <OverviewPage /> },
        { path: '/installations', element: <InstallationsPage /> },
        { path: '/installations/:installationId', element: <InstallationPage /> },
        { path: '/installations/:installationId/syncs/:id', element: <SyncPage /> },
        { path: '/installations/:installationId/runs/:id', element: <RunPage /> },
        { path: '/installations/:installationId/plans/:id', element: <PlanPage /> },
        { path: '/syncs', element: <SyncsPage /> },
        { path: '/runs', element: <RunsPage /> },
        { path: '/deliveries', element: <DeliveriesPage /> },
        { path: '/jobs', element: <JobsPage /> },
        { path: '/keys', element: <KeysPage /> },
        { path: '/audit', element: <AuditPage /> },
        { path: '/settings', element: <SettingsPage /> },
        { path: '*', element: <Missing /> }
      ]
    }
  ],
  { basename: '/console' }
)

function Console() {
  const me = useQuery({
    queryKey: ['me'],
    queryFn: ({ signal }) => consoleApi.me(signal),
    // Also finds out that a session ended while the page stood open.
    refetchInterval: 60_000
  })
  if (isApiError(me.error, 'unauthorized')) return <Login returning={me.data !== undefined} />
  if (me.data) {
    return (
      <MeProvider value={me.data}>
        <RouterProvider router={router} />
      </MeProvider>
    )
  }
  return (
    <main className="alone">
      <h1 className="only-heard">Quayside console</h1>
      {me.error ? <Problem error={me.error} retry={() => void me.refetch()} /> : <Waiting label="your session" />}
    </main>
  )
}

showPage(<Console />)
