// Making an access key. Nothing is ticked beforehand: a key may do what somebody chose, not what was convenient. The key is
// shown once, and this page keeps it only as long as it shows it.
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import type { CreatedKey, KeyScope } from '../../../server/http/contract/stack.ts'
import { Button, Id, Notice, Problem } from '../basics.tsx'
import { Choice, fieldErrors, SelectField, TextField } from '../field.tsx'
import { useRefresh, useStack } from './stack-view.tsx'

type Module = KeyScope['module']
type Action = KeyScope['actions'][number]

const offered: [Module, title: string, actions: Action[]][] = [
  ['entries', 'Entries', ['read', 'write', 'publish', 'delete']],
  ['assets', 'Assets', ['read', 'write', 'publish', 'delete']],
  ['content_types', 'Content types', ['read', 'write', 'delete']]
]

export function NewKeyForm({ onClose }: { onClose: () => void }) {
  const { api } = useStack()
  const refresh = useRefresh()
  const [name, setName] = useState('')
  const [days, setDays] = useState('90')
  const [ticked, setTicked] = useState<string[]>([])
  const [types, setTypes] = useState('')
  const create = useMutation({
    mutationFn: () =>
      api.createKey({ name: name.trim(), scopes: scopesOf(ticked, types), expiresInDays: days === '' ? null : Number(days) }),
    onSuccess: () => refresh()
  })

  if (create.data) return <Created created={create.data} onClose={onClose} />
  return (
    <form
      className="panel"
      onSubmit={event => {
        event.preventDefault()
        if (!create.isPending && ticked.length > 0) create.mutate()
      }}
    >
      <div className="panel-body">
        <h3>Create an access key</h3>
        <div className="fields">
          <TextField
            label="Name"
            value={name}
            onValue={setName}
            required
            maxLength={80}
            hint="The script it is for."
            errors={fieldErrors(create.error, 'name')}
          />
          <SelectField
            label="Expires"
            value={days}
            onValue={setDays}
            options={[
              ['30', 'in 30 days'],
              ['90', 'in 90 days'],
              ['365', 'in a year'],
              ['', 'never']
            ]}
          />
        </div>
        {offered.map(([module, title, actions]) => (
          <fieldset key={module} className="stack-tight">
            <legend className="field-label">{title}</legend>
            <div className="row">
              {actions.map(action => {
                const key = `${module} ${action}`
                return (
                  <Choice
                    key={key}
                    type="checkbox"
                    label={action}
                    checked={ticked.includes(key)}
                    onValue={checked => setTicked(before => (checked ? [...before, key] : before.filter(each => each !== key)))}
                  />
                )
              })}
            </div>
          </fieldset>
        ))}
        <TextField
          label="Only these content types"
          value={types}
          onValue={setTypes}
          hint="Uids separated by commas, for entries. Empty for all."
          errors={fieldErrors(create.error, 'scopes')}
        />
        <Problem error={create.error} />
        <div className="row">
          <Button look="primary" type="submit" busy={create.isPending && 'Creating…'} disabled={ticked.length === 0}>
            Create key
          </Button>
          <Button onClick={onClose}>Cancel</Button>
        </div>
      </div>
    </form>
  )
}

function Created({ created, onClose }: { created: CreatedKey; onClose: () => void }) {
  return (
    <div className="panel">
      <div className="panel-body">
        <Notice tone="good" live title={`${created.accessKey.name} is ready. Copy the key now: it is not shown again.`} />
        <div className="secret">
          <Id value={created.key} short={false} />
        </div>
        <p className="muted">
          Scripts send it as <code>authorization</code> to <code>{created.gatewayUrl}</code> instead of Contentstack's own host.
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

/** What was ticked ('entries read') as scopes, one per module. */
export function scopesOf(ticked: string[], contentTypes: string): KeyScope[] {
  const only = contentTypes
    .split(',')
    .map(each => each.trim())
    .filter(Boolean)
  return offered.flatMap(([module, , actions]) => {
    const chosen = actions.filter(action => ticked.includes(`${module} ${action}`))
    if (chosen.length === 0) return []
    return [{ module, actions: chosen, ...(module === 'entries' && only.length > 0 ? { contentTypes: only } : {}) }]
  })
}
