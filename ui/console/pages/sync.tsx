// One sync of one installation.
import { Link, useParams } from 'react-router'
import { useSync } from '../../components/stack/stack-view.tsx'
import { SyncView } from '../../components/stack/sync-view.tsx'
import { PageHead } from '../frame.tsx'
import { ConsoleStack } from './console-stack.tsx'

export function SyncPage() {
  const { id = '' } = useParams()
  return (
    <ConsoleStack title="Sync">
      {installation => <OneSync id={id} installationId={installation.id} stackName={installation.stackName} />}
    </ConsoleStack>
  )
}

function OneSync({ id, installationId, stackName }: { id: string; installationId: string; stackName: string }) {
  const sync = useSync(id).data
  return (
    <>
      <PageHead
        title={sync?.name ?? 'Sync'}
        trail={
          <>
            <Link to="/syncs">Syncs</Link>
            <span aria-hidden="true">/</span>
            <Link to={`/installations/${installationId}`}>{stackName}</Link>
          </>
        }
      />
      <SyncView syncId={id} />
    </>
  )
}
