// The frame around every page of a stack: who and where at the top, what there is at the left. Apps with pages of their own
// stand in the navigation, as in the real CMS.
import type { ReactNode } from 'react'
import { useCms } from '../cms-context.ts'
import type { InstalledApp, StackDetail } from '../host/place.ts'
import { Link } from '../pieces/pieces.tsx'
import { navigate } from '../route.ts'

export interface StackScope {
  stack: StackDetail
  branch: string
  apps: InstalledApp[]
  /** Codes, the master locale first. */
  locales: { code: string; name: string }[]
}

export function TopBar({ stack, branch, branches }: { stack?: StackDetail; branch?: string; branches?: { uid: string }[] }) {
  const { session, logout } = useCms()
  return (
    <header className="topbar">
      <Link to="/" className="brand">
        <span className="logo" aria-hidden="true" /> Sandbox CMS
      </Link>
      {stack ? <strong className="stack-name">{stack.name}</strong> : null}
      {stack && branches && branches.length > 1 ? (
        <label className="inline">
          <span className="meta">Branch</span>
          <select value={branch} onChange={event => navigate(`/stack/${stack.api_key}?branch=${encodeURIComponent(event.target.value)}`)}>
            {branches.map(({ uid }) => (
              <option key={uid}>{uid}</option>
            ))}
          </select>
        </label>
      ) : null}
      <span className="grow" />
      {session ? (
        <>
          <span className="who">
            {session.user.first_name} {session.user.last_name}
          </span>
          <button type="button" className="plain" onClick={logout}>
            Change person
          </button>
        </>
      ) : (
        <button type="button" className="plain" onClick={() => navigate('/')}>
          Log in
        </button>
      )}
    </header>
  )
}

export function Navigation({ apiKey, branch, apps, path }: { apiKey: string; branch: string; apps: InstalledApp[]; path: string }) {
  const base = `/stack/${apiKey}`
  const query = branch === 'main' ? '' : `?branch=${encodeURIComponent(branch)}`
  const item = (to: string, name: ReactNode, here = path.startsWith(to)) => (
    <li key={to}>
      <Link to={`${to}${query}`} current={here}>
        {name}
      </Link>
    </li>
  )
  const pages = apps.flatMap(app =>
    app.locations.filter(({ type }) => type === 'cs.cm.stack.full_page').map(location => ({ app, location }))
  )
  const dashboards = apps.some(app => app.locations.some(({ type }) => type === 'cs.cm.stack.dashboard'))
  return (
    <nav aria-label="Stack" className="navigation">
      <ul>
        {item(`${base}/content-types`, 'Entries', path === base || path.includes('/content-type'))}
        {item(`${base}/assets`, 'Assets')}
        {dashboards ? item(`${base}/dashboard`, 'Dashboard') : null}
        {pages.map(({ app, location }) => item(`${base}/app/${app.installationUid}/${location.extensionUid}`, location.name))}
      </ul>
      <h2>Settings</h2>
      <ul>
        {item(`${base}/apps`, 'Apps')}
        {item(`${base}/webhooks`, 'Webhooks')}
        {item(`${base}/tokens`, 'Management tokens')}
        {item(`${base}/people`, 'When a person leaves')}
      </ul>
    </nav>
  )
}
