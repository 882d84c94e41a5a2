// Access keys of one stack: who answers for each, what it may do, when it was last used. Revoking is for ever and says so.
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import type { AccessKey } from '../../../server/http/contract/stack.ts'
import { Button, Empty, Problem, Waiting } from '../basics.tsx'
import { Confirm } from '../dialog.tsx'
import { type Column, Table } from '../list.tsx'
import { keyStates, State } from '../state.tsx'
import { Day, Time } from '../time.tsx'
import { NewKeyForm } from './new-key.tsx'
import { useKeys, useRefresh, useStack } from './stack-view.tsx'

/** 'entries: read, write (blog_post); assets: read'. */
export function scopeText(scopes: AccessKey['scopes']): string {
  return scopes
    .map(
      scope =>
        `${scope.module.replace('_', ' ')}: ${scope.actions.join(', ')}${scope.contentTypes ? ` (${scope.contentTypes.join(', ')})` : ''}`
    )
    .join('; ')
}

export const keyColumns: Column<AccessKey>[] = [
  { title: 'State', render: key => <State of={keyStates[key.status]} /> },
  {
    title: 'Name',
    render: key => (
      <>
        {key.name}
        <p className="meta">
          <code>{key.fingerprint}</code>
        </p>
      </>
    )
  },
  { title: 'May', render: key => scopeText(key.scopes) },
  { title: 'Owner', render: key => key.owner },
  { title: 'Last used', render: key => <Time at={key.lastUsedAt} /> },
  { title: 'Expires', render: key => (key.expiresAt === null ? <span className="muted">never</span> : <Day at={key.expiresAt} />) }
]

export function KeysSection() {
  const { can } = useStack()
  const keys = useKeys()
  const [adding, setAdding] = useState(false)
  const [revoking, setRevoking] = useState<AccessKey | null>(null)
  const items = keys.data?.items ?? []
  const add = <Button onClick={() => setAdding(true)}>Create access key</Button>
  return (
    <section className="section" aria-labelledby="keys-heading">
      <div className="row-apart">
        <h2 id="keys-heading">Access keys</h2>
        {can.custody && items.length > 0 && !adding ? add : null}
      </div>
      {adding ? <NewKeyForm onClose={() => setAdding(false)} /> : null}
      {keys.data ? (
        items.length > 0 ? (
          <Table
            label="Access keys"
            rows={items}
            rowKey={key => key.id}
            columns={[
              ...keyColumns,
              {
                title: 'Actions',
                render: key =>
                  can.custody && key.status === 'active' ? (
                    <Button look="plain" aria-label={`Revoke: ${key.name}`} onClick={() => setRevoking(key)}>
                      Revoke
                    </Button>
                  ) : null
              }
            ]}
          />
        ) : adding ? null : (
          <Empty action={can.custody ? add : null}>
            Keys for scripts will stand here. A script uses its key instead of a person's authtoken, and goes on when the person leaves.
          </Empty>
        )
      ) : keys.error ? (
        <Problem error={keys.error} retry={() => void keys.refetch()} />
      ) : (
        <Waiting label="access keys" />
      )}
      {revoking ? <Revoke revoking={revoking} onClose={() => setRevoking(null)} /> : null}
    </section>
  )
}

function Revoke({ revoking, onClose }: { revoking: AccessKey; onClose: () => void }) {
  const { api } = useStack()
  const refresh = useRefresh()
  const revoke = useMutation({
    mutationFn: () => api.revokeKey(revoking.id),
    onSuccess: async () => {
      await refresh()
      onClose()
    }
  })
  return (
    <Confirm
      open
      onClose={onClose}
      title={`Revoke ${revoking.name}?`}
      action="Revoke key"
      danger
      busy={revoke.isPending && 'Revoking…'}
      error={revoke.error}
      onConfirm={() => revoke.mutate()}
    >
      <p>
        Scripts that use it are refused from now on. It was last used <Time at={revoking.lastUsedAt} />, and {revoking.owner} answers for
        it. This cannot be undone; a new key can be made.
      </p>
    </Confirm>
  )
}
