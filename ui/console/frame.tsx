// The console's frame: navigation at the left, the page beside it. A new page takes the focus to its heading and is named in
// the window's title, as a page load would.
import { useMutation } from '@tanstack/react-query'
import { type ReactNode, useEffect, useRef } from 'react'
import { NavLink, Outlet, ScrollRestoration, useLocation } from 'react-router'
import { consoleApi } from '../api/console.ts'
import { Button, Problem } from '../components/basics.tsx'
import { queryClient } from '../page.tsx'
import { useMe } from './me.tsx'

const places = [
  ['/', 'Overview'],
  ['/installations', 'Installations'],
  ['/syncs', 'Syncs'],
  ['/runs', 'Runs'],
  ['/deliveries', 'Deliveries'],
  ['/jobs', 'Failed jobs'],
  ['/keys', 'Access keys'],
  ['/audit', 'Audit'],
  ['/settings', 'Settings']
] as const

export function Frame() {
  const me = useMe()
  const logout = useMutation({ mutationFn: consoleApi.logout, onSuccess: () => queryClient.resetQueries() })
  return (
    <div className="console">
      <header className="console-nav">
        <span className="console-mark">Quayside</span>
        <nav aria-label="Console">
          <ul className="console-links">
            {places.map(([to, title]) => (
              <li key={to}>
                <NavLink to={to} end={to === '/'}>
                  {title}
                </NavLink>
              </li>
            ))}
          </ul>
        </nav>
        <div className="console-me">
          <span>{me.name}</span>
          <span className="meta">{me.organizations.map(({ name, role }) => `${name}: ${role}`).join(', ')}</span>
          <div className="row">
            <Button busy={logout.isPending && 'Logging out…'} onClick={() => logout.mutate()}>
              Log out
            </Button>
          </div>
          <Problem error={logout.error} />
        </div>
      </header>
      <main className="console-main">
        <Outlet />
      </main>
      <ScrollRestoration />
    </div>
  )
}

let shown: string | null = null

/** A page's heading, with the way back above it. */
export function PageHead({ title, children, trail }: { title: string; children?: ReactNode; trail?: ReactNode }) {
  const heading = useRef<HTMLHeadingElement>(null)
  const { pathname } = useLocation()
  useEffect(() => {
    document.title = `${title} · Quayside`
  }, [title])
  useEffect(() => {
    // The first page keeps the focus where the browser put it.
    if (shown !== null && shown !== pathname) heading.current?.focus({ preventScroll: true })
    shown = pathname
  }, [pathname])
  return (
    <header className="page-head">
      {trail ? (
        <nav className="trail" aria-label="Way back">
          {trail}
        </nav>
      ) : null}
      <h1 ref={heading} tabIndex={-1}>
        {title}
      </h1>
      {children}
    </header>
  )
}
