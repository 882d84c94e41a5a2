// What needs somebody now, first; then what is under way. An empty first part is the good news and says so.
import { useQueries } from '@tanstack/react-query'
import { Link } from 'react-router'
import type { Installation, Sync } from '../../../server/http/contract/stack.ts'
import { consoleApi } from '../../api/console.ts'
import { Empty, Notice, Problem, Waiting } from '../../components/basics.tsx'
import { type Column, Table } from '../../components/list.tsx'
import { State, syncStates } from '../../components/state.tsx'
import { runningRun } from '../../components/stack/progress.ts'
import { runColumns } from '../../components/stack/runs.tsx'
import { direction } from '../../components/stack/syncs-section.tsx'
import { PageHead } from '../frame.tsx'
import { roleFor, useMe } from '../me.tsx'
import { type Closer, closerOf, type Need, needs } from './needs.ts'
import { useList } from './use-list.ts'

export function OverviewPage() {
  const installations = useList('installations', consoleApi.installations, {})
  const syncs = useList('syncs', consoleApi.syncs, { state: 'failing' })
  const runs = useList('runs', consoleApi.runs, {}, runningRun)
  const error = installations.error ?? syncs.error ?? runs.error
  const all = installations.data?.items
  const closer = useCloser(all ?? [])
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
            <Needs installations={needs(all, closer)} syncs={syncs.data.items} />
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

/** Twice a request an installation, so only once a minute, and only for those that are at work. */
const closerEveryMs = 60_000

/** What only an installation's own routes tell: whether its token is exposed, whom alerts do not reach. */
function useCloser(installations: Installation[]): Map<string, Closer> {
  const working = installations.filter(({ status }) => status === 'active')
  const often = { staleTime: closerEveryMs, refetchInterval: closerEveryMs }
  const custodies = useQueries({
    queries: working.map(({ id }) => ({
      queryKey: [id, 'custody'],
      queryFn: ({ signal }: { signal: AbortSignal }) => consoleApi.stack(id).custody(signal),
      ...often
    }))
  })
  const recipients = useQueries({
    queries: working.map(({ id }) => ({
      queryKey: [id, 'recipients'],
      queryFn: ({ signal }: { signal: AbortSignal }) => consoleApi.stack(id).recipients(signal),
      ...often
    }))
  })
  return new Map(working.map(({ id }, index) => [id, closerOf(custodies[index]?.data, recipients[index]?.data?.items)]))
}

const needColumns: Column<Need>[] = [
  { title: 'State', render: ({ look }) => <State of={look} /> },
  {
    title: 'Stack',
    render: ({ installation }) => <Link to={`/installations/${installation.id}`}>{installation.stackName || installation.stackApiKey}</Link>
  },
  { title: 'What happened', render: ({ why }) => why },
  { title: 'What to do', render: need => <Remedy need={need} /> }
]

/** A link to where it is pressed, for whoever may press it there. */
function Remedy({ need: { installation, remedy, at } }: { need: Need }) {
  const me = useMe()
  if (installation.status !== 'active' && installation.status !== 'uninstalled') return remedy
  if (at !== null && roleFor(me, installation) !== 'admin') return `An admin: ${remedy.charAt(0).toLowerCase()}${remedy.slice(1)}.`
  return <Link to={`/installations/${installation.id}${at ?? ''}`}>{remedy}</Link>
}

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
          rowKey={({ installation, why }) => `${installation.id} ${why}`}
          columns={needColumns}
        />
      ) : null}
      {syncs.length > 0 ? <Table label="Syncs that fail" rows={syncs} rowKey={sync => sync.id} columns={failingColumns} /> : null}
    </>
  )
}
