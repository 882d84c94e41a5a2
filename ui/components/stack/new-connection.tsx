// Adding a connection: the form is what the connector's settings schema says, so a new connector needs no page of its own.
// Secrets go out once in the request's body and are forgotten here.
import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { ConnectorInfo } from '../../../server/http/contract/stack.ts'
import { Button, Problem, Waiting } from '../basics.tsx'
import { Choice, fieldErrors, SelectField, TextField } from '../field.tsx'
import { labelOf, type SchemaField, settingsOf, type Variant, variantsOf } from './schema-form.ts'
import { SecretFields } from './secret-fields.tsx'
import { useRefresh, useStack } from './stack-view.tsx'

interface Kind {
  connector: ConnectorInfo
  variant: Variant
}

export function NewConnectionForm({ onClose }: { onClose: () => void }) {
  const { id, api } = useStack()
  const connectors = useQuery({ queryKey: [id, 'connectors'], queryFn: ({ signal }) => api.connectors(signal) })
  const kinds = (connectors.data?.items ?? []).flatMap(connector => variantsOf(connector.settings).map(variant => ({ connector, variant })))
  return (
    <div className="panel">
      <div className="panel-body">
        <h3>Add a connection</h3>
        {kinds.length > 0 ? (
          <Fields kinds={kinds} onClose={onClose} />
        ) : connectors.error ? (
          <Problem error={connectors.error} retry={() => void connectors.refetch()} />
        ) : (
          <Waiting label="the list of connectors" />
        )}
      </div>
    </div>
  )
}

function Fields({ kinds, onClose }: { kinds: Kind[]; onClose: () => void }) {
  const { api } = useStack()
  const refresh = useRefresh()
  const [chosen, setChosen] = useState(0)
  const [name, setName] = useState('')
  const [values, setValues] = useState<Record<string, string>>({})
  const [secrets, setSecrets] = useState<Record<string, string>>({})
  const { connector, variant } = kinds[chosen] as Kind
  const secretNames = variant.secrets ?? connector.secrets
  const create = useMutation({
    mutationFn: () =>
      api.createConnection({
        connector: connector.id,
        name: name.trim(),
        settings: settingsOf(variant, values),
        secrets: Object.fromEntries(secretNames.flatMap(secret => (secrets[secret] ? [[secret, secrets[secret]]] : [])))
      }),
    onSuccess: async () => {
      await refresh()
      onClose()
    }
  })

  return (
    <form
      className="stack"
      onSubmit={event => {
        event.preventDefault()
        if (!create.isPending) create.mutate()
      }}
    >
      <div className="fields">
        {kinds.length > 1 ? (
          <SelectField
            label="System"
            value={String(chosen)}
            onValue={value => setChosen(Number(value))}
            options={kinds.map((kind, index) => [String(index), systemName(kind)] as const)}
            hint={`Proven by: ${variant.support ?? connector.support}`}
          />
        ) : null}
        <TextField
          label="Name"
          value={name}
          onValue={setName}
          required
          maxLength={80}
          hint="How it is called on these pages."
          errors={fieldErrors(create.error, 'name')}
        />
        {variant.fields.map(field => (
          <SettingField
            key={`${chosen} ${field.name}`}
            field={field}
            value={values[field.name] ?? field.initial}
            onValue={value => setValues(before => ({ ...before, [field.name]: value }))}
            errors={fieldErrors(create.error, field.name)}
          />
        ))}
        <SecretFields
          names={secretNames}
          passing={connector.passingSecrets}
          values={secrets}
          onValue={(name, value) => setSecrets(before => ({ ...before, [name]: value }))}
          error={create.error}
        />
      </div>
      <Problem error={create.error} />
      <div className="row">
        <Button look="primary" type="submit" busy={create.isPending && 'Checking…'}>
          Check and add
        </Button>
        <Button onClick={onClose}>Cancel</Button>
      </div>
    </form>
  )
}

function SettingField({
  field,
  value,
  onValue,
  errors
}: {
  field: SchemaField
  value: string
  onValue: (value: string) => void
  errors: string[] | undefined
}) {
  if (field.kind === 'boolean') {
    return (
      <Choice
        type="checkbox"
        label={field.label}
        hint={field.hint}
        checked={value === 'true'}
        onValue={checked => onValue(String(checked))}
      />
    )
  }
  if (field.kind === 'choice') {
    const options = [
      ...(field.required || field.initial ? [] : [['', 'as the system decides'] as const]),
      ...field.choices.map(choice => [choice, choice] as const)
    ]
    return (
      <SelectField
        label={field.label}
        hint={field.hint}
        value={value || (options[0]?.[0] ?? '')}
        onValue={onValue}
        options={options}
        errors={errors}
      />
    )
  }
  return (
    <TextField
      label={field.label}
      hint={field.hint}
      value={value}
      onValue={onValue}
      required={field.required}
      inputMode={field.kind === 'number' ? 'numeric' : undefined}
      autoComplete="off"
      spellCheck={false}
      errors={errors}
    />
  )
}

function systemName({ connector, variant }: Kind): string {
  return variant.label === 'Settings' ? labelOf(connector.id) : variant.label
}
