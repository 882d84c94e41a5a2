// The inbound half of the new-sync form: content type, the field that recognises a record, and the mapping.
import { useQuery } from '@tanstack/react-query'
import { useDeferredValue, useEffect } from 'react'
import type { ContentType, SyncPreview } from '../../../server/http/contract/stack.ts'
import { Notice, Problem, Waiting } from '../basics.tsx'
import { fieldErrors, SelectField } from '../field.tsx'
import { externalIdFields, mappingByName, missingFields } from './inbound.ts'
import { MappingEditor, type Named } from './mapping-editor.tsx'
import { MappingPreview } from './mapping-preview.tsx'
import { type DraftRow, draftRow, isComplete, mappingOf } from './mapping-rows.ts'
import { useStack } from './stack-view.tsx'

export interface InboundChoice {
  contentType: string
  externalIdField: string
  /** null until the columns are known. */
  rows: DraftRow[] | null
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
            onValue({ contentType, externalIdField: (next && externalIdFields(next)[0]?.uid) ?? '', rows: null })
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
        <Columns type={type} connectionId={connectionId} table={table} value={value} onValue={onValue} error={error} />
      ) : null}
    </>
  )
}

function Columns({ type, connectionId, table, value, onValue, error }: { type: ContentType } & Omit<Props, 'types'>) {
  const { id, api } = useStack()
  const settled = useDeferredValue(table)
  const columns = useQuery({
    queryKey: [id, 'fields', connectionId, settled],
    queryFn: ({ signal }) => api.sourceFields(connectionId, settled, signal),
    retry: false
  })
  const found = columns.data?.items
  const { rows } = value
  // What is shown is what is sent, so the suggestion becomes the mapping as soon as the columns are known.
  useEffect(() => {
    if (found && rows === null) onValue({ ...value, rows: mappingByName(found, type).map(draftRow) })
  }, [found, rows, type, value, onValue])
  if (columns.error) return <Problem error={columns.error} retry={() => void columns.refetch()} />
  if (!found || rows === null) return <Waiting label={`the columns of ${settled}`} />
  const mapping = mappingOf(rows, 'inbound')
  const missing = missingFields(mapping, type).filter(field => field.uid !== value.externalIdField)
  const asked: SyncPreview = {
    direction: 'inbound',
    connectionId,
    contentType: type.uid,
    target: settled,
    mapping,
    externalIdField: value.externalIdField
  }
  return (
    <>
      <MappingEditor
        direction="inbound"
        sources={found.map((column): Named => [column.name, `${column.name} (${column.type})`])}
        targets={type.fields.map((field): Named => [field.uid, `${field.title} (${field.uid})`])}
        rows={rows}
        onRows={changed => onValue({ ...value, rows: changed })}
        error={error}
      />
      {missing.length > 0 ? (
        <Notice tone="wait" title="Nothing is carried to a mandatory field.">
          <p>Contentstack refuses entries without: {missing.map(field => field.title).join(', ')}.</p>
        </Notice>
      ) : null}
      <MappingPreview asked={isComplete(rows) ? asked : null} />
    </>
  )
}
