// Every sync of the person's organizations.
import { consoleApi } from '../../api/console.ts'
import { Empty } from '../../components/basics.tsx'
import { ListOf, useFilters } from '../../components/list.tsx'
import { syncStates } from '../../components/state.tsx'
import { syncColumns } from '../../components/stack/syncs-section.tsx'
import { PageHead } from '../frame.tsx'
import { ChoiceFilter, InstallationFilter } from './filters.tsx'
import { useList } from './use-list.ts'

export function SyncsPage() {
  const { values, set } = useFilters(['installation', 'state'])
  const query = useList('syncs', consoleApi.syncs, values, sync => sync.state === 'running')
  return (
    <>
      <PageHead title="Syncs" />
      <div className="filters">
        <InstallationFilter value={values.installation} onValue={value => set('installation', value)} />
        <ChoiceFilter label="State" value={values.state} onValue={value => set('state', value)} words={syncStates} />
      </div>
      <ListOf
        label="Syncs"
        waitingFor="syncs"
        query={query}
        columns={syncColumns(sync => `/installations/${sync.installationId}/syncs/${sync.id}`)}
        rowKey={sync => sync.id}
        empty={
          <Empty>
            Syncs are created on the page of an installation, or by a stack admin inside Contentstack; all of them will stand here.
          </Empty>
        }
      />
    </>
  )
}
