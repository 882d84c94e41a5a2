// The apps installed in this stack, what each brings, and the way out: configure or uninstall.
import { useState } from 'react'
import { useSession } from '../cms-context.ts'
import type { InstalledApp } from '../host/place.ts'
import { Empty, Failure, Link, Uid } from '../pieces/pieces.tsx'
import type { StackScope } from './shell.tsx'

const places: Record<string, string> = {
  'cs.cm.stack.config': 'configuration',
  'cs.cm.stack.sidebar': 'entry sidebar',
  'cs.cm.stack.custom_field': 'custom field',
  'cs.cm.stack.dashboard': 'dashboard',
  'cs.cm.stack.full_page': 'full page',
  'cs.cm.stack.asset_sidebar': 'asset sidebar',
  'cs.cm.stack.field_modifier': 'field modifier',
  'cs.cm.stack.content_type_sidebar': 'content type sidebar'
}

export function AppsPage({ scope: { stack, apps } }: { scope: StackScope }) {
  return (
    <>
      <h1>Apps</h1>
      {apps.length === 0 ? <Empty>No app is installed in {stack.name}. An app's install link brings it here.</Empty> : null}
      {apps.length > 0 ? (
        <table>
          <thead>
            <tr>
              <th scope="col">App</th>
              <th scope="col">Where it appears</th>
              <th scope="col">Address, frozen at install</th>
              <th scope="col">Installation</th>
              <th scope="col">
                <span className="unseen">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {apps.map(app => (
              <AppRow key={app.installationUid} app={app} apiKey={stack.api_key} />
            ))}
          </tbody>
        </table>
      ) : null}
    </>
  )
}

function AppRow({ app, apiKey }: { app: InstalledApp; apiKey: string }) {
  const { client } = useSession()
  const [asking, setAsking] = useState(false)
  const [failure, setFailure] = useState<Error | null>(null)
  async function uninstall(): Promise<void> {
    try {
      await client.developerHub('DELETE', `/installations/${app.installationUid}`, app.organizationUid)
      location.reload()
    } catch (error) {
      setFailure(error as Error)
    }
  }
  return (
    <tr>
      <td>
        <strong>{app.name}</strong> <span className="meta">version {app.version}</span>
      </td>
      <td>{app.locations.map(({ type }) => places[type] ?? type).join(', ')}</td>
      <td>
        <code>{app.baseUrl}</code>
      </td>
      <td>
        <Uid value={app.installationUid} />
      </td>
      <td className="actions">
        <Link to={`/stack/${apiKey}/apps/${app.installationUid}/configure`} className="button">
          Configure
        </Link>
        {asking ? (
          <>
            <span>Its configuration is lost.</span>
            <button type="button" className="danger" onClick={() => void uninstall()}>
              Uninstall {app.name}
            </button>
            <button type="button" onClick={() => setAsking(false)}>
              Keep
            </button>
          </>
        ) : (
          <button type="button" onClick={() => setAsking(true)}>
            Uninstall…
          </button>
        )}
        {failure ? <Failure error={failure} /> : null}
      </td>
    </tr>
  )
}
