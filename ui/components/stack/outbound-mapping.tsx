// The mapping of a new outbound sync of one content type: every field becomes a column, unless somebody chooses otherwise.
import type { ContentType, SyncPreview } from '../../../server/http/contract/stack.ts'
import { Choice } from '../field.tsx'
import { MappingEditor, type Named } from './mapping-editor.tsx'
import { MappingPreview } from './mapping-preview.tsx'
import { type DraftRow, draftRow, isComplete, mappingOf } from './mapping-rows.ts'

interface Props {
  type: ContentType
  connectionId: string
  /** null: every field. */
  rows: DraftRow[] | null
  onRows: (rows: DraftRow[] | null) => void
  error: unknown
}

export function OutboundMapping({ type, connectionId, rows, onRows, error }: Props) {
  const fields = type.fields.map((field): Named => [field.uid, `${field.title} (${field.uid})`])
  const asked: SyncPreview = {
    direction: 'outbound',
    connectionId,
    contentType: type.uid,
    target: '',
    ...(rows ? { mapping: mappingOf(rows, 'outbound') } : {})
  }
  return (
    <>
      <Choice
        type="checkbox"
        label="Choose the columns"
        hint="Otherwise every field becomes one."
        checked={rows !== null}
        onValue={checked => onRows(checked ? type.fields.map(({ uid }) => draftRow({ from: uid, to: uid })) : null)}
      />
      {rows ? <MappingEditor direction="outbound" sources={fields} targets={null} rows={rows} onRows={onRows} error={error} /> : null}
      <MappingPreview asked={rows === null || isComplete(rows) ? asked : null} />
    </>
  )
}
