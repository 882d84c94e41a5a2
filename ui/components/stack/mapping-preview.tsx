// What the sync would make of a few real records, shown before anything is written: record by record what would happen, and row by
// row the value or why there is none.
import { useMutation } from '@tanstack/react-query'
import type { Preview, SyncPreview } from '../../../server/http/contract/stack.ts'
import { Button, counted, Empty, Problem } from '../basics.tsx'
import { Table } from '../list.tsx'
import { State, wouldBe } from '../state.tsx'
import { useStack } from './stack-view.tsx'

type Shown = Preview['records'][number]

/** `asked` null: something is still to be chosen. */
export function MappingPreview({ asked }: { asked: SyncPreview | null }) {
  const { api } = useStack()
  const preview = useMutation({ mutationFn: (body: SyncPreview) => api.previewSync(body) })
  const key = JSON.stringify(asked)
  const stale = preview.data !== undefined && JSON.stringify(preview.variables) !== key
  return (
    <div className="stack-tight">
      <div className="row">
        <Button
          busy={preview.isPending && 'Reading records…'}
          disabled={asked === null}
          onClick={() => {
            if (asked) preview.mutate(asked)
          }}
        >
          Preview
        </Button>
        <span className="meta">{stale ? 'The mapping has changed since.' : 'On real records. Nothing is written.'}</span>
      </div>
      <Problem error={preview.error} />
      <div role="status">{preview.data ? <Records records={preview.data.records} /> : null}</div>
    </div>
  )
}

function Records({ records }: { records: Shown[] }) {
  const [first] = records
  if (!first) return <Empty>There is no record to show.</Empty>
  return (
    <>
      <p className="meta">{counted(records.length, 'record')}</p>
      <Table
        label="Preview"
        rows={records}
        rowKey={record => record.key}
        columns={[
          { title: 'Would be', render: record => <State of={wouldBe[record.would]} /> },
          { title: 'Record', render: record => <code>{record.key}</code> },
          ...first.rows.map(({ to }, index) => ({ title: to, render: (record: Shown) => <Value of={record.rows[index]} /> }))
        ]}
      />
    </>
  )
}

function Value({ of }: { of: Shown['rows'][number] | undefined }) {
  if (!of) return null
  if (of.error !== null) return <span className="field-error cell-text">{of.error}</span>
  if (of.value === null) return <span className="muted">empty</span>
  return <span className="cell-text">{of.value.length > 160 ? `${of.value.slice(0, 160)}…` : of.value}</span>
}
