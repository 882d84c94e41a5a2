// The log of what was done, record by record: searched by entry uid or external id, over one run or over all of the stack.
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'react-router'
import { type RunRecord, recordOutcomes } from '../../../server/http/contract/plans.ts'
import { Button, Empty, Id, Problem, Waiting } from '../basics.tsx'
import { SelectField, TextField } from '../field.tsx'
import { type Column, Table } from '../list.tsx'
import { recordStates, State } from '../state.tsx'
import { Time } from '../time.tsx'
import { useStack } from './stack-view.tsx'

/** `run` left out: of all runs and live changes. `changed` grows with what there is to see. */
export function RecordsSection({ run, changed = 0, title = 'Records' }: { run?: string; changed?: number; title?: string }) {
  const { id, api } = useStack()
  const [q, setQ] = useState('')
  const [outcome, setOutcome] = useState('')
  const [before, setBefore] = useState<string | null>(null)
  const records = useQuery({
    queryKey: [id, 'records', run ?? null, q, outcome, before, changed],
    queryFn: ({ signal }) => api.records({ run: run ?? null, q: q.trim(), outcome, before }, signal),
    placeholderData: known => known
  })
  const searched = q.trim() !== '' || outcome !== ''
  return (
    <section className="section" aria-labelledby="records-heading">
      <h2 id="records-heading">{title}</h2>
      <div className="filters">
        <TextField
          label="Entry uid or external id"
          value={q}
          placeholder="blt…"
          spellCheck={false}
          onValue={value => {
            setQ(value)
            setBefore(null)
          }}
        />
        <SelectField
          label="Outcome"
          value={outcome}
          onValue={value => {
            setOutcome(value)
            setBefore(null)
          }}
          options={[['', 'All'], ...recordOutcomes.map(one => [one, recordStates[one].word] as const)]}
        />
      </div>
      {records.data ? (
        records.data.items.length > 0 ? (
          <Table label={title} rows={records.data.items} rowKey={record => record.id} columns={columns(run === undefined)} />
        ) : (
          <Empty>
            {searched
              ? 'No record here begins so. What was unchanged is counted and not listed.'
              : 'Every record that was written, failed or was left alone for a reason will stand here. What was unchanged is only counted.'}
          </Empty>
        )
      ) : records.error ? (
        <Problem error={records.error} retry={() => void records.refetch()} />
      ) : (
        <Waiting label="records" />
      )}
      {before || records.data?.next ? (
        <nav className="pages" aria-label="Pages of the record log">
          {before ? <Button onClick={() => setBefore(null)}>Newest</Button> : null}
          {records.data?.next ? <Button onClick={() => setBefore(records.data.next)}>Older</Button> : null}
        </nav>
      ) : null}
    </section>
  )
}

function columns(ofAll: boolean): Column<RunRecord>[] {
  return [
    { title: 'Outcome', render: record => <State of={recordStates[record.outcome]} /> },
    { title: 'Record', render: record => <Id value={record.key} /> },
    { title: 'Entry', render: record => (record.entryUid ? <Id value={record.entryUid} /> : '–') },
    { title: 'Locale', render: record => record.locale || '–' },
    { title: 'Why', words: true, render: record => record.why ?? '' },
    ...(ofAll ? [{ title: 'By', render: (record: RunRecord) => <By record={record} /> }] : []),
    { title: 'When', render: record => <Time at={record.at} /> }
  ]
}

function By({ record }: { record: RunRecord }) {
  const { links } = useStack()
  return (
    <>
      {record.syncName}
      <p className="meta">{record.runId === null ? 'a live change' : <Link to={links.run(record.runId)}>a run</Link>}</p>
    </>
  )
}
