// The consent page: who asks, for which of your rights, and back where the answer goes. What was granted before is not asked
// again (platform reference §3.1). The decision itself is judged by Developer Hub, not here.
import { useState } from 'react'
import type { Client } from '../client.ts'
import { useLoad, useSession } from '../cms-context.ts'
import { Await, Failure } from '../pieces/pieces.tsx'
import { outlives, wordsOf } from './scope-words.ts'

export interface AskingApp {
  uid: string
  name: string
  description: string
  /** Those the person belongs to, the app's own first; with what they granted the app there. */
  organizations: { uid: string; name: string; granted: string[] }[]
  scopes: string[]
  redirectUris: string[]
  callsBackAfterInstall: boolean
}

export function AuthorizePage({ appUid, request }: { appUid: string; request: URLSearchParams }) {
  const { client } = useSession()
  const loaded = useLoad(`${appUid} ${request}`, async () => {
    const app = await client.own<AskingApp>('GET', `/apps/${encodeURIComponent(appUid)}`)
    const asked = scopesOf(app, request)
    const here = app.organizations[0]
    const granted = here !== undefined && asked.length > 0 && asked.every(scope => here.granted.includes(scope))
    if (granted) await authorize(client, app.uid, here.uid, request)
    return { app, granted }
  })
  return (
    <main className="gate">
      <Await of={loaded}>
        {({ app, granted }) =>
          granted ? <output>You have granted this to {app.name} before. Going back…</output> : <Consent app={app} request={request} />
        }
      </Await>
    </main>
  )
}

function scopesOf(app: AskingApp, request: URLSearchParams): string[] {
  const named = request.get('scope')?.trim()
  return named ? named.split(/\s+/) : app.scopes
}

async function authorize(client: Client, appUid: string, organizationUid: string, request: URLSearchParams): Promise<void> {
  const body = Object.fromEntries(request)
  const path = `/manifests/${encodeURIComponent(appUid)}/authorize`
  const reply = await client.developerHub<{ data: { redirect_url: string } }>('POST', path, organizationUid, body)
  location.assign(reply.data.redirect_url)
}

function Consent({ app, request }: { app: AskingApp; request: URLSearchParams }) {
  const { client, session, logout } = useSession()
  const [failure, setFailure] = useState<Error | null>(null)
  const [busy, setBusy] = useState(false)
  const asked = scopesOf(app, request)
  const organization = app.organizations[0]
  const redirectUri = request.get('redirect_uri') ?? ''
  const backIsKnown = app.redirectUris.includes(redirectUri)

  async function agree(): Promise<void> {
    setBusy(true)
    try {
      await authorize(client, app.uid, organization?.uid ?? '', request)
    } catch (error) {
      setFailure(error as Error)
      setBusy(false)
    }
  }

  function cancel(): void {
    // Only to an address the app registered: this page must not send people anywhere else.
    const back = new URL(redirectUri)
    back.searchParams.set('error', 'access_denied')
    const state = request.get('state')
    if (state !== null) back.searchParams.set('state', state)
    location.assign(back)
  }

  return (
    <>
      <p className="brand">
        <span className="logo" aria-hidden="true" /> Sandbox CMS
      </p>
      <h1>{app.name} asks for access</h1>
      <p>
        It will act as{' '}
        <strong>
          {session.user.first_name} {session.user.last_name}
        </strong>{' '}
        in {organization?.name}, and may:
      </p>
      <ul className="scopes">
        {asked.map(scope => (
          <li key={scope}>
            <span>{wordsOf(scope)}</span>
            <code className="meta">{scope}</code>
            {outlives(scope) ? <span className="meta">What it creates belongs to the stack and stays when you leave.</span> : null}
          </li>
        ))}
      </ul>
      {backIsKnown ? (
        <p className="meta">You will go back to {new URL(redirectUri).host}.</p>
      ) : (
        <p className="notice bad" role="alert">
          {redirectUri === '' ? 'The request names no redirect_uri.' : `${redirectUri} is not one of the redirect addresses of this app.`}{' '}
          Nothing was granted.
        </p>
      )}
      {failure ? <Failure error={failure} /> : null}
      <p className="actions">
        <button type="button" className="primary" disabled={busy || !backIsKnown} onClick={() => void agree()}>
          Authorize
        </button>
        <button type="button" disabled={busy || !backIsKnown} onClick={cancel}>
          Cancel
        </button>
        <button type="button" className="plain" onClick={logout}>
          Not {session.user.first_name}?
        </button>
      </p>
    </>
  )
}
