// The stack's dashboard: a glance at whether everything works; admins also see each sync.
import { Empty, Problem, Waiting } from '../../components/basics.tsx'
import { State, syncStates } from '../../components/state.tsx'
import { Table } from '../../components/list.tsx'
import { useSyncs } from '../../components/stack/stack-view.tsx'
import { direction } from '../../components/stack/syncs-section.tsx'
import { Time } from '../../components/time.tsx'
import { useHost } from '../../host/host-provider.tsx'
import { StackHere } from '../admin-only.tsx'
import { Standing } from '../standing.tsx'

export default function Dashboard() {
  const { session } = useHost()
  return (
    <StackHere>
      <main className="location location-dashboard">
        <h1 className="only-heard">Quayside</h1>
        <Standing />
        {session.stackAdmin === true ? <SyncList /> : null}
      </main>
    </StackHere>
  )
}

function SyncList() {
  const syncs = useSyncs()
  if (!syncs.data) return syncs.error ? <Problem error={syncs.error} retry={() => void syncs.refetch()} /> : <Waiting label="syncs" />
  if (syncs.data.items.length === 0) return <Empty>The stack's syncs will stand here.</Empty>
  return (
    <Table
      label="Syncs of this stack"
      rows={syncs.data.items}
      rowKey={sync => sync.id}
      columns={[
        { title: 'State', render: sync => <State of={syncStates[sync.state]} /> },
        { title: 'Sync', render: sync => sync.name },
        { title: 'Direction', render: sync => direction(sync) },
        { title: 'Last run', render: sync => (sync.lastRun ? <Time at={sync.lastRun.finishedAt} none="under way" /> : 'none yet') }
      ]}
    />
  )
}
