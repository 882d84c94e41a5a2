// An editor's session: begun with the app-token that Contentstack put into the frame's address, kept in this module's memory
// and nowhere else (no storage, no cookie, no URL), renewed while somebody looks. When it is over the frame cannot get a new
// one by itself: only the CMS can sign another app-token, so the page asks for a reload of the CMS page.
//   open -> live -> (renewed …) -> over
import { EntryStatus, Session, type SyncNow, SyncQueued } from '../../server/http/contract/extension.ts'
import { ApiError, isApiError, type Request, request } from './http.ts'
import { createStackApi } from './stack.ts'

/** Renew when less than this is left of the idle time. */
const renewAheadMs = 5 * 60_000
const lookEveryMs = 30_000

/** Takes the app-token out of the address, so that it is in no history entry, referrer or bookmark. Null when there is none. */
export function takeAppToken(): string | null {
  const url = new URL(window.location.href)
  const token = url.searchParams.get('app-token')
  if (url.searchParams.has('app-token')) {
    url.searchParams.delete('app-token')
    window.history.replaceState(null, '', `${url.pathname}${url.search}${url.hash}`)
  }
  return token
}

export interface ExtensionApi {
  /** What the last opening or renewal said. */
  session(): Session
  /** Asks again who this person is: after a token came into custody, "stack admin" becomes known. */
  renew(): Promise<Session>
  entryStatus(
    input: { contentType: string; entryUid: string; locale: string; branch: string; version: number | null },
    signal?: AbortSignal
  ): Promise<EntryStatus>
  syncEntry(input: { contentType: string; entryUid: string } & SyncNow): Promise<SyncQueued>
  stack: ReturnType<typeof createStackApi>
}

/** ApiError as the server refuses the app-token; `unauthorized` from any later call means the session is over. */
export async function openSession(appToken: string, onChange: () => void = () => {}): Promise<ExtensionApi> {
  let session = await request({ method: 'POST', path: '/api/extension/session', body: { appToken }, answer: Session })
  let renewing: Promise<Session> | null = null

  const ask: Request = async call => {
    try {
      return await request(call, { authorization: `Bearer ${session.session}` })
    } catch (error) {
      if (!isApiError(error, 'unauthorized')) throw error
      clearInterval(timer)
      throw new ApiError('unauthorized', 'Your session in this panel has ended.', {
        remedy: 'Reload the Contentstack page to go on.',
        cause: error
      })
    }
  }

  function renew(): Promise<Session> {
    renewing ??= ask({ method: 'POST', path: '/api/extension/session/renew', answer: Session })
      .then(next => {
        session = next
        onChange()
        return next
      })
      .finally(() => {
        renewing = null
      })
    return renewing
  }

  const timer = setInterval(() => {
    const left = session.idleExpiresAt - Date.now()
    // A hidden frame is nobody at work: it is left to end. A failure here shows up with the next call.
    if (document.visibilityState === 'visible' && left < renewAheadMs) renew().catch(() => {})
  }, lookEveryMs)

  const entry = (contentType: string, entryUid: string) =>
    `/api/extension/entries/${encodeURIComponent(contentType)}/${encodeURIComponent(entryUid)}`
  return {
    session: () => session,
    renew,
    entryStatus: ({ contentType, entryUid, locale, branch, version }, signal) =>
      ask({ path: `${entry(contentType, entryUid)}/status`, query: { locale, branch, version }, answer: EntryStatus, signal }),
    syncEntry: ({ contentType, entryUid, locale, branch }) =>
      ask({ method: 'POST', path: `${entry(contentType, entryUid)}/sync`, body: { locale, branch }, answer: SyncQueued }),
    stack: createStackApi(ask, '/api/extension/stack')
  }
}

export type { Session } from '../../server/http/contract/extension.ts'
