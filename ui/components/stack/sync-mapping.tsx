// The mapping of a sync that stands: what goes where, and, while the sync is paused, the way to change it.
import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { MappingRow, Sync, SyncPreview } from '../../../server/http/contract/stack.ts'
import { Button, Notice, Problem, Waiting } from '../basics.tsx'
import { Table } from '../list.tsx'
import { MappingEditor, type Named } from './mapping-editor.tsx'
import { MappingPreview } from './mapping-preview.tsx'
import { draftRow, isComplete, mappingOf } from './mapping-rows.ts'
import { useRefresh, useStack } from './stack-view.tsx'

export function SyncMapping({ sync }: { sync: Sync }) {
  const { can } = useStack()
  const [editing, setEditing] = useState(false)
  if (editing) return <Editing sync={sync} onClose={() => setEditing(false)} />
  return (
    <details>
      <summary className="muted">Mapping ({sync.mapping.length})</summary>
      <div className="stack-tight">
        <Table
          label="Mapping"
          rows={sync.mapping}
          rowKey={row => row.to}
          columns={[
            { title: 'From', render: row => <Source row={row} /> },
            { title: 'To', render: row => <code>{row.to}</code> },
            { title: 'If empty', render: row => <IfEmpty row={row} /> }
          ]}
        />
        {can.configure ? (
          sync.state === 'paused' ? (
            <div className="row">
              <Button onClick={() => setEditing(true)}>Change mapping</Button>
            </div>
          ) : (
            <p className="meta">Pause the sync to change its mapping.</p>
          )
        ) : null}
      </div>
    </details>
  )
}

function Source({ row }: { row: MappingRow }) {
  if (row.expression === undefined) return <code>{row.from}</code>
  return (
    <>
      <span className="meta">Expression{row.type ? `, gives ${row.type}` : ''}</span>
      <pre className="expression">{row.expression}</pre>
    </>
  )
}

function IfEmpty({ row }: { row: MappingRow }) {
  if (row.default !== undefined) return <code>{String(row.default)}</code>
  return <span className="muted">{row.required ? 'the record stands aside' : 'stays empty'}</span>
}

function Editing({ sync, onClose }: { sync: Sync; onClose: () => void }) {
  const { id, api } = useStack()
  const refresh = useRefresh()
  const inbound = sync.direction === 'inbound'
  const [rows, setRows] = useState(() => sync.mapping.map(draftRow))
  const types = useQuery({ queryKey: [id, 'content-types'], queryFn: ({ signal }) => api.contentTypes(signal) })
  const columns = useQuery({
    queryKey: [id, 'fields', sync.connectionId, sync.target],
    queryFn: ({ signal }) => api.sourceFields(sync.connectionId, sync.target, signal),
    enabled: inbound,
    retry: false
  })
  const mapping = mappingOf(rows, sync.direction)
  const change = useMutation({
    mutationFn: () => api.changeMapping(sync.id, { mapping }),
    onSuccess: async () => {
      await refresh()
      onClose()
    }
  })
  const error = types.error ?? columns.error
  if (error) return <Problem error={error} retry={() => void Promise.all([types.refetch(), inbound && columns.refetch()])} />
  if (!types.data || (inbound && !columns.data)) return <Waiting label="what can be mapped" />
  const fields = (types.data.items.find(type => type.uid === sync.contentType)?.fields ?? []).map(
    (field): Named => [field.uid, `${field.title} (${field.uid})`]
  )
  const asked: SyncPreview = {
    direction: sync.direction,
    connectionId: sync.connectionId,
    contentType: sync.contentType,
    target: sync.target,
    branch: sync.branch,
    mapping,
    syncId: sync.id,
    ...(sync.externalIdField === null ? {} : { externalIdField: sync.externalIdField })
  }
  return (
    <form
      className="stack"
      onSubmit={event => {
        event.preventDefault()
        if (!change.isPending && isComplete(rows)) change.mutate()
      }}
    >
      <MappingEditor
        direction={sync.direction}
        sources={inbound ? (columns.data?.items ?? []).map(({ name, type }): Named => [name, `${name} (${type})`]) : fields}
        targets={inbound ? fields : null}
        rows={rows}
        onRows={setRows}
        error={change.error}
      />
      <MappingPreview asked={isComplete(rows) ? asked : null} />
      <Notice tone="quiet">Once the sync is resumed, every record is carried by the new mapping.</Notice>
      <Problem error={change.error} />
      <div className="row">
        <Button look="primary" type="submit" busy={change.isPending && 'Saving…'} disabled={!isComplete(rows)}>
          Save mapping
        </Button>
        <Button onClick={onClose}>Cancel</Button>
      </div>
    </form>
  )
}
