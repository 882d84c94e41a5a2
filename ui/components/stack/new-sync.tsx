// Creating syncs: which way, which system, which content types, which table. Outbound carries every field of the chosen types;
// of one type the columns may be chosen; inbound asks which column goes to which field, and refuses early what the server would refuse: a type with no field to
// recognise records by.
import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { Connection, ContentType, NewSync } from '../../../server/http/contract/stack.ts'
import { Button, counted, Notice, Problem, Waiting } from '../basics.tsx'
import { Choice, fieldErrors, SelectField, TextField } from '../field.tsx'
import { type InboundChoice, InboundFields } from './inbound-fields.tsx'
import { InboundOptionFields, noOptions, optionsOf } from './inbound-options.tsx'
import { type DraftRow, isComplete, mappingOf } from './mapping-rows.ts'
import { OutboundFields, outboundBody, usualOutbound } from './outbound-fields.tsx'
import { OutboundMapping } from './outbound-mapping.tsx'
import { useConnections, useRefresh, useStack } from './stack-view.tsx'

const schedules = [
  ['', 'only when asked'],
  ['* * * * *', 'every minute'],
  ['*/15 * * * *', 'every 15 minutes'],
  ['0 * * * *', 'every hour'],
  ['0 2 * * *', 'every night at 02:00']
] as const

/** Not a content type, but carried like one. */
const assets = { uid: 'sys_assets', title: 'Assets' }

export function NewSyncForm({ onClose }: { onClose: () => void }) {
  const { id, api } = useStack()
  const connections = useConnections()
  const types = useQuery({ queryKey: [id, 'content-types'], queryFn: ({ signal }) => api.contentTypes(signal) })
  const error = connections.error ?? types.error
  return (
    <div className="panel">
      <div className="panel-body">
        <h3>Create a sync</h3>
        {connections.data && types.data ? (
          <Form connections={connections.data.items} types={types.data.items} onClose={onClose} />
        ) : error ? (
          <>
            <Problem error={error} retry={() => void types.refetch()} />
            <div className="row">
              <Button onClick={onClose}>Cancel</Button>
            </div>
          </>
        ) : (
          <Waiting label="the stack's content types" />
        )}
      </div>
    </div>
  )
}

