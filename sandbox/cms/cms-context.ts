// What every page of the CMS is handed: who is logged in and the client that speaks for them; and how a page loads something.
import { createContext, useCallback, useContext, useEffect, useEffectEvent, useState } from 'react'
import type { Client, Person, Session } from './client.ts'

export interface Cms {
  client: Client
  session: Session | null
  login: (person: Person) => Promise<void>
  logout: () => void
}

export const CmsContext = createContext<Cms | null>(null)

export function useCms(): Cms {
  const cms = useContext(CmsContext)
  if (!cms) throw new Error('outside of the CMS page')
  return cms
}

/** For pages behind the login. */
export function useSession(): Cms & { session: Session } {
  const cms = useCms()
  if (!cms.session) throw new Error('nobody is logged in')
  return { ...cms, session: cms.session }
}

export interface Loaded<T> {
  data: T | undefined
  error: Error | undefined
  reload: () => void
}

/** Runs `load` whenever `key` changes and on reload; what was shown stays until the new answer is there. */
export function useLoad<T>(key: string, load: () => Promise<T>): Loaded<T> {
  const [state, setState] = useState<{ key: string; turn: number; data?: T; error?: Error }>({ key, turn: 0 })
  const [turn, setTurn] = useState(0)
  const start = useEffectEvent(load)
  useEffect(() => {
    let gone = false
    start().then(
      data => !gone && setState({ key, turn, data }),
      (error: unknown) => !gone && setState({ key, turn, error: error instanceof Error ? error : new Error(String(error)) })
    )
    return () => {
      gone = true
    }
  }, [key, turn])
  const reload = useCallback(() => setTurn(before => before + 1), [])
  const current = state.key === key
  return { data: current ? state.data : undefined, error: current ? state.error : undefined, reload }
}
