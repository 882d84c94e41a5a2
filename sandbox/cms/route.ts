// Paths of the CMS page: reading, matching and changing them. Too little to need a library; knows no page.
import { useSyncExternalStore } from 'react'

const moved = 'sandbox:moved'

/** Path and query, as one string that changes when the page moves. */
export function useAddress(): URL {
  const address = useSyncExternalStore(
    notify => {
      window.addEventListener('popstate', notify)
      window.addEventListener(moved, notify)
      return () => {
        window.removeEventListener('popstate', notify)
        window.removeEventListener(moved, notify)
      }
    },
    () => location.href
  )
  return new URL(address)
}

export function navigate(to: string, how: 'push' | 'replace' = 'push'): void {
  if (how === 'push') history.pushState(null, '', to)
  else history.replaceState(null, '', to)
  window.dispatchEvent(new Event(moved))
}

/** `/stack/:key/apps` against a path: its parameters, decoded, or null. */
export function match(pattern: string, pathname: string): Record<string, string> | null {
  const wanted = pattern.split('/')
  const given = pathname.replace(/(.)\/$/, '$1').split('/')
  if (wanted.length !== given.length) return null
  const parameters: Record<string, string> = {}
  for (const [index, part] of wanted.entries()) {
    const value = given[index] ?? ''
    if (part.startsWith(':')) parameters[part.slice(1)] = decodeURIComponent(value)
    else if (part !== value) return null
  }
  return parameters
}

/**
 * The real page answers to `#!/…` as well, and SDKs build `/?query#!/apps/UID/authorize` (platform reference §3.5): both become
 * the path form. Null when there is nothing to rewrite.
 */
export function withoutHash(address: URL): string | null {
  if (!address.hash.startsWith('#!/')) return null
  const inner = new URL(address.hash.slice(2), address.origin)
  for (const [key, value] of address.searchParams) if (!inner.searchParams.has(key)) inner.searchParams.append(key, value)
  return `${inner.pathname}${inner.search}`
}
