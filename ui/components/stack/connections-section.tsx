// The external systems this stack is connected with: each was checked before it was kept, and can be checked again.
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import type { Connection } from '../../../server/http/contract/stack.ts'
import { Button, Empty, Problem, Waiting } from '../basics.tsx'
import { Table } from '../list.tsx'
import { connectionLook, State } from '../state.tsx'
import { Time } from '../time.tsx'
import { ConnectionSecretsForm } from './connection-secrets.tsx'
import { NewConnectionForm } from './new-connection.tsx'
import { useConnections, useRefresh, useStack, useSyncs } from './stack-view.tsx'

export function ConnectionsSection({ primary = false }: { primary?: boolean }) {
  const { api, can } = useStack()
  const refresh = useRefresh()
  const connections = useConnections()
  const [adding, setAdding] = useState(false)
  const [entering, setEntering] = useState<Connection | null>(null)
  const check = useMutation({ mutationFn: (id: string) => api.checkConnection(id), onSettled: refresh })
  const pause = useMutation({ mutationFn: (id: string) => api.pauseConnection(id), onSettled: refresh })
  const syncs = useSyncs().data?.items ?? []
  const writtenTo = new Set(
    syncs.filter(({ direction, state }) => direction === 'outbound' && state !== 'paused').map(({ connectionId }) => connectionId)
  )
  const items = connections.data?.items ?? []
  const add = (
    <Button look={primary ? 'primary' : 'secondary'} onClick={() => setAdding(true)}>
      Add connection
    </Button>
  )

  return (
    <section className="section" aria-labelledby="connections-heading">
      <div className="row-apart">
        <h2 id="connections-heading">Connections</h2>
        {can.configure && items.length > 0 && !adding ? add : null}
      </div>
      {adding ? <NewConnectionForm onClose={() => setAdding(false)} /> : null}
      {entering ? <ConnectionSecretsForm key={entering.id} connection={entering} onClose={() => setEntering(null)} /> : null}
      {connections.data ? (
        items.length > 0 ? (
          <Table
            label="Connections"
            rows={items}
            rowKey={connection => connection.id}
            columns={[
              { title: 'State', render: connection => <ConnectionState connection={connection} /> },
              {
                title: 'Connection',
                render: connection => (
                  <>
                    {connection.name}
                    <p className="meta">{connection.system}</p>
                  </>
                )
              },
              { title: 'Where', render: connection => <code>{whereabouts(connection.settings)}</code> },
              { title: 'Checked', render: connection => <Time at={connection.checkedAt} /> },
              {
                title: 'Actions',
                render: connection =>
                  can.configure ? (
                    <div className="actions">
                      {connection.secrets === 'none' ? null : (
                        <Button
                          look="plain"
                          aria-label={`${secretsAction(connection)}: ${connection.name}`}
                          onClick={() => setEntering(connection)}
                        >
                          {secretsAction(connection)}
                        </Button>
                      )}
                      <Button
                        look="plain"
                        aria-label={`Check now: ${connection.name}`}
                        busy={check.isPending && check.variables === connection.id && 'Checking…'}
                        onClick={() => check.mutate(connection.id)}
                      >
                        Check now
                      </Button>
                      {writtenTo.has(connection.id) ? (
                        <Button
                          look="plain"
                          aria-label={`Pause its syncs: ${connection.name}`}
                          busy={pause.isPending && pause.variables === connection.id && 'Pausing…'}
                          onClick={() => pause.mutate(connection.id)}
                        >
                          Pause its syncs
                        </Button>
                      ) : null}
                    </div>
                  ) : null
              }
            ]}
          />
        ) : adding ? null : (
          <Empty action={can.configure ? add : null}>The databases and systems that this stack is kept in sync with will stand here.</Empty>
        )
      ) : connections.error ? (
        <Problem error={connections.error} retry={() => void connections.refetch()} />
      ) : (
        <Waiting label="connections" />
      )}
      <Problem error={check.error ?? pause.error} />
    </section>
  )
}

function ConnectionState({ connection }: { connection: Connection }) {
  return (
    <>
      <State of={connectionLook(connection)} />
      {connection.secrets === 'erased' ? <p className="meta">Erased when the former installation ended.</p> : null}
      {connection.secrets === 'exposed' ? <p className="meta">May be known to others: change them there, then enter them here.</p> : null}
      {connection.error && connection.secrets !== 'erased' ? <p className="meta">{connection.error}</p> : null}
    </>
  )
}

function secretsAction({ secrets }: Connection): string {
  return secrets === 'kept' ? 'Change secrets' : 'Enter secrets'
}

/** The settings that say where it is, without knowing the connector: its plain values, in their own order, the kind left out. */
function whereabouts(settings: Record<string, unknown>): string {
  return Object.entries(settings)
    .filter(([name, value]) => name !== 'system' && (typeof value === 'string' || typeof value === 'number'))
    .map(([, value]) => String(value))
    .join(' · ')
}
