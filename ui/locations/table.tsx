// Location of the manifest -> the page that stands there, each loaded only where it is needed: the sidebar must paint early.
import { lazy } from 'react'
import type { LocationType } from './paths.ts'

export const locations: Record<LocationType, React.LazyExoticComponent<() => React.ReactNode>> = {
  'cs.cm.stack.config': lazy(() => import('./app-config/app-config.tsx')),
  'cs.cm.stack.sidebar': lazy(() => import('./entry-sidebar/entry-sidebar.tsx')),
  'cs.cm.stack.dashboard': lazy(() => import('./dashboard/dashboard.tsx')),
  'cs.cm.stack.full_page': lazy(() => import('./full-page/full-page.tsx'))
}
