// The stack's assets, and one asset with the apps' asset sidebars beside it.
import { useState, useSyncExternalStore } from 'react'
import { useLoad, useSession } from '../cms-context.ts'
import { createDraft } from '../entry/draft.ts'
import { LocationFrame } from '../host/frame.tsx'
import type { AssetPort } from '../host/place.ts'
import { Await, Empty, Failure, Link, State, Time, Uid } from '../pieces/pieces.tsx'
import type { StackScope } from './shell.tsx'

interface AssetData extends Record<string, unknown> {
  uid: string
  title: string
  /** Of a folder, which has no title. */
  name?: string
  description?: string
  filename: string
  content_type: string
  file_size: string
  url: string
  is_dir?: boolean
  _version: number
  updated_at: string
}

export function AssetsPage({ scope: { stack, branch } }: { scope: StackScope }) {
  const { client } = useSession()
  const assets = useLoad(`assets ${stack.api_key} ${branch}`, () =>
    client.cma<{ assets: AssetData[] }>('GET', '/assets', stack.api_key, { branch, params: { limit: 100, desc: 'updated_at' } })
  )
  return (
    <>
      <h1>Assets</h1>
      <Await of={assets}>
        {({ assets: list }) =>
          list.length === 0 ? (
            <Empty>No asset yet.</Empty>
          ) : (
            <table>
              <thead>
                <tr>
                  <th scope="col">Title</th>
                  <th scope="col">Uid</th>
                  <th scope="col">Type</th>
                  <th scope="col" className="number">
                    Bytes
                  </th>
                  <th scope="col">Changed</th>
                </tr>
              </thead>
              <tbody>
                {list.map(asset => (
                  <tr key={asset.uid}>
                    <td>
                      {asset.is_dir ? (
                        <>
                          {asset.name} <span className="meta">folder</span>
                        </>
                      ) : (
                        <Link to={`/stack/${stack.api_key}/assets/${asset.uid}${branch === 'main' ? '' : `?branch=${branch}`}`}>
                          {asset.title}
                        </Link>
                      )}
                    </td>
                    <td>
                      <Uid value={asset.uid} />
                    </td>
                    <td>{asset.content_type}</td>
                    <td className="number">{asset.file_size}</td>
                    <td>
                      <Time at={asset.updated_at} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          )
        }
      </Await>
    </>
  )
}

export function AssetPage({ scope, uid }: { scope: StackScope; uid: string }) {
  const { client } = useSession()
  const { stack, branch } = scope
  const loaded = useLoad(`asset ${uid} ${branch}`, async () => {
    const { asset } = await client.cma<{ asset: AssetData }>('GET', `/assets/${uid}`, stack.api_key, { branch })
    return asset
  })
  return <Await of={loaded}>{asset => <AssetEditor scope={scope} asset={asset} />}</Await>
}

function AssetEditor({ scope: { stack, branch, apps }, asset: first }: { scope: StackScope; asset: AssetData }) {
  const { client, session } = useSession()
  const [draft] = useState(() => createDraft(first, 'asset'))
  const asset = useSyncExternalStore(draft.subscribe, draft.current) as AssetData
  const saved = useSyncExternalStore(draft.subscribe, draft.saved) as AssetData
  const [failure, setFailure] = useState<Error | null>(null)
  const path = `/assets/${first.uid}`

  async function save(): Promise<void> {
    try {
      const { title, description, tags } = asset
      const reply = await client.cma<{ asset: AssetData }>('PUT', path, stack.api_key, {
        branch,
        body: { asset: { title, description, tags } }
      })
      setFailure(null)
      draft.replace(reply.asset, 'save')
    } catch (error) {
      setFailure(error as Error)
    }
  }
  const port: AssetPort = {
    current: draft.current,
    change: part => {
      for (const [key, value] of Object.entries(part)) draft.set(key, value)
    },
    reload: async () => draft.replace((await client.cma<{ asset: AssetData }>('GET', path, stack.api_key, { branch })).asset, 'load'),
    listen: draft.listen
  }
  const sidebars = apps.flatMap(app =>
    app.locations.filter(({ type }) => type === 'cs.cm.stack.asset_sidebar').map(location => ({ app, location }))
  )
  return (
    <div className="editor">
      <div className="form">
        <div className="heading">
          <h1>{saved.title}</h1>
          <span className="meta">version {saved._version}</span>
          <span className="grow" />
          {asset === saved ? null : <State is="wait">not saved yet</State>}
          <button type="button" className="primary" disabled={asset === saved} onClick={() => void save()}>
            Save
          </button>
        </div>
        {failure ? <Failure error={failure} /> : null}
        {asset.content_type.startsWith('image/') ? <img className="preview" src={asset.url} alt={asset.title} /> : null}
        <label className="field">
          <span>Title</span>
          <input value={asset.title} onChange={event => draft.set('title', event.target.value)} />
        </label>
        <label className="field">
          <span>Description</span>
          <textarea value={asset.description ?? ''} onChange={event => draft.set('description', event.target.value)} />
        </label>
        <p className="meta">
          {asset.filename} · {asset.content_type} · {asset.file_size} bytes · <a href={asset.url}>the file itself</a>
        </p>
      </div>
      {sidebars.length > 0 ? (
        <aside className="apps" aria-label="Apps">
          {sidebars.map(({ app, location }) => (
            <section key={location.extensionUid}>
              <h2>{location.name}</h2>
              <LocationFrame place={{ app, location, client, session, stack, branch, asset: port }} />
            </section>
          ))}
        </aside>
      ) : null}
    </div>
  )
}
