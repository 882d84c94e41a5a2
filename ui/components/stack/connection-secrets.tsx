// A connection's secrets entered anew: after a move or a reinstall erased them, because they may be known to others, or as others take
// their place. They are checked against the system before they are kept, and forgotten here.
import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { Connection, ConnectorInfo } from '../../../server/http/contract/stack.ts'
import { Button, Problem, useFocused, Waiting } from '../basics.tsx'
import { variantsOf } from './schema-form.ts'
import { SecretFields } from './secret-fields.tsx'
import { useRefresh, useStack } from './stack-view.tsx'

export function ConnectionSecretsForm({ connection, onClose }: { connection: Connection; onClose: () => void }) {
  const { id, api } = useStack()
  const connectors = useQuery({ queryKey: [id, 'connectors'], queryFn: ({ signal }) => api.connectors(signal) })
  const heading = useFocused<HTMLHeadingElement>()
  const connector = connectors.data?.items.find(each => each.id === connection.connector)
  return (
    <div className="panel">
      <div className="panel-body">
        <h3 ref={heading} tabIndex={-1}>
          Secrets of {connection.name}
        </h3>
        <p className="muted">{reasons[connection.secrets]}</p>
        {connectors.data ? (
          <Fields
            connection={connection}
            names={secretNames(connector, connection)}
            passing={connector?.passingSecrets ?? []}
            onClose={onClose}
          />
        ) : connectors.error ? (
          <Problem error={connectors.error} retry={() => void connectors.refetch()} />
        ) : (
          <Waiting label="the list of connectors" />
        )}
      </div>
    </div>
  )
}

const reasons: Record<Connection['secrets'], string> = {
  exposed: 'The key that sealed them was reported as known to others. Change them in the system first, then enter the new ones here.',
  erased: 'They were erased when the former installation ended. Its syncs need them to go on.',
  kept: 'They take the place of all that it has now, once they are checked. One that is left empty is erased.',
  none: 'It has none so far.'
}

/** Which secrets this very kind of system has: those of the variant whose fixed values it bears, else the connector's. */
export function secretNames(connector: ConnectorInfo | undefined, { settings }: Pick<Connection, 'settings'>): string[] {
  if (!connector) return []
  const variant = variantsOf(connector.settings).find(({ fixed }) =>
    Object.entries(fixed).every(([name, value]) => settings[name] === value)
  )
  return variant?.secrets ?? connector.secrets
}

function Fields({
  connection,
  names,
  passing,
  onClose
}: {
  connection: Connection
  names: string[]
  passing: string[]
  onClose: () => void
}) {
  const { api } = useStack()
  const refresh = useRefresh()
  const [values, setValues] = useState<Record<string, string>>({})
  const replace = useMutation({
    mutationFn: () =>
      api.replaceSecrets(connection.id, {
        secrets: Object.fromEntries(names.flatMap(name => (values[name] ? [[name, values[name]]] : [])))
      }),
    onSuccess: async () => {
      setValues({})
      await refresh()
      onClose()
    }
  })
  return (
    <form
      className="stack"
      onSubmit={event => {
        event.preventDefault()
        if (!replace.isPending) replace.mutate()
      }}
    >
      <div className="fields">
        <SecretFields
          names={names}
          passing={passing}
          values={values}
          onValue={(name, value) => setValues(before => ({ ...before, [name]: value }))}
          error={replace.error}
        />
      </div>
      <Problem error={replace.error} />
      <div className="row">
        <Button look="primary" type="submit" busy={replace.isPending && 'Checking…'}>
          Check and keep
        </Button>
        <Button onClick={onClose}>Cancel</Button>
      </div>
    </form>
  )
}
