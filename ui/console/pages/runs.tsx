// Every run of the person's organizations, newest first.
import { consoleApi } from '../../api/console.ts'
import { Empty } from '../../components/basics.tsx'
import { ListOf, useFilters } from '../../components/list.tsx'
import { runStates } from '../../components/state.tsx'
import { runningRun } from '../../components/stack/progress.ts'
import { runColumns } from '../../components/stack/runs.tsx'
import { PageHead } from '../frame.tsx'
import { ChoiceFilter, InstallationFilter } from './filters.tsx'
import { useList } from './use-list.ts'

export function RunsPage() {
  const { values, set } = useFilters(['installation', 'status', 'sync'])
  const query = useList('runs', consoleApi.runs, values, runningRun)
  return (
    <>
      <PageHead title="Runs" />
      <div className="filters">
        <InstallationFilter value={values.installation} onValue={value => set('installation', value)} />
        <ChoiceFilter label="State" value={values.status} onValue={value => set('status', value)} words={runStates} />
      </div>
      <ListOf
        label="Runs"
        waitingFor="runs"
        query={query}
        columns={runColumns(run => `/installations/${run.installationId}/runs/${run.id}`)}
        rowKey={run => run.id}
        empty={<Empty>Every execution of a sync will stand here, with what it read, wrote and could not write.</Empty>}
      />
    </>
  )
}
