// The install page: into which stack, then Developer Hub installs, then the browser goes to the app's callback with a code of
// the app token, or to the app's configuration where it has none (platform reference §3.1, §5).
import { useState } from 'react'
import { CallFailure } from '../client.ts'
import { useLoad, useSession } from '../cms-context.ts'
import type { StackDetail } from '../host/place.ts'
import { Await, Empty, Failure } from '../pieces/pieces.tsx'
import { navigate } from '../route.ts'
import type { AskingApp } from './authorize.tsx'

export function InstallPage({ appUid }: { appUid: string }) {
  const { client } = useSession()
  const loaded = useLoad(appUid, async () => {
    const app = await client.own<AskingApp>('GET', `/apps/${encodeURIComponent(appUid)}`)
    const lists = await Promise.all(
      app.organizations.map(({ uid }) =>
        client.cma<{ stacks: StackDetail[] }>('GET', '/stacks', undefined, { headers: { organization_uid: uid } })
      )
    )
    const stacks = [...new Map(lists.flatMap(list => list.stacks).map(stack => [stack.api_key, stack])).values()]
    return { app, stacks }
  })
  return <main className="gate">{<Await of={loaded}>{({ app, stacks }) => <Choose app={app} stacks={stacks} />}</Await>}</main>
}

function Choose({ app, stacks }: { app: AskingApp; stacks: StackDetail[] }) {
  const { client, session, logout } = useSession()
  const [apiKey, setApiKey] = useState(stacks[0]?.api_key ?? '')
  const [failure, setFailure] = useState<Error | null>(null)
  const [busy, setBusy] = useState(false)

  async function install(): Promise<void> {
    const stack = stacks.find(candidate => candidate.api_key === apiKey)
    if (!stack) return
    setBusy(true)
    setFailure(null)
    try {
      const path = `/manifests/${encodeURIComponent(app.uid)}/install`
      const body = { target_type: 'stack', target_uid: apiKey }
      const { data } = await client.developerHub<{ data: { installation_uid: string } }>('POST', path, stack.org_uid, body)
      const installationUid = data.installation_uid
      if (!app.callsBackAfterInstall) {
        navigate(`/stack/${apiKey}/apps/${installationUid}/configure`)
        return
      }
      const reply = await client.own<{ redirect_url: string }>('POST', '/install-code', {
        app_uid: app.uid,
        installation_uid: installationUid
      })
      location.assign(reply.redirect_url)
    } catch (error) {
      setFailure(error as Error)
      setBusy(false)
    }
  }

  return (
    <>
      <p className="brand">
        <span className="logo" aria-hidden="true" /> Sandbox CMS
      </p>
      <h1>Install {app.name}</h1>
      {app.description ? <p>{app.description}</p> : null}
      {stacks.length === 0 ? <Empty>{session.user.first_name} works in no stack, so there is nowhere to install it.</Empty> : null}
      <fieldset className="choices">
        <legend>Into which stack?</legend>
        {stacks.map(stack => (
          <label key={stack.api_key}>
            <input type="radio" name="stack" checked={apiKey === stack.api_key} onChange={() => setApiKey(stack.api_key)} />
            <span>{stack.name}</span>
            <code className="meta">{stack.api_key}</code>
          </label>
        ))}
      </fieldset>
      {failure ? <Failure error={failure} /> : null}
      {failure instanceof CallFailure && /already/i.test(failure.message) ? (
        <p>
          <button type="button" onClick={() => navigate(`/stack/${apiKey}/apps`)}>
            Show the apps of this stack
          </button>
        </p>
      ) : null}
      <p className="actions">
        <button type="button" className="primary" disabled={busy || apiKey === ''} onClick={() => void install()}>
          Install
        </button>
        <button type="button" onClick={() => navigate('/')}>
          Cancel
        </button>
        <button type="button" className="plain" onClick={logout}>
          Not {session.user.first_name}?
        </button>
      </p>
    </>
  )
}
