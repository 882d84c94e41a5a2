// One run, watched while it works.
import { Link, useParams } from 'react-router'
import { RunView } from '../../components/stack/runs.tsx'
import { useRun } from '../../components/stack/stack-view.tsx'
import { PageHead } from '../frame.tsx'
import { ConsoleStack } from './console-stack.tsx'

export function RunPage() {
  const { id = '' } = useParams()
  return (
    <ConsoleStack title="Run">
      {installation => <OneRun id={id} installationId={installation.id} stackName={installation.stackName} />}
    </ConsoleStack>
  )
}

function OneRun({ id, installationId, stackName }: { id: string; installationId: string; stackName: string }) {
  const run = useRun(id).data
  return (
    <>
      <PageHead
        title={run ? `Run of ${run.syncName}` : 'Run'}
        trail={
          <>
            <Link to="/runs">Runs</Link>
            <span aria-hidden="true">/</span>
            <Link to={`/installations/${installationId}`}>{stackName}</Link>
            {run ? (
              <>
                <span aria-hidden="true">/</span>
                <Link to={`/installations/${installationId}/syncs/${run.syncId}`}>{run.syncName}</Link>
              </>
            ) : null}
          </>
        }
      />
      <RunView runId={id} />
    </>
  )
}
