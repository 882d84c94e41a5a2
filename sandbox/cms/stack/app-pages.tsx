// Where an app has room of its own: the dashboard with the widgets of all apps, and an app's full page.
import { useSession } from '../cms-context.ts'
import { LocationFrame } from '../host/frame.tsx'
import { Empty } from '../pieces/pieces.tsx'
import type { StackScope } from './shell.tsx'

export function DashboardPage({ scope: { stack, branch, apps } }: { scope: StackScope }) {
  const { client, session } = useSession()
  const widgets = apps.flatMap(app =>
    app.locations.filter(({ type }) => type === 'cs.cm.stack.dashboard').map(location => ({ app, location }))
  )
  return (
    <>
      <h1>Dashboard</h1>
      {widgets.length === 0 ? <Empty>No app of this stack has a dashboard widget.</Empty> : null}
      <div className="widgets">
        {widgets.map(({ app, location }) => (
          <section key={location.extensionUid} className={location.meta['default_width'] === 'full' ? 'widget wide' : 'widget'}>
            <h2>{location.name}</h2>
            <LocationFrame place={{ app, location, client, session, stack, branch }} height={340} />
          </section>
        ))}
      </div>
    </>
  )
}

export function AppPage({ scope, installationUid, extensionUid }: { scope: StackScope; installationUid: string; extensionUid: string }) {
  const { client, session } = useSession()
  const { stack, branch, apps } = scope
  const app = apps.find(candidate => candidate.installationUid === installationUid)
  const location = app?.locations.find(candidate => candidate.extensionUid === extensionUid)
  if (!app || !location) return <Empty>This app is not installed in {stack.name} any more.</Empty>
  return <LocationFrame place={{ app, location, client, session, stack, branch }} />
}
