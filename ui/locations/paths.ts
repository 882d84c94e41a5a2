// Where each UI location of the manifest is served. manifest/ says the same from its side, and a test holds the two together:
// neither may import the other.
export const locationPaths = {
  'cs.cm.stack.config': '/app-configuration',
  'cs.cm.stack.sidebar': '/entry-sidebar',
  'cs.cm.stack.dashboard': '/stack-dashboard',
  'cs.cm.stack.full_page': '/full-page'
} as const

export type LocationType = keyof typeof locationPaths

/** The location served at a path, or null where the manifest has none. */
export function locationAt(pathname: string): LocationType | null {
  const found = (Object.entries(locationPaths) as [LocationType, string][]).find(([, path]) => path === pathname)
  return found?.[0] ?? null
}