function Form({ connections, types, onClose }: { connections: Connection[]; types: ContentType[]; onClose: () => void }) {
  const { api } = useStack()
  const refresh = useRefresh()
  const [way, setWay] = useState<'outbound' | 'inbound'>('outbound')
  const [connectionId, setConnectionId] = useState(connections[0]?.id ?? '')
  const [every, setEvery] = useState(true)
  const [chosen, setChosen] = useState<string[]>([])
  const [target, setTarget] = useState('')
  const [schedule, setSchedule] = useState('')
  const [outbound, setOutbound] = useState(usualOutbound)
  const [columns, setColumns] = useState<DraftRow[] | null>(null)
  const [inbound, setInbound] = useState<InboundChoice>({ contentType: '', externalIdField: '', rows: null })
  const [options, setOptions] = useState(noOptions)
  const system = connections.find(connection => connection.id === connectionId)?.system ?? 'system'
  const one = !every && chosen.length === 1 ? types.find(type => type.uid === chosen[0]) : undefined
  const mapped = way === 'inbound' ? inbound.rows : one ? columns : null

  // A filter speaks of fields: without named content types there is none.
  const choices = outboundBody(every ? { ...outbound, filter: '' } : outbound)
  const create = useMutation({
    mutationFn: () => {
      const base = { direction: way, connectionId, target: target.trim() }
      const body: NewSync =
        way === 'outbound'
          ? { ...base, contentTypes: every ? ['*'] : chosen, ...choices, ...(one && columns ? { mapping: mappingOf(columns, way) } : {}) }
          : {
              ...base,
              contentTypes: [inbound.contentType],
              externalIdField: inbound.externalIdField,
              inbound: optionsOf(options),
              ...(inbound.rows ? { mapping: mappingOf(inbound.rows, way) } : {}),
              ...(schedule ? { schedule: { cron: schedule, timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone } } : {})
            }
      return api.createSyncs(body)
    },
    onSuccess: async () => {
      await refresh()
      onClose()
    }
  })
  const told =
    way === 'outbound'
      ? choices !== null && (every || chosen.length > 0)
      : inbound.contentType !== '' && inbound.externalIdField !== '' && target.trim() !== ''
  const ready = told && (mapped === null || isComplete(mapped))
  const many = way === 'outbound' ? (every ? types.length : chosen.length) : 1

  return (
    <form
      className="stack"
      onSubmit={event => {
        event.preventDefault()
        if (!create.isPending && ready) create.mutate()
      }}
    >
      <div className="fields">
        <SelectField
          label="Direction"
          value={way}
          onValue={value => setWay(value as 'outbound' | 'inbound')}
          options={[
            ['outbound', `Contentstack -> ${system}`],
            ['inbound', `${system} -> Contentstack`]
          ]}
        />
        <SelectField
          label="Connection"
          value={connectionId}
          onValue={value => {
            setConnectionId(value)
            setInbound(before => ({ ...before, rows: null }))
          }}
          options={connections.map(connection => [connection.id, `${connection.name} (${connection.system})`] as const)}
          errors={fieldErrors(create.error, 'connectionId')}
        />
      </div>
      {way === 'outbound' ? (
        <>
          <fieldset className="stack-tight">
            <legend className="field-label">Content types</legend>
            <Choice
              type="radio"
              name="which"
              label={`Every content type (${types.length})`}
              checked={every}
              onValue={() => setEvery(true)}
            />
            <Choice type="radio" name="which" label="These" checked={!every} onValue={() => setEvery(false)} />
            {every ? null : (
              <div className="choices">
                {[...types, assets].map(type => (
                  <Choice
                    key={type.uid}
                    type="checkbox"
                    label={type.title}
                    hint={type.uid}
                    checked={chosen.includes(type.uid)}
                    onValue={checked => {
                      setColumns(null)
                      setChosen(before => (checked ? [...before, type.uid] : before.filter(uid => uid !== type.uid)))
                    }}
                  />
                ))}
              </div>
            )}
          </fieldset>
          <TextField
            label="Table prefix"
            value={target}
            onValue={setTarget}
            hint="Each content type gets its own table, named by its uid after this prefix. Empty for none. Every field becomes a column."
            errors={fieldErrors(create.error, 'target')}
          />
          <OutboundFields value={outbound} onValue={setOutbound} named={!every} error={create.error} />
          {one ? <OutboundMapping type={one} connectionId={connectionId} rows={columns} onRows={setColumns} error={create.error} /> : null}
        </>
      ) : (
        <>
          <TextField
            label="Table to read"
            value={target}
            onValue={value => {
              setTarget(value)
              setInbound(before => ({ ...before, rows: null }))
            }}
            required
            hint="Its name in the external system."
            errors={fieldErrors(create.error, 'target')}
          />
          <InboundFields
            types={types}
            connectionId={connectionId}
            table={target.trim()}
            value={inbound}
            onValue={setInbound}
            error={create.error}
          />
          <InboundOptionFields value={options} onValue={setOptions} error={create.error} />
          <SelectField
            label="Runs"
            value={schedule}
            onValue={setSchedule}
            options={schedules}
            errors={fieldErrors(create.error, 'schedule')}
          />
        </>
      )}
      {many > 1 ? <Notice tone="quiet">{counted(many, 'sync')} will be created; each begins with its initial run.</Notice> : null}
      <Problem error={create.error} />
      <div className="row">
        <Button look="primary" type="submit" busy={create.isPending && 'Creating…'} disabled={!ready}>
          {many > 1 ? `Create ${many} syncs` : 'Create sync'}
        </Button>
        <Button onClick={onClose}>Cancel</Button>
      </div>
    </form>
  )
}
