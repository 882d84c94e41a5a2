// Joins Contentstack's frame once and hands out what the pages need of it. What the frame says (entry, user, branches) is for
// display and for addressing our own calls; it proves nothing, since anybody may frame this page and answer `init`.
import ContentstackAppSDK from '@contentstack/app-sdk'

export interface HostEntry {
  contentType: string
  contentTypeTitle: string
  /** null while the entry was never saved. */
  uid: string | null
  title: string
  locale: string
  version: number | null
}

export interface Host {
  branch: string
  /** Uids of the stack's branches as the frame knows them; at least the current one. */
  branches: string[]
  /** The entry beside which the sidebar stands; null in every other location. */
  entry: HostEntry | null
  /** Calls back with the entry after a save or publish, and when typing begins; returns the way to stop. */
  onEntry(listener: (change: { entry: HostEntry } | 'typing') => void): () => void
}

/** Why the frame could not be joined. `outside`: this page is not in a frame of Contentstack at all. */
export class HostError extends Error {
  override readonly name = 'HostError'
  readonly reason: 'outside' | 'silent'
  constructor(reason: 'outside' | 'silent', cause?: unknown) {
    super(reason === 'outside' ? 'This page is not inside Contentstack.' : 'Contentstack does not answer this page.', { cause })
    this.reason = reason
  }
}

let joined: Promise<Host> | null = null

/** HostError. The SDK itself waits ten seconds for the frame's first sign. */
export function joinHost(): Promise<Host> {
  joined ??= join()
  return joined
}

async function join(): Promise<Host> {
  // Outside a frame the SDK would talk to window.opener: whoever opened this page, which is not the CMS.
  if (window.parent === window) throw new HostError('outside')
  // The package is CommonJS: its class is the module's `default`, for node's rules and the bundler's alike.
  const sdk = await ContentstackAppSDK.default.init().catch((cause: unknown) => {
    throw new HostError('silent', cause)
  })
  const listeners = new Set<(change: { entry: HostEntry } | 'typing') => void>()
  const widget = sdk.location.SidebarWidget
  const branch = sdk.stack.getCurrentBranch()?.uid ?? 'main'
  let entry = widget ? entryOf(widget.entry.content_type, widget.entry.getData(), widget.entry.locale) : null

  if (widget) {
    const saved = (data: unknown) => {
      entry = entryOf(widget.entry.content_type, data ?? widget.entry.getData(), widget.entry.locale)
      for (const listener of listeners) listener({ entry })
    }
    widget.entry.onSave(saved)
    // A publish may come without the entry's data; the version the frame holds is the one that was published.
    widget.entry.onPublish(() => saved(widget.entry.getData()))
    widget.entry.onUnPublish(() => saved(widget.entry.getData()))
    widget.entry.onChange(() => {
      for (const listener of listeners) listener('typing')
    })
  }

  return {
    branch,
    branches: [...new Set([branch, ...branchesOf(sdk.stack)])],
    get entry() {
      return entry
    },
    onEntry(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    }
  }
}

/** Everything from the frame is taken as unknown and shaped here. */
function entryOf(contentType: unknown, data: unknown, frameLocale: unknown): HostEntry {
  const type = recordOf(contentType)
  const entry = recordOf(data)
  return {
    contentType: textOf(type['uid']),
    contentTypeTitle: textOf(type['title']) || textOf(type['uid']),
    uid: textOf(entry['uid']) || null,
    title: textOf(entry['title']),
    // The locale the editor looks at; an entry not localised there arrives with the locale it falls back to.
    locale: textOf(frameLocale) || textOf(entry['locale']),
    version: typeof entry['_version'] === 'number' ? entry['_version'] : null
  }
}

function branchesOf(stack: { getAllBranches?: () => unknown }): string[] {
  const all = stack.getAllBranches?.()
  return Array.isArray(all) ? all.map(each => textOf(recordOf(each)['uid'])).filter(Boolean) : []
}

const recordOf = (value: unknown): Record<string, unknown> =>
  value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : {}
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')
