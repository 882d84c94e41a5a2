// An app's configuration page. The app stages what it wants kept (`setInstallationData`) and may forbid saving
// (`setValidity`); only this page's Save button writes it to Developer Hub (platform reference §10.3).
// States: as saved -> staged -> saving -> as saved.
import { useMemo, useRef, useState } from 'react'
import { useSession } from '../cms-context.ts'
import { LocationFrame } from '../host/frame.tsx'
import type { ConfigurationPort, InstallationData } from '../host/place.ts'
import { Empty, Failure, State } from '../pieces/pieces.tsx'
import type { StackScope } from './shell.tsx'

export function ConfigurationPage({ scope: { stack, branch, apps }, installationUid }: { scope: StackScope; installationUid: string }) {
  const { client, session } = useSession()
  const app = apps.find(candidate => candidate.installationUid === installationUid)
  const location = app?.locations.find(({ type }) => type === 'cs.cm.stack.config')
  const staged = useRef<InstallationData | null>(null)
  const [state, setState] = useState<'as saved' | 'staged' | 'saving'>('as saved')
  const [validity, setValidity] = useState<{ isValid: boolean; message?: string | undefined }>({ isValid: true })
  const [failure, setFailure] = useState<Error | null>(null)
  const organizationUid = app?.organizationUid ?? ''

  const configuration = useMemo(
    (): ConfigurationPort => ({
      async read() {
        if (staged.current) return staged.current
        const read = async (what: string) =>
          (
            await client.developerHub<{ data: Record<string, unknown> | null }>(
              'GET',
              `/installations/${installationUid}/${what}`,
              organizationUid
            )
          ).data ?? {}
        const [configuration, serverConfiguration] = await Promise.all([read('configuration'), read('server-configuration')])
        return { configuration, serverConfiguration, webhooks: [], uiLocations: [] }
      },
      stage(data) {
        staged.current = data
        setState('staged')
      },
      validity: (isValid, message) => setValidity({ isValid, message })
    }),
    [client, installationUid, organizationUid]
  )

  async function save(): Promise<void> {
    const data = staged.current
    if (!data) return
    setState('saving')
    setFailure(null)
    try {
      // One request, so that the app's backend hears one `update` with both in it.
      const body = { configuration: data.configuration ?? {}, server_configuration: data.serverConfiguration ?? {} }
      await client.developerHub('PUT', `/installations/${installationUid}`, organizationUid, body)
      staged.current = null
      setState('as saved')
    } catch (error) {
      setFailure(error as Error)
      setState('staged')
    }
  }

  if (!app) return <Empty>This app is not installed in {stack.name} any more.</Empty>
  return (
    <div className="filled">
      <div className="heading">
        <h1>{app.name}: configuration</h1>
        <span className="grow" />
        {validity.isValid ? null : <State is="bad">{validity.message ?? 'The app says this is not complete.'}</State>}
        {validity.isValid && state === 'staged' ? <State is="wait">not saved yet</State> : null}
        <button type="button" className="primary" disabled={!validity.isValid || state !== 'staged'} onClick={() => void save()}>
          Save
        </button>
      </div>
      {failure ? <Failure error={failure} /> : null}
      {location ? (
        <LocationFrame place={{ app, location, client, session, stack, branch, configuration }} />
      ) : (
        <Empty>{app.name} has no configuration page.</Empty>
      )}
    </div>
  )
}
