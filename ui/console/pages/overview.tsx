// What needs somebody now, first; then what is under way. An empty first part is the good news and says so.
import { Link } from 'react-router'
import type { Sync } from '../../../server/http/contract/stack.ts'
import { consoleApi } from '../../api/console.ts'
import { Empty, Notice, Problem, Waiting } from '../../components/basics.tsx'
import { type Column, Table } from '../../components/list.tsx'
import { installationLook, State, syncStates } from '../../components/state.tsx'
import { runningRun } from '../../components/stack/progress.ts'
import { runColumns } from '../../components/stack/runs.tsx'
import { direction } from '../../components/stack/syncs-section.tsx'
import { PageHead } from '../frame.tsx'
import { type Need, needs } from './needs.ts'
import { useList } from './use-list.ts'

export function OverviewPage() {
  const installations = useList('installations', consoleApi.installations, {})
  const syncs = useList('syncs', consoleApi.syncs, { state: 'failing' })
  const runs = useList('runs', consoleApi.runs, {}, runningRun)
  const error = installations.error ?? syncs.error ?? runs.error
  const all = installations.data?.items
  return (
    <>
      <PageHead title="Overview" />
      {error ? <Problem error={error} /> : null}
      <section className="section" aria-labelledby="needs-heading">
        <h2 id="needs-heading">Needs somebody</h2>
        {all && syncs.data ? (
          all.length === 0 ? (
            <Empty>Quayside stands ready. When a stack installs it, what needs attention will stand here.</Empty>
          ) : (
            <Needs installations={needs(all)} syncs={syncs.data.items} />
          )
        ) : error ? null : (
          <Waiting label="installations and syncs" />
        )}
      </section>
      <section className="section" aria-labelledby="latest-heading">
        <div className="row-apart">
          <h2 id="latest-heading">Latest runs</h2>
          <Link to="/runs">All runs</Link>
        </div>
        {runs.data ? (
          runs.data.items.length > 0 ? (
            <Table
              label="Latest runs"
              rows={runs.data.items.slice(0, 10)}
              rowKey={run => run.id}
              columns={runColumns(run => `/installations/${run.installationId}/runs/${run.id}`)}
            />
          ) : (
            <Empty>Every execution of a sync will stand here.</Empty>
          )
        ) : error ? null : (
          <Waiting label="runs" />
        )}
      </section>
    </>
  )
}

const needColumns: Column<Need>[] = [
  { title: 'State', render: ({ installation }) => <State of={installationLook(installation)} /> },
  {
    title: 'Stack',
    render: ({ installation }) => <Link to={`/installations/${installation.id}`}>{installation.stackName || installation.stackApiKey}</Link>
  },
  { title: 'What happened', render: ({ why }) => why },
  { title: 'What to do', render: ({ remedy }) => remedy }
]

const failingColumns: Column<Sync>[] = [
  { title: 'State', render: sync => <State of={syncStates[sync.state]} /> },
  { title: 'Sync', render: sync => <Link to={`/installations/${sync.installationId}/syncs/${sync.id}`}>{sync.name}</Link> },
  { title: 'Direction', render: sync => direction(sync) },
  { title: 'Failed records', number: true, render: sync => sync.records.failed }
]

function Needs({ installations, syncs }: { installations: Need[]; syncs: Sync[] }) {
  if (installations.length === 0 && syncs.length === 0)
    return <Notice tone="good" title="Nothing needs you. Every token works and every sync goes on." />
  return (
    <>
      {installations.length > 0 ? (
        <Table
          label="Installations that need somebody"
          rows={installations}
          rowKey={({ installation }) => installation.id}
          columns={needColumns}
        />
      ) : null}
      {syncs.length > 0 ? <Table label="Syncs that fail" rows={syncs} rowKey={sync => sync.id} columns={failingColumns} /> : null}
    </>
  )
}
