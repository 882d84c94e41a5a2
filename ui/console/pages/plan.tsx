// One plan of one sync.
import { Link, useParams } from 'react-router'
import { PlanView } from '../../components/stack/plan-view.tsx'
import { usePlan } from '../../components/stack/stack-view.tsx'
import { PageHead } from '../frame.tsx'
import { ConsoleStack } from './console-stack.tsx'

export function PlanPage() {
  const { id = '' } = useParams()
  return (
    <ConsoleStack title="Plan">
      {installation => <OnePlan id={id} installationId={installation.id} stackName={installation.stackName} />}
    </ConsoleStack>
  )
}

function OnePlan({ id, installationId, stackName }: { id: string; installationId: string; stackName: string }) {
  const plan = usePlan(id).data
  return (
    <>
      <PageHead
        title={plan ? `Plan of ${plan.syncName}` : 'Plan'}
        trail={
          <>
            <Link to="/syncs">Syncs</Link>
            <span aria-hidden="true">/</span>
            <Link to={`/installations/${installationId}`}>{stackName}</Link>
            {plan ? (
              <>
                <span aria-hidden="true">/</span>
                <Link to={`/installations/${installationId}/syncs/${plan.syncId}`}>{plan.syncName}</Link>
              </>
            ) : null}
          </>
        }
      />
      <PlanView planId={id} />
    </>
  )
}
