// Adding somebody to be told: by mail, in a channel that takes Slack's messages, or by a signed call to a program. The signing secret
// is shown once, and this page keeps it only as long as it shows it.
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import type { AlertRecipient, CreatedAlertRecipient } from '../../../server/http/contract/stack.ts'
import { Button, Id, Notice, Problem, useFocused } from '../basics.tsx'
import { fieldErrors, RadioField, TextField } from '../field.tsx'
import { useRefresh, useStack } from './stack-view.tsx'

type Kind = AlertRecipient['kind']

export const recipientKinds: Record<Kind, string> = { email: 'E-mail', slack: 'Slack', webhook: 'Signed webhook' }

const consequences: Record<Kind, string> = {
  email: "To one address; a team's is better than a person's.",
  slack: 'To a channel, by its incoming webhook; Mattermost and others take the same.',
  webhook: 'To a program of yours, signed as Standard Webhooks, so that it can tell it is us.'
}

export function NewRecipientForm({ onClose }: { onClose: () => void }) {
  const { api } = useStack()
  const refresh = useRefresh()
  const [kind, setKind] = useState<Kind>('email')
  const [address, setAddress] = useState('')
  const heading = useFocused<HTMLHeadingElement>()
  const add = useMutation({
    mutationFn: () => api.addRecipient({ kind, address: address.trim() }),
    onSuccess: async created => {
      setAddress('')
      await refresh()
      if (created.signingSecret === null) onClose()
    }
  })
  if (add.data?.signingSecret) return <Created created={add.data} secret={add.data.signingSecret} onClose={onClose} />
  return (
    <form
      className="panel"
      onSubmit={event => {
        event.preventDefault()
        if (!add.isPending) add.mutate()
      }}
    >
      <div className="panel-body">
        <h3 ref={heading} tabIndex={-1}>
          Add a recipient
        </h3>
        <RadioField
          label="How"
          value={kind}
          onValue={value => setKind(value as Kind)}
          options={(Object.keys(recipientKinds) as Kind[]).map(each => [each, `${recipientKinds[each]}.`, consequences[each]] as const)}
        />
        <TextField
          label={kind === 'email' ? 'E-mail address' : 'Address, https://…'}
          type={kind === 'email' ? 'email' : 'url'}
          autoComplete="off"
          spellCheck={false}
          value={address}
          onValue={setAddress}
          required
          maxLength={2048}
          hint={kind === 'email' ? undefined : 'Sealed; only its host is shown again, since the rest is often the secret.'}
          errors={fieldErrors(add.error, 'address')}
        />
        <Problem error={add.error} />
        <div className="row">
          <Button look="primary" type="submit" busy={add.isPending && 'Adding…'}>
            Add recipient
          </Button>
          <Button onClick={onClose}>Cancel</Button>
        </div>
      </div>
    </form>
  )
}

function Created({ created, secret, onClose }: { created: CreatedAlertRecipient; secret: string; onClose: () => void }) {
  return (
    <div className="panel">
      <div className="panel-body">
        <Notice tone="good" live title={`${created.recipient.address} is added. Copy its signing secret now: it is not shown again.`} />
        <div className="secret">
          <Id value={secret} short={false} />
        </div>
        <p className="muted">
          Your program checks the header <code>webhook-signature</code> with it, by any library of{' '}
          <a href="https://www.standardwebhooks.com" target="_blank" rel="noopener noreferrer">
            Standard Webhooks
          </a>
          .
        </p>
        <div className="row">
          <Button look="primary" onClick={onClose}>
            I have copied it
          </Button>
        </div>
      </div>
    </div>
  )
}
