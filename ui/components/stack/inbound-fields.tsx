// The inbound half of the new-sync form: content type, the field that recognises a record, and column by column where it goes.
import { useQuery } from '@tanstack/react-query'
import { useDeferredValue } from 'react'
import type { ContentType, MappingRow } from '../../../server/http/contract/stack.ts'
import { Notice, Problem, Waiting } from '../basics.tsx'
import { fieldErrors, SelectField } from '../field.tsx'
import { Table } from '../list.tsx'
import { externalIdFields, mappingByName, missingFields } from './inbound.ts'
import { useStack } from './stack-view.tsx'

export interface InboundChoice {
  contentType: string
  externalIdField: string
  mapping: MappingRow[] | null
}

interface Props {
  types: ContentType[]
  connectionId: string
  table: string
  value: InboundChoice
  onValue: (value: InboundChoice) => void
  error: unknown
}

export function InboundFields({ types, connectionId, table, value, onValue, error }: Props) {
  const type = types.find(each => each.uid === value.contentType)
  const candidates = type ? externalIdFields(type) : []
  return (
    <>
      <div className="fields">
        <SelectField
          label="Content type"
          value={value.contentType}
          onValue={contentType => {
            const next = types.find(each => each.uid === contentType)
            onValue({ contentType, externalIdField: (next && externalIdFields(next)[0]?.uid) ?? '', mapping: null })
          }}
          options={[['', 'Choose…'], ...types.map(each => [each.uid, `${each.title} (${each.uid})`] as const)]}
          errors={fieldErrors(error, 'contentTypes')}
        />
        {candidates.length > 0 ? (
          <SelectField
            label="Recognised by"
            value={value.externalIdField}
            onValue={externalIdField => onValue({ ...value, externalIdField })}
            options={candidates.map(field => [field.uid, `${field.title} (${field.uid})`] as const)}
            hint="The field that holds the record's key."
            errors={fieldErrors(error, 'externalIdField')}
          />
        ) : null}
      </div>
      {type && candidates.length === 0 ? (
        <Notice tone="wait" title={`${type.title} has no field to recognise records by.`}>
          <p>
            Add a single-line text field to it that is unique and not localizable, then choose it here. Without one a repeat would create
            every entry again.
          </p>
        </Notice>
      ) : null}
      {type && candidates.length > 0 && table ? (
        <Columns type={type} connectionId={connectionId} table={table} value={value} onValue={onValue} />
      ) : null}
    </>
  )
}

function Columns({ type, connectionId, table, value, onValue }: { type: ContentType } & Omit<Props, 'types' | 'error'>) {
  const { id, api } = useStack()
  const settled = useDeferredValue(table)
  const columns = useQuery({
    queryKey: [id, 'fields', connectionId, settled],
    queryFn: ({ signal }) => api.sourceFields(connectionId, settled, signal),
    retry: false
  })
  if (columns.error) return <Problem error={columns.error} retry={() => void columns.refetch()} />
  if (!columns.data) return <Waiting label={`the columns of ${settled}`} />
  const mapping = value.mapping ?? mappingByName(columns.data.items, type)
  const missing = missingFields(mapping, type)
  const carry = (from: string, to: string) => {
    const others = mapping.filter(row => row.from !== from && row.to !== to)
    onValue({ ...value, mapping: to ? [...others, { from, to }] : others })
  }
  return (
    <>
      <Table
        label={`Columns of ${settled}`}
        rows={columns.data.items}
        rowKey={column => column.name}
        columns={[
          { title: 'Column', render: column => <code>{column.name}</code> },
          { title: 'Type', render: column => column.type },
          {
            title: 'Goes to',
            render: column => (
              <select
                className="input"
                aria-label={`Field for ${column.name}`}
                value={mapping.find(row => row.from === column.name)?.to ?? ''}
                onChange={event => carry(column.name, event.target.value)}
              >
                <option value="">not carried</option>
                {type.fields.map(field => (
                  <option key={field.uid} value={field.uid}>
                    {field.title} ({field.uid})
                  </option>
                ))}
              </select>
            )
          }
        ]}
      />
      {missing.length > 0 ? (
        <Notice tone="wait" title="Nothing is carried to a mandatory field.">
          <p>Contentstack refuses entries without: {missing.map(field => field.title).join(', ')}.</p>
        </Notice>
      ) : null}
    </>
  )
}
