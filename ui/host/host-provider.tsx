// Gives the pages below both halves of where they stand: the frame (host.ts) and the proven session (api/session.ts). The two
// are fetched side by side. Everything that can go wrong at the door has its own page here, saying what to do.
import { createContext, type ReactNode, useContext, useEffect, useState, useSyncExternalStore } from 'react'
import { type ExtensionApi, openSession, type Session } from '../api/session.ts'
import { Notice, Problem, Waiting } from '../components/basics.tsx'
import { type Host, HostError, joinHost } from './host.ts'

interface Joined {
  host: Host
  api: ExtensionApi
}

const Context = createContext<(Joined & { session: Session }) | null>(null)

export function useHost(): Joined & { session: Session } {
  const joined = useContext(Context)
  if (!joined) throw new Error('useHost() outside HostProvider')
  return joined
}

const changes = new Set<() => void>()
let opening: Promise<Joined> | null = null

/** Once per page, however often React asks: an app-token may be exchanged only a few times. */
function open(appToken: string | null): Promise<Joined> {
  opening ??= (async () => {
    const host = joinHost()
    // A refused frame is the clearer reason: outside of the CMS there is no token either.
    host.catch(() => {})
    if (appToken === null) {
      await host
      throw new NoToken()
    }
    const session = openSession(appToken, () => {
      for (const change of changes) change()
    })
    session.catch(() => {})
    return { host: await host, api: await session }
  })()
  return opening
}

class NoToken extends Error {}

export function HostProvider({ appToken, children }: { appToken: string | null; children: ReactNode }) {
  const [joined, setJoined] = useState<Joined | null>(null)
  const [error, setError] = useState<unknown>(null)
  useEffect(() => {
    open(appToken).then(setJoined, setError)
  }, [appToken])

  if (error) return <AtTheDoor error={error} />
  if (!joined) {
    return (
      <main className="sidebar">
        <h1 className="only-heard">Quayside</h1>
        <Waiting label="Contentstack" />
      </main>
    )
  }
  return <Inside joined={joined}>{children}</Inside>
}

function Inside({ joined, children }: { joined: Joined; children: ReactNode }) {
  const session = useSyncExternalStore(subscribe, () => joined.api.session())
  return <Context value={{ ...joined, session }}>{children}</Context>
}

function subscribe(listener: () => void): () => void {
  changes.add(listener)
  return () => changes.delete(listener)
}

function AtTheDoor({ error }: { error: unknown }) {
  if (error instanceof HostError && error.reason === 'outside') {
    return (
      <main className="alone">
        <h1>This page belongs inside Contentstack</h1>
        <p>It is a part of the Quayside app, and shows itself where Contentstack places it:</p>
        <ul>
          <li>beside an entry: open an entry, then Quayside in the sidebar;</li>
          <li>for the whole stack: the stack's dashboard, or the app's own page in the navigation;</li>
          <li>to set it up: Settings, Installed Apps, Quayside.</li>
        </ul>
        <p>
          If you run Quayside, its own pages are in the <a href="/console">console</a>.
        </p>
      </main>
    )
  }
  return (
    <main className="sidebar">
      <h1 className="only-heard">Quayside</h1>
      {error instanceof NoToken ? (
        <Notice tone="wait" title="Contentstack did not say who you are.">
          <p>
            Reload the Contentstack page. If it stays so, an admin can check that "Enable Signing" is on for this app in Developer Hub, and
            install it again: addresses freeze at install.
          </p>
        </Notice>
      ) : error instanceof HostError ? (
        <Notice tone="bad" title="Contentstack does not answer this page." live>
          <p>Reload the Contentstack page. If it lasts, the address of this app may not be the one it was installed with.</p>
        </Notice>
      ) : (
        <Problem error={error} />
      )}
    </main>
  )
}
