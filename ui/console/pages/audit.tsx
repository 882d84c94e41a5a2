// The audit log: who did what to what, newest first, append-only.
import type { AuditEvent } from '../../../server/http/contract/console.ts'
import { consoleApi } from '../../api/console.ts'
import { Empty, Id } from '../../components/basics.tsx'
import { type Column, ListOf, useFilters } from '../../components/list.tsx'
import { Time } from '../../components/time.tsx'
import { PageHead } from '../frame.tsx'
import { InstallationFilter } from './filters.tsx'
import { useList } from './use-list.ts'

const columns: Column<AuditEvent>[] = [
  { title: 'No.', number: true, render: event => event.seq },
  { title: 'When', render: event => <Time at={event.at} /> },
  {
    title: 'Who',
    render: event => (
      <>
        {event.actor.name}
        <p className="meta">{event.actor.kind}</p>
      </>
    )
  },
  { title: 'What', render: event => <code>{event.action}</code> },
  {
    title: 'To what',
    render: event => (
      <>
        {event.object.name || event.object.kind}
        <p className="meta">
          {event.object.kind} <Id value={event.object.id} />
        </p>
      </>
    )
  },
  { title: 'Detail', render: event => <Detail detail={event.detail} /> },
  { title: 'Organization', render: event => event.organizationName }
]

export function AuditPage() {
  const { values, set } = useFilters(['installation'])
  const query = useList('audit', consoleApi.audit, values)
  return (
    <>
      <PageHead title="Audit">
        <p className="muted">Each event is chained to the one before it, so that a change or a gap shows.</p>
      </PageHead>
      <div className="filters">
        <InstallationFilter value={values.installation} onValue={value => set('installation', value)} />
      </div>
      <ListOf
        label="Audit events"
        waitingFor="audit events"
        query={query}
        rowKey={event => event.id}
        columns={columns}
        empty={<Empty>What people and keys do in Quayside will be recorded here.</Empty>}
      />
    </>
  )
}

function Detail({ detail }: { detail: Record<string, unknown> }) {
  const entries = Object.entries(detail)
  if (entries.length === 0) return <span className="muted">–</span>
  return (
    <details>
      <summary className="muted">{entries.length === 1 ? '1 value' : `${entries.length} values`}</summary>
      <dl className="facts">
        {entries.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              <code>{typeof value === 'string' ? value : JSON.stringify(value)}</code>
            </dd>
          </div>
        ))}
      </dl>
    </details>
  )
}
