// Who is told when the token needs somebody, and what they were told. Whether they were reached stands beside each, since an alert that
// nobody gets is the failure that nobody sees.
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import type { Alert, AlertRecipient } from '../../../server/http/contract/stack.ts'
import { Button, counted, Empty, Problem, Waiting } from '../basics.tsx'
import { Confirm } from '../dialog.tsx'
import { type Column, Table } from '../list.tsx'
import { recipientLook, State } from '../state.tsx'
import { Time } from '../time.tsx'
import { NewRecipientForm, recipientKinds } from './new-recipient.tsx'
import { useAlerts, useRecipients, useRefresh, useStack } from './stack-view.tsx'

export function AlertsSection() {
  const { can } = useStack()
  const recipients = useRecipients()
  const [adding, setAdding] = useState(false)
  const [removing, setRemoving] = useState<AlertRecipient | null>(null)
  const items = recipients.data?.items ?? []
  const add = <Button onClick={() => setAdding(true)}>Add recipient</Button>
  return (
    <section className="section" id="alerts" aria-labelledby="alerts-heading">
      <div className="row-apart">
        <h2 id="alerts-heading">Alerts</h2>
        {can.configure && items.length > 0 && !adding ? add : null}
      </div>
      {adding ? <NewRecipientForm onClose={() => setAdding(false)} /> : null}
      {recipients.data ? (
        items.length > 0 ? (
          <Table
            label="Recipients"
            rows={items}
            rowKey={recipient => recipient.id}
            columns={[
              ...recipientColumns,
              ...(can.configure
                ? [{ title: 'Actions', render: (each: AlertRecipient) => <Actions recipient={each} onRemove={() => setRemoving(each)} /> }]
                : [])
            ]}
          />
        ) : adding ? null : (
          <Empty action={can.configure ? add : null}>
            Nobody is told when the token is refused or nears its end. Then syncs wait until somebody happens to look: add the team's mail
            address or channel.
          </Empty>
        )
      ) : recipients.error ? (
        <Problem error={recipients.error} retry={() => void recipients.refetch()} />
      ) : (
        <Waiting label="the recipients of alerts" />
      )}
      <LastAlerts />
      {removing ? <Remove removing={removing} left={items.length - 1} onClose={() => setRemoving(null)} /> : null}
    </section>
  )
}

const recipientColumns: Column<AlertRecipient>[] = [
  {
    title: 'State',
    render: recipient => (
      <>
        <State of={recipientLook(recipient)} />
        {recipient.error ? <p className="meta">{recipient.error}</p> : null}
      </>
    )
  },
  {
    title: 'Recipient',
    render: recipient => (
      <>
        {recipient.address}
        <p className="meta">{recipientKinds[recipient.kind]}</p>
      </>
    )
  },
  { title: 'Last reached', render: recipient => <Time at={recipient.sentAt} /> },
  {
    title: 'Added',
    render: recipient => (
      <>
        {recipient.createdBy}
        <p className="meta">
          <Time at={recipient.createdAt} />
        </p>
      </>
    )
  }
]

function Actions({ recipient, onRemove }: { recipient: AlertRecipient; onRemove: () => void }) {
  const { api } = useStack()
  const refresh = useRefresh()
  const test = useMutation({ mutationFn: () => api.testRecipient(recipient.id), onSettled: refresh })
  return (
    <div className="stack-tight">
      <div className="actions">
        <Button
          look="plain"
          aria-label={`Send a test: ${recipient.address}`}
          busy={test.isPending && 'Sending…'}
          onClick={() => test.mutate()}
        >
          Send a test
        </Button>
        <Button look="plain" aria-label={`Remove: ${recipient.address}`} onClick={onRemove}>
          Remove
        </Button>
      </div>
      <output className="meta">
        {test.data ? (test.data.error ? 'It could not be delivered.' : test.data.sentAt === null ? 'On its way.' : 'Delivered.') : ''}
      </output>
      <Problem error={test.error} />
    </div>
  )
}

function Remove({ removing, left, onClose }: { removing: AlertRecipient; left: number; onClose: () => void }) {
  const { api } = useStack()
  const refresh = useRefresh()
  const remove = useMutation({
    mutationFn: () => api.removeRecipient(removing.id),
    onSuccess: async () => {
      await refresh()
      onClose()
    }
  })
  return (
    <Confirm
      open
      onClose={onClose}
      title={`Remove ${removing.address}?`}
      action="Remove recipient"
      instead="Keep it"
      danger
      busy={remove.isPending && 'Removing…'}
      error={remove.error}
      onConfirm={() => remove.mutate()}
    >
      <p>
        It gets no more alerts of this stack.{' '}
        {left === 0
          ? 'It is the last one: nobody will be told when the token is refused or nears its end.'
          : `${counted(left, 'other still gets', 'others still get')} them.`}{' '}
        It can be added again{removing.kind === 'webhook' ? ', with a new signing secret' : ''}.
      </p>
    </Confirm>
  )
}

const alertColumns: Column<Alert>[] = [
  { title: 'When', render: alert => <Time at={alert.at} /> },
  {
    title: 'What was told',
    render: alert => (
      <>
        <strong>{alert.title}</strong>
        <p className="muted">{alert.text}</p>
      </>
    )
  }
]

function LastAlerts() {
  const [before, setBefore] = useState<string | null>(null)
  const alerts = useAlerts(before)
  if (!alerts.data) return alerts.error ? <Problem error={alerts.error} retry={() => void alerts.refetch()} /> : <Waiting label="alerts" />
  const { items, next } = alerts.data
  if (items.length === 0 && before === null) return <p className="muted">No alert was raised so far.</p>
  return (
    <details>
      <summary className="muted">
        What was told
        {before === null && items[0] ? (
          <>
            , last <Time at={items[0].at} />
          </>
        ) : null}
      </summary>
      <div className="stack-tight">
        <Table label="Alerts" rows={items} rowKey={alert => alert.id} columns={alertColumns} />
        {before || next ? (
          <nav className="pages" aria-label="Pages of alerts">
            {before ? <Button onClick={() => setBefore(null)}>Newest</Button> : null}
            {next ? <Button onClick={() => setBefore(next)}>Older</Button> : null}
          </nav>
        ) : null}
      </div>
    </details>
  )
}
